-- Partitions made ahead, filled and dropped; the clock is an argument.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS windtrap;
RESET client_min_messages;
LOAD 'windtrap';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
CREATE SCHEMA u;

-- Makes an empty log table, with a default partition or without.
CREATE PROCEDURE u.make(name text, with_default boolean DEFAULT true) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE u.%I (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL,
        status int NOT NULL DEFAULT 0) PARTITION BY RANGE (event_timestamp)', name);
    IF with_default THEN
        EXECUTE format('CREATE TABLE u.%I PARTITION OF u.%I DEFAULT', 'default_' || right(name, 40), name);
    END IF;
END $$;

-- Today and a week to come; the second time there is nothing left to do.
CALL u.make('log');
SELECT * FROM windtrap.upkeep('2026-11-26 15:00+00', 'u.log');
SELECT * FROM windtrap.upkeep('2026-11-26 15:00+00', 'u.log');
-- One more day each midnight, over the end of a month and of a year.
SELECT action, partition, from_time, to_time FROM windtrap.upkeep('2026-11-26 23:59:59.999999+00', 'u.log');
SELECT action, partition, from_time, to_time FROM windtrap.upkeep('2026-11-27 00:00+00', 'u.log');
SELECT partition FROM windtrap.upkeep('2026-12-30 12:00+00', 'u.log');
-- Leap days.
CALL u.make('leap');
SELECT partition, from_time, to_time FROM windtrap.upkeep('2028-02-26 12:00+00', 'u.leap') LIMIT 5;
CALL u.make('noleap');
SELECT partition FROM windtrap.upkeep('2027-02-26 12:00+00', 'u.noleap') LIMIT 4;

-- Days are days in UTC, whatever the session's zone, and have 24 hours when clocks change.
CALL u.make('zone');
SET TimeZone = 'Europe/Berlin';
SELECT partition, from_time, to_time, to_time - from_time AS length FROM windtrap.upkeep('2026-10-24 12:00+02', 'u.zone') LIMIT 3;
SET TimeZone = 'Pacific/Kiritimati';
SELECT count(*) FROM windtrap.upkeep('2026-10-25 13:59+14', 'u.zone');
SELECT partition FROM windtrap.upkeep('2026-10-26 13:59+14', 'u.zone');
SET DateStyle = 'SQL, DMY';
SELECT partition FROM windtrap.upkeep('2026-10-27 00:00+00', 'u.zone');
SET TimeZone = 'America/New_York';
SELECT count(*), min(to_time - from_time), max(to_time - from_time) FROM windtrap.upkeep('2026-03-07 12:00+00', 'u.zone');
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SELECT count(*), count(DISTINCT bound), min(bound), max(bound) FROM (
    SELECT pg_get_expr(relpartbound, oid) AS bound FROM pg_class
    WHERE relispartition AND relname LIKE 'zone%' AND relkind = 'r') AS p;

-- Day by day over a month's end, and a leap day where there is one: each day's events are in
-- the partition of its name, the first one and the last.
CREATE FUNCTION u.live(first date, last date, zone text DEFAULT 'UTC') RETURNS TABLE (partition text, first_event timestamp, last_event timestamp) LANGUAGE plpgsql AS $$
DECLARE
    day timestamptz := first::timestamp AT TIME ZONE 'UTC';
BEGIN
    CALL u.make('lived');
    PERFORM set_config('TimeZone', zone, true);
    WHILE day <= last::timestamp AT TIME ZONE 'UTC' LOOP
        PERFORM windtrap.upkeep(day, 'u.lived');
        INSERT INTO u.lived VALUES (day, '{}'), (day + interval '24 hours' - interval '1 microsecond', '{}');
        PERFORM windtrap.upkeep(day + interval '24 hours' - interval '1 microsecond', 'u.lived');
        day := day + interval '24 hours';
    END LOOP;
    RETURN QUERY SELECT tableoid::regclass::text, min(event_timestamp) AT TIME ZONE 'UTC', max(event_timestamp) AT TIME ZONE 'UTC' FROM u.lived GROUP BY 1 ORDER BY 2;
    PERFORM set_config('TimeZone', 'UTC', true);
    IF EXISTS (SELECT FROM u.default_lived) OR EXISTS (
        SELECT FROM pg_class WHERE relname ~ '^lived_2' AND pg_get_expr(relpartbound, oid) <> format('FOR VALUES FROM (%L) TO (%L)',
            to_date(right(relname, 8), 'YYYYMMDD') || ' 00:00:00+00', to_date(right(relname, 8), 'YYYYMMDD') + 1 || ' 00:00:00+00')) THEN
        RAISE 'not as it should be in %', zone;
    END IF;
    DROP TABLE u.lived;
END $$;
SELECT * FROM u.live('2028-02-28', '2028-03-01');
SELECT * FROM u.live('2100-02-28', '2100-03-01');
SELECT * FROM u.live('2026-04-30', '2026-05-01');
SELECT * FROM u.live('2026-12-31', '2027-01-01');
-- Where a day has 23 hours or 25, where midnight does not exist or is twice, where a whole day is left out.
SELECT zone, count(*), min(partition), max(partition) FROM (VALUES
    ('Europe/Berlin', date '2026-03-29'), ('Europe/Berlin', '2026-10-25'),
    ('America/Sao_Paulo', '2018-11-04'), ('America/Sao_Paulo', '2018-02-18'),
    ('Pacific/Apia', '2011-12-30'), ('Australia/Lord_Howe', '2026-04-05'), ('Asia/Kathmandu', '2026-01-01')) AS z (zone, day),
    LATERAL u.live(day - 2, day + 2, zone) GROUP BY zone, day ORDER BY zone, day;
-- Begun on the day itself.
DO $$
DECLARE
    day timestamptz;
BEGIN
    FOREACH day IN ARRAY ARRAY['2028-02-28 23:59:59+00', '2028-02-29 00:00+00', '2028-02-29 23:59:59+00', '2028-03-01 00:00+00']::timestamptz[] LOOP
        CALL u.make('begun');
        RAISE NOTICE '%: %', day, (SELECT partition FROM windtrap.upkeep(day, 'u.begun') LIMIT 1);
        DROP TABLE u.begun;
    END LOOP;
END $$;

-- Events of other days land in the default partition, and are moved from there: whole,
-- without firing triggers, into partitions with their indexes, triggers and constraints.
CALL u.make('moved');
ALTER TABLE u.moved ADD COLUMN "day of" date GENERATED ALWAYS AS ((event_timestamp AT TIME ZONE 'UTC')::date) STORED;
ALTER TABLE u.moved ADD COLUMN gone int;
ALTER TABLE u.moved DROP COLUMN gone;
ALTER TABLE u.moved ADD COLUMN note text DEFAULT 'none' CHECK (note <> '');
ALTER TABLE u.moved ALTER data SET STORAGE EXTERNAL;
CREATE INDEX ON u.moved USING gin (data jsonb_path_ops);
CREATE UNIQUE INDEX ON u.moved (event_timestamp, (data->>'id'));
CREATE FUNCTION u.shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% on %', TG_OP, TG_TABLE_NAME;
    RETURN NULL;
END $$;
INSERT INTO u.moved (event_timestamp, data, note)
SELECT t, jsonb_build_object('id', n), CASE n WHEN 3 THEN 'three' ELSE 'none' END
FROM unnest(ARRAY['2026-11-26 00:00+00', '2026-11-26 23:59:59.999999+00', '2026-11-28 12:00+00',
    '2026-11-25 23:59:59.999999+00', '2026-11-01 12:00+00', '2026-11-01 13:00+00', '1999-12-31 23:59+00',
    '1970-01-01 00:00+00', '1969-12-31 23:59+00', '2026-12-25 12:00+00', '2099-01-01 00:00+00',
    'infinity']::timestamptz[]) WITH ORDINALITY AS e(t, n);
CREATE TRIGGER shout AFTER INSERT OR DELETE OR UPDATE ON u.moved FOR EACH ROW EXECUTE FUNCTION u.shout();
CREATE TABLE u.before AS TABLE u.moved;
SELECT action, partition, from_time, rows FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.moved');
SELECT tableoid::regclass, event_timestamp, data, "day of", note FROM u.moved ORDER BY event_timestamp;
SELECT count(*) AS lost FROM (TABLE u.before EXCEPT ALL TABLE u.moved) AS l;
SELECT count(*) AS new FROM (TABLE u.moved EXCEPT ALL TABLE u.before) AS n;
\d u.moved_20261126
INSERT INTO u.moved VALUES ('2026-11-27 12:00+00', '{}');
-- Its day has come near.
SELECT action, partition, rows FROM windtrap.upkeep('2026-12-20 12:00+00', 'u.moved') WHERE rows > 0;
-- Rows that are referenced can be moved, and still are.
CALL u.make('referenced');
ALTER TABLE u.referenced ADD PRIMARY KEY (event_timestamp);
CREATE TABLE u.refers (t timestamptz REFERENCES u.referenced ON DELETE CASCADE);
INSERT INTO u.referenced VALUES ('2026-11-20 12:00+00', '{}');
INSERT INTO u.refers VALUES ('2026-11-20 12:00+00');
SELECT action, partition, rows FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.referenced') WHERE rows > 0;
TABLE u.refers;
DELETE FROM u.referenced;
TABLE u.refers;

-- Partitions of other spans are left as they are; gaps beside them are filled.
CALL u.make('foreign');
CREATE TABLE u.december PARTITION OF u.foreign FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
CREATE TABLE u.early PARTITION OF u.foreign FOR VALUES FROM ('2026-11-26 06:00+00') TO ('2026-11-26 07:30:00.000001+00');
CREATE TABLE u.local PARTITION OF u.foreign FOR VALUES FROM ('2026-11-27 23:00+00') TO ('2026-11-28 23:00+00');
CREATE TABLE u.foreign_20261127 ();
INSERT INTO u.foreign VALUES ('2026-11-26 07:30:00.000001+00', '{}'), ('2026-11-26 05:59:59.999999+00', '{}'), ('2026-11-26 06:00+00', '{}');
SELECT action, partition, from_time, to_time, rows FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.foreign');
SELECT count(*) FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.foreign');
CREATE TABLE u.ever PARTITION OF u.foreign FOR VALUES FROM ('2027-02-01') TO (MAXVALUE);
CREATE TABLE u.never PARTITION OF u.foreign FOR VALUES FROM (MINVALUE) TO ('2026-11-01');
SELECT count(*) FROM windtrap.upkeep('2027-03-01 12:00+00', 'u.foreign');
SELECT count(*) FROM windtrap.upkeep('2026-10-01 12:00+00', 'u.foreign');

-- Without a default partition, and with one that is partitioned itself.
CALL u.make('nodefault', false);
SELECT count(*) FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.nodefault');
CALL u.make('sub', false);
CREATE TABLE u.default_sub PARTITION OF u.sub DEFAULT PARTITION BY LIST (status);
CREATE TABLE u.default_sub_0 PARTITION OF u.default_sub DEFAULT;
INSERT INTO u.sub VALUES ('2020-01-01', '{}');
SELECT count(*) FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.sub');

-- Long names, and names that need quotes.
CALL u.make('A "log" whose name is so long that a date does not fit behind');
CALL u.make('A "log" whose name is so long that a date does not fit behind i');
SELECT partition FROM windtrap.upkeep('2026-11-26 12:00+00', 'u."A ""log"" whose name is so long that a date does not fit behind"') LIMIT 1;
SELECT partition FROM windtrap.upkeep('2026-11-26 12:00+00', 'u."A ""log"" whose name is so long that a date does not fit behind i"') LIMIT 1;

-- Tables that are left alone.
CREATE TABLE u.plain (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL DEFAULT 0);
INSERT INTO u.plain VALUES ('2000-01-01', '{}');
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.plain');
CREATE TABLE u.by_list (LIKE u.plain) PARTITION BY LIST (status);
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.by_list');
CREATE TABLE u.by_two (LIKE u.plain) PARTITION BY RANGE (event_timestamp, status);
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.by_two');
CREATE TABLE u.by_other (LIKE u.plain, other timestamptz) PARTITION BY RANGE (other);
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.by_other');
CREATE TABLE u.by_expression (LIKE u.plain) PARTITION BY RANGE (timezone('UTC', event_timestamp));
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.by_expression');
CREATE VIEW u.a_view AS TABLE u.plain;
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.a_view');

-- What it does not take.
SELECT * FROM windtrap.upkeep('infinity', 'u.log');
SELECT * FROM windtrap.upkeep('1969-12-31', 'u.log');
SELECT * FROM windtrap.upkeep('2026-11-26', 'u.absent');
SELECT * FROM windtrap.upkeep('2026-11-26', 'a.b.c');

-- windtrap.retention: what it may be.
ALTER SYSTEM SET windtrap.retention = '90';
ALTER SYSTEM SET windtrap.retention = '24:00';
ALTER SYSTEM SET windtrap.retention = '0 days';
ALTER SYSTEM SET windtrap.retention = '-1 days';
ALTER SYSTEM SET windtrap.retention = '1 month -1 day';
ALTER SYSTEM SET windtrap.retention = '23 hours';
ALTER SYSTEM SET windtrap.retention = '1 fortnight';
ALTER SYSTEM SET windtrap.retention = '5000000000 years';
ALTER SYSTEM SET windtrap.retention = '1001 years';
ALTER SYSTEM SET windtrap.retention = 'for ever';
ALTER SYSTEM SET windtrap.retention = 'infinity';
ALTER SYSTEM SET windtrap.retention = '10 days ago';
-- (Since 17 the bounds in the message have units.)
\set VERBOSITY sqlstate
ALTER SYSTEM SET windtrap.retention_size = '-1';
\set VERBOSITY default
ALTER SYSTEM SET windtrap.retention = 'P1Y2M';
ALTER SYSTEM SET windtrap.retention = '@ 1 year 2 mons';
ALTER SYSTEM SET windtrap.retention = '36 hours';
ALTER SYSTEM SET windtrap.retention = '1 month';
SELECT pg_reload_conf();
SELECT pg_sleep(1);
SHOW windtrap.retention;

-- A month, by the calendar in UTC: of its first day everything is kept.
CALL u.make('kept');
DO $$
BEGIN
    FOR day IN 0 .. 62 LOOP
        PERFORM windtrap.upkeep('2026-02-01 12:00+00'::timestamptz + day * interval '24 hours', 'u.kept');
    END LOOP;
END $$;
SELECT min(relname), max(relname), count(*) FROM pg_class WHERE relispartition AND relname LIKE 'kept_2%';
INSERT INTO u.kept SELECT '2026-04-01 00:00+00'::timestamptz, '{}' FROM generate_series(1, 100);
ANALYZE u.kept;
SET TimeZone = 'Pacific/Kiritimati';
SELECT action, partition, from_time AT TIME ZONE 'UTC' AS from_time, rows, bytes > 0 AS size FROM windtrap.upkeep('2026-05-02 00:00+00', 'u.kept') WHERE action = 'dropped' ORDER BY from_time DESC LIMIT 2;
SET TimeZone = 'UTC';
-- Events in the default partition: those of kept days are moved, older ones deleted, future ones stay.
INSERT INTO u.kept SELECT t, '{}' FROM unnest(ARRAY['2026-04-15 00:00+00', '2026-04-01 23:59:59+00', '2026-04-01 23:59:59+00', '1960-01-01', '-infinity', '4713-01-01 00:00+00 BC', '2030-01-01']::timestamptz[]) AS t;
SELECT action, partition, from_time, to_time, rows FROM windtrap.upkeep('2026-05-02 00:00+00', 'u.kept');
SELECT tableoid::regclass, event_timestamp FROM u.kept ORDER BY 2;
-- The owner's triggers see what is deleted.
CREATE TRIGGER shout AFTER DELETE ON u.kept FOR EACH ROW EXECUTE FUNCTION u.shout();
INSERT INTO u.kept VALUES ('2000-01-01', '{}');
SELECT action, rows FROM windtrap.upkeep('2026-05-02 00:00+00', 'u.kept');
-- At the end of a month, where the month before had fewer days.
CALL u.make('ends');
DO $$
BEGIN
    FOR day IN 0 .. 4 LOOP
        PERFORM windtrap.upkeep('2028-02-27 12:00+00'::timestamptz + day * interval '24 hours', 'u.ends');
        INSERT INTO u.ends VALUES ('2028-02-27 12:00+00'::timestamptz + day * interval '24 hours', '{}');
    END LOOP;
END $$;
SET TimeZone = 'America/Sao_Paulo';
SELECT day, (SELECT string_agg(partition, ' ') FROM windtrap.upkeep(day AT TIME ZONE 'UTC', 'u.ends', force => true) WHERE action = 'dropped') AS dropped
FROM (VALUES (timestamp '2028-03-28 23:59:59'), ('2028-03-29 00:00'), ('2028-03-30 00:00'), ('2028-03-31 23:59:59'), ('2028-04-01 00:00')) AS d (day);
SET TimeZone = 'UTC';
-- Partitions of other spans become old too, in whole; an open end never does.
SELECT partition FROM windtrap.upkeep('2026-12-28 12:00+00', 'u.foreign', force => true) WHERE action = 'dropped';
SELECT count(*) FROM windtrap.upkeep('2028-12-10 12:00+00', 'u.foreign') WHERE action = 'dropped';
SELECT relid FROM pg_partition_tree('u.foreign');
-- What cannot be dropped does not vanish quietly.
CREATE VIEW u.needs AS TABLE u.log_20261201;
SELECT count(*) FROM windtrap.upkeep('2027-03-01', 'u.log');
DROP VIEW u.needs;
-- A reference to the table does not keep its partitions; one to an event in them does.
SET lc_messages = 'C';
CALL u.make('cited');
ALTER TABLE u.cited ADD PRIMARY KEY (event_timestamp);
CREATE TABLE u.cites (t timestamptz REFERENCES u.cited);
CREATE TABLE u.cited_a PARTITION OF u.cited FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-02 00:00+00');
CREATE TABLE u.cited_b PARTITION OF u.cited FOR VALUES FROM ('2026-01-02 00:00+00') TO ('2026-01-03 00:00+00');
INSERT INTO u.cited VALUES ('2026-01-01 12:00+00', '{}');
INSERT INTO u.cites VALUES ('2026-01-01 12:00+00');
-- (Its constraint has another name since 18.)
SET client_min_messages = error;
SELECT action, partition, from_time, rows, regexp_replace(error, 'fkey_?\d', 'fkey') AS error FROM windtrap.upkeep('2026-11-26', 'u.cited') WHERE action <> 'created';
RESET client_min_messages;
-- Of the partitions that hold data a quarter goes at once, or two; with force all.
CALL u.make('many');
DO $$
BEGIN
    FOR day IN 1 .. 12 LOOP
        EXECUTE format('CREATE TABLE u.many_%s PARTITION OF u.many FOR VALUES FROM (%L) TO (%L)',
            day, '2026-01-01 00:00+00'::timestamptz + day * interval '24 hours', '2026-01-02 00:00+00'::timestamptz + day * interval '24 hours');
        INSERT INTO u.many VALUES ('2026-01-01 12:00+00'::timestamptz + day * interval '24 hours', '{}');
    END LOOP;
END $$;
SELECT partition FROM windtrap.upkeep('2036-01-01', 'u.many') WHERE action = 'dropped';
SELECT count(*) FROM windtrap.upkeep('2036-01-01', 'u.many') WHERE action = 'dropped';
SELECT count(*) FROM windtrap.upkeep('2036-01-01', 'u.many', force => true) WHERE action = 'dropped';
-- So does a quarter of the rows of the default partition, or a thousand.
CALL u.make('scattered');
INSERT INTO u.scattered SELECT '2026-01-01 12:00+00', jsonb_build_object('n', n, 'x', repeat('x', 1900)) FROM generate_series(1, 6000) n;
INSERT INTO u.scattered VALUES ('2099-01-01', '{}');
SELECT action, rows FROM windtrap.upkeep('2036-01-01', 'u.scattered') WHERE action <> 'created';
SELECT action, rows FROM windtrap.upkeep('2036-01-01', 'u.scattered') WHERE action <> 'created';
SELECT count(DISTINCT data->'n') AS left_of_6000 FROM u.scattered;
SELECT action, count(*), sum(rows) FROM windtrap.upkeep('2036-01-01', 'u.scattered', force => true) GROUP BY 1;
SELECT event_timestamp FROM u.scattered;
-- Those that cannot be dropped do not keep the others: these go in their place.
CALL u.make('stuck');
DO $$
BEGIN
    FOR day IN 1 .. 8 LOOP
        EXECUTE format('CREATE TABLE u.stuck_%s PARTITION OF u.stuck FOR VALUES FROM (%L) TO (%L)',
            day, '2026-01-01 00:00+00'::timestamptz + day * interval '24 hours', '2026-01-02 00:00+00'::timestamptz + day * interval '24 hours');
        INSERT INTO u.stuck VALUES ('2026-01-01 12:00+00'::timestamptz + day * interval '24 hours', '{}');
    END LOOP;
END $$;
CREATE VIEW u.needs AS SELECT FROM u.stuck_1, u.stuck_2, u.stuck_3;
SELECT action, partition FROM windtrap.upkeep('2036-01-01', 'u.stuck') WHERE action <> 'created';
SELECT action, partition FROM windtrap.upkeep('2036-01-01', 'u.stuck') WHERE action = 'dropped';
DROP VIEW u.needs;
-- A publication of deletes asks for a replica identity only where there is a row to move.
CALL u.make('published');
ALTER TABLE u.published ADD COLUMN n int NOT NULL DEFAULT 0, ADD UNIQUE (event_timestamp, n);
SET client_min_messages = error;
CREATE PUBLICATION upkeep_publication FOR TABLE u.published;
RESET client_min_messages;
INSERT INTO u.published VALUES ('2026-11-27 12:00+00', '{}');
SELECT action, count(*), min(error) FROM windtrap.upkeep('2026-11-26', 'u.published') GROUP BY 1 ORDER BY 1;
ALTER TABLE u.default_published REPLICA IDENTITY FULL;
-- What is made has the identity of the table.
ALTER TABLE u.published REPLICA IDENTITY USING INDEX published_event_timestamp_n_key;
SELECT action, partition, rows FROM windtrap.upkeep('2026-11-26', 'u.published');
SELECT c.relreplident, i.indexrelid::regclass FROM pg_class c
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident WHERE c.oid = 'u.published_20261127'::regclass;
ALTER TABLE u.published REPLICA IDENTITY FULL;
SELECT count(*) FROM windtrap.upkeep('2026-11-27', 'u.published');
SELECT relreplident FROM pg_class WHERE oid = 'u.published_20261204'::regclass;
DROP PUBLICATION upkeep_publication;
-- A partition that is partitioned itself goes as a whole.
CREATE TABLE u.sub_old PARTITION OF u.sub FOR VALUES FROM ('2025-01-01') TO ('2025-02-01') PARTITION BY LIST (status);
CREATE TABLE u.sub_old_0 PARTITION OF u.sub_old DEFAULT;
INSERT INTO u.sub VALUES ('2025-01-15', '{}');
SELECT partition, bytes > 0 AS size FROM windtrap.upkeep('2026-11-26', 'u.sub');
SELECT count(*) FROM windtrap.upkeep('2026-11-26', 'u.plain');
TABLE u.plain;

-- windtrap.retention_size: the oldest go, but nothing of today and later.
ALTER SYSTEM RESET windtrap.retention;
ALTER SYSTEM SET windtrap.retention_size = '2MB';
SELECT pg_reload_conf();
SELECT pg_sleep(1);
SHOW windtrap.retention_size;
CALL u.make('big');
ALTER TABLE u.big ALTER data SET STORAGE EXTERNAL;
DO $$
BEGIN
    FOR day IN 0 .. 6 LOOP
        PERFORM windtrap.upkeep('2026-11-20 12:00+00'::timestamptz + day * interval '24 hours', 'u.big');
        INSERT INTO u.big SELECT '2026-11-20 12:00+00'::timestamptz + day * interval '24 hours', jsonb_build_object('x', repeat('x', 300000))
        FROM generate_series(1, 2);
    END LOOP;
END $$;
SELECT tableoid::regclass, count(*) FROM u.big GROUP BY 1 ORDER BY 1;
SELECT action, partition, bytes > 600000 AS size FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.big');
SELECT action, partition FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.big');
-- Today's alone are too much, and stay; tomorrow they go.
INSERT INTO u.big SELECT '2026-11-26 13:00+00', jsonb_build_object('x', repeat('x', 300000)) FROM generate_series(1, 10);
SELECT action, partition FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.big');
SELECT action, partition FROM windtrap.upkeep('2026-11-26 12:00+00', 'u.big');
SELECT action, partition FROM windtrap.upkeep('2026-11-27 12:00+00', 'u.big');

-- Who may: the owner, if he has EXECUTE; what is made is the owner's, whoever calls.
ALTER SYSTEM RESET windtrap.retention_size;
ALTER SYSTEM SET windtrap.retention = '1 month';
SELECT pg_reload_conf();
SELECT pg_sleep(1);
CREATE ROLE regress_upkeep_owner;
CREATE ROLE regress_upkeep_other;
GRANT USAGE, CREATE ON SCHEMA u TO regress_upkeep_owner, regress_upkeep_other;
CALL u.make('owned');
ALTER TABLE u.owned OWNER TO regress_upkeep_owner;
ALTER TABLE u.default_owned OWNER TO regress_upkeep_owner;
SET ROLE regress_upkeep_owner;
SELECT count(*) FROM windtrap.upkeep('2026-11-26', 'u.owned');
RESET ROLE;
GRANT EXECUTE ON FUNCTION windtrap.upkeep TO regress_upkeep_owner, regress_upkeep_other;
SET ROLE regress_upkeep_other;
SELECT count(*) FROM windtrap.upkeep('2026-11-26', 'u.owned');
SET ROLE regress_upkeep_owner;
SELECT count(*) FROM windtrap.upkeep('2026-11-26', 'u.owned');
RESET ROLE;
SELECT action, count(*) FROM windtrap.upkeep('2027-01-26', 'u.owned') GROUP BY 1;
SELECT relowner::regrole, count(*) FROM pg_class WHERE oid IN (SELECT relid FROM pg_partition_tree('u.owned')) GROUP BY 1;
-- What the owner has put into the table does not gain a superuser's rights.
CREATE FUNCTION u.who() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% by %', TG_OP, current_user;
    RETURN NULL;
END $$;
CREATE TRIGGER who AFTER DELETE ON u.owned FOR EACH ROW EXECUTE FUNCTION u.who();
CREATE CONSTRAINT TRIGGER who_late AFTER DELETE ON u.default_owned DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION u.who();
INSERT INTO u.owned VALUES ('2000-01-01', '{}');
SELECT action, rows FROM windtrap.upkeep('2027-01-26', 'u.owned');
SELECT current_user = session_user AS same, current_setting('search_path') AS search_path, current_setting('session_replication_role') AS role, current_setting('lock_timeout') AS lock_timeout;

ALTER SYSTEM RESET windtrap.retention;
SELECT pg_reload_conf();
SET client_min_messages = warning;
DROP SCHEMA u CASCADE;
DROP OWNED BY regress_upkeep_owner, regress_upkeep_other;
DROP ROLE regress_upkeep_owner, regress_upkeep_other;
