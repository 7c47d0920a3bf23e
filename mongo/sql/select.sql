-- SELECT: what MongoDB is asked for, and that it gives what PostgreSQL would have chosen.

SET client_min_messages = warning;
\getenv port WT_MONGO_PORT
CREATE EXTENSION IF NOT EXISTS windtrap_mongo;
CREATE SERVER IF NOT EXISTS mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port :'port');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER mongo;
RESET client_min_messages;
SET timezone = 'UTC';

-- Documents by the text that COPY has, so that they are of any kind.
CREATE FOREIGN TABLE docs (__doc jsonb) SERVER mongo OPTIONS (database 'select', collection 'all');
CREATE FOREIGN TABLE f (_id text, n int, big bigint, d float8, r float4, x numeric, t text, v varchar(20), b boolean,
	u uuid, day date, at timestamptz, local timestamp, j jsonb, tags text[])
	SERVER mongo OPTIONS (database 'select', collection 'all');
TRUNCATE f;
INSERT INTO f SELECT 'id' || i, i % 7 - 3, (i % 5) * 10000000000, i / 8.0, i / 10.0, i / 10.0, chr(96 + i % 26), 'v' || i % 4,
	i % 3 = 0, md5((i % 6)::text)::uuid, '2026-01-01'::date + i % 9, '2026-01-01'::timestamptz + i * interval '1.5 ms',
	'1969-12-31'::timestamp + i * interval '7 h', jsonb_build_object('i', i), ARRAY['a' || i % 3, NULL]
	FROM generate_series(1, 60) i;
-- Nulls, what is not there, the ends of the ranges, numbers of other kinds, ObjectIds.
INSERT INTO f (_id) VALUES ('none');
INSERT INTO docs VALUES
	('{"_id": "nulls", "n": null, "d": null, "t": null, "b": null, "at": null, "j": null, "tags": null}'),
	('{"_id": "nan", "d": {"$numberDouble": "NaN"}, "r": {"$numberDouble": "NaN"}, "x": {"$numberDouble": "NaN"}}'),
	('{"_id": "inf", "d": {"$numberDouble": "Infinity"}, "r": {"$numberDouble": "-Infinity"}, "x": {"$numberDouble": "Infinity"}}'),
	('{"_id": {"$oid": "64f000000000000000000001"}, "t": {"$oid": "64f000000000000000000002"}, "n": 5}'),
	('{"_id": "64f000000000000000000003", "t": "64f000000000000000000002", "x": 1234567890123456789012345678901234567890.5}'),
	('{"_id": "long", "x": 0.12345678901234567890123456789, "d": 9007199254740993, "big": 9223372036854775807}');
INSERT INTO f (_id, x, d, r) VALUES ('tenth', 0.1, 0.1, 0.1), ('Tenth', 1e60, 1e300, 1e30);
CREATE TABLE l AS SELECT * FROM f;

-- The same rows from both, and the condition was MongoDB's to evaluate: "yes", or "in part".
CREATE FUNCTION same(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
	n bigint;
	differ bigint;
BEGIN
	EXECUTE 'EXPLAIN (VERBOSE, FORMAT json) SELECT * FROM f WHERE ' || condition INTO plan;
	EXECUTE format('WITH a AS (SELECT f::text AS row FROM f WHERE %1$s), b AS (SELECT f::text AS row FROM l f WHERE %1$s)
		SELECT (SELECT count(*) FROM a), count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) x', condition)
		INTO n, differ;
	RETURN format('%s rows, %s, %s', n, CASE WHEN differ = 0 THEN 'same' ELSE 'NOT THE SAME' END,
		CASE WHEN plan->0->'Plan'->>'MongoDB Filter' = '{ }' THEN 'here'
			WHEN plan->0->'Plan'->>'Filter' IS NULL THEN 'in MongoDB' ELSE 'in MongoDB and here' END);
END $$;

SELECT c, same(c) FROM unnest(ARRAY[
	'n = 3', 'n < 0', 'n <= 0::bigint', '1 < n', 'n >= 1::smallint', 'n IN (1, 2, NULL)', 'n = ANY (''{}'')', 'n IS NULL', 'n IS NOT NULL', 'n <> 1', 'n NOT IN (1, 2)',
	'n = NULL', 'big > 10000000000', 'big = 9223372036854775807',
	'd = 0.125', 'd > 5', 'd >= 7.5', 'd < 0.5', 'd = ''NaN''', 'd > 1e299', 'd = ''Infinity''', 'd = 9007199254740992', 'd <= 0.1', 'd IN (0.125, 0.25)',
	'r = 0.1::float4', 'r > 5', 'r < 0', 'r >= 1e30::float4', 'd = r',
	'x = 0.1', 'x >= 0.1', 'x < 0.2', 'x > 5', 'x = 1e60', 'x = ''NaN''', 'x > 1e39', 'x = 1234567890123456789012345678901234567890.5',
	'x = 0.12345678901234567890123456789', 'x IS NULL',
	't = ''c''', 't = ''64f000000000000000000002''', 't IN (''a'', ''b'', ''64f000000000000000000002'')', 't < ''c''', 't < ''c'' COLLATE "C"', 't >= ''6'' COLLATE "C"', 't > ''x'' COLLATE "C"', 't LIKE ''a%''',
	'_id = ''64f000000000000000000001''', '_id = ''64f000000000000000000003''', '_id = ''id7''', '_id IN (''id1'', ''id2'', ''none'', ''nix'')', 'v = ''v1''', 'v IN (''v1'', ''v2'')', 'v > ''v1'' COLLATE "C"', 't = v',
	'b', 'NOT b', 'b = true', 'b IS NULL', 'b IS TRUE', 'b IS NOT NULL',
	'u = md5(''1'')::uuid', 'u IN (md5(''1'')::uuid, md5(''2'')::uuid)', 'u < md5(''1'')::uuid',
	'day = ''2026-01-04''', 'day < ''2026-01-04''', 'day <= ''2026-01-04''', 'day > ''2026-01-04''', 'day >= ''2026-01-04''', 'day < ''infinity''', 'day > ''-infinity''', 'day > ''infinity''',
	'at = ''2026-01-01 00:00:00.003+00''', 'at = ''2026-01-01 00:00:00.0035+00''', 'at < ''2026-01-01 00:00:00.0045+00''', 'at < ''2026-01-01 00:00:00.004+00''',
	'at <= ''2026-01-01 00:00:00.0045+00''', 'at > ''2026-01-01 00:00:00.0045+00''', 'at >= ''2026-01-01 00:00:00.0045+00''', 'at > ''2026-01-01 00:00:00.004+00''', 'at < ''infinity''', 'at = ''infinity''', 'at > ''-infinity''', 'at < now()', 'at IN (''2026-01-01 00:00:00.003+00'', ''infinity'')',
	'local < ''1969-12-31 23:00''', 'local >= ''1970-01-01''', 'local > ''1969-12-31 20:59:59.9999''',
	'j IS NULL', 'j IS NOT NULL', 'j = ''{"i": 3}''', 'j->>''i'' = ''3''', 'tags IS NULL', 'tags IS NOT NULL', '''a1'' = ANY (tags)',
	'n > 0 AND b AND t < ''m'' COLLATE "C"', 'n > 0 OR b', 'n + 1 = 2', 'n > 0 AND j->>''i'' = ''5''', '(n > 0 AND d < 3) OR n IS NULL', 'n = d', 'n BETWEEN 1 AND 2', 'n = (SELECT max(n) FROM l)'
	]) WITH ORDINALITY AS q (c, o) ORDER BY o;

-- What is sent.
EXPLAIN (VERBOSE, COSTS OFF) SELECT n, t FROM f WHERE _id = 'id7' AND n > 1 AND at < '2026-06-01' AND t LIKE 'a%';
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM f;
EXPLAIN (VERBOSE, COSTS OFF) SELECT __doc FROM docs;
EXPLAIN (COSTS OFF) SELECT n FROM f WHERE n = 1;
-- Order and limit.
EXPLAIN (VERBOSE, COSTS OFF) SELECT _id FROM f WHERE n > 1 ORDER BY at DESC NULLS LAST, n NULLS FIRST LIMIT 3 OFFSET 2;
SELECT _id FROM f WHERE n > 1 ORDER BY at DESC NULLS LAST, n NULLS FIRST LIMIT 3 OFFSET 2;
SELECT _id FROM l WHERE n > 1 ORDER BY at DESC NULLS LAST, n NULLS FIRST LIMIT 3 OFFSET 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT n FROM f LIMIT 3;
-- Not where nulls are elsewhere, or strings sort otherwise, or something is left to be checked, or it is no constant.
EXPLAIN (VERBOSE, COSTS OFF) SELECT n FROM f ORDER BY n LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT t FROM f ORDER BY t COLLATE "C" NULLS FIRST LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT d FROM f WHERE d > 1 ORDER BY n NULLS FIRST LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT n FROM f LIMIT (random() * 0 + 3);
EXPLAIN (VERBOSE, COSTS OFF) SELECT DISTINCT n FROM f LIMIT 3;
-- unless the column is known to have none.
ALTER FOREIGN TABLE f ALTER n SET NOT NULL;
EXPLAIN (VERBOSE, COSTS OFF) SELECT n FROM f ORDER BY n LIMIT 3;
ALTER FOREIGN TABLE f ALTER n DROP NOT NULL;

-- Parameters: of prepared statements, of joins, of rescans.
SET plan_cache_mode = force_generic_plan;
PREPARE p (int, text) AS SELECT _id FROM f WHERE n = $1 AND t = $2;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p (1, 'd');
EXECUTE p (1, 'd');
EXECUTE p (2, 'e');
EXECUTE p (NULL, 'e');
RESET plan_cache_mode;
ANALYZE f;
SELECT reltuples FROM pg_class WHERE relname = 'f';
SELECT n_distinct, null_frac > 0 AS has_nulls FROM pg_stats WHERE tablename = 'f' AND attname = 'v';
CREATE TABLE few AS SELECT 'id' || i AS id FROM generate_series(1, 4) i;
ANALYZE few;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT few.id, f.n FROM few JOIN f ON f._id = few.id;
SELECT few.id, f.n FROM few JOIN f ON f._id = few.id ORDER BY 1;
SELECT few.id, (SELECT count(*) FROM f WHERE f._id < few.id COLLATE "C") FROM few ORDER BY 1;
SELECT few.id, s.n FROM few LEFT JOIN LATERAL (SELECT n FROM f WHERE f._id >= few.id COLLATE "C" ORDER BY at NULLS FIRST LIMIT 1) s ON true ORDER BY 1;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT n FROM f WHERE n > 1 ORDER BY at NULLS FIRST;
FETCH 2 FROM c;
MOVE ABSOLUTE 0 FROM c;
FETCH 2 FROM c;
COMMIT;

-- Two scans at once, and a table beside itself.
SELECT count(*) FROM f a JOIN f b USING (_id);
SELECT count(*) FROM (SELECT * FROM f UNION ALL SELECT * FROM f) x;
SELECT count(*) FROM f WHERE n = (SELECT max(n) FROM f);

DROP FOREIGN TABLE f, docs;
DROP TABLE l, few;
DROP FUNCTION same;
