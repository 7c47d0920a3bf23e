# Sealing and the way back: nothing is lost, doubled or changed by it, whatever happens meanwhile,
# and nobody waits for it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use Background;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('seal', conf => <<'CONF');
windtrap.retention_grace = 0
windtrap.seal_after = ''
max_prepared_transactions = 2
CONF
my $port = wt_port($node);
my $rows = 60_000;

sub query { return $node->safe_psql('postgres', $_[0]); }

# Without a value: the error.
sub error_of
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql);
	return $rc == 0 ? '' : $err;
}

# A day's events: log lines, and documents that fit no columns.
sub fill
{
	my ($day, $n) = @_;
	query(<<"SQL");
INSERT INTO log
SELECT '$day 00:00+00'::timestamptz + i * interval '1.1 s',
	CASE WHEN i % 1000 = 7 THEN (ARRAY['"text"', '1.50', 'null', '[]', '{}', '[1, {"a": [2.0, null]}]', 'true',
			'{"a": {"b": {"c": [{"d": 1e5}]}}, "": ""}', '{"json": {"n": -0.00}}'])[i / 1000 % 9 + 1]::jsonb
		WHEN i % 1000 = 8 THEN jsonb_build_object('k' || i, repeat('x', i % 5000))
		ELSE jsonb_build_object('id', gen_random_uuid(), 'host', '10.0.0.1', 'json', jsonb_build_object(
			'msg', 'Connection closed by 10.0.' || i % 7 || '.' || i % 255 || ' port ' || i, 'n', i,
			'price', (i % 100)::numeric(10, 2), 'app', 'app' || i % 20)) END,
	i % 3
FROM generate_series(1, $n) i
SQL
	return;
}

# All there is in the table, as a number of rows and a sum over their bytes.
sub state
{
	return query(<<'SQL');
SELECT count(*), sum(hashtextextended(concat_ws('|', event_timestamp, encode(jsonb_send(data), 'hex'), status), 0)::numeric)
FROM log
SQL
}

sub begin { return background($node, $_[0]); }

sub leftovers
{
	return query(q(SELECT coalesce(string_agg(relname, ' ' ORDER BY relname DESC), '') FROM pg_class
		WHERE relname ~ '^log_.*_(sealed|late|new)(_\d+)?$' AND relkind IN ('r', 'f')));
}

query('SELECT windtrap.create_log_table()');
query("SELECT windtrap.upkeep('2026-03-01 00:00+00', 'log')");
fill('2026-03-01', $rows);
fill('2026-03-02', $rows);
fill('2026-03-03', 1000);

#
# There and back
#
{
	my $before = state();

	is(query("SELECT windtrap.seal('log_20260301')"), $rows, 'a partition is sealed, and says of how many rows');
	is(state(), $before, 'all of it is there, byte for byte');
	is(query('SELECT count(*) FROM log_20260301_late'), 0, 'all of it in chunks');
	is(query("SELECT kind, rows, ratio > 5, progress, not_sealable FROM windtrap.partitions
		WHERE partition = 'log_20260301'::regclass"),
		"sealed|$rows|t||", 'the view shows it');
	is(query("SELECT kind FROM windtrap.partitions WHERE partition = 'log_20260302'::regclass"), 'heap',
		'and what is not sealed');
	like(error_of("SELECT windtrap.seal('log_20260301')"), qr/cannot be sealed: it is no ordinary table/, 'it is not sealed twice');
	like(error_of("SELECT windtrap.unseal('log_20260302')"), qr/it is no sealed partition/, 'what is not sealed is not unsealed');
	like(error_of("DROP TABLE log_20260301_sealed"), qr/cannot drop table log_20260301_sealed because foreign table log_20260301 requires it/,
		'its chunks cannot be dropped by themselves');
	query('ALTER TABLE log_20260301_sealed RENAME TO elsewhere');
	query('ALTER TABLE log_20260301_late RENAME TO elsewhere_late');
	query('ALTER FOREIGN TABLE log_20260301 RENAME TO first_of_march');
	is(state(), $before, 'all may be called what one likes');
	query('ALTER FOREIGN TABLE first_of_march RENAME TO log_20260301');
	is(query("SELECT windtrap.unseal('log_20260301')"), $rows, 'it is unsealed');
	is(state(), $before, 'all of it is there, byte for byte');
	is(query("SELECT kind FROM windtrap.partitions WHERE partition = 'log_20260301'::regclass"), 'heap', 'as an ordinary table');
	is(query("SELECT count(*) FROM pg_class WHERE relname LIKE 'elsewhere%'"), 0, 'its chunks are gone');
	is(query("SELECT count(*) FROM pg_index WHERE indrelid = 'log_20260301'::regclass"), 1, 'it has its index again');
}

#
# kill -9
#
{
	my $before = state();
	my $begin = time;
	my $took;

	query("SELECT windtrap.seal('log_20260302')");
	$took = time - $begin;
	$begin = time;
	query("SELECT windtrap.unseal('log_20260302')");
	for my $i (1 .. 8)
	{
		my $sealed = query("SELECT kind = 'sealed' FROM windtrap.partitions WHERE partition = 'log_20260302'::regclass") eq 't';
		my $job = begin(sprintf "SELECT windtrap.%s('log_20260302')", $sealed ? 'unseal' : 'seal');
		my $kind;

		sleep $took * $i / 7;
		kill_group($node);
		$job->{run}->finish;
		$node->start;
		is(state(), $before, "killed after $i sevenths: nothing is lost or doubled");
		$kind = query("SELECT kind FROM windtrap.partitions WHERE partition = 'log_20260302'::regclass");
		is(leftovers(), $kind eq 'sealed' ? 'log_20260302_sealed log_20260302_late' : '', "and nothing is left of it ($kind)");
	}
	query("SELECT windtrap.unseal('log_20260302')") if leftovers();
}

#
# Changes meanwhile
#
{
	my $expected;
	my ($writer, $job);

	query('CREATE TABLE expected AS SELECT event_timestamp, data, status FROM log');
	# Each change is made to both tables, in one transaction.
	$writer = begin(<<'SQL');
DO $$
BEGIN
	FOR i IN 1 .. 2000 LOOP
		INSERT INTO log VALUES ('2026-03-02 12:00+00', jsonb_build_object('late', i), 0);
		INSERT INTO expected VALUES ('2026-03-02 12:00+00', jsonb_build_object('late', i), 0);
		UPDATE log SET status = status + 10 WHERE event_timestamp = '2026-03-02 00:00+00'::timestamptz + i * interval '1.1 s';
		UPDATE expected SET status = status + 10 WHERE event_timestamp = '2026-03-02 00:00+00'::timestamptz + i * interval '1.1 s';
		DELETE FROM log WHERE event_timestamp = '2026-03-02 10:00+00'::timestamptz + i * interval '1.1 s';
		DELETE FROM expected WHERE event_timestamp = '2026-03-02 10:00+00'::timestamptz + i * interval '1.1 s';
		COMMIT;
	END LOOP;
END $$
SQL
	query('CREATE INDEX ON expected (event_timestamp)');
	ok(wait_for(sub { query("SELECT count(*) FROM expected WHERE data ? 'late'") > 20 }), 'somebody changes the partition');
	for my $round (1 .. 3)
	{
		$job = begin("SELECT windtrap.seal('log_20260302')");
		ok(finish($job), "it is sealed meanwhile ($round)") or diag $job->{err};
		$job = begin("SELECT windtrap.unseal('log_20260302')");
		# Rows of chunks that are changed while it is unsealed make that fail.
		ok(finish($job) || $job->{err} =~ /were changed while it was being unsealed/, "and unsealed, or says why not ($round)") or diag $job->{err};
		query("SELECT windtrap.unseal('log_20260302')") if $round < 3 && leftovers() && finish($writer);
	}
	finish($writer);
	is($writer->{err}, '', 'who changes rows has no errors');
	is(query(<<'SQL'), '0', 'every change is there, once');
SELECT count(*) FROM (
	(SELECT event_timestamp, data::text, status FROM log EXCEPT ALL SELECT event_timestamp, data::text, status FROM expected)
	UNION ALL
	(SELECT event_timestamp, data::text, status FROM expected EXCEPT ALL SELECT event_timestamp, data::text, status FROM log)) d
SQL
	query("SELECT windtrap.unseal('log_20260302')") if leftovers();
	query('DROP TABLE expected');
}

#
# Readers, and ingest
#
{
	my $count = query("SELECT count(*) FROM log WHERE event_timestamp < '2026-03-04 00:00+00'");
	my $load = start_load($port);
	my $reader = begin(<<"SQL");
DO \$\$
DECLARE
	n bigint;
BEGIN
	FOR i IN 1 .. 200 LOOP
		SELECT count(*) INTO n FROM log WHERE event_timestamp < '2026-03-04 00:00+00';
		IF n <> $count THEN
			RAISE EXCEPTION 'counted %', n;
		END IF;
		COMMIT;
	END LOOP;
END \$\$
SQL
	# One whose snapshot is older than what is sealed.
	my $old = $node->background_psql('postgres', on_error_stop => 1);
	my $n = 0;

	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	while ($reader->{run}->pumpable)
	{
		for my $what (qw(seal unseal))
		{
			my $done = begin("SELECT windtrap.$what('log_20260301')");
			ok(finish($done), "$what while events come in and others count") or diag $done->{err};
			$n++;
			if ($n == 1)
			{
				is($old->query_safe("SELECT count(*) FROM log WHERE event_timestamp < '2026-03-04 00:00+00'"), $count,
					'a snapshot that is older than the sealing sees all rows');
				$old->query_safe('COMMIT');
			}
		}
		$reader->{run}->pump_nb;
		last if $n >= 12;
	}
	ok(finish($reader), 'a loop of counts sees all rows at all times') or diag $reader->{err};
	$old->quit;
	my $codes = $load->stop;
	is(join(' ', keys %$codes), '200', 'all events were taken');
	cmp_ok($codes->{200}, '>', 200, 'of which there were many');
	cmp_ok($load->slowest, '<', 1000, 'and none waited for long');
}

#
# Who is in the way
#
{
	my $holder = $node->background_psql('postgres', on_error_stop => 1);
	my ($job, $alter);

	$holder->query_safe('BEGIN; SELECT count(*) FROM log');
	$job = begin("SELECT windtrap.seal('log_20260303')");
	ok(!finish($job), 'it is not sealed while somebody reads the table in a long transaction');
	like($job->{err}, qr/could not lock public\.log\b.*Somebody is using it/s, 'and says so');
	is(leftovers(), '', 'nothing is left of it');
	$holder->query_safe('COMMIT');
	$holder->quit;
	query("SELECT windtrap.seal('log_20260303')");
	is(leftovers(), 'log_20260303_sealed log_20260303_late', 'then it is');
	query('DROP FOREIGN TABLE log_20260303');
	is(leftovers(), '', 'and takes its chunks along when it is dropped');
}

#
# What cannot be sealed
#
{
	query('CREATE VIEW looks AS SELECT * FROM log_20260302');
	like(error_of("SELECT windtrap.seal('log_20260302')"), qr/cannot be sealed: .*view public\.looks depends on it/, 'not with a view on it');
	query('DROP VIEW looks');
	query('CREATE UNIQUE INDEX nodup ON log (event_timestamp, data)');
	like(error_of("SELECT windtrap.seal('log_20260302')"), qr/cannot be sealed: its table has the unique index public\.nodup/, 'nor with a unique index');
	my $mark = log_mark($node);
	alter_system($node, 'windtrap.seal_after' => '1 day');
	ok(wait_for(sub { log_since($node, $mark) =~ /is not sealed: its table has the unique index public\.nodup/ }), 'the log says why the upkeep seals nothing');
	is(query("SELECT count(DISTINCT not_sealable) FROM windtrap.partitions WHERE kind = 'heap' AND from_time IS NOT NULL"), 1, 'and so does the view');
	is(scalar(() = log_since($node, $mark) =~ /is not sealed/g), 1, 'it is said once');
	query('DROP INDEX nodup');
	query('CREATE PUBLICATION everything FOR ALL TABLES');
	like(error_of("SELECT windtrap.seal('log_20260302')"), qr/its table is published by everything/, 'nor what is published');
	query('DROP PUBLICATION everything');
	query('CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$');
	query('CREATE TRIGGER own BEFORE INSERT ON log_20260302 FOR EACH ROW EXECUTE FUNCTION f()');
	like(error_of("SELECT windtrap.seal('log_20260302')"), qr/it has the trigger own of its own/, 'nor with a trigger of its own');
	query('DROP TRIGGER own ON log_20260302');
	query('CREATE ROLE somebody');
	like(error_of("SET ROLE somebody; SELECT windtrap.seal('log_20260302')"), qr/permission denied for function seal/, 'nor by others');
}

#
# By itself
#
{
	my $before = state();
	my $mark = log_mark($node);

	reload($node);
	ok(wait_for(sub { query("SELECT count(*) FROM windtrap.partitions WHERE kind = 'sealed'") eq '2' }, 60),
		'the upkeep seals what has been over for long enough, where there is something');
	is(state(), $before, 'and all is there');
	like(log_since($node, $mark), qr/sealed partition public\.log_20260301: \d+ rows, \d+ (?:bytes|kB|MB) became \d+ (?:bytes|kB|MB)/, 'the log says so');
	is(query('SELECT count(*) FROM windtrap.upkeep_failures'), 0, 'nothing fails');

	# Late events, and deletions: the next rounds put both in order.
	query("INSERT INTO log SELECT '2026-03-01 00:00+00'::timestamptz + i * interval '3 s', jsonb_build_object('late', i) FROM generate_series(1, 20000) i");
	query("DELETE FROM log WHERE event_timestamp >= '2026-03-01 01:00+00' AND event_timestamp < '2026-03-01 02:00+00'");
	query("UPDATE log SET status = 77 WHERE event_timestamp >= '2026-03-01 03:00+00' AND event_timestamp < '2026-03-01 04:00+00'");
	$before = state();
	ok(wait_for(sub { reload($node); sleep 0.3; query('SELECT NOT EXISTS (SELECT FROM log_20260301_late) AND NOT EXISTS (SELECT FROM log_20260301_sealed WHERE part = -1)') eq 't' }, 60),
		'late rows are taken in, deleted ones erased') or diag query('SELECT count(*), min(data::text), max(data::text) FROM log_20260301_late'), query('SELECT * FROM windtrap.upkeep_failures');
	is(state(), $before, 'and all is there');
	is(query('SELECT bool_and(ok) FROM (SELECT event_timestamp >= lag(event_timestamp) OVER () AS ok
		FROM (SELECT event_timestamp FROM log_20260301 ORDER BY event_timestamp) x OFFSET 1) y'), 't', 'in order of time');
	is(query("SELECT windtrap.erase('log_20260301')"), 0, 'there is nothing more to erase');
	query("DELETE FROM log WHERE event_timestamp >= '2026-03-01 05:00+00' AND event_timestamp < '2026-03-01 06:00+00'");
	cmp_ok(query("SELECT windtrap.erase('log_20260301')"), '>', 1000, 'by hand, too');
	is(query("SELECT count(*) FROM log WHERE event_timestamp >= '2026-03-01 05:00+00' AND event_timestamp < '2026-03-01 06:00+00'"), 0, 'they do not come back');
}

# Rows are changed all the while chunks are rewritten.
{
	my $writer;

	query('CREATE TABLE expected AS SELECT event_timestamp, data, status FROM log');
	query('CREATE INDEX ON expected (event_timestamp)');
	$writer = begin(<<'SQL');
DO $$
DECLARE
	t timestamptz;
BEGIN
	FOR i IN 1 .. 300 LOOP
		t := '2026-03-01 06:00+00'::timestamptz + i * interval '33 s';
		BEGIN
			UPDATE log SET status = status + 1000 WHERE event_timestamp >= t AND event_timestamp < t + interval '11 s';
			UPDATE expected SET status = status + 1000 WHERE event_timestamp >= t AND event_timestamp < t + interval '11 s';
			DELETE FROM log WHERE event_timestamp >= t + interval '11 s' AND event_timestamp < t + interval '14 s';
			DELETE FROM expected WHERE event_timestamp >= t + interval '11 s' AND event_timestamp < t + interval '14 s';
			INSERT INTO log VALUES (t, jsonb_build_object('n', i), 5);
			INSERT INTO expected VALUES (t, jsonb_build_object('n', i), 5);
		EXCEPTION WHEN serialization_failure THEN
			NULL;
		END;
		COMMIT;
	END LOOP;
END $$
SQL
	while ($writer->{run}->pumpable)
	{
		# So that the upkeep finds the late rows at rest now and then.
		reload($node);
		sleep 0.05;
		reload($node);
		sleep 0.2;
		$writer->{run}->pump_nb;
	}
	ok(finish($writer), 'rows are changed while chunks are rewritten') or diag $writer->{err};
	is(query(<<'SQL'), '0', 'every change is there, once');
SELECT count(*) FROM (
	(SELECT event_timestamp, data::text, status FROM log EXCEPT ALL SELECT event_timestamp, data::text, status FROM expected)
	UNION ALL
	(SELECT event_timestamp, data::text, status FROM expected EXCEPT ALL SELECT event_timestamp, data::text, status FROM log)) d
SQL
	is(query('SELECT count(*) > 10 FROM expected WHERE status >= 1000'), 't', 'and some were made');
	query('DROP TABLE expected');
}

#
# Parts of a day
#
{
	my ($before, $notes);

	alter_system($node, 'windtrap.seal_after' => '', 'windtrap.partition_width' => '1 hour');
	ok(wait_for(sub { query(q(SELECT count(*) FROM windtrap.upkeep('2026-04-01 00:00+00', 'log') WHERE action = 'created')) eq '72'
		|| query(q(SELECT count(*) FROM pg_class WHERE relname ~ '^log_2026040[123]_\d\d$' AND relkind = 'r')) eq '72' }), 'partitions of an hour are made');
	fill('2026-04-01', 70_000);
	# Those of some hours have been sealed before the table got a column.
	query("SELECT windtrap.seal('log_20260401_00')");
	query("ALTER TABLE log ADD COLUMN note text DEFAULT 'none'");
	query("UPDATE log SET note = 'late' WHERE event_timestamp = '2026-04-01 00:10:00.1+00' OR event_timestamp >= '2026-04-01 05:00+00' AND event_timestamp < '2026-04-01 05:00:30+00'");
	$notes = query(q(SELECT note, count(*) FROM log WHERE event_timestamp >= '2026-04-01' AND event_timestamp < '2026-04-02' GROUP BY 1 ORDER BY 1));
	$before = state();
	alter_system($node, 'windtrap.seal_after' => '1 day');
	ok(wait_for(sub { query(q(SELECT kind FROM windtrap.partitions WHERE partition::text = 'log_20260401')) eq 'sealed' }, 90),
		'they are sealed, and then one a day') or diag query('TABLE windtrap.upkeep_failures');
	is(query(q(SELECT count(*) FROM pg_class WHERE relname LIKE 'log_20260401%' AND relkind IN ('r', 'f'))), 3, 'nothing is left of the hours');
	is(state(), $before, 'and all is there');
	is(query(q(SELECT note, count(*) FROM log_20260401 GROUP BY 1 ORDER BY 1)), $notes, 'also of a column that some of them got later');
	is(query(q(SELECT rows, heap_bytes > bytes FROM windtrap.partitions WHERE partition::text = 'log_20260401')), '70000|t', 'and accounted for');
	alter_system($node, 'windtrap.partition_width' => undef);
}

#
# Retention
#
{
	my $mark = log_mark($node);
	my $left;

	alter_system($node, 'windtrap.seal_after' => '');
	$left = query(q(SELECT sum(bytes) FROM windtrap.partitions WHERE from_time >= '2026-04-01'));
	# By size: chunks are counted.
	cmp_ok(query(q(SELECT sum(bytes) / 1024 / 1024 FROM windtrap.partitions)), '>', 3, 'sealed partitions take something');
	is(query(q(SELECT string_agg(partition, ' ') FROM windtrap.upkeep('2026-04-20 00:00+00', 'log') WHERE action = 'dropped')), '', 'without retention nothing goes');
	alter_system($node, 'windtrap.retention_size' => '1MB');
	ok(wait_for(sub { leftovers() !~ /log_20260301/ }, 60), 'what is too much goes, sealed or not');
	alter_system($node, 'windtrap.retention_size' => undef, 'windtrap.retention' => '1 day');
	ok(wait_for(sub { reload($node); sleep 0.2; leftovers() eq '' }, 60), 'and what is too old, with its chunks');
	is(query(q(SELECT count(*) FROM windtrap.partitions WHERE kind = 'sealed')), 0, 'nothing is left of it');
	like(log_since($node, $mark), qr/dropped partition public\.log_20260401: .*, about 70000 rows/, 'the log says what was dropped');
}

$node->stop;
done_testing();
