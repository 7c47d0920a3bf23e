-- INSERT: one by one, in batches, from SELECT and COPY; _id given and not; duplicates; the
-- document as a whole; documents that MongoDB cannot take.

SET client_min_messages = warning;
\getenv port WT_MONGO_PORT
CREATE EXTENSION IF NOT EXISTS windtrap_mongo;
CREATE SERVER IF NOT EXISTS mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port :'port');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER mongo;
RESET client_min_messages;
SET timezone = 'UTC';

CREATE FOREIGN TABLE plain (_id text, event_timestamp timestamptz, data jsonb, status int)
	SERVER mongo OPTIONS (database 'insert', collection 'plain');
CREATE FOREIGN TABLE plain_doc (__doc jsonb, _id text)
	SERVER mongo OPTIONS (database 'insert', collection 'plain');
TRUNCATE plain;

INSERT INTO plain VALUES ('a', '2026-01-31 12:00:00.123+00', '{"app": "shop", "n": 1700000000000}', 0);
INSERT INTO plain VALUES ('b', NULL, NULL, NULL), ('c', '1969-12-31 23:59:59.9999+00', '[1, null]', 2);
SELECT * FROM plain ORDER BY _id COLLATE "C";
-- A null is no member.
SELECT __doc FROM plain_doc ORDER BY _id COLLATE "C";

-- Without an _id it gets an ObjectId.
INSERT INTO plain (status) VALUES (5) RETURNING _id ~ '^[0-9a-f]{24}$' AS is_oid, status;
SELECT _id ~ '^[0-9a-f]{24}$' AS is_oid, __doc->'_id'->>'$oid' = _id AS same FROM plain_doc WHERE __doc @> '{"status": 5}';
TRUNCATE plain;

-- From SELECT in batches, whatever their size.
INSERT INTO plain SELECT 'e' || i, '2026-01-01'::timestamptz + i * interval '1 s', jsonb_build_object('i', i), i % 3
	FROM generate_series(1, 2500) i;
SELECT count(*), count(DISTINCT _id), sum((data->>'i')::int), sum(status) FROM plain;
TRUNCATE plain;
SELECT count(*) FROM plain;

-- COPY.
COPY plain FROM stdin WITH (FORMAT csv);
c1,2026-01-01 00:00:00+00,"{""a"": 1}",0
c2,2026-01-01 00:00:00+00,"{""a"": 2}",1
c3,,,
\.
SELECT * FROM plain ORDER BY _id COLLATE "C";

-- Duplicates: an error by default, though not before what is no duplicate has been stored.
INSERT INTO plain (_id, status) VALUES ('d1', 1), ('c1', 7), ('d2', 2);
SELECT _id, status FROM plain ORDER BY _id COLLATE "C";
INSERT INTO plain (_id, status) VALUES ('d2', 8), ('d3', 3) ON CONFLICT DO NOTHING RETURNING _id;
INSERT INTO plain (_id, status) VALUES ('d3', 8), ('d4', 3) ON CONFLICT DO NOTHING;
INSERT INTO plain (_id, status) VALUES ('d3', 8) ON CONFLICT (_id) DO UPDATE SET status = 1;
-- or ignored, and not counted.
ALTER FOREIGN TABLE plain OPTIONS (ADD on_duplicate 'ignore');
INSERT INTO plain (_id, status) SELECT 'd' || i, 9 FROM generate_series(3, 6) i;
INSERT INTO plain (_id, status) VALUES ('d6', 1), ('d7', 1) RETURNING _id;
COPY plain (_id, status) FROM stdin;
d7	3
d8	3
\.
SELECT _id, status FROM plain WHERE _id LIKE 'd%' ORDER BY _id COLLATE "C";

-- The whole document; columns that are given win over its members.
TRUNCATE plain;
INSERT INTO plain_doc (_id, __doc) VALUES ('w1', '{"event_timestamp": {"$date": "2026-01-31T12:00:00.5Z"}, "status": 1}'),
	('w2', '{"event_timestamp": {"$date": "2026-01-31T12:00:00.500Z"}, "status": 2, "_id": "other"}');
INSERT INTO plain_doc (__doc) VALUES ('{"_id": "w3", "status": 3, "data": {"x": {"": 1, "a.b": 2, "$c": 3}}}');
SELECT __doc FROM plain_doc ORDER BY _id COLLATE "C";
SELECT status, event_timestamp FROM plain WHERE _id = 'w2';
INSERT INTO plain_doc (__doc) VALUES ('[1]');
CREATE FOREIGN TABLE merged (_id text, status int, __doc jsonb) SERVER mongo OPTIONS (database 'insert', collection 'plain');
INSERT INTO merged VALUES ('x', 5, '{"status": 1, "more": true}'), ('y', NULL, '{"status": 1}');
SELECT __doc FROM merged WHERE _id IN ('x', 'y') ORDER BY status;

-- Too large, too deep: an error that says which, before anything of its batch is sent.
INSERT INTO plain (_id, data) SELECT 'big', to_jsonb(repeat('x', 17000000));
INSERT INTO plain (_id, data) VALUES ('deep', (repeat('[', 101) || repeat(']', 101))::jsonb);
INSERT INTO plain (_id, data) VALUES ('deep', (repeat('[', 99) || repeat(']', 99))::jsonb);
SELECT length(data::text) FROM plain WHERE _id = 'deep';
-- Chunks are bounded by bytes: 60 MB in one batch.
TRUNCATE plain;
INSERT INTO plain (_id, data) SELECT 'l' || i, to_jsonb(repeat('x', 6000000)) FROM generate_series(1, 10) i;
SELECT count(*), sum(length(data::text)) FROM plain;
TRUNCATE plain;

-- How it is shown.
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO plain (_id) VALUES ('a'), ('b');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO plain (_id) VALUES ('a') RETURNING _id;
ALTER FOREIGN TABLE plain OPTIONS (ADD batch_size '7');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO plain (_id) VALUES ('a');
INSERT INTO plain (_id) SELECT 'z' || i FROM generate_series(1, 20) i;
SELECT count(*) FROM plain;
TRUNCATE plain;

-- Partitions and what is routed into them.
CREATE TABLE routed (_id text, status int) PARTITION BY LIST (status);
CREATE TABLE routed_0 PARTITION OF routed FOR VALUES IN (0);
CREATE FOREIGN TABLE routed_1 PARTITION OF routed FOR VALUES IN (1)
	SERVER mongo OPTIONS (database 'insert', collection 'plain');
INSERT INTO routed SELECT 'r' || i, i % 2 FROM generate_series(1, 10) i;
COPY routed FROM stdin;
s1	1
s2	0
\.
SELECT tableoid::regclass, count(*) FROM routed GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM plain;

DROP TABLE routed;
DROP FOREIGN TABLE plain, plain_doc, merged;
