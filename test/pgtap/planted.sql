-- Shows that nothing that others have planted gets into the extension: a schema of its name
-- makes CREATE EXTENSION fail, and objects elsewhere on the path are not used.
\set QUIET 1
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
DROP EXTENSION IF EXISTS windtrap;
CREATE ROLE windtrap_test_hostile;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO windtrap_test_hostile', current_database()); END $$;

SELECT plan(13);

SET LOCAL ROLE windtrap_test_hostile;
SELECT throws_ok('CREATE EXTENSION windtrap', '42501', NULL, 'an ordinary role cannot create the extension');

-- A schema that is there already, empty or full.
CREATE SCHEMA windtrap;
RESET ROLE;
SELECT throws_ok('CREATE EXTENSION windtrap', '42P06', NULL, 'a schema windtrap that is somebody''s is not taken over');
SELECT throws_ok('CREATE EXTENSION IF NOT EXISTS windtrap', '42P06', NULL, 'nor by a restore');
SELECT throws_ok('CREATE EXTENSION windtrap SCHEMA windtrap', '0A000', NULL, 'nor by asking for it');
SET LOCAL ROLE windtrap_test_hostile;
CREATE FUNCTION windtrap.start() RETURNS text LANGUAGE sql AS $$SELECT 'mine'$$;
CREATE TABLE windtrap.status (worker integer);
RESET ROLE;
SELECT throws_ok('CREATE EXTENSION windtrap CASCADE', '42P06', NULL, 'nor with objects of the extension''s names');
SELECT is_empty($$SELECT FROM pg_extension WHERE extname = 'windtrap'$$, 'and nothing is left behind');
SELECT is((SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'windtrap'),
	'windtrap_test_hostile', 'the schema is its owner''s as before');
DROP SCHEMA windtrap CASCADE;

-- Types, functions, operators and views elsewhere, before the system's on the path.
SET LOCAL ROLE windtrap_test_hostile;
CREATE SCHEMA windtrap_test_trap;
CREATE DOMAIN windtrap_test_trap.text AS pg_catalog.varchar;
CREATE DOMAIN windtrap_test_trap.timestamptz AS pg_catalog.text;
CREATE DOMAIN windtrap_test_trap.jsonb AS pg_catalog.text;
CREATE DOMAIN windtrap_test_trap.regclass AS pg_catalog.text;
CREATE DOMAIN windtrap_test_trap.bytea AS pg_catalog.text;
CREATE DOMAIN windtrap_test_trap.record AS pg_catalog.text;
CREATE FUNCTION windtrap_test_trap.now() RETURNS pg_catalog.timestamptz LANGUAGE plpgsql
	AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION windtrap_test_trap.trapped(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE plpgsql
	AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE OPERATOR windtrap_test_trap.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text,
	FUNCTION = windtrap_test_trap.trapped);
RESET ROLE;
CREATE FUNCTION windtrap_test_trap.walk_in(command pg_catalog.text) RETURNS void LANGUAGE plpgsql
	SET search_path = windtrap_test_trap, pg_catalog
	AS $$BEGIN EXECUTE command; END$$;
SELECT lives_ok($$SELECT windtrap_test_trap.walk_in('CREATE EXTENSION windtrap')$$,
	'objects elsewhere on the path are in nobody''s way');
SELECT is_empty(
	$$SELECT p.oid::regprocedure, t
	  FROM pg_proc p, unnest(p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}') || prorettype) AS t
	  WHERE p.pronamespace = 'windtrap'::regnamespace
	    AND (SELECT typnamespace FROM pg_type WHERE oid = t) <> 'pg_catalog'::regnamespace$$,
	'functions have the system''s types');
SELECT is_empty(
	$$SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	  WHERE relnamespace = 'windtrap'::regnamespace AND attnum > 0
	    AND (SELECT typnamespace FROM pg_type WHERE oid = atttypid) <> 'pg_catalog'::regnamespace$$,
	'and so have views');
SELECT is_empty(
	$$SELECT pg_describe_object(classid, objid, objsubid)
	  FROM pg_depend d WHERE (refclassid, refobjid) IN (
		SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'windtrap_test_trap'::regnamespace
		UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = 'windtrap_test_trap'::regnamespace
		UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oprnamespace = 'windtrap_test_trap'::regnamespace)
	  AND EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')$$,
	'nothing of the extension depends on what was planted');
SELECT lives_ok(
	$$SELECT windtrap_test_trap.walk_in('SELECT FROM windtrap.status, windtrap.stats, windtrap.metrics, windtrap.quarantine')$$,
	'and what it has works with them on the path');
SELECT is_empty(
	$$SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'windtrap'::regnamespace AND relowner = 'windtrap_test_hostile'::regrole$$,
	'nothing in its schema is anybody else''s');

SELECT * FROM finish();
ROLLBACK;
