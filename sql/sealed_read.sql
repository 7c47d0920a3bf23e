-- Reading sealed partitions: what EXPLAIN says of it, and what is refused.

CREATE SCHEMA sealed_read;
SET search_path = sealed_read, public;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS windtrap;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET max_parallel_workers_per_gather = 0;
CREATE TABLE events (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status integer NOT NULL DEFAULT 0)
  PARTITION BY RANGE (event_timestamp);
CREATE TABLE day PARTITION OF events FOR VALUES FROM ('2026-11-01') TO ('2026-11-02');
INSERT INTO events
  SELECT '2026-11-01'::timestamptz + n * interval '2 s',
    jsonb_build_object('id', lpad(n::text, 8, '0'), 'json', jsonb_build_object('app', 'app' || n % 3,
      'n', n, 'message', 'took ' || n % 1000 || ' ms')),
    n % 5
  FROM generate_series(0, 39999) n;
SELECT windtrap.seal('day');
ANALYZE day;

\set explain 'EXPLAIN (COSTS OFF)'
\pset format unaligned
\pset tuples_only on
-- What versions of PostgreSQL say in different ways is left out.
CREATE FUNCTION run(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
    RETURN NEXT regexp_replace(line, ' \(actual .*\)$', '');
  END LOOP;
END $$;

-- What is made of documents, and which conditions the scan evaluates.
:explain SELECT * FROM day;
:explain SELECT count(*) FROM day WHERE status > 10 OR random() < 0;
:explain SELECT data->'json'->>'app', data->>'id' FROM day WHERE data->'json'->>'message' LIKE '%7 ms';
:explain SELECT data->'json' FROM day WHERE data @> '{"json": {"app": "app1"}}' AND random() >= 0;
:explain SELECT a.event_timestamp FROM events a JOIN events b ON a.data->>'id' = b.data->>'parent' WHERE b.status = 9;
-- Rows by time.
:explain SELECT data->>'id' FROM events ORDER BY event_timestamp DESC LIMIT 3;
:explain SELECT data->>'id' FROM events ORDER BY event_timestamp, status LIMIT 3;
SELECT data->>'id' FROM events ORDER BY event_timestamp DESC LIMIT 3;
-- Chunks that are skipped, and why.
SELECT run($q$SELECT * FROM events WHERE data->>'id' = '00020000'$q$);
SELECT run($q$SELECT * FROM events WHERE event_timestamp < '2026-11-01 01:00' AND data->'json'->>'app' = 'app1'$q$);
SELECT run($q$SELECT * FROM events WHERE data->'json'->>'app' = 'none'$q$);
SELECT run($q$SELECT * FROM events WHERE data->'json'->>'app' BETWEEN 'app3' AND 'app4'$q$);
SELECT run($q$SELECT * FROM events WHERE (data->'json'->>'n')::int >= 39999$q$);
SELECT run($q$SELECT * FROM events WHERE event_timestamp > '2026-11-03'$q$);
SELECT run($q$SELECT event_timestamp FROM day ORDER BY event_timestamp LIMIT 1$q$);

-- What is wrong is said.
ALTER FOREIGN TABLE day OPTIONS (ADD nonsense 'x');
ALTER FOREIGN TABLE day ALTER COLUMN data OPTIONS (ADD nonsense 'x');
ALTER TABLE events ADD COLUMN at timestamptz DEFAULT clock_timestamp();
-- As where it is altered without the extension's event triggers.
ALTER EVENT TRIGGER windtrap_sealed_altered DISABLE;
ALTER TABLE events ADD COLUMN at timestamptz DEFAULT now();
ALTER EVENT TRIGGER windtrap_sealed_altered ENABLE ALWAYS;
SELECT count(*) FROM events WHERE data->'json'->>'app' = 'app1';
SELECT at FROM day LIMIT 1;
ALTER FOREIGN TABLE day ALTER COLUMN at OPTIONS (ADD missing '2026-11-05 00:00+00');
SELECT at FROM day LIMIT 1;
DELETE FROM day_sealed WHERE part > 0 AND chunk = (SELECT max(chunk) FROM day_sealed);
SELECT count(*) FROM events;
SELECT count(*) FROM events WHERE data->'json'->>'message' LIKE '%7 ms' AND event_timestamp < '2026-11-01 01:00';
SELECT count(*) FROM events WHERE data->'json'->>'message' LIKE '%7 ms';
UPDATE day_sealed SET body = overlay(body PLACING '\xff' FROM 30) WHERE chunk = (SELECT min(chunk) FROM day_sealed) AND part = 0;
SELECT count(*) FROM events;

DROP SCHEMA sealed_read CASCADE;
