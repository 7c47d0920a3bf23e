# Connections that a proxy passes on by the PROXY protocol, and how many of them one address
# may have: who the client is, who may say so, and what becomes of nonsense.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Socket qw(AF_INET AF_INET6 inet_pton);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Tls;
use WindTrap;

my $node = wt_node('proxied', create => 0, conf => <<'CONF');
windtrap.auth = none
windtrap.proxy_protocol = on
windtrap.trusted_proxies = '127.0.0.1'
windtrap.listen_addresses = '127.0.0.1, 127.0.0.2'
windtrap.max_connections_per_ip = 4
CONF
my $port = wt_port($node);
$node->safe_psql('postgres', 'CREATE EXTENSION windtrap');
ok(wait_for(sub { $node->safe_psql('postgres', q{SELECT state FROM windtrap.status WHERE kind = 'worker'}) eq 'listening' }), 'it listens');

# From an address of this machine that is no proxy.
sub other
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.2', PeerAddr => '127.0.0.2', PeerPort => $port) or return;
	my $c = bless { socket => $socket, buffer => '', closed => 0 }, 'WindTrap::Connection';
	$socket->autoflush(1);
	return $c;
}

sub query { return $node->safe_psql('postgres', $_[0]); }

sub v1 { my ($from, $to, $family) = @_; return 'PROXY ' . ($family // 'TCP4') . " $from " . ($to // '192.0.2.1') . " 40000 8000\r\n"; }

sub v2
{
	my ($from, %o) = @_;
	my $six = $from =~ /:/;
	my $family = $six ? AF_INET6 : AF_INET;
	my $addresses = inet_pton($family, $from) . inet_pton($family, $six ? '2001:db8::1' : '192.0.2.1') . pack('n2', 40000, 8000);
	return "\r\n\r\n\0\r\nQUIT\n" . pack('C2n/a*', 0x21, $six ? 0x21 : 0x11, $addresses . ($o{more} // ''));
}

# What is answered to an event that comes behind a header, and whose it is then.
my $n = 0;
sub behind
{
	my ($header, %o) = @_;
	my $id = 'e' . ++$n;
	my $c = $o{connection} // connect_to($port);
	my $body = qq({"id":"$id"});
	my $bytes = $header . "POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	if ($o{slowly}) { for (split //, $bytes) { $c->send($_); sleep 0.001; } }
	else { $c->send($bytes); }
	my $answer = $c->response(seconds => 5) // { status => 'none', content => '' };
	return $answer->{status} if $answer->{status} ne '200';
	return query(qq(SELECT data->>'ip' FROM log WHERE data->'json'->>'id' = '$id'));
}

#
# Who the client is
#
is(behind(v1('203.0.113.9')), '203.0.113.9', 'version 1');
is(behind(v1('2001:db8::9', '2001:db8::1', 'TCP6')), '2001:db8::9', 'version 1, IPv6');
is(behind(v2('203.0.113.9')), '203.0.113.9', 'version 2');
is(behind(v2('2001:db8::9')), '2001:db8::9', 'version 2, IPv6');
is(behind(v2('203.0.113.9', more => "\x04\0\x05hello" . "\x04\x03\xE8" . 'x' x 1000)), '203.0.113.9', 'version 2 with more than an address');
is(behind(v1('203.0.113.9'), slowly => 1), '203.0.113.9', 'version 1, byte by byte');
is(behind(v2('203.0.113.9'), slowly => 1), '203.0.113.9', 'version 2, byte by byte');
is(behind("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), '127.0.0.1', "the proxy's own connection");
is(behind("PROXY UNKNOWN\r\n"), '::', 'a client that the proxy does not know is nobody, above all not this machine');

# Two requests of one connection are both the client's.
{
	my $c = connect_to($port);
	is(behind(v1('203.0.113.10'), connection => $c), '203.0.113.10', 'the first request of a connection');
	is(behind('', connection => $c), '203.0.113.10', 'and the second');
}

#
# Nonsense
#
for my $case (
	[ 'no header', '' ],
	[ 'a line without address', "PROXY TCP4\r\n" ],
	[ 'a word for an address', v1('example.com') ],
	[ 'IPv6 as IPv4', v1('2001:db8::9') ],
	[ 'two spaces', "PROXY TCP4  203.0.113.9 192.0.2.1 1 2\r\n" ],
	[ 'a port too large', "PROXY TCP4 203.0.113.9 192.0.2.1 65536 2\r\n" ],
	[ 'a word too many', "PROXY TCP4 203.0.113.9 192.0.2.1 1 2 3\r\n" ],
	[ 'a line that ends with LF', "PROXY TCP4 203.0.113.9 192.0.2.1 1 2\n" ],
	[ 'a line too long', 'PROXY TCP4 ' . '1' x 200 . "\r\n" ],
	[ 'small letters', "proxy TCP4 203.0.113.9 192.0.2.1 1 2\r\n" ],
	[ 'version 3', "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" . "\0" x 12 ],
	[ 'version 2, too short for an address', "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04\1\2\3\4" ],
	[ 'version 2, too long', "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" ],
	[ 'two headers', v1('203.0.113.9') . v1('203.0.113.10') ],
	[ 'bytes', join '', map { chr } 128 .. 255 ],)
{
	my ($name, $header) = @$case;
	is(behind($header), 400, "$name: refused");
}
# From others than trusted proxies it is no HTTP, and without it their requests are welcome.
{
	is(behind('', connection => other()), '127.0.0.2', 'from others: requests as ever');
	is(behind(v1('203.0.113.9'), connection => other()), 400, 'and a header is not believed');
}
is(query(q{SELECT count(*) FROM log WHERE data->'json'->>'id' IS NULL}), 0, 'nothing else is stored');

#
# Deadline, and others meanwhile
#
alter_system($node, 'windtrap.request_timeout' => '2s');
sleep 0.3;
{
	my ($pid) = worker_pids($node);
	my @slow = map { my $c = connect_to($port); $c->send(substr v1('203.0.113.11'), 0, $_); $c } 0 .. 20;
	my $ticks = cpu_ticks($pid);
	my $begun = time;
	my $took = elapsed(sub { is(behind(v1('203.0.113.12')), '203.0.113.12', 'others are served beside half headers') });
	cmp_ok($took, '<', 1, 'at once');
	$_->is_closed(5) for @slow;
	is(scalar(grep { !$_->{closed} } @slow), 0, 'half headers are closed');
	cmp_ok(time - $begun, '<', 4, 'at the deadline');
	cmp_ok(cpu_ticks($pid) - $ticks, '<', 50, 'without keeping the processor busy');
}
alter_system($node, 'windtrap.request_timeout' => undef);

#
# Connections of one address
#
{
	my $from = sub { my $c = connect_to($port); my $who = behind(v2($_[0]), connection => $c); return ($who, $c); };
	my (@open, $who, $c);
	for my $i (1 .. 4)
	{
		($who, $c) = $from->('198.51.100.1');
		push @open, $c;
		is($who, '198.51.100.1', "connection $i of an address");
	}
	$c = connect_to($port);
	$c->send(v2('198.51.100.1') . "POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}");
	my $answer = $c->response;
	is($answer->{status}, 429, 'one more: 429');
	like($answer->{content}, qr/max_connections_per_ip/, 'says why');
	ok($c->is_closed, 'and is closed');
	is(($from->('198.51.100.2'))[0], '198.51.100.2', 'other addresses are served');
	like(query(q{SELECT ip || ' ' || reason FROM windtrap.refused WHERE reason = 'connections' LIMIT 1}) // '', qr/^198.51.100.1/, 'it is seen in windtrap.refused');
	(shift @open)->close;
	ok(wait_for(sub { ($who, $c) = $from->('198.51.100.1'); push @open, $c; $who eq '198.51.100.1' }), 'one that ends makes room for another');
	$_->close for @open;

	# IPv6 by /64.
	for my $i (1 .. 4) { ($who, $c) = $from->("2001:db8:0:1::$i"); push @open, $c; is($who, "2001:db8:0:1::$i", "address $i of a /64"); }
	is(($from->('2001:db8:0:1:ffff::1'))[0], 429, 'one more of the /64: 429');
	is(($from->('2001:db8:0:2::1'))[0], '2001:db8:0:2::1', 'another /64 is served');

	alter_system($node, 'windtrap.max_connections_per_ip' => 0);
	ok(wait_for(sub { ($who, $c) = $from->('2001:db8:0:1::5'); push @open, $c; $who eq '2001:db8:0:1::5' }), 'no limit');
	alter_system($node, 'windtrap.max_connections_per_ip' => 4);
}

# Those of this machine are not counted; 1,000 of them that do nothing leave others served.
{
	my @idle = map { other() // () } 1 .. 990;
	is(scalar @idle, 990, 'many connections of this machine');
	my $took = elapsed(sub { is(behind(v1('203.0.113.13')), '203.0.113.13', 'beside them others are served') });
	cmp_ok($took, '<', 1, 'at once');
	push @idle, map { other() // () } 1 .. 100;
	sleep 1.1;
	$took = elapsed(sub { is(behind(v1('203.0.113.14')), '203.0.113.14', 'in a full house too') });
	cmp_ok($took, '<', 1.5, 'soon');
}

#
# What a proxy passes on is never taken as local, whatever address it tells.
#
alter_system($node, 'windtrap.auth' => 'auto');
ok(wait_for(sub { behind(v1('203.0.113.16')) eq '401' }), 'without a token nobody sends through a proxy');
for my $header (v1('127.0.0.1'), v1('127.1.2.3'), v1('::1', '::1', 'TCP6'), v1('::ffff:127.0.0.1', '::1', 'TCP6'), v2('127.0.0.1'), v2('::1'))
{
	is(behind($header), 401, "the proxy's own clients do not either");
	my $c = connect_to($port);
	$c->send("${header}GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is($c->response->{status}, 401, 'and do not read the metrics');
}
is(behind("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), '127.0.0.1', 'the proxy itself is a client of this machine');
alter_system($node, 'windtrap.auth' => 'none');

#
# By TLS: the header comes first, in plain text.
#
{
	my $ca = authority('authority');
	install($node, issue($ca, 'server'));
	alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
	my $program = <<'PY';
def proxied(header):
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.sendall(header)
    s = context.wrap_socket(s, server_hostname="localhost")
    s.sendall(b'POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{"tls":"1"}')
    return answer(s)[0]
try:
    print(proxied(b"PROXY TCP4 203.0.113.15 192.0.2.1 1 2\r\n"))
except OSError as e:
    print(e)
PY
	ok(wait_for(sub { tls_client($port, $ca, $program) eq '200' }), 'by TLS, behind a header');
	is(query(q{SELECT DISTINCT data->>'ip' FROM log WHERE data->'json' ? 'tls'}), '203.0.113.15', "it is the client's");
}
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
