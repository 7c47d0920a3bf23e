-- Values: what each type is stored as, that it is read as it was written, what is refused.

SET client_min_messages = warning;
\getenv port WT_MONGO_PORT
CREATE EXTENSION IF NOT EXISTS windtrap_mongo;
CREATE SERVER IF NOT EXISTS mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port :'port');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER mongo;
RESET client_min_messages;
SET timezone = 'UTC';

CREATE FOREIGN TABLE docs (_id text, __doc jsonb) SERVER mongo OPTIONS (database 'type', collection 'all');
TRUNCATE docs;

-- Numbers: int32, int64, double, decimal128, else a string.  MongoDB says which.
CREATE TABLE numbers (i serial, x numeric);
INSERT INTO numbers (x) VALUES (0), (1), (-1), (2147483647), (2147483648), (-2147483648), (-2147483649), (1700000000000),
	(9223372036854775807), (9223372036854775808), (-9223372036854775808), (-9223372036854775809), (0.1), (-0.1), (0.5), (1.10), (123456789.123456789),
	(12345678901234.567), (0.30000000000000004), (0.12345678901234567890), (1e60), (1e-60), (1e308), (1e309), (1e-320),
	(1234567890123456789012345678901234), (12345678901234567890123456789012345), (0.1234567890123456789012345678901234567), (1e6000), (1e7000 + 1);
INSERT INTO docs SELECT 'n' || i, jsonb_build_object('x', x, 'in', jsonb_build_array(x)) FROM numbers;
CREATE FOREIGN TABLE n (_id text, x numeric) SERVER mongo OPTIONS (database 'type', collection 'all');
CREATE FUNCTION is_same(a numeric, b numeric) RETURNS boolean LANGUAGE sql AS 'SELECT a = b';
SELECT count(*), count(*) FILTER (WHERE is_same(numbers.x, n.x)) AS as_column,
	count(*) FILTER (WHERE CASE jsonb_typeof(d.__doc->'x') WHEN 'number' THEN (d.__doc->'x')::numeric ELSE (d.__doc->>'x')::numeric END = numbers.x) AS as_jsonb
	FROM numbers JOIN n ON n._id = 'n' || i JOIN docs d ON d._id = 'n' || i;
SELECT i, CASE WHEN length(x::text) > 40 THEN left(x::text, 20) || '…' ELSE x::text END AS x, jsonb_typeof(d.__doc->'x') FROM numbers JOIN docs d ON d._id = 'n' || i
	WHERE jsonb_typeof(d.__doc->'x') <> 'number' ORDER BY i;
-- Columns of every kind, and back.
CREATE FOREIGN TABLE every (_id uuid, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric, b boolean, t text, v varchar(5), c char(5), nm name,
	by bytea, d date, ts timestamp, tz timestamptz, j json, jb jsonb, ti time, iv interval, ip inet, ia int[], ta text[], jba jsonb[])
	SERVER mongo OPTIONS (database 'type', collection 'every');
CREATE FOREIGN TABLE every_doc (__doc json) SERVER mongo OPTIONS (database 'type', collection 'every');
TRUNCATE every;
INSERT INTO every VALUES ('01234567-89ab-cdef-0123-456789abcdef', 32767, 2147483647, 9223372036854775807, 0.1, 0.1, 0.1, true, E'tab\té😀', 'vier', 'ab', 'name',
	'\x00ff', '1969-12-31', '1969-12-31 23:59:59.999', '2026-07-01 12:00:00.123+02', '{"b": 1, "a": [1, 2.5]}', '"scalar"', '12:34:56', '1 day 02:00', '10.0.0.1/8',
	'{{1,2},{3,NULL}}', '{a,NULL,"b c"}', ARRAY['{"x": [1, [2]]}'::jsonb, 'null']);
INSERT INTO every (_id, f4, f8, n, ia) VALUES ('00000000-0000-0000-0000-000000000001', 'NaN', '-Infinity', 'NaN', '{}');
\x on
SELECT * FROM every ORDER BY _id;
SELECT jsonb_pretty(__doc::jsonb) FROM every_doc;
\x off

-- Dates have milliseconds, rounded down; none is infinite.
CREATE FOREIGN TABLE times (_id int, at timestamptz) SERVER mongo OPTIONS (database 'type', collection 'times');
TRUNCATE times;
INSERT INTO times VALUES (1, '1969-12-31 23:59:59.9999+00'), (2, '1970-01-01 00:00:00.0009+00'), (3, '0001-01-01 00:00:00+00'), (4, '4713-01-01 00:00:00+00 BC'), (5, '294276-12-31 23:59:59.999+00');
INSERT INTO times VALUES (6, 'infinity');
INSERT INTO times VALUES (6, '-infinity');
SELECT * FROM times ORDER BY 1;
-- A date may lie beyond all timestamps.
CREATE FOREIGN TABLE days (_id int, d date) SERVER mongo OPTIONS (database 'type', collection 'days');
TRUNCATE days;
INSERT INTO days VALUES (1, '5874897-12-31'), (2, '1969-12-31'), (3, '1970-01-01'), (4, '4713-01-01 BC'), (5, '300000-01-01'), (6, NULL);
SELECT * FROM days ORDER BY 1;
SELECT _id FROM days WHERE d >= '300000-01-01' ORDER BY 1;
SELECT _id FROM days WHERE d < '5874897-12-31' ORDER BY 1;
SELECT _id FROM days WHERE d = '5874897-12-31' ORDER BY 1;

-- Extended JSON: each as it was, and JSON that only looks like it too.
CREATE TABLE given (i serial, j jsonb);
INSERT INTO given (j) SELECT unnest(ARRAY[
	'{"$oid": "64f000000000000000000001"}', '{"$oid": "64F000000000000000000001"}', '{"$oid": "x"}', '{"$oid": 1}',
	'{"$date": "2026-01-31T12:00:00Z"}', '{"$date": "2026-01-31T12:00:00.001Z"}', '{"$date": "2026-02-31T12:00:00Z"}', '{"$date": "2026-01-31"}',
	'{"$date": {"$numberLong": "253402300800000"}}', '{"$date": {"$numberLong": "1"}}', '{"$date": null}', '{"$date": "1969-12-31T23:59:59.999Z"}',
	'{"$binary": {"base64": "AP8=", "subType": "00"}}', '{"$binary": {"base64": "AP8", "subType": "00"}}', '{"$binary": {"base64": "ASNFZ4mrze8BI0VniavN7w==", "subType": "04"}}',
	'{"$binary": "x"}', '{"$numberDouble": "NaN"}', '{"$numberDouble": "-Infinity"}', '{"$numberDouble": "1.5"}', '{"$numberDecimal": "NaN"}', '{"$numberDecimal": "1"}',
	'{"$timestamp": {"t": 4294967295, "i": 1}}', '{"$timestamp": {"t": -1, "i": 1}}', '{"$regularExpression": {"pattern": "^a", "options": "i"}}',
	'{"$minKey": 1}', '{"$maxKey": 1}', '{"$maxKey": 2}', '{"$undefined": true}', '{"$code": "f()"}', '{"$where": "x"}', '{"": {"": ""}}', '{"a": {"$oid": "64f000000000000000000001", "b": 1}}', '{}', '[]', '[[], {}]', '"x"', 'null', 'true', '"\u20ac"'
	]::jsonb[]);
TRUNCATE docs;
INSERT INTO docs SELECT i, jsonb_build_object('v', j) FROM given;
SELECT given.j, d.__doc->'v' AS read FROM given JOIN docs d ON d._id = i::text WHERE d.__doc->'v' <> given.j;
SELECT count(*) FROM given JOIN docs d ON d._id = i::text WHERE d.__doc->'v' = given.j;

-- Strict: what the type does not hold is refused, and the message says where.
CREATE FOREIGN TABLE strict (_id int, i int, s smallint, t text, f float8, b boolean, at timestamptz, u uuid, a int[], v varchar(2), x bytea)
	SERVER mongo OPTIONS (database 'type', collection 'strict');
CREATE FOREIGN TABLE loose (__doc jsonb) SERVER mongo OPTIONS (database 'type', collection 'strict');
TRUNCATE loose;
INSERT INTO loose VALUES ('{"_id": 1, "i": "5", "s": 40000, "t": 5, "f": "x", "b": 1, "at": "2026-01-01", "u": "01234567-89ab-cdef-0123-456789abcdef", "a": [1, "x"], "v": "abc", "x": "y"}'),
	('{"_id": 2, "i": 5.5, "t": {"a": 1}, "a": [[1, 2], [3]]}'), ('{"_id": 3, "i": 3000000000, "a": 1}'), ('{"_id": 4, "i": 5.0, "a": [[1, 2], [3, 4]]}');
SELECT i FROM strict WHERE _id = 1;
SELECT s FROM strict WHERE _id = 1;
SELECT t FROM strict WHERE _id = 1;
SELECT f FROM strict WHERE _id = 1;
SELECT b FROM strict WHERE _id = 1;
SELECT at FROM strict WHERE _id = 1;
SELECT u FROM strict WHERE _id = 1;
SELECT a FROM strict WHERE _id = 1;
SELECT v FROM strict WHERE _id = 1;
SELECT x FROM strict WHERE _id = 1;
SELECT i FROM strict WHERE _id = 2;
SELECT t FROM strict WHERE _id = 2;
SELECT a FROM strict WHERE _id = 2;
SELECT i FROM strict WHERE _id = 3;
SELECT a FROM strict WHERE _id = 3;
SELECT i, a FROM strict WHERE _id = 4;

-- Domains are checked.
CREATE DOMAIN small AS int CHECK (VALUE < 5);
CREATE FOREIGN TABLE domains (_id int, i small) SERVER mongo OPTIONS (database 'type', collection 'strict');
SELECT i FROM domains WHERE _id = 4;

-- _id of any scalar type, anywhere.
CREATE FOREIGN TABLE ids (v int, _id jsonb) SERVER mongo OPTIONS (database 'type', collection 'ids');
TRUNCATE ids;
INSERT INTO ids VALUES (1, '1'), (2, '"1"'), (3, '{"$oid": "64f000000000000000000001"}'), (4, '1.5'), (5, '{"$date": "2026-01-01T00:00:00Z"}'), (6, 'true'), (7, '{"a": 1}');
SELECT _id, v FROM ids ORDER BY v;
INSERT INTO ids VALUES (8, '1');
INSERT INTO ids VALUES (8, '[1]');
INSERT INTO ids VALUES (9, NULL) RETURNING _id ? '$oid', v;
DELETE FROM ids WHERE v IN (3, 5, 7) RETURNING v;
SELECT count(*) FROM ids;

DROP FOREIGN TABLE docs, n, every, every_doc, times, days, strict, loose, domains, ids;
DROP TABLE numbers, given;
DROP DOMAIN small;
DROP FUNCTION is_same;
