-- Shows the table that windtrap.create_log_table() makes: its columns, its partitions by
-- days in UTC whatever the session's TimeZone, its name, its owner, and that to make it
-- again changes nothing.  Dates are compared, never shown.

CREATE EXTENSION windtrap;

-- Far from UTC, and with dates written the other way round.
SET TimeZone = 'Pacific/Kiritimati';
SET DateStyle = 'SQL, DMY';
SELECT windtrap.create_log_table();
SET TimeZone = 'America/St_Johns';
SELECT windtrap.create_log_table('events');

SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull,
       pg_get_expr(adbin, adrelid) AS default, col_description(attrelid, attnum) AS comment
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'log'::regclass AND attnum > 0
ORDER BY attnum;
SELECT relkind, relpersistence, obj_description(oid) AS comment, pg_get_partkeydef(oid)
FROM pg_class WHERE oid = 'log'::regclass;

-- The partitions: one a day from midnight to midnight in UTC, without a gap, named after
-- the day; and the default one.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
CREATE VIEW days AS
SELECT parent, name, from_time, to_time,
       from_time AT TIME ZONE 'UTC' AS day,
       lag(to_time) OVER (PARTITION BY parent ORDER BY from_time) AS previous_end
FROM (
    SELECT t.parent, c.relname AS name,
           substring(pg_get_expr(relpartbound, c.oid) FROM 'FROM \(''([^'']+)''')::timestamptz AS from_time,
           substring(pg_get_expr(relpartbound, c.oid) FROM 'TO \(''([^'']+)''')::timestamptz AS to_time
    FROM (VALUES ('log'), ('events')) t(parent)
    JOIN pg_inherits ON inhparent = t.parent::regclass
    JOIN pg_class c ON c.oid = inhrelid
    WHERE pg_get_expr(relpartbound, c.oid) <> 'DEFAULT') d;
SELECT parent, count(*) AS days,
       bool_and(day = date_trunc('day', day)) AS from_midnight,
       bool_and(to_time - from_time = '24 hours') AS of_one_day,
       bool_and(previous_end IS NULL OR previous_end = from_time) AS without_gap,
       bool_and(name = parent || to_char(day, '_YYYYMMDD')) AS named_after_it,
       min(from_time) <= now() AND max(to_time) > now() + '6 days' AS now_and_a_week
FROM days GROUP BY parent ORDER BY parent DESC;
SELECT inhparent::regclass AS parent, c.relname
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
WHERE inhparent IN ('log'::regclass, 'events'::regclass)
  AND pg_get_expr(relpartbound, c.oid) = 'DEFAULT'
ORDER BY c.relname DESC;

-- Again: the same table, with what it has.
INSERT INTO events VALUES (now(), '{"json": 1}');
SELECT 'events'::regclass::oid AS oid \gset before_
SELECT windtrap.create_log_table('events')::oid = :before_oid AS same;
SELECT windtrap.create_log_table('public.events')::oid = :before_oid AS same;
SELECT windtrap.create_log_table('EVENTS')::oid = :before_oid AS same;
SELECT windtrap.create_log_table(name => 'events')::oid = :before_oid AS same;
-- Tables that are no log tables are not taken for one.
CREATE TABLE plain (data text);
SELECT windtrap.create_log_table('plain');
CREATE UNLOGGED TABLE fast (event_timestamp timestamptz, data jsonb, status integer);
SELECT windtrap.create_log_table('fast');
SELECT windtrap.create_log_table('pg_temp.short');
DROP TABLE plain, fast;
SELECT data FROM events;

-- A table that is there is not touched.
CREATE TABLE plain (event_timestamp timestamptz, data jsonb, status integer);
SELECT windtrap.create_log_table('plain');
SELECT relkind FROM pg_class WHERE oid = 'plain'::regclass;

-- Names: without a schema it is in public, whatever the search_path.
CREATE SCHEMA logs;
CREATE SCHEMA "Other ""Logs""";
SET search_path = logs;
SELECT windtrap.create_log_table('inpublic');
SELECT windtrap.create_log_table('logs.inlogs');
RESET search_path;
SELECT windtrap.create_log_table('"Other ""Logs"""."The Log"');
SELECT count(*), bool_and(relname LIKE 'The Log\_%') AS named_after_it
FROM pg_class JOIN pg_inherits ON inhrelid = oid
WHERE inhparent = '"Other ""Logs"""."The Log"'::regclass
  AND relnamespace = '"Other ""Logs"""'::regnamespace;
-- A name is a name, whatever it looks like.
SELECT windtrap.create_log_table('logs."x(); DROP TABLE plain; --"');
SELECT count(*) FROM plain;
-- What a table of the longest possible name needs is cut to fit.
SELECT windtrap.create_log_table('logs.' || repeat('l', 63)) = ('logs.' || repeat('l', 63))::regclass AS made;

\set VERBOSITY default
SELECT windtrap.create_log_table('');
SELECT windtrap.create_log_table('a.b.c');
SELECT windtrap.create_log_table('two words');
SELECT windtrap.create_log_table('logs.');
SELECT windtrap.create_log_table('.events');
SELECT windtrap.create_log_table('"unclosed');
\set VERBOSITY terse
SELECT windtrap.create_log_table('nosuch.events');
SELECT windtrap.create_log_table('pg_catalog.events');
BEGIN READ ONLY;
SELECT windtrap.create_log_table('readonly');
ROLLBACK;

-- It is part of the transaction.
BEGIN;
SELECT windtrap.create_log_table('rolledback');
ROLLBACK;
SELECT to_regclass('rolledback');

-- It belongs to who calls, with all its partitions.
CREATE ROLE regress_windtrap_owner;
GRANT EXECUTE ON FUNCTION windtrap.create_log_table(text, text) TO regress_windtrap_owner;
SET ROLE regress_windtrap_owner;
SELECT windtrap.create_log_table('logs.denied');
RESET ROLE;
GRANT CREATE, USAGE ON SCHEMA logs TO regress_windtrap_owner;
SET ROLE regress_windtrap_owner;
SELECT windtrap.create_log_table('logs.owned');
INSERT INTO logs.owned VALUES (now(), '{}');
SELECT count(*) > 1 AS partitions, bool_and(relowner = 'regress_windtrap_owner'::regrole) AS owned
FROM pg_partition_tree('logs.owned') JOIN pg_class ON oid = relid;
-- Somebody else's is found, and is not made the caller's own.
SELECT windtrap.create_log_table('logs.inlogs');
SELECT count(*) FROM logs.inlogs;
RESET ROLE;

SET client_min_messages = warning;
DROP OWNED BY regress_windtrap_owner CASCADE;
DROP ROLE regress_windtrap_owner;
DROP SCHEMA logs, "Other ""Logs""" CASCADE;
-- A b-tree on the time, for who looks at the last events often.
SELECT windtrap.create_log_table('looked_at', time_index => 'btree');
SELECT amname, count(*) > 8 AS each_partition FROM pg_class c JOIN pg_am a ON a.oid = relam
 WHERE relkind IN ('i', 'I') AND relname LIKE 'looked_at%' GROUP BY 1;
SELECT windtrap.create_log_table('hashed', time_index => 'hash');
DROP TABLE looked_at;

DROP VIEW days;
DROP TABLE log, events, plain, inpublic;
DROP EXTENSION windtrap;
