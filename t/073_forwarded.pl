# What another WindTrap forwards: whole rows are stored as they were there, with the hop that
# they have made, once each, and only from who may forward.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Compress::Zlib qw(memGzip);
use Test::More;

use OddDocuments;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $first = wt_node('first', conf => "windtrap.max_batch_events = 100000\n");
my $central = wt_node('central', conf => "windtrap.max_batch_events = 10000\n");
my ($from, $to) = (wt_port($first), wt_port($central));
my $type = 'application/vnd.windtrap.rows+ndjson';

sub query { return $central->safe_psql('postgres', $_[0]); }

# Sends lines; gives the status and the answer.
sub forward
{
	my ($lines, %o) = @_;
	my $body = ref $lines ? join('', map {"$_\n"} @$lines) : $lines;
	my $answer = post($o{port} // $to, $body, type => $type, %o);
	return ($answer->{status}, json_of($answer));
}

# The rows of a node as a forwarder writes them.
sub lines_of
{
	my ($node, $where) = @_;
	my $out = $node->safe_psql('postgres', <<"SQL");
SELECT format('{"event_timestamp":"%s","status":%s,"data":%s}',
	to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), status, data)
FROM log WHERE @{[ $where // 'true' ]} ORDER BY event_timestamp, data->>'id'
SQL
	return split /\n/, $out;
}

# What is in a log, without the way that it has come.
sub digest_of
{
	my ($node, $where) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(*), md5(string_agg(concat_ws('|', extract(epoch FROM event_timestamp), status, (data - 'via')::text), e'\\n' ORDER BY data->>'id')) FROM log WHERE "
		  . ($where // 'true'));
}

# A row of one's own.
sub row
{
	my ($id, %o) = @_;
	my $time = $o{time} // '2026-11-27T05:12:40.123456Z';
	my $status = $o{status} // 0;
	my $data = $o{data} // qq({"id":"$id","json":{"t":"row"}});
	return qq({"event_timestamp":"$time","status":$status,"data":$data});
}

sub rows_of { return query("SELECT count(*) FROM log WHERE data->>'id' = '$_[0]'"); }
sub quarantined { return query(q{SELECT count(*) FROM windtrap.quarantine WHERE data->>'protocol' = 'forwarded'}); }

# PostgreSQL::Test::Cluster gives nodes their names as cluster_name.
my $name = $central->name;

#
# What a first collector has, as it has it
#
my $odd = OddDocuments->new(15);
my @documents = map { $odd->document } 1 .. 400;
is(post($from, join('', map {"$_\n"} @documents), type => 'application/x-ndjson')->{status}, 200, 'odd documents');
is(post($from, "plain text\x{1}" x 10, type => 'text/plain')->{status}, 200, 'a text');
is(post($from, '[1,2,{"deep":' . '[' x 511 . ']' x 511 . '}]')->{status}, 200, 'as deep as may be');
is(post($from, qq({"t":1}\nnot JSON\n\xff\xfe\n{"n":1e99999}\n), type => 'application/x-ndjson')->{status}, 200, 'what goes into quarantine');
is(post($from, '{"short_message":"hello","level":3,"host":"vm","timestamp":1795687346.27}', path => '/gelf')->{status}, 202, 'another protocol');
my $long = '[' . join(',', (1) x 520_000) . ']';
is(post($from, qq({"long":$long}))->{status}, 200, 'an event as long as may be, whose text is longer');
my @lines = lines_of($first);
cmp_ok(scalar @lines, '>', 400, 'there are rows');
cmp_ok(length((sort { length $b <=> length $a } @lines)[0]), '>', 1_300_000, 'one is longer than an event may be');

my ($status, $answer) = forward(\@lines);
is($status, 200, 'they are taken');
is_deeply($answer, { accepted => scalar @lines, quarantined => 0, refused => 0, errors => [], collector => $name }, 'all as they are');
is(digest_of($central), digest_of($first), 'and are what they were there, to the byte');
is(query(q{SELECT count(*) FROM log WHERE jsonb_array_length(data->'via') = 1 AND data->'via'->0->>'ip' = '127.0.0.1' AND data->'via'->0->>'collector' = '} . $name . q{' AND abs(extract(epoch FROM now() - (data->'via'->0->>'time')::timestamptz)) < 60}),
	scalar @lines, 'each with its hop');
is(query(q{SELECT string_agg(k, ',') FROM log, jsonb_object_keys(data->'via'->0) AS k WHERE data->>'protocol' = 'gelf'}), 'ip,time,collector', 'and nothing else of it where the sender does not say who it is');
is(query(q{SELECT count(*) FROM windtrap.quarantine}), $first->safe_psql('postgres', 'SELECT count(*) FROM windtrap.quarantine'),
	'what was in quarantine there is in quarantine here');
for my $view (q{SELECT md5(string_agg((e.*)::text, '|' ORDER BY id)) FROM (SELECT event_timestamp, data->>'id' AS id, windtrap.severity(data), windtrap.app(data), windtrap.sender_host(data), windtrap.message(data) FROM log) AS e},
	q{SELECT count(*), min(event_timestamp) FROM windtrap.search('hello')})
{
	is(query($view), $first->safe_psql('postgres', $view), 'they are seen and found as there');
}

($status, $answer) = forward(\@lines);
is_deeply([ $status, $answer->{accepted} ], [ 200, scalar @lines ], 'once more');
is(digest_of($central), digest_of($first), 'they are there once');
is(query('SELECT sum(duplicates) FROM windtrap.stats'), scalar @lines, 'duplicates are counted');

#
# Compressed
#
my @packed = map { row("packed-$_") } 1 .. 3000;
my $body = join '', map {"$_\n"} @packed;
($status, $answer) = forward(memGzip($body), headers => { 'Content-Encoding' => 'gzip' });
is_deeply([ $status, $answer->{accepted} ], [ 200, 3000 ], 'gzip');
my $zstd = '';
SKIP: {
	skip 'no zstd', 2 if !eval { command('zstd', '--version') };
	IPC::Run::run([ 'zstd', '-q', '-c' ], '<', \($body =~ s/packed/zstd/gr), '>', \$zstd) or die;
	($status, $answer) = forward($zstd, headers => { 'Content-Encoding' => 'zstd' });
	is_deeply([ $status, $answer->{accepted} ], [ 200, 3000 ], 'zstd that does not say how long it is');
	is(query(q{SELECT count(*) FROM log WHERE data->>'id' LIKE 'zstd-%'}), 3000, 'is stored');
}
($status, $answer) = forward("\x28\xb5\x2f\xfd nonsense", headers => { 'Content-Encoding' => 'zstd' });
is($status, 400, 'what is broken is refused as a whole');

#
# Nothing to be stored: would it be taken?
#
my $probe = { accepted => 0, quarantined => 0, refused => 0, errors => [], collector => $name };
is_deeply([ forward('') ], [ 200, $probe ], 'an empty body asks');
is_deeply([ forward('', headers => { 'Content-Encoding' => 'zstd' }) ], [ 200, $probe ], 'whatever it says of its coding');
is_deeply([ forward("\n\n") ], [ 200, $probe ], 'and so do empty lines');

#
# Paths and types
#
is((forward([ row('path-1') ], path => $_))[0], 200, "POST $_") for '/', '/log/', '/log?a=b';
is((forward([ row('type-1') ], type => $type . '; charset=utf-8'))[0], 200, 'with a parameter');
is((forward([ row('type-2') ], type => uc $type))[0], 200, 'in capitals');
is((forward([ row('path-2') ], path => '/elsewhere'))[0], 404, 'not at other paths');
is(json_of(post($to, row('type-3') . "\n", type => 'application/x-ndjson'))->{accepted}, 1, 'another type is an event');
is(query(q{SELECT count(*) FROM log WHERE data->'json'->'data'->>'id' = 'type-3'}), 1, 'of what was sent');

#
# What is kept of a row
#
my %kept = (
	'a status' => [ status => 422 ],
	'a negative one' => [ status => -7 ],
	'the largest' => [ status => 2147483647 ],
	'a time of long ago' => [ time => '1999-12-31T23:59:59.999999Z' ],
	'one that is to come' => [ time => '2099-01-01T00:00:00Z' ],
	'one with an offset' => [ time => '2026-11-27T05:12:40.5+01:00' ],
);
for my $what (sort keys %kept)
{
	my $id = $what =~ tr/a-z//cdr;
	my %o = @{ $kept{$what} };
	($status, $answer) = forward([ row($id, %o) ]);
	is_deeply([ $status, $answer->{accepted} ], [ 200, 1 ], $what);
	is(query("SELECT status, event_timestamp = '" . ($o{time} // '2026-11-27T05:12:40.123456Z') . "', data ? 'note' FROM log WHERE data->>'id' = '$id'"),
		($o{status} // 0) . '|t|f', 'is kept, without a note');
}
forward([ row('way', data => '{"id":"way","via":[{"collector":"one"},{"collector":"two"}]}'), row('odd way', data => '{"id":"odd way","via":"one"}') ]);
is(query(q{SELECT jsonb_path_query_array(data->'via', '$[*].collector') FROM log WHERE data->>'id' = 'way'}), qq(["one", "two", "$name"]), 'a hop is added to those before');
is(query(q{SELECT data->'via'->0, jsonb_array_length(data->'via') FROM log WHERE data->>'id' = 'odd way'}), '"one"|2', 'and to what is no list');

# Of two hops.
my @via = lines_of($central, q{data->>'protocol' = 'gelf'});
is((forward(\@via, port => $from))[1]{accepted}, 1, 'what was forwarded is forwarded');
is($first->safe_psql('postgres', q{SELECT jsonb_array_length(data->'via'), data->'via'->0->>'collector', data->'via'->1->>'collector' <> '' FROM log WHERE data->>'protocol' = 'gelf' AND data ? 'via'}),
	"2|$name|t", 'with both hops');

#
# What is no row
#
my %bad = (
	'no JSON' => 'nonsense',
	'an array' => '[' . row('in an array') . ']',
	'no end' => '{"event_timestamp":"2026-11-27T05:12:40Z","status":0,"data":{"id":"no end"}',
	'bad data' => row('', data => '{"id":"bad data","json":nonsense}'),
	'no time' => '{"status":0,"data":{"id":"no time"}}',
	'a bad time' => row('', time => 'yesterday'),
	'an endless time' => row('', time => 'infinity'),
	'no status' => '{"event_timestamp":"2026-11-27T05:12:40Z","data":{"id":"no status"}}',
	'a status that is none' => row('', status => '"0"'),
	'one too large' => row('', status => '2147483648'),
	'one with a fraction' => row('', status => '0.5'),
	'no data' => '{"event_timestamp":"2026-11-27T05:12:40Z","status":0}',
	'data that are no object' => row('', data => '[{"id":"x"}]'),
	'no id' => row('', data => '{"json":{}}'),
	'an empty id' => row(''),
	'an id that is no text' => row('', data => '{"id":7}'),
	'a member too many' => '{"event_timestamp":"2026-11-27T05:12:40Z","status":0,"more":1,"data":{"id":"more"}}',
	'a member twice' => '{"event_timestamp":"2026-11-27T05:12:40Z","status":0,"status":1,"data":{"id":"twice"}}',
	'a NUL' => row('', data => '{"id":"nul","json":{"a":"\\u0000"}}'),
	'bytes that are no text' => row('', data => qq({"id":"bytes","json":{"a":"\xff"}})),
	'a number too long' => row('', data => '{"id":"number","json":{"a":1e99999}}'),
	'too deep' => row('', data => '{"id":"deep","json":' . '[' x 513 . ']' x 513 . '}'),
);
my @names = sort keys %bad;
my $good = 0;
my $before = quarantined();
($status, $answer) = forward([ row('before'), (map { $bad{$_} } @names), row('after') ]);
is($status, 200, 'rows and what are none');
is_deeply([ @$answer{qw(accepted quarantined refused)} ], [ 2, scalar @names, 0 ], 'are all there');
is(scalar @{ $answer->{errors} }, 10, 'the first errors are told');
is($answer->{errors}[0]{index}, 1, 'with where they are');
is(quarantined() - $before, scalar @names, 'what is none is in quarantine');
is(rows_of($_), 1, "the row $_ is stored") for 'before', 'after';
for my $bad (@names)
{
	my $hex = unpack 'H*', $bad{$bad};
	is(query("SELECT count(*) FROM windtrap.quarantine WHERE CASE encoding WHEN 'base64' THEN decode(raw, 'base64') ELSE convert_to(raw, 'UTF8') END = '\\x$hex'"),
		1, "$bad: as it was sent");
}
($status, $answer) = forward([ row('before'), (map { $bad{$_} } @names), row('after') ]);
is_deeply([ @$answer{qw(accepted quarantined refused)} ], [ 2, scalar @names, 0 ], 'sent again it is answered as before');
is(quarantined() - $before, scalar @names, 'and is in quarantine once');
is_deeply([ (forward('no row at all'))[0], quarantined() - $before ], [ 200, @names + 1 ], 'also where there is nothing else');

#
# What the table refuses
#
query(q{ALTER TABLE log ADD CONSTRAINT no_13 CHECK (status = 422 OR data->'json'->>'n' IS DISTINCT FROM '13') NOT VALID});
my $thirteen = row('13', status => 3, time => '2026-11-20T01:02:03.5Z', data => '{"id": "13", "json": {"n": 13}, "forwarded": {"not": "ours"}}');
$before = quarantined();
($status, $answer) = forward([ row('12'), $thirteen, row('14') ], headers => { 'WindTrap-Collector' => 'one; system=1; database=1' });
is_deeply([ $status, @$answer{qw(accepted quarantined refused)} ], [ 200, 2, 1, 0 ], 'a row that the table refuses');
like($answer->{errors}[0]{error}, qr/no_13/, 'why is told');
is(quarantined() - $before, 1, 'is in quarantine');
is(query(q{SELECT raw FROM windtrap.quarantine WHERE error LIKE '%no_13%'}), $thirteen, 'as it was sent');
is(query(q{SELECT data ? 'forwarded' FROM windtrap.quarantine WHERE error LIKE '%no_13%'}), 'f', 'with nothing of it beside');
forward([ $thirteen ]);
is(quarantined() - $before, 1, 'and once');
query(q{ALTER TABLE log ADD CONSTRAINT no_422 CHECK (status <> 422) NOT VALID});
($status, $answer) = forward([ row('15'), row('133', data => '{"id":"133","json":{"n":13}}'), 'no row' ]);
is_deeply([ $status, @$answer{qw(accepted quarantined refused)} ], [ 200, 1, 0, 2 ], 'where it refuses what stands in for them, too, they are nowhere');
query('ALTER TABLE log DROP CONSTRAINT no_13, DROP CONSTRAINT no_422');
is((forward([ row('133', data => '{"id":"133","json":{"n":13}}') ]))[1]{accepted}, 1, 'and are taken when they come again');
is(rows_of('133'), 1, 'then');

#
# Out of quarantine
#
my ($kept) = $central->safe_psql('postgres', q{SELECT data->>'id' FROM windtrap.quarantine WHERE error LIKE '%no_13%'});
is(query("SELECT count(*) FROM windtrap.retry_quarantined(ARRAY['$kept']) WHERE error IS NULL"), 1, 'when the table takes it');
is(query(q{SELECT status, event_timestamp = '2026-11-20T01:02:03.5Z', data - 'via', data->'via'->0->>'collector', data->'via'->0->>'ip', data->'via'->0->>'from' FROM log WHERE data->>'id' = '13'}),
	qq(3|t|{"id": "13", "json": {"n": 13}, "forwarded": {"not": "ours"}}|$name|127.0.0.1|one), 'it is the row that was sent');
is((forward([ $thirteen ]))[1]{accepted}, 1, 'which comes again');
is(rows_of('13'), 1, 'and is there once');
($kept) = query(q{SELECT data->>'id' FROM windtrap.quarantine WHERE raw = 'no row at all'});
like(query("SELECT error FROM windtrap.retry_quarantined('$kept', '{}')"), qr/no row of a collector/, 'what is no row');
like(query("SELECT error FROM windtrap.retry_quarantined('$kept', '@{[ row('x', time => 'nonsense') ]}')"), qr/nonsense/, 'or has no time');
is(query("SELECT count(*) FROM windtrap.quarantine WHERE data->>'id' = '$kept'"), 1, 'stays');
my $mended = row('mended', data => '{"id":"mended","via":[{"collector":"one"}]}');
is(query("SELECT error IS NULL FROM windtrap.retry_quarantined('$kept', '$mended')"), 't', 'what has been mended');
is(query(q{SELECT status, jsonb_path_query_array(data->'via', '$[*].collector') FROM log WHERE data->>'id' = 'mended'}), qq(0|["one", "$name"]), 'is stored');

#
# In pieces
#
my @many = map { row("many-$_") } 1 .. 12000;
is((forward(\@many))[0], 413, 'more than windtrap.max_batch_events');
alter_system($central, 'windtrap.max_batch_events' => 20000);
ok(wait_for(sub { ((forward(\@many))[1]{accepted} // 0) == 12000 }), 'many rows');
is(query(q{SELECT count(*), count(DISTINCT data->>'id') FROM log WHERE data->>'id' LIKE 'many-%'}), '12000|12000', 'once each');
alter_system($central, 'windtrap.max_batch_events' => undef);

#
# In a circle
#
my $system = query('SELECT system_identifier FROM pg_control_system()');
my $database = query(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
($status, $answer) = forward([ row('circle') ], headers => { 'WindTrap-Collector' => "$name; system=$system; database=$database" });
is($status, 508, 'what comes of this very database');
like($answer->{error}, qr/windtrap\.forward_to leads back here/, 'is told so');
is(rows_of('circle'), 0, 'and not stored');
is((forward('', headers => { 'WindTrap-Collector' => "$name; system=$system; database=$database" }))[0], 508, 'nor would be');
for my $other ("$name; system=$system; database=1", "$name; system=1; database=$database", "x; system=$system; database=$database", 'x', '')
{
	is((forward([ row('no circle') ], headers => { 'WindTrap-Collector' => $other }))[0], 200, "not so what comes of \"$other\"");
}

#
# From a forwarder
#
alter_system($first, 'windtrap.forward_to' => "http://127.0.0.1:$to/log");
ok(wait_for(sub { $first->safe_psql('postgres', q{SELECT count(*) FROM windtrap.forwarding WHERE target LIKE 'http%'}) }), 'another WindTrap forwards');
my $of_forwarder = q{data->'json' @> '{"t":"forwarder"}' OR data->>'raw' LIKE 'forwarder%'};
is(post($from, join('', map { qq({"t":"forwarder","n":$_.50}\n) } 1 .. 2000) . "forwarder: no JSON\n", type => 'application/x-ndjson')->{status}, 200, 'what it gets');
ok(wait_for(sub { digest_of($central, $of_forwarder) eq digest_of($first, $of_forwarder) }), 'is the same here');
is(query(qq{SELECT count(*), min(jsonb_array_length(data->'via')), max(status) FROM log WHERE $of_forwarder}), '2001|1|422', 'all of it, by one hop');
alter_system($first, 'windtrap.forward_to' => "http://127.0.0.1:$from/log");
is(post($from, '{"t":"circle"}')->{status}, 200, 'one that forwards to itself');
ok(wait_for(sub { $first->safe_psql('postgres', q{SELECT last_error FROM windtrap.forwarding}) =~ /leads back/ }), 'is told so');
is($first->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json' @> '{"t":"circle"}'}), 1, 'and doubles nothing');
alter_system($first, 'windtrap.forward_to' => undef);

#
# Where rows that come again could not be told
#
alter_system($central, 'windtrap.idempotency_window' => '0');
ok(wait_for(sub { (forward(''))[0] == 501 }), 'without a window it takes none');
like((forward([ row('no window') ]))[1]{error}, qr/windtrap\.idempotency_window/, 'and says why');
alter_system($central, 'windtrap.idempotency_window' => undef);
ok(wait_for(sub { (forward(''))[0] == 200 }), 'with one it does');
is(rows_of('no window'), 0, 'nothing was stored');
is(query(q{SELECT count(*) FROM windtrap.metrics WHERE name = 'requests_refused_total' AND label_value = 'forwarding' AND value >= 4}), 1, 'refusals are counted');

#
# Who may
#
is((forward([ row('page') ], headers => { Origin => 'http://localhost' }))[0], 403, 'no page, though the door is open');
is((forward([ row('elsewhere') ], headers => { 'X-Forwarded-For' => '203.0.113.1' }))[0], 401, 'nobody by way of a proxy');
is(event($to), 200, 'a client on this machine may send');
alter_system($central, 'windtrap.auth' => 'none');
ok(wait_for(sub { post($to, '{}', headers => { 'X-Forwarded-For' => '203.0.113.1' })->{status} == 200 }), 'where anybody may send');
is((forward([ row('elsewhere') ], headers => { 'X-Forwarded-For' => '203.0.113.1' }))[0], 401, 'not everybody may forward');
is((forward([ row('here') ]))[0], 200, 'but who is here');
alter_system($central, 'windtrap.auth' => undef);
my %token = map { $_ => query("SELECT windtrap.create_token('$_', '$_', source => '$_')") } qw(ingest read all forward);
sub with { return (headers => { Authorization => "Bearer $token{$_[0]}", %{ $_[1] // {} } }); }
ok(wait_for(sub { (forward([ row('nobody') ]))[0] == 401 }), 'without a token nobody');
for my $scope (qw(ingest read all))
{
	($status, $answer) = forward([ row('nobody') ], with($scope));
	is_deeply([ $status, $answer ], [ 403, { error => "the token's scope is not forward" } ], "nor who may $scope");
}
is(rows_of('nobody'), 0, 'nothing is stored');
($status, $answer) = forward([ row('somebody', data => '{"id":"somebody","source":"theirs","json":{}}') ], with('forward'));
is_deeply([ $status, $answer->{accepted} ], [ 200, 1 ], 'a token of scope forward');
is(query(q{SELECT data->>'source' FROM log WHERE data->>'id' = 'somebody'}), 'theirs', 'its source is not that of the row');
is(post($to, '{"t":"own"}', with('forward'))->{status}, 200, 'it may send events, too');
is(http($to, 'GET', '/metrics', with('forward'))->{status} == 200 ? 200 : 403, 200, 'local clients see metrics');
is(http($to, 'GET', '/metrics', with('forward', { 'X-Forwarded-For' => '203.0.113.1' }))->{status}, 403, 'which it does not read');
my ($rc, undef, $error) = $central->psql('postgres', q{SELECT windtrap.create_token('x', 'forwards')});
like($error, qr/the scope of a token is ingest, read, all or forward, not "forwards"/, 'there are no other scopes');

# One's keys are not the other's.
my $other = query(q{SELECT windtrap.create_token('other', 'forward', source => 'other')});
ok(wait_for(sub { (forward([ row('shared') ], headers => { Authorization => "Bearer $other" }))[0] == 200 }), 'another one');
forward([ row('shared') ], with('forward')) for 1 .. 2;
is(rows_of('shared'), 2, 'has ids of its own');

done_testing();
