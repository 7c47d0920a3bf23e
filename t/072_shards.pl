# The log's rows on other servers, by partitions that are postgres_fdw's foreign tables, as
# docs/sharding.md describes: what a transaction holds goes to one of them, a server that is down
# is 503 for its part, and what was acknowledged is there after servers were killed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Ledger;
use Viewer;
use WindTrap;

my $page = free_port();
my $node = wt_node('collector', create => 0, conf => "windtrap.viewer_port = $page\n");
plan skip_all => 'this server has no postgres_fdw'
  if $node->safe_psql('postgres',
	"SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'") eq '0';

my $port = wt_port($node);
my @shards = map { wt_node("shard$_") } 0 .. 2;
my $several = 'rows of one request can go to several servers';

sub query { return $node->safe_psql('postgres', $_[0]); }
sub at { return $shards[ $_[0] ]->safe_psql('postgres', $_[1]); }
sub everywhere { at($_, $_[0]) for 0 .. $#shards; return; }

sub body
{
	my ($tag, $n) = @_;
	return join '', map { qq({"tag":"$tag","n":$_}\n) } 1 .. $n // 1000;
}
sub send_body { return post($port, body(@_), type => 'application/x-ndjson')->{status}; }

# How many rows of a tag there are, and at how many servers.
sub stored
{
	my ($tag) = @_;
	return query("SELECT count(*), count(DISTINCT tableoid) FROM log WHERE data->'json'->>'tag' = '$tag'");
}

# The codes of so many single events of a tag, each once and in order.
sub codes
{
	my ($tag, $n) = @_;
	my %codes;
	$codes{ post_json($port, { tag => $tag, n => $_ })->{status} }++ for 1 .. $n;
	return join ' ', sort keys %codes;
}

# Sends an event as clients are asked to: again after a 503.
sub event_at_last
{
	my ($tag) = @_;
	return wait_for(sub { post_json($port, { tag => $tag })->{status} == 200 });
}

# The servers: each a collector too, with a role that the other one comes as.
for my $i (0 .. $#shards)
{
	at($i, <<"SQL");
ALTER TABLE log ADD COLUMN shard int NOT NULL DEFAULT $i CHECK (shard = $i);
CREATE ROLE collector LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON log TO collector;
SQL
}

# The collector: its table is there before the extension is.
my $columns = 'event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL DEFAULT 0';
query(<<"SQL");
CREATE EXTENSION postgres_fdw;
CREATE TABLE log ($columns,
	shard int NOT NULL DEFAULT (pg_current_xact_id()::text::bigint % 3)::int) PARTITION BY LIST (shard);
SQL
for my $i (0 .. $#shards)
{
	my ($host, $at) = ($shards[$i]->host, $shards[$i]->port);
	query(<<"SQL");
CREATE SERVER shard_$i FOREIGN DATA WRAPPER postgres_fdw
	OPTIONS (host '$host', port '$at', dbname 'postgres', connect_timeout '2',
		batch_size '1000', fetch_size '10000', async_capable 'true',
		options '-c synchronous_commit=on');
CREATE USER MAPPING FOR CURRENT_USER SERVER shard_$i OPTIONS (user 'collector');
CREATE FOREIGN TABLE log_$i PARTITION OF log FOR VALUES IN ($i) SERVER shard_$i OPTIONS (table_name 'log');
SQL
}
query('CREATE EXTENSION windtrap');
ok(ready($port), 'the collector answers');

# What comes together stays together; what comes one after the other is spread.
{
	is(codes('single', 30), '200', 'single events are stored');
	is(stored('single'), '30|3', 'at all servers');
	is(send_body("body$_"), 200, "body $_") for 1 .. 3;
	is(stored("body$_"), '1000|1', "body $_ is at one") for 1 .. 3;
	is(send_body('large', 4500), 200, 'a body of several statements');
	is(stored('large'), '4500|1', 'is at one, too');
	is(post_json($port, { tag => 'keyed' }, headers => { 'Idempotency-Key' => 'k' })->{status}, 200, "with a key, $_") for 1 .. 3;
	is(stored('keyed'), '1|1', 'it is stored once');
	is(count_in_log($node, $several), 0, 'and nobody is warned');
	is(at(0, 'SELECT count(*) FROM log') + at(1, 'SELECT count(*) FROM log') + at(2, 'SELECT count(*) FROM log'),
		query('SELECT count(*) FROM log'), 'the rows are there, and not here');
}

# A batch takes few statements.
{
	everywhere("ALTER SYSTEM SET log_statement = 'mod'");
	reload($_) for @shards;
	$_->safe_psql('postgres', 'SELECT 1') for @shards;
	my @marks = map { log_mark($_) } @shards;
	my $statements = 0;
	is(send_body('batched'), 200, 'a body');
	$statements += count_in_log($shards[$_], 'execute [^:]*: INSERT INTO public\.log', $marks[$_]) for 0 .. $#shards;
	cmp_ok($statements, '>=', 1, 'is inserted there');
	cmp_ok($statements, '<=', 2, 'by a statement, not by one for each row');
	everywhere('ALTER SYSTEM RESET log_statement');
	reload($_) for @shards;
}

# Reading.
{
	like(query('EXPLAIN SELECT count(*) FROM log'), qr/Async Foreign Scan/, 'servers are asked at once');
	like(query(q{SET enable_partitionwise_aggregate = on;
		EXPLAIN (VERBOSE) SELECT count(*) FROM log GROUP BY shard}), qr/Remote SQL: SELECT count\(\*\)/, 'and count by themselves');
	like(query(q{EXPLAIN (VERBOSE) SELECT * FROM windtrap.events WHERE event_timestamp > '2026-01-01' AND data @> '{"json":{"tag":"body1"}}'}),
		qr/Remote SQL: .* WHERE .*event_timestamp > .* AND .*data @> /, 'a time and what data contains are looked for there');
	is(query(q{SELECT count(*) FROM windtrap.search('tag:single', max_rows => 50)}), 30, 'windtrap.search() finds all');
	is(query(q{SELECT sum(n) FROM (SELECT sum(count) AS n FROM windtrap.histogram('tag:body1')) AS h}), 1000, 'windtrap.histogram() too');
	is(query(q{SELECT string_agg(value || ' ' || count, ', ') FROM windtrap.top_values('tag:body1 OR tag:single', 'tag')}), 'body1 1000, single 30', 'and top_values()');
	is(query(q{SELECT string_agg(name, ' ' ORDER BY name) FROM windtrap.fields('tag:body1') WHERE name IN ('tag', 'n')}), 'n tag', 'and fields()');
	my ($rc, undef, $error) = $node->psql('postgres', 'SELECT * FROM windtrap.tail()');
	like($error, qr/what is new in "log_0" cannot be told.*\n.*Ask windtrap\.search\(\)/, 'windtrap.tail() says that it cannot');
	query('ANALYZE log');
	cmp_ok(query("SELECT reltuples FROM pg_class WHERE relname = 'log_1'"), '>', 0, 'ANALYZE takes a sample of them');
	is(query(q{UPDATE log SET status = 7 WHERE data->'json'->>'tag' = 'body2' AND shard = 0 OR data->'json'->>'tag' = 'single';
		SELECT count(*) FROM log WHERE status = 7 AND data->'json'->>'tag' = 'single'}), 30, 'an UPDATE reaches them');
}

# The page's API.
{
	ok(ready($page), 'the page of the collector');
	my ($answers, @found) = follow($page, 'search', q => 'tag:single OR tag:body1', n => 200);
	my @events = map { $_->{event} // () } @found;
	is(scalar(@events), 1030, "a search finds the events of all servers, in $answers answers");
	is(scalar(keys %{ { map { $_->{id} => 1 } @events } }), 1030, 'each once');
	is_deeply([ map { $_->{time} } @events ], [ reverse sort map { $_->{time} } @events ], 'the newest first');
	my ($first) = grep { $_->{data}{json}{tag} eq 'single' } @events;
	my ($again) = lines_of(api($page, 'event', time => $first->{time}, id => $first->{id}));
	is_deeply($again->{data}, $first->{data}, 'one of them by its id');
	my (undef, @counts) = follow($page, 'histogram', q => 'tag:body1', since => '1h');
	my $counted = 0;
	$counted += $_->[2] foreach map { @{ $_->{counts} // [] } } @counts;
	is($counted, 1000, 'a histogram counts them');
	my @exported = split /\n/, api($page, 'export', q => 'tag:large', since => '1h', format => 'ndjson')->{content};
	is(scalar(@exported), 4500, 'an export has them');
	my $marked = http($page, 'POST', '/api/status', body => JSON::PP::encode_json({ status => 3, events => [ map { { time => $_->{time}, id => $_->{id} } } @events[ 0 .. 99 ] ] }), headers => { 'Content-Type' => 'application/json' });
	is(json_of($marked)->{updated}, 100, 'their status is set');
	is(query('SELECT count(*) FROM log WHERE status = 3'), 100, 'where they are');
	my $tail = api($page, 'tail');
	is($tail->{status}, 501, 'live it is not to be had');
	like(json_of($tail)->{error}, qr/what is new in "log_0" cannot be told/, 'which a sentence says');
	is(api($page, $_)->{status}, 200, "$_ is answered") for qw(overview session sql top?field=tag fields);
}

# Upkeep and sealing are the servers' own.
{
	my ($rc, undef, $notice) = $node->psql('postgres', 'SELECT * FROM windtrap.upkeep()');
	like($notice, qr/not partitioned by ranges of event_timestamp/, 'the upkeep says why it leaves the table alone');
	(undef, undef, $notice) = $node->psql('postgres', q{SELECT windtrap.seal('log_0')});
	like($notice, qr/"log_0" cannot be sealed: it is no partition by a range of event_timestamp/, 'sealing says so too');
	my $day = q{to_char((now() + interval '1 day') AT TIME ZONE 'UTC', 'YYYYMMDD')};
	is(at(1, "SELECT to_regclass('log_' || $day) IS NOT NULL"), 't', 'each server keeps its own partitions up');
}

# One server is down.
{
	$shards[1]->stop('immediate');
	is(codes('down', 24), '200 503', 'single events for it are told to come again, others are stored');
	ok(event_at_last("again$_"), "who comes again finds another server, $_") for 1 .. 4;
	is(send_body("moved$_"), 200, "a body goes to another server at once, $_") for 1 .. 4;
	is(http($port, 'GET', '/health')->{status}, 200, '/health stays well while some are stored');
	$shards[0]->stop('immediate');
	$shards[2]->stop('immediate');
	is(codes('none', 3), '503', 'all are down');
	is(send_body('none'), 503, 'for a body, too');
	isnt(http($port, 'GET', '/health')->{status}, 200, '/health says so');
	my $search = api($page, 'search', q => 'tag:down');
	is($search->{status}, 503, 'a search needs all of them');
	like(json_of($search)->{error}, qr/could not connect to server "shard_\d"/, 'and says which is missing');
	$_->start for @shards;
	ok(event_at_last('back'), 'they are back');
	is(codes('back', 12), '200', 'all of them');
	is(stored("moved$_"), '1000|1', "body $_ is whole, and at one") for 1 .. 4;
	is(query(q{SELECT count(*) FROM log WHERE data->'json'->>'tag' = 'none'}), 0, 'what was refused is nowhere');
}

# What is wrong at one server is nobody's event's fault, however often it comes.
{
	at(1, 'REVOKE INSERT ON log FROM collector');
	unlike(codes('denied', 24), qr/4\d\d/, 'a privilege is missing at one: never an event\'s fault');
	at(1, 'GRANT INSERT ON log TO collector');

	at(2, 'ALTER TABLE log ADD COLUMN extra int; ALTER TABLE log ALTER COLUMN extra SET DEFAULT 1;
		UPDATE log SET extra = 1; ALTER TABLE log ALTER COLUMN extra SET NOT NULL; ALTER TABLE log ALTER COLUMN extra DROP DEFAULT');
	unlike(codes('column', 24), qr/4\d\d/, 'a column there that nobody fills: likewise');
	at(2, 'ALTER TABLE log DROP COLUMN extra');

	at(0, q{ALTER TABLE log RENAME TO log_kept; CREATE TABLE log (LIKE log_kept) PARTITION BY RANGE (event_timestamp);
		GRANT INSERT ON log TO collector});
	unlike(codes('partition', 24), qr/4\d\d/, 'a partition that is missing there: likewise');
	at(0, 'DROP TABLE log; ALTER TABLE log_kept RENAME TO log');

	everywhere(q{ALTER TABLE log ADD CONSTRAINT good CHECK (data->'json'->>'bad' IS NULL) NOT VALID});
	is(post_json($port, { bad => 1 })->{status}, 422, 'what a constraint there refuses is the event\'s');
	is(post($port, qq({"tag":"mixed"}\n{"bad":1}\n{"tag":"mixed"}\n), type => 'application/x-ndjson')->{status}, 200, 'among good ones');
	is(stored('mixed'), '2|1', 'which are stored, at one server');
	is(query('SELECT count(*) FROM windtrap.quarantine'), 1, 'the other one is kept in quarantine');
	everywhere('ALTER TABLE log DROP CONSTRAINT good');
}

# The same where a server speaks another language: its message is all that there is.
SKIP: {
	{
		local $ENV{LANGUAGE} = 'de';
		alter_system($shards[0], lc_messages => 'C.UTF-8');
		$shards[0]->restart;
	}
	my (undef, undef, $said) = $shards[0]->psql('postgres', q{INSERT INTO log (event_timestamp, data, shard) VALUES (now(), '{}', 7)});
	skip 'PostgreSQL speaks English only', 5 if $said !~ /Check-Constraint/;
	query('ALTER TABLE log ALTER COLUMN shard SET DEFAULT 0');
	at(0, q{ALTER TABLE log ADD CONSTRAINT good CHECK (data->'json'->>'bad' IS NULL) NOT VALID});
	ok(event_at_last('german'), 'in German: an event');
	is(post_json($port, { bad => 1 })->{status}, 422, 'in German: what a constraint refuses is the event\'s');
	at(0, 'ALTER TABLE log DROP CONSTRAINT good');
	at(0, q{ALTER TABLE log RENAME TO log_kept; CREATE TABLE log (LIKE log_kept) PARTITION BY RANGE (event_timestamp);
		GRANT INSERT ON log TO collector});
	is(codes('partition', 12), '503', 'in German: a partition that is missing is not');
	at(0, q{CREATE TABLE log_early PARTITION OF log FOR VALUES FROM ('2000-01-01') TO ('2000-01-02');
		GRANT INSERT ON log_early TO collector});
	query(q{ALTER FOREIGN TABLE log_0 OPTIONS (SET table_name 'log_early')});
	is(codes('bounds', 12), '503', 'in German: nor is one whose bounds are others');
	query(q{ALTER FOREIGN TABLE log_0 OPTIONS (SET table_name 'log')});
	at(0, 'DROP TABLE log; ALTER TABLE log_kept RENAME TO log');
	ok(event_at_last('german'), 'in German: then it is taken');
	query('ALTER TABLE log ALTER COLUMN shard SET DEFAULT (pg_current_xact_id()::text::bigint % 3)::int');
}

# A COMMIT that fails there: nothing of it is stored.
{
	everywhere(q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
		CREATE CONSTRAINT TRIGGER no AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		WHEN (new.data->'json'->>'tag' = 'deferred') EXECUTE FUNCTION no()});
	is(send_body('deferred', 10), 503, 'a server refuses at COMMIT');
	is(stored('deferred'), '0|0', 'nothing is stored');
}

# The ledger.
for my $round (1 .. 3)
{
	my $name = "shard killed, round $round";
	my $victim = $shards[ $round % 3 ];
	my ($load, $codes) = under_load(
		$port, $name,
		sub {
			my ($load) = @_;
			sleep rand 0.5;
			kill_group($victim);
			ok($load->wait_for_more(200), "$name: the load goes on without it");
			$victim->start;
		});
	my ($missing, $doubled, $unknown) = split /\|/, $load->audit($node);
	is("$missing|$doubled", '0|0', "$name: what was acknowledged is there, once");
	# That COMMIT went out, and its answer did not come back, can be so for one transaction.
	cmp_ok($unknown, '<=', 64, "$name: $unknown told to come again were stored");
	is(join(' ', grep { !/^(200|503)$/ } keys %$codes), '', "$name: nothing but 200 and 503");
}
for my $round (1, 2)
{
	my $name = "collector killed, round $round";
	my ($load) = under_load($port, $name, sub { kill_server($node, $port, $name, 10) });
	is($load->audit($node), $load->nothing_wrong, "$name: what was acknowledged is there, once");
}

# Who is no superuser needs a password in the user mapping: that is no event's fault.
{
	query(<<'SQL');
CREATE ROLE app LOGIN;
GRANT CREATE ON SCHEMA public TO app;
CREATE USER MAPPING FOR app SERVER shard_0 OPTIONS (user 'collector');
CREATE USER MAPPING FOR app SERVER shard_1 OPTIONS (user 'collector', password_required 'false');
CREATE USER MAPPING FOR app SERVER shard_2 OPTIONS (user 'collector', password_required 'false');
ALTER TABLE log OWNER TO app;
SQL
	is(codes('app', 18), '200 503', 'a user mapping without a password is 503 for its part');
	query('ALTER USER MAPPING FOR app SERVER shard_0 OPTIONS (ADD password_required \'false\')');
	is(codes('app', 9), '200', 'what a superuser says is not needed is not');
	query('ALTER TABLE log OWNER TO CURRENT_USER');
}

# By what differs within a request: it says so, and then a part can be stored.
{
	my $mark = log_mark($node);
	query(<<"SQL");
BEGIN;
ALTER TABLE log RENAME TO log_by_transaction;
CREATE TABLE log ($columns) PARTITION BY HASH ((data->>'id'));
CREATE FOREIGN TABLE by_id_0 PARTITION OF log FOR VALUES WITH (MODULUS 2, REMAINDER 0) SERVER shard_0 OPTIONS (table_name 'log');
CREATE FOREIGN TABLE by_id_1 PARTITION OF log FOR VALUES WITH (MODULUS 2, REMAINDER 1) SERVER shard_1 OPTIONS (table_name 'log');
COMMIT;
SQL
	is(send_body('scattered', 100), 200, 'by the hash of an id');
	is(stored('scattered'), '100|2', 'a body goes to both servers');
	is(send_body('scattered', 100), 200, 'once more');
	is(count_in_log($node, $several, $mark), 1, 'which the log tells, once');
	at(0, 'DROP TRIGGER no ON log');
	is(send_body('deferred', 100), 503, 'one of them refuses at COMMIT');
	my $part = query(q{SELECT count(*) FROM log WHERE data->'json'->>'tag' = 'deferred'});
	ok($part >= 0 && $part < 100, "$part of 100 are stored, at the other");
	query('DROP TABLE log');
}

# By time: days that are elsewhere are left to their servers, others are made here.
{
	my $mark = log_mark($node);
	my $old = "(date_trunc('day', now() AT TIME ZONE 'UTC') - interval '40 days') AT TIME ZONE 'UTC'";
	query(<<"SQL");
SET TimeZone = 'UTC';
CREATE TABLE log ($columns) PARTITION BY RANGE (event_timestamp);
SELECT format('CREATE FOREIGN TABLE old PARTITION OF log FOR VALUES FROM (%L) TO (%L) SERVER shard_0 OPTIONS (table_name ''log'')',
	$old, $old + interval '1 day') \\gexec
SELECT format('CREATE FOREIGN TABLE today PARTITION OF log FOR VALUES FROM (%L) TO (%L) SERVER shard_2 OPTIONS (table_name ''log'')',
	date_trunc('day', now()), date_trunc('day', now()) + interval '1 day') \\gexec
SQL
	alter_system($node, 'windtrap.retention' => '10 days');
	query('SELECT * FROM windtrap.upkeep(force => true)');
	is(query(q{SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'log'::regclass AND relkind = 'r'}),
		7, 'the days to come are made, here');
	is(query(q{SELECT count(*) FROM pg_foreign_table WHERE ftrelid IN ('old'::regclass, 'today'::regclass)}), 2,
		'days that are elsewhere stay');
	is(query('SELECT count(*) FROM windtrap.upkeep_failures'), 0, 'and nothing fails');
	my (undef, undef, $error) = $node->psql('postgres', q{SELECT windtrap.seal('old')});
	like($error, qr/"old" cannot be sealed: it is (a foreign table|not? an? ordinary table|no ordinary table)/, 'sealing says that it is none of its own');
	ok(event_at_last('day'), 'an event');
	is(at(2, q{SELECT count(*) FROM log WHERE data->'json'->>'tag' = 'day'}), 1, 'is where its day is');
	ok(wait_for(sub { count_in_log($node, $several, $mark) == 1 }), 'that days of a request differ is told');
}

$node->stop;
$_->stop for @shards;
done_testing();
