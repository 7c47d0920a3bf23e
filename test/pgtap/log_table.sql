-- Shows what holds for the events in a log table that create_log_table() makes: what a row
-- must have, where it goes, and how it is stored.
\set QUIET 1
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS windtrap;
CREATE SCHEMA windtrap_test;
SET LOCAL search_path = windtrap_test, public;
SET LOCAL TimeZone = 'Asia/Kathmandu';
DO $$BEGIN PERFORM windtrap.create_log_table('windtrap_test.events'); END$$;

SELECT plan(45);

-- Shape.
SELECT is_partitioned('windtrap_test', 'events', 'the table is partitioned');
SELECT is(pg_get_partkeydef('events'::regclass), 'RANGE (event_timestamp)', 'by time');
SELECT columns_are('windtrap_test', 'events', ARRAY['event_timestamp', 'data', 'status']);
SELECT col_type_is('windtrap_test', 'events', 'event_timestamp', 'timestamp with time zone', 'event_timestamp is a timestamptz');
SELECT col_type_is('windtrap_test', 'events', 'data', 'jsonb', 'data is jsonb');
SELECT col_type_is('windtrap_test', 'events', 'status', 'integer', 'status is an integer');
SELECT col_not_null('windtrap_test', 'events', 'event_timestamp', 'event_timestamp is not null');
SELECT col_not_null('windtrap_test', 'events', 'data', 'data is not null');
SELECT col_not_null('windtrap_test', 'events', 'status', 'status is not null');
SELECT col_hasnt_default('windtrap_test', 'events', 'event_timestamp', 'event_timestamp has no default');
SELECT col_hasnt_default('windtrap_test', 'events', 'data', 'data has no default');
SELECT col_default_is('windtrap_test', 'events', 'status', '0', 'status is 0 by default');
SELECT isnt(obj_description('events'::regclass), NULL, 'the table has a comment');
SELECT is_empty(
	$$SELECT attname FROM pg_attribute
	  WHERE attrelid = 'events'::regclass AND attnum > 0
	    AND col_description(attrelid, attnum) IS NULL$$,
	'every column has a comment');
SELECT is_empty(
	$$SELECT relid::regclass FROM pg_partition_tree('events') JOIN pg_class ON oid = relid
	  WHERE relpersistence <> 'p'$$,
	'it survives a crash: nothing of it is unlogged');
SELECT is_empty(
	$$SELECT tgname FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('events'))$$,
	'it has no triggers');
SELECT is_empty(
	$$SELECT objid::regclass FROM pg_depend
	  WHERE deptype IN ('e', 'x') AND objid IN (SELECT relid FROM pg_partition_tree('events'))$$,
	'it does not belong to the extension, and pg_dump takes it along');
SELECT is_empty(
	$$SELECT conname FROM pg_constraint
	  WHERE conrelid = 'events'::regclass AND contype <> 'n'$$,
	'it has no keys and checks that ingest would pay for');

-- Every partition is like the table.
SELECT is_empty(
	$$SELECT inhrelid::regclass, attname FROM pg_inherits
	  JOIN pg_attribute ON attrelid = inhrelid AND attnum > 0
	  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
	  WHERE inhparent = 'events'::regclass
	    AND (NOT attnotnull
	         OR (pg_get_expr(adbin, adrelid) IS DISTINCT FROM
	             CASE attname WHEN 'status' THEN '0' END))$$,
	'partitions have the table''s constraints and defaults');
SELECT is(
	(SELECT array_agg(DISTINCT attcompression::text) FROM pg_attribute
	 WHERE attname = 'data' AND attrelid IN (SELECT relid FROM pg_partition_tree('events'))),
	(SELECT ARRAY[CASE WHEN 'lz4' = ANY (enumvals) THEN 'l' ELSE '' END]
	 FROM pg_settings WHERE name = 'default_toast_compression'),
	'data is compressed by lz4 wherever the server can');
SELECT is_empty(
	$$SELECT relid::regclass FROM pg_partition_tree('events') JOIN pg_class ON oid = relid
	  WHERE relowner <> current_user::regrole OR relacl IS NOT NULL$$,
	'all of it belongs to who made it, and to nobody else');

-- What a row must have.
SELECT lives_ok($$INSERT INTO events VALUES (now(), '{}')$$, 'a row without status is taken');
SELECT results_eq('SELECT DISTINCT status FROM events', 'VALUES (0)', 'its status is 0');
SELECT throws_ok($$INSERT INTO events VALUES (now(), NULL)$$, '23502', NULL, 'data must not be null');
SELECT throws_ok($$INSERT INTO events VALUES (now(), '{}', NULL)$$, '23502', NULL, 'status must not be null');
-- Without a time no partition but the default one can be meant, and that has the constraint.
SELECT throws_ok($$INSERT INTO events VALUES (NULL, '{}')$$, '23502', NULL, 'event_timestamp must not be null');
SELECT throws_ok($$INSERT INTO events (data) VALUES ('{}')$$, '23502', NULL, 'nor be left out');
SELECT throws_ok($$INSERT INTO events VALUES (now(), 'no json')$$, '22P02', NULL, 'data is JSON');
SELECT lives_ok($$INSERT INTO events VALUES (now(), '{}', 422)$$, 'status is whatever the users say');
SELECT lives_ok('UPDATE events SET status = -1 WHERE status = 422', 'afterwards too');
SELECT results_eq('SELECT status, count(*) FROM events GROUP BY 1 ORDER BY 1', 'VALUES (-1, 1::bigint), (0, 1)',
	'and it stays where it is');
TRUNCATE events;

-- Where a row goes.
CREATE FUNCTION partition_of(at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	partition regclass;
BEGIN
	INSERT INTO events VALUES (at, '{}') RETURNING tableoid::regclass INTO partition;
	RETURN partition;
END$$;
CREATE FUNCTION utc_partition(at timestamptz) RETURNS text LANGUAGE sql
	AS $$SELECT to_char(at AT TIME ZONE 'UTC', '"events_"YYYYMMDD')$$;
CREATE FUNCTION utc_midnight(at timestamptz) RETURNS timestamptz LANGUAGE sql
	AS $$SELECT date_trunc('day', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'$$;
SELECT is(partition_of(now()), utc_partition(now()), 'an event of now goes to today''s partition');
SELECT is(partition_of(utc_midnight(now())), utc_partition(now()), 'midnight in UTC belongs to the day that begins');
SELECT is(partition_of(utc_midnight(now()) + '1 day' - interval '1 microsecond'), utc_partition(now()),
	'the last microsecond belongs to the day that ends');
SELECT is(partition_of(utc_midnight(now()) - interval '1 microsecond'), utc_partition(now() - interval '24 hours'),
	'an event that arrives just after midnight has its partition too');
SELECT is(partition_of(now() + n * interval '24 hours'), utc_partition(now() + n * interval '24 hours'),
	'there is a partition for day ' || n)
FROM unnest(ARRAY[1, 6]) n;
SELECT is(partition_of(t), 'events_default', 'an event of the time ' || t || ' has a place')
FROM unnest(ARRAY['-infinity', '1970-01-01', '9999-12-31', 'infinity']::timestamptz[]) t;
SELECT is((SELECT count(*) FROM events), 10::bigint, 'the table shows what all partitions have');
SELECT is(
	(SELECT count(*) FROM events_default), 4::bigint, 'the default partition has what no day has');

-- Reading a time span leaves the other partitions alone.
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END$$;
SELECT is(
	(SELECT count(DISTINCT substring(line FROM 'events_[0-9a-z]+'))
	 FROM plan_of(format('SELECT FROM events WHERE event_timestamp >= %L AND event_timestamp < %L',
	                     utc_midnight(now()), utc_midnight(now()) + interval '24 hours')) line
	 WHERE line LIKE '%events\_%'),
	1::bigint, 'a query of one day reads one partition');

-- Whole days that no query has to search: an index that costs next to nothing.
SELECT is(
	(SELECT count(*) FROM pg_index JOIN pg_class i ON i.oid = indexrelid
	 JOIN pg_am ON pg_am.oid = relam
	 WHERE indrelid = 'events'::regclass AND amname = 'brin'
	   AND pg_get_indexdef(indexrelid, 1, true) = 'event_timestamp'),
	1::bigint, 'there is a BRIN index on event_timestamp');

SELECT * FROM finish();
ROLLBACK;
