# What cannot be stored as it was sent is refused, with a code and a sentence that
# names what is wrong, and leaves nothing behind; who is slow or rude is sent away
# without harm to others.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Attacks;
use Batch;

my $node = wt_node('refusals', conf => <<'CONF');
windtrap.repair = off
windtrap.max_body_size = '2MB'
windtrap.max_event_size = '256kB'
CONF
my $port = wt_port($node);
my $stored = 0;    # events that were accepted

sub query { return $node->safe_psql('postgres', $_[0]); }

# Nothing but what was accepted is in the table, and the next event is.
sub still_well
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(event($port, $name), 200, "$name: a good event is accepted afterwards");
	my $rows = query('SELECT count(*) FROM log');
	is($rows, ++$stored, "$name: nothing else was stored");
	$stored = $rows;    # one failure is enough
	return;
}

still_well('beginning');

#
# Bodies
#
my $deep = sub { return '{"v":' . '[' x ($_[0] - 1) . ']' x ($_[0] - 1) . '}'; };
my $connection = connect_to($port);
for my $case (attacks('json.txt', 3))
{
	my ($name, $message, $body) = @$case;
	$connection->request($body, headers => ['Content-Type: application/json']);
	my $answer = $connection->response // { status => 'none', content => '' };
	is($answer->{status}, 400, "$name: refused");
	my $error = json_of($answer)->{error} // '';
	like($error, qr/^(bad JSON )?at line \d+, column \d+: /, "$name: where");
	like($error, qr/$message/, "$name: what");
}
$connection->request('{"same":"connection"}');
is($connection->response->{status}, 200, 'the connection has stayed open all the time');
$stored++;
still_well('bad JSON');

my %types = (
	json => 'application/json',
	text => 'text/plain',
	form => 'application/x-www-form-urlencoded',
	ndjson => 'application/x-ndjson');
for my $case (attacks('bodies.txt', 6))
{
	my ($name, $type, $encoding, $code, $message, $body) = @$case;
	my $answer;
	my $took = elapsed(
		sub {
			$answer = exchange($port, $body,
				type => $types{$type} // $type,
				$encoding eq '-' ? () : (headers => ["Content-Encoding: $encoding"]));
		});
	like($answer->{status}, qr/^($code)$/, "$name: $code");
	like(json_of($answer)->{error} // '', qr/$message/, "$name: what is wrong");
	cmp_ok($took, '<', 3, "$name: at once");
}
still_well('bad bodies');

# What is at the limits, and not beyond, is accepted.
for my $case (
	[ 'depth 512', $deep->(512) ],
	[ '4,096 digits', '{"v":[' . '7' x 4096 . ',-1e4095,1e-4096]}' ],
	[ 'an event of the largest size', '"' . 'x' x (256 * 1024 - 2) . '"' ],
	[ 'identity', '{}', 'Content-Encoding' => 'identity' ],)
{
	my ($name, $body, %headers) = @$case;
	is(post($port, $body, headers => \%headers)->{status}, 200, "$name: accepted");
	$stored++;
}
still_well('limits');

# A body beyond the limit: the sender, who is still sending, sees the answer.
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/large';
	append_to_file($file, '[' . '1,' x 4_000_000 . '1]');
	for my $case ([ 'Content-Length', 'Expect:' ], [ 'chunks', 'Transfer-Encoding: chunked' ])
	{
		my ($name, $header) = @$case;
		for my $try (1 .. 3)
		{
			my $out = eval {
				command('curl', '-sS', '-w', '%{http_code}', '-H', $header, '-H', 'Expect:',
					'--data-binary', "\@$file", "http://127.0.0.1:$port/log");
			} // $@;
			like($out, qr/max_body_size, 2097152 bytes.*413$/s, "8 MB with $name: 413 is seen");
		}
	}
	my $answer = command('curl', '-sS', '-w', '%{http_code}', '-H', 'Expect: 100-continue',
		'--data-binary', "\@$file", "http://127.0.0.1:$port/log");
	like($answer, qr/413$/, 'who asks before sending is told');
}
still_well('large bodies');

#
# Framing
#
my $event = '{"framing":1}';
my $length = length $event;
my $chunked = sprintf "%x\r\n%s\r\n0\r\n\r\n", $length, $event;
my $good_head = "POST /log HTTP/1.1\r\nHost: localhost\r\n";
my $smuggled = "POST /log?smuggled=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{\"smuggled\":1}";
for my $case (attacks('requests.txt', 3, HEAD => $good_head, EVENT => $event, CHUNKS => $chunked))
{
	my ($name, $code, $request) = @$case;
	local our $TODO = known_of_mhd_1($name);
	my $c = connect_to($port);
	my $took = elapsed(
		sub {
			$c->send($request . $smuggled);
			my $answer = $c->response(seconds => 3) // { status => 'none', content => '' };
			like($answer->{status}, qr/^($code)$/, "$name: refused");
			like($answer->{content}, qr/\S/, "$name: the answer says why")
			  if $answer->{status} ne 'none';
			# What libmicrohttpd refuses in a request line, or in a body's chunks, it answers itself.
			is($answer->{headers}{'content-type'}, 'application/json', "$name: in JSON")
			  if $name =~ /^(no host|an? .*length( of| with a|$)|a list of lengths|a length beyond)/;
			$c->is_closed(3);
			ok($c->{closed}, "$name: the connection is closed");
			$stored++ if $answer->{status} eq '200';
			# libmicrohttpd repeats the head of its own errors; no 2xx may follow.
			unlike($c->{buffer}, qr/HTTP\/1\.1 2/, "$name: nothing behind it is answered");
		});
	cmp_ok($took, '<', 3, "$name: at once");
	$c->close;
}

# The same on a connection that has been used, while others have come or wait for more.
{
	my ($used, $idle, $new) = map { connect_to($port) } 1 .. 3;
	for my $c ($used, $idle)
	{
		$c->request($event);
		is($c->response->{status}, 200, 'a request on a connection that stays');
		$stored++;
	}
	$used->send("\0$good_head\r\n");
	is(($used->response // { status => 'none' })->{status}, 400, 'nonsense on a connection that was used: refused');
	ok($used->is_closed, 'and closed');
	for my $c ($idle, $new)
	{
		$c->request($event);
		is(($c->response // { status => 'none' })->{status}, 200, 'others are not touched by it');
		$stored++;
	}
}
still_well('framing');
is(query(q{SELECT count(*) FROM log WHERE data->'args' ? 'smuggled'}), 0, 'nothing was smuggled');


# A request that ends too early is none.
for my $case (
	[ 'a body that is cut', "${good_head}Content-Length: 100\r\n\r\n$event" ],
	[ 'a chunked body that is cut', sprintf "${good_head}Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", $length, $event ],
	[ 'a head that is cut', "${good_head}Content-Length: $length" ],)
{
	my ($name, $request) = @$case;
	my $c = connect_to($port);
	$c->send($request);
	shutdown $c->{socket}, 1;
	my $answer = $c->response(seconds => 3);
	isnt($answer ? $answer->{status} : 'none', 200, "$name: not accepted");
	$c->close;
}
still_well('cut requests');

# A request behind one that came through a proxy may be somebody else's, where libmicrohttpd
# does not see all that is wrong with its length.
if (mhd_before('1.0.5'))
{
	my $token = query(q{SELECT windtrap.create_token('proxy')});
	my $c = connect_to($port);
	$c->send("${good_head}X-API-Key: $token\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: $length\r\n\r\n$event$smuggled");
	is($c->response->{status}, 200, 'an event that came through a proxy');
	$stored++;
	ok($c->is_closed, 'nothing can ride behind it');
	query('DELETE FROM windtrap.token');
	still_well('proxy');
}

#
# Slow senders
#
alter_system($node, 'windtrap.request_timeout' => '2s');
ok( wait_for(sub { query(q{SHOW windtrap.request_timeout}) eq '2s' }),
	'request_timeout is 2 s');
sleep 0.3;    # the worker's turn to see it
{
	my %slow = (
		'a head' => "POST /log HTTP/1.1\r\n",
		'a request line' => '',
		'a body' => "${good_head}Content-Length: 1000\r\n\r\n",
		'chunks' => "${good_head}Transfer-Encoding: chunked\r\n\r\n3e8\r\n");
	my %next = ('a head' => 'X', 'a request line' => 'P', 'a body' => '1', 'chunks' => '1');
	my %connections = map { $_ => connect_to($port) } keys %slow;
	my $silent = connect_to($port);
	my $idle = connect_to($port);
	my $begun = time;
	my %ended;
	my $slowest = 0;

	$connections{$_}->send($slow{$_}) for keys %slow;
	$idle->request('{"idle":1}');
	$idle->response;
	$stored++;
	while (time - $begun < 6 && keys %ended < keys %slow)
	{
		for my $name (grep { !$ended{$_} } keys %slow)
		{
			my $c = $connections{$name};
			$c->send($next{$name}) if !$c->{closed};
			1 while $c->fill(0);
			$ended{$name} = time - $begun if $c->{closed};
		}
		my $took = elapsed(sub { is(event($port, 'beside'), 200, 'others are served') });
		$stored++;
		$slowest = $took if $took > $slowest;
		sleep 0.3;
	}
	for my $name (sort keys %slow)
	{
		my $took = $ended{$name} // 99;
		cmp_ok($took, '>', 1.5, "$name, byte by byte: the time is given");
		cmp_ok($took, '<', 3.5, "$name, byte by byte: its end is absolute");
		next if $name eq 'a request line';
		my $answer = $connections{$name}->response(seconds => 0);
		is($answer ? $answer->{status} : 'none', 408, "$name, byte by byte: 408");
		like(json_of($answer // { content => '' })->{error},
			qr/request_timeout/, "$name, byte by byte: says why");
	}
	cmp_ok($slowest, '<', 0.5, 'others are served at once');
	ok($silent->is_closed(1), 'who never says anything is sent away');
	$idle->request('{"idle":2}');
	is(($idle->response // { status => 'none' })->{status},
		200, 'who has sent an event may be idle for longer');
	$stored++;
}
still_well('slow senders');

# Many who do nothing do not keep others out, nor do they cost the server's health.
alter_system($node, 'windtrap.max_connections' => 20, 'windtrap.request_timeout' => undef);
sleep 0.3;
{
	my @idle;
	for my $i (1 .. 40)
	{
		my $c = connect_to($port);
		$c->request('{"crowd":1}');
		my $answer = $c->response(seconds => 3);
		$stored++ if $answer && $answer->{status} == 200;
		push @idle, $c;
	}
	my $took = elapsed(sub { still_well('crowd') });
	cmp_ok($took, '<', 1, 'a full house of idle connections makes room');
	my $open = grep { !$_->is_closed(0.01) } @idle;
	cmp_ok($open, '<=', 20, 'max_connections holds');
	$_->close for @idle;
}
alter_system($node, 'windtrap.max_connections' => undef);

# What is heavy for its size, where the limits are made wide, costs memory and time in
# proportion, and others wait no longer than that.
alter_system($node, 'windtrap.max_event_size' => '32MB', 'windtrap.max_body_size' => '32MB');
ok(wait_for(sub { query(q{SHOW windtrap.max_event_size}) eq '32MB' }), 'max_event_size is 32 MB');
sleep 0.3;
{
	my ($pid) = worker_pids($node);
	for my $case (
		[ '10 MB of values', 200, '{"heavy":[' . '1,' x 5_000_000 . '1]}' ],
		[ 'a batch of 10 MB of values', 413, '[' . '1,' x 5_000_000 . '1]' ],
		[ '1 M names', 200, '{"heavy":{' . join(',', map { qq("k$_":1) } 1 .. 1_000_000) . '}}' ],
		[ '1 M equal names', 200, '{"heavy":{' . join(',', ('"k":1') x 1_000_000) . '}}' ],
		[ '1 M objects', 200, '{"heavy":[' . join(',', ('{"k":{}}') x 1_000_000) . ']}' ],
		[ '10 MB that are not closed', 400, '{"heavy":[' . '{"k":[1,' x 1_000_000 ],)
	{
		my ($name, $code, $body) = @$case;
		my $watch = watch_memory($pid);
		my $took = elapsed(sub { is(exchange($port, $body, type => 'application/json')->{status}, $code, "$name: $code") });
		cmp_ok($took, '<', 10, "$name: within a while");
		memory_ok(peak_memory($watch), 512 * 1024, "$name: without too much memory");
		$stored++ if $code == 200;
		still_well($name);
	}
	is( query(q{SELECT string_agg(CASE jsonb_typeof(j) WHEN 'array' THEN jsonb_array_length(j)
				ELSE (SELECT count(*) FROM jsonb_object_keys(j)) END::text, ' ' ORDER BY id)
			FROM (SELECT data->'json'->'heavy' AS j, data->>'id' AS id FROM log WHERE data->'json' ? 'heavy') AS x}),
		'5000001 1000000 1 1000000', 'what was accepted is stored whole');
}
alter_system($node, 'windtrap.max_event_size' => undef, 'windtrap.max_body_size' => undef);
still_well('end');

is(query(q{SELECT state FROM windtrap.status WHERE kind = 'worker'}), 'listening', 'the worker is at work');
my $cpu = elapsed(sub { $node->stop });
cmp_ok($cpu, '<', 5, 'the server stops in time');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/,
	'nothing has crashed');
done_testing();
