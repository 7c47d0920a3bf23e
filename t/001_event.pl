# An event that is sent by HTTP becomes one row of the log table: by the clients that
# people use, with all that is known of the request, and with no secret of it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $socket_dir = PostgreSQL::Test::Utils::tempdir_short();
my $socket_path = "$socket_dir/wt.sock";
my $node = wt_node('event', create => 0);
my $port = wt_port($node);
my $url = "http://127.0.0.1:$port/log";

sub query { return $node->safe_psql('postgres', $_[0]); }

# What an expression over the last row gives.
sub last_row
{
	my ($expression) = @_;
	return query(
		"SELECT $expression FROM log ORDER BY event_timestamp DESC, data->>'id' DESC LIMIT 1");
}

sub rows { return query('SELECT count(*) FROM log'); }

#
# Beginning
#
is(http($port, 'GET', '/health', timeout => 1)->{status},
	599, 'nobody listens before CREATE EXTENSION');
query('CREATE EXTENSION windtrap');
my $took = elapsed(sub { ready($port) });
within($took, 2, 'serving begins within 2 s of CREATE EXTENSION');

#
# The client that the collector was made for
#
is( python(
		'-c', <<'PYTHON', $url),
import requests, sys
answer = requests.post(sys.argv[1], json={"app":"middleware","event":"upgrade completed","severity":"info"})
print(answer.status_code, answer.json())
PYTHON
	"200 {'accepted': 1}",
	'requests.post is answered 200');
is(rows(), 1, 'the event is one row');
is( last_row(
		q{data->'json' = '{"app":"middleware","event":"upgrade completed","severity":"info"}'}),
	't',
	'the event is stored as it was sent');
is(last_row('status'), 0, 'its status is 0');
is( query(q{SELECT DISTINCT data->'host' FROM log}),
	qq("127.0.0.1:$port"),
	"SELECT DISTINCT data->'host' FROM log");
is(last_row(q{concat_ws(' ', data->>'ip', data->>'method', data->>'path')}),
	'127.0.0.1 POST /log', 'who sent it, and how');
is( last_row(q{(SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(data) k)}),
	'headers host id ip json method path time timezone',
	'all members are there, and no empty one');
is(last_row(q{data->'headers'->>'content-type'}), 'application/json', 'headers are kept');
like(last_row(q{data->'headers'->>'user-agent'}), qr/^python-requests/, 'all of them');
is(last_row(q{(data->'headers')::text = lower((data->'headers')::text)}),
	't', 'their names are in lower case');

#
# Time
#
my $same_time = q{event_timestamp = (data->>'time')::timestamptz
	AND abs(extract(epoch FROM now() - event_timestamp)) < 60};
my $local_time = q{starts_with(data->>'time', to_char(event_timestamp AT TIME ZONE
	(data->>'timezone'), 'YYYY-MM-DD"T"HH24:MI:SS.US'))};
for my $zone (qw(Europe/Berlin Asia/Kolkata America/St_Johns UTC))
{
	alter_system($node, timezone => $zone);
	ok( wait_for(
			sub { event($port); last_row(q{data->>'timezone'}) eq $zone }, 10),
		"the collector's time zone is $zone");
	is(last_row($same_time), 't', "$zone: time and event_timestamp are one instant");
	is(last_row($local_time), 't', "$zone: time is local time");
	like(last_row(q{data->>'time'}), qr/[+-]\d\d:\d\d$/, "$zone: time has its offset");
}
like(last_row(q{data->>'time'}), qr/\+00:00$/, 'UTC has an offset, too');

#
# Ids
#
{
	my $connection = connect_to($port);
	for my $i (1 .. 20)
	{
		$connection->request(qq({"nth":$i}));
		is($connection->response->{status}, 200, 'keep-alive') if $i == 20;
		last if $i == 20;
		$connection->response;
	}
}
is( query(
		q{SELECT bool_and(data->>'id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') FROM log}
	),
	't',
	'ids are UUIDs of version 7');
is( query(
		q{SELECT array_agg((data->'json'->>'nth')::int ORDER BY data->>'id') =
		ARRAY(SELECT generate_series(1, 20)) FROM log WHERE data->'json' ? 'nth'}),
	't',
	'they ascend');
is( query(
		q{SELECT bool_and(abs(('x' || substr(replace(data->>'id', '-', ''), 1, 12))::bit(48)::bigint
		- extract(epoch FROM event_timestamp) * 1000) < 1000) FROM log}),
	't',
	'and hold the time');
is(query(q{SELECT count(*) = count(DISTINCT data->>'id') FROM log}), 't', 'no id twice');

#
# Headers, and secrets
#
my $canary = 'c4n4ry-5ecret';
my $canary_pattern = 'c4n4ry-[5]ecret';    # a statement that is logged is no finding
my $secret_row = rows();
command(
	'curl', '-sSf', '-o', '/dev/null', '-d', '{"secrets":1}',
	'-H', "Authorization: Bearer $canary", '-H', "Cookie: session=$canary",
	'-H', "X-Api-Key: $canary", '-H', "Proxy-Authorization: Basic $canary",
	'-H', 'X-Team: red', '-H', 'X-Team: blue', '-H', 'x-team: green',
	"$url?a=1&b=%C3%A4+b&a=3&token=$canary&empty=&bare");
is(rows(), $secret_row + 1, 'an event with secrets in its head is stored');
for my $name (qw(authorization cookie x-api-key proxy-authorization))
{
	is(last_row("data->'headers'->>'$name'"), '[redacted]', "$name is redacted");
}
is(last_row(q{data->'headers'->>'x-team'}), 'red, blue, green', 'repeated headers are joined');
is( last_row(
		q{data->'args' = '{"a":["1","3"],"b":"ä b","token":"[redacted]","empty":"","bare":""}'}
	),
	't',
	'args are the query string, without the token')
  or diag last_row(q{data->'args'});
is(last_row(q{data->>'path'}), '/log', 'path is without the query string');
is(query("SELECT count(*) FROM log WHERE log::text ~ '$canary_pattern'"),
	0, 'no secret is in the table');
unlike(log_since($node), qr/\Q$canary\E/, "nor in the server's log");

alter_system($node, 'windtrap.redact_headers' => 'X-Team, x-other');
ok( wait_for(
		sub {
			post($port, '{}', headers => { 'X-Team' => 'red', 'X-Free' => 'y' });
			last_row(q{data->'headers'->>'x-team'}) eq '[redacted]';
		}),
	'redact_headers redacts what it names');
is(last_row(q{data->'headers'->>'x-free'}), 'y', 'and nothing else');

alter_system($node, 'windtrap.store_headers' => 'none');
ok( wait_for(
		sub {
			post($port, '{}');
			last_row(q{data ? 'headers'}) eq 'f';
		}),
	'store_headers none leaves them out');

alter_system($node, 'windtrap.store_headers' => 'User-Agent, X-Free, Authorization');
ok( wait_for(
		sub {
			post($port, '{}', headers => { 'X-Free' => 'y', 'X-Unlisted' => 'z' });
			last_row(q{data ? 'headers'}) eq 't';
		}),
	'store_headers with a list keeps headers');
is(last_row(q{(data->'headers')::text}),
	'{"x-free": "y", "user-agent": "windtrap-test"}', 'those that it names');
post($port, '{}', headers => { Authorization => $canary });
is(last_row(q{data->'headers'->>'authorization'}),
	'[redacted]', 'but no secret, named or not');
alter_system($node, 'windtrap.store_headers' => undef, 'windtrap.redact_headers' => undef);

#
# Other clients and other bodies
#
python('-c', <<'PYTHON', "127.0.0.1:$port");
import logging, logging.handlers, sys
log = logging.getLogger("shop")
log.addHandler(logging.handlers.HTTPHandler(sys.argv[1], "/log", method="POST"))
log.warning("caf\u00e9 & b\u00e4r = %d", 42)
PYTHON
is( last_row(
		q{concat_ws('|', data->'json'->>'name', data->'json'->>'levelname', data->'json'->>'msg', data->'json'->>'args')}
	),
	'shop|WARNING|café & bär = %d|(42,)',
	"Python's HTTPHandler: a form becomes an object");

my @bodies = (
	[ 'text/plain', 'hello, wörld', '"hello, wörld"', 'text is a string' ],
	[ 'text/plain', '404', '"404"', 'a number sent as text is text' ],
	[ 'text/plain', ' {"a": 1}', '{"a":1}', 'an object sent as text is JSON' ],
	[ 'text/html', '{not json}', '"{not json}"', 'what only looks like JSON is text' ],
	[ 'application/octet-stream', '{"a":[1,2]}', '{"a":[1,2]}', 'JSON under a wrong type' ],
	[ 'application/x-www-form-urlencoded', '{"a":"b&c=d"}', '{"a":"b&c=d"}', "curl's default type" ],
	[ 'application/x-www-form-urlencoded', 'a=1&b=x+y%21&a=2', '{"a":["1","2"],"b":"x y!"}', 'a form' ],
	[ 'application/vnd.api+json', '1.50', '1.50', 'a type that ends with +json' ],
	[ 'application/json; charset=utf-8', '"x"', '"x"', 'a type with a parameter' ],
	[ 'application/json', "\xEF\xBB\xBF{\"bom\":true}\n", '{"bom":true}', 'a byte order mark' ],
	[ 'application/json', 'null', 'null', 'null is an event' ],
	[ 'application/json', '{"a":1,"b":2,"a":3}', '{"a":3,"b":2}', 'of equal names the last one wins' ],);
for my $case (@bodies)
{
	my ($type, $body, $expected, $name) = @$case;
	my $before = rows();
	is(post($port, $body, type => $type)->{status}, 200, "$name: accepted");
	is(rows(), $before + 1, "$name: one row");
	is(last_row("(data->'json')::text = (\$e\$$expected\$e\$::jsonb)::text"),
		't', "$name: stored as $expected")
	  or diag last_row(q{data->'json'});
}
command('curl', '-sSf', '-o', '/dev/null', '-H', 'Content-Type:', '-d', '{"t":"none"}', $url);
is(last_row(q{data->'json'->>'t'}), 'none', 'no Content-Type');
command('curl', '-sSf', '-o', '/dev/null', '-H', 'Transfer-Encoding: chunked',
	'-d', '{"t":"chunked"}', $url);
is(last_row(q{data->'json'->>'t'}), 'chunked', 'a chunked body');
command(
	'curl', '-sSf', '-o', '/dev/null', '-H', 'Expect: 100-continue',
	'-d', '{"t":"continue"}', $url);
is(last_row(q{data->'json'->>'t'}), 'continue', 'Expect: 100-continue');
my $long = 'x' x 300_000;
post_json($port, { t => $long });
is(last_row(q{length(data->'json'->>'t')}), 300_000, 'a long event');
{
	my $connection = connect_to($port);
	$connection->send(
		"POST /log HTTP/1.0\r\nContent-Length: 11\r\n\r\n{\"t\":\"1.0\"}");
	is($connection->response->{status}, 200, 'HTTP 1.0');
	ok($connection->is_closed, 'HTTP 1.0: the connection ends');
	is(last_row(q{concat_ws(' ', data->'json'->>'t', data ? 'host')}),
		'1.0 f', 'HTTP 1.0 without Host');
}

#
# Connections
#
{
	my $connection = connect_to($port);
	$connection->request(qq({"t":"one"}));
	is($connection->response->{status}, 200, 'the first request of a connection');
	$connection->request(qq({"t":"two"}));
	is($connection->response->{status}, 200, 'the second one');
	my $before = rows();
	$connection->send(
		join '',
		map {
			my $body = qq({"t":"pipelined","n":$_});
			"POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
			  . length($body)
			  . "\r\n\r\n$body"
		} 1 .. 10);
	is(join(' ', map { ($connection->response // { status => 'none' })->{status} } 1 .. 10),
		'200 ' x 9 . '200', 'pipelined requests are all answered');
	is(rows(), $before + 10, 'and stored');

	$connection->request(undef, method => 'GET', path => '/nowhere');
	is($connection->response->{status}, 404, 'a wrong path');
	$connection->request(undef, method => 'HEAD');
	is($connection->response(head => 1)->{status}, 200, 'HEAD');
	$connection->request(undef, method => 'HEAD', path => '/health');
	is($connection->response(head => 1)->{status}, 200, 'HEAD /health');
	$connection->request(undef, method => 'GET', path => '/health');
	my $answer = $connection->response;
	is($answer->{status}, 200, 'GET /health, the connection still being the same');
	is(json_of($answer)->{status}, 'ok', 'and HEAD has sent no body');
}
for my $method (qw(GET PUT DELETE))
{
	my $answer = http($port, $method, '/log');
	is($answer->{status}, 405, "$method /log is not allowed");
	is($answer->{headers}{allow}, 'POST, HEAD, OPTIONS', "$method /log: Allow");
	ok(json_of($answer)->{error}, "$method /log: a sentence");
}
{
	my $answer = http($port, 'OPTIONS', '/log');
	is("$answer->{status} $answer->{headers}{allow}", '204 POST, HEAD, OPTIONS', 'OPTIONS /log');
}
is(http($port, 'POST', '/health', body => '{}')->{status}, 405, 'POST /health');
for my $path ('/logs', '/LOG', '//log', '/log%2F')
{
	my $answer = post($port, '{}', path => $path);
	is($answer->{status}, 404, "$path is nowhere");
	like(json_of($answer)->{error}, qr{/log}, "$path: the answer says where events go");
}
is(query(q{SELECT count(*) FROM log WHERE data->>'path' <> '/log'}),
	0, 'nothing was stored for other paths');

#
# Addresses
#
my $v6 = -e '/proc/net/if_inet6' && slurp_file('/proc/net/if_inet6') =~ /^0{31}1 /m;
SKIP:
{
	skip 'no IPv6 here', 3 if !$v6;
	alter_system($node, 'windtrap.listen_addresses' => '127.0.0.1, ::1');
	ok( wait_for(sub { http($port, 'HEAD', '/log', host => '[::1]')->{status} == 200 }),
		'IPv6');
	command('curl', '-sSfg', '-o', '/dev/null', '-d', '{"t":"v6"}', "http://[::1]:$port/log");
	is(last_row(q{concat_ws(' ', data->>'ip', data->>'host')}),
		"::1 [::1]:$port", "the client's address");
	like(query(q{SELECT addresses FROM windtrap.status WHERE kind = 'worker'}),
		qr/\[::1\]:$port/, 'the view has it');
}
alter_system($node,
	'windtrap.listen_addresses' => "127.0.0.1, 127.0.0.2, $socket_path");
ok(wait_for(sub { -S $socket_path && http($port, 'HEAD', '/log', host => '127.0.0.2')->{status} == 200 }),
	'several addresses');
post($port, '{"t":"second"}', host => '127.0.0.2');
is(last_row(q{concat_ws(' ', data->'json'->>'t', data->>'host')}),
	"second 127.0.0.2:$port", 'an event by the second address');
post($port, '{"t":"first"}');
is(last_row(q{data->'json'->>'t'}), 'first', 'and one by the first');
command('curl', '-sSf', '-o', '/dev/null', '--unix-socket', $socket_path,
	'-d', '{"t":"path"}', 'http://localhost/log');
is(last_row(q{concat_ws(' ', data->'json'->>'t', data->>'host', data ? 'ip')}),
	'path localhost f', 'and one by a Unix-domain socket');
like(
	query(q{SELECT addresses FROM windtrap.status WHERE kind = 'worker'}),
	qr/^127\.0\.0\.1:$port, 127\.0\.0\.2:$port, \Q$socket_path\E$/,
	'the view says where it listens');
is(query(q{SELECT state FROM windtrap.status WHERE kind = 'worker'}), 'listening', 'and that it does');

$node->stop;
ok(!-e $socket_path, 'the socket file is gone after the stop');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
