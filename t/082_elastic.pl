# Elasticsearch and OpenSearch: _bulk, single documents, and what their clients ask before they
# send.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Compress::Zlib ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

# Without keys, which are for the end: what is looked at here comes again and again.
my $node = wt_node('elastic', conf => "windtrap.idempotency_window = 0\n");
my $port = wt_port($node);
my $ndjson = 'application/x-ndjson';

sub truncate_log { return $node->safe_psql('postgres', 'TRUNCATE log, windtrap.idempotency_key'); }

# Sends lines (JSON, or something to be encoded) as a body of _bulk.
sub bulk
{
	my ($lines, %o) = @_;
	my $json = JSON::PP->new->canonical->utf8;
	my $body = join '', map { (ref $_ ? $json->encode($_) : $_) . "\n" } @$lines;

	return post($port, $body, path => '/_bulk', type => $ndjson, %o);
}

# The items of an answer, each as [op, what is said of it].
sub items
{
	my ($answer) = @_;
	return map { [ %$_ ] } @{ json_of($answer)->{items} // [] };
}

# That an answer is a success, of so many items, and says of each what its row has.
sub is_stored
{
	my ($answer, $n, $name) = @_;

	is($answer->{status}, 200, "$name: it is taken") or diag $answer->{content};
	is($answer->{headers}{'x-elastic-product'}, 'Elasticsearch', "$name: by what says that it is Elasticsearch");
	like($answer->{content}, qr/\A\{"took":1,"errors":false,"items":\[/, "$name: the answer is compact, without errors");
	my @items = items($answer);
	is(scalar @items, $n, "$name: an item an action");
	my @rows = rows($node);
	is(scalar @rows, $n, "$name: and a row");
	is_deeply([ map { $_->[1]{_id} } @items ], [ map { $_->{data}{elastic}{id} } @rows ], "$name: the answer has the ids of the rows, in order");
	is_deeply([ map { $_->[1]{_index} } @items ], [ map { $_->{data}{elastic}{index} // '' } @rows ], "$name: and their indexes");
	return @rows;
}

# Real clients: the body of a capture, as it is when it is unpacked.
sub body_of
{
	my ($name) = @_;
	my ($head, $body) = capture($name) =~ /^(.*?\r\n)\r\n(.*)$/s;

	if ($head =~ /^Transfer-Encoding: chunked/mi)
	{
		my $whole = '';
		while ($body =~ s/^([0-9a-f]+)\r\n//i && hex $1 > 0)
		{
			$whole .= substr $body, 0, hex $1, '';
			$body =~ s/^\r\n//;
		}
		$body = $whole;
	}
	$body = Compress::Zlib::memGunzip($body) if $head =~ /^Content-Encoding: gzip/mi;
	return $body;
}

my $n_captures = 0;
for my $name (grep { capture($_) =~ m{^(?:POST|PUT) (?:/[^/ ]+)?/_bulk[ ?]} } captures(''))
{
	my @lines = map { JSON::PP->new->utf8->decode($_) } grep { /\S/ } split /\n/, body_of($name);
	my @actions = @lines[ grep { $_ % 2 == 0 } 0 .. $#lines ];
	my @documents = @lines[ grep { $_ % 2 == 1 } 0 .. $#lines ];
	my ($in_path) = capture($name) =~ m{^\S+ /([^/ ]+)/_bulk};

	$n_captures++;
	truncate_log();
	my $answer = replay($port, $name);
	my @rows = is_stored($answer, scalar @actions, $name);
	is_deeply([ map { $_->{data}{json} } @rows ], \@documents, "$name: its documents, as they were sent");
	is_deeply([ map { $_->[0] } items($answer) ], [ map { (grep { /^(index|create)$/ } keys %$_)[0] } @actions ], "$name: ops as they were sent");
	for my $i (0 .. $#rows)
	{
		my ($op) = grep { /^(index|create)$/ } keys %{ $actions[$i] };
		my $said = $actions[$i]{$op};
		my $own = $documents[$i]{'@timestamp'};
		is($rows[$i]{data}{protocol}, 'elastic', 'it says what it is');
		is($rows[$i]{data}{elastic}{index}, $said->{_index} // $in_path, 'its index');
		is($rows[$i]{data}{elastic}{op}, $op, 'its op');
		is($rows[$i]{data}{elastic}{id}, $said->{_id}, 'its id') if defined $said->{_id};
		like($rows[$i]{data}{elastic}{id}, qr/\A[A-Za-z0-9_-]{20}\z/, 'an id as Elasticsearch makes them') if !defined $said->{_id};
		next if !defined $own;
		is($rows[$i]{time}, $node->safe_psql('postgres', "SELECT (extract(epoch FROM '$own'::timestamptz) * 1000000)::bigint"), 'its time is its own')
		  if $own !~ /\.\d{7}/;
		ok(!exists $rows[$i]{data}{note}, 'and there is nothing to note');
	}
}
cmp_ok($n_captures, '>=', 37, 'bodies of many clients');

for my $name (grep { capture($_) =~ m{^POST /logs-shop/(_doc|events) } } captures(''))
{
	truncate_log();
	my $answer = replay($port, $name);
	is($answer->{status}, 201, "$name: a document is created");
	my $row = row_of($node);
	is_deeply($row->{data}{json}, JSON::PP->new->utf8->decode(body_of($name)), 'as it was sent');
	is_deeply($row->{data}{elastic}, { index => 'logs-shop', op => 'index', id => json_of($answer)->{_id} }, 'with the id of the answer');
	like($answer->{content}, qr/\A\{"_index":"logs-shop","_id":"[A-Za-z0-9_-]{20}","_version":1,"result":"created",/, 'which is as clients want it');
}
for my $name (grep { capture($_) =~ m{^(?:GET|HEAD) .*(?:elastic|es)}s } grep { /es/ } captures(''))
{
	my $answer = replay($port, $name);
	is($answer->{status}, 200, "$name: the question is answered");
	is($answer->{headers}{'x-elastic-product'}, 'Elasticsearch', 'by what says that it is Elasticsearch');
}

# What an action may say.
{
	truncate_log();
	my $long = 'x' x 513;
	my @lines = (
		{ index => { _index => 'a', _id => 'one', _type => '_doc', routing => 'r', pipeline => undef } }, { n => 1 },
		'{"create":{"_index":"b","_id":2,"require_alias":true},"attempts":3}', { n => 2 },
		{ update => { _index => 'c', _id => 'three', _routing => 'q' } }, { doc => { n => 3 } },
		{ delete => { _index => 'd', _id => 'four' } },
		{ index => { _id => 'five' } }, { n => 5 },
		'{"index":null}', { n => 6 },
		'{"attempts":1,"create":{}}', '  {"n":7}  ',
		'', " \t", '{"create":{"_id":""}}', "\r", '{"n":8}',
		{ index => { _index => 'a', _id => $long } }, { n => 9 });
	my $answer = bulk(\@lines);
	my @rows = is_stored($answer, 9, 'all kinds of actions');
	is(join(' ', map { $_->[0] . ':' . $_->[1]{result} . ':' . $_->[1]{status} } items($answer)),
		'index:created:201 create:created:201 update:updated:200 delete:deleted:200' . ' index:created:201 index:created:201 create:created:201 create:created:201 index:created:201',
		'each has the result of its op');
	is_deeply($rows[0]{data}{elastic}, { index => 'a', id => 'one', op => 'index', routing => 'r' }, 'what else is said is kept, but for types and what is null');
	is_deeply($rows[1]{data}{elastic}, { index => 'b', id => '2', op => 'create', require_alias => JSON::PP::true }, 'a number is an id as well');
	is_deeply($rows[2]{data}{elastic}, { index => 'c', id => 'three', op => 'update', routing => 'q' }, 'an update');
	is_deeply($rows[2]{data}{json}, { doc => { n => 3 } }, 'is stored as it was sent');
	is_deeply($rows[3]{data}{json}, { delete => { _index => 'd', _id => 'four' } }, 'a delete is an event: its action');
	is_deeply([ map { $_->{data}{json}{n} } @rows[ 4 .. 8 ] ], [ 5 .. 9 ], 'documents belong to their actions, blank lines or not');
	is($rows[8]{data}{elastic}{id}, $long, 'a long id');
	is(scalar(grep { $_->{status} != 0 } @rows), 0, 'all of them are good');
}

# Actions that are repeated, and others between them.
{
	truncate_log();
	my ($n, @lines) = (0);
	for my $action (
		('{"create":{}}') x 3, '{"create":{"_id":"own"}}', ('{"create":{}}') x 2, ('{"index":{"_index":"other"}}') x 3,
		'{"create":{"_id":"a"}}', '{"create":{"_id":"b"}}', ('{"create":{}}') x 3)
	{
		push @lines, $action, { n => ++$n };
	}
	my $answer = bulk(\@lines);
	my @rows = is_stored($answer, $n, 'repeated actions');
	my %ids = map { $_->{data}{elastic}{id} => 1 } @rows;
	is(scalar keys %ids, $n, 'each has an id of its own');
	is_deeply([ map { $_->[0] } items($answer) ], [ map { $_->{data}{elastic}{op} } @rows ], 'and an item of its op');
}

# Members of an action that are called as ours are.
truncate_log();
bulk([ '{"index":{"_index":"i","id":"x","op":"y","index":"z","op":"w"}}', {} ]);
is_deeply([ @{ row_of($node)->{data}{elastic} }{qw(index op)} ], [qw(i index)], 'ours count');

# Paths.
for (
	[ 'POST', '/logs-a/_bulk', 'logs-a' ], [ 'PUT', '/logs-a/_bulk?refresh=true&pipeline=p', 'logs-a' ], [ 'POST', '/old/type/_bulk', 'old' ],
	[ 'POST', '/%3Clogs-%7Bnow%2Fd%7D%3E/_bulk', '<logs-{now/d}>' ], [ 'POST', '/a%22%5C%0A%01b/_bulk', "a\"\\\n\x01b" ], [ 'POST', '/gr%C3%BC%C3%9Fe/_bulk', "gr\xFC\xDFe" ],
	[ 'POST', '/bad%FFend/_bulk', "bad\x{FFFD}end" ], [ 'POST', '//_bulk', undef ],
	[ 'POST', '/_monitoring/bulk?system_id=beats', undef ],
	[ 'POST', '/' . 'x' x 255 . '/_bulk', 'x' x 255 ])
{
	my ($method, $path, $index) = @$_;
	truncate_log();
	my $answer = http($port, $method, $path, body => qq({"create":{}}\n{"x":1}\n), headers => { 'Content-Type' => $ndjson });
	my ($row) = is_stored($answer, 1, "$method $path");
	is($row->{data}{elastic}{index}, $index, 'the index of the path');
}
for (
	[ 'POST', '/i/_doc', 'index', undef ], [ 'POST', '/i/_doc/7%22', 'index', '7"' ], [ 'PUT', '/i/_doc/8', 'index', '8' ], [ 'PUT', '/i/_create/9', 'create', '9' ],
	[ 'POST', '/i/_create/10?refresh', 'create', '10' ], [ 'PUT', '/i/_doc/11?op_type=create', 'create', '11' ])
{
	my ($method, $path, $op, $id) = @$_;
	truncate_log();
	my $answer = http($port, $method, $path, body => qq({\n "x": 1,\n "\@timestamp": 1700000000123\n}\n), headers => { 'Content-Type' => 'application/json' });
	is($answer->{status}, 201, "$method $path");
	my $row = row_of($node);
	is_deeply($row->{data}{elastic}, { index => 'i', op => $op, id => $id // json_of($answer)->{_id} }, 'what the path says');
	is(json_of($answer)->{_id}, $row->{data}{elastic}{id}, 'the answer has its id');
	is($row->{time}, 1700000000123000, 'ms are a time');
}
for my $path ('/' . 'x' x 256 . '/_bulk', '/v1/things', '/api/things', '/loki/things', '/services/things', '/i/_docs', '/i/_update/1', '/_doc', '/_bulks')
{
	is(post($port, '{"x":1}', path => $path)->{status}, 404, 'POST ' . substr($path, 0, 20) . ': no success where nothing is stored');
}
is(post($port, '{"x":1}', path => '/logs/things', type => 'text/plain')->{status}, 404, 'nor for a body that is not said to be JSON');
is(post($port, "{}\n{}\n", path => '/_template/x', type => $ndjson)->{status}, 404, 'nor for lines sent to what is set up');

# Times.
truncate_log();
my @times = ([ '2026-11-26T10:20:11.651+0000', 1795688411651000 ], [ '2026-11-26T10:09:16.648043888Z', 1795687756648043 ], [ '2026-11-26 10:09:16,5', 1795687756500000 ], [ 1700000000123, 1700000000123000 ]);
bulk([ map { ({ create => { _index => 't' } }, { '@timestamp' => $_->[0] }) } @times ]);
is_deeply([ map { $_->{time} } rows($node) ], [ map { $_->[1] } @times ], 'times as clients write them');
truncate_log();
bulk([ { create => {} }, { time => '2020-01-01T00:00:00Z' }, { create => {} }, { '@timestamp' => 'soon' } ]);
is_deeply([ map { abs($_->{time} / 1e6 - time) < 60 ? 'now' : $_->{time} } rows($node) ], [ 'now', 'now' ], 'no time, or none that can be read: when it came');
like((rows($node))[1]{data}{note}, qr/cannot be read: soon/, 'which is noted');

# What is bad costs nothing but itself, and its sender is told success.
sub is_quarantined
{
	my ($lines, $n, $bad, $name) = @_;
	truncate_log();
	my $answer = bulk($lines);
	my @rows = is_stored($answer, $n, $name);
	is_deeply([ map { $_->{data}{raw} } grep { $_->{status} == 422 } @rows ], $bad, "$name: what is in quarantine");
	is(scalar(grep { $_->[1]{status} >= 400 } items($answer)), 0, "$name: no item is an error");
	return @rows;
}

my @good = ('{"create":{"_index":"g","_id":"1"}}', '{"good":1}');
my @rows = is_quarantined([ @good, '{"create":{"_index":"x","_id":"2"}}', '{"bad":', @good ], 3, ['{"bad":'], 'a document that is no JSON');
is_deeply($rows[1]{data}{elastic}, { index => 'x', id => '2', op => 'create' }, 'its action is beside it');
is_deeply([ map { $_->{data}{json} } @rows[ 0, 2 ] ], [ { good => 1 }, { good => 1 } ], 'its neighbours are good');
is_quarantined([ @good, '{"create":{"_index":"x"}}' ], 2, ['{"create":{"_index":"x"}}'], 'an action without a document at the end');
@rows = is_quarantined([ '{"create":{"_index":"x"}}', @good, @good ], 3, ['{"create":{"_index":"x"}}'], 'one in between');
is_deeply([ map { $_->{data}{json} } @rows[ 1, 2 ] ], [ { good => 1 }, { good => 1 } ], 'takes no document of another');
is_quarantined([ '{"create":{}}', '{"index":{"_index":"x"}}', @good ], 2, [], 'a document that looks like an action');
is_quarantined([ @good, '{"message":"no action"}', @good ], 3, ['{"message":"no action"}'], 'a document without an action');
is_quarantined([ @good, '{"create":{"_index":', '{"x":1}', @good ], 3, ["{\"create\":{\"_index\":\n{\"x\":1}"], 'an action that is no JSON, with its document');
is_quarantined([ @good, 'garbage', @good, '{"index":5}', '{"y":1}', '[1]' ], 5, [ 'garbage', "{\"index\":5}\n{\"y\":1}", '[1]' ], 'garbage');
is_quarantined([ "{\"create\":{\"_id\":\"a\x01b\"}}", '{"x":1}', @good ], 2, ["{\"create\":{\"_id\":\"a\x01b\"}}\n{\"x\":1}"], 'an id with a control character');

# Ids of all kinds; the answer stays JSON.
truncate_log();
@rows = is_stored(bulk([ "{\"create\":{\"_id\":\"q\\\"\\\\\\u0001\\n\"}}", { n => 1 }, "{\"create\":{\"_id\":\"\xFF\xC3\"}}", { n => 2 }, '{"create":{"_id":"\u0000\ud800"}}', { n => 3 } ]), 3, 'strange ids');
is_deeply([ map { $_->{data}{elastic}{id} } @rows ], [ "q\"\\\x01\n", "\x{FFFD}\x{FFFD}", "\x{FFFD}\x{FFFD}" ], 'what is no text in them is repaired');
is_deeply([ map { $_->{data}{repaired} } @rows ], [ undef, JSON::PP::true, JSON::PP::true ], 'which is said');
alter_system($node, 'windtrap.repair' => 'off');
ok(wait_for(sub {
	truncate_log();
	bulk([ "{\"create\":{\"_id\":\"\xFF\"}}", { n => 1 }, @good ]);
	return count_of($node, q(status = 422 AND data->>'raw' = '{"n":1}')) == 1;
}), 'without repairs the event is in quarantine');
is(count_of($node), 2, 'and its neighbour is good');
alter_system($node, 'windtrap.repair' => undef);
ok(wait_for(sub {
	truncate_log();
	bulk([ "{\"create\":{\"_id\":\"\xFF\"}}", { n => 1 } ]);
	return count_of($node, 'status = 0') == 1;
}), 'with repairs it is good');

# Long ones.
{
	my $n = 100000;
	truncate_log();
	my $body = join '', map { qq({"create":{}}\n{"n":$_}\n) } 1 .. $n;
	my $answer = post($port, $body, path => '/tiny/_bulk', type => $ndjson, timeout => 60);
	# By hand: it is long for a parser written in Perl.
	my @ids = $answer->{content} =~ /\{"create":\{"_index":"tiny","_id":"([^"]{20})","_version":1,"result":"created","status":201\}\}[,\]]/g;
	my %ids = map { $_ => 1 } @ids;
	is(scalar @ids, $n, '100,000 actions, each with an item');
	ok($answer->{content} eq '{"took":1,"errors":false,"items":[' . join(',', map { qq({"create":{"_index":"tiny","_id":"$_","_version":1,"result":"created","status":201}}) } @ids) . ']}', 'and nothing else');
	is(scalar keys %ids, $n, 'each has an id of its own');
	is(count_of($node), $n, 'all are stored');
	is($node->safe_psql('postgres', q(SELECT count(DISTINCT data->'elastic'->>'id') FROM log)), $n, 'each row with its own');
	is($node->safe_psql('postgres', qq(SELECT data->'json'->'n' FROM log WHERE data->'elastic'->>'id' = '$ids[70000]')), 70001, 'the answer tells which');

	truncate_log();
	my $long = '{"create":{"_id":"' . 'x' x (15 * 1024 * 1024) . '"}}';
	$answer = bulk([ $long, { n => 1 }, @good ], timeout => 60);
	is_deeply([ map { $_->[1]{status} } items($answer) ], [ 201, 201 ], 'an action of 15 MB');
	is($node->safe_psql('postgres', q(SELECT string_agg(status || ':' || left(data->>'error', 52), ' ' ORDER BY status) FROM log)),
		'422:the action is larger than windtrap.max_event_size, 1', 'is in quarantine');
	is(count_of($node, q(status = 422 AND length(data->>'raw') = ) . (length($long) + 1 + length '{"n":1}')), 1, 'with its document, all of it');
	is(count_of($node, q(data->'json'->>'good' = '1')), 1, 'and costs nobody else');
}

# What the table refuses is in quarantine, with its own action.
$node->safe_psql('postgres', q{ALTER TABLE log ADD CONSTRAINT log_check CHECK (data->'json'->>'n' IS DISTINCT FROM '2')});
truncate_log();
my $refused = bulk([ map { ({ create => { _index => "i$_", _id => "id$_" } }, { n => $_ }) } 1 .. 3 ]);
is(scalar(grep { $_->[1]{status} == 201 } items($refused)), 3, 'an event that the table refuses is in quarantine');
is($node->safe_psql('postgres', q(SELECT data->>'raw', data->'elastic'->>'id', data->'elastic'->>'index' FROM log WHERE status = 422)), '{"n":2}|id2|i2', 'with what its own action says');
truncate_log();
$node->safe_psql('postgres', q{ALTER TABLE log DROP CONSTRAINT log_check; ALTER TABLE log ADD CONSTRAINT log_check CHECK (status = 0 AND data->'json'->>'n' IS DISTINCT FROM '2')});
truncate_log();
$refused = bulk([ map { ({ create => {} }, { n => $_ }) } 1 .. 3 ]);
is($refused->{status}, 400, 'one that it refuses even so is an error');
like(json_of($refused)->{error}{reason}, qr/\A1 of 3 events are not stored, for the log table refuses them: /, 'and its sender is told');
$node->safe_psql('postgres', q{ALTER TABLE log DROP CONSTRAINT log_check});

# Refusals, in Elasticsearch's words.
sub is_refused
{
	my ($answer, $status, $type, $reason, $name) = @_;
	my $json = json_of($answer);

	is($answer->{status}, $status, "$name: $status");
	is($answer->{headers}{'x-elastic-product'}, 'Elasticsearch', "$name: by Elasticsearch");
	is($json->{status}, $status, "$name: which the body says too");
	is($json->{error}{type}, $type, "$name: its type");
	like($json->{error}{reason} // '', $reason, "$name: its reason");
	is_deeply($json->{error}{root_cause}, [ { type => $json->{error}{type}, reason => $json->{error}{reason} } ], "$name: its root");
}

is_refused(bulk(['hello', 'world']), 400, 'parse_exception', qr/no line of the body is a JSON object/, 'text');
is_refused(bulk([ '', ' ' ]), 400, 'parse_exception', qr/body is required/, 'an empty body');
is_refused(post($port, '', path => '/i/_doc'), 400, 'parse_exception', qr/body is required/, 'no document');
is_refused(post($port, '{"x":"' . 'x' x 1100000 . '"}', path => '/i/_doc'), 413, 'content_too_large_exception', qr/max_event_size/, 'a long document');
is_refused(http($port, 'GET', '/_bulk'), 405, 'illegal_argument_exception', qr/takes POST, PUT/, 'GET of _bulk');
is_refused(bulk(\@good, headers => { 'Content-Encoding' => 'br' }), 415, 'media_type_header_exception', qr/Content-Encoding/, 'an unknown compression');
is_refused(http($port, $_->[0], $_->[1]), 404, 'resource_not_found_exception', qr/read them in SQL/, "@$_")
  for [ 'GET', '/_search' ], [ 'GET', '/logs/_search' ], [ 'GET', '/_count' ], [ 'GET', '/logs/_doc/1' ], [ 'GET', '/logs/_mget' ];
is_refused(post($port, '{"query":{"match_all":{}}}', path => '/logs/_search'), 404, 'resource_not_found_exception', qr/read them in SQL/, 'POST of a search');
is_refused(post($port, '{"query":{"match_all":{}}}', path => '/logs/_delete_by_query'), 404, 'resource_not_found_exception', qr/read them in SQL/, 'a delete by query');
truncate_log();
is(post($port, '{"x":', path => '/i/_doc/1')->{status}, 201, 'a document that is no JSON is taken');
is(count_of($node, q(status = 422 AND data->>'raw' = '{"x":' AND data->'elastic'->>'id' = '1')), 1, 'and in quarantine');

# filter_path.
for (
	[ 'errors,items.*.error', '{"errors":false}' ], [ 'errors%2Citems.*.error.type', '{"errors":false}' ], [ 'took', '{"took":1}' ], [ 'items.*.error', '{}' ],
	[ 'errors,items.*.error,items.*.status', '{"errors":false,"items":[{"create":{"status":201}},{"delete":{"status":200}}]}' ],
	[ 'items.*._id', '{"items":[{"create":{"_id":"1"}},{"delete":{"_id":"2"}}]}' ],
	[ 'items', '{"items":[{"create":{"_index":"g","_id":"1","_version":1,"result":"created","status":201}},{"delete":{"_index":"","_id":"2","_version":1,"result":"deleted","status":200}}]}' ])
{
	is(bulk([ @good, '{"delete":{"_id":"2"}}' ], path => "/_bulk?filter_path=$_->[0]")->{content}, $_->[1], "filter_path=$_->[0]");
}
like(bulk(\@good, path => "/_bulk?filter_path=$_")->{content}, qr/\A\{"took":1,"errors":false,"items":\[\{"create":\{"_index"/, "filter_path=$_: all") for '-took', '**.status', '';

# What clients ask.
for (
	[ '/', sub { $_[0]{version}{number} =~ /^8\./ && $_[0]{tagline} eq 'You Know, for Search' && $_[0]{version}{build_flavor} eq 'default' && $_[0]{cluster_name} && $_[0]{cluster_uuid} && $_[0]{name} } ],
	[ '/_cluster/health?wait_for_status=yellow', sub { $_[0]{status} eq 'green' } ],
	[ '/_license?human=false', sub { $_[0]{license}{status} eq 'active' && $_[0]{license}{type} eq 'basic' && $_[0]{license}{uid} } ],
	[ '/_xpack', sub { $_[0]{license}{status} eq 'active' } ],
	[ '/_ilm/policy/filebeat', sub { $_[0]{filebeat}{policy} } ],
	[ '/_index_template/logs', sub { $_[0]{index_templates}[0]{name} eq 'logs' } ],
	[ '/_component_template/c', sub { $_[0]{component_templates}[0]{name} eq 'c' } ],
	[ '/_template/a%22b', sub { $_[0]{'a"b'} } ],
	[ '/_ingest/pipeline/p', sub { $_[0]{p}{processors} } ],
	[ '/_data_stream/d', sub { $_[0]{data_streams}[0]{name} eq 'd' } ],
	[ '/_nodes/http', sub { $_[0]{nodes}{windtrap}{http}{publish_address} eq "127.0.0.1:$port" } ],
	[ '/_alias/x', sub { ref $_[0] } ], [ '/_logstash/pipeline', sub { ref $_[0] } ], [ '/logs/_mapping', sub { ref $_[0] } ], [ '/_anything/else', sub { ref $_[0] } ])
{
	my ($path, $check) = @$_;
	my $answer = http($port, 'GET', $path);
	is($answer->{status}, 200, "GET $path");
	is($answer->{headers}{'x-elastic-product'}, 'Elasticsearch', 'says what it is');
	ok(eval { $check->(JSON::PP->new->utf8->decode($answer->{content})) }, 'and answers as clients want it') or diag $answer->{content};
}
like(http($port, 'GET', '/_cat/health')->{content}, qr/green/, 'GET /_cat/health');
is(http($port, 'HEAD', $_)->{status}, 200, "HEAD $_") for '/', '/_index_template/x', '/_template/x', '/_data_stream/x', '/logs-shop', '/_bulk', '/_alias/x', '/_anything';
is(http($port, 'HEAD', $_)->{status}, 404, "HEAD $_: no document") for '/logs-shop/_doc/1';
for ([ 'PUT', '/_index_template/x' ], [ 'PUT', '/_ilm/policy/x' ], [ 'PUT', '/_ingest/pipeline/x' ], [ 'POST', '/_aliases' ], [ 'PUT', '/logs/_mapping' ], [ 'PUT', '/_data_stream/x' ], [ 'POST', '/_license/start_trial' ])
{
	my $answer = http($port, $_->[0], $_->[1], body => '{}', headers => { 'Content-Type' => 'application/json' });
	is($answer->{status}, 200, "@$_");
	is_deeply(json_of($answer), { acknowledged => JSON::PP::true }, 'is acknowledged');
}
truncate_log();
is(post($port, '{"own":1}', path => '/')->{status}, 200, q{POST / is WindTrap's own});
is(row_of($node)->{data}{protocol}, undef, 'and no event of Elasticsearch');
is(http($port, 'DELETE', '/_template/x')->{status}, 405, 'nothing is deleted');
is(http($port, 'GET', '/nothing')->{status}, 404, 'an index is nothing to look at');
is(http($port, 'OPTIONS', '/_bulk')->{headers}{allow}, 'POST, PUT, HEAD, OPTIONS', 'OPTIONS says what _bulk takes');

# Tokens, as clients have them; questions need none.
my $token = $node->safe_psql('postgres', q{SELECT windtrap.create_token('es')});
ok(wait_for(sub { bulk(\@good)->{status} == 401 }), 'a token is needed');
is_refused(bulk(\@good), 401, 'security_exception', qr/token/, 'no token');
is_refused(bulk(\@good, headers => { Authorization => 'ApiKey nonsense' }), 401, 'security_exception', qr/token/, 'a bad token');
for ("ApiKey $token", 'ApiKey ' . encode_base64("id:$token", ''), 'Basic ' . encode_base64("elastic:$token", ''), "Bearer $token")
{
	is(bulk(\@good, headers => { Authorization => $_ })->{status}, 200, 'a token as ' . (split)[0]);
}
is(http($port, $_->[0], $_->[1])->{status}, 200, "@$_ needs none") for [ 'GET', '/' ], [ 'HEAD', '/' ], [ 'GET', '/_cluster/health' ], [ 'GET', '/_license' ];
my $slow = $node->safe_psql('postgres', q{SELECT windtrap.create_token('slow', rate => 1)});
my @codes;
ok(wait_for(sub { push @codes, bulk(\@good, headers => { Authorization => "Bearer $slow" }); $codes[-1]{status} == 503 }), 'more than a token may send');
is_refused($codes[-1], 503, 'es_rejected_execution_exception', qr/slow down/, 'is to be sent again');
$node->safe_psql('postgres', q{DELETE FROM windtrap.token});
ok(wait_for(sub { bulk(\@good)->{status} == 200 }), 'no tokens: all may send');

# When nothing can be stored: 503, but silence for rsyslog, which would take it for an error.
$node->safe_psql('postgres', 'ALTER TABLE log RENAME COLUMN status TO other');
ok(wait_for(sub { bulk(\@good)->{status} == 503 }), 'nothing can be stored');
is_refused(bulk(\@good), 503, 'unavailable_shards_exception', qr/stored/, 'a batch');
is(bulk(\@good)->{headers}{'retry-after'}, 1, 'and may be sent again soon');
is(http($port, 'HEAD', '/')->{status}, 503, 'HEAD / says that it is not well');
is(http($port, 'GET', '/_cluster/health')->{status}, 503, 'and so does the health of the cluster');
is(http($port, 'GET', '/_cat/health')->{status}, 503, 'both of them');
is(http($port, 'GET', '/')->{status}, 200, 'who it is can be asked even so');
my $connection = connect_to($port);
$connection->request(join("\n", @good, ''), path => '/_bulk');
ok($connection->is_closed, 'without a User-Agent the connection is closed without an answer');
$node->safe_psql('postgres', 'ALTER TABLE log RENAME COLUMN other TO status');
ok(wait_for(sub { bulk(\@good)->{status} == 200 }), 'and taken again');
is(http($port, 'HEAD', '/')->{status}, 200, 'all is well');

# Compressed.
truncate_log();
is(post($port, Compress::Zlib::memGzip(join "\n", @good), path => '/_bulk', type => $ndjson, headers => { 'Content-Encoding' => 'gzip' })->{status}, 200, 'gzip');
is(count_of($node, q(data->'json'->>'good' = '1')), 1, 'is unpacked');

# Sent again: the index and the id of a create are its key, of an index its document too.
alter_system($node, 'windtrap.idempotency_window' => '1d');
ok(wait_for(sub {
	truncate_log();
	bulk([ @good ]) for 1, 2;
	return count_of($node) == 1;
}), 'a create that comes again is one row');
truncate_log();
bulk([ '{"index":{"_index":"k","_id":"1"}}', { n => 1 }, '{"create":{"_index":"k"}}', { n => 2 } ]) for 1, 2;
bulk([ '{"index":{"_index":"k","_id":"1"}}', { n => 3 } ]);
is(join(' ', sort map { $_->{data}{json}{n} } rows($node)), '1 2 2 3', 'an index is by its document, and what has no id is not');

done_testing();
