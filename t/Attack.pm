# Attack.pm
#	A table's owner, or whoever else may write SQL, against the collector: what they try,
#	and whether they have got anything by it.
#
# Whatever code the owner has slipped into his table calls public.try_everything(), which
# tries what a superuser could do, notes in public.acts what came of it and who it ran as.

package Attack;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

our @EXPORT = qw(attack_begin as_role prepare_attack check_gains session_state);

my $node;
my $superuser;
my $begun;

sub query { return $node->safe_psql('postgres', $_[0]); }

# Runs SQL as another role; gives what psql says, its errors too.
sub as_role
{
	my ($role, $sql, %o) = @_;
	my ($out, $err) = ('', '');

	$node->psql($o{database} // 'postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ '-U', $role ], on_error_stop => $o{go_on} ? 0 : 1);
	return join "\n", grep { $_ ne '' } $out, $err;
}

# The roles, and what is to be gained.
sub attack_begin
{
	($node) = @_;
	$superuser = query('SELECT current_user');
	query(<<'SQL');
CREATE ROLE hostile LOGIN;
CREATE ROLE victim LOGIN;
CREATE ROLE witness LOGIN;
GRANT CREATE ON SCHEMA public TO hostile, victim, witness;
GRANT CREATE, TEMP ON DATABASE postgres TO hostile;
CREATE TABLE loot (what text);
CREATE TABLE seen (state jsonb);
ALTER TABLE seen OWNER TO witness;
SQL
	$begun = roles();
	return;
}

sub roles
{
	return query(<<'SQL');
SELECT string_agg(format('%s %s %s %s %s %s', rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication,
		rolbypassrls), E'\n' ORDER BY rolname) FROM pg_roles
UNION ALL SELECT string_agg(format('%s in %s', member::regrole, roleid::regrole), E'\n' ORDER BY 1) FROM pg_auth_members
SQL
}

# A new beginning: no log, nothing noted, and the code that tries everything.
sub prepare_attack
{
	query(<<'SQL');
SET client_min_messages = warning;
DO $$
DECLARE
	one record;
BEGIN
	FOR one IN SELECT c.oid, c.oid::regclass AS name, relkind FROM pg_class c
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'r', 'p', 'f')
		AND relname NOT IN ('loot', 'seen')
	LOOP
		IF EXISTS (SELECT FROM pg_class c WHERE c.oid = one.oid) THEN
			EXECUTE format('DROP %s %s CASCADE', CASE one.relkind WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, one.name);
		END IF;
	END LOOP;
	DROP OWNED BY hostile, victim CASCADE;
	GRANT CREATE ON SCHEMA public TO hostile, victim;
	GRANT CREATE, TEMP ON DATABASE postgres TO hostile;
END
$$;
TRUNCATE loot, seen;
SQL
	my $made = as_role('hostile', <<"SQL");
CREATE TABLE public.acts (what text, outcome text, role name, restricted boolean DEFAULT true);
CREATE FUNCTION public.try(what text, command text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	EXECUTE command;
	INSERT INTO public.acts VALUES (what || ' ' || command, 'done', current_user);
EXCEPTION WHEN OTHERS THEN
	INSERT INTO public.acts VALUES (what || ' ' || command, SQLERRM, current_user);
END \$\$;
CREATE FUNCTION public.try_everything(what text) RETURNS int LANGUAGE plpgsql AS \$f\$
BEGIN
	PERFORM public.try(what, c) FROM unnest(ARRAY[
		'ALTER ROLE hostile SUPERUSER',
		'GRANT $superuser TO hostile',
		'INSERT INTO public.loot VALUES (''mine'')',
		'SELECT pg_catalog.pg_read_file(''PG_VERSION'')',
		'COPY public.acts FROM PROGRAM ''echo''',
		'SET ROLE $superuser',
		'SET LOCAL ROLE NONE',
		'RESET ROLE',
		'SELECT pg_catalog.set_config(''role'', ''none'', false)',
		'SET SESSION AUTHORIZATION $superuser',
		'RESET SESSION AUTHORIZATION',
		'SELECT pg_catalog.set_config(''session_authorization'', ''$superuser'', false)',
		'SET session_replication_role = replica',
		'ALTER SYSTEM SET work_mem = ''1MB''',
		'CREATE TEMP TABLE windtrap_batch (event_timestamp timestamptz, data jsonb, status int)',
		'DECLARE held CURSOR WITH HOLD FOR SELECT 1',
		'PREPARE prepared AS SELECT 1',
		'LISTEN anything',
		'DISCARD ALL'
	]) AS c;
	RETURN 1;
END \$f\$;
-- Functions that the planner runs, too, must not write: this one seems not to.
CREATE FUNCTION public.harmless(what text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \$\$
BEGIN
	RETURN (SELECT public.try_everything(what));
END \$\$;
CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM public.try_everything(tg_name);
	RETURN CASE WHEN tg_level = 'ROW' AND tg_op = 'DELETE' THEN old WHEN tg_level = 'ROW' THEN new END;
END \$\$;
SQL
	is($made, '', 'the attacker is ready') if $made ne '';
	return;
}

# Nobody has become anything, and nothing was done that only a superuser may.  Options:
# acts (the least number of attempts there must have been, default 1), role (a pattern of
# who they ran as).
sub check_gains
{
	my ($name, %o) = @_;
	my $role = $o{role} // 'hostile';
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(roles(), $begun, "$name: no role has become more");
	is(query('SELECT count(*) FROM loot'), 0, "$name: nothing was written where only a superuser may");
	is(query(q{SELECT coalesce(string_agg(DISTINCT what, '; '), '') FROM acts WHERE outcome = 'done'}),
		'', "$name: nothing was done that was tried");
	is(query(qq{SELECT coalesce(string_agg(DISTINCT role, ' '), '') FROM acts WHERE role !~ '^($role)\$'}),
		'', "$name: everything ran as $role");
	cmp_ok(query('SELECT count(*) FROM acts'), '>=', ($o{acts} // 1), "$name: it was tried")
	  if $o{acts} // 1;
	return;
}

# What a trigger of somebody else's sees of the worker's session.
sub session_state
{
	my ($port) = @_;

	query(<<'SQL');
SET client_min_messages = warning;
DO $$
BEGIN
	EXECUTE 'DROP ' || (SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END FROM pg_class
		WHERE oid = to_regclass('public.log')) || ' public.log CASCADE';
EXCEPTION WHEN null_value_not_allowed THEN
	NULL;
END $$;
TRUNCATE seen;
CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int);
CREATE OR REPLACE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen SELECT pg_catalog.jsonb_build_object(
		'current_user', current_user, 'session_user', session_user,
		'path', pg_catalog.current_schemas(true),
		'temp', pg_catalog.pg_my_temp_schema(),
		'prepared', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements),
		'cursors', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors WHERE is_holdable),
		'channels', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()),
		'locks', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks
			WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()),
		'settings', (SELECT pg_catalog.jsonb_object_agg(name, setting) FROM pg_catalog.pg_settings
			WHERE name !~ '[.]' OR name ~ '^windtrap'));
	RETURN NULL;
END $$;
ALTER FUNCTION look() OWNER TO witness;
CREATE TRIGGER look AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION look();
ALTER TABLE log OWNER TO witness;
SQL
	my $code = event($port, 'witness');
	return "answered $code" if $code != 200;
	return query(q{SELECT jsonb_pretty(state) FROM seen});
}

1;
