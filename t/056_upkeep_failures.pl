# What the upkeep's process cannot do: it is in windtrap.upkeep_failures with its reason and
# what helps, everything else is done all the same, and it is gone from there once mended.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use File::Temp ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

$ENV{PGTZ} = 'UTC';

my $node = wt_node('failures', conf => <<'CONF');
wal_level = logical
lc_messages = 'C'
windtrap.retention = '30 days'
windtrap.retention_grace = 0
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub exists_ { return query("SELECT to_regclass('$_[0]') IS NOT NULL") eq 't'; }

# The name of the partition of a day from today.
sub day { return 'log_' . query("SELECT to_char((now() AT TIME ZONE 'UTC')::date + ($_[0]), 'YYYYMMDD')"); }

# Makes a partition of long ago with an event.
sub old
{
	my ($name, $day) = @_;
	return "CREATE TABLE $name PARTITION OF log FOR VALUES FROM ('$day 00:00+00') TO ('$day 00:00+00'::timestamptz + interval '24 hours');
		INSERT INTO log VALUES ('$day 12:00+00', '{}');\n";
}

# All at once, so that no round sees a part of it.
sub prepare { return query(join "\n", 'BEGIN;', @_, 'COMMIT;'); }

# What fails, after at least one more round.
sub failures
{
	return query(q{SELECT string_agg(format('%s %s: %s (%s)', action, coalesce(partition, from_time::date::text), error, hint), E'\n'
		ORDER BY action, from_time) FROM windtrap.upkeep_failures});
}

sub wait_for_failure
{
	my ($pattern, $what) = @_;
	my $last = '';
	ok(wait_for(sub { reload($node); sleep 0.2; ($last = failures()) =~ /$pattern/ }), "$what: the view says so") or diag $last;
	return;
}

sub wait_for_none
{
	my ($what) = @_;
	ok(wait_for(sub { reload($node); sleep 0.2; failures() eq '' }), "$what: mended, it leaves the view") or diag failures();
	is(query(q{SELECT coalesce(last_error, 'well') FROM windtrap.status WHERE kind = 'upkeep'}), 'well', "$what: and the status is well");
	return;
}

is(event($port), 200, 'the first event makes the table');
ok(wait_for(sub { exists_(day(7)) && query(q{SELECT last_run IS NOT NULL FROM windtrap.status WHERE kind = 'upkeep'}) eq 't' }), 'the upkeep has looked at it');
is(failures(), '', 'nothing fails');

#
# An event trigger lets no table be made
#
{
	my ($near, $far) = (day(5), day(6));
	query(q{CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no tables today'; END $$});
	my $mark = log_mark($node);
	prepare(old('old', '2020-01-01'), "DROP TABLE $near, $far;",
		q{CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse();});
	wait_for_failure(qr/^create \S+: no tables today \(Have the .*event trigger .* it is raised by PL.pgSQL function .*refuse\(\) line 1 at RAISE\.\)\ncreate [^\n]+$/,
		'an event trigger');
	ok(!exists_('old'), 'an event trigger: what is old is dropped all the same');
	is(event($port), 200, 'an event trigger: events are stored');
	my $since = query('SELECT min(first_time) FROM windtrap.upkeep_failures');
	ok(wait_for(sub { reload($node); sleep 0.2; query('SELECT min(times) >= 3 FROM windtrap.upkeep_failures') eq 't' }), 'an event trigger: it is tried again and counted');
	is(query('SELECT min(first_time) FROM windtrap.upkeep_failures'), $since, 'an event trigger: since when stays');
	is(query(q{SELECT bool_and(last_time > first_time AND partition IS NULL AND to_time = from_time + interval '24 hours') FROM windtrap.upkeep_failures}),
		't', 'an event trigger: the days that have none');
	is(count_in_log($node, qr/upkeep of log could not finish: no tables today/, $mark), 1, 'an event trigger: the log says it once');
	like(query(q{SELECT last_error FROM windtrap.status WHERE kind = 'upkeep'}), qr/^no tables today; Have the trigger/, 'an event trigger: so does the status');
	query('DROP EVENT TRIGGER refuse');
	wait_for_none('an event trigger');
	ok(exists_($near) && exists_($far), 'an event trigger: the partitions are made');
}

#
# One that lets none be dropped
#
{
	query(q{CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no drops today' USING HINT = 'Ask tomorrow.'; END $$});
	my $far = day(6);
	prepare("DROP TABLE $far;", old('old', '2020-01-01'),
		q{CREATE EVENT TRIGGER keep ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION keep();});
	wait_for_failure(qr/^drop public\.old: no drops today \(Ask tomorrow\.\)$/, 'no drops');
	ok(exists_($far), 'no drops: a partition is made all the same');
	is(query(q{SELECT count(*) FROM log WHERE event_timestamp < '2021-01-01'}), 1, 'no drops: its event is there');
	query('DROP EVENT TRIGGER keep');
	wait_for_none('no drops');
	ok(!exists_('old'), 'no drops: it goes');
}

#
# A tablespace whose directory is gone
#
{
	my $directory = File::Temp->newdir;
	mkdir "$directory/ts";
	my $far = day(6);
	query("CREATE TABLESPACE ts LOCATION '$directory/ts'");
	query('ALTER TABLE log SET TABLESPACE ts');
	rename "$directory/ts", "$directory/gone";
	mkdir "$directory/ts";
	prepare("DROP TABLE $far;", old('old', '2020-01-01') =~ s/;/ TABLESPACE pg_default;/r);
	wait_for_failure(qr/^create \S+: could not create directory .* \(Bring back the disk of that tablespace.*SET TABLESPACE\.\)$/, 'a tablespace that is gone');
	ok(!exists_('old'), 'a tablespace that is gone: what is old is dropped');
	is(event($port), 200, 'a tablespace that is gone: events are stored, for today has its partition');
	rmdir "$directory/ts";
	rename "$directory/gone", "$directory/ts";
	wait_for_none('a tablespace that is gone');
	is(query("SELECT t.spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = '$far'::regclass"), 'ts',
		'a tablespace that is back: the partition is there');
	query("ALTER TABLE $far SET TABLESPACE pg_default; ALTER TABLE log SET TABLESPACE pg_default");
	query('DROP TABLESPACE ts');
}

#
# A publication of all tables, and a foreign key to the log, at one time
#
{
	my $far = day(6);
	query('ALTER TABLE log ADD COLUMN eid uuid NOT NULL DEFAULT gen_random_uuid(), ADD PRIMARY KEY (event_timestamp, eid)');
	my $mark = log_mark($node);
	prepare("DROP TABLE $far;", old('cited', '2020-01-01'), old('uncited', '2020-01-02'),
		'CREATE TABLE notes (ts timestamptz, eid uuid, FOREIGN KEY (ts, eid) REFERENCES log);',
		q{INSERT INTO notes SELECT event_timestamp, eid FROM log WHERE event_timestamp = '2020-01-01 12:00+00';},
		# A day whose events are in the default partition.
		q{INSERT INTO log SELECT date_trunc('day', now(), 'UTC') - interval '3 days', '{"moved":true}' FROM generate_series(1, 5);},
		'ALTER TABLE log_default REPLICA IDENTITY NOTHING; CREATE PUBLICATION everything FOR ALL TABLES;');
	wait_for_failure(qr/^create \S+: cannot delete from table "log_default".*replica identity.* \(To enable deleting .*REPLICA IDENTITY.*\)\ndrop public\.cited: [^\n]*violates foreign key[^\n]*: Key [^\n]* still referenced [^\n]* \(Delete the rows that refer to its events, or detach[^\n]*\)$/,
		'a publication and a foreign key');
	ok(exists_($far), 'an empty partition is made in spite of the publication');
	ok(!exists_('uncited'), 'a partition that nothing refers to is dropped in spite of the foreign key');
	is(query(q{SELECT count(*) FROM log_default WHERE data = '{"moved":true}'}), 5, 'what cannot be moved stays where it is');
	is(query('SELECT count(*) FROM log JOIN notes ON (ts, notes.eid) = (event_timestamp, log.eid)'), 1, 'what is referred to is there');
	is(event($port), 200, 'events are stored');
	ok(wait_for(sub { reload($node); sleep 0.2; query('SELECT min(times) >= 3 FROM windtrap.upkeep_failures') eq 't' }), 'both are tried again');
	is(count_in_log($node, qr/upkeep of log could not finish/, $mark), 2, 'the log says each once');

	# One is mended, and then the other.
	query('ALTER TABLE log_default REPLICA IDENTITY FULL');
	wait_for_failure(qr/^drop public\.cited: [^\n]*$/, 'the publication is mended, the foreign key is not');
	is(query(q{SELECT count(*) FROM log_default WHERE data = '{"moved":true}'}), 0, 'the rows are moved');
	is(query(q{SELECT count(*) FROM log WHERE data = '{"moved":true}'}), 5, 'all of them');
	query('DROP PUBLICATION everything; DELETE FROM notes');
	wait_for_none('a foreign key');
	ok(!exists_('cited'), 'the partition goes');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
