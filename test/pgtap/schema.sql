-- Shows what the extension's schema consists of: functions and views with their types,
-- each object explained by a comment.
\set QUIET 1
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS windtrap;

-- What belongs to the extension, or lies in its schema.
CREATE TEMPORARY VIEW objects AS
SELECT classid, objid FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'windtrap')
UNION
SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'windtrap'::regnamespace
UNION
SELECT 'pg_class'::regclass, oid FROM pg_class
WHERE relnamespace = 'windtrap'::regnamespace AND relkind <> 'i'; -- its table brings it along

SELECT plan(56);

SELECT has_extension('windtrap');
SELECT is(
	(SELECT deptype::text FROM pg_depend
	 WHERE classid = 'pg_namespace'::regclass AND objid = 'windtrap'::regnamespace
	   AND refclassid = 'pg_extension'::regclass),
	'e', 'its schema is a member of it');
SELECT is(
	(SELECT extversion FROM pg_extension WHERE extname = 'windtrap'),
	(SELECT default_version FROM pg_available_extensions WHERE name = 'windtrap'),
	'it is of the version that the control file names');
SELECT is_empty(
	$$SELECT pg_describe_object(classid, objid, 0) FROM objects
	  WHERE (classid = 'pg_proc'::regclass
	         AND objid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace = 'windtrap'::regnamespace))
	     OR (classid = 'pg_class'::regclass
	         AND objid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'windtrap'::regnamespace))$$,
	'nothing of it lies outside its schema');
SELECT is_empty(
	$$SELECT pg_describe_object(classid, objid, 0) FROM objects o
	  WHERE NOT EXISTS (SELECT FROM pg_depend d
	                    WHERE d.classid = o.classid AND d.objid = o.objid AND deptype = 'e')$$,
	'nothing in its schema is not its own');

-- Functions.
SELECT function_returns('windtrap', 'start', '{}'::name[], 'text');
SELECT function_returns('windtrap', 'stop', '{}'::name[], 'boolean');
SELECT function_returns('windtrap', 'drain', '{interval}'::name[], 'boolean');
SELECT function_returns('windtrap', 'create_log_table', '{text,text}'::name[], 'regclass');
SELECT function_returns('windtrap', 'worker_status', '{}'::name[], 'setof record');
SELECT volatility_is('windtrap', 'start', '{}'::name[], 'volatile');
SELECT volatility_is('windtrap', 'stop', '{}'::name[], 'volatile');
SELECT volatility_is('windtrap', 'create_log_table', '{text,text}'::name[], 'volatile');
SELECT is_strict('windtrap', 'start', '{}'::name[]);
SELECT is_strict('windtrap', 'create_log_table', '{text,text}'::name[]);
SELECT is_empty(
	$$SELECT oid::regprocedure FROM pg_proc
	  WHERE pronamespace = 'windtrap'::regnamespace AND provolatile = 'v' AND proparallel = 's'$$,
	'nothing volatile runs in parallel');

-- The view.
SELECT has_view('windtrap', 'status', 'there is the view windtrap.status');
SELECT columns_are('windtrap', 'status', ARRAY[
	'kind', 'worker', 'name', 'pid', 'database', 'addresses', 'port', 'tls', 'state', 'since',
	'last_run', 'next_start', 'last_error', 'stdout_error', 'node']);
SELECT is(
	(SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = 'windtrap.status'::regclass AND attnum > 0),
	ARRAY['kind text', 'worker integer', 'name text', 'pid integer', 'database text',
	      'addresses text', 'port integer', 'tls boolean', 'state text',
	      'since timestamp with time zone', 'last_run timestamp with time zone',
	      'next_start timestamp with time zone', 'last_error text', 'stdout_error text',
	      'node text'],
	'its columns have their types and order');
SELECT is(
	(SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
	 WHERE attrelid = 'windtrap.status'::regclass AND attnum > 0),
	(SELECT proargnames FROM pg_proc WHERE oid = 'windtrap.worker_status()'::regprocedure),
	'it shows all that its function gives, in the same order');
SELECT lives_ok('SELECT * FROM windtrap.status', 'it can be read when nothing runs');

-- What is counted.
SELECT columns_are('windtrap', 'metrics', ARRAY['name', 'label', 'label_value', 'value']);
SELECT columns_are('windtrap', 'intakes', ARRAY['worker', 'intake', 'addresses', 'state', 'last_error', 'connections', 'received', 'stored', 'dropped']);
SELECT columns_are('windtrap', 'stats', ARRAY[
	'worker', 'since', 'requests', 'requests_by_code', 'requests_refused', 'events_accepted',
	'events_quarantined', 'duplicates', 'events_refused', 'bytes_received', 'bytes_decoded', 'transactions',
	'batch_events_avg', 'batch_events_max', 'commit_ms_avg', 'commit_ms_max', 'request_ms_avg',
	'connections', 'connections_max', 'bytes_in_flight', 'stdout_written', 'stdout_dropped', 'messages_dropped']);
SELECT columns_are('windtrap', 'quarantine', ARRAY[
	'event_timestamp', 'id', 'error', 'raw', 'encoding', 'data']);

SELECT is(
	(SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = 'windtrap.events'::regclass AND attnum > 0),
	ARRAY['event_timestamp timestamp with time zone', 'id text', 'severity text', 'app text', 'host text',
	      'message text', 'source text', 'data jsonb', 'status integer'],
	'the columns of windtrap.events have their types and order');

-- Searches.
SELECT is(
	(SELECT array_agg(name || ' ' || format_type(type, NULL) ORDER BY n)
	 FROM pg_proc, unnest(proargnames, proallargtypes, proargmodes) WITH ORDINALITY AS x(name, type, mode, n)
	 WHERE oid = 'windtrap.search'::regproc AND mode = 't'),
	(SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = 'windtrap.events'::regclass AND attnum > 0),
	'windtrap.search() gives rows of windtrap.events');
SELECT is(
	(SELECT string_agg(proname || ' ' || provolatile::text || CASE WHEN proretset THEN ' set' ELSE '' END, ', ' ORDER BY proname COLLATE "C")
	 FROM pg_proc WHERE pronamespace = 'windtrap'::regnamespace
	   AND proname IN ('search', 'search_sql', 'histogram', 'top_values', 'fields', 'event_text')),
	'event_text i, fields s set, histogram s set, search s set, search_sql i, top_values s set',
	'what a query becomes is immutable, what it finds is not');
SELECT lives_ok('SELECT ' || f, f || ' needs no table')
FROM (VALUES ('windtrap.search_sql(''a:b'')'), ('windtrap.event_text(''{}'')')) AS x(f);
SELECT throws_ok('SELECT windtrap.search()', '42P01', NULL, 'a search does, and says so');

-- What was refused.
SELECT is(
	(SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = 'windtrap.refused'::regclass AND attnum > 0),
	ARRAY['time timestamp with time zone', 'ip inet', 'method text', 'path text', 'status integer',
	      'reason text', 'user_agent text', 'detail text', 'times bigint'],
	'the columns of windtrap.refused have their types and order');
SELECT is(
	(SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = 'windtrap.refused_clients'::regclass AND attnum > 0),
	ARRAY['ip inet', 'reason text', 'count bigint', 'first timestamp with time zone',
	      'last timestamp with time zone'],
	'those of windtrap.refused_clients too');
SELECT is(
	(SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
	 WHERE attrelid = v::regclass AND attnum > 0),
	(SELECT proargnames FROM pg_proc WHERE oid = f::regprocedure),
	v || ' shows all that its function gives, in the same order')
FROM (VALUES ('windtrap.refused', 'windtrap.refused_requests()'),
             ('windtrap.refused_clients', 'windtrap.refused_by_client()')) AS x(v, f);
SELECT lives_ok('SELECT * FROM ' || v, v || ' can be read when nothing runs')
FROM unnest(ARRAY['windtrap.refused', 'windtrap.refused_clients']) AS v;
-- Forwarding.
SELECT columns_are('windtrap', 'forwarding', ARRAY[
	'target', 'pid', 'state', 'since', 'last_error', 'lag_events', 'lag_seconds', 'delivered', 'dead']);
SELECT columns_are('windtrap', 'outbox', ARRAY['id', 'created', 'n_events', 'bytes', 'events']);
SELECT columns_are('windtrap', 'dead_letter', ARRAY[
	'target', 'id', 'event_timestamp', 'data', 'status', 'error', 'tries', 'first_try', 'last_try',
	'next_try']);
SELECT function_returns('windtrap', 'redeliver', '{text,text[]}'::name[], 'setof record');
SELECT is(
	(SELECT attstorage FROM pg_attribute
	 WHERE attrelid = 'windtrap.outbox'::regclass AND attname = 'events'),
	'e', 'what is compressed is not compressed again');
SELECT is(
	(SELECT array_agg(c::regclass::text ORDER BY c::regclass::text) FROM pg_extension, unnest(extconfig) AS c
	 WHERE extname = 'windtrap'),
	ARRAY['windtrap.alert_delivery', 'windtrap.alert_rule', 'windtrap.dead_letter', 'windtrap.outbox',
	      'windtrap.token', 'windtrap.token_id_seq'],
	'a dump carries the events of the outbox, the dead letters, the tokens, and the alerts with what they have to tell');
INSERT INTO windtrap.outbox (id, n_events, bytes, events) VALUES (1000, 1, 1, ''), (10, 1, 1, '');
SELECT results_eq(
	'SELECT id - (SELECT min(id) FROM windtrap.outbox) FROM windtrap.outbox ORDER BY ctid',
	'VALUES (0::bigint), (1)', 'batches are numbered in the order in which they come, whatever is asked for');
SELECT throws_ok('SELECT windtrap.number_batch()', '39P01', NULL, 'the trigger function is one');
INSERT INTO windtrap.dead_letter
	(target, id, event_timestamp, data, status, error, tries) VALUES
	('public.a', '1', now(), '{}', 0, 'e', 3), ('public.a', '2', now(), '{}', 0, 'e', 3),
	('public.b', '1', now(), '{}', 0, 'e', 3);
SELECT results_eq($$SELECT * FROM windtrap.redeliver(ids => '{1}') ORDER BY 1$$,
	$$VALUES ('public.a', '1'), ('public.b', '1')$$, 'redeliver() by id');
SELECT results_eq($$SELECT * FROM windtrap.redeliver('public.a') ORDER BY 2$$,
	$$VALUES ('public.a', '1'), ('public.a', '2')$$, 'redeliver() by target');
SELECT is((SELECT count(*) FROM windtrap.dead_letter WHERE next_try <= now() AND tries = 0), 3::bigint,
	'and their tries begin anew');

-- Alerts.
SELECT columns_are('windtrap', 'alerts', ARRAY[
	'name', 'query', 'window', 'comparison', 'threshold', 'channel', 'webhook', 'state', 'since', 'reason',
	'last_value', 'last_evaluated', 'last_notified', 'last_told', 'notify_error', 'silenced_until', 'pending',
	'tries', 'last_delivered', 'given_up', 'last_error']);

-- Comments: one for each object, a sentence and not a filler.
SELECT isnt(obj_description('windtrap'::regnamespace, 'pg_namespace'), NULL,
	'the schema has a comment');
SELECT isnt(
	(SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'windtrap'),
	NULL, 'the extension has a comment');
SELECT is_empty(
	$$SELECT pg_describe_object(classid, objid, 0) FROM objects
	  WHERE classid = 'pg_proc'::regclass
	    AND length(coalesce(obj_description(objid, 'pg_proc'), '')) < 10$$,
	'every function has a comment');
SELECT is_empty(
	$$SELECT pg_describe_object(classid, objid, 0) FROM objects
	  JOIN pg_class c ON c.oid = objid
	  WHERE classid = 'pg_class'::regclass AND relkind IN ('v', 'm', 'r', 'p', 'f', 'S')
	    AND length(coalesce(obj_description(objid, 'pg_class'), '')) < 10$$,
	'every view and table has a comment');
SELECT is_empty(
	$$SELECT objid::regclass, attname FROM objects
	  JOIN pg_class c ON c.oid = objid
	  JOIN pg_attribute ON attrelid = objid AND attnum > 0 AND NOT attisdropped
	  WHERE classid = 'pg_class'::regclass AND relkind IN ('v', 'm', 'r', 'p', 'f')
	    AND length(coalesce(col_description(attrelid, attnum), '')) < 10$$,
	'every column of them has a comment');

-- Settings.
SELECT is_empty(
	$$SELECT name FROM pg_settings
	  WHERE name LIKE 'windtrap.%' AND length(coalesce(short_desc, '')) < 10$$,
	'every setting has a description');
SELECT is_empty(
	$$SELECT name FROM pg_settings WHERE name LIKE 'windtrap.%'
	  AND context <> CASE WHEN name IN ('windtrap.partitionwise_aggregate', 'windtrap.emit_timeout') THEN 'user' ELSE 'sighup' END$$,
	'every setting takes effect by a reload, and those of a session''s own doings in a session, too');

SELECT * FROM finish();
ROLLBACK;
