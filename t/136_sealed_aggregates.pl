# Aggregates and groups of sealed partitions: the same as of a heap with the same rows, with
# partition-wise aggregation and without, over rows that came late, were deleted, or changed; and
# that they are computed where the chunks are read, where that is promised.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('aggregates', preload => 0, conf => "max_parallel_workers_per_gather = 2\nwork_mem = '4MB'\njit = off\n");

$node->append_conf("postgresql.conf", "log_statement = none\nlog_min_error_statement = error\n");

sub query { return $node->safe_psql('postgres', $_[0]); }

query(q{CREATE EXTENSION windtrap});

#
# Twins: heap and sealed
#
# Of each three days: one, in Berlin's zone, has a change of the clock; the last day stays an
# ordinary partition.  The first chunk's documents have all the same members.  Behind it there are odd
# ones: members of several types at one place, numbers that are equal and written differently,
# documents that are no objects, and rows that fit no column.
query(q{
CREATE TABLE heap (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status integer) PARTITION BY RANGE (event_timestamp);
CREATE TABLE sealed (LIKE heap) PARTITION BY RANGE (event_timestamp);
CREATE TABLE heap_1 PARTITION OF heap FOR VALUES FROM ('2026-10-25') TO ('2026-10-26');
CREATE TABLE heap_2 PARTITION OF heap FOR VALUES FROM ('2026-10-26') TO ('2026-10-27');
CREATE TABLE heap_3 PARTITION OF heap FOR VALUES FROM ('2026-10-27') TO ('2026-10-28');
CREATE TABLE sealed_1 PARTITION OF sealed FOR VALUES FROM ('2026-10-25') TO ('2026-10-26');
CREATE TABLE sealed_2 PARTITION OF sealed FOR VALUES FROM ('2026-10-26') TO ('2026-10-27');
CREATE TABLE sealed_3 PARTITION OF sealed FOR VALUES FROM ('2026-10-27') TO ('2026-10-28');
INSERT INTO heap SELECT '2026-10-25'::timestamptz + n * interval '5 seconds' + (n % 7) * interval '1 millisecond',
	jsonb_build_object('host', '10.0.0.1', 'id', md5(n::text), 'json', jsonb_build_object(
		'app', (ARRAY['billing', 'Web', 'web', 'cache', 'straße', 'mail', '', 'queue'])[1 + (hashint4(n) & 7)],
		'severity', (ARRAY['info', 'info', 'debug', 'error'])[1 + ((hashint4(n) >> 5) & 3)],
		'code', (ARRAY[200, 404, 500, 200])[1 + ((hashint4(n) >> 9) & 3)],
		'took', round((hashint4(n) & 4095) / 100.0, 2),
		'n', n, 'message', 'closed ' || (n % 1000) || ' port ' || hashint4(n)))
	- (CASE WHEN n % 11 = 3 AND n > 16500 THEN 'json' ELSE '' END),
	CASE WHEN n % 13 = 0 THEN NULL ELSE (n / 1000) % 3 END
FROM generate_series(0, 42000) n WHERE n < 17280 OR n % 6 = 0;
INSERT INTO heap SELECT '2026-10-25 23:00'::timestamptz + n * interval '1 second', odd::jsonb, n % 5
FROM generate_series(0, 150000, 709) n, unnest(ARRAY['{"json": {"app": 1}}', '{"json": {"app": 1.0}}', '{"json": {"app": 1.00, "code": "200"}}',
	'{"json": {"app": null, "code": null}}', '{"json": {"app": {"a": 1}}}', '{"json": {"app": {}}}', '{"json": {"app": [1, 2]}}', '{"json": {"app": [1.0, 2]}}',
	'{"json": {"app": true, "code": 200.0}}', '{"json": 5}', '{"json": []}', '{"json": [{"app": "in an array"}]}', '{}', '[]', '"a string"', '7', 'null',
	'{"host": "10.0.0.1", "json": {"app": "1", "code": 2e2, "took": 1e400}}', '{"json": {"app": "\n\"", "severity": "Error", "took": 0.000}}']) odd;
INSERT INTO sealed SELECT * FROM heap;
SELECT windtrap.seal('sealed_1'), windtrap.seal('sealed_2');
});

# The heap's answers, as long as its rows stay as they are.
my %known;

# What is changed, late and deleted, then: in all of the tables alike.
sub change
{
	my ($sql) = @_;
	query($sql =~ s/EVENTS/$_/gr) foreach ('heap', 'sealed');
	%known = ();
}

#
# What is asked
#
my @keys = (
	"data->'json'->'app'", "data->'json'->>'app'", "data #> '{json,app}'", "data #>> '{json,app}'", "data['json']['app']",
	"data->'json'->'code'", "data->'json'->>'severity'", "data->>'host'", "data->'json'->'took'", "status", "data->'json'->'app'->>'a'",
	"data->'json'->0->>'app'", "jsonb_typeof(data->'json'->'app')", "lower(data->'json'->>'app')", "coalesce(status, -1) + 1",
	"(data->'json'->>'severity') COLLATE \"C\"", "data ? 'json'", "(data->'json') IS NULL", "length(data->'json'->>'message')",
	"date_trunc('hour', event_timestamp)", "date_trunc('minute', event_timestamp)", "date_trunc('day', event_timestamp)",
	"date_trunc('month', event_timestamp)", "date_bin('37 minutes', event_timestamp, '2026-10-01')", "date_bin('1 day', event_timestamp, '2027-01-01')");
my @plain = (
	"SELECT count(*) FROM EVENTS", "SELECT min(event_timestamp), max(event_timestamp), count(*) FROM EVENTS",
	"SELECT count(data->'json'), count(data->'json'->'app'), count(data->'json'->>'app'), count(status), count(event_timestamp), count(data) FROM EVENTS",
	"SELECT min(status), max(status), min(data->>'host') FROM EVENTS",
	"SELECT max(data->'json'->>'app' COLLATE \"C\"), min(data->'json'->>'severity'), max((data->'json'->>'n')::int) FROM EVENTS WHERE jsonb_typeof(data->'json'->'n') = 'number'",
	"SELECT count(*) FILTER (WHERE data->'json'->>'severity' = 'error'), count(*) FILTER (WHERE status > 1), min(event_timestamp) FILTER (WHERE status = 2) FROM EVENTS",
	"SELECT bool_and(status < 3), bool_or(data->>'host' = 'x'), every(data ? 'json') FROM EVENTS",
	"SELECT count(*) FROM EVENTS WHERE false", "SELECT max(status), count(*) FROM EVENTS WHERE data->>'host' = 'none such'",
	"SELECT count(*) FROM EVENTS WHERE event_timestamp >= '2026-10-25 03:00' AND event_timestamp < '2026-10-26 01:00'",
	"SELECT count(*), max(event_timestamp) FROM EVENTS WHERE data \@> '{\"json\": {\"app\": \"web\", \"severity\": \"error\"}}'",
	"SELECT count(*) FROM EVENTS WHERE data->'json'->>'message' LIKE '%port 1%'", "SELECT count(*) FROM EVENTS WHERE data->'json'->>'app' ILIKE 'WEB'",
	"SELECT count(*) FROM EVENTS WHERE status IS NULL", "SELECT count(*), min(status) FROM EVENTS WHERE status IN (1, 2) AND data->'json'->'code' = '200'",
	"SELECT count(DISTINCT data->>'host') FROM EVENTS", "SELECT sum(status), avg(status), count(*) FROM EVENTS",
	"SELECT string_agg(DISTINCT data->'json'->>'severity', ',') FROM EVENTS",
	"SELECT count(DISTINCT data->'json'->>'app'), count(DISTINCT status) FILTER (WHERE data->>'host' IS NOT NULL), max(status) FROM EVENTS WHERE status > 0",
	"SELECT count(DISTINCT data->'json'->'app'), count(*), sum(status) FROM EVENTS", "SELECT count(DISTINCT data) FROM EVENTS",
	"SELECT count(*) FROM EVENTS HAVING count(*) > 10", "SELECT count(*) + 1, count(*) * 2 FROM EVENTS HAVING max(status) > 100",
	"SELECT count(*) FROM EVENTS WHERE (SELECT max(status) FROM EVENTS) = status", "SELECT count(*) FROM EVENTS t WHERE status = (SELECT max(status) FROM EVENTS u WHERE u.event_timestamp = t.event_timestamp) AND event_timestamp < '2026-10-25 00:02'");
my @grouped = (
	"SELECT K, count(*) FROM EVENTS GROUP BY 1", "SELECT DISTINCT K FROM EVENTS",
	"SELECT K, count(*), min(event_timestamp), max(event_timestamp), max(status), count(data->'json'->'code') FROM EVENTS WHERE data->'json'->>'severity' = 'info' GROUP BY 1",
	"SELECT K, data->'json'->>'severity' AS s, count(*) FILTER (WHERE status = 1) FROM EVENTS GROUP BY 1, 2 HAVING count(*) > 3");
my @others = (
	"SELECT date_trunc('hour', event_timestamp), data->'json'->>'app', status, count(*), max(event_timestamp) FROM EVENTS WHERE status < 2 GROUP BY 1, 2, 3",
	"SELECT upper(data->'json'->>'app'), count(*) FROM EVENTS GROUP BY data->'json'->>'app'",
	"SELECT data->'json'->>'app' || '!', count(*) FROM EVENTS GROUP BY data->'json'->>'app' HAVING max(data->'json'->>'app') > 'a'",
	"SELECT data->'json'->>'severity', count(*) FROM EVENTS WHERE data->'json'->>'severity' = 'error' GROUP BY 1",
	"SELECT status, data->'json'->>'app', count(*) FROM EVENTS WHERE status = 1 GROUP BY 1, 2",
	"SELECT DISTINCT data->'json'->>'app', status FROM EVENTS WHERE data->'json'->>'severity' <> 'info'",
	"SELECT data->'json'->>'severity', count(DISTINCT data->'json'->>'app'), min(data->'json'->>'app') FROM EVENTS GROUP BY 1 HAVING count(DISTINCT status) > 1",
	"SELECT data->'json'->>'severity' FROM EVENTS GROUP BY 1", "SELECT data->'json'->>'severity' FROM EVENTS GROUP BY 1 HAVING sum(status) > 4000",
	"SELECT data->'json'->>'severity', count(DISTINCT data->'json'->>'app') FROM EVENTS GROUP BY 1 ORDER BY count(*)",
	"SELECT count(DISTINCT random() < 2) FROM EVENTS", "SELECT count(DISTINCT a.status) FROM EVENTS a JOIN (VALUES (1), (2)) v (x) ON a.status = v.x",
	"SELECT DISTINCT status FROM EVENTS ORDER BY 1 LIMIT 2", "SELECT DISTINCT ON (status) status, data->>'host' FROM EVENTS WHERE data->>'host' IS NOT NULL ORDER BY status, data->>'host'",
	"SELECT DISTINCT tableoid::regclass::text LIKE '%_1', status FROM EVENTS", "SELECT DISTINCT s FROM (SELECT data->'json'->>'severity' AS s, status FROM EVENTS) x WHERE status > 0",
	"SELECT DISTINCT a.status, v.x FROM EVENTS a JOIN (VALUES (1), (2)) v (x) ON a.status = v.x", "SELECT DISTINCT status, random() < 2 FROM EVENTS",
	"SELECT data->'json'->>'app', status, count(*) FROM EVENTS GROUP BY ROLLUP (1, 2)", "SELECT status, count(*), sum(count(*)) OVER () FROM EVENTS GROUP BY status",
	"SELECT data->'id', count(*) FROM EVENTS WHERE event_timestamp < '2026-10-25 02:00' GROUP BY 1", "SELECT event_timestamp, count(*) FROM EVENTS WHERE status = 2 GROUP BY 1 HAVING count(*) > 1",
	"SELECT a.s, count(*) FROM (SELECT data->'json'->>'severity' AS s FROM EVENTS) a JOIN (VALUES ('error'), ('debug')) v (s) USING (s) GROUP BY 1",
	"SELECT s, n FROM (SELECT data->'json'->>'severity' AS s, count(*) AS n FROM EVENTS GROUP BY 1) a WHERE n > 10",
	"SELECT v.h, x.n FROM (VALUES (0), (1), (2)) v (h), LATERAL (SELECT count(*) AS n FROM EVENTS WHERE status = v.h) x",
	"SELECT count(*), tableoid::regclass::text LIKE '%_2' FROM EVENTS GROUP BY 2", "SELECT count(*) FROM (SELECT data->'json'->>'app' FROM EVENTS UNION ALL SELECT data->>'host' FROM EVENTS) u",
	"SELECT date_part('hour', event_timestamp), count(*) FROM EVENTS GROUP BY 1", "SELECT random() < 2, count(*) FROM EVENTS GROUP BY 1",
	"SELECT EVENTS IS NULL, count(*) FROM EVENTS GROUP BY 1", "SELECT data->'json'->>'severity', (SELECT count(*) FROM (VALUES (1)) v WHERE status > 0), count(*) FROM EVENTS GROUP BY 1, 2");

my @queries = (@plain, @others);
foreach my $key (@keys)
{
	push @queries, s/\bK\b/$key/gr foreach @grouped;
}
cmp_ok(scalar @queries, '>=', 100, scalar(@queries) . ' queries');

# The rows of an answer, in an order that does not depend on the plan; of members that equal each
# other and are written differently PostgreSQL shows any.
sub compare
{
	my ($when, @settings) = @_;
	my $settings = join('', map { "SET $_;" } @settings);
	my $own = grep { /timezone|ROLE/ } @settings;
	my $sql = '';
	my %answers;

	foreach my $i (0 .. $#queries)
	{
		foreach my $table ('heap', 'sealed')
		{
			$answers{$i}{heap} = $known{$queries[$i]} unless $own;
			next if $table eq 'heap' && defined $answers{$i}{heap};
			my $text = $queries[$i] =~ s/EVENTS/$table/gr;
			$sql .= qq{SELECT $i, '$table', count(*), md5(string_agg(r, E'\\n' ORDER BY r COLLATE "C")) FROM
				(SELECT regexp_replace(q::text, '([0-9])\\.0+(?=[^0-9]|\$)', '\\1', 'g') AS r FROM ($text) q) x;\n};
		}
	}
	my $answers = query($settings . $sql);
	$answers{$1}{$2} = $3 while $answers =~ /^(\d+)\|(\w+)\|(.*)$/mg;
	unless ($own) { $known{$queries[$_]} = $answers{$_}{heap} foreach 0 .. $#queries }
	my @differ = grep { !defined $answers{$_}{heap} || $answers{$_}{heap} ne ($answers{$_}{sealed} // '') } 0 .. $#queries;
	is_deeply([ @queries[@differ] ], [], "$when: of sealed partitions they have the same answers");
	return;
}

sub compare_all
{
	my ($when) = @_;
	compare("$when, partition-wise", 'enable_partitionwise_aggregate = on');
	compare("$when, not partition-wise", 'windtrap.partitionwise_aggregate = off');
	return;
}

compare_all('as sealed');
my @all = @queries;
@queries = @queries[ grep { $_ % 3 == 0 } 0 .. $#queries ];
compare('sorted, in another zone', 'enable_partitionwise_aggregate = on', 'enable_hashagg = off', "timezone = 'Asia/Kathmandu'");
compare('by several processes', 'enable_partitionwise_aggregate = on', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0');

# A partition by itself: there is no need of the setting.
@queries = map { s/EVENTS/EVENTS_1/gr } @all;
compare('a partition by itself', 'windtrap.partitionwise_aggregate = off');
@queries = @all;

# More groups than there is memory for.
is( query(q{SET work_mem = '64kB'; SET hash_mem_multiplier = 1; SET enable_partitionwise_aggregate = on;
		SELECT count(*), sum(n), max(n) FROM (SELECT data->>'id', count(*) AS n FROM sealed GROUP BY 1) x}),
	query(q{SELECT count(*), sum(n), max(n) FROM (SELECT data->>'id', count(*) AS n FROM heap GROUP BY 1) x}),
	'more groups than there is memory for');

#
# Columns that came later, late rows, deleted ones, changed ones
#
change(q{ALTER TABLE EVENTS ADD COLUMN region text DEFAULT 'eu', ADD COLUMN weight integer});
push @queries, 'SELECT region, count(*) FROM EVENTS GROUP BY 1', 'SELECT region, weight, count(weight), max(weight) FROM EVENTS GROUP BY 1, 2',
	"SELECT count(*), max(region) FROM EVENTS WHERE region = 'eu'", 'SELECT DISTINCT region, weight IS NULL FROM EVENTS';
compare('with columns that came later', 'enable_partitionwise_aggregate = on');
change(q{INSERT INTO EVENTS SELECT '2026-10-25 02:10+02'::timestamptz + n * interval '90 seconds',
	CASE WHEN n % 5 = 0 THEN '{"json": {"app": 1.000}}' ELSE jsonb_build_object('host', 'late', 'json', jsonb_build_object('app', 'late' || n % 4, 'severity', 'error')) END,
	n % 9, CASE WHEN n % 3 = 0 THEN 'us' END, n % 2 FROM generate_series(1, 800) n});
compare('with late rows', 'enable_partitionwise_aggregate = on');
change(q{DELETE FROM EVENTS WHERE status = 1 AND data->'json'->>'app' = 'web'; DELETE FROM EVENTS WHERE event_timestamp BETWEEN '2026-10-25 20:00' AND '2026-10-26 03:00'});
compare('with deleted rows', 'enable_partitionwise_aggregate = on');
change(q{UPDATE EVENTS SET status = 77 WHERE data->'json'->>'severity' = 'debug' AND event_timestamp < '2026-10-25 10:00';
	UPDATE EVENTS SET status = NULL WHERE data->'json'->>'app' = 'mail' AND status = 2;
	UPDATE EVENTS SET data = data || '{"host": "changed"}' WHERE data->'json'->>'took' = '1.50'});
compare_all('with changed rows');
is( query(q{SET enable_partitionwise_aggregate = on; BEGIN; DELETE FROM sealed; SELECT count(*), max(status) FROM sealed; ROLLBACK; SELECT count(*) > 0 FROM sealed}),
	"0|\nt", 'of no rows');

# A row that an earlier condition keeps from a later one.
change(q{INSERT INTO EVENTS VALUES ('2026-10-26 12:00', '{"json": {"app": "division", "n": 0}}', 3)});
@all = @queries;
@queries = @queries[ grep { $_ % 3 == 1 } 0 .. $#queries ];
push @queries, q{SELECT count(*) FROM EVENTS WHERE CASE WHEN data->'json'->>'app' = 'division' THEN false ELSE 1 / (data->'json'->>'n')::int > 0 END AND data->'json'->>'n' IS NOT NULL AND event_timestamp > '2026-10-25 01:00'};
compare('with expressions that may fail', 'enable_partitionwise_aggregate = on');
@queries = (@all, $queries[-1]);
my (undef, undef, $error) = $node->psql('postgres', q{SET enable_partitionwise_aggregate = on; SELECT 1 / (data->'json'->>'n')::int, count(*) FROM sealed WHERE data->'json'->>'app' = 'division' GROUP BY 1});
like($error, qr/division by zero/, 'a key that fails, fails');

#
# Rights and row security
#
query(q{CREATE ROLE reader; GRANT SELECT ON heap, sealed TO reader; ALTER TABLE heap ENABLE ROW LEVEL SECURITY; ALTER TABLE sealed ENABLE ROW LEVEL SECURITY;
	CREATE POLICY errors ON heap FOR SELECT TO reader USING (data->'json'->>'severity' = 'error'); CREATE POLICY errors ON sealed FOR SELECT TO reader USING (data->'json'->>'severity' = 'error')});
compare('under row security', 'ROLE reader', 'enable_partitionwise_aggregate = on');
(undef, undef, $error) = $node->psql('postgres', 'SET ROLE reader; SELECT count(*) FROM sealed_1');
like($error, qr/permission denied/, 'who may read the parent alone may not read the partition');
query(q{ALTER TABLE heap DISABLE ROW LEVEL SECURITY; ALTER TABLE sealed DISABLE ROW LEVEL SECURITY});

#
# Prepared statements, cursors, and that it follows what others do
#
query(q{ANALYZE heap; ANALYZE sealed});
compare('with statistics', 'enable_partitionwise_aggregate = on');
is( query(q{SET enable_partitionwise_aggregate = on; SET plan_cache_mode = force_generic_plan;
		PREPARE p (text, timestamptz) AS SELECT data->'json'->>'app', count(*) FROM sealed WHERE data->'json'->>'severity' = $1 AND event_timestamp < $2 GROUP BY 1 ORDER BY 1;
		PREPARE q (text, timestamptz) AS SELECT data->'json'->>'app', count(*) FROM heap WHERE data->'json'->>'severity' = $1 AND event_timestamp < $2 GROUP BY 1 ORDER BY 1;
		CREATE TEMP TABLE a AS EXECUTE p ('error', '2026-10-25 09:00'); CREATE TEMP TABLE b AS EXECUTE q ('error', '2026-10-25 09:00');
		CREATE TEMP TABLE c AS EXECUTE p ('info', '2026-10-26 09:00'); CREATE TEMP TABLE d AS EXECUTE q ('info', '2026-10-26 09:00');
		SELECT (SELECT count(*) > 3 FROM a), (SELECT count(*) FROM (TABLE a EXCEPT ALL TABLE b) x), (SELECT count(*) FROM (TABLE d EXCEPT ALL TABLE c) x),
			(SELECT count(*) FROM b) = (SELECT count(*) FROM a)}),
	't|0|0|t', 'a generic plan takes its parameters when it runs');

#
# Where they are computed
#
sub plan_of
{
	my ($sql, @settings) = @_;
	return query(join('', map { "SET $_;" } ('enable_partitionwise_aggregate = on', @settings)) . "EXPLAIN (ANALYZE, VERBOSE, TIMING OFF, SUMMARY OFF) $sql");
}
foreach my $sql (
	'SELECT count(*) FROM sealed', 'SELECT min(event_timestamp), max(event_timestamp), count(*) FROM sealed',
	"SELECT data->'json'->>'app', count(*) FROM sealed GROUP BY 1", "SELECT data #>> '{json,app}', count(*) FROM sealed GROUP BY 1",
	"SELECT data->'json'->'code', status, count(*) FROM sealed WHERE data->>'host' = '10.0.0.1' GROUP BY 1, 2", 'SELECT status, count(*) FROM sealed GROUP BY 1',
	"SELECT date_trunc('hour', event_timestamp), data->'json'->>'severity', count(*) FROM sealed GROUP BY 1, 2",
	"SELECT date_bin('1 hour', event_timestamp, '2026-01-01'), count(*) FROM sealed WHERE data->'json'->>'message' LIKE '%port%' GROUP BY 1",
	"SELECT data->'json'->>'severity', count(*) FILTER (WHERE status = 1), max(data->'json'->>'app'), min(event_timestamp) FROM sealed GROUP BY 1")
{
	my $plan = plan_of($sql);
	my $n = () = $plan =~ /Aggregated Partition: sealed_[12]/g;
	is($n, 2, "aggregated where the chunks are: $sql") or diag $plan;
}
foreach my $sql ("SELECT data->'json'->>'app', count(*) FROM sealed_1 GROUP BY 1", "SELECT DISTINCT data->'json'->>'app' FROM sealed_1", 'SELECT count(*) FROM sealed_1')
{
	my $plan = plan_of($sql, 'enable_partitionwise_aggregate = off', 'windtrap.partitionwise_aggregate = off');
	like($plan, qr/Aggregated Partition: sealed_1/, "also without the setting: $sql") or diag $plan;
}
like(plan_of("SELECT DISTINCT data->'json'->>'severity' FROM sealed"), qr/Rows: different ones of a chunk/, 'of a parent a scan gives different rows');
like(plan_of("SELECT count(DISTINCT data->'json'->>'severity'), max(status) FROM sealed"), qr/Rows: different ones of a chunk/, 'so it does for count(DISTINCT)');
unlike(plan_of("SELECT count(DISTINCT data->'json'->>'severity'), count(*) FROM sealed"), qr/Rows: different ones of a chunk/, 'not where all rows are counted beside it');
unlike(plan_of("SELECT DISTINCT status, ctid FROM sealed"), qr/Rows: different ones/, 'not where their places are asked for');
unlike(plan_of("SELECT DISTINCT a.status FROM sealed a JOIN heap_1 b ON a.status = b.status + 100"), qr/Rows: different ones/, 'nor for a join');
unlike(plan_of('SELECT count(DISTINCT status) FROM sealed'), qr/Aggregated Partition/, 'what needs all values does not');
unlike(plan_of('SELECT count(*) FROM sealed WHERE random() < 2'), qr/Aggregated Partition/, 'nor what is another value each time');
like(plan_of("SELECT count(*) FROM sealed WHERE status = 77"), qr/Chunk Filter: \(\w+\.status = 77\)/, 'EXPLAIN says what is filtered');
like(plan_of("SELECT count(*) FROM (SELECT status FROM sealed OFFSET 0) a WHERE status = 77"), qr/Foreign Scan/, 'in a subquery');
like(plan_of("SELECT x.n FROM (VALUES (1)) v, (SELECT count(*) AS n FROM sealed WHERE status = 77) x"), qr/Chunk Filter: \(\w+\.status = 77\)/, 'EXPLAIN finds the names in a subquery');
like(plan_of("SELECT data->'json'->>'app', count(*) FROM sealed GROUP BY 1"), qr/Documents: json\.app\b/, 'and what of the documents is read');

#
# Without a setting of PostgreSQL's: while what reads sealed partitions is planned, and no longer
#
my $group = "SELECT data->'json'->>'app', count(*) FROM sealed GROUP BY 1";
sub places { my $plan = query("LOAD 'windtrap'; " . join('; ', @_)); return scalar(() = $plan =~ /Aggregated Partition/g); }
is(places("EXPLAIN $group"), 2, 'aggregated where the chunks are without a setting');
is(places('SET windtrap.partitionwise_aggregate = off', "EXPLAIN $group"), 0, 'not where windtrap.partitionwise_aggregate is off');
is(places('SET windtrap.partitionwise_aggregate = off', 'SET enable_partitionwise_aggregate = on', "EXPLAIN $group"), 2, "then PostgreSQL's own setting decides");
is(places("PREPARE p AS $group", 'EXPLAIN EXECUTE p'), 2, 'in a prepared statement');
is(places("EXPLAIN WITH x AS MATERIALIZED ($group) SELECT * FROM heap LEFT JOIN x ON true"), 2, 'in a subquery');
is(places("EXPLAIN SELECT count(*) FROM heap UNION ALL SELECT count(*) FROM sealed"), 2, 'in a part of a UNION');
is(places("SET max_parallel_workers_per_gather = 2", 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', "EXPLAIN $group"), 2, 'beside parallel scans');
is(places("EXPLAIN $group; SHOW enable_partitionwise_aggregate; EXPLAIN $group"), 4, 'each time');
query(q{CREATE TABLE parts (LIKE heap) PARTITION BY LIST ((status IS NULL)); CREATE TABLE known PARTITION OF parts FOR VALUES IN (false) PARTITION BY RANGE (event_timestamp);
	CREATE TABLE unknown PARTITION OF parts FOR VALUES IN (true); CREATE TABLE known_1 PARTITION OF known FOR VALUES FROM ('2026-10-25') TO ('2026-10-26');
	INSERT INTO parts SELECT event_timestamp, data, status FROM heap WHERE event_timestamp >= '2026-10-25' AND event_timestamp < '2026-10-26'; SELECT windtrap.seal('known_1'); ANALYZE parts});
is(places($group =~ s/sealed/parts/r =~ s/^/EXPLAIN /r), 1, 'in partitions of partitions');
is(query("LOAD 'windtrap'; SELECT count(*) FROM ((SELECT status, count(*) FROM parts GROUP BY 1) EXCEPT (SELECT status, count(*) FROM heap_1 GROUP BY 1)) x"), '0', 'which gives the same');
query(q{CREATE TABLE few (LIKE heap) PARTITION BY RANGE (event_timestamp); CREATE TABLE few_1 PARTITION OF few FOR VALUES FROM ('2026-10-25') TO ('2026-10-25 02:00');
	CREATE TABLE few_2 PARTITION OF few FOR VALUES FROM ('2026-10-25 02:00') TO ('2026-10-27'); INSERT INTO few SELECT event_timestamp, data, status FROM heap WHERE event_timestamp >= '2026-10-25' AND event_timestamp < '2026-10-27';
	SELECT windtrap.seal('few_1'); ANALYZE few});
is(places('SET enable_partitionwise_aggregate = on', "EXPLAIN SELECT count(*) FROM few"), 1, 'in few of many partitions where one says so');
is(places("EXPLAIN SELECT count(*) FROM few"), 0, 'not where nearly all rows are in ordinary partitions');

# A function that is called while a statement is planned, behind what reads a sealed partition.
query(q{CREATE FUNCTION plan_others() RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN SELECT count(*) FROM few' LOOP plan := plan || line; END LOOP;
	RAISE WARNING 'of few: %', regexp_count(plan, 'Aggregated Partition');
	BEGIN
		EXECUTE 'SELECT count(*) FROM sealed UNION ALL SELECT 1 / 0';
	EXCEPTION WHEN division_by_zero THEN RAISE WARNING 'failed';
	END;
	FOR line IN EXECUTE 'EXPLAIN SELECT count(*) FROM sealed' LOOP plan := plan || line; END LOOP;
	RAISE WARNING 'aggregated: %', regexp_count(plan, 'Aggregated Partition');
	RETURN '';
END $$;
CREATE FUNCTION meanwhile() RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN plan_others(); END'});
my (undef, $shown, $said) = $node->psql('postgres', qq{LOAD 'windtrap'; EXPLAIN SELECT count(*) FROM sealed UNION ALL SELECT length(meanwhile()) UNION ALL SELECT count(*) FROM sealed; SHOW enable_partitionwise_aggregate});
is(scalar(() = $shown =~ /Aggregated Partition/g), 4, 'a statement that plans others while it is planned');
like($said, qr/of few: 0\b.*failed.*aggregated: 2\b/s, 'of which each is planned as it is by itself');
like($shown, qr/^off$/m, 'and the setting is what it was');
(undef, $shown) = $node->psql('postgres', "LOAD 'windtrap'; SELECT count(*) FROM sealed UNION ALL SELECT 1 / 0; SHOW enable_partitionwise_aggregate; EXPLAIN SELECT count(*) FROM few", on_error_stop => 0);
like($shown, qr/^off$/m, 'also after an error while planning');
unlike($shown, qr/Aggregated Partition/, 'and what comes then is planned as ever');
is(query("LOAD 'windtrap'; SET enable_partitionwise_aggregate = on; EXPLAIN $group; SHOW enable_partitionwise_aggregate") =~ /^on$/m ? 1 : 0, 1, 'one that is on stays on');

done_testing();
