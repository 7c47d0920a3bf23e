-- IMPORT FOREIGN SCHEMA: a table for each collection, with columns from a sample.

SET client_min_messages = warning;
\getenv port WT_MONGO_PORT
CREATE EXTENSION IF NOT EXISTS windtrap_mongo;
CREATE SERVER IF NOT EXISTS mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port :'port');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER mongo;
RESET client_min_messages;
SET timezone = 'UTC';

CREATE SCHEMA source;
CREATE FOREIGN TABLE source.people (__doc jsonb) SERVER mongo OPTIONS (database 'import', collection 'people');
CREATE FOREIGN TABLE source.orders (__doc jsonb) SERVER mongo OPTIONS (database 'import', collection 'orders');
CREATE FOREIGN TABLE source.odd (__doc jsonb) SERVER mongo OPTIONS (database 'import', collection 'Odd name');
TRUNCATE source.people, source.orders, source.odd;
INSERT INTO source.people VALUES
	('{"_id": {"$oid": "64f000000000000000000001"}, "name": "a", "age": 5, "score": 1.5, "born": {"$date": "2000-01-01T00:00:00Z"}, "member": true, "mixed": 1, "nothing": null}'),
	('{"_id": {"$oid": "64f000000000000000000002"}, "name": "b", "age": 3000000000, "score": 2, "address": {"city": "x"}, "tags": ["a"], "mixed": "x", "big": 0.12345678901234567890}'),
	('{"_id": {"$oid": "64f000000000000000000003"}, "key": {"$binary": {"base64": "ASNFZ4mrze8BI0VniavN7w==", "subType": "04"}}, "raw": {"$binary": {"base64": "AP8=", "subType": "00"}}, "": 1, "__doc": 2}');
INSERT INTO source.orders VALUES ('{"_id": 1, "Total Sum": 5}');
INSERT INTO source.odd VALUES ('{"_id": "x", "select": 1}');

CREATE SCHEMA target;
IMPORT FOREIGN SCHEMA import FROM SERVER mongo INTO target;
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), f.ftoptions
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 JOIN pg_foreign_table f ON f.ftrelid = c.oid
	WHERE c.relnamespace = 'target'::regnamespace ORDER BY c.relname COLLATE "C", a.attname COLLATE "C";
SELECT _id, name, age, score, born, member, mixed, tags FROM target.people ORDER BY _id COLLATE "C";
SELECT * FROM target."Odd name";
SET client_min_messages = warning;
DROP SCHEMA target CASCADE;
RESET client_min_messages;

CREATE SCHEMA target;
IMPORT FOREIGN SCHEMA import LIMIT TO (orders) FROM SERVER mongo INTO target OPTIONS (import_doc 'true', sample_size '1');
SELECT * FROM target.orders;
IMPORT FOREIGN SCHEMA import EXCEPT (orders, people) FROM SERVER mongo INTO target;
SELECT relname FROM pg_class WHERE relnamespace = 'target'::regnamespace ORDER BY relname COLLATE "C";
IMPORT FOREIGN SCHEMA import FROM SERVER mongo INTO target OPTIONS (sample_size '0');
IMPORT FOREIGN SCHEMA import FROM SERVER mongo INTO target OPTIONS (sample 'x');
IMPORT FOREIGN SCHEMA "a b" FROM SERVER mongo INTO target;
IMPORT FOREIGN SCHEMA nothing_there FROM SERVER mongo INTO target;

SET client_min_messages = warning;
DROP SCHEMA source, target CASCADE;
