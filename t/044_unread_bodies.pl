# The body of a request that is refused by its head is not read: not stored, not counted, not
# kept in memory, and its sender is not listened to for long; and yet he sees the answer,
# also while he is still sending.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Errno qw(EAGAIN EINTR);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;

use constant MB => 1024 * 1024;
use constant GB => 1024 * MB;

my $node = wt_node('unread', conf => <<'CONF');
windtrap.allowed_hosts = 'localhost'
CONF
my $port = wt_port($node);
my $good = query(q{SELECT windtrap.create_token('good')});
my $reader = query(q{SELECT windtrap.create_token('reader', scope => 'read')});
my $slow = query(q{SELECT windtrap.create_token('slow', rate => 1)});
my ($pid) = worker_pids($node);
my $used_up = 0;

sub received { return metrics($node)->{received_bytes_total}; }

sub query { return $node->safe_psql('postgres', $_[0]); }

# Has the token that may send once a second wait.
sub use_up
{
	$used_up++;
	return post($port, '{}', headers => { 'X-API-Key' => $slow });
}

# Sends a head and then a body that has no end, until the other side has gone or has read
# `most` bytes of it.  Gives the status that was seen, the bytes that were sent, the seconds
# until the answer and until the end, and how it ended.
sub send_for_ever
{
	my ($head, $piece, $most) = @_;
	my $begun = time;
	my %seen = (status => 'none', sent => 0, end => 'still open');
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10)
	  or return \%seen;
	my $out = $head;
	my $in = '';
	local $SIG{PIPE} = 'IGNORE';

	$socket->blocking(0);
	while (time - $begun < 20)
	{
		my ($r, $w) = ('', '');
		vec($r, fileno $socket, 1) = 1;
		vec($w, fileno $socket, 1) = 1 if $seen{sent} < $most;
		next if select($r, $w, undef, 1) <= 0;
		if (vec($r, fileno $socket, 1))
		{
			my $n = sysread $socket, $in, 65536, length $in;
			if (!$n && (defined $n || ($! != EAGAIN && $! != EINTR)))
			{
				# Closed for reading: it is over when what is written is refused too.
				$seen{end} = defined $n ? 'closed' : "$!";
				last if !defined $n || $seen{sent} >= $most;
			}
			# Some that libmicrohttpd 1.0 refuses by itself it answers in HTML.
			if ($seen{status} eq 'none' && $in =~ /\AHTTP\/1\.1 (\d+).*\r\n\r\n(\{"error":".+"\}\n|<html>.+<\/html>)\z/s)
			{
				@seen{qw(status content answered)} = ($1, $2, time - $begun);
			}
		}
		if (vec($w, fileno $socket, 1))
		{
			$out .= $piece if length $out < 65536;
			my $n = syswrite $socket, $out, 65536;
			if (defined $n)
			{
				$seen{sent} += $n;
				substr($out, 0, $n) = '';
			}
			elsif ($! != EAGAIN && $! != EINTR)
			{
				$seen{end} = "$!";
				last;
			}
		}
	}
	$seen{took} = time - $begun;
	return \%seen;
}

my @refused = (
	# what it is, code, request line, headers
	[ 'no token', 401, 'POST /log' ],
	[ 'a wrong token', 401, 'POST /log', 'Authorization: Bearer wt_' . 'x' x 43 ],
	[ 'a token of another scope', 403, 'POST /log', "Authorization: Bearer $reader" ],
	[ 'a page of another origin', 403, 'POST /log', "Authorization: Bearer $good", 'Origin: http://evil.example' ],
	[ 'another path', 404, 'POST /nowhere', "Authorization: Bearer $good" ],
	[ 'another method', 405, 'PUT /log', "Authorization: Bearer $good" ],
	[ 'another host', 421, 'POST /log', "Authorization: Bearer $good", 'Host: evil.example' ],
	[ 'too many requests', 429, 'POST /log', "Authorization: Bearer $slow" ],
	[ 'bad framing', 400, 'POST /log', 'X : y' ],);
my $line = '{"unread":"' . 'x' x 1000 . "\"}\n";
my $chunk = sprintf "%x\r\n%s\r\n", length $line, $line;
my %ways = (
	'1 GB' => [ 'Content-Length: ' . GB, $line ],
	'chunks for ever' => [ 'Transfer-Encoding: chunked', $chunk ]);
my $received = received();
my $before = memory($pid);

for my $case (@refused)
{
	my ($name, $code, $request_line, @headers) = @$case;
	unshift @headers, 'Host: localhost' if !grep { /^Host/ } @headers;
	for my $way (sort keys %ways)
	{
		my ($length, $piece) = @{ $ways{$way} };
		my $head = join "\r\n", "$request_line HTTP/1.1", @headers, $length, '', '';
		use_up() if $code == 429;
		my $seen = send_for_ever($head, $piece, GB);
		is($seen->{status}, $code, "$name, $way: $code is seen");
		isnt($seen->{end}, 'still open', "$name, $way: the connection is closed");
		cmp_ok($seen->{sent}, '<', 64 * MB, "$name, $way: it is not read to its end");
		cmp_ok($seen->{took}, '<', 10, "$name, $way: nor listened to for long");
		note sprintf '%s, %s: %d kB sent, answered after %.3f s, %s after %.3f s', $name, $way,
		  $seen->{sent} / 1024, $seen->{answered} // -1, $seen->{end}, $seen->{took} // -1;

		# Who sends all that he has and only then looks for an answer finds it.
		use_up() if $code == 429;
		my $c = connect_to($port);
		$c->send($head . $piece x 200);
		is(($c->response // { status => 'none' })->{status}, $code, "$name, $way: who reads late sees it too");
		$c->close;
	}
	# Who asks before he sends is spared the sending.
	use_up() if $code == 429;
	my $c = connect_to($port);
	$c->send(join "\r\n", "$request_line HTTP/1.1", @headers, 'Expect: 100-continue', 'Content-Length: ' . GB, '', '');
	is(($c->response // { status => 'none' })->{status}, $code, "$name: who asks before is told");
	$c->close;
}

# But those of the events that have used up the rate, 2 bytes each.
cmp_ok(received() - $received, '<=', 2 * $used_up, 'no body was read');

# With a token, what is too large.
for my $case (
	[ '1 GB', 'Content-Length: ' . GB, $line ],
	[ '2^64 - 1 bytes', 'Content-Length: 18446744073709551615', $line ],
	[ 'chunks for ever', 'Transfer-Encoding: chunked', $chunk ],
	[ 'a chunk of 2^64 - 1 bytes', "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff", $line ],
	[ 'a chunk of 2^60 bytes', "Transfer-Encoding: chunked\r\n\r\n1000000000000000", $line ])
{
	my ($name, $length, $piece) = @$case;
	my $head = "POST /log HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $good\r\n$length\r\n" . ($length =~ /\n/ ? '' : "\r\n");
	my $seen = send_for_ever($head, $piece, GB);
	like($seen->{status}, qr/^(413|400)$/, "too large, $name: refused");
	isnt($seen->{end}, 'still open', "too large, $name: the connection is closed");
	cmp_ok($seen->{sent}, '<', 64 * MB, "too large, $name: it is not read to its end");
	note sprintf 'too large, %s: %d kB sent, answered %s after %.3f s, %s after %.3f s', $name,
	  $seen->{sent} / 1024, $seen->{status}, $seen->{answered} // -1, $seen->{end}, $seen->{took} // -1;
}

is(query('SELECT count(*) FROM log'), query(q{SELECT count(*) FROM log WHERE data->'json' = '{}'}), 'nothing of it was stored');
memory_ok(memory($pid) - $before, 24 * 1024, 'nothing of it is kept in memory');
is(post($port, '{}', headers => { 'X-API-Key' => $good })->{status}, 200, 'a good event is accepted afterwards');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
