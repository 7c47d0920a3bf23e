# Sealing, the way back, rewriting and merging beside others: who locks what meanwhile waits for
# none of it in vain, and what he does to the partition's catalog is not undone by it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use Background;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('sealed_locks', conf => <<'CONF');
windtrap.retention_grace = 0
windtrap.seal_after = ''
autovacuum_naptime = 1s
CONF

sub query { return $node->safe_psql('postgres', $_[0]); }

sub begin { return background($node, $_[0]); }

# Somebody whose transaction has the log table, and all of its partitions, locked for reading.
sub reader
{
	my $reader = $node->background_psql('postgres', on_error_stop => 1);
	$reader->query_safe('BEGIN; SELECT count(*) FROM log');
	return $reader;
}

sub end
{
	my ($session) = @_;
	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

# Waits until a process whose activity is like this rests between tries.
sub rests
{
	my ($activity) = @_;
	return wait_for(sub { query(<<"SQL") eq 't' }, 60);
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '$activity%' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid())
SQL
}

sub state
{
	return query(<<'SQL');
SELECT count(*), sum(hashtextextended(concat_ws('|', event_timestamp, encode(jsonb_send(data), 'hex'), status), 0)::numeric)
FROM log
SQL
}

sub fill
{
	my ($from, $n, $step) = @_;
	query(<<"SQL");
INSERT INTO log SELECT '$from+00'::timestamptz + i * interval '$step s',
	jsonb_build_object('json', jsonb_build_object('n', i, 'msg', 'Connection closed by port ' || i)), 0
FROM generate_series(1, $n) i
SQL
	return;
}

query('SELECT windtrap.create_log_table()');
query("SELECT windtrap.upkeep('2026-03-01 00:00+00', 'log')");
fill('2026-03-01 00:00', 40_000, 2);
fill('2026-03-02 00:00', 1_000, 2);
query('CREATE ROLE former; CREATE ROLE reader; GRANT SELECT ON log_20260301 TO former');
query(<<'SQL');
CREATE INDEX mine ON log_20260301 (status) WHERE status > 0;
COMMENT ON INDEX mine IS 'those that are done';
CREATE INDEX words ON log_20260301 USING gin ((data->'json'));
SQL

#
# Privileges are those at the end
#
my $before = state();

sub privileges
{
	return query(<<'SQL');
SELECT has_table_privilege('former', 'log_20260301', 'SELECT'), has_table_privilege('reader', 'log_20260301', 'SELECT WITH GRANT OPTION'),
	has_column_privilege('former', 'log_20260301', 'status', 'SELECT')
SQL
}

{
	my $reader = reader();
	my $job = begin("SELECT windtrap.seal('log_20260301')");

	ok(rests('windtrap: sealing log_20260301'), 'sealing waits for somebody who reads');
	query('REVOKE SELECT ON log_20260301 FROM former; GRANT SELECT ON log_20260301 TO reader WITH GRANT OPTION; GRANT SELECT (status) ON log_20260301 TO former');
	end($reader);
	ok(finish($job), 'and seals') or diag $job->{err};
	is(privileges(), 'f|t|t', 'what was granted and revoked meanwhile is so');
}
{
	my $reader = reader();
	my $job = begin("SET client_min_messages = debug1; SELECT windtrap.unseal('log_20260301')");

	ok(rests('windtrap: unsealing log_20260301'), 'unsealing waits for him, too');
	query('REVOKE ALL ON log_20260301 FROM former, reader');
	query(<<'SQL');
INSERT INTO log SELECT '2026-03-01 12:00+00', jsonb_build_object('late', n), 0 FROM generate_series(1, 3) n;
DELETE FROM log WHERE data->>'late' = '2'
SQL
	end($reader);
	ok(finish($job), 'and unseals') or diag $job->{err};
	is($job->{out}, query('SELECT count(*) FROM log_20260301') . "\n", 'it gives the number of rows, late ones included');
	query("DELETE FROM log WHERE data ? 'late'");
	is(privileges(), 'f|f|f', 'what was revoked meanwhile is so');
	like($job->{err}, qr/partition constraint for table "log_20260301" is implied by existing constraints/,
		'all rows are not read while everybody waits');
	is(query(q(SELECT count(*) FROM pg_constraint WHERE conrelid = 'log_20260301'::regclass AND contype = 'c')), 0, 'nothing is left of what tells that');
}
is(state(), $before, 'all is there');

#
# Indexes
#
sub indexes
{
	return query(<<'SQL');
SELECT string_agg(concat_ws(' ', c.relname, a.amname, CASE WHEN c.relispartition THEN 'of the table' END, obj_description(c.oid)), ', ' ORDER BY c.relname)
FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE indrelid = 'log_20260301'::regclass AND indisvalid
SQL
}

my $indexes = 'log_20260301_event_timestamp_idx brin of the table, mine btree those that are done, words gin';

is(indexes(), $indexes, "the table's indexes and the partition's own are there again");
query("UPDATE log SET status = 2 WHERE event_timestamp < '2026-03-01 00:01+00'");
is(query(<<'SQL'), 29, 'and give rows');
SET enable_seqscan = off; SET enable_bitmapscan = off;
SELECT count(*) FROM log_20260301 WHERE status > 1
SQL

#
# As a dump restores it: the tables of its rows are known by their names alone.
#
{
	my $dump = $node->basedir . '/dump';

	query("SELECT windtrap.seal('log_20260301'); CREATE DATABASE restored TEMPLATE template0");
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'it is dumped');
	$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'and restored');
	$node->safe_psql('restored', "SELECT windtrap.unseal('log_20260301')");
	is($node->safe_psql('restored', q(SELECT count(*) FROM pg_class WHERE relname ~ '^log_20260301_(sealed|late)')), 0,
		'there, too, nothing is left when it is unsealed');
	is($node->safe_psql('restored', 'SELECT count(*) FROM log'), 41_000, 'but all of its rows');
	$node->safe_psql('postgres', 'DROP DATABASE restored');
	query("SELECT windtrap.unseal('log_20260301')");
	is(indexes(), $indexes, 'indexes come back every time');
}

#
# Others who keep the partition in order
#
{
	my $other = $node->background_psql('postgres', on_error_stop => 1);
	my $job;

	query("SELECT windtrap.seal('log_20260301'); SELECT windtrap.seal('log_20260302')");
	$other->query_safe("BEGIN; SELECT windtrap.erase('log_20260302')");
	$job = begin("SELECT windtrap.erase('log_20260302')");
	ok(wait_for(sub { $job->{run}->pump_nb; !$job->{run}->pumpable || query(<<'SQL') eq 't' }), 'two erase at once');
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT windtrap.erase%' AND wait_event_type = 'Lock' AND query_start < now() - interval '1.5 s')
SQL
	end($other);
	ok(finish($job), 'the second waits for the first') or diag $job->{err};

	query(<<'SQL');
ALTER TABLE log_20260302_late SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_insert_threshold = -1);
SQL
	fill('2026-03-02 01:00', 10_000, 2);
	query("DELETE FROM log WHERE event_timestamp > '2026-03-02 01:00+00'");
	ok(wait_for(sub { query("SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = 'log_20260302_late'::regclass)") eq 't' }, 60),
		'autovacuum is at its late rows');
	$job = begin("SELECT windtrap.unseal('log_20260302')");
	ok(finish($job), 'and gives way to who unseals it') or diag $job->{err};
	is(query("SELECT count(*) FROM log_20260302"), 1000, 'with all of its rows');
}

#
# Rewriting beside somebody who locks rows of several chunks
#
sub deleted { return query('SELECT count(*) FROM log_20260301_sealed WHERE part = -1'); }

{
	my $first = "event_timestamp = '2026-03-01 00:02+00'";
	my $last = "event_timestamp = '2026-03-01 20:00+00'";
	my $holder = $node->background_psql('postgres', on_error_stop => 1);
	my $job;

	query("DELETE FROM log WHERE event_timestamp IN ('2026-03-01 00:04+00', '2026-03-01 20:02+00')");
	is(deleted(), 2, 'two chunks have deleted rows');
	$holder->query_safe("BEGIN; SELECT status FROM log WHERE $last FOR UPDATE");
	$job = begin("SELECT windtrap.erase('log_20260301')");
	ok(rests('SELECT windtrap.erase'), 'erasing comes back to a chunk that is locked');
	is($holder->query_safe("SELECT status FROM log WHERE $first FOR UPDATE"), 0, 'who has it locked gets the other one, too');
	ok(!finish($job), 'erasing gives way');
	like($job->{err}, qr/somebody is changing rows of "log_20260301"/, 'and says so');
	$holder->query_safe("COMMIT; BEGIN; SELECT status FROM log WHERE $last FOR UPDATE");
	reload($node);
	is(deleted(), 2, 'the upkeep leaves the partition for later');
	$holder->query_safe("SELECT status FROM log WHERE $first FOR UPDATE");
	end($holder);
	ok(wait_for(sub { reload($node); deleted() == 0 }), 'and comes back to them');
	is(query('SELECT count(*) FROM windtrap.upkeep_failures'), 0, 'nothing has failed by that');
	is(count_in_log($node, 'deadlock detected'), 0, 'and nobody has waited for ever');
}

#
# Hours become a day while their rows are changed
#
{
	my $reader;

	query('DROP FOREIGN TABLE log_20260301; DROP TABLE log_20260302');
	# The clock is believed where there are events of these days.
	query("INSERT INTO log VALUES (now(), '{}', 0)");
	alter_system($node, 'windtrap.partition_width' => '1 hour');
	query("SELECT windtrap.upkeep('2026-04-01 00:00+00', 'log')");
	fill('2026-04-01 00:00', 1_000, 2);
	fill('2026-04-01 01:00', 1_000, 2);
	query("SELECT windtrap.seal('log_20260401_00'); SELECT windtrap.seal('log_20260401_01')");
	# Its page gets room before the place where its statuses are now.
	query("UPDATE log SET status = $_ WHERE event_timestamp = '2026-04-01 00:10+00'") foreach 1 .. 5;
	query('VACUUM log_20260401_00_sealed');
	$reader = reader();
	alter_system($node, 'windtrap.seal_after' => '1 day');
	ok(rests('windtrap: merging log_20260401'), 'merging waits for somebody who reads') or diag query('TABLE windtrap.upkeep_failures');
	query("UPDATE log SET status = 7 WHERE event_timestamp = '2026-04-01 00:12+00'");
	query("DELETE FROM log WHERE event_timestamp = '2026-04-01 01:12+00'");
	$before = state();
	ok(rests('windtrap: merging log_20260401'), 'and goes on');
	end($reader);
	ok(wait_for(sub { query(q(SELECT count(*) FROM windtrap.partitions WHERE partition::text = 'log_20260401' AND kind = 'sealed')) == 1 }, 60), 'the day is one');
	is(count_in_log($node, 'duplicate key'), 0, 'what was changed has not been in the way of what it was before');
	is(state(), $before, 'all is there, as it was changed');
}

#
# Writers who are always there keep nothing from being rewritten
#
{
	my $script = PostgreSQL::Test::Utils::tempdir() . '/delete.sql';
	my ($out, $err) = ('', '');
	my $writers;

	alter_system($node, 'windtrap.partition_width' => undef, 'windtrap.seal_after' => '');
	ok(wait_for(sub { query('SHOW windtrap.partition_width') eq '1 day' && query('SHOW windtrap.seal_after') eq '' }), 'partitions of a day');
	query("SELECT windtrap.upkeep('2026-05-01 00:00+00', 'log')");
	fill('2026-05-01 00:00', 5_000, 2);
	query("SELECT windtrap.seal('log_20260501'); DELETE FROM log_20260501 WHERE (data->'json'->'n')::int % 7 = 0");
	append_to_file($script, <<'SQL');
\set n random(1, 5000)
BEGIN;
DELETE FROM log_20260501 WHERE (data->'json'->'n')::int = :n;
SELECT pg_sleep(0.03);
COMMIT;
SQL
	$writers = IPC::Run::start([ 'pgbench', '-n', '-f', $script, '-c', '3', '-j', '1', '-T', '600', '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>', \$err);
	ok(wait_for(sub { query("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DELETE FROM log_20260501%' AND wait_event_type = 'Lock')") eq 't' }), 'some delete rows all the time');
	ok(defined eval { query("SELECT windtrap.erase('log_20260501')") }, 'and what is deleted is erased') or diag $@;
	$writers->signal('TERM');
	$writers->finish;
	query("SELECT windtrap.erase('log_20260501')");
	is(query("SELECT EXISTS (SELECT FROM log_20260501_sealed WHERE part = -1)"), 'f', 'all of it, in the end');
	unlike($err, qr/ERROR/, 'nobody of them is disturbed') or diag $err;
}

#
# Late rows that never stop coming are taken in, too
#
{
	my ($out, $err) = ('', '');
	my $script = PostgreSQL::Test::Utils::tempdir() . '/insert.sql';
	my $writer;

	append_to_file($script, join '', map { "INSERT INTO log VALUES ('2026-05-01 12:00+00', '{\"late\": $_}', 0);\nSELECT pg_stat_force_next_flush();\nSELECT pg_sleep(0.02);\n" } 1 .. 20_000);
	alter_system($node, 'windtrap.seal_after' => '1 day');
	$writer = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script ], '<', \undef, '>', \$out, '2>', \$err);
	ok(wait_for(sub { reload($node); sleep 0.3; query("SELECT count(*) > 0 AND NOT EXISTS (SELECT FROM log_20260501_late WHERE data->'late' = '1') FROM log_20260501 WHERE data->'late' = '1'") eq 't' }, 120),
		'rows are taken into chunks while others come') or diag query('TABLE windtrap.upkeep_failures');
	ok($writer->pumpable, 'which they still do') or diag $err;
	$writer->kill_kill;
}

$node->stop;
done_testing();
