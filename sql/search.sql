-- Shows what each construct of the language of searches becomes in SQL, where each mistake is and
-- how it is told, and what the functions find.

CREATE EXTENSION windtrap;
SELECT windtrap.create_log_table();
\pset format unaligned
\pset tuples_only on

-- Each construct.
SELECT query, windtrap.search_sql(query) AS sql FROM (VALUES
    (1, ''), (2, '  '), (3, 'timeout'), (4, '"out of memory"'), (5, 'a b'), (6, 'a AND b'), (7, 'a OR b'),
    (8, 'a OR b c'), (9, '(a OR b) c'), (10, '-a'), (11, 'NOT a'), (12, '-(a OR b)'), (13, 'NOT NOT a'), (14, 'NOT -a:1'),
    (15, 'or and not'), (16, '"OR"'), (17, 'ORDER'), (18, '-'), (19, 'a - b'), (20, 'time*out'), (21, '*'), (22, '100%_\*'),
    (23, 'http://x/y?z=1'), (24, '10:30:00'), (25, 'it''s'), (26, '"say \"hi\" \\ \d"'), (27, 'Grüße 世界'), (28, 'a\:b'), (29, '""'),
    (40, 'severity:error'), (41, 'severity:WARN'), (42, 'severity:>=warning'), (43, 'severity:<info'), (44, 'severity:>fatal'),
    (45, 'severity:*'), (46, 'severity:~^(err|fat)'), (47, 'severity:err*'),
    (50, 'app:shop'), (51, 'app:"my shop"'), (52, 'app:shop*'), (53, 'app:*'), (54, 'app:~^sh.p$'), (55, '-app:shop'), (56, 'app:""'),
    (57, 'app:>m'), (58, 'host:db_1*'), (59, 'app:"shop*"'), (60, 'app:*o*p'),
    (65, 'message:timeout'), (66, 'message:"no funds"'), (67, 'message:order*'), (68, 'message:~\d+'),
    (70, 'source:shop'), (71, 'ip:192.0.2.9'), (72, 'ip:192.0.2.*'), (73, 'id:0197'), (74, 'id:>=0197'), (75, 'ip:*'), (76, 'source:~x'),
    (80, 'status:0'), (81, 'status:>=1'), (82, 'status:-1'), (83, 'status:*'),
    (90, 'order.total:5'), (91, 'order.total:"5"'), (92, 'order.total:-1.50e3'), (93, 'n:05'), (94, 'n:1.'), (95, 'n:1e1000'), (96, 'paid:true'),
    (97, 'paid:null'), (98, 'name:"x''y\"z\\"'), (99, 'n:>500'), (100, 'n:<=-0.5'), (101, 'time:>=2026-11-01'), (102, 'n:>"5"'), (103, 'n:*'),
    (104, 'a.b.c:*'), (105, 'url:~^/a/(b|c)\.x'), (106, '(url:~a(b)c)'), (107, 'url:~"a b\"\d\\"'), (108, 'url:/a/b*'), (109, 'url:"/a b"'),
    (110, '"service.name":shop'), (111, 'a."b.c".d:x'), (113, '"it''s".b:x*'), (114, '"":x'), (115, 'größe:世界'),
    (116, 'a:b:c'), (117, 'at:10:30'), (118, 'x:a\*b\)'), (119, 'path:C:\\temp\\*'),
    (120, '@headers.user-agent:curl*'), (121, '@json.status:500'), (122, '@loki.labels.app:shop'), (123, '@method:POST'), (124, '@json:*'),
    (125, '"severity":x'), (126, 'severity.x:y'), (127, '@headers."x y":~z'),
    (130, E'a\tb\nc'), (132, '((a))')
    ) AS q (n, query) ORDER BY n;

-- Each mistake: where it is, counted in characters, and what was expected.
\set VERBOSITY sqlstate
SELECT windtrap.search_sql('app:');
SELECT windtrap.search_sql('n:>"x*" n:>x*');
SELECT windtrap.search_sql('status:x');
\set VERBOSITY default
SELECT windtrap.search_sql('a OR');
SELECT windtrap.search_sql('"a".b*c:1');
SELECT windtrap.search_sql('OR a');
SELECT windtrap.search_sql('a AND AND b');
SELECT windtrap.search_sql('a NOT');
SELECT windtrap.search_sql('(a OR b');
SELECT windtrap.search_sql('a OR b)');
SELECT windtrap.search_sql('()');
SELECT windtrap.search_sql('Größe "ab');
SELECT windtrap.search_sql('größe:');
SELECT windtrap.search_sql('app: shop');
SELECT windtrap.search_sql('n:>');
SELECT windtrap.search_sql('n:>5*');
SELECT windtrap.search_sql('a:(b OR c)');
SELECT windtrap.search_sql('main()');
SELECT windtrap.search_sql('a"b"');
SELECT windtrap.search_sql('"a"b');
SELECT windtrap.search_sql(':x');
SELECT windtrap.search_sql('a..b:x');
SELECT windtrap.search_sql('@:x');
SELECT windtrap.search_sql('severity:loud');
SELECT windtrap.search_sql('severity:>500');
SELECT windtrap.search_sql('status:500x');
SELECT windtrap.search_sql('status:2147483648');
SELECT windtrap.search_sql('status:5*');
SELECT windtrap.search_sql('status:~5');
SELECT windtrap.search_sql('a:~');
SELECT windtrap.search_sql('Öl a:~x(');
SELECT windtrap.search_sql('a:~"["');
SELECT windtrap.search_sql('a:~(x)\1');
SELECT windtrap.search_sql('a:~((x{1,255}){1,255}){1,255}');
SELECT windtrap.search_sql('a:~' || repeat('x', 257));
SELECT windtrap.search_sql(repeat('a:~x ', 11));
SELECT windtrap.search_sql(repeat('(', 33) || 'a' || repeat(')', 33));
SELECT windtrap.search_sql(repeat('a ', 101));
SELECT windtrap.search_sql('a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a:x');
\set VERBOSITY terse
SELECT windtrap.search_sql(repeat('a', 4097));
SELECT count(*) FROM windtrap.search('a:');
SELECT * FROM windtrap.search(max_rows => 0);
SELECT * FROM windtrap.search(max_rows => 10001);
SELECT * FROM windtrap.histogram(buckets => 0);
SELECT * FROM windtrap.histogram(since => '2026-01-01', until => '2026-01-01');
SELECT * FROM windtrap.histogram(since => '-infinity');
SELECT * FROM windtrap.histogram(by => 'a..b');
SELECT * FROM windtrap.histogram(by => 'a b');
SELECT * FROM windtrap.top_values('', '');
SELECT * FROM windtrap.top_values('', NULL);
SELECT * FROM windtrap.top_values('', 'app', n => 0);
\set VERBOSITY default
-- At the limits it still works.
SELECT length(windtrap.search_sql(repeat('(', 32) || 'a' || repeat(')', 32)));
SELECT length(windtrap.search_sql(repeat('a ', 100)));
SELECT length(windtrap.search_sql(repeat('a', 4096)));
SELECT windtrap.search_sql(NULL) IS NULL;

-- What is found.
INSERT INTO log SELECT '2026-11-01 12:00+00'::timestamptz + n * interval '1 minute', data::jsonb, n % 2 FROM (VALUES
    (1, '{"id":"1","ip":"192.0.2.1","source":"till","headers":{"user-agent":"curl/8"},"json":{"level":"info","app":"shop","msg":"Order paid","order":{"total":5,"tags":["x","y"]}}}'),
    (2, '{"id":"2","ip":"192.0.2.2","json":{"level":"error","app":"shop","msg":"No FUNDS for O''Neil \\ 50%","order":{"total":"5"}}}'),
    (3, '{"id":"3","ip":"192.0.2.2","json":{"level":"warn","app":"stock","msg":"say \"hi\"","order":{"total":500.5},"paid":true}}'),
    (4, '{"id":"4","ip":"198.51.100.1","json":{"level":"fatal","msg":"Grüße","order":{"total":"512"},"paid":"true","service.name":"x"}}'),
    (5, '{"id":"5","ip":"198.51.100.1","json":"a line of text"}'),
    (6, '{"id":"6","ip":"198.51.100.1","raw":"{\"broken"}'),
    (7, '{"id":"7","protocol":"loki","loki":{"labels":{"app":"mail"}},"json":"sent"}'),
    (8, '{"json":{"order":{"total":"many"},"empty":"","nothing":null}}'),
    (9, '{}')) AS e (n, data);
CREATE FUNCTION found(query text) RETURNS text LANGUAGE sql AS
$$SELECT coalesce(string_agg(extract(minute FROM event_timestamp)::text, ' '), '-')
  FROM windtrap.search(query, '2026-11-01', '2026-11-02')$$;
SELECT query, found(query) FROM unnest(ARRAY[
    '', 'funds', 'FUNDS', '"no funds"', 'grüße', '"O''Neil \\ 50%"', '50%', '5_', 'order', 'json', 'curl', 'text', 'broken', 'mail', '"hi"', 'x',
    'severity:error', 'severity:>=warning', 'severity:<error', '-severity:*', 'app:shop', '-app:shop', 'app:s*', 'app:~^s[th]o', 'app:mail',
    'app:>shop', 'message:"no funds"', 'message:gr*', 'message:"gr*"', 'source:till', 'ip:192.0.2.2', 'ip:192.*', 'id:3', 'id:>5', 'status:1', 'status:<1',
    'order.total:5', 'order.total:"5"', 'order.total:5.0', 'order.total:>5', 'order.total:>=5', 'order.total:<501', 'order.total:many', 'order.total:>"5"',
    'order.total:*', '-order.total:*', 'order.total:5*', 'order.total:~^5\d+$', 'paid:true', 'paid:"true"', 'nothing:null', 'nothing:*', 'empty:""', 'empty:*',
    '"service.name":x', 'service.name:x', '@headers.user-agent:curl*', '@loki.labels.app:mail', '@raw:*',
    'shop error', 'app:shop OR app:stock severity:warning', '(app:shop OR app:stock) severity:warning', '-(app:shop OR app:stock)', 'NOT app:shop AND NOT app:stock paid:*'
    ]) WITH ORDINALITY AS q (query, n) ORDER BY n;

-- In pages.
SELECT id, event_timestamp AT TIME ZONE 'UTC' AS time, severity, app, host, message, source, status FROM windtrap.search('', '2026-11-01', '2026-11-02', 2);
SELECT id FROM windtrap.search('', '2026-11-01', '2026-11-02', 2, '2026-11-01 12:08+00', NULL);
SELECT id FROM windtrap.search('', '2026-11-01', '2026-11-02', 2, '2026-11-01 12:06+00', '6');
SELECT id FROM windtrap.search('', before_time => '2026-11-01 12:06+00', before_id => '6', since => NULL, until => NULL, max_rows => NULL);
SELECT count(*) FROM windtrap.search('', '2026-11-02', '2026-11-01');
-- The end is not of it, the beginning is.
SELECT id FROM windtrap.search('', '2026-11-01 12:01+00', '2026-11-01 12:03+00');

-- Over time.
SELECT bucket AT TIME ZONE 'UTC', value, count FROM windtrap.histogram('', '2026-11-01 12:00+00', '2026-11-01 12:12+00', 4);
SELECT bucket AT TIME ZONE 'UTC', value, count FROM windtrap.histogram('app:*', '2026-11-01 12:00+00', '2026-11-01 12:12+00', 2, 'app');
SELECT bucket AT TIME ZONE 'UTC', value, count FROM windtrap.histogram('nowhere', '2026-11-01 12:00+00', '2026-11-01 12:12+00', 2, 'app');
SELECT count(*), min(bucket) = '2026-11-01', sum(count) FROM windtrap.histogram('', '2026-11-01', '2026-11-02', 7);
INSERT INTO log SELECT '2026-10-01', jsonb_build_object('json', jsonb_build_object('n', n)), 0 FROM generate_series(1, 30) n, generate_series(1, n);
SELECT value, count FROM windtrap.histogram('', '2026-10-01', '2026-10-02', 1, 'n');

-- By values.
SELECT * FROM windtrap.top_values('', 'app', '2026-11-01', '2026-11-02');
SELECT * FROM windtrap.top_values('', 'order.total', '2026-11-01', '2026-11-02', 2);
SELECT * FROM windtrap.top_values('severity:>=error', 'severity', '2026-11-01', '2026-11-02');
SELECT * FROM windtrap.top_values('', 'status', '2026-11-01', '2026-11-02');
SELECT * FROM windtrap.top_values('', '@headers.user-agent', '2026-11-01', '2026-11-02');
SELECT * FROM windtrap.top_values('', 'ip', NULL, NULL, 1);

-- What there is; each name is one that a query takes.
INSERT INTO log VALUES ('2026-11-01 13:00+00', '{"json":{"status":500,"two words":1,"q\"\\q":2,"größe":3,"404":4,"":5,"a":{"b.c":6,"d":[1]}}}', 0);
SELECT * FROM windtrap.fields('', '2026-11-01', '2026-11-02');
SELECT name, found(name || ':*') FROM windtrap.fields('', '2026-11-01 13:00+00', '2026-11-02');
SELECT * FROM windtrap.fields('nowhere');

-- An index on data that is used.
CREATE TABLE plain AS SELECT * FROM windtrap.events;
CREATE INDEX ON plain USING gin (data jsonb_path_ops);
SET enable_seqscan = off;
SELECT windtrap.search_sql('order.total:5 OR id:3') AS sql \gset
EXPLAIN (COSTS OFF) SELECT FROM plain WHERE :sql;
SELECT count(*) FROM plain WHERE :sql;
DROP TABLE plain;

DROP FUNCTION found;
DROP TABLE log;
DROP EXTENSION windtrap;
