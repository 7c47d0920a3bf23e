-- Shows that the extension gives nothing away: nobody but the superuser changes anything
-- until it is granted, and no function can be led astray by the caller's search_path.
\set QUIET 1
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS windtrap;
CREATE ROLE windtrap_test_nobody;
CREATE ROLE windtrap_test_monitor IN ROLE pg_monitor;
CREATE ROLE windtrap_test_operator;
GRANT EXECUTE ON FUNCTION windtrap.start(), windtrap.stop(), windtrap.create_log_table(text,text)
	TO windtrap_test_operator;

-- As docs/security.md has it.
CREATE ROLE windtrap_test_dashboard;
CREATE ROLE windtrap_test_deploy;
CREATE ROLE windtrap_test_keeper;
CREATE ROLE windtrap_test_auditor;
GRANT EXECUTE ON FUNCTION windtrap.emit, windtrap.emit_durably TO windtrap_test_auditor;
CREATE SCHEMA windtrap_test_own;
SELECT windtrap.create_log_table('windtrap_test_own.log');
GRANT USAGE ON SCHEMA windtrap_test_own TO windtrap_test_dashboard, windtrap_test_keeper;
GRANT SELECT ON windtrap_test_own.log TO windtrap_test_dashboard;
SELECT windtrap.create_log_table();
SELECT windtrap.grant_read('windtrap_test_dashboard');
-- As the upkeep does where windtrap.table names it.
CREATE OR REPLACE FUNCTION windtrap.log_rows()
	RETURNS TABLE (event_timestamp timestamptz, data jsonb, status integer) LANGUAGE sql STABLE PARALLEL SAFE
	AS 'SELECT event_timestamp, data, status FROM windtrap_test_own.log';
GRANT EXECUTE ON FUNCTION windtrap.start, windtrap.stop, windtrap.drain, windtrap.create_token,
	windtrap.revoke_token, windtrap.worker_status TO windtrap_test_deploy;
GRANT SELECT ON windtrap.tokens, windtrap.status TO windtrap_test_deploy;
GRANT pg_monitor TO windtrap_test_keeper;
GRANT EXECUTE ON FUNCTION windtrap.silence_alert, windtrap.unsilence_alert, windtrap.reset_stats, windtrap.redeliver, windtrap.upkeep,
	windtrap.adopt_partitions, windtrap.seal, windtrap.unseal, windtrap.erase,
	windtrap.retry_quarantined(text[]),
	windtrap.retry_quarantined(text, text), windtrap.discard_quarantined TO windtrap_test_keeper;
GRANT SELECT, UPDATE (next_try, tries) ON windtrap.dead_letter TO windtrap_test_keeper;
GRANT SELECT ON windtrap.outbox_position TO windtrap_test_keeper;

SELECT plan(84);

-- Whatever functions there are.
SELECT is_empty(
	$$SELECT p.oid::regprocedure
	  FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner)))
	  WHERE pronamespace = 'windtrap'::regnamespace AND grantee = 0 AND provolatile = 'v'
	    AND proname NOT IN ('tail', 'tail_row', 'tail_position')$$,
	'PUBLIC may execute nothing that changes anything; the tail is volatile since it takes a snapshot of its own');
SELECT is_empty(
	$$SELECT oid::regprocedure FROM pg_proc
	  WHERE pronamespace = 'windtrap'::regnamespace
	    AND oid::regprocedure::text NOT IN ('windtrap.severity(jsonb)', 'windtrap.message(jsonb)',
	        'windtrap.app(jsonb)', 'windtrap.sender_host(jsonb)', 'windtrap.log_rows()',
	        'windtrap.event_text(jsonb)',
	        'windtrap.tail_row(xid,oid,tid,timestamp with time zone)',
	        'windtrap.tail_shard_row(xid,oid,tid,timestamp with time zone,text,text)')
	    AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)$$,
	'every function that looks something up has the search_path pg_catalog, pg_temp');
SELECT results_eq(
	$$SELECT DISTINCT provolatile, proparallel, proisstrict, prosecdef FROM pg_proc
	  WHERE pronamespace = 'windtrap'::regnamespace AND proname IN ('severity', 'message', 'app', 'sender_host', 'event_text')$$,
	$$VALUES ('i'::"char", 's'::"char", true, false)$$, 'those of events are for indexes, and for parallel queries');
SELECT is_empty(
	$$SELECT oid::regprocedure FROM pg_proc
	  WHERE pronamespace = 'windtrap'::regnamespace AND prosecdef
	    AND proname NOT IN ('create_token', 'revoke_token', 'alert', 'drop_alert', 'silence_alert', 'unsilence_alert')$$,
	'no function runs with its owner''s rights but those that write the tokens, and the alerts');
SELECT is_empty(
	$$SELECT grantee::regrole, privilege_type
	  FROM pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner)))
	  WHERE c.oid = 'windtrap.token'::regclass AND grantee <> relowner$$,
	'nobody but its owner may do anything to the tokens'' table');
SELECT is_empty(
	$$SELECT c.oid::regclass, privilege_type
	  FROM pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner)))
	  WHERE relnamespace = 'windtrap'::regnamespace AND relkind <> 'i'
	    AND grantee = 0 AND privilege_type <> 'SELECT'$$,
	'PUBLIC may change no table or view');
SELECT is_empty(
	$$SELECT c.oid::regclass, grantee::regrole, privilege_type
	  FROM pg_class c, aclexplode(relacl)
	  WHERE relnamespace = 'windtrap'::regnamespace
	    AND grantee = 'pg_monitor'::regrole AND privilege_type <> 'SELECT'$$,
	'pg_monitor may read views, and no more');
SELECT schema_privs_are('windtrap', 'windtrap_test_nobody', ARRAY['USAGE'],
	'everybody may use the schema, nobody may create in it');
SELECT is_empty(
	$$SELECT oid::regprocedure FROM pg_proc
	  WHERE pronamespace = 'windtrap'::regnamespace
	    AND proowner <> (SELECT extowner FROM pg_extension WHERE extname = 'windtrap')$$,
	'the functions belong to who owns the extension');
SELECT is(
	(SELECT nspowner FROM pg_namespace WHERE nspname = 'windtrap'),
	(SELECT extowner FROM pg_extension WHERE extname = 'windtrap'),
	'the schema belongs to who owns the extension');
SELECT ok(
	(SELECT superuser AND NOT trusted FROM pg_available_extension_versions
	 WHERE name = 'windtrap' AND installed),
	'only a superuser may create the extension');

-- Function by function: who may call it, of the roles of docs/security.md.  A function that is
-- new has to be put here.
CREATE TEMPORARY TABLE expected (function text COLLATE "C", callers text[] COLLATE "C");
INSERT INTO expected VALUES
	('windtrap.start()', '{deploy,operator}'),
	('windtrap.stop()', '{deploy,operator}'),
	('windtrap.drain(interval)', '{deploy}'),
	('windtrap.create_log_table(text,text)', '{operator}'),
	('windtrap.grant_read(regrole)', '{}'),
	('windtrap.create_token(text,text,text,text[],integer,timestamp with time zone)', '{deploy}'),
	('windtrap.revoke_token(text)', '{deploy}'),
	('windtrap.tokens_changed()', '{}'),
	('windtrap.upkeep(timestamp with time zone,text,boolean)', '{keeper}'),
	('windtrap.upkeep_failed()', '{dashboard,keeper,monitor}'),
	('windtrap.adopt_partitions()', '{keeper}'),
	('windtrap.seal(regclass)', '{keeper}'),
	('windtrap.unseal(regclass)', '{keeper}'),
	('windtrap.erase(regclass)', '{keeper}'),
	('windtrap.unsealable(regclass)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.sealed_altered()', '{}'),
	('windtrap.sealed_handler()', '{}'),
	('windtrap.sealed_validator(text[],oid)', '{}'),
	('windtrap.redeliver(text,text[])', '{keeper}'),
	('windtrap.retry_quarantined(text[])', '{keeper}'),
	('windtrap.retry_quarantined(text,text)', '{keeper}'),
	('windtrap.discard_quarantined(text[])', '{keeper}'),
	('windtrap.number_batch()', '{}'),
	('windtrap.worker_status()', '{dashboard,deploy,keeper,monitor}'),
	('windtrap.emit(jsonb,text)', '{}'),
	('windtrap.emit_durably(jsonb,text)', '{}'),
	('windtrap.alert(text,text,interval,bigint,text,text,text)', '{}'),
	('windtrap.drop_alert(text)', '{}'),
	('windtrap.silence_alert(text,interval)', '{keeper}'),
	('windtrap.unsilence_alert(text)', '{keeper}'),
	('windtrap.alerts_changed()', '{}'),
	('windtrap.worker_stats()', '{dashboard,keeper,monitor}'),
	('windtrap.worker_intakes()', '{dashboard,keeper,monitor}'),
	('windtrap.all_metrics()', '{dashboard,keeper,monitor}'),
	('windtrap.reset_stats()', '{keeper}'),
	('windtrap.refused_requests()', '{dashboard,keeper,monitor}'),
	('windtrap.refused_by_client()', '{dashboard,keeper,monitor}'),
	('windtrap.forwarder_status()', '{dashboard,keeper,monitor}'),
	-- These tell nothing that their caller could not find out in other ways.
	('windtrap.webhook_fault(text)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.alert_lateness(timestamp with time zone)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.log_table()', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.parse_event(bytea)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.quarantined()', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.severity(jsonb)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.message(jsonb)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.app(jsonb)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.sender_host(jsonb)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.log_rows()', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.event_text(jsonb)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.search_sql(text)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.tail(text,text,integer)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.tail_position(text)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.tail_row(xid,oid,tid,timestamp with time zone)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.tail_shard_row(xid,oid,tid,timestamp with time zone,text,text)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.search(text,timestamp with time zone,timestamp with time zone,integer,timestamp with time zone,text)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.histogram(text,timestamp with time zone,timestamp with time zone,integer,text)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.top_values(text,text,timestamp with time zone,timestamp with time zone,integer)', '{dashboard,deploy,keeper,monitor,nobody,operator}'),
	('windtrap.fields(text,timestamp with time zone,timestamp with time zone)', '{dashboard,deploy,keeper,monitor,nobody,operator}');
SELECT results_eq(
	$$SELECT p.oid::regprocedure::text COLLATE "C",
		ARRAY(SELECT r COLLATE "C" FROM unnest('{dashboard,deploy,keeper,monitor,nobody,operator}'::text[]) r
			WHERE has_function_privilege('windtrap_test_' || r, p.oid, 'EXECUTE') ORDER BY 1)
	  FROM pg_proc p WHERE pronamespace = 'windtrap'::regnamespace ORDER BY 1$$,
	'SELECT function, callers FROM expected ORDER BY 1',
	'each function may be called by these, and by nobody else');

SELECT results_eq(
	$$SELECT c.oid::regclass::text COLLATE "C" FROM pg_class c
	  WHERE relnamespace = 'windtrap'::regnamespace AND relkind = 'v'
	    AND has_table_privilege('windtrap_test_dashboard', c.oid, 'SELECT') ORDER BY 1$$,
	$$SELECT c.oid::regclass::text COLLATE "C" FROM pg_class c
	  WHERE relnamespace = 'windtrap'::regnamespace AND relkind = 'v' AND relname <> 'tokens'
	    AND has_table_privilege('windtrap_test_monitor', c.oid, 'SELECT') ORDER BY 1$$,
	'who may read sees how the collector does as pg_monitor does, but no tokens');

-- Role by role.
SELECT function_privs_are('windtrap', 'start', '{}'::name[], 'windtrap_test_nobody', '{}'::name[]);
SELECT function_privs_are('windtrap', 'stop', '{}'::name[], 'windtrap_test_nobody', '{}'::name[]);
SELECT function_privs_are('windtrap', 'create_log_table', '{text,text}'::name[], 'windtrap_test_nobody', '{}'::name[]);
SELECT function_privs_are('windtrap', 'worker_status', '{}'::name[], 'windtrap_test_nobody', '{}'::name[]);
SELECT table_privs_are('windtrap', 'status', 'windtrap_test_nobody', '{}'::name[]);
SELECT function_privs_are('windtrap', 'start', '{}'::name[], 'windtrap_test_monitor', '{}'::name[]);
SELECT function_privs_are('windtrap', 'stop', '{}'::name[], 'windtrap_test_monitor', '{}'::name[]);
SELECT function_privs_are('windtrap', 'create_log_table', '{text,text}'::name[], 'windtrap_test_monitor', '{}'::name[]);
SELECT function_privs_are('windtrap', 'worker_status', '{}'::name[], 'windtrap_test_monitor', '{EXECUTE}'::name[]);
SELECT table_privs_are('windtrap', 'status', 'windtrap_test_monitor', '{SELECT}'::name[]);
SELECT function_privs_are('windtrap', f, '{}'::name[], 'windtrap_test_nobody', '{}'::name[])
FROM unnest(ARRAY['refused_requests', 'refused_by_client']) AS f;
SELECT table_privs_are('windtrap', v, 'windtrap_test_nobody', '{}'::name[])
FROM unnest(ARRAY['refused', 'refused_clients']) AS v;
SELECT table_privs_are('windtrap', v, 'windtrap_test_monitor', '{SELECT}'::name[])
FROM unnest(ARRAY['refused', 'refused_clients']) AS v;

SELECT table_privs_are('windtrap', t, r, '{}'::name[], t || ' is not for ' || r)
FROM unnest(ARRAY['outbox', 'dead_letter', 'idempotency_key', 'alert_rule', 'alert_delivery']) t,
	unnest(ARRAY['windtrap_test_nobody', 'windtrap_test_monitor']) r;
SELECT table_privs_are('windtrap', 'forwarding', 'windtrap_test_monitor', '{SELECT}'::name[]);
SELECT table_privs_are('windtrap', 'forwarding', 'windtrap_test_nobody', '{}'::name[]);

-- And in deed.
SET LOCAL ROLE windtrap_test_nobody;
SELECT throws_ok('SELECT windtrap.redeliver()', '42501', NULL, 'an ordinary role may not have events sent again');
SELECT throws_ok('SELECT FROM windtrap.idempotency_key', '42501', NULL, 'an ordinary role may not see keys');
SELECT throws_ok($$SELECT windtrap.alert('a', '', webhook => 'http://localhost/')$$, '42501', NULL,
	'an ordinary role may not have the server post anywhere');
SELECT throws_ok('SELECT windtrap.start()', '42501', NULL, 'an ordinary role may not start');
SELECT throws_ok('SELECT windtrap.stop()', '42501', NULL, 'nor stop');
SELECT throws_ok('SELECT windtrap.create_log_table()', '42501', NULL, 'nor make a log table');
SELECT throws_ok($$SELECT windtrap.retry_quarantined('{x}')$$, '42501', NULL, 'nor retry what is in quarantine');
SELECT throws_ok($$SELECT windtrap.retry_quarantined('x', '{}')$$, '42501', NULL, 'nor put something else in its place');
SELECT throws_ok($$SELECT windtrap.discard_quarantined('{x}')$$, '42501', NULL, 'nor discard it');
SELECT throws_ok('SELECT windtrap.adopt_partitions()', '42501', NULL, 'nor take strays back');
SELECT throws_ok('SELECT * FROM windtrap.status', '42501', NULL, 'nor read the status');
SELECT throws_ok('SELECT * FROM windtrap.refused', '42501', NULL, 'nor what was refused');
SELECT throws_ok($$SELECT windtrap.emit('{}')$$, '42501', NULL, 'nor emit an event');
SELECT throws_ok($$SELECT windtrap.emit_durably('{}')$$, '42501', NULL, 'nor wait for one');
SET LOCAL ROLE windtrap_test_auditor;
SELECT throws_ok($$SELECT windtrap.emit('{}')$$, '55000', NULL, 'who is granted it may, were there a collector');
RESET ROLE;
GRANT USAGE ON SCHEMA windtrap_test_own TO windtrap_test_nobody;
SET LOCAL ROLE windtrap_test_nobody;
SELECT throws_ok('SELECT * FROM windtrap.events', '42501', 'permission denied for table log', 'nor, by a view, a table that he may not read');
SELECT throws_ok('SELECT * FROM windtrap.refused_clients', '42501', NULL, 'nor whom');
SET LOCAL ROLE windtrap_test_monitor;
SELECT lives_ok('SELECT * FROM windtrap.forwarding', 'who is in pg_monitor reads the forwarding');
SELECT lives_ok('SELECT * FROM windtrap.status', 'who is in pg_monitor reads the status');
SELECT lives_ok('SELECT * FROM windtrap.refused', 'and what was refused');
SELECT lives_ok('SELECT * FROM windtrap.refused_clients', 'and whom');
SELECT throws_ok('SELECT windtrap.stop()', '42501', NULL, 'and may not stop');
SET LOCAL ROLE windtrap_test_operator;
SELECT ok(has_function_privilege('windtrap.start()', 'EXECUTE')
	AND has_function_privilege('windtrap.stop()', 'EXECUTE'), 'who is granted it may start and stop');
SET LOCAL ROLE windtrap_test_dashboard;
SELECT lives_ok('SELECT count(*) FROM windtrap_test_own.log', 'a dashboard reads the events');
SELECT throws_ok('DELETE FROM windtrap_test_own.log', '42501', NULL, 'and changes none');
SELECT lives_ok('SELECT count(severity) FROM windtrap.events', 'in the view of all protocols, too');
SELECT lives_ok('SELECT FROM public.log', 'windtrap.grant_read() lets it read the table that windtrap.table names');
SELECT throws_ok('DELETE FROM public.log', '42501', NULL, 'and not change it');
SELECT throws_ok('SELECT FROM windtrap.tokens', '42501', NULL, 'nor see the tokens');
SELECT throws_ok($$SELECT windtrap.grant_read('windtrap_test_nobody')$$, '42501', NULL, 'nor let others read');
SET LOCAL ROLE windtrap_test_deploy;
SELECT lives_ok($$SELECT windtrap.create_token('of deploy')$$, 'a deployer makes a token');
SELECT lives_ok('SELECT * FROM windtrap.tokens', 'sees the tokens');
SELECT lives_ok('SELECT * FROM windtrap.status', 'and the status');
SELECT throws_ok('SELECT * FROM windtrap.token', '42501', NULL, 'but nothing that would let one in');
SET LOCAL ROLE windtrap_test_keeper;
SELECT lives_ok('SELECT * FROM windtrap.stats, windtrap.forwarding', 'an operator sees what there is');
SELECT lives_ok('SELECT windtrap.reset_stats()', 'and resets the counters');
SELECT lives_ok('SELECT windtrap.redeliver()', 'has dead letters sent again');
SELECT throws_ok($$SELECT windtrap.redeliver('nosuch')$$, '42704', NULL, 'or those for one target');
SELECT throws_ok($$SELECT * FROM windtrap.upkeep(name => 'windtrap_test_own.log')$$, '42501',
	'must be owner of table log', 'keeps up no table that is not his');
SELECT throws_ok('UPDATE windtrap.dead_letter SET data = NULL', '42501', NULL, 'and changes no event');
RESET ROLE;

-- Rights on the function are not rights on a schema.
CREATE SCHEMA windtrap_test_logs;
SET LOCAL ROLE windtrap_test_operator;
SELECT throws_ok($$SELECT windtrap.create_log_table('windtrap_test_logs.events')$$, '42501',
	'permission denied for schema windtrap_test_logs',
	'a log table needs CREATE on its schema');
RESET ROLE;

-- A caller's objects do not stand in for the system's.
CREATE SCHEMA windtrap_test_trap;
CREATE FUNCTION windtrap_test_trap.trapped(text, text) RETURNS boolean LANGUAGE plpgsql
	AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE OPERATOR windtrap_test_trap.= (LEFTARG = text, RIGHTARG = text,
	FUNCTION = windtrap_test_trap.trapped);
CREATE DOMAIN windtrap_test_trap.timestamptz AS text;
CREATE DOMAIN windtrap_test_trap.jsonb AS text;
CREATE DOMAIN windtrap_test_trap.int4 AS text;
CREATE FUNCTION windtrap_test_trap.walk_in() RETURNS void LANGUAGE plpgsql
	SET search_path = windtrap_test_trap, pg_catalog
	AS $$BEGIN PERFORM windtrap.create_log_table('windtrap_test_logs.events'); END$$;
SELECT lives_ok('SELECT windtrap_test_trap.walk_in()',
	'create_log_table uses the system''s own operators and types');
SELECT is(
	(SELECT array_agg(format_type(atttypid, atttypmod) ORDER BY attnum) FROM pg_attribute
	 WHERE attrelid = 'windtrap_test_logs.events'::regclass AND attnum > 0),
	ARRAY['timestamp with time zone', 'jsonb', 'integer'],
	'and its table has their types');

SELECT * FROM finish();
ROLLBACK;
