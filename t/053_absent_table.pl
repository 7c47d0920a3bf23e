# A log table that cannot be made costs next to nothing; one that has no partition for an
# event gets one soon; partitions that belong to nothing are taken back.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('absent', create => 0);
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub day { return strftime('%Y%m%d', gmtime(time + 86400 * $_[0])); }

#
# A name that a type has is no name for a partition
#
my $taken = day(2);
query("CREATE TYPE log_$taken AS ENUM ('x')");
query('CREATE EXTENSION windtrap');
ok(ready($port), 'the collector is ready');
is(event($port), 200, 'a type has the name of a partition: events are stored');
is(query("SELECT count(*) FROM pg_partition_tree('log') WHERE relid::text = 'log_${taken}_1'"), 1, 'the partition has another one');
query("DROP TABLE log_${taken}_1");
my $far = day(6);
query("DROP TABLE log_$far; CREATE DOMAIN log_$far AS int");
query('SELECT windtrap.upkeep()');
is(query("SELECT count(*) FROM pg_partition_tree('log') WHERE relid::text IN ('log_${taken}_1', 'log_${far}_1')"), 2, 'so does the upkeep give it another one');

#
# A table that cannot be made
#
{
	query(<<'SQL');
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no tables today'; END $$;
DROP TABLE log;
CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse();
SQL
	my $mark = log_mark($node);
	my $size = query('SELECT pg_database_size(current_database())');
	my ($until, $n, %codes) = (time + 8, 0);
	while (time < $until)
	{
		$codes{ event($port) }++;
		$n++;
	}
	is(join(' ', keys %codes), 503, "$n events are answered 503");
	like(post_json($port, { id => 1 })->{content}, qr/the table log cannot be made: no tables today/, 'with the reason');
	is(http($port, 'GET', '/health')->{status}, 503, '/health says so');
	my $tries = count_in_log($node, 'STATEMENT:.*CREATE TABLE|could not store events', $mark);
	cmp_ok(query('SELECT pg_database_size(current_database())') - $size, '<', 2 * 1024 * 1024, 'the catalogs do not grow');
	cmp_ok($tries, '<', 10, 'nor does the log');
	query('DROP EVENT TRIGGER refuse');
	ok(ready($port, 5), 'when it can be made it is made soon, without an event');
	is(event($port), 200, 'and events are stored');
}

# Whatever the trigger does, and however far making the table has come, nothing is left of it.
query(<<'SQL');
CREATE SCHEMA e;
CREATE SEQUENCE e.s;
CREATE FUNCTION e.late() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity ~ '_2') THEN RAISE EXCEPTION 'no partitions today'; END IF; END $$;
CREATE FUNCTION e.types() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE format('CREATE TYPE e.t%s AS (a int)', nextval('e.s'));
	EXECUTE format('CREATE TABLE e.u%s (a e.t%s, b public.log[])', currval('e.s'), currval('e.s'));
	RAISE EXCEPTION 'no types today'; END $$;
SQL
for my $case ([ late => 'CREATE TABLE', 'no partitions today' ], [ types => 'COMMENT', 'no types today' ])
{
	my ($function, $tag, $reason) = @$case;
	my $load = start_load($port, connections => 8, pause => 0.01);
	my $mark = log_mark($node);
	query("BEGIN; DROP TABLE log; CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('$tag') EXECUTE FUNCTION e.$function(); COMMIT");
	ok(wait_for(sub { count_in_log($node, qr/cannot be made: $reason/, $mark) }), "$reason: it cannot be made");
	# The first pause is over, and there is another try.
	ok(wait_for(sub { count_in_log($node, qr/could not store events: $reason/, $mark) >= 2 }), "$reason: it is tried again");
	query('DROP EVENT TRIGGER refuse');
	ok(wait_for(sub { event($port) == 200 }), "$reason: it is made once it can be");
	my $codes = $load->stop;
	is(join(' ', grep { !/^(200|503)$/ } keys %$codes), '', "$reason: all are answered");
	is(query(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'e'::regnamespace AND relname ~ '^[tu]'}), 0, "$reason: nothing half made is left");
	unlike(log_since($node, $mark), qr/concurrently dropped|cache lookup failed/, "$reason: nothing stale is in the way");
}

#
# A table that was there until just now
#
{
	query('DROP TABLE log');
	my $answer = post_json($port, { id => 1 });
	is($answer->{status}, 503, 'a table that has just been dropped is not made at once');
	like($answer->{content}, qr/has just been dropped: try again/, 'which is said');
	is(query(q{SELECT to_regclass('log') IS NULL}), 't', 'who drops it can make another one');
	ok(wait_for(sub { event($port) == 200 }), 'it is made soon');
}

#
# No partition takes the event
#
{
	my $today = day(0);
	query('ALTER TABLE log DETACH PARTITION log_default');
	query("ALTER TABLE log DETACH PARTITION log_$today");
	my $begun = time;
	ok(wait_for(sub { event($port, 'again') == 200 }), 'without a partition for today one is made');
	cmp_ok(time - $begun, '<', 5, 'soon');

	# Those that are detached can be taken back.
	my $rows = query("SELECT count(*) FROM log_$today");
	is(query('SELECT string_agg(name::text, \' \' ORDER BY name::text) FROM windtrap.stray_partitions'), "log_$today log_default", 'what belongs to nothing is shown');
	query(q{CREATE TABLE log_20200229 (LIKE log); INSERT INTO log_20200229 VALUES ('2020-02-29 12:00+00', '{}', 0)});
	query(q{CREATE TABLE log_20200230 (LIKE log); CREATE TABLE log_20200301 (i int)});
	my $before = query('SELECT count(*) FROM log');
	is( query('SELECT partition, action, rows FROM windtrap.adopt_partitions() ORDER BY 1'),
		"public.log_20200229|attached|\npublic.log_20200230|left alone|\npublic.log_20200301|left alone|\npublic.log_$today|moved|$rows\npublic.log_default|moved|0", 'and taken back');
	is(query('SELECT count(*) FROM log'), $before + $rows + 1, 'with all rows');
	is(query('SELECT count(*) FROM windtrap.stray_partitions'), 0, 'once');
	is(query(q{SELECT count(*) FROM pg_class WHERE relname IN ('log_20200230', 'log_20200301')}), 2, 'others stay');
}
{
	query(q{CREATE ROLE stranger; GRANT EXECUTE ON FUNCTION windtrap.adopt_partitions() TO stranger});
	my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE stranger; SELECT windtrap.adopt_partitions()');
	like($err, qr/must be owner of table log/, 'only by who owns the table');
}

#
# The collector's own database is renamed and copied while it is stopped
#
{
	query('CREATE DATABASE other');
	my $elsewhere = sub { $node->safe_psql('other', $_[0]) };
	my $n = query('SELECT count(*) FROM log');

	is(query('SELECT windtrap.stop()'), 't', 'windtrap.stop()');
	$elsewhere->('CREATE DATABASE copy TEMPLATE postgres');
	$elsewhere->('ALTER DATABASE postgres RENAME TO renamed');
	is($node->safe_psql('copy', 'SELECT count(*) FROM log'), $n, 'a copy has all events');
	$elsewhere->(q{LOAD 'windtrap'; ALTER SYSTEM SET windtrap.database = 'renamed'});
	$elsewhere->('SELECT pg_reload_conf()');
	$node->safe_psql('renamed', 'SELECT windtrap.start()');
	is(event($port, 'renamed'), 200, 'the renamed database is served');
	is($node->safe_psql('renamed', 'SELECT count(*) FROM log'), $n + 1, 'and has all');
}

done_testing();
