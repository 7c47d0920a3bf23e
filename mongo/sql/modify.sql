-- UPDATE, DELETE and TRUNCATE.

SET client_min_messages = warning;
\getenv port WT_MONGO_PORT
CREATE EXTENSION IF NOT EXISTS windtrap_mongo;
CREATE SERVER IF NOT EXISTS mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port :'port');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER mongo;
RESET client_min_messages;
SET timezone = 'UTC';

CREATE FOREIGN TABLE m (_id text, n int, t text, j jsonb, at timestamptz) SERVER mongo OPTIONS (database 'modify', collection 'm');
CREATE FOREIGN TABLE m_doc (_id text, n int, __doc jsonb) SERVER mongo OPTIONS (database 'modify', collection 'm');
TRUNCATE m;
INSERT INTO m SELECT 'i' || i, i, 'text', '{"a": {"b": 1}}', '2026-01-01' FROM generate_series(1, 5) i;
-- Members that the table does not name stay.
INSERT INTO m_doc VALUES ('more', 6, '{"other": [1, 2], "t": "x"}');
-- An ObjectId is found by its digits.
INSERT INTO m_doc (__doc) VALUES ('{"_id": {"$oid": "64f000000000000000000001"}, "n": 7}');

UPDATE m SET n = n + 10, t = NULL WHERE n >= 4 RETURNING *;
UPDATE m SET j = jsonb_set(j, '{a,b}', '{"$x": 2, "c.d": 3}') WHERE _id = 'i1';
UPDATE m SET t = 'none' WHERE _id = 'nobody';
SELECT _id, n, __doc FROM m_doc ORDER BY n;

-- The whole document; its _id stays.
UPDATE m_doc SET __doc = '{"new": true, "n": 1}' WHERE _id = 'i2';
UPDATE m_doc SET __doc = __doc || '{"added": 1}', n = 99 WHERE _id IN ('more', '64f000000000000000000001') RETURNING n;
UPDATE m_doc SET __doc = '{"_id": "changed"}' WHERE _id = 'i3';
UPDATE m_doc SET __doc = NULL WHERE _id = 'i3';
SELECT __doc FROM m_doc WHERE _id IN ('i2', 'i3', 'more', '64f000000000000000000001') ORDER BY _id COLLATE "C";

-- From a join.
CREATE TABLE l AS SELECT 'i' || i AS id, i * 100 AS n FROM generate_series(1, 3) i;
UPDATE m SET n = l.n FROM l WHERE l.id = m._id;
SELECT _id, n FROM m WHERE n >= 100 ORDER BY n;
DELETE FROM m USING l WHERE l.id = m._id AND l.n > 100;
DELETE FROM m WHERE n = 99 RETURNING _id, n, j, at;
SELECT _id, n FROM m ORDER BY n;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE m SET n = 1 WHERE _id = 'i1';
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM m WHERE n > 3;

-- What cannot be.
UPDATE m SET _id = 'else' WHERE _id = 'i1';
CREATE FOREIGN TABLE no_id (n int) SERVER mongo OPTIONS (database 'modify', collection 'm');
UPDATE no_id SET n = 1;
DELETE FROM no_id;
SELECT is_updatable FROM information_schema.tables t, LATERAL (SELECT pg_relation_is_updatable(t.table_name::regclass, false) AS is_updatable) x
	WHERE table_name IN ('m', 'no_id') ORDER BY table_name;
CREATE FOREIGN TABLE dotted (_id text, "a.b" int, "$c" int) SERVER mongo OPTIONS (database 'modify', collection 'dotted');
TRUNCATE dotted;
INSERT INTO dotted VALUES ('x', 1, 2);
SELECT * FROM dotted WHERE "a.b" = 1;
UPDATE dotted SET "a.b" = 2;
CREATE FOREIGN TABLE bad (_id text, __doc text) SERVER mongo;
SELECT * FROM bad;

-- Keys of other types: numbers, uuid, timestamps.
CREATE FOREIGN TABLE k (_id numeric, v text) SERVER mongo OPTIONS (database 'modify', collection 'k');
TRUNCATE k;
INSERT INTO k VALUES (1, 'a'), (0.1, 'b'), (0.12345678901234567890, 'c'), (1e20, 'd');
UPDATE k SET v = v || v;
SELECT * FROM k ORDER BY v;
DELETE FROM k WHERE _id < 1;
SELECT count(*) FROM k;
CREATE FOREIGN TABLE kt (_id timestamptz, v text) SERVER mongo OPTIONS (database 'modify', collection 'kt');
TRUNCATE kt;
INSERT INTO kt VALUES ('2026-01-01 00:00:00.0015+00', 'a') RETURNING *;
UPDATE kt SET v = 'b' RETURNING *;
DELETE FROM kt;
SELECT count(*) FROM kt;

-- Triggers of the table's, views, and a rollback, which MongoDB does not hear of.
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.t := upper(NEW.t); RETURN NEW; END';
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON m FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO m (_id, t) VALUES ('t1', 'a'), ('t2', 'b');
UPDATE m SET n = 1 WHERE _id = 't1';
UPDATE m SET t = 'c' WHERE _id = 't2';
CREATE VIEW mv AS SELECT * FROM m WHERE n IS NULL WITH CHECK OPTION;
INSERT INTO mv (_id, n) VALUES ('t3', 5);
INSERT INTO mv (_id, t) VALUES ('t4', 'd');
SELECT _id, n, t FROM m WHERE _id LIKE 't%' ORDER BY 1;
BEGIN;
DELETE FROM m;
ROLLBACK;
SELECT count(*) FROM m;

INSERT INTO m (_id) VALUES ('a'), ('b');
TRUNCATE m, k;
SELECT (SELECT count(*) FROM m), (SELECT count(*) FROM k);

DROP VIEW mv;
DROP FOREIGN TABLE m, m_doc, no_id, dotted, bad, k, kt;
DROP TABLE l;
DROP FUNCTION shout;
