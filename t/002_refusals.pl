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

my $node = wt_node('refusals', conf => <<'CONF');
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
my @bad_json = (
	# what it is, the body, the message
	[ 'no value for a name', "{\"a\":1,\n \"b\":}", qr/line 2, column 6: expected a value, found '}'/ ],
	[ 'a column counted in characters', '{"äöü": x}', qr/line 1, column 9: / ],
	[ 'a comma too many in an object', '{"a":1,}', qr/line 1, column 8: / ],
	[ 'a comma too many in an array', '{"v":[1,]}', qr/line 1, column 9: expected a value/ ],
	[ 'two commas', '{"v":[1,,2]}', qr/column 9: / ],
	[ 'no comma in an array', '{"v":[1 2]}', qr/column 9: / ],
	[ 'no comma in an object', '{"a":1 "b":2}', qr/column 8: / ],
	[ 'no colon', '{"a" 1}', qr/column 6: / ],
	[ 'a name without quotes', '{a:1}', qr/column 2: / ],
	[ 'single quotes', "{'a':1}", qr/column 2: / ],
	[ 'a number as a name', '{1:1}', qr/column 2: / ],
	[ 'an array that does not end', '{"v":[1,2', qr/found the end of the text/ ],
	[ 'an object that does not end', '{"a":1', qr/found the end of the text/ ],
	[ 'a string that does not end', '{"a":"x', qr/column 6: .*no closing quote/ ],
	[ 'a wrong bracket', '{"v":[1}}', qr/found '}'/ ],
	[ 'a bracket too many', '{"a":1}]', qr/column 8: / ],
	[ 'a value and a word', '{"a":1} x', qr/column 9: / ],
	[ 'an array that is no JSON', '[{"a":1},{"b":}]', qr/column 15: / ],
	[ 'an array that is cut', '[{"a":1},{"b":2}', qr/column 17: / ],
	[ 'a comment', '/* x */ {}', qr/column 1: / ],
	[ 'a half word', 'nul', qr/expected null/ ],
	[ 'a word too long', 'truex', qr/column 5: / ],
	[ 'a word in capitals', '{"v":TRUE}', qr/column 6: / ],
	[ 'NaN', '{"v":NaN}', qr/column 6: / ],
	[ 'Infinity', '{"v":-Infinity}', qr/expected a digit/ ],
	[ 'a leading zero', '{"v":-012}', qr/cannot begin with 0/ ],
	[ 'a plus sign', '{"v":+1}', qr/column 6: / ],
	[ 'no digit before the point', '{"v":.5}', qr/column 6: / ],
	[ 'no digit after the point', '{"v":1.}', qr/digit after the decimal point/ ],
	[ 'no digit in the exponent', '{"v":1e}', qr/digit in the exponent/ ],
	[ 'a hexadecimal number', '{"v":0x1F}', qr/column 7: / ],
	[ 'a minus alone', '{"v":-}', qr/expected a digit/ ],
	[ 'a full-width digit', "{\"v\":\xEF\xBC\x91}", qr/not ASCII/ ],
	[ 'an unknown escape', '{"v":"\\x41"}', qr/after \\/ ],
	[ 'a short \u', '{"v":"\\u12"}', qr/four hexadecimal digits/ ],
	[ 'a raw tab in a string', "{\"v\":\"a\tb\"}", qr/0x09 must be escaped/ ],
	[ 'a raw newline in a string', "{\"v\":\"a\nb\"}", qr/line 1, column 8: .*0x0a must be escaped/ ],
	[ 'a form feed as space', "{\"v\":\f1}", qr/0x0c/ ],
	[ 'a no-break space', "{\"v\":\xC2\xA01}", qr/not ASCII/ ],
	[ 'invalid UTF-8', "{\"a\":\"x\xFFy\"}", qr/column 8: .*0xff is not valid UTF-8/ ],
	[ 'a cut UTF-8 sequence', "{\"v\":\"\xE2\x82\"}", qr/0xe2 is not valid UTF-8/ ],
	[ 'an overlong UTF-8 sequence', "{\"v\":\"\xC0\xAF\"}", qr/0xc0 is not valid UTF-8/ ],
	[ 'a surrogate in UTF-8', "{\"v\":\"\xED\xA0\x80\"}", qr/0xed is not valid UTF-8/ ],
	[ 'a code point beyond Unicode', "{\"v\":\"\xF4\x90\x80\x80\"}", qr/0xf4 is not valid UTF-8/ ],
	[ 'a NUL in a string', "{\"v\":\"a\0b\"}", qr/NUL/ ],
	[ 'a NUL after the end', "{\"a\":1}\0", qr/column 8: / ],
	[ '\u0000', '{"a":"x\\u0000y"}', qr/column 8: \\u0000 cannot be stored/ ],
	[ '\u0000 in a name', '{"x\\u0000y":1}', qr/\\u0000 cannot be stored/ ],
	[ 'a lone high surrogate', '{"v":"\\ud83d"}', qr/lone surrogate \(\\ud83d\)/ ],
	[ 'a lone low surrogate', '{"v":"\\ude00"}', qr/lone surrogate \(\\ude00\)/ ],
	[ 'two high surrogates', '{"v":"\\ud83d\\ud83d"}', qr/lone surrogate/ ],
	[ 'surrogates in the wrong order', '{"v":"\\ude00\\ud83d"}', qr/lone surrogate/ ],
	[ 'a surrogate and a letter', '{"v":"\\ud83dx"}', qr/lone surrogate/ ],
	[ 'a huge exponent', '{"v":1e131071}', qr/more than 4096 digits/ ],
	[ 'a tiny exponent', '{"v":1e-20000}', qr/more than 4096 digits/ ],
	[ 'an exponent beyond any integer', '{"v":1e99999999999999999999}', qr/more than 4096 digits/ ],
	[ 'a number of 4,097 digits', '{"v":' . '7' x 4097 . '}', qr/more than 4096 digits/ ],
	[ 'a fraction of 4,097 digits', '{"v":0.' . '7' x 4097 . '}', qr/more than 4096 digits/ ],
	[ 'a number bomb', '{"v":[' . join(',', ('1e131071') x 8000) . ']}', qr/more than (4096 digits|64 MB)/ ],
	[ 'a bomb of allowed numbers', '{"v":[' . join(',', ('1e4095') x 17000) . ']}', qr/more than 64 MB/ ],
	[ 'depth 513', $deep->(513), qr/column 517: .*deeper than 512 levels/ ],
	[ 'depth 100,000', $deep->(100_000), qr/deeper than 512 levels/ ],
	[ 'depth of objects', '{"a":' x 5000 . '1' . '}' x 5000, qr/deeper than 512 levels/ ],);
my $connection = connect_to($port);
for my $case (@bad_json)
{
	my ($name, $body, $message) = @$case;
	$connection->request($body, headers => ['Content-Type: application/json']);
	my $answer = $connection->response // { status => 'none', content => '' };
	is($answer->{status}, 400, "$name: refused");
	my $error = json_of($answer)->{error} // '';
	like($error, qr/^(bad JSON )?at line \d+, column \d+: /, "$name: where");
	like($error, $message, "$name: what");
}
$connection->request('{"same":"connection"}');
is($connection->response->{status}, 200, 'the connection has stayed open all the time');
$stored++;
still_well('bad JSON');

my @bad_bodies = (
	# what it is, type, body, code, message
	[ 'no body', 'application/json', '', 400, qr/the body is empty/ ],
	[ 'only space', 'application/json', " \r\n\t ", 400, qr/the body is empty/ ],
	[ 'only a byte order mark', 'application/json', "\xEF\xBB\xBF", 400, qr/the body is empty/ ],
	[ 'two byte order marks', 'application/json', "\xEF\xBB\xBF\xEF\xBB\xBF1", 400, qr/bad JSON/ ],
	[ 'UTF-16', 'application/json', "\xFF\xFE{\0}\0", 400, qr/\S/ ],
	[ 'bad JSON under the default type of curl', 'application/x-www-form-urlencoded', '{"a":1', 400, qr/bad JSON/ ],
	[ 'text that is not UTF-8', 'text/plain', "caf\xE9", 400, qr/0xe9 at byte 4/ ],
	[ 'text with a NUL', 'text/plain', "a\0b", 400, qr/NUL at byte 2/ ],
	[ 'a form with a NUL', 'application/x-www-form-urlencoded', 'a=x%00y', 400, qr/form.*NUL/ ],
	[ 'a form that is not UTF-8', 'application/x-www-form-urlencoded', 'a=%ff', 400, qr/form.*UTF-8/ ],
	[ 'a form with a bad name', 'application/x-www-form-urlencoded', '%ff=a', 400, qr/form.*UTF-8/ ],
	[ 'a large event', 'application/json', '"' . 'x' x (256 * 1024) . '"', 413, qr/windtrap\.max_event_size, 262144 bytes/ ],
	[ 'a large text', 'text/plain', 'x' x (256 * 1024 + 1), 413, qr/windtrap\.max_event_size/ ],);
for my $case (@bad_bodies)
{
	my ($name, $type, $body, $code, $message) = @$case;
	my $answer = post($port, $body, type => $type);
	is($answer->{status}, $code, "$name: $code");
	like(json_of($answer)->{error} // '', $message, "$name: what is wrong");
}
for my $encoding ('br', 'x-unknown')
{
	my $answer = post($port, '{}', headers => { 'Content-Encoding' => $encoding });
	is($answer->{status}, 415, "Content-Encoding $encoding");
	like(json_of($answer)->{error}, qr/gzip/, "Content-Encoding $encoding: says what is supported");
}
for my $case ([ 'gzip', "\x1F\x8B\x08\0garbage garbage" ], [ 'zstd', "\x28\xB5\x2F\xFDgarbage" ],
	[ 'gzip that ends too early', "\x1F\x8B\x08\0\0\0\0\0\0\x03" ],)
{
	my ($name, $body) = @$case;
	my $answer = post($port, $body, headers => { 'Content-Encoding' => $name =~ s/ .*//r });
	is($answer->{status}, 400, "corrupt $name: refused");
	like(json_of($answer)->{error} // '', qr/compress|gzip|zstd|Content-Encoding/, "corrupt $name: says so");
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
my @framing = (
	# what it is, the request, codes
	[ 'Content-Length and Transfer-Encoding',
		"${good_head}Content-Length: $length\r\nTransfer-Encoding: chunked\r\n\r\n$chunked" ],
	[ 'Transfer-Encoding and Content-Length',
		"${good_head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n$chunked" ],
	[ 'two lengths that differ',
		"${good_head}Content-Length: $length\r\nContent-Length: 4\r\n\r\n$event" ],
	[ 'two lengths that agree',
		"${good_head}Content-Length: $length\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a list of lengths', "${good_head}Content-Length: $length, $length\r\n\r\n$event" ],
	[ 'a length with a sign', "${good_head}Content-Length: +$length\r\n\r\n$event" ],
	[ 'a negative length', "${good_head}Content-Length: -1\r\n\r\n$event" ],
	[ 'a hexadecimal length', "${good_head}Content-Length: 0xd\r\n\r\n$event" ],
	[ 'an empty length', "${good_head}Content-Length:\r\n\r\n$event" ],
	[ 'a length of 2^64 - 1',
		"${good_head}Content-Length: 18446744073709551615\r\n\r\n$event", qr/^(400|413)$/ ],
	[ 'a length beyond 2^64',
		"${good_head}Content-Length: 18446744073709551629\r\n\r\n$event", qr/^(400|413)$/ ],
	[ 'space before the colon', "${good_head}Content-Length : $length\r\n\r\n$event" ],
	[ 'tab before the colon', "${good_head}Content-Length\t: $length\r\n\r\n$event" ],
	[ 'an empty name', "${good_head}: x\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'an empty name in front', "POST /log HTTP/1.1\r\n: x\r\nHost: localhost\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a line without colon', "${good_head}Nonsense\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a space in a name', "${good_head}X Y: z\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a bracket in a name', "${good_head}X(Y): z\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'lines that end with LF', "POST /log HTTP/1.1\nHost: localhost\nContent-Length: $length\n\n$event" ],
	[ 'one line that ends with LF', "${good_head}X: y\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a request line that ends with LF', "POST /log HTTP/1.1\nHost: localhost\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'an empty line that is LF', "${good_head}Content-Length: $length\r\n\n$event" ],
	[ 'lines that end with CR', "${good_head}X: y\rZ: w\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a CR in a value', "${good_head}X: a\rb\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'folding', "${good_head}X: a\r\n b\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'folding of Content-Length', "${good_head}Content-Length:\r\n $length\r\n\r\n$event" ],
	[ 'folding by a tab', "${good_head}X: a\r\n\tb\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a folded first line', "POST /log HTTP/1.1\r\n Host: localhost\r\nHost: localhost\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a NUL in a value', "${good_head}X: a\0b\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a NUL in a name', "${good_head}X\0Y: a\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'a NUL at the end of Content-Length', "${good_head}Content-Length: $length\0\r\n\r\n$event" ],
	[ 'a NUL in the target', "POST /log\0x HTTP/1.1\r\nHost: localhost\r\nContent-Length: $length\r\n\r\n$event", qr/^(400|404)$/ ],
	[ 'a control character in a value', "${good_head}X: a\x01b\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'an escape in a value', "${good_head}X: a\e[31m\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'two hosts', "${good_head}Host: y\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'two equal hosts', "${good_head}Host: localhost\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'no host', "POST /log HTTP/1.1\r\nContent-Length: $length\r\n\r\n$event" ],
	[ 'an unknown Transfer-Encoding', "${good_head}Transfer-Encoding: xchunked\r\n\r\n$chunked" ],
	[ 'Transfer-Encoding identity', "${good_head}Transfer-Encoding: identity\r\n\r\n$chunked" ],
	[ 'gzip, chunked', "${good_head}Transfer-Encoding: gzip, chunked\r\n\r\n$chunked" ],
	[ 'chunked, chunked', "${good_head}Transfer-Encoding: chunked, chunked\r\n\r\n$chunked" ],
	[ 'chunked twice', "${good_head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n$chunked" ],
	[ 'chunked in a folded line', "${good_head}Transfer-Encoding:\r\n chunked\r\n\r\n$chunked" ],
	[ 'a chunk size that is no number', "${good_head}Transfer-Encoding: chunked\r\n\r\nzz\r\n$event\r\n0\r\n\r\n" ],
	[ 'a negative chunk size', "${good_head}Transfer-Encoding: chunked\r\n\r\n-d\r\n$event\r\n0\r\n\r\n" ],
	[ 'a chunk size with 0x', "${good_head}Transfer-Encoding: chunked\r\n\r\n0xd\r\n$event\r\n0\r\n\r\n" ],
	[ 'a chunk size beyond 2^64', "${good_head}Transfer-Encoding: chunked\r\n\r\n1000000000000000d\r\n$event\r\n0\r\n\r\n", qr/^(400|413)$/ ],
	[ 'a chunk longer than its size', "${good_head}Transfer-Encoding: chunked\r\n\r\n4\r\n$event\r\n0\r\n\r\n" ],
	[ 'a chunk extension of 40 KB',
		"${good_head}Transfer-Encoding: chunked\r\n\r\nd;" . 'x' x 40_000 . "\r\n$event\r\n0\r\n\r\n", qr/^(400|413)$/ ],
	[ 'a header of 40 KB', "${good_head}X: " . 'x' x 40_000 . "\r\nContent-Length: $length\r\n\r\n$event", qr/^431$/ ],
	[ '10,000 headers', $good_head . "X: y\r\n" x 10_000 . "Content-Length: $length\r\n\r\n$event", qr/^431$/ ],
	[ 'a target of 40 KB', 'POST /log?' . 'x' x 40_000 . " HTTP/1.1\r\nHost: localhost\r\nContent-Length: $length\r\n\r\n$event", qr/^414$/ ],
	[ 'no HTTP', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", qr/^(400|none)$/ ],);
my $smuggled = "POST /log HTTP/1.1\r\nHost: smuggled\r\nContent-Length: 14\r\n\r\n{\"smuggled\":1}";
for my $case (@framing)
{
	my ($name, $request, $code) = @$case;
	my $c = connect_to($port);
	my $took = elapsed(
		sub {
			$c->send($request . $smuggled);
			my $answer = $c->response(seconds => 3) // { status => 'none', content => '' };
			like($answer->{status}, $code // qr/^400$/, "$name: refused");
			like($answer->{content}, qr/\S/, "$name: the answer says why")
			  if $answer->{status} ne 'none';
			$c->is_closed(3);
			ok($c->{closed}, "$name: the connection is closed");
			# libmicrohttpd repeats the head of its own errors; no 2xx may follow.
			unlike($c->{buffer}, qr/HTTP\/1\.1 2/, "$name: nothing behind it is answered");
		});
	cmp_ok($took, '<', 3, "$name: at once");
	$c->close;
}
still_well('framing');
is(query(q{SELECT count(*) FROM log WHERE data->>'host' = 'smuggled'}), 0, 'nothing was smuggled');


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

# A request behind one that came through a proxy may be somebody else's.
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
still_well('end');

is(query('SELECT state FROM windtrap.status'), 'listening', 'the worker is at work');
my $cpu = elapsed(sub { $node->stop });
cmp_ok($cpu, '<', 5, 'the server stops in time');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/,
	'nothing has crashed');
done_testing();
