# A sealed partition gives back what was in it, to the byte: documents as nobody would write
# them, events as the collector stores them, whole and by path, and after changes.
#
# WT_SEALED_DOCUMENTS=1000000 takes so many documents, WT_SEALED_SEED=7 other ones.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use OddDocuments;

my $documents = $ENV{WT_SEALED_DOCUMENTS} || 20_000;
my $seed = $ENV{WT_SEALED_SEED} || 20261126;
my $generator = OddDocuments->new($seed);
my $node = wt_node('sealed_exact', conf => "windtrap.seal_after = ''\nfsync = off\nmax_wal_size = 8GB\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# Each row has a number, by which it is found in both.
query(<<'SQL');
SELECT windtrap.create_log_table();
SELECT count(*) FROM windtrap.upkeep(now() - interval '4 days');
ALTER TABLE log ALTER status DROP NOT NULL, ALTER data DROP NOT NULL, ADD COLUMN n bigint, ADD note text, ADD amount numeric, ADD seen timestamptz DEFAULT '2026-01-01', ADD flag boolean;
CREATE TABLE sent (n bigint PRIMARY KEY, microseconds bigint, data jsonb, status integer);
SQL
my $day = query("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'YYYYMMDD')");
my $partition = "log_$day";

# What differs between the partition and its twin on the heap: numbers of rows, and the first of them.
# *= compares the bytes of what is stored.
sub differences
{
	my $found = query(<<"SQL");
SELECT n, left(h::text, 300), left(s::text, 300)
FROM twin h FULL JOIN $partition s USING (n)
WHERE (h *= s) IS NOT TRUE
	OR h.data::text IS DISTINCT FROM s.data::text
ORDER BY n LIMIT 3
SQL
	my $counts = query("SELECT (SELECT count(*) FROM twin) - (SELECT count(*) FROM $partition)");
	$counts = $counts == 0 ? '' : "$counts rows are missing\n";
	return $counts . $found;
}

# Asks both the same, with t for the table; an error is the answer of none.
sub answers
{
	my ($sql) = @_;
	return map {
		my ($code, $answer, $error) = $node->psql('postgres', $sql =~ s/\bt\b/$_/gr);
		$code == 0 ? $answer : "$_: $error"
	} 'twin', $partition;
}

# Where an answer is wrong: the first rows that are to blame.
sub show_rows
{
	my ($expression, $condition) = @_;
	my ($heap, $sealed) = map { "(SELECT n, $expression AS e FROM $_ l WHERE $condition)" =~ s/\bt\b/$_/gr } 'twin', $partition;
	my ($code, $rows, $error) = $node->psql('postgres', <<"SQL");
SELECT n, h.e, s.e, left(data::text, 200) FROM $heap h FULL JOIN $sealed s USING (n) JOIN twin USING (n)
WHERE h.e IS DISTINCT FROM s.e ORDER BY n LIMIT 3
SQL
	diag($rows . $error);
	return;
}

sub is_sealed { return query("SELECT relkind FROM pg_class WHERE oid = '$partition'::regclass") eq 'f'; }

#
# Rows
#
my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
open my $out, '>:raw', $file or die "$file: $!";
$generator->write_rows($out, $documents);
close $out or die "$file: $!";
query("\\copy sent FROM '$file'");
unlink $file;
is(query('SELECT count(*) FROM sent'), $documents, "there are $documents documents, of seed $seed");
cmp_ok(query(q{SELECT count(DISTINCT (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(data) k))
		FROM sent WHERE jsonb_typeof(data) = 'object'}),
	'>', 0.1 * $documents, 'of many shapes');
# A tenth of them twice: equal in all but their number.
query(<<"SQL");
INSERT INTO log (event_timestamp, data, status, n, note, amount, seen, flag)
SELECT ('$day'::date::timestamp AT TIME ZONE 'UTC') + microseconds * interval '1 microsecond', CASE WHEN n % 997 <> 3 THEN data END, status, n + twice * 1000000000,
	CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'note ' || n ELSE 'x' END,
	CASE WHEN n % 3 > 0 THEN (n % 1000)::numeric / 100 + CASE WHEN n % 50 = 0 THEN 'NaN' ELSE 0::numeric END END,
	CASE WHEN n % 7 > 0 THEN to_timestamp(n * 0.001) ELSE '-infinity' END, CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN false ELSE true END
FROM sent, generate_series(0, 1) twice WHERE twice = 0 OR n % 10 = 0;
SQL

# And as the collector stores them; number from what the request said.
{
	my @bodies;
	for my $n (1 .. 400)
	{
		my $body = $generator->document;
		push @bodies, $body if $body =~ /^\{/;
	}
	my $connection = connect_to($port);
	my $refused = 0;
	for my $n (0 .. $#bodies)
	{
		$connection->request($bodies[$n], path => "/log?n=$n", headers => ['Content-Type: application/json']);
		$refused++ if ($connection->response // { status => 'none' })->{status} ne '200';
	}
	is($refused, 0, 'events that were posted are accepted');
	post($port, "{\"a\":1}\n{broken\n{\"b\":1e99999}\n", type => 'application/x-ndjson');
	is(query("SELECT count(*) FROM $partition WHERE n IS NULL"), 0, 'they are elsewhere');
	query(<<"SQL");
WITH posted AS (DELETE FROM log WHERE n IS NULL RETURNING *)
INSERT INTO log (event_timestamp, data, status, n)
SELECT ('$day'::date::timestamp AT TIME ZONE 'UTC') + (event_timestamp - date_trunc('day', event_timestamp, 'UTC')), data, status,
	2000000000 + row_number() OVER (ORDER BY data->>'id') FROM posted
SQL
}
query("CREATE TABLE twin AS SELECT * FROM $partition; CREATE INDEX ON twin (n); ANALYZE twin");
is(differences(), '', 'the twin is one');

#
# Sealed
#
my $begun = time;
is(query("SELECT windtrap.seal('$partition')"), query('SELECT count(*) FROM twin'), 'it is sealed, with all rows');
note(sprintf 'sealing took %d s', time - $begun);
ok(is_sealed(), 'and is a foreign table now');
is(differences(), '', 'every row is as it was, to the byte');
is(query("SELECT count(*) FROM ${partition}_late"), 0, 'and in its chunks');
is(query("SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM log WHERE n < 2000000000"),
	$partition, 'and belongs to it');
is( query("SELECT count(*) FROM (SELECT event_timestamp < lag(event_timestamp) OVER () AS before FROM (SELECT event_timestamp FROM $partition ORDER BY event_timestamp) t) t WHERE before"),
	0, 'in order of time');
{
	my $newest = q{SELECT string_agg(event_timestamp::text || coalesce(status::text, ''), ' ') FROM (SELECT * FROM t ORDER BY event_timestamp DESC, status LIMIT 50) t};
	my ($heap, $sealed) = answers($newest);
	is($sealed, $heap, 'the newest first');
}

# Of documents of which only a part is read.
sub check_expressions
{
	my ($when) = @_;
	for my $expression (
		q{data->'id'}, q{data->>'id'}, q{data->'json'}, q{data->'json'->'app'}, q{data->'json'->>'message'}, q{data #>> '{json,user,id}'},
		q{data #> '{json,user,tags,1}'}, q{data->'json'->'user'->'tags'->>0}, q{data->'time'}, q{data->'json'->'seconds'},
		q{data->>0}, q{data->-1}, q{data->''}, q{data->'a'->'b'}, q{data->'a.b'}, q{data->'shape'}, q{data ? 'a'}, q{data->'json' ? 'app'},
		q{data ?| ARRAY['b','aa']}, q{data ?& ARRAY['a','b']}, q{jsonb_typeof(data)}, q{jsonb_typeof(data->'json'->'count')}, q{data || '{"a":2}'}, q{(CASE jsonb_typeof(data) WHEN 'object' THEN data END) - 'json'},
		q{(CASE WHEN jsonb_typeof(data) = 'object' THEN data END) #- '{json}'}, q{data @> '{"json":{"app":"shop"}}'}, q{data->'json' @> '{"severity":"error"}'}, q{data @> '[1]'}, q{data @> '1'},
		q{data <@ '{"a":{},"b":1}'}, q{data @? '$.json.user.id ? (@ > 50000)'}, q{data @@ '$.json.app == "cart"'}, q{jsonb_path_query_first(data, '$.*')},
		q{data->'json'->'app' || (data->'id')}, q{data = '{}'}, q{data < '{"a":1}'}, q{data->'json'->>'severity' || coalesce(data->>'host', '')},
		q{(data->'json')::text}, q{data::text LIKE '%timeout%'}, q{data['json']['app']}, q{to_jsonb(l)->'data'->'id'}, q{l.data}, q{row(data->'a', data->'b')},
		q{(SELECT string_agg(k, ',' ORDER BY k) FROM jsonb_object_keys(CASE jsonb_typeof(data) WHEN 'object' THEN data ELSE '{}' END) k)},
		q{(SELECT count(*) FROM twin e WHERE e.n = l.n AND e.data->'id' = l.data->'id')},
		q{jsonb_set(CASE jsonb_typeof(data) WHEN 'object' THEN data ELSE '{}' END, '{json}', '1')}, q{note}, q{amount}, q{seen}, q{flag}, q{status})
	{
		my ($heap, $sealed) = answers("SELECT md5(string_agg(coalesce(($expression)::text, '-'), ',' ORDER BY n)) FROM t AS l");
		is($sealed, $heap, "$when: $expression") or show_rows("($expression)::text", 'true');
	}
	return;
}

# Conditions, which are decided upon before a row is made.
sub check_conditions
{
	my ($when) = @_;
	my $id = query("SELECT data->>'id' FROM twin WHERE data->'json'->>'app' = 'shop' AND data->>'id' ~ '^0' ORDER BY n LIMIT 1");
	for my $condition (
		q{data->'json'->>'app' = 'shop'}, q{data->'json'->>'app' <> 'shop'}, q{data->'json'->>'app' IN ('shop', 'cart')}, q{data->'json'->>'app' IS NULL},
		q{data->'json'->>'app' IS NOT NULL}, q{data->'json'->'app' IS NULL}, q{data->'json'->'app' = 'null'}, q{data->'json'->>'severity' > 'f'},
		q{data->'json'->>'severity' BETWEEN 'e' AND 'info'}, q{lower(data->'json'->>'severity') = 'info'}, q{NOT (data->'json'->>'app' = 'shop')},
		q{(data->'json'->>'app' = 'shop') IS NOT TRUE}, q{data->'json'->>'message' LIKE '%timeout%'}, q{data->'json'->>'message' ILIKE '%timeout%'},
		q{data->'json'->>'message' LIKE '%port 2%'}, q{data->'json'->>'message' LIKE 'took 0%'}, q{data->'json'->>'message' LIKE '%0ms%'},
		q{data->'json'->>'message' LIKE '%1_2%'}, q{data->'json'->>'message' NOT LIKE '%o%'}, q{data->'json'->>'message' ~ '[0-9]{3}\.'},
		q{data->'json'->>'message' ~* 'CLOSED$'}, q{data->'json'->>'message' LIKE '%#%'}, q{data->'json'->>'message' LIKE ''}, q{data->'json'->>'message' LIKE '%'},
		q{data->'json'->>'message' LIKE '%\%%'}, q{data->'json'->>'message' LIKE '_'}, q{data->'json'->>'message' LIKE '%' || chr(228) || '%'}, q{data->'json'->>'message' = ''},
		q{data @> '{"json":{"app":"shop","severity":"error"}}'}, q{data @> '{"json":{"count":5}}'}, q{data @> '{"json":{}}'}, q{data @> '{}'}, q{data @> '[]'}, q{data @> '"a"'},
		q{data @> '{"a":1.0}'}, q{data @> '{"a":null}'}, q{data @> '{"a":{}}'}, q{data @> '{"a":[]}'}, q{data @> '{"json":{"user":{"tags":["a"]}}}'}, q{NOT data @> '{"json":{"app":"shop"}}'},
		q{data->'json'->'app' @> '"shop"'}, qq{data->>'id' = '$id'}, qq{data->'id' = '"$id"'}, qq{data->>'id' > '$id'}, qq{data->>'id' < '$id'}, qq{data->>'id' = upper('$id')},
		qq{data @> '{"id":"$id"}'},
		q{jsonb_typeof(data->'json'->'seconds') = 'number' AND (CASE jsonb_typeof(data->'json'->'seconds') WHEN 'number' THEN data->'json'->'seconds' END)::numeric > 5.5},
		q{data->'json'->'seconds' > '5.5'}, q{data->'json'->'seconds' = '5.50'}, q{data->'json'->>'seconds' = '5.50'}, q{data->'json'->'count' IN ('1', '77', '1e3')},
		q{data @? '$.json.seconds ? (@ > 9.5)'}, q{data @@ '$.json.count < 1000'}, q{data ? 'shape'}, q{data ?| ARRAY['error', 'shape']}, q{data->'json' ?& ARRAY['app', 'user']},
		q{status = 2}, q{status IS NULL}, q{status <> 0}, q{status = 2147483647 AND data->'json'->>'app' = 'cart'}, q{note = ''}, q{note IS NULL}, q{note LIKE 'note 1%'}, q{flag}, q{NOT flag},
		q{amount = 'NaN'}, q{amount > 5}, q{seen = '-infinity'}, q{data->>'host' = 'db1' AND (data->'json'->>'app' = 'shop' OR data->'json'->>'severity' = 'error')},
		q{data->>'host' ILIKE 'DB1'}, q{data->'a' = '{}'}, q{data->'a' IS NULL AND data ? 'a'}, q{data->>'a' IS NULL AND data ? 'a'}, q{data #>> '{json,user,id}' = '12345'},
		q{data::text LIKE '%timeout%'}, q{data = '{}'}, q{jsonb_typeof(data) = 'array'}, q{data->>'time' > '2026-06'}, q{data->>'time' LIKE '2026-02-%Z'}, q{data->>'' IS NOT NULL},
		qq{event_timestamp < '$day'::date::timestamp AT TIME ZONE 'UTC' + interval '1 minute'}, qq{event_timestamp = (SELECT max(event_timestamp) FROM t)})
	{
		my ($heap, $sealed) = answers("SELECT count(*), sum(n) FROM t WHERE $condition");
		is($sealed, $heap, "$when: WHERE $condition") or show_rows("''", $condition);
	}
	return;
}

# The lines that only one of two answers has, the first of them.
sub difference
{
	my @answers = map { my %lines; $lines{$_}++ for split /\n/; \%lines } @_;
	my @only = map { my ($n, $own, $other) = @$_; map { "$n: $_" } grep { ($own->{$_} // 0) > ($other->{$_} // 0) } sort keys %$own }
	  [ 'heap', @answers ], [ 'sealed', reverse @answers ];
	splice @only, 6 if @only > 6;
	return join "\n", @only, $_[0] ne $_[1] && !@only ? 'another order' : ();
}

sub check_groups
{
	my ($when) = @_;
	for my $sql (
		q{SELECT data->'json'->>'app', count(*) FROM t GROUP BY 1 ORDER BY 1}, q{SELECT n, count(*) FROM (SELECT count(*) AS n FROM t GROUP BY data->'json'->'app', data->'json'->'severity') g GROUP BY 1 ORDER BY 1},
		q{SELECT DISTINCT data->'host' FROM t ORDER BY 1}, q{SELECT DISTINCT data->'json'->>'severity' COLLATE "C", status FROM t ORDER BY 1, 2},
		q{SELECT count(*), count(data->'json'), count(data->>'a'), count(status), count(note), min(event_timestamp), max(event_timestamp), min(status), max(status), sum(status::bigint), min(note), max(amount) FROM t},
		q{SELECT min(data->>'id'), max(data->>'id'), min(data->'json'->>'app'), max(data->>'time') FROM t}, q{SELECT status, count(*) FROM t WHERE data->'json'->>'app' = 'shop' GROUP BY 1 ORDER BY 1},
		q{SELECT count(DISTINCT data->'json'->>'app'), count(DISTINCT status) FROM t}, q{SELECT jsonb_typeof(data), count(*) FROM t GROUP BY 1 ORDER BY 1},
		q{SELECT data->'json'->>'app', count(*) FROM t GROUP BY 1 HAVING count(*) > 100 ORDER BY 1}, q{SELECT date_trunc('minute', event_timestamp), count(*) FROM t GROUP BY 1 ORDER BY 1},
		q{SELECT count(*) FILTER (WHERE data->'json'->>'severity' = 'error') FROM t}, q{SELECT count(*) FROM t a JOIN t b USING (n) WHERE a.data = b.data})
	{
		for my $partitionwise ('off', 'on')
		{
			my ($heap, $sealed) = answers("SET windtrap.partitionwise_aggregate = $partitionwise; $sql");
			is(difference($heap, $sealed), '', "$when, partition-wise $partitionwise: $sql");
		}
	}
	return;
}

sub check_answers
{
	my ($when) = @_;
	# Of more it takes long, and tells no more.
	return if $documents > 100_000;
	check_expressions($when);
	check_conditions($when);
	check_groups($when);
	return;
}

check_answers('sealed');

#
# Changed: the same done to both.
#
sub change
{
	my ($sql) = @_;
	my ($heap, $sealed) = answers($sql);
	is($sealed, $heap, "changed alike: $sql");
	return;
}

change(q{WITH c AS (UPDATE t SET status = coalesce(status, 0) # 1 WHERE data->'json'->>'app' = 'shop' RETURNING n, status) SELECT count(*), sum(n), sum(status::bigint) FROM c});
change(q{WITH c AS (UPDATE t SET status = NULL WHERE n % 11 = 0 RETURNING n) SELECT count(*), sum(n) FROM c});
change(q{WITH c AS (DELETE FROM t WHERE data->'json'->>'app' = 'cart' AND n % 3 = 0 RETURNING n, data) SELECT count(*), md5(string_agg(data::text, ',' ORDER BY n)) FROM c});
change(q{WITH c AS (UPDATE t SET data = jsonb_build_object('was', data, 'n', 1.50) WHERE n % 101 = 0 RETURNING n, data) SELECT count(*), md5(string_agg(data::text, ',' ORDER BY n)) FROM c});
change(q{WITH c AS (UPDATE t SET note = 'changed', amount = 1.10 WHERE n % 103 = 0 RETURNING n) SELECT count(*), sum(n) FROM c});
change(q{WITH c AS (INSERT INTO t (event_timestamp, data, status, n, seen) SELECT event_timestamp, data, status, n + 3000000000, seen FROM twin WHERE n % 211 = 0 AND n < 3000000000 RETURNING n) SELECT count(*), sum(n) FROM c});
change(q{WITH c AS (UPDATE t SET status = 7 WHERE n >= 3000000000 RETURNING n) SELECT count(*), sum(n) FROM c});
change(q{WITH c AS (UPDATE t SET status = status WHERE n % 101 = 0 AND n % 2 = 0 RETURNING n, data) SELECT count(*), md5(string_agg(data::text, ',' ORDER BY n)) FROM c});
change(q{WITH c AS (DELETE FROM t WHERE n % 202 = 0 RETURNING n, data) SELECT count(*), md5(string_agg(data::text, ',' ORDER BY n)) FROM c});
is(differences(), '', 'every row is as on the heap after changes') or die 'what follows would fail as well';
check_answers('changed');
query("SELECT windtrap.erase('$partition')");
is(differences(), '', 'and after what was deleted has been erased');

query("SELECT windtrap.unseal('$partition')");
ok(!is_sealed(), 'it is unsealed');
is(differences(), '', 'and every row is as it was');
query("SELECT windtrap.seal('$partition')");
is(differences(), '', 'sealed again, too');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
