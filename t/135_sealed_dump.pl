# Sealed partitions are tables like others: dumped and restored, read on a standby, renamed, moved,
# altered, with privileges, policies and triggers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use OddDocuments;

my $node = wt_node('sealed_dump', init => { allows_streaming => 1 }, conf => "windtrap.seal_after = ''\nfsync = off\nwal_level = logical\n");
my $generator = OddDocuments->new(135);

sub query { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }

sub error_of
{
	my ($sql, $database) = @_;
	my ($code, $answer, $error) = $node->psql($database // 'postgres', $sql);
	return $code ? $error : "no error: $answer";
}

# All that is in the log, to be compared.
my $digest = q{SELECT count(*) || ' ' || md5(string_agg(row(event_timestamp, data, status, n, note)::text, ',' ORDER BY n, status)) FROM log};

sub digest { return query($digest, @_); }

# Tables of chunks and of late rows that there are.
sub chunk_tables
{
	return query(q{SELECT count(*) FROM pg_class WHERE relkind = 'r' AND (relname ~ '_(sealed|late)$')}, @_);
}

query(<<'SQL');
SELECT windtrap.create_log_table();
SELECT count(*) FROM windtrap.upkeep(now() - interval '5 days');
ALTER TABLE log ADD COLUMN n bigint, ADD note text;
CREATE TABLE sent (n bigint, microseconds bigint, data jsonb, status integer);
SQL
my @days = map { query("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '$_ days', 'YYYYMMDD')") } 4, 3, 2;
my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
open my $out, '>:raw', $file or die "$file: $!";
$generator->write_rows($out, 6_000);
close $out or die "$file: $!";
query("\\copy sent FROM '$file'");
for my $i (0 .. 2)
{
	query("INSERT INTO log SELECT ('$days[$i]'::date::timestamp AT TIME ZONE 'UTC') + microseconds * interval '1 microsecond', data, coalesce(status, 0), n, 'note ' || n % 5 FROM sent WHERE n % 3 = $i");
}
my $before = digest();
query("SELECT windtrap.seal('log_$_')") for @days[ 0, 1 ];
is(digest(), $before, 'two of three partitions are sealed');
is(chunk_tables(), 4, 'by their tables');
# What is late, changed and deleted goes with it.
query(<<"SQL");
INSERT INTO log SELECT event_timestamp, '{"late":1.50}', 3, n + 100000, 'late' FROM log WHERE n % 50 = 0;
UPDATE log SET status = 4 WHERE n % 13 = 0;
UPDATE log SET data = '{"changed":[]}' WHERE n % 101 = 0;
DELETE FROM log WHERE n % 17 = 0;
SQL
$before = digest();

#
# Dump and restore
#
{
	my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
	for my $format ('plain', 'custom', 'directory')
	{
		my $copy = "copy_$format";
		query("CREATE DATABASE $copy TEMPLATE template0");
		$node->command_ok([ 'pg_dump', '-F', $format, ($format eq 'directory' ? ('-j', 2) : ()), '-f', "$dump.$format", '-d', $node->connstr('postgres') ], "pg_dump, $format");
		$node->command_ok(
			$format eq 'plain'
			? [ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dump.plain", '-d', $node->connstr($copy) ]
			: [ 'pg_restore', '-e', ($format eq 'directory' ? ('-j', 3) : ()), '-d', $node->connstr($copy), "$dump.$format" ],
			"restored, $format");
		is(digest($copy), $before, "all is there, $format");
		is(query("SELECT count(*) FROM log WHERE data @> '{\"late\":1.5}' AND status IN (3, 4)", $copy), query("SELECT count(*) FROM log WHERE data @> '{\"late\":1.5}' AND status IN (3, 4)"),
			"what was late, too, $format");
		query("INSERT INTO log SELECT event_timestamp, '{}', 0, 200000, 'after' FROM log WHERE n = 1; UPDATE log SET status = 9 WHERE n < 100", $copy);
		is(query('SELECT count(*) FROM log WHERE status = 9', $copy), query('SELECT count(*) FROM log WHERE n < 100'), "and can be changed, $format");
		query("SELECT count(*) FROM windtrap.upkeep(now() - interval '5 days')", $copy);
		query("DROP FOREIGN TABLE log_$days[0]", $copy);
		is(chunk_tables($copy), 2, "a partition that is dropped takes its chunks along, $format");
		query('DROP TABLE log CASCADE', $copy);
		is(chunk_tables($copy), 0, "and so does the log, $format");
		query("DROP DATABASE $copy");
	}
	# The log alone, as the README has it.
	query('CREATE DATABASE copy_log TEMPLATE template0');
	query('CREATE EXTENSION windtrap', 'copy_log');
	$node->command_ok([ 'pg_dump', '--table=log', '--table=log_*', '-F', 'custom', '-f', "$dump.log", '-d', $node->connstr('postgres') ], 'pg_dump of the log alone');
	$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('copy_log'), "$dump.log" ], 'restored');
	is(digest('copy_log'), $before, 'all is there');
	is(query("SELECT windtrap.unseal('log_$days[1]') > 0", 'copy_log'), 't', 'and can be unsealed');
	is(digest('copy_log'), $before, 'and is the same then');
	query('DROP DATABASE copy_log');
}

#
# A standby
#
{
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('sealed_standby');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'windtrap.port = ' . free_port() . "\n");
	$standby->start;
	$node->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', $digest), $before, 'a standby reads sealed partitions');
	query("SELECT windtrap.seal('log_$days[2]')");
	$node->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', $digest), $before, 'and one that is sealed meanwhile');
	is($standby->safe_psql('postgres', "SELECT count(*) FROM log WHERE data->'json'->>'app' = 'shop' AND tableoid = 'log_$days[2]'::regclass"),
		query("SELECT count(*) FROM log WHERE data->'json'->>'app' = 'shop' AND tableoid = 'log_$days[2]'::regclass"), 'and conditions');
	my ($code, undef, $error) = $standby->psql('postgres', 'UPDATE log SET status = 1 WHERE n = 1');
	like($error, qr/read-only transaction/, 'but changes nothing');
	is($standby->safe_psql('postgres', $digest), digest(), 'it stays the same');
	$standby->promote;
	$standby->safe_psql('postgres', 'UPDATE log SET status = 77 WHERE n < 30');
	is($standby->safe_psql('postgres', 'SELECT count(*) FROM log WHERE status = 77'), query('SELECT count(*) FROM log WHERE n < 30'), 'until it is promoted');
	$standby->stop;
}

#
# Who may
#
query('CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE nobody; GRANT SELECT ON log TO reader; GRANT SELECT, INSERT ON log TO writer; GRANT UPDATE (status) ON log TO writer');
is(query("SET ROLE reader; $digest"), $before, 'SELECT on the log is enough');
like(error_of("SET ROLE nobody; $digest"), qr/permission denied for table log/, 'and is needed');
like(error_of("SET ROLE reader; SELECT * FROM log_$days[0] LIMIT 1"), qr/permission denied for foreign table/, 'the partition by itself is its own matter');
like(error_of("SET ROLE reader; SELECT * FROM log_$days[0]_sealed LIMIT 1"), qr/permission denied/, 'its chunks are nobody\'s');
like(error_of('SET ROLE reader; UPDATE log SET status = 1'), qr/permission denied/, 'who reads changes nothing');
like(error_of("SET ROLE writer; UPDATE log SET data = '{}'"), qr/permission denied/, 'nor who may change another column');
is(query("SET ROLE writer; UPDATE log SET status = status WHERE n = 1; INSERT INTO log SELECT event_timestamp, '{}', 0, 300000 FROM log WHERE n = 1; SELECT count(*) FROM log WHERE n = 300000"), 1,
	'who may, writes');
like(error_of('SET ROLE writer; DELETE FROM log WHERE n = 1'), qr/permission denied/, 'but deletes nothing');
query('DELETE FROM log WHERE n = 300000');
like(error_of("SET ROLE reader; CREATE FOREIGN TABLE mine (event_timestamp timestamptz, data jsonb, status integer) SERVER windtrap_sealed OPTIONS (chunks 'log_$days[0]_sealed')"),
	qr/permission denied/, 'nobody makes a partition of somebody else\'s chunks');
query("GRANT USAGE ON FOREIGN SERVER windtrap_sealed TO reader; GRANT CREATE ON SCHEMA public TO reader");
query("SET ROLE reader; CREATE FOREIGN TABLE mine (event_timestamp timestamptz NOT NULL, data jsonb, status integer) SERVER windtrap_sealed OPTIONS (chunks 'log_$days[0]_sealed', late 'log_$days[0]_late')");
unlike(error_of('SET ROLE reader; SELECT count(*) FROM mine'), qr/no error/, 'nor may who has the server');
query('DROP FOREIGN TABLE mine');

#
# Row security
#
query("ALTER TABLE log ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON log TO reader, writer USING (status = 4 AND data->>'id' IS NOT NULL) WITH CHECK (status < 10)");
is(query("SET ROLE reader; SELECT count(*), sum(n) FROM log"), query("SELECT count(*), sum(n) FROM log WHERE status = 4 AND data->>'id' IS NOT NULL"), 'row security holds for what is sealed');
query(q{CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$});
{
	my (undef, undef, $seen) = $node->psql('postgres', "SET ROLE reader; SELECT count(*) FROM log WHERE leak(status::text)");
	is(join(' ', sort { $a cmp $b } keys %{ { map { $_ => 1 } $seen =~ /seen: (-?\d+)/g } }), '4', 'a function sees no rows that its caller does not');
	my (undef, undef, $error) = $node->psql('postgres', "SET ROLE reader; SELECT count(*) FROM log WHERE 1 / (status - 3) > -100");
	unlike($error, qr/division by zero/, 'nor does an error show that there are any');
}
query('SET ROLE writer; UPDATE log SET status = 6');
is(query("SELECT count(*) FROM log WHERE status = 6"), query("SELECT count(*) FROM log WHERE status = 6 AND data->>'id' IS NOT NULL"), 'nor does who changes them');
cmp_ok(query("SELECT count(*) FROM log WHERE status = 6"), '>', 10, 'of which there were some');
like(error_of("SET ROLE writer; INSERT INTO log SELECT event_timestamp, '{}', 11, 400000 FROM log LIMIT 1"), qr/row-level security|no error: $/, 'what may be inserted is checked');
is(query('SELECT count(*) FROM log WHERE status = 11 AND n = 400000'), 0, 'and nothing else is');
query('DROP POLICY few ON log; ALTER TABLE log DISABLE ROW LEVEL SECURITY; UPDATE log SET status = 4 WHERE status = 6');
is(digest(), $before, 'all is as it was');

#
# Triggers
#
query(<<'SQL');
CREATE TABLE heard (what text, n bigint, old_status integer, new_status integer, data jsonb);
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO heard VALUES (TG_OP, OLD.n, OLD.status, NULL, OLD.data);
	ELSIF TG_OP = 'UPDATE' THEN
		INSERT INTO heard VALUES (TG_OP, NEW.n, OLD.status, NEW.status, NEW.data);
	ELSE
		INSERT INTO heard VALUES (TG_OP, NEW.n, NULL, NEW.status, NEW.data);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER hear AFTER INSERT OR UPDATE OR DELETE ON log FOR EACH ROW EXECUTE FUNCTION hear();
BEGIN;
UPDATE log SET status = 5 WHERE n IN (1, 2, 3);
DELETE FROM log WHERE n IN (1, 2, 3);
INSERT INTO log SELECT event_timestamp, '{"triggered":1.0}', 8, 500000 FROM log WHERE n = 4;
SQL
query(<<'SQL');
CREATE TABLE four AS SELECT n, status, data FROM log WHERE n IN (1, 2, 3);
UPDATE log SET status = 5 WHERE n IN (1, 2, 3);
INSERT INTO log SELECT event_timestamp, '{"triggered":1.0}', 8, 500000 FROM log WHERE n = 4;
SQL
is(query("SELECT count(*) FROM heard h JOIN four f ON h.n = f.n AND what = 'UPDATE' AND old_status = f.status AND new_status = 5 AND h.data::text = f.data::text"), 3,
	'triggers see what is changed');
is(query("SELECT n, new_status, data FROM heard WHERE what = 'INSERT'"), '500000|8|{"triggered": 1.0}', 'and what comes late');
query('DELETE FROM log WHERE n = 500000; UPDATE log l SET status = f.status FROM four f WHERE l.n = f.n; DROP TRIGGER hear ON log');
is(query("SELECT count(*) FROM heard WHERE what = 'DELETE' AND data::text = '{\"triggered\": 1.0}'"), 1, 'and what is deleted');
query(q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'by a trigger'; RETURN NEW; END $$;
CREATE TRIGGER no BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION no()});
query("INSERT INTO log SELECT event_timestamp, '{}', 0, 500001, 'x' FROM log WHERE n = 1");
is(query('SELECT note FROM log WHERE n = 500001'), 'by a trigger', 'a trigger changes what comes late');
query('DROP TRIGGER no ON log; DELETE FROM log WHERE n = 500001');
is(digest(), $before, 'all is as it was');

#
# Names, places, columns
#
query("ALTER TABLE log_$days[0] RENAME TO other; ALTER TABLE log_$days[0]_sealed RENAME TO chunks; ALTER TABLE log_$days[0]_late RENAME TO delayed");
is(digest(), $before, 'it is found under other names');
query('CREATE SCHEMA elsewhere; ALTER TABLE other SET SCHEMA elsewhere');
is(digest(), $before, 'and in another schema');
query("ALTER TABLE elsewhere.other SET SCHEMA public; ALTER TABLE other RENAME TO log_$days[0]");
{
	my $directory = PostgreSQL::Test::Utils::tempdir();
	query("CREATE TABLESPACE slow LOCATION '$directory'");
	query('ALTER TABLE chunks SET TABLESPACE slow');
	is(digest(), $before, 'or in another tablespace');
	query('ALTER TABLE chunks SET TABLESPACE pg_default');
}
query(q{ALTER TABLE log ADD COLUMN tenant text DEFAULT 'main', ADD COLUMN weight numeric});
is(query('SELECT DISTINCT tenant, weight IS NULL FROM log'), 'main|t', 'a column that is added later has its default');
is(query("SELECT count(*) FROM log WHERE tenant = 'main'"), query('SELECT count(*) FROM log'), 'also for conditions');
query("UPDATE log SET tenant = 'other', weight = 1.50 WHERE n % 40 = 0");
is(query("SELECT count(*), min(weight::text) FROM log WHERE tenant = 'other'"), query("SELECT count(*), '1.50' FROM log WHERE n % 40 = 0"), 'and can be set');
query(q{INSERT INTO log (event_timestamp, data, status, n, tenant) SELECT event_timestamp, '{}', 0, 600000, 'late' FROM log WHERE n = 1});
is(query('SELECT tenant FROM log WHERE n = 600000'), 'late', 'also of what comes late');
query('DELETE FROM log WHERE n = 600000');
# Which the upkeep notes, before PostgreSQL forgets it.
query('SELECT count(*) FROM windtrap.upkeep()');
query("ALTER TABLE log ALTER COLUMN tenant SET DEFAULT 'changed', ALTER COLUMN weight SET DEFAULT 7");
is(query("SELECT string_agg(DISTINCT coalesce(tenant, '-'), ' '), string_agg(DISTINCT coalesce(weight::text, '-'), ' ') FROM log"), 'main other|- 1.50',
	'another default is that of later rows');
is(digest(), $before, 'the others are as they were');
query('ALTER TABLE log ALTER COLUMN status TYPE bigint');
is(digest(), $before, 'and given a wider type');
query('ALTER TABLE log DROP COLUMN weight');
is(digest(), $before, 'or be dropped');

#
# COPY, and the end
#
{
	my $copied = PostgreSQL::Test::Utils::tempdir() . '/copied';
	query("\\copy (SELECT event_timestamp, data, status, n, note FROM log) TO '$copied'");
	query('CREATE TABLE copied (event_timestamp timestamptz, data jsonb, status bigint, n bigint, note text)');
	query("\\copy copied FROM '$copied'");
	is(query($digest =~ s/FROM log/FROM copied/r), $before, 'COPY gives all of it');
}
query("SELECT windtrap.unseal('log_$_')") for @days;
is(digest(), $before, 'unsealed, it is the same');
is(query("SELECT string_agg(DISTINCT tenant, ' ') FROM log WHERE n % 40 > 0"), 'main', 'with the later columns');
is(chunk_tables(), 0, 'and nothing is left');
query("SELECT windtrap.seal('log_$days[0]')");
query('TRUNCATE log');
is(query('SELECT count(*) FROM log'), 0, 'TRUNCATE empties what is sealed');
query("DROP FOREIGN TABLE log_$days[0]");
is(chunk_tables(), 0, 'DROP leaves nothing behind');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
