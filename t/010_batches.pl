# Many events in one request: whatever form the batch has, however it is compressed and cut
# into chunks, each event is stored once, in its order; a body that is too large or
# corrupt is refused at little cost; and a batch is stored as a whole or not at all.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;

my $node = wt_node('batches');
my $port = wt_port($node);
my $tag = 0;

sub query { return $node->safe_psql('postgres', $_[0]); }

# Posts a body of which the request's events can be told from others.
sub post_tagged
{
	my ($body, %o) = @_;
	$tag++;
	return post($port, $body, path => "/log?t=$tag", %o);
}

# The events of the last request, in the order of their ids.
sub stored
{
	return query(qq{SELECT coalesce(string_agg(data->>'json', ' ' ORDER BY data->>'id'), '') FROM log
		WHERE data->'args'->>'t' = '$tag'});
}

sub n_stored { return query(qq{SELECT count(*) FROM log WHERE data->'args'->>'t' = '$tag'}); }

# The body is accepted, and holds these events.
sub accepted
{
	my ($name, $body, $events, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = post_tagged($body, %o);
	my $n = @$events;

	is("$answer->{status} $answer->{content}", qq(200 {"accepted":$n}\n), "$name: accepted");
	is(stored(), join(' ', @$events), "$name: stored");
	return;
}

sub refused
{
	my ($name, $body, $status, $message, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = post_tagged($body, %o);

	is($answer->{status}, $status, "$name: $status");
	like(json_of($answer)->{error} // $answer->{content}, $message, "$name: says why");
	is(n_stored(), 0, "$name: nothing is stored");
	return;
}

#
# Forms of a batch
#
# curl's default, which says nothing.
my %untyped = (type => 'application/x-www-form-urlencoded');
my @three = ('{"n": 1}', '{"n": 2}', '{"n": 3}');
my $ndjson = qq({"n":1}\n{"n":2}\n{"n":3}\n);
accepted('an array', '[{"n":1},{"n":2},{"n":3}]', \@three);
accepted('an array over several lines', qq(\r\n [\n  {"n": 1} ,\n\t{"n":\n2},\r\n{"n":3}\n]\n), \@three);
accepted('an array after a byte order mark', qq(\xEF\xBB\xBF[{"n":1},{"n":2},{"n":3}]), \@three);
accepted('an array of one', '[{"n":1}]', ['{"n": 1}']);
{
	my $answer = post_tagged('[1,"two",null,true,[],{}]');
	is($answer->{content}, qq({"accepted":6}\n), 'an array of all sorts of values: accepted');
	is(query(qq{SELECT string_agg((data->'json')::text, ' ' ORDER BY data->>'id') FROM log WHERE data->'args'->>'t' = '$tag'}),
		'1 "two" null true [] {}', 'an array of all sorts of values: stored');
}
accepted('nested arrays', '[[{"n":1},{"n":2}],[],[[{"n":3}]]]', [ '[{"n": 1}, {"n": 2}]', '[]', '[[{"n": 3}]]' ]);
for my $empty ('[]', " [\r\n] ", "[]\n[]\n", "[]\n[][]")
{
	accepted('an empty array: ' . ($empty =~ s/\s+/ /gr), $empty, []);
}
accepted('arrays one after the other', qq([{"n":1},{"n":2}]\n[]\n[{"n":3}]), \@three);
accepted('objects and arrays', qq({"n":1}[{"n":2}]\n{"n":3}), \@three, %untyped);
refused('objects and arrays on one line as JSON', qq({"n":1}[{"n":2}]\n{"n":3}), 400, qr/line 1, column 8: expected the end/);

for my $type ('application/x-ndjson', 'application/ndjson', 'application/x-ndjson; charset=utf-8',
	'application/jsonl', 'application/x-jsonlines', 'application/json', 'application/x-www-form-urlencoded', 'text/plain')
{
	accepted("NDJSON as $type", $ndjson, \@three, type => $type);
}
for my $type ('application/x-ndjson', 'application/json')
{
	my %o = (type => $type);
	accepted("$type, CRLF", $ndjson =~ s/\n/\r\n/gr, \@three, %o);
	accepted("$type, blank lines", "\n\r\n" . $ndjson =~ s/\n/\n \t\n\n/gr, \@three, %o);
	accepted("$type, no final newline", $ndjson =~ s/\n\z//r, \@three, %o);
	accepted("$type, a byte order mark", "\xEF\xBB\xBF$ndjson", \@three, %o);
	accepted("$type, space around", $ndjson =~ s/^|(?=\n)/  \t/gmr, \@three, %o);
}
accepted('one line', qq({"n":1}\n), ['{"n": 1}'], type => 'application/x-ndjson');
accepted('lines of values', qq(1\n"two"\n[3]\n), [ '1', 'two', '[3]' ], type => 'application/x-ndjson');
accepted('concatenated objects', '{"n":1}{"n":2}{"n":3}', \@three, %untyped);
accepted('objects with space between', qq({"n":1} {"n":2}\t\r\n\n{"n":3} ), \@three, %untyped);
accepted('objects over several lines', qq({\n "n": 1\n}\n{\n "n": 2\n}\n{\n "n": 3\n}\n), \@three);
accepted('braces in strings', qq({"s":"}{][\\"}"}{"s":"\\\\"}), [ '{"s": "}{][\\"}"}', '{"s": "\\\\"}' ], %untyped);

is(http($port, 'POST', '/log', body => $ndjson)->{content}, qq({"accepted":3}\n), 'NDJSON without a type: accepted');
refused('an empty body as NDJSON', "\n\r\n ", 400, qr/empty/, type => 'application/x-ndjson');

#
# Compressed
#
my %form = (gzip => \&gzip, zlib => \&zlib, raw_deflate => \&raw_deflate, zstd => \&zstd);
my $have_zstd = defined zstd('x');
my @ways = (
	# form, header
	[ 'gzip', 'gzip' ], [ 'gzip', 'GZip' ], [ 'gzip', 'x-gzip' ], [ 'gzip', undef ], [ 'gzip', 'deflate' ],
	[ 'gzip', 'zstd' ], [ 'gzip', 'identity' ], [ 'gzip', 'gzip,deflate' ],
	[ 'zlib', 'deflate' ], [ 'zlib', undef ], [ 'zlib', 'gzip' ], [ 'zlib', 'gzip,deflate' ], [ 'zlib', 'gzip, deflate' ],
	[ 'raw_deflate', 'deflate' ],
	[ 'zstd', 'zstd' ], [ 'zstd', undef ], [ 'zstd', 'gzip' ],
	[ 'none', 'gzip' ], [ 'none', 'zstd' ], [ 'none', 'deflate' ], [ 'none', 'identity' ],);
for my $way (@ways)
{
	my ($form, $header) = @$way;
	my $name = "$form, Content-Encoding " . ($header // 'missing');
  SKIP: {
		skip 'there is no zstd', 4 if $form eq 'zstd' && !$have_zstd;
		my %headers = defined $header ? ('Content-Encoding' => $header) : ();
		for my $case ([ 'NDJSON', $ndjson, \@three, 'application/x-ndjson' ],
			[ 'an object', '{"n":1}', ['{"n": 1}'], 'application/json' ])
		{
			my ($what, $body, $events, $type) = @$case;
			$body = $form{$form}->($body) if $form ne 'none';
			accepted("$name, $what", $body, $events, type => $type, headers => \%headers);
		}
	}
}
accepted('an array, gzip', gzip('[{"n":1},{"n":2},{"n":3}]'), \@three, headers => { 'Content-Encoding' => 'gzip' });
for my $level (1, 6, 9)
{
	my $body;
	IO::Compress::Deflate::deflate(\$ndjson => \$body, -Level => $level) or die;
	accepted("zlib of level $level without a header", $body, \@three);
}
accepted('several members', join('', map { gzip($_) } qq({"n":1}\n{"n), '', qq(":2}\n), qq({"n":3}\n)),
	\@three, headers => { 'Content-Encoding' => 'gzip' });
accepted('several members without a header', gzip(qq({"n":1}\n{"n":2})) . gzip(qq(\n{"n":3})), \@three);
SKIP: {
	skip 'there is no zstd', 2 if !$have_zstd;
	accepted('several frames', zstd(qq({"n":1}\n{"n)) . zstd(qq(":2}\n{"n":3}\n)),
		\@three, headers => { 'Content-Encoding' => 'zstd' });
}
{
	# Very regular, and no bomb.
	my $line = '{"s":"' . 'x' x 900_000 . "\"}\n";
	my $answer = post_tagged(gzip($line x 12), type => 'application/x-ndjson', headers => { 'Content-Encoding' => 'gzip' });
	is($answer->{content}, qq({"accepted":12}\n), '11 MB in 11 kB: accepted');
	is(query(qq{SELECT count(*) FROM log WHERE data->'args'->>'t' = '$tag' AND length(data->'json'->>'s') = 900000}),
		12, '11 MB in 11 kB: stored');
}

# Corrupt ones are refused, wherever they break off.
{
	my $whole = gzip(lines(500));
	my %o = (headers => { 'Content-Encoding' => 'gzip' }, type => 'application/x-ndjson');
	for my $length (3, 9, 10, 11, length($whole) / 2, length($whole) - 9, length($whole) - 8, length($whole) - 1)
	{
		refused('gzip cut after ' . int($length) . ' bytes', substr($whole, 0, $length), 400, qr/compress/, %o);
	}
	my $broken = $whole;
	substr($broken, length($whole) / 2, 8) = "\xFF" x 8;
	refused('gzip with a hole', $broken, 400, qr/compress/, %o);
	$broken = $whole;
	substr($broken, -8, 1) ^= "\x01";
	refused('gzip with a wrong checksum', $broken, 400, qr/compress/, %o);
	$broken = $whole;
	substr($broken, -4, 1) ^= "\x01";
	refused('gzip with a wrong length', $broken, 400, qr/compress/, %o);
	refused('gzip with rubbish behind', $whole . 'rubbish', 400, qr/compress/, %o);
	refused('gzip with half a member behind', $whole . substr($whole, 0, 50), 400, qr/compress/, %o);
	refused('gzip of nothing', gzip(''), 400, qr/empty/, %o);
	my $z = zlib(lines(500));
	refused('zlib cut short', substr($z, 0, -3), 400, qr/compress/, headers => { 'Content-Encoding' => 'deflate' });
	refused('raw deflate cut short', substr(raw_deflate(lines(500)), 0, -3), 400, qr/compress/,
		headers => { 'Content-Encoding' => 'deflate' });
  SKIP: {
		skip 'there is no zstd', 9 if !$have_zstd;
		$whole = zstd(lines(500));
		%o = (headers => { 'Content-Encoding' => 'zstd' }, type => 'application/x-ndjson');
		refused("zstd cut to $_ bytes", substr($whole, 0, $_), 400, qr/compress/, %o)
		  for 5, int(length($whole) / 2), length($whole) - 1;
		$broken = $whole;
		substr($broken, -2, 1) ^= "\x01";
		refused('zstd with a wrong checksum', $broken, 400, qr/compress/, %o);
		refused('zstd with rubbish behind', $whole . 'rubbish', 400, qr/compress/, %o);
	}
}

# Bombs cost little time, and no more memory than their window and 2 MiB.  Each is for a worker of its
# own: one that has worked before holds free memory, which would hide what a bomb takes.
sub new_worker
{
	query('SELECT windtrap.stop()');
	query('SELECT windtrap.start()');
	wait_for(sub { event($port) == 200 }) or die 'no new worker';
	event($port) for 1 .. 20;
	my ($pid) = worker_pids($node);
	return $pid;
}

for my $bomb ([ 'gzip', gzip_bomb(), 0 ], [ 'zstd', zstd_bomb('--zstd=wlog=21'), 2048 ],
	[ 'gzip within the magic alone', gzip_bomb(), 0, 1 ], [ 'a small gzip', gzip("\0" x (64 * 1024 * 1024)), 0 ],
	[ 'zstd with a large window', zstd_bomb('-19', '--long=23'), 8192 ])
{
	my ($name, $body, $window, $no_header) = @$bomb;
	my $limit = $window + 2048;
  SKIP: {
		skip 'there is no zstd', 4 if !defined $body;
		my ($pid, $before, $watch, $answer, $took, $peak);
		# Again, if what the worker shares with others blurs what is measured.
		for (1 .. 5)
		{
			$pid = new_worker();
			$before = memory($pid);
			$watch = watch_memory($pid);
			$took = elapsed(sub {
				$answer = post_tagged($body, headers => $no_header ? {} : { 'Content-Encoding' => $name =~ /gzip|zstd/ ? $& : '' });
			});
			$peak = peak_memory($watch);
			note sprintf 'bomb, %s: %d bytes, %.3f s, peak +%d kB, then %+d kB; shared %+d kB', $name, length $body, $took,
			  $peak, memory($pid) - $before, shared_change($watch);
			last if abs(shared_change($watch)) <= 512;
		}
		is($answer->{status}, 413, "bomb, $name: 413");
		like(json_of($answer)->{error}, qr/windtrap\.max_body_size/, "bomb, $name: says why");
		within($took, 1, "bomb, $name: within 1 s");
		memory_ok($peak, $limit, "bomb, $name: $limit kB of memory at most");
		next if $window < 8192 || $ENV{WT_SANITIZE} || $ENV{WT_VALGRIND};
		cmp_ok($peak, '>', $window / 2, "bomb, $name: the window is seen in it");
		ok(wait_for(sub { memory($pid) - $before <= 1024 }, 30), "bomb, $name: the memory is given back");
	}
}

#
# Ways to send a body
#
{
	my $connection = connect_to($port);
	$connection->send("POST /log?t=" . ++$tag . " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
		  . "Expect: 100-continue\r\nContent-Length: " . length($ndjson) . "\r\n\r\n");
	is(($connection->response(seconds => 5) // { status => 'none' })->{status}, 100, 'Expect: 100-continue: go on');
	$connection->send($ndjson);
	is(($connection->response // {})->{content}, qq({"accepted":3}\n), 'Expect: 100-continue: accepted');
	is(stored(), join(' ', @three), 'Expect: 100-continue: stored');

	# In chunks of a byte, of a line's middle, with an extension and a trailer.
	for my $size (1, 5, 1000)
	{
		$connection = connect_to($port) if $connection->{closed};
		my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length $_, $_ } $ndjson =~ /.{1,$size}/gs;
		$connection->send("POST /log?t=" . ++$tag . " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
			  . "Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n");
		is(($connection->response // {})->{content}, qq({"accepted":3}\n), "chunks of $size: accepted");
		is(stored(), join(' ', @three), "chunks of $size: stored");
		$connection->is_closed(0.5);
	}

	my $file = PostgreSQL::Test::Utils::tempdir() . '/large';
	append_to_file($file, lines(30_000, '"s":"' . 'y' x 60 . '"'));
	for my $case ([ 'curl', 'Expect: 100-continue' ], [ 'curl, chunked', 'Transfer-Encoding: chunked' ])
	{
		my ($name, $header) = @$case;
		$tag++;
		is(command('curl', '-sS', '-w', '%{http_code}', '-H', $header, '-H', 'Content-Type: application/x-ndjson',
				'--data-binary', "\@$file", "http://127.0.0.1:$port/log?t=$tag"),
			qq({"accepted":30000}\n200), "$name, 2.3 MB: accepted");
		is(n_stored(), 30_000, "$name, 2.3 MB: stored");
	}
	truncate $file, 0;
	append_to_file($file, gzip(lines(30_000)));
	$tag++;
	is(command('curl', '-sS', '-w', '%{http_code}', '-H', 'Content-Encoding: gzip', '-H', 'Transfer-Encoding: chunked',
			'-H', 'Content-Type: application/x-ndjson', '--data-binary', "\@$file", "http://127.0.0.1:$port/log?t=$tag"),
		qq({"accepted":30000}\n200), 'curl, chunked and gzip: accepted');
	is(n_stored(), 30_000, 'curl, chunked and gzip: stored');
}

#
# One envelope, and as many ids as events
#
for my $case ([ 'NDJSON', lines(10_000), 'application/x-ndjson' ],
	[ 'an array', '[' . join(',', split /\n/, lines(10_000)) . ']', 'application/json' ])
{
	my ($name, $body, $type) = @$case;
	my $answer = post_tagged($body, type => $type, headers => { 'X-Mark' => 'one' });
	is($answer->{content}, qq({"accepted":10000}\n), "10,000 events as $name: accepted");
	is( query(qq{SELECT count(*), count(DISTINCT data->>'id'), count(DISTINCT data - 'json' - 'id'), count(DISTINCT event_timestamp),
			count(DISTINCT data->'json'->>'n'), min(data->'headers'->>'x-mark'), bool_and(status = 0)
			FROM log WHERE data->'args'->>'t' = '$tag'}),
		'10000|10000|1|1|10000|one|t', "10,000 events as $name: stored, each with its id, all with one envelope");
	is( query(qq{SELECT count(*) FROM (SELECT (data->'json'->>'n')::int AS n,
			row_number() OVER (ORDER BY data->>'id') AS place FROM log WHERE data->'args'->>'t' = '$tag') AS x WHERE n <> place}),
		0, "10,000 events as $name: ids ascend in the order of the body");
	is(query(qq{SELECT bool_and((data->>'time')::timestamptz = event_timestamp) FROM log WHERE data->'args'->>'t' = '$tag'}),
		't', "10,000 events as $name: the time is the row's");
}

#
# Limits of a body, to the byte
#
alter_system($node, 'windtrap.max_body_size' => '65536B', 'windtrap.max_event_size' => '4096B');
ok(wait_for(sub { post($port, ' ' x 70_000 . '{}')->{status} == 413 }), 'a smaller limit');
{
	# As many bytes as that, of whole lines.
	my $fill = sub {
		my ($size) = @_;
		my $line = '{"s":"' . 'z' x 91 . "\"}\n";    # 100 bytes
		my $body = $line x ($size / 100 - 1);
		return $body . '{"s":"' . 'z' x ($size - length($body) - 8) . '"}';
	};
	my $chunked = sub {
		my @pieces = $_[0] =~ /.{1,7000}/gs;
		return sub { return shift @pieces; };
	};
	my %type = (type => 'application/x-ndjson');
	my %gzip = (%type, headers => { 'Content-Encoding' => 'gzip' });
	my $at = $fill->(65_536);
	my $beyond = $fill->(65_537);
	is(length $at, 65_536, 'the body is as long as it should be');
	my $n = 0 + split /\n/, $at;
	is(post_tagged($at, %type)->{content}, qq({"accepted":$n}\n), 'a body of max_body_size: accepted');
	is(n_stored(), $n, 'a body of max_body_size: stored');
	refused('a byte more', $beyond, 413, qr/max_body_size/, %type);
	is(post_tagged($chunked->($at), %type)->{content}, qq({"accepted":$n}\n), 'the same in chunks: accepted');
	refused('a byte more in chunks', $chunked->($beyond), 413, qr/max_body_size/, %type);
	is(post_tagged(gzip($at), %gzip)->{content}, qq({"accepted":$n}\n), 'the same in gzip: accepted');
	refused('a byte more in gzip', gzip($beyond), 413, qr/max_body_size/, %gzip);
  SKIP: {
		skip 'there is no zstd', 4 if !$have_zstd;
		%gzip = (%type, headers => { 'Content-Encoding' => 'zstd' });
		is(post_tagged(zstd($at), %gzip)->{content}, qq({"accepted":$n}\n), 'the same in zstd: accepted');
		refused('a byte more in zstd', zstd($beyond), 413, qr/max_body_size/, %gzip);
	}
	for my $type ('application/x-ndjson', 'application/json')
	{
		my $event = '{"s":"' . 'e' x 4088 . '"}';
		accepted("an event of max_event_size, $type", qq({"n":1}\n$event\n{"n":2}\n),
			[ '{"n": 1}', $event =~ s/:/: /r, '{"n": 2}' ], type => $type);
		$event = '{"s":"' . 'e' x 4089 . '"}';
		my $answer = post_tagged(qq({"n":1}\n$event\n{"n":2}\n), type => $type);
		is($answer->{status}, 200, "a byte more, $type: 200");
		like($answer->{content}, qr/^\{"accepted":2,"rejected":1,"errors":\[\{"index":1,"error":"[^"]*max_event_size/,
			"a byte more, $type: it alone is not accepted");
	}
}
alter_system($node, 'windtrap.max_body_size' => undef, 'windtrap.max_event_size' => undef);
ok(wait_for(sub { post($port, ' ' x 70_000 . '{}')->{status} == 200 }), 'the usual limit');

#
# All or nothing
#
# An array that is not JSON in the end is refused as a whole, also when it is long.
for my $n (100, 12_000)
{
	my $array = '[' . join(',', split /\n/, lines($n));
	refused("$n elements and an array that does not end", $array, 400, qr/bad JSON/);
	refused("$n elements and a syntax error", "$array,{]", 400, qr/bad JSON/);
}

# The worker is killed while it stores 5,000 events.
{
	my $body = lines(5000, '"s":"' . 'k' x 100 . '"');
	my $usual = elapsed(sub { post_tagged($body, type => 'application/x-ndjson') });
	is(n_stored(), 5000, '5,000 events: stored');
	my %outcomes;
	for my $round (1 .. 5)
	{
		my ($pid) = worker_pids($node);
		my $answer = in_background(sub {
			$tag++;
			return exchange($port, $body, path => "/log?t=$tag", seconds => 5);
		});
		$tag++;
		sleep $usual * ($round - 0.5 + rand(0.5)) / 5;
		kill 'KILL', $pid;
		my $code = $answer->()->{status};
		ok(wait_for(sub { my ($now) = eval { worker_pids($node) }; $now && $now != $pid && event($port) == 200 }),
			"killed, round $round: serves again");
		my $n = n_stored();
		$outcomes{"$code, $n stored"}++;
		ok($n == 5000 || ($n == 0 && $code != 200), "killed, round $round: all or nothing, and the answer is true")
		  or diag "answer $code, stored $n";
	}
	note "killed after up to $usual s: ", join '; ', map { "$_: $outcomes{$_} times" } sort keys %outcomes;
}

$node->stop;
done_testing();
