# The upkeep, and the functions that a superuser calls, give what the log table's owner has
# put into it no more rights than the owner has, and leave the caller's session as it was.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Attack;

my $node = wt_node('upkeep_only', conf => "windtrap.retention = '100 days'\nwindtrap.retention_grace = 0\n");
my $port = wt_port($node);

# For our own looks, not at the attacker's tables: to plan a query of a table is to run what
# its owner has put into its indexes.
sub query { return $node->safe_psql('postgres', $_[0]); }

attack_begin($node);

# The owner may write here, but its trigger says no, which replication would not ask.
my $guarded = <<'SQL';
CREATE TABLE guarded (i int);
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not by you'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
GRANT INSERT ON guarded TO hostile;
SQL

# A log of the attacker's, with a row of today and an old one in its default partition.
sub hostile_log
{
	my (%o) = @_;
	my $columns = $o{columns} // '';
	return <<"SQL";
CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int $columns) PARTITION BY RANGE (event_timestamp);
CREATE TABLE log_default PARTITION OF log DEFAULT;
INSERT INTO log (event_timestamp, data, status) VALUES (now(), '{"id":"today"}', 0), (now() - interval '200 days', '{"id":"old"}', 0);
SQL
}

#
# The upkeep: each attack is what the owner does before, and what else must hold
#
my $write_guarded = q{PERFORM public.try('guarded', 'INSERT INTO public.guarded VALUES (1)');};
my @attacks = (
	{   name => 'a partition key',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int)
				PARTITION BY RANGE ((CASE harmless('key') WHEN 1 THEN event_timestamp ELSE event_timestamp END));
			CREATE TABLE log_default PARTITION OF log DEFAULT},
		left_alone => 1 },
	{   name => 'a second partition key',
		sql  => q{CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int)
				PARTITION BY RANGE (event_timestamp, (status + harmless('key')));
			CREATE TABLE log_default PARTITION OF log DEFAULT},
		left_alone => 1 },
	{ name => 'an index expression', sql => hostile_log() . q{CREATE INDEX ON log ((status + harmless('index')))} },
	{ name => 'a CHECK constraint', sql => hostile_log(columns => q{, CHECK (try_everything('check ' || status) = 1)}) },
	{ name => 'a generated column', sql => hostile_log(columns => q{, more int GENERATED ALWAYS AS (status + harmless('generated')) STORED}), acts => 0 },
	{ name => 'a default', sql => hostile_log(columns => q{, more int DEFAULT try_everything('default')}), acts => 0 },
	(   map {
			{   name => "a trigger that is always fired, $_",
				sql  => hostile_log() . "CREATE TRIGGER act $_ ON log_default FOR EACH ROW EXECUTE FUNCTION act();
					ALTER TABLE log_default ENABLE ALWAYS TRIGGER act" }
		} 'BEFORE DELETE',
		'AFTER DELETE'),
	{   name => 'a deferred trigger',
		sql  => hostile_log() . 'CREATE CONSTRAINT TRIGGER act AFTER DELETE ON log_default DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION act(); ALTER TABLE log_default ENABLE ALWAYS TRIGGER act' },
	{   name => 'a trigger that is deferred while the statement runs',
		sql  => hostile_log() . q{CREATE FUNCTION defer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN old; END $$;
			CREATE TRIGGER a BEFORE DELETE ON log_default FOR EACH ROW EXECUTE FUNCTION defer();
			CREATE CONSTRAINT TRIGGER act AFTER DELETE ON log_default DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION act();
			ALTER TABLE log_default ENABLE ALWAYS TRIGGER a; ALTER TABLE log_default ENABLE ALWAYS TRIGGER act},
		acts => 0, fails => qr/cannot fire deferred trigger/ },
	(   map {
			my ($name, $how) = @$_;
			{   name => "what triggers guard, by $name",
				sql  => "CREATE FUNCTION write_guarded(text) RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN $write_guarded RETURN 1; END \$\$;
					CREATE FUNCTION seems(what text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN RETURN (SELECT public.write_guarded(what)); END \$\$;
					CREATE FUNCTION write_it() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $write_guarded RETURN old; END \$\$;"
				  . hostile_log() . $how,
				check => [ [ 'SELECT count(*) FROM guarded', 0 ] ] }
		} [ 'a trigger', 'CREATE TRIGGER a BEFORE DELETE ON log_default FOR EACH ROW EXECUTE FUNCTION write_it();
			ALTER TABLE log_default ENABLE ALWAYS TRIGGER a' ],
		[ 'a CHECK constraint', q{ALTER TABLE log ADD CHECK (write_guarded(data::text) = 1)} ],
		[ 'an index', q{CREATE INDEX ON log ((status + seems(data::text)))} ]),
	{   name => 'a function in pg_temp',
		sql  => q{CREATE FUNCTION plant() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
				CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; RETURN 1;
				EXCEPTION WHEN duplicate_function THEN RETURN 1; END $$;
			CREATE FUNCTION seems(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN i + (SELECT public.plant()); END $$;}
		  . hostile_log() . 'ALTER TABLE log ADD CHECK (seems(status) > 0)',
		acts => 0, fails => qr/cannot create temporary objects/ },
	{   name => 'settings',
		sql  => q{CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
				SET search_path = public; SET TimeZone = 'Asia/Tokyo'; SET standard_conforming_strings = off; RETURN 1; END $$;
			CREATE FUNCTION seems(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN i + (SELECT public.leave()); END $$;}
		  . hostile_log() . 'CREATE INDEX ON log (seems(status))',
		acts => 0 },);

my $session = q{SELECT current_user, session_user, current_setting('search_path'), current_setting('TimeZone'),
	current_setting('session_replication_role'), current_setting('standard_conforming_strings'), 'text'::text, pg_typeof('text'::text)::oid};
my $untouched = query($session);

query('SELECT windtrap.stop()');
for my $attack (@attacks)
{
	my $name = $attack->{name};

	# By hand, in a session that has a temporary schema, and in one that has none.
	for my $temporary ('', 'CREATE TEMP TABLE mine (i int);')
	{
		my ($out, $err) = ('', '');

		prepare_attack();
		query($guarded);
		is(as_role('hostile', $attack->{sql}), '', "$name: prepared");
		as_role('hostile', 'TRUNCATE acts');
		$node->psql('postgres', "SET client_min_messages = warning; $temporary\nSELECT count(*) FROM windtrap.upkeep();\n$session",
			stdout => \$out, stderr => \$err, on_error_stop => 0);
		if ($attack->{fails})
		{
			like($err, $attack->{fails}, "$name: upkeep() fails");
		}
		else
		{
			is($err, '', "$name: upkeep() works");
			cmp_ok((split /\n/, $out)[0], '>', 0, "$name: and does something") if !$attack->{left_alone};
		}
		like($out, qr/^\Q$untouched\E$/m, "$name: the caller's session is as before");
		check_gains($name, acts => $attack->{acts});
		is(query($_->[0]), $_->[1], "$name: $_->[0]") for @{ $attack->{check} // [] };
		is(as_role('hostile', q{SELECT string_agg(data->>'id', ' ') FROM log}), 'today', "$name: rows are moved and deleted")
		  if !$attack->{left_alone} && !$attack->{fails};
	}

	# By the process, which looks when it starts.
	prepare_attack();
	query($guarded);
	is(as_role('hostile', $attack->{sql}), '', "$name: prepared");
	as_role('hostile', 'TRUNCATE acts');
	my $mark = log_mark($node);
	query('SELECT windtrap.start()');
	ok( wait_for(
			sub {
				$attack->{fails} ? log_since($node, $mark) =~ $attack->{fails}
				: $attack->{left_alone} ? query('SELECT count(*) > 0 FROM acts') eq 't'
				:                         log_since($node, $mark) =~ /deleted 1 rows past/;
			}),
		"$name: the process has met it");
	query('SELECT windtrap.stop()');
	check_gains("$name, the process", acts => $attack->{acts});
	is(query($_->[0]), $_->[1], "$name, the process: $_->[0]") for @{ $attack->{check} // [] };
}

#
# What a superuser looks at and repairs: each attack is what the owner does before, to a log
# with an event in quarantine
#
my $quarantined = q{INSERT INTO log (event_timestamp, data, status) VALUES (now(), '{"id":"a","error":"no","raw":"{\"n\":1}"}', 422);};
my $table = "CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int);";
my @repairs = (
	(   map { { name => "a trigger, $_", sql => "$table $quarantined CREATE TRIGGER act $_ FOR EACH ROW EXECUTE FUNCTION act()" } }
		  'BEFORE UPDATE ON log',
		'AFTER UPDATE ON log'),
	{   name => 'a deferred trigger',
		sql  => "$table $quarantined CREATE CONSTRAINT TRIGGER act AFTER UPDATE ON log DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION act()" },
	{ name => 'an index expression', sql => "$table $quarantined CREATE INDEX ON log ((status + harmless('index')))" },
	{ name => 'a CHECK constraint', sql => "$table $quarantined ALTER TABLE log ADD CHECK (try_everything(data::text) = 1)" },
	{   name => 'a policy',
		sql  => "$table $quarantined ALTER TABLE log ENABLE ROW LEVEL SECURITY; ALTER TABLE log FORCE ROW LEVEL SECURITY;
			CREATE POLICY p ON log USING (try_everything('policy') = 1)" },
	{   name => 'a view',
		sql  => q{CREATE TABLE base (event_timestamp timestamptz, data jsonb, status int);
			CREATE VIEW log AS SELECT * FROM base WHERE try_everything('view') = 1;} . $quarantined },
	{   name => 'data of a type with a cast to jsonb',
		sql  => q{CREATE TYPE trap AS (a int);
			CREATE FUNCTION to_jsonb(t trap) RETURNS jsonb LANGUAGE sql AS $$ SELECT pg_catalog.to_jsonb(public.try_everything('cast')) $$;
			CREATE CAST (trap AS jsonb) WITH FUNCTION to_jsonb(trap) AS IMPLICIT;
			CREATE TABLE log (event_timestamp timestamptz, data trap, status int)},
		acts => 0, fails => qr/is no log table/ },
	{   name => 'a function in pg_temp',
		sql  => "$table $quarantined" . q{CREATE FUNCTION plant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; RETURN new; END $$;
			CREATE TRIGGER plant BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION plant()},
		acts => 0, fails => qr/cannot create temporary objects/ },);
for my $attack (@repairs)
{
	my $name = $attack->{name};
	my ($out, $err) = ('', '');

	prepare_attack();
	is(as_role('hostile', $attack->{sql}), '', "$name: prepared");
	as_role('hostile', 'TRUNCATE acts');
	$node->psql('postgres', "SELECT raw FROM windtrap.quarantine;\nSELECT id, error FROM windtrap.retry_quarantined();\n$session",
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	if ($attack->{fails})
	{
		like($err, $attack->{fails}, "$name: fails");
	}
	else
	{
		is($err, '', "$name: works");
		is($out, qq({"n":1}\na|\n$untouched), "$name: the event is seen and moved, and the session as before");
	}
	check_gains("$name, in quarantine", acts => $attack->{acts});
}
# With one's own rights there is nothing to be lent.
prepare_attack();
as_role('hostile', "$table $quarantined GRANT SELECT, UPDATE ON log TO victim");
query('GRANT EXECUTE ON FUNCTION windtrap.retry_quarantined(text[]) TO victim');
is(as_role('victim', 'SELECT id, error FROM windtrap.retry_quarantined()'), 'a|', 'who is granted both may repair what is not his');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
