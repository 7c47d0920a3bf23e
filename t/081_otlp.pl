# OpenTelemetry's logs over HTTP, as protobuf and as JSON.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Compress::Zlib ();
use Encode qw(decode_utf8);
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $node = wt_node('otlp');
my $port = wt_port($node);
my $path = '/v1/logs';

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log'); }
sub query { return $node->safe_psql('postgres', $_[0]); }

#
# Protobuf, written down
#

sub varint
{
	my ($n) = @_;
	my $bytes = '';
	for (; $n > 0x7F; $n >>= 7) { $bytes .= chr(($n & 0x7F) | 0x80); }
	return $bytes . chr $n;
}
sub int_field   { my ($k, $v) = @_; return varint($k << 3) . varint($v); }
sub bytes_field { my ($k, $v) = @_; return varint($k << 3 | 2) . varint(length $v) . $v; }
sub fixed64     { my ($k, $v) = @_; return varint($k << 3 | 1) . pack 'Q<', $v; }
sub fixed32     { my ($k, $v) = @_; return varint($k << 3 | 5) . pack 'L<', $v; }
sub double      { my ($k, $v) = @_; return varint($k << 3 | 1) . pack 'd<', $v; }

sub text      { return bytes_field(1, $_[0]); }
sub attribute { my ($k, $v) = @_; return text($k) . bytes_field(2, $v); }
sub attributes
{
	my ($number, @pairs) = @_;
	my $bytes = '';
	while (my ($k, $v) = splice @pairs, 0, 2) { $bytes .= bytes_field($number, attribute($k, $v)); }
	return $bytes;
}

# Records → a request of one resource and one scope.
sub scope_logs    { return join '', map { bytes_field(2, $_) } @_; }
sub resource_logs { return bytes_field(2, scope_logs(@_)); }
sub request       { return bytes_field(1, resource_logs(@_)); }

sub send_protobuf
{
	my ($body, %o) = @_;
	return post($port, $body, type => 'application/x-protobuf', path => $path, %o);
}

# A google.rpc.Status, and the like: number → value.
sub fields
{
	my ($bytes) = @_;
	my %fields;
	my $read = sub {
		my ($n, $shift) = (0, 0);
		while ($bytes =~ s/^(.)//s)
		{
			my $c = ord $1;
			$n |= ($c & 0x7F) << $shift;
			$shift += 7;
			return $n if $c < 0x80;
		}
		die 'cut off';
	};
	while (length $bytes)
	{
		my $tag = $read->();
		my $n = $read->();
		$fields{ $tag >> 3 } = ($tag & 7) == 0 ? $n : substr $bytes, 0, $n, '';
	}
	return \%fields;
}

#
# Real clients
#

my %context = (
	py       => { 'service.name' => 'shop', 'telemetry.sdk.language' => 'python' },
	node     => { 'service.name' => 'shop' },
	'E-node' => { 'service.name' => 'shop' },
	'E-py'   => { 'service.name' => 'shop', 'telemetry.sdk.language' => 'python' },
	rust     => { 'service.name' => 'unknown_service:senders', 'telemetry.sdk.language' => 'rust' },);
my @clients = grep { capture($_) =~ m{^POST /v1/logs } && $_ !~ /lz4/ } captures('');
cmp_ok(scalar @clients, '>=', 20, 'there are captures');
for my $name (@clients)
{
	clear();
	my $answer = replay($port, $name);
	my ($type) = capture($name) =~ /^Content-Type: *([^\r]+)/mi;
	is($answer->{status}, 200, "$name is taken");
	is($answer->{headers}{'content-type'}, $type, 'the answer has its type');
	is($answer->{content}, $type =~ /json/ ? '{}' : '', 'and says nothing');

	my @rows = rows($node);
	is(scalar @rows, 3, 'three rows');
	my $n = 0;
	for my $row (@rows)
	{
		my $json = $row->{data}{json};
		is($row->{status}, 0, 'it is good');
		is($row->{data}{protocol}, 'otlp', 'it says what it is');
		my $time = $json->{time_unix_nano} // $json->{observed_time_unix_nano};
		is($row->{time}, substr($time, 0, -3), 'its time is its own');
		is($json->{severity_number}, [ 9, 13, 17 ]->[ $n++ ], 'its severity is as it was sent');
		is(ref($row->{data}{otlp}{scope}), 'HASH', 'it has its scope');
		my ($client) = $name =~ /^((?:E-)?[a-z]+)/;
		my $wanted = $context{$client} // {};
		is($row->{data}{otlp}{resource}{attributes}{$_}, $wanted->{$_}, "$_") for sort keys %$wanted;
	}
	my @texts = map { ref $_->{data}{json}{body} ? $_->{data}{json}{body}{text} // $_->{data}{json}{body}{msg} : $_->{data}{json}{body} } @rows;
	like($texts[0], qr/user alice logged in/, 'info');
	like($texts[1], qr/Gr\x{FC}\x{DF}e, \x{4E16}\x{754C} \x{1F680}/, 'what is not ASCII is as it was');
	like($texts[2], qr/cannot charge card/, 'error');
}


#
# Values
#

# Both encodings of one record, which has everything: they become the same.
my $now = int(time);
my $ns = "${now}123456789";
my $record = fixed64(1, $ns)
  . fixed64(11, $ns + 5)
  . int_field(2, 13)
  . bytes_field(3, 'WARN')
  . bytes_field(5,
	bytes_field(6,
		  attributes(1, text => text('Grüße')) . attributes(1, big => int_field(3, 9223372036854775807))
		. attributes(1, low => int_field(3, 1 << 63))
		. attributes(1, half => double(4, 0.5), nan => double(4, 'nan'), bytes => bytes_field(7, "\0\xFF\x80x"), yes => int_field(2, 1), nothing => '')
		. attributes(1, list => bytes_field(5, bytes_field(1, text('a')) . bytes_field(1, int_field(3, 7)) . bytes_field(1, bytes_field(5, ''))))))
  . attributes(6, 'http.status' => int_field(3, 200))
  . int_field(7, 3)
  . attributes(6, 'user' => text('alice'))
  . fixed32(8, 1)
  . bytes_field(9, pack 'H*', '0102030405060708090a0b0c0d0e0f10')
  . bytes_field(10, pack 'H*', 'f1f2f3f4f5f6f7f8')
  . bytes_field(12, 'paid')
  . int_field(99, 1);
my $surroundings_protobuf =
  bytes_field(1,
	bytes_field(2, bytes_field(2, $record) . bytes_field(3, 'https://s.example/scope') . bytes_field(1, bytes_field(1, 'billing') . bytes_field(2, '1.2') . attributes(3, team => text('blue')) . int_field(4, 2)))
	  . bytes_field(1, attributes(1, 'service.name' => text('shop')) . int_field(2, 1) . bytes_field(3, bytes_field(2, 'service') . bytes_field(3, 'service.name') . bytes_field(3, 'service.version')))
	  . bytes_field(3, 'https://s.example/resource'));

my $json_record = <<"JSON";
{"body": {"kvlistValue": {"values": [
    {"key": "text", "value": {"stringValue": "Grüße"}}, {"value": {"intValue": "9223372036854775807"}, "key": "big"},
    {"key": "low", "value": {"intValue": -9223372036854775808}}, {"key": "half", "value": {"doubleValue": 0.5}},
    {"key": "nan", "value": {"doubleValue": "NaN"}}, {"key": "bytes", "value": {"bytesValue": "AP+AeA=="}},
    {"key": "yes", "value": {"boolValue": true}}, {"key": "nothing", "value": {}},
    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 7}, {"arrayValue": {}}]}}}]}},
  "attributes": [{"key": "http.status", "value": {"intValue": "200"}}, {"key": "user", "value": {"stringValue": "alice"}}],
  "flags": 1, "unknown": [{"a": 1}], "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "f1f2f3f4f5f6f7f8",
  "eventName": "paid", "timeUnixNano": "$ns", "observedTimeUnixNano": @{[ $ns + 5 ]}, "severityNumber": 13,
  "severityText": "WARN", "droppedAttributesCount": 3}
JSON
my $surroundings_json = <<"JSON";
 {"resourceLogs": [ {"schemaUrl": "https://s.example/resource", "scopeLogs": [ {
    "schemaUrl": "https://s.example/scope", "logRecords": [ $json_record ],
    "scope": {"version": "1.2", "name": "billing", "attributes": [{"key": "team", "value": {"stringValue": "blue"}}], "droppedAttributesCount": 2} } ],
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}], "droppedAttributesCount": 1,
    "entityRefs": [{"type": "service", "idKeys": ["service.name", "service.version"]}]} } ] }
JSON
my $stored = {
	time_unix_nano           => $ns + 0,
	observed_time_unix_nano  => $ns + 5,
	severity_number          => 13,
	severity_text            => 'WARN',
	body                     => {
		text => decode_utf8('Grüße'), big => 9223372036854775807, low => -9223372036854775808, half => 0.5, nan => 'NaN', bytes => 'AP+AeA==',
		yes  => JSON::PP::true, nothing => undef, list => [ 'a', 7, [] ] },
	attributes               => { 'http.status' => 200, user => 'alice' },
	dropped_attributes_count => 3,
	flags                    => 1,
	trace_id                 => '0102030405060708090a0b0c0d0e0f10',
	span_id                  => 'f1f2f3f4f5f6f7f8',
	event_name               => 'paid' };
my $surrounding = {
	resource => { attributes => { 'service.name' => 'shop' }, dropped_attributes_count => 1, schema_url => 'https://s.example/resource',
		entity_refs => [ { type => 'service', id_keys => [ 'service.name', 'service.version' ] } ] },
	scope => { name => 'billing', version => '1.2', attributes => { team => 'blue' }, dropped_attributes_count => 2, schema_url => 'https://s.example/scope' } };
# The same under protobuf's own names, which JSON may have as well.
my $snake = $surroundings_json =~ s/(?<=")([a-z]+(?:[A-Z][a-z]+)+)(?=":)/ $1 =~ s{([A-Z])}{_\l$1}gr /ger;
for ([ 'protobuf', $surroundings_protobuf, 'application/x-protobuf' ], [ 'JSON', $surroundings_json, 'application/json; charset=utf-8' ],
	[ 'JSON in snake_case', $snake, 'application/json' ], [ 'JSON of no type', $surroundings_json =~ s/^ +//r, '' ])
{
	my ($name, $body, $type) = @$_;
	clear();
	is(send_protobuf($body, type => $type)->{status}, 200, "$name is taken");
	my $row = row_of($node);
	is_deeply($row->{data}{json}, $stored, 'all that it says is stored, and nothing else') or diag explain $row->{data}{json};
	is_deeply($row->{data}{otlp}, $surrounding, 'and what surrounds it') or diag explain $row->{data}{otlp};
	is($row->{time}, "${now}123456", 'at its own time');
}
is(query(q{SELECT data->'json'->'body'->>'big', data->'json'->'body'->>'low', jsonb_typeof(data->'json'->'time_unix_nano') FROM log}),
	'9223372036854775807|-9223372036854775808|number', 'integers of 64 bits are exact');

# Times.
for ([ fixed64(1, 0) . fixed64(11, $ns), "${now}123456", 'observed, the other is 0' ], [ fixed64(11, $ns), "${now}123456", 'observed' ])
{
	my ($fields, $time, $name) = @$_;
	clear();
	send_protobuf(request($fields));
	is(row_of($node)->{time}, $time, "the time is that at which it was $name");
}
clear();
send_protobuf(request(fixed64(1, 0) . fixed64(11, 0)));
my $row = row_of($node);
ok(abs($row->{time} / 1e6 - time) < 60, 'without any, it is that at which it came');
ok(!exists $row->{data}{note}, 'which is nothing to note');
is_deeply($row->{data}{json}, {}, 'a record may be empty');
clear();
is(post_json($port, { resourceLogs => [ { scopeLogs => [ { logRecords => [ { timeUnixNano => 'noon' } ] } ] } ] }, path => $path)->{status}, 200, 'a time that is none');
like(row_of($node)->{data}{note}, qr/cannot be read: noon/, 'is noted');

# Overlong integers, unknown fields of every wire type, fields in any order, split lists.
clear();
is(send_protobuf(bytes_field(1, bytes_field(2, bytes_field(2, "\x10\x8D\x80\x80\x80\x00" . fixed32(77, 1) . fixed64(78, 1) . bytes_field(79, "\xFF") . int_field(80, 1))) . fixed32(60, 1)) . bytes_field(9, 'x'))->{status},
	200, 'what is not known is passed over');
is(row_of($node)->{data}{json}{severity_number}, 13, 'and an integer of too many bytes is read');

# Many records of several scopes: each has what surrounds it.
clear();
my $many = '';
for my $r (1 .. 3)
{
	my $scopes = '';
	for my $s (1 .. 2)
	{
		$scopes .= bytes_field(2, bytes_field(1, bytes_field(1, "scope $r.$s")) . scope_logs(map { bytes_field(5, text("$r.$s.$_")) } 1 .. 50));
	}
	$scopes .= bytes_field(2, scope_logs(bytes_field(5, text("$r.none.1"))));
	$many .= bytes_field(1, $scopes . bytes_field(1, attributes(1, n => int_field(3, $r))));
}
$many .= request(bytes_field(5, text('none.none.1')));
is(send_protobuf($many)->{status}, 200, 'many records');
is(count_of($node), 304, 'are all there');
is(count_of($node, q(coalesce(data->'otlp'->'resource'->'attributes'->>'n', 'none') = split_part(data->'json'->>'body', '.', 1)
	AND coalesce(replace(data->'otlp'->'scope'->>'name', 'scope ' || split_part(data->'json'->>'body', '.', 1) || '.', ''), 'none') = split_part(data->'json'->>'body', '.', 2))),
	304, 'each with its own resource and scope');

#
# What is bad
#

sub nested
{
	my ($levels) = @_;
	my $value = text('x');
	$value = bytes_field(5, bytes_field(1, $value)) for 1 .. $levels;
	return $value;
}
clear();
is(send_protobuf(request(bytes_field(5, text('before')), bytes_field(5, nested(10000)), bytes_field(5, text('after'))))->{status}, 200, 'a value nested 10,000 deep');
is(count_of($node, q(data->'json'->>'body' IN ('before', 'after') AND status = 0)), 2, 'costs its neighbours nothing');
is(count_of($node, q(status = 422 AND data->>'error' ~ 'nested deeper' AND data->>'encoding' = 'base64' OR status = 422 AND data->>'error' ~ 'nested deeper')), 1, 'and is in quarantine');
clear();
is(send_protobuf(request(bytes_field(5, nested(500))))->{status}, 200, 'one nested 500 deep');
is(count_of($node, q(status = 0)), 1, 'is good');
clear();
is(send_protobuf(bytes_field(1, resource_logs(bytes_field(5, text('a')), bytes_field(5, text('b'))) . bytes_field(1, attributes(1, deep => nested(10000)))))->{status}, 200, 'a resource that is nested so deep');
is(count_of($node, q(status = 422 AND data->>'error' ~ 'resource' AND NOT data ? 'otlp')), 2, 'brings its records into quarantine');
clear();
my $deep_json = ('{"arrayValue":{"values":[' x 10000) . '{"stringValue":"x"}' . (']}}' x 10000);
is(post($port, qq({"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"before"}},{"body":$deep_json},{"body":{"stringValue":"after"}}]}]}]}), path => $path)->{status}, 200, 'the same in JSON');
is(count_of($node, q(status = 0)) . count_of($node, q(status = 422 AND data->>'raw' LIKE '{"body":{"arrayValue%')), '21', 'likewise');

clear();
is(send_protobuf(request(bytes_field(5, text('a')), "\x2A\x7F" . 'cut', "\x0B\x0C", bytes_field(5, bytes_field(1, "\xFF\xFE")), bytes_field(5, text("nul\0"))))->{status}, 200, 'records of which some are broken, or no text');
is(count_of($node, q(status = 422 AND data->>'error' ~ 'no LogRecord')), 2, 'what is none is in quarantine');
is(count_of($node, q(status = 0 AND data->'json'->>'body' IN ('a', U&'\FFFD\FFFD', U&'nul\FFFD'))), 3, 'what is no text is made some');
clear();
is(post($port, '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{"body":{"stringValue":}},17,{"body":{"intValue":"many"}},{"body":"plain"}]}]}]}', path => $path)->{status}, 200, 'JSON that is wrong within records');
is(count_of($node, q(status = 422 AND data->>'raw' IN ('{"body":{"stringValue":}}', '17'))), 2, 'brings these into quarantine');
is(count_of($node, q(status = 0 AND data->'json'->>'body' IN ('a', 'many', 'plain'))), 3, 'the others are as they are');

# A body as a whole.
for ([ 'cut off', substr(request(bytes_field(5, text('abc'))), 0, -1), 'application/x-protobuf' ], [ 'no protobuf', 'hello', 'application/x-protobuf' ],
	[ 'a group', "\x0B\x0C", 'application/x-protobuf' ], [ 'a broken resource', bytes_field(1, bytes_field(1, "\x0A\x05") . resource_logs(bytes_field(5, text('a')))), 'application/x-protobuf' ],
	[ 'JSON that is cut off', '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]', 'application/json' ],
	[ 'no JSON', 'hello', 'application/json' ], [ 'nothing', '', 'application/json' ], [ 'an array', '[]', 'application/json' ],
	[ 'an object in the place of an array', '{"resourceLogs":{}}', 'application/json' ], [ 'a lost comma', '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{} {}]}]}]}', 'application/json' ],
	[ 'rubbish behind it', '{"resourceLogs":[]} x', 'application/json' ])
{
	my ($name, $body, $type) = @$_;
	clear();
	my $answer = send_protobuf($body, type => $type);
	is($answer->{status}, 400, "$name is refused");
	is($answer->{headers}{'content-type'}, $type, 'in its own type');
	my $status = $type =~ /json/ ? json_of($answer) : do { my $f = fields($answer->{content}); { code => $f->{1}, message => $f->{2} } };
	is($status->{code}, 3, 'by a status with a code');
	like($status->{message}, qr/^the body is /, 'and a sentence');
	is(count_of($node), 0, 'nothing is stored');
}

# An empty request is well.
for ([ '', 'application/x-protobuf', '' ], [ '{}', 'application/json', '{}' ], [ '{"resourceLogs":[]}', 'application/json', '{}' ], [ '{"resourceLogs":null}', 'application/json', '{}' ],
	[ bytes_field(1, ''), 'application/x-protobuf', '' ], [ '{"resourceLogs":[{"scopeLogs":[]},{},null]}', 'application/json', '{}' ])
{
	my ($body, $type, $content) = @$_;
	my $answer = send_protobuf($body, type => $type);
	is("$answer->{status} $answer->{content}", "200 $content", 'an empty request of ' . length($body) . " bytes, $type, is taken");
}
is(count_of($node), 0, 'and nothing comes of it');

# What surrounds records must not become many times what was sent.
clear();
my $big = attributes(1, big => text('x' x 400_000));
is(send_protobuf(bytes_field(1, bytes_field(1, $big) . resource_logs(map { bytes_field(5, text($_)) } 1 .. 200)))->{status}, 200, 'a large resource of many records');
my ($good, $bad) = split /\|/, query(q{SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 422 AND data->>'error' ~ 'too large to be stored with each') FROM log});
is($good + $bad, 200, 'all are there');
cmp_ok($good * 400_000, '<=', 64 * 410_000, 'it is stored with as many as it may be');
cmp_ok($good, '>', 40, 'and with no fewer');

# A record that fits only without what surrounds it costs its neighbours nothing.
clear();
send_protobuf(bytes_field(1, bytes_field(1, attributes(1, a => text('x' x 1000))) . resource_logs(map { bytes_field(5, text($_)) } 'before', 'y' x (1024 * 1024 - 500), 'after')));
is(query(q{SELECT string_agg(coalesce(data->'json'->>'body', substr(data->>'error', 1, 55)), '|' ORDER BY data->>'id') FROM log}),
	'before|with its resource and scope the event is larger than wi|after', 'a record that is too large by its resource');
is(count_of($node, q(data->'otlp'->'resource'->'attributes' ? 'a')), 3, 'each has its resource');

# Nor is a resource looked at again and again that cannot be stored.
clear();
my $huge = '{"attributes":[{"key":"a","value":{"stringValue":"' . 'x' x 200_000 . '"}},{"key":"n","value":{"doubleValue":1e99999}}]}';
my $body = qq({"resourceLogs":[{"resource":$huge,"scopeLogs":[) . join(',', ('{"logRecords":[{}]}') x 1000) . ']}]}';
is(send_protobuf($body, type => 'application/json')->{status}, 200, 'a large resource that cannot be stored, of many scopes');
my ($unfit, $too_large) = split /\|/, query(q{SELECT count(*) FILTER (WHERE data->>'error' ~ 'holds what cannot be stored'), count(*) FILTER (WHERE data->>'error' ~ 'too large to be stored with each') FROM log WHERE status = 422});
is($unfit + $too_large, 1000, 'all are in quarantine');
cmp_ok($unfit, '<=', 16 * 1024 * 1024 / 200_000 + 1, 'and it was not looked at for each of them');

#
# Around it
#

my $one = request(bytes_field(5, text('one')));
is(post($port, $one, type => 'application/x-protobuf', path => '/tenant/a/v1/logs')->{status}, 200, 'a path may stand before');
is(post($port, $one, type => 'application/x-protobuf', path => '/v1/logs/')->{status}, 200, 'and a slash behind');
is(http($port, 'GET', $path)->{status}, 405, 'GET is refused');
is(send_protobuf($one, headers => { 'Content-Encoding' => $_ })->{status}, 415, "the coding $_ is refused") for qw(lz4 br);
is(send_protobuf("\x12$one", headers => { 'Content-Encoding' => 'snappy' })->{status}, 400, 'what is no snappy is refused');
# 120 bytes, of which the first 40 are a literal: its first bytes are those of zlib.
clear();
my $padded = request(bytes_field(5, text('y' x (120 - 8 - 2))));
is(length $padded, 120, 'a block of snappy that begins as zlib does');
my $snappy = "\x78\x9C" . substr($padded, 0, 40) . "\xF0\x4F" . substr $padded, 40;
is(send_protobuf($snappy, headers => { 'Content-Encoding' => 'snappy' })->{status}, 200, 'is snappy where it is said to be');
is(count_of($node, q(data->'json'->>'body' ~ '^y+$')), 1, 'and stored');

for my $signal (qw(traces metrics))
{
	for (1 .. 5)
	{
		my $answer = send_protobuf('x', path => "/v1/$signal");
		is($answer->{status}, 404, "$signal are not stored");
		my $status = fields($answer->{content});
		is($status->{1}, 5, 'there is no such thing');
		like($status->{2}, qr/only logs are stored here, no $signal: set OTEL_\U$signal\E_EXPORTER=none/, 'and it is said what to do');
	}
	is(query("SELECT count(*) || ' ' || sum(times) FROM windtrap.refused WHERE path = '/v1/$signal'"), '1 5', 'what comes again and again is remembered once');
}
like(json_of(post($port, '{}', path => '/v1/traces'))->{message}, qr/OTEL_TRACES_EXPORTER=none/, 'in JSON likewise');
is(send_protobuf('x', path => '/v1development/profiles')->{status}, 404, 'nor are profiles');

# What the table refuses, and what stands in for it as well, is nowhere: its sender is told.
clear();
query(q{ALTER TABLE log ADD CONSTRAINT polite CHECK (data::text NOT LIKE '%damn%')});
my @mixed = map { bytes_field(5, text($_)) } 'fine', 'damn', 'well';
my $answer = send_protobuf(request(@mixed));
is($answer->{status}, 200, 'records of which the table refuses one');
my $partial = fields(fields($answer->{content})->{1});
is($partial->{1}, 1, 'one is said to be rejected');
like($partial->{2}, qr/the log table refuses this event: .*polite/, 'and why');
$answer = post_json($port, { resourceLogs => [ { scopeLogs => [ { logRecords => [ map { { body => { stringValue => $_ } } } 'fine', 'damn', 'damn' ] } ] } ] }, path => $path);
$partial = json_of($answer)->{partialSuccess};
is($partial->{rejectedLogRecords}, '2', 'in JSON, a string');
like($partial->{errorMessage}, qr/polite/, 'likewise');
is(count_of($node), 3, 'the others are stored');
query(q{ALTER TABLE log DROP CONSTRAINT polite});

# Errors that are the same in all protocols, in these words.
query(q{ALTER TABLE log RENAME TO elsewhere});
$answer = send_protobuf($one);
is("$answer->{status} $answer->{headers}{'retry-after'} " . fields($answer->{content})->{1}, '503 1 14', 'without a table it is to be tried again, soon');
query(q{ALTER TABLE elsewhere RENAME TO log});
alter_system($node, 'windtrap.max_body_size' => '1kB');
for my $coding (undef, 'gzip')
{
	my $body = request(bytes_field(5, text('z' x 2000)));
	$body = Compress::Zlib::memGzip($body) if $coding;
	# The worker may not know of the new limit yet.
	ok(wait_for(sub { ($answer = send_protobuf($body, headers => { $coding ? ('Content-Encoding' => $coding) : () }))->{status} == 413 }),
		'a body is too large, ' . ($coding ? 'inflated' : 'as it is'));
	is(fields($answer->{content})->{1}, 8, 'in its words');
}
my $token = query(q{SELECT windtrap.create_token('otel')});
alter_system($node, 'windtrap.max_body_size' => undef, 'windtrap.auth' => 'token');
$answer = send_protobuf($one);
is("$answer->{status} " . fields($answer->{content})->{1}, '401 16', 'without a token it is refused');
is(send_protobuf($one, headers => { Authorization => "Bearer $token" })->{status}, 200, 'with one it is taken');
is(send_protobuf('x', path => '/v1/traces', headers => { Authorization => "Bearer $token" })->{status}, 404, 'which gives no traces either');

done_testing();
