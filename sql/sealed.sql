-- Sealed partitions: made and undone by hand, what they keep, what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS windtrap;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
CREATE SCHEMA s;
CREATE ROLE regress_sealed_owner;
CREATE ROLE regress_sealed_reader;
GRANT ALL ON SCHEMA s TO regress_sealed_owner;
GRANT USAGE ON SCHEMA windtrap TO regress_sealed_owner;
GRANT EXECUTE ON FUNCTION windtrap.seal, windtrap.unseal, windtrap.erase TO regress_sealed_owner;

-- Its owner's, who is nobody else; with columns of his own.
SET ROLE regress_sealed_owner;
CREATE TABLE s.log (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int DEFAULT 0,
    tag text COLLATE "C" CHECK (tag <> ''), seen timestamptz, n numeric(8, 2), flags bit(3)[]) PARTITION BY RANGE (event_timestamp);
CREATE INDEX ON s.log USING brin (event_timestamp);
CREATE TABLE s.log_default PARTITION OF s.log DEFAULT;
CREATE TABLE s.log_20260301 PARTITION OF s.log FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-03-02 00:00+00');
COMMENT ON TABLE s.log_20260301 IS 'the first of March';
COMMENT ON COLUMN s.log_20260301.tag IS 'what it says';
GRANT SELECT ON s.log_20260301 TO regress_sealed_reader WITH GRANT OPTION;
GRANT UPDATE (status) ON s.log_20260301 TO regress_sealed_reader;
ALTER TABLE s.log_20260301 ALTER data SET STATISTICS 7, ALTER tag SET DEFAULT 'none', ADD CONSTRAINT tagged CHECK (tag <> 'x');
INSERT INTO s.log SELECT '2026-03-01 00:00+00'::timestamptz + i * interval '1 min', d::jsonb, nullif(i, 3), nullif('tag ' || i % 2, 'tag 0'),
    CASE WHEN i % 3 = 0 THEN 'infinity'::timestamptz ELSE '2026-01-01 12:00:00.000001+00' END, i / 3.0, ARRAY[i::bit(3), NULL]
FROM unnest(ARRAY['"a string"', '12.500', '-0.00', '1e40', '123456789012345678901234567890.1234567890', 'null', 'true', '[]', '{}', '[1.0, [2, {"b": null}]]',
    '{"": {"": {"": 1}}}', '{"a": 1, "b": {"a": 1, "c": {}}, "aa": [], "A": "A"}', '{"a": "1", "b": [1], "aa": {"x": "\u00e4\n\"\\"}}',
    '{"a": 1e-20, "uuid": "0190c2c6-5e8b-7cc1-a5dd-0123456789ab", "hex": "00ff", "HEX": "00FF", "t": "2026-03-01T00:00:00.000Z"}']) WITH ORDINALITY AS x(d, i);
-- Deeper than columns go, longer than they are, and with more members than there are columns.
INSERT INTO s.log SELECT '2026-03-01 01:00+00', (repeat('{"k": ', 60) || '1.0' || repeat('}', 60))::jsonb, 1;
INSERT INTO s.log SELECT '2026-03-01 01:00+00', jsonb_build_object('long', repeat('0123456789', 100000)), 2;
INSERT INTO s.log SELECT '2026-03-01 01:00+00', jsonb_object_agg('k' || i, i), 3 FROM generate_series(1, 3000) i;
CREATE TABLE s.kept AS SELECT * FROM s.log;

SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'SQL, DMY';
SET extra_float_digits = 0;
SELECT windtrap.seal('s.log_20260301');
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SELECT count(*) FROM s.log;
SELECT count(*) FROM (SELECT * FROM s.log EXCEPT ALL SELECT * FROM s.kept) x;
SELECT count(*) FROM (SELECT event_timestamp, data::text, status, tag, seen, n::text, flags FROM s.kept
    EXCEPT ALL SELECT event_timestamp, data::text, status, tag, seen, n::text, flags FROM s.log) x;
SELECT count(*) AS late FROM s.log_20260301_late;
SELECT data, status, tag, seen, n, flags FROM s.log WHERE event_timestamp < '2026-03-01 01:00+00' ORDER BY event_timestamp;

-- What it looks like, and what it has kept.
SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) AS preset
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 's.log_20260301'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 's.log_20260301'::regclass AND contype = 'c' ORDER BY 1;
SELECT ftoptions[1:3], pg_get_expr(relpartbound, oid) FROM pg_foreign_table JOIN pg_class ON oid = ftrelid WHERE ftrelid = 's.log_20260301'::regclass;
\d s.log_20260301_sealed
\d s.log_20260301_late
SELECT relkind, obj_description(oid) AS comment, col_description(oid, 4) AS tag, replace(relacl::text, 'Dxtm', 'Dxt') AS relacl, relowner::regrole
FROM pg_class WHERE oid = 's.log_20260301'::regclass;
SELECT attname, attacl, coalesce(attstattarget, -1) >= 0 AS target FROM pg_attribute WHERE attrelid = 's.log_20260301'::regclass AND attnum > 0 AND (attacl IS NOT NULL OR attstattarget >= 0);
SELECT windtrap.seal('s.log_20260301');
DROP TABLE s.log_20260301_late;
DROP TABLE s.log_20260301;

-- Rows are changed, and then gone for good.
DELETE FROM s.log WHERE data = '12.500';
UPDATE s.log SET status = 100 WHERE data = 'null';
UPDATE s.log SET data = '"changed"' WHERE data = 'true';
SELECT chunk, part FROM s.log_20260301_sealed WHERE part < 0 ORDER BY 1, 2;
SELECT windtrap.erase('s.log_20260301');
SELECT chunk, part FROM s.log_20260301_sealed WHERE part < 0 ORDER BY 1, 2;
SELECT data, status FROM s.log WHERE data IN ('12.500', 'null', '"changed"', 'true') ORDER BY status;
SELECT count(*) FROM s.log_20260301_late;

-- Back.
SELECT windtrap.unseal('s.log_20260301');
\d s.log_20260301
SELECT count(*) FROM s.log;
SELECT relkind, obj_description(oid) AS comment, col_description(oid, 4) AS tag, replace(relacl::text, 'Dxtm', 'Dxt') AS relacl, relowner::regrole
FROM pg_class WHERE oid = 's.log_20260301'::regclass;
SELECT relname FROM pg_class WHERE relnamespace = 's'::regnamespace AND relkind IN ('r', 'f', 'p') ORDER BY 1;
SELECT windtrap.unseal('s.log_20260301');
SELECT windtrap.erase('s.log_20260301');

-- All or nothing: nothing of it stays where it is undone.
BEGIN;
SELECT windtrap.seal('s.log_20260301');
SELECT count(*) FROM s.log;
ROLLBACK;
SELECT relkind FROM pg_class WHERE oid = 's.log_20260301'::regclass;
SELECT relname FROM pg_class WHERE relnamespace = 's'::regnamespace AND relkind IN ('r', 'f', 'p') ORDER BY 1;

-- What is in the way.
CREATE FUNCTION s.reason() RETURNS text LANGUAGE sql AS $$ SELECT windtrap.unsealable('s.log_20260301') $$;
SELECT s.reason(), windtrap.unsealable('s.log_default') AS default_one, windtrap.unsealable('s.kept') AS no_partition;
ALTER TABLE s.log_20260301 SET UNLOGGED;
SELECT s.reason();
ALTER TABLE s.log_20260301 SET LOGGED;
ALTER TABLE s.log_20260301 ENABLE ROW LEVEL SECURITY;
SELECT s.reason();
ALTER TABLE s.log_20260301 DISABLE ROW LEVEL SECURITY;
CREATE RULE nothing AS ON DELETE TO s.log_20260301 DO ALSO NOTHING;
SELECT s.reason();
DROP RULE nothing ON s.log_20260301;
CREATE STATISTICS s.own ON status, n FROM s.log_20260301;
SELECT s.reason();
DROP STATISTICS s.own;
CREATE FUNCTION s.f(s.log_20260301) RETURNS int LANGUAGE sql RETURN 1;
SELECT s.reason();
DROP FUNCTION s.f;
CREATE UNIQUE INDEX own ON s.log_20260301 (event_timestamp, n);
SELECT s.reason();
DROP INDEX s.own;
CREATE TABLE s.tags (tag text COLLATE "C" PRIMARY KEY);
INSERT INTO s.tags VALUES ('tag 1');
ALTER TABLE s.log ADD CONSTRAINT known FOREIGN KEY (tag) REFERENCES s.tags;
SELECT s.reason();
ALTER TABLE s.log DROP CONSTRAINT known;
CREATE TYPE s.mood AS ENUM ('good', 'bad');
ALTER TABLE s.log ADD COLUMN mood s.mood;
SELECT s.reason();
SELECT windtrap.seal('s.log_20260301');
ALTER TABLE s.log DROP COLUMN mood;
ALTER TABLE s.log ADD COLUMN twice int GENERATED ALWAYS AS (status * 2) STORED;
SELECT s.reason();
ALTER TABLE s.log DROP COLUMN twice;
SELECT s.reason();
-- Triggers of the table, and row security, stay.
CREATE FUNCTION s.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tag := upper(NEW.tag); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON s.log FOR EACH ROW EXECUTE FUNCTION s.shout();
SELECT windtrap.seal('s.log_20260301');
INSERT INTO s.log VALUES ('2026-03-01 02:00+00', '{}', 0, 'quiet');
SELECT tag FROM s.log WHERE event_timestamp = '2026-03-01 02:00+00';
RESET ROLE;

-- Another owner's.
SET ROLE regress_sealed_reader;
SELECT windtrap.unseal('s.log_20260301');
RESET ROLE;
ALTER TABLE s.log_20260301_sealed OWNER TO regress_sealed_reader;
SELECT count(*) FROM s.log_20260301;
ALTER TABLE s.log_20260301_sealed OWNER TO regress_sealed_owner;

-- Renamed, and dropped.
ALTER TABLE s.log_20260301_sealed RENAME TO chunks;
ALTER TABLE s.log_20260301_late RENAME TO others;
SELECT count(*) FROM s.log_20260301;
DROP TABLE s.log;
SELECT relname FROM pg_class WHERE relnamespace = 's'::regnamespace AND relkind IN ('r', 'f', 'p') ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA s CASCADE;
DROP OWNED BY regress_sealed_owner, regress_sealed_reader;
DROP ROLE regress_sealed_owner, regress_sealed_reader;
