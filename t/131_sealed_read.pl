# Reading sealed partitions: each query gives on a sealed partition, and on its parent, what it
# gives on a heap with the same rows; in one process and in several, with plans of all kinds.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('sealed_read', preload => 0, conf => "fsync = off\nmax_parallel_workers = 4\n");

sub query { return $node->safe_psql('postgres', $_[0]); }

#
# The same rows in a heap, twin, and in a partition that is sealed, day.
#
query(<<'SQL');
CREATE EXTENSION windtrap;
SELECT windtrap.create_log_table();
ALTER TABLE log ADD COLUMN note text, ADD COLUMN price numeric, ADD COLUMN flag boolean, ADD COLUMN seen date, ADD COLUMN gone int;
ALTER TABLE log DROP COLUMN gone;
CREATE TABLE day PARTITION OF log FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-11-02 00:00+00');
SELECT setseed(0.5);
INSERT INTO log
SELECT ts, jsonb_strip_nulls(jsonb_build_object(
	'id', CASE WHEN n % 1000 = 7 THEN md5(n::text) ELSE lpad(to_hex((extract(epoch FROM ts) * 1000)::bigint), 12, '0') END,
	'uuid', regexp_replace(lpad(to_hex((extract(epoch FROM ts) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15),
		'^(.{8})(.{4})(.{4})(.{4})(.{12})$', '\1-\2-\3-\4-\5'),
	'time', to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'),
	'host', 'collector-1',
	'headers', jsonb_build_object('accept', '*/*', 'user-agent', 'curl/' || n % 3),
	'json', jsonb_build_object(
		'app', (ARRAY['sshd', 'nginx', 'cron', 'postfix', 'hdfs'])[1 + n % 5],
		'severity', CASE WHEN n % 19 = 0 THEN 'error' WHEN n % 7 = 0 THEN 'Warning' ELSE 'info' END,
		'host', 'web-' || n % 20,
		'message', CASE n % 6 WHEN 0 THEN 'Connection closed by 10.0.' || n % 256 || '.' || n % 13 || ' port ' || n % 65536
			WHEN 1 THEN 'timeout while reading block blk_' || n * 7919 || ' after ' || n % 1000 || ' ms'
			WHEN 2 THEN 'Größe ' || n || ' überschritten' WHEN 3 THEN 'user u' || n % 100 || ' logged in'
			WHEN 4 THEN md5(n::text) || ' ' || repeat('x', n % 50) ELSE 'TimeOut after ' || n % 10 || ' s' END,
		'request_id', md5((n * 3)::text),
		'took', round((n % 10007) / 7.0, n % 4), 'n', n, 'small', n % 3, 'neg', -n,
		'zero', '0.0'::numeric, 'float', (n % 100) / 8.0,
		'ok', n % 4 <> 0, 'mixed', CASE n % 4 WHEN 0 THEN to_jsonb(n) WHEN 1 THEN to_jsonb(n::text) WHEN 2 THEN '[1, 2]'::jsonb ELSE to_jsonb(n % 8 = 3) END,
		'tags', jsonb_build_array('a', n % 3, jsonb_build_object('k', n % 2)),
		'deep', jsonb_build_object('er', jsonb_build_object('est', n % 4)),
		'rare', CASE WHEN n % 997 = 0 THEN 'r' || n END)))
	|| CASE WHEN n % 11 = 0 THEN '{"nothing": null, "empty": {}, "list": []}'::jsonb ELSE '{}' END,
	n % 17, CASE WHEN n % 3 = 0 THEN 'note ' || n % 5 END, CASE WHEN n % 2 = 0 THEN n / 100.0 END, n % 2 = 0, '2026-01-01'::date + n % 100
FROM (SELECT n, '2026-11-01 00:00+00'::timestamptz + n * interval '2.55 s' AS ts FROM generate_series(1, 33000) n) x;
INSERT INTO log (event_timestamp, data, status)
SELECT '2026-11-01 12:00:00.000001+00'::timestamptz + n * interval '1 s 3 us', j::jsonb, 100 + n FROM unnest(ARRAY[
	'{}', '[]', 'null', 'true', '"a string"', '12', '1.500', '-0.00', '1e10', '1E-20', '123456789012345678901234567890.0100', '[1, [2, {"a": null}], "x"]', '""', '[{}]', '{"": 1}', '{"json": {}}', '{"json": null}',
	'{"json": "text"}', '{"json": 5}', '{"json": [1, 2, {"app": "sshd"}]}', '{"json": {"app": null}}', '{"json": {"app": {"name": "sshd"}}}', '{"json": {"app": ["sshd"]}}', '{"json": {"app": 5}}', '{"json": {"app": true}}', '{"json": {"app": ""}}',
	'{"json": {"app": "sshd", "severity": "error", "extra": [1, "sshd"]}}', '{"json": {"n": "12"}}', '{"json": {"n": 12.0}}', '{"json": {"n": 1e2}}', '{"json": {"n": 99999999999999999999}}', '{"json": {"n": -5}}',
	'{"json": {"message": "100% of_it \\ back"}}', '{"json": {"message": "two\nlines\ttab \"quoted\" \u0001"}}', '{"json": {"message": "ſtraße İstanbul Kelvin: K"}}', '{"json": {"message": ""}}', '{"json": {"message": null}}',
	'{"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}', '{"a.b": 1, "a": {"b": 2}}', '{"k": [], "l": {}, "m": [[]], "n": [{}]}', '{"error": "x", "raw": "\\\\x00", "id": "q"}', '{"json": {"tags": ["b"]}}', '{"json": {"tags": "a"}}',
	'{"json": {"took": 1.50}}', '{"json": {"took": "1.50"}}', '{"json": {"ok": "true"}}', '{"json": {"deep": {"er": 5}}}', '{"json": {"deep": {"er": {"est": "4"}}}}', '{"json": {"small": 1.0}}', '{"uuid": "01A19467-E8A9-7001-934F-25160C5C7FD0"}',
	'{"ключ": {"значение": "да"}}', '{"json": {"severity": "ERROR"}}', '{"json": {"severity": "error "}}', '["json", "host"]', '"json"', '{"x": 0, "xx": 0, "b": 0, "aa": 0, "Z": 0}', '{"json": {"message": "port 2"}}', '{"json": {"message": "2port 2"}}'])
	WITH ORDINALITY AS x (j, n);
-- 70 members, and one long string; 3,000 shapes
INSERT INTO log (event_timestamp, data) SELECT '2026-11-01 13:00:00.5+00', jsonb_object_agg('member' || n, n) || jsonb_build_object('json', jsonb_build_object('message', repeat('long ', 200000))) FROM generate_series(1, 70) n;
INSERT INTO log (event_timestamp, data) SELECT '2026-11-01 14:00:00.0000007+00'::timestamptz + n * interval '1 ms', jsonb_build_object('k' || n % 500, n, 'json', jsonb_build_object('s' || n / 6, n::text)) FROM generate_series(1, 3000) n;
CREATE TABLE twin (LIKE log INCLUDING ALL);
INSERT INTO twin (event_timestamp, data, status, note, price, flag, seen) SELECT event_timestamp, data, status, note, price, flag, seen FROM day;
SQL
is(query("SELECT windtrap.seal('day')"), query('SELECT count(*) FROM twin'), 'the partition is sealed');
# Some came late; columns were added since.
query(<<'SQL');
CREATE TEMP TABLE late (LIKE day);
INSERT INTO late (event_timestamp, data, status) SELECT '2026-11-01 00:00+00'::timestamptz + n * interval '77 s 11 us',
	jsonb_build_object('id', 'late' || n, 'json', jsonb_build_object('app', 'late', 'severity', CASE WHEN n % 3 = 0 THEN 'error' ELSE 'info' END, 'n', n, 'message', 'late timeout ' || n)), 7 FROM generate_series(1, 1000) n;
INSERT INTO day_late (event_timestamp, data, status) SELECT event_timestamp, data, status FROM late;
INSERT INTO twin (event_timestamp, data, status) SELECT event_timestamp, data, status FROM late;
ALTER TABLE log ADD COLUMN added int DEFAULT 42, ADD COLUMN words text DEFAULT 'two words', ADD COLUMN none text;
ALTER TABLE twin ADD COLUMN added int DEFAULT 42, ADD COLUMN words text DEFAULT 'two words', ADD COLUMN none text;
ANALYZE twin; ANALYZE day; ANALYZE log;
CREATE FUNCTION answer(query text, source text, ordered boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE format('SELECT count(*) || '' '' || coalesce(md5(string_agg(x::text, E''\n'' %s)), '''') FROM (%s) x',
		CASE WHEN ordered THEN '' ELSE 'ORDER BY x::text COLLATE "C"' END, replace(query, '%T', source)) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE FUNCTION pg_temp_free_slow(x jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN x ? 'app'; END $$;
CREATE TABLE apps (app text, n int);
INSERT INTO apps VALUES ('sshd', 1), ('cron', 2), ('late', 3), ('none', 4);
SQL

# In what order rows come is not asked for: of a query with "ORDER BY event_timestamp" it is.
my @queries = grep { /\S/ } split /\n/, <<'SQL';
SELECT * FROM %T
SELECT data FROM %T
SELECT data::text, jsonb_send(data) FROM %T
SELECT event_timestamp, status FROM %T
SELECT note, price, flag, seen, added, words, none FROM %T
SELECT count(*) FROM %T
SELECT count(data), count(note), count(price), count(none), count(added) FROM %T
SELECT x FROM %T x
SELECT data->>'id' FROM %T
SELECT data->'json' FROM %T
SELECT data->'json'->'app' FROM %T
SELECT data->'json'->>'app' FROM %T
SELECT data #>> '{json,app}', data #> '{json,deep,er}' FROM %T
SELECT data['json']['app'], data['json']['tags'][0] FROM %T
SELECT data->'json'->'tags'->0, data->'json'->'tags'->>2, data #> '{json,tags,2,k}', data #>> '{json,tags,-1}' FROM %T
SELECT data->0, data->>1, data #> '{0}', data #>> '{}' FROM %T
SELECT data->'' FROM %T WHERE data ? ''
SELECT data->'a'->'b', data->'a.b' FROM %T
SELECT data->'json'->'mixed', data->'json'->>'mixed' FROM %T
SELECT jsonb_extract_path(data, 'json', 'deep', 'er'), jsonb_extract_path_text(data, 'json', 'app') FROM %T
SELECT jsonb_extract_path_text(data, VARIADIC ARRAY['json', note]) FROM %T
SELECT data->(CASE WHEN status = 1 THEN 'id' ELSE 'host' END) FROM %T
SELECT jsonb_typeof(data), jsonb_typeof(data->'json'), jsonb_typeof(data->'json'->'mixed') FROM %T
SELECT data->'nothing', data->>'nothing', data->'empty', data->>'empty', data->'list' FROM %T
SELECT data ? 'nothing', data ? 'json', data->'json' ? 'app', data ?| ARRAY['a', 'k'], data ?& ARRAY['id', 'json'] FROM %T
SELECT data - 'id', data || '{"a": 1}' FROM %T WHERE status = 3
SELECT data IS NULL, data IS NOT NULL FROM %T
SELECT status FROM %T WHERE data IS NOT NULL AND status > 90
SELECT DISTINCT data->'host' FROM %T
SELECT DISTINCT data->'json'->>'host' FROM %T
SELECT DISTINCT ON (data->'json'->>'app') data->'json'->>'app', status FROM %T ORDER BY data->'json'->>'app', status, event_timestamp
SELECT data->'json'->>'app', count(*) FROM %T GROUP BY 1
SELECT data->'json'->>'app', data->'json'->>'severity', count(*), min(event_timestamp), max(status) FROM %T GROUP BY 1, 2
SELECT data->'json'->>'app', count(*) FROM %T WHERE data->'json'->>'host' = 'web-3' GROUP BY 1 HAVING count(*) > 10
SELECT status, count(*), sum(price), avg((data->'json'->>'small')::numeric) FROM %T WHERE status < 50 GROUP BY GROUPING SETS ((status), ())
SELECT min(event_timestamp), max(event_timestamp), min(status), max(status) FROM %T
SELECT max(event_timestamp) FROM %T WHERE data->'json'->>'app' = 'cron'
SELECT min(data->>'id') FROM %T
SELECT count(DISTINCT data->'json'->'n') FROM %T
SELECT array_agg(data->'json'->>'n' ORDER BY event_timestamp) FROM %T WHERE status = 5
SELECT count(*) FILTER (WHERE data->'json'->>'severity' = 'error') FROM %T
SELECT data->'json'->>'n', lag(data->'json'->>'n') OVER (ORDER BY event_timestamp) FROM %T WHERE status = 2
SELECT status FROM %T WHERE data->'json'->>'severity' = 'error'
SELECT * FROM %T WHERE data->'json'->>'severity' = 'error' AND data->'json'->>'app' = 'sshd'
SELECT status FROM %T WHERE 'error' = data->'json'->>'severity'
SELECT status FROM %T WHERE data->'json'->>'severity' <> 'info'
SELECT status FROM %T WHERE NOT data->'json'->>'severity' = 'info'
SELECT status FROM %T WHERE data->'json'->>'severity' IN ('error', 'Warning')
SELECT status FROM %T WHERE data->'json'->>'severity' NOT IN ('error', 'Warning')
SELECT status FROM %T WHERE data->'json'->>'severity' IN ('error', NULL)
SELECT status FROM %T WHERE data->'json'->>'severity' NOT IN ('error', NULL)
SELECT status FROM %T WHERE data->'json'->>'severity' = ANY (ARRAY(SELECT app FROM apps) || 'error'::text)
SELECT status FROM %T WHERE data->'json'->>'severity' = NULL
SELECT status FROM %T WHERE data->'json'->>'severity' = ''
SELECT status FROM %T WHERE data->'json'->>'app' = ''
SELECT status FROM %T WHERE data->'json'->>'app' = '5' OR data->'json'->>'app' = 'true'
SELECT status FROM %T WHERE data->'json'->>'app' = '["sshd"]' OR data->'json'->>'app' = '{"name": "sshd"}'
SELECT status FROM %T WHERE data->'json'->>'app' = 'sshd' OR data->'json'->>'severity' = 'error'
SELECT status FROM %T WHERE NOT (data->'json'->>'app' = 'sshd' OR data->'json'->>'severity' = 'error')
SELECT status FROM %T WHERE NOT (data->'json'->>'app' = 'sshd' AND data->'json'->>'severity' = 'error')
SELECT status FROM %T WHERE data->'json'->>'app' = 'sshd' AND (data->'json'->>'severity' = 'error' OR (data->'json'->>'small')::int = 2) AND status < 10
SELECT status FROM %T WHERE (data->'json'->>'app' = 'sshd') IS NOT TRUE
SELECT status FROM %T WHERE (data->'json'->>'app' = 'sshd') IS NULL
SELECT status FROM %T WHERE data->'json'->>'app' IS NULL
SELECT status FROM %T WHERE data->'json'->>'app' IS NOT NULL
SELECT status FROM %T WHERE data->'json'->'app' IS NULL
SELECT status FROM %T WHERE data->'nothing' IS NULL
SELECT status FROM %T WHERE data->>'nothing' IS NULL AND data ? 'nothing'
SELECT status FROM %T WHERE data->'json' IS NULL
SELECT status FROM %T WHERE data->>'json' IS NULL
SELECT status FROM %T WHERE data->'json'->'deep'->'er' IS NOT NULL
SELECT status FROM %T WHERE data->'json'->'deep'->>'er' = '5' OR data #>> '{json,deep,er,est}' = '4'
SELECT status FROM %T WHERE data->'json'->'rare' IS NOT NULL
SELECT status FROM %T WHERE data->'json'->>'rare' = 'r1994'
SELECT status FROM %T WHERE data->'json'->>'rare' LIKE 'r1%'
SELECT status FROM %T WHERE data->>'id' = 'late77'
SELECT * FROM %T WHERE data->>'id' = (SELECT data->>'id' FROM twin WHERE data->'json'->>'n' = '20007')
SELECT * FROM %T WHERE data->>'uuid' = (SELECT data->>'uuid' FROM twin WHERE data->'json'->>'n' = '31999')
SELECT * FROM %T WHERE data->>'uuid' = '01A19467-E8A9-7001-934F-25160C5C7FD0'
SELECT * FROM %T WHERE data->>'uuid' = '01a19467-e8a9-7001-934f-25160c5c7fd0'
SELECT * FROM %T WHERE data->>'uuid' = 'zzz'
SELECT * FROM %T WHERE data->>'uuid' IN (SELECT data->>'uuid' FROM twin WHERE status = 4 AND (data->'json'->>'small') = '1')
SELECT * FROM %T WHERE data->>'time' = '2026-11-01T00:00:21.000000+00:00'
SELECT * FROM %T WHERE data->>'time' LIKE '2026-11-01T01:0%'
SELECT * FROM %T WHERE data->'json'->>'request_id' = md5('300')
SELECT * FROM %T WHERE data->'json'->>'request_id' = upper(md5('300'))
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%timeout%'
SELECT status FROM %T WHERE data->'json'->>'message' NOT LIKE '%timeout%'
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%TIMEOUT%'
SELECT status FROM %T WHERE data->'json'->>'message' NOT ILIKE '%timeout%'
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%kelvin: k%'
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%GRÖSSE%' OR data->'json'->>'message' ILIKE '%größe 1%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%ße 1%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%port 2%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%port 2'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE 'port 2%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%10.0.1_.7 port%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%10.0.12.7 port%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%0.0.1%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%1%2%3%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%77%'
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%TIMEOUT AFTER 7%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE 'TimeOut after _ s'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE 'TimeOut after 7 s'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE 'timeout%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%logged in'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%'
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE ''
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '_'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%\%%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%of\_it%'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%x%%' ESCAPE 'x'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%\'
SELECT status FROM %T WHERE data->'json'->>'message' LIKE NULL
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%' || (data->'json'->>'small') || '%'
SELECT status FROM %T WHERE data->'json'->>'message' ~ 'timeout.*9 ms$'
SELECT status FROM %T WHERE data->'json'->>'message' ~* '^TIME.?OUT'
SELECT status FROM %T WHERE data->'json'->>'message' !~ '[0-9]'
SELECT status FROM %T WHERE data->'json'->>'message' SIMILAR TO '%(ms|in)'
SELECT status FROM %T WHERE lower(data->'json'->>'message') = 'timeout after 7 s'
SELECT status FROM %T WHERE length(data->'json'->>'message') > 60
SELECT status FROM %T WHERE data->'json'->>'message' > 'user' COLLATE "C" AND data->'json'->>'message' < 'user u3' COLLATE "C"
SELECT status FROM %T WHERE data->'json'->>'message' LIKE '%TIMEOUT%' COLLATE "en_nd"
SELECT status FROM %T WHERE data->'json'->>'severity' = 'ERROR' COLLATE "en_nd"
SELECT status FROM %T WHERE data->'json'->>'severity' ILIKE 'ERROR' COLLATE "en"
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%TIMEOUT%' COLLATE "tr"
SELECT status FROM %T WHERE data->'json'->>'message' ILIKE '%LOGGED İN%' COLLATE "tr"
SELECT status FROM %T WHERE data::text LIKE '%error%'
SELECT status FROM %T WHERE data @> '{"json": {"app": "sshd", "severity": "error"}}'
SELECT status FROM %T WHERE NOT data @> '{"json": {"app": "sshd"}}'
SELECT status FROM %T WHERE data @> '{"json": {"app": "sshd"}}' OR data @> '{"json": {"app": "cron"}}'
SELECT status FROM %T WHERE data->'json' @> '{"app": "sshd"}'
SELECT status FROM %T WHERE NOT data->'json' @> '{"app": "sshd"}'
SELECT status FROM %T WHERE data @> '{"json": {"n": 12}}'
SELECT status FROM %T WHERE data @> '{"json": {"n": 12.00}}'
SELECT status FROM %T WHERE data @> '{"json": {"n": 100}}' OR data @> '{"json": {"n": 99999999999999999999}}'
SELECT status FROM %T WHERE data @> '{"json": {"small": 1}}' AND data @> '{"json": {"took": 1.5}}'
SELECT status FROM %T WHERE data @> '{"json": {"ok": true}}'
SELECT status FROM %T WHERE data @> '{"json": {"ok": "true"}}'
SELECT status FROM %T WHERE data @> '{"nothing": null}'
SELECT status FROM %T WHERE data @> '{"empty": {}}'
SELECT status FROM %T WHERE data @> '{"json": {}}'
SELECT status FROM %T WHERE data @> '{}'
SELECT status FROM %T WHERE data @> '[]'
SELECT status FROM %T WHERE data @> '"json"' OR data @> '12'
SELECT status FROM %T WHERE data @> '["json"]'
SELECT status FROM %T WHERE data @> '{"json": {"tags": ["a"]}}'
SELECT status FROM %T WHERE data @> '{"json": {"tags": [{"k": 1}, 2]}}'
SELECT status FROM %T WHERE data @> '{"json": {"tags": "a"}}'
SELECT status FROM %T WHERE data @> '{"json": [1]}'
SELECT status FROM %T WHERE data @> '{"json": {"deep": {"er": {"est": 3}}}}'
SELECT status FROM %T WHERE data @> '{"a": {"b": {"c": {"d": {}}}}}'
SELECT status FROM %T WHERE data @> '{"json": {"request_id": "94f6d7e04a4d452035300f18b984988c"}}'
SELECT status FROM %T WHERE '{"json": {"app": ""}}' <@ data
SELECT status FROM %T WHERE data <@ '{"json": {"app": "", "n": 5}}'
SELECT status FROM %T WHERE data = '{}' OR data = '12' OR data = '1.5' OR data = '[]'
SELECT status FROM %T WHERE data->'json'->'app' = '"sshd"'
SELECT status FROM %T WHERE data ? 'json' AND NOT data->'json' ? 'app'
SELECT status FROM %T WHERE data ? 'nothing'
SELECT status FROM %T WHERE NOT data ? 'host'
SELECT status FROM %T WHERE data @? '$.json.tags[*] ? (@ == 2)'
SELECT status FROM %T WHERE data @@ '$.json.n > 32000'
SELECT status FROM %T WHERE data @? '$.json.app ? (@ == "sshd" || @ == "late")'
SELECT status, data @? '$.json.app', data @? 'strict $.json.app', data @@ '$.json.app == "sshd"', data @@ 'strict $.json.app == "sshd"', data @@ '!($.json.app == "sshd")', data @@ 'strict !($.json.app == "sshd")' FROM %T
SELECT status, data @? '$.json', data @? '$.json ? (!(@.app == "sshd"))', data @? 'strict $.json ? (@.app == "sshd")', data @? 'strict $.json ? (!exists(@.app))' FROM %T
SELECT status, data @? '$.json.deep.er.est', data @? 'strict $.json.deep.er.est', data @@ 'exists($.json.deep.er.est)', data @@ '($.json.deep.er.est > 2) is unknown', data @@ 'strict ($.json.deep.er.est > 2) is unknown' FROM %T
SELECT status, data @? '$.json.tags[*].k ? (@ > 0)', data @? '$.json.tags[$.json.small]', data @? '$.json.tags[last] ? (@.k == 1)', data @? 'strict $.json.tags[*] ? (@ like_regex "^a")', data @@ '$.json.tags.size() > 2' FROM %T
SELECT status, data @? '$.json.tags[0 to $.n]', data @@ '$.json.app.name starts with "ss"', data @@ '$.json.small + $.json.n > 32000 && -$.json.neg > 5', data @@ '$.json.app.type() == "array"', data @? '$.json.n ? (@ > $.json.small && $.host == "collector-1")' FROM %T
SELECT status, data @? '$', data @? '$[*].json', data @? '$.*', data @? '$.**.app', data @? '$ ? (@.json.app == "sshd")', data @? '$.json.keyvalue() ? (@.id > 100)', data @? '$.json.* ? (@ == "error")', data @? '$.json.**.est', data @@ '1 == 1' FROM %T
SELECT status, data @? '$.""', data @? '$.a.b.c.d.e.f.g.h ? (@ == 1)', data @? '$."a.b"', data @? '$.member3', data @? '$.l', data @? '$.l.x', data @? 'strict $.l.x', data @? '$.n.x', data @? '$.k100 ? (@ > $.json.s3)' FROM %T
SELECT status, data @? '$.json.n ? (@ > $x)', data @@ '$.json.app', data @@ '$.json.ok == true', data @? '$.json.ok ? (@ == true)', data @? '$.json.id ? (@ == $.id)' FROM %T
SELECT status, jsonb_path_query(data, '$.json.tags[*]') FROM %T WHERE status = 1
SELECT status FROM %T WHERE (data->'json'->>'took')::numeric > 1400
SELECT status FROM %T WHERE (data->'json'->>'took')::numeric = 1.5
SELECT status FROM %T WHERE (data->'json'->>'took')::float8 >= 1429.1
SELECT status FROM %T WHERE (data->'json'->>'float')::float8 < 0.5
SELECT status FROM %T WHERE (data->'json'->>'neg')::numeric BETWEEN -100 AND -90.5
SELECT status FROM %T WHERE (data->'json'->>'n')::numeric > 39990
SELECT status FROM %T WHERE (data->'json'->>'n')::numeric <> 12 AND (data->'json'->>'n')::numeric < 20
SELECT status FROM %T WHERE (data->'json'->>'n')::int > 39990
SELECT status FROM %T WHERE (data->'json'->>'neg')::int > -50
SELECT status FROM %T WHERE (data->'json'->>'neg')::bigint > -50 AND (data->'json'->>'neg')::bigint < '99999999999'::bigint
SELECT status FROM %T WHERE (data->'json'->'neg')::int > -50
SELECT status FROM %T WHERE (data->'json'->'neg')::numeric > -50.5
SELECT status FROM %T WHERE (data->'json'->'ok')::boolean
SELECT status FROM %T WHERE (data->'json'->>'ok')::boolean AND NOT (data->'json'->>'ok')::boolean
SELECT status FROM %T WHERE (data->'json'->>'app')::int = 5
SELECT status FROM %T WHERE jsonb_typeof(data->'json'->'n') = 'number' AND (data->'json'->'n')::numeric < 10
SELECT status FROM %T WHERE data->'json'->>'app' = 'sshd' AND (data->'json'->>'n')::numeric < 100
SELECT status FROM %T WHERE CASE WHEN data->'json'->>'app' = '5' THEN 1 / (status - status) END = 1
SELECT status FROM %T WHERE jsonb_typeof(data->'json'->'float') = 'number' AND (data->'json'->'float')::int = 3
SELECT status FROM %T WHERE (data->'json'->'float')::int > 12 OR (data->'json'->'float')::int = 0
SELECT status FROM %T WHERE data->'json'->>'app' <> ALL ('{}')
SELECT status FROM %T WHERE data->'json'->>'app' = ANY ('{}') OR NOT data->'json'->>'app' = ANY ('{}')
SELECT status FROM %T WHERE status <> ALL ('{}'::int[]) AND status <> ALL ('{3,4}'::int[])
SELECT status FROM %T WHERE data->'json'->>'app' <> ALL (NULL::text[])
SELECT status FROM %T WHERE status = 3
SELECT status FROM %T WHERE status IN (3, 5, 150)
SELECT status FROM %T WHERE status NOT IN (0, 1, 2)
SELECT status FROM %T WHERE status <> 0 AND 2 > status
SELECT status FROM %T WHERE status > 1000
SELECT status FROM %T WHERE status = 3::bigint OR status = 5::smallint
SELECT status FROM %T WHERE status % 5 = 1
SELECT status FROM %T WHERE note = 'note 3'
SELECT status FROM %T WHERE note IS NULL AND price > 300
SELECT status FROM %T WHERE price = 1.20 OR seen = '2026-02-01' OR flag IS NULL
SELECT status FROM %T WHERE added = 42
SELECT status FROM %T WHERE added = 43 OR words LIKE 'x%'
SELECT status FROM %T WHERE none IS NOT NULL
SELECT status FROM %T WHERE words = 'two words' AND data->'json'->>'app' = 'cron'
SELECT count(*) FROM %T WHERE event_timestamp >= '2026-11-01 05:00+00' AND event_timestamp < '2026-11-01 06:00+00'
SELECT * FROM %T WHERE event_timestamp BETWEEN '2026-11-01 12:00+00' AND '2026-11-01 12:01+00'
SELECT * FROM %T WHERE event_timestamp = '2026-11-01 00:00:21+00'
SELECT * FROM %T WHERE '2026-11-01 00:01+00' > event_timestamp
SELECT * FROM %T WHERE event_timestamp > '2026-12-01'
SELECT * FROM %T WHERE event_timestamp > '2026-11-01 23:00+00' AND event_timestamp < '2026-11-01 04:00+00'
SELECT count(*) FROM %T WHERE event_timestamp > NULL
SELECT count(*) FROM %T WHERE event_timestamp > '2026-11-01 08:00'::timestamp
SELECT count(*) FROM %T WHERE event_timestamp::date = '2026-11-01'
SELECT count(*) FROM %T WHERE event_timestamp < now() - interval '10 years' OR event_timestamp < '2026-11-01 03:00+00'
SELECT count(*) FROM %T WHERE event_timestamp <= 'infinity' AND event_timestamp > '-infinity'
SELECT count(*) FROM %T WHERE event_timestamp IN ('2026-11-01 00:00:21+00', '2026-11-01 00:00:42+00')
SELECT date_trunc('hour', event_timestamp), count(*) FROM %T GROUP BY 1
SELECT * FROM %T ORDER BY event_timestamp
SELECT * FROM %T ORDER BY event_timestamp DESC
SELECT * FROM %T ORDER BY event_timestamp DESC LIMIT 20
SELECT data->>'id' FROM %T ORDER BY event_timestamp LIMIT 20 OFFSET 17000
SELECT event_timestamp, data->>'id' FROM %T WHERE data->'json'->>'severity' = 'error' ORDER BY event_timestamp DESC LIMIT 100
SELECT event_timestamp FROM %T WHERE event_timestamp > '2026-11-01 05:00+00' ORDER BY event_timestamp LIMIT 50
SELECT event_timestamp FROM %T WHERE event_timestamp < '2026-11-01 05:00+00' ORDER BY event_timestamp DESC LIMIT 50
SELECT event_timestamp, status FROM %T WHERE status = 7 ORDER BY event_timestamp, status
SELECT event_timestamp FROM %T WHERE event_timestamp < '2026-11-01 12:00+00' AND event_timestamp > '2026-11-01 11:59+00' ORDER BY event_timestamp DESC
SELECT a.app, count(*) FROM apps a JOIN %T l ON l.data->'json'->>'app' = a.app GROUP BY 1
SELECT a.app, l.status FROM apps a LEFT JOIN %T l ON l.data->'json'->>'app' = a.app AND l.data->'json'->>'severity' = 'error'
SELECT a.app, l.data->'json'->>'severity' FROM apps a LEFT JOIN %T l ON l.status = a.n WHERE l.data->'json'->>'message' IS NULL OR l.data->'json'->>'small' = a.n::text
SELECT count(*), count(a.app), count(l.data) FROM apps a FULL JOIN %T l ON l.status = a.n WHERE l.data->'json'->>'app' IS DISTINCT FROM a.app
SELECT count(*) FROM %T a LEFT JOIN %T b ON a.event_timestamp = b.event_timestamp AND b.status = 3 WHERE b.data->'json'->>'n' IS NULL
SELECT a.app, l.data->>'id' FROM apps a JOIN LATERAL (SELECT data FROM %T WHERE data->'json'->>'app' = a.app ORDER BY event_timestamp DESC LIMIT 2) l ON true
SELECT a.n, l.data->'json'->>'message' FROM apps a, %T l WHERE (l.data->'json'->>'small') = a.n::text AND l.status = 100 + a.n * 10
SELECT count(*) FROM %T a JOIN %T b ON a.data->>'uuid' = b.data->>'uuid'
SELECT count(*) FROM %T a JOIN %T b USING (event_timestamp, data) WHERE a.status = 1
SELECT a.data->>'id', b.data->'json'->>'n' FROM %T a JOIN %T b ON a.event_timestamp = b.event_timestamp WHERE a.status = 4 AND b.data->'json'->>'app' = 'cron'
SELECT count(*) FROM apps WHERE EXISTS (SELECT FROM %T WHERE data->'json'->>'app' = apps.app)
SELECT app, (SELECT count(*) FROM %T WHERE data->'json'->>'app' = apps.app) FROM apps
SELECT app, (SELECT max(data->'json'->>'message') FROM %T WHERE data @> jsonb_build_object('json', jsonb_build_object('app', apps.app))) FROM apps
SELECT status FROM %T l WHERE EXISTS (SELECT FROM apps WHERE app = l.data->'json'->>'app' AND n = 2)
SELECT status FROM %T l WHERE data->'json'->>'app' NOT IN (SELECT app FROM apps)
SELECT status, (SELECT n FROM apps WHERE app = l.data->'json'->>'app') FROM %T l WHERE status < 5
SELECT key, count(*) FROM %T, jsonb_each(data->'json') GROUP BY 1
SELECT status, k FROM %T, jsonb_object_keys(CASE WHEN jsonb_typeof(data) = 'object' THEN data ELSE '{}' END) k
SELECT t FROM %T, LATERAL (SELECT data->'json'->'tags'->>0 || status AS t) x WHERE t LIKE '%a1%'
WITH w AS (SELECT data->'json' AS j FROM %T) SELECT j->>'app', count(*) FROM w GROUP BY 1
WITH w AS MATERIALIZED (SELECT * FROM %T) SELECT data->'json'->>'app' FROM w WHERE status = 3
SELECT s.j->>'app' FROM (SELECT data->'json' AS j, status FROM %T OFFSET 0) s WHERE s.status = 3
SELECT data->'json'->>'app' FROM %T UNION SELECT app FROM apps
SELECT data->'json'->>'app' AS a FROM (SELECT * FROM %T UNION ALL SELECT * FROM twin) x WHERE data->'json'->>'severity' = 'error'
SELECT status FROM %T EXCEPT SELECT status FROM twin WHERE status < 5
SELECT status FROM %T WHERE pg_temp_free_slow(data->'json')
SELECT count(*) FROM %T WHERE data->'json'->>'app' = coalesce(current_setting('no.such', true), 'cron')
SELECT data->'json'->>'n' FROM %T WHERE data->'json'->>'app' = 'cron' AND event_timestamp > (SELECT min(event_timestamp) + interval '20 hours' FROM twin)
SELECT l.status, x.n FROM %T l JOIN LATERAL (SELECT count(*) AS n FROM apps WHERE app = l.data #>> '{json,app}') x ON x.n > 0
SELECT k FROM %T, jsonb_to_record(data->'json') AS x (app text, n text, k text) WHERE x.app = 'late'
SELECT data->'member1', data->'member33', data->'member70' FROM %T WHERE data ? 'member33'
SELECT data->'k7', data->'json'->'s2' FROM %T WHERE data->'k7' IS NOT NULL OR data->'json'->>'s2' IS NOT NULL
SELECT length(data->'json'->>'message') FROM %T WHERE data->'json'->>'message' LIKE 'long long%'
SELECT to_jsonb(l) - 'data' FROM %T l WHERE status = 9
SELECT data->'ключ'->>'значение' FROM %T WHERE data->'ключ' IS NOT NULL
SQL
cmp_ok(scalar @queries, '>=', 200, scalar(@queries) . ' queries');
query(q{CREATE COLLATION en (provider = icu, locale = 'en'); CREATE COLLATION tr (provider = icu, locale = 'tr'); CREATE COLLATION en_nd (provider = icu, locale = 'en-u-ks-level2', deterministic = false)});

# Gives which queries are answered in another way than by the heap, under some settings.
my $answered;
sub differences
{
	my ($settings, $source, $which) = @_;
	my $list = join ",\n", map {
		my $ordered = /ORDER BY event_timestamp/ && !/\(.*ORDER BY event_timestamp.*\)/ ? 'true' : 'false';
		my $text = $_ =~ s/'/''/gr;
		"('$text', $ordered)"
	} @queries;
	query("CREATE TABLE answers AS SELECT q, o, answer(q, 'twin', o) AS a FROM (VALUES $list) x (q, o)") if !$answered++;
	return query("$settings; WITH x AS MATERIALIZED (SELECT q, a, answer(q, '$source', o) AS b FROM answers WHERE q ~ '" . ($which // '') . "') SELECT q, a, b FROM x WHERE a IS DISTINCT FROM b");
}
is(differences('SET max_parallel_workers_per_gather = 0', 'day'), '', 'on the partition');
is(differences('SET max_parallel_workers_per_gather = 0', 'log', 'ORDER BY event|LIMIT|[0-9]{4}-[0-9]{2}|min|max'), '', 'on its parent');
my $parallel = join ';', map { "SET $_" } 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0', 'max_parallel_workers_per_gather = 3';
is(differences($parallel, 'log'), '', 'by several processes');
like(query("$parallel; EXPLAIN (COSTS OFF) SELECT count(*) FROM day WHERE data->>'id' LIKE '%x%'"), qr/Parallel Foreign Scan/, 'which there are');
is(differences('SET enable_partitionwise_aggregate = on; SET enable_partitionwise_join = on; SET enable_hashjoin = off; SET enable_hashagg = off', 'log', 'JOIN|GROUP|DISTINCT|EXISTS|IN \\(SELECT|count|min|max|apps'), '', 'by other plans');
is(differences('SET enable_mergejoin = off; SET enable_hashjoin = off; SET enable_material = off; SET enable_memoize = off; SET work_mem = 64', 'day'),
	'', 'by nested loops')
  if $ENV{WT_SLOW};

#
# Prepared statements, whose conditions are known when they are executed only.
#
my @prepared = (
	[ "data->'json'->>'app' = \$1 AND data->'json'->>'severity' LIKE \$2", 'text, text', "'sshd', 'err%'", "'cron', 'in%'", "NULL, 'x'" ],
	[ 'data @> $1', 'jsonb', q('{"json": {"app": "sshd"}}'), q('{}'), q('[]'), 'NULL' ],
	[ 'event_timestamp >= $1 AND event_timestamp < $2', 'timestamptz, timestamptz', "'2026-11-01 05:00+00', '2026-11-01 06:00+00'", "'2026-11-01 06:00+00', '2026-11-01 05:00+00'", "NULL, now()" ],
	[ "data->>'id' = ANY (\$1)", 'text[]', "'{late3,late4,late5000}'", "'{}'", 'NULL', "'{NULL,late9}'" ],
	[ "(data->'json'->>'neg')::int > \$1 AND status = \$2", 'int, int', '-500, 3', '5, 1' ],
	[ "data->'json'->>\$1 = \$2", 'text, text', "'app', 'cron'", "'severity', 'error'" ]);
foreach my $p (@prepared)
{
	my ($where, $types, @values) = @$p;
	foreach my $mode ('force_generic_plan', 'force_custom_plan')
	{
		my $run = sub {
			my $source = shift;
			return query("SET plan_cache_mode = $mode; PREPARE p ($types) AS SELECT md5(string_agg(x::text, '' ORDER BY x::text COLLATE \"C\")) FROM (SELECT * FROM $source WHERE $where) x;"
				  . join '', map { "EXECUTE p ($_);" } @values, @values);
		};
		is($run->('log'), $run->('twin'), "$mode: $where");
	}
}

#
# Cursors
#
sub cursor
{
	my ($source, $commands) = @_;
	return query("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT event_timestamp, data->>'id' FROM $source ORDER BY event_timestamp; $commands; COMMIT");
}
foreach my $commands ('FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; FETCH LAST FROM c; FETCH -3 FROM c; FETCH ABSOLUTE 20000 FROM c; MOVE -10000 FROM c; FETCH 2 FROM c; FETCH FIRST FROM c; FETCH PRIOR FROM c',
	'MOVE ALL FROM c; FETCH -2 FROM c; FETCH RELATIVE -30000 FROM c; FETCH 1 FROM c')
{
	is(cursor('log', $commands), cursor('twin', $commands), "a cursor: $commands");
}
is( query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT data->>'id' FROM log WHERE status = 3 ORDER BY event_timestamp; COMMIT; FETCH 5 FROM c; DROP TABLE IF EXISTS none; FETCH 2 FROM c"),
	query("SELECT data->>'id' FROM twin WHERE status = 3 ORDER BY event_timestamp LIMIT 7"), 'a cursor that outlives its transaction');

#
# System columns
#
is(query('SELECT DISTINCT tableoid::regclass FROM log'), 'day', 'tableoid says which partition');
is(query('SELECT count(DISTINCT ctid) = count(*) FROM log'), 't', 'no two rows have one ctid');

#
# Row security, and errors: a condition sees no row that another one keeps from it.
#
query(<<'SQL');
CREATE ROLE reader;
GRANT SELECT ON log, twin TO reader;
CREATE TABLE seen (id text);
GRANT INSERT ON seen TO reader;
ALTER TABLE log ENABLE ROW LEVEL SECURITY; ALTER TABLE twin ENABLE ROW LEVEL SECURITY;
CREATE POLICY apps ON log TO reader USING (data->'json'->>'app' = 'cron'); CREATE POLICY apps ON twin TO reader USING (data->'json'->>'app' = 'cron');
CREATE FUNCTION leak(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 STABLE AS $$ BEGIN RAISE NOTICE '%', t; RETURN true; END $$;
SQL
sub leaked
{
	my ($source) = @_;
	my ($rc, $out, $error) = $node->psql('postgres', "SET ROLE reader; SELECT count(*) FROM $source WHERE leak(data->'json'->>'app')");
	my %seen = map { $_ => 1 } $error =~ /NOTICE:\s+(\S+)/g;
	return "$out " . join ',', sort keys %seen;
}
is(leaked('log'), leaked('twin'), 'a function sees the rows alone that row security lets it see');
like(leaked('log'), qr/^\d+ cron$/, 'which are some');
is(query(q{SET ROLE reader; SELECT count(*), count(DISTINCT data->'json'->>'app') FROM log}), query(q{SET ROLE reader; SELECT count(*), count(DISTINCT data->'json'->>'app') FROM twin}), 'row security counts');
query(q{ALTER TABLE log DISABLE ROW LEVEL SECURITY; ALTER TABLE twin DISABLE ROW LEVEL SECURITY});
foreach my $where ("data->'json'->>'app' = 'cron' AND (data->'json'->>'n')::int > 5", "data->'json'->>'message' LIKE 'user%' AND 1 / (data->'json'->>'small')::int < 5",
	"(data->'json'->>'message')::int = 5", "data->'json'->>'app' = 'none' AND (data->'json'->>'message')::int = 5")
{
	my @answers = map { my ($rc, $out, $error) = $node->psql('postgres', "SELECT count(*) FROM $_ WHERE $where"); "$rc $out " . ($error =~ s/^psql:\S+ //r) } 'twin', 'day';
	$_ =~ s/: ".*//s foreach @answers;
	is($answers[1], $answers[0], "the same error, or none: $where");
}
# An error that the first rows do not have is not met by who stops there.
is(query("SELECT count(*) FROM (SELECT FROM day WHERE 1 / (10 - (data->'json'->>'n')::numeric) <> 0 LIMIT 5) x"), 5, 'no row is evaluated that is not asked for');

#
# What EXPLAIN tells
#
# (One chunk has documents that are no objects, and so must be looked at.)
my $plan = query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT status FROM day WHERE data->>'uuid' = (SELECT data->>'uuid' FROM twin WHERE data->'json'->>'n' = '31999')");
like($plan, qr/Chunks Read: 2\b.*Chunks Skipped by Range: 1/s, 'chunks are skipped by the smallest and largest id');
$plan = query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT status FROM day WHERE event_timestamp < '2026-11-01 00:10+00'");
like($plan, qr/Documents: none.*Chunks Read: 1.*Chunks Skipped by Time: 2/s, 'and by time');
$plan = query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT status FROM day WHERE data->'json'->>'app' = 'nobody'");
like($plan, qr/Chunks Read: 1\b.*Chunks Skipped by Values: 2/s, 'and by what is not in a dictionary');
like(query("EXPLAIN (COSTS OFF) SELECT data->'json'->>'app', data #>> '{a,b}' FROM day WHERE status = 1 AND data->'json'->>'message' LIKE '%x%'"), qr/Documents: json.app, a.b\n|Documents: json\.app, a\.b$/, 'members are named');
like(query(q{EXPLAIN (COSTS OFF) SELECT data @@ '$.json.app == "sshd" && $.json.tags[*].k > 0' FROM day}), qr/Documents: json\.app, json\.tags$/m, 'those of a jsonpath, too');
like(query(q{EXPLAIN (COSTS OFF) SELECT data @? '$.*.app' FROM day}), qr/Documents: whole$/m, 'unless it may look at all');
like(query("EXPLAIN (COSTS OFF) SELECT * FROM log ORDER BY event_timestamp DESC LIMIT 5"), qr/Order: time, from the last/, 'rows come by time');
unlike(query("EXPLAIN (COSTS OFF) SELECT * FROM day ORDER BY event_timestamp DESC LIMIT 5"), qr/Sort/, 'and nobody sorts them');
like(query("EXPLAIN (FORMAT JSON, ANALYZE, VERBOSE) SELECT * FROM day WHERE status = 3"), qr/"Chunks Read": 3/, 'in JSON as well');

#
# ANALYZE: of columns, of expressions
#
cmp_ok(query("SELECT abs(reltuples - (SELECT count(*) FROM twin)) FROM pg_class WHERE relname = 'day'"), '<', 1, 'ANALYZE knows the rows');
query("CREATE STATISTICS of_app ON ((data->'json'->>'app')) FROM day; ANALYZE day");
like(query("EXPLAIN SELECT FROM day WHERE data->'json'->>'app' = 'cron'"), qr/rows=(5|6|7)\d\d\d /, 'statistics of expressions are used');
cmp_ok(query("SELECT count(*) FROM pg_stats WHERE tablename = 'log' AND inherited"), '>=', 3, 'and of the parent');

# Rows are not made while a query waits to be cancelled.
my ($rc, $out, $error) = $node->psql('postgres', "SET statement_timeout = '300ms'; SET max_parallel_workers_per_gather = 0; SELECT count(*) FROM day a, day b WHERE a.data->'json'->>'message' ~ (b.data->'json'->>'message')");
like($error, qr/statement timeout/, 'a scan can be cancelled');

$node->stop;
done_testing();
