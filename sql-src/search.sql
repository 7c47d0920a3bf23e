-- To look at events: queries in a language of their own (docs/search.md), and what they find.  All
-- with the caller's rights on the log table.

CREATE FUNCTION windtrap.event_text(data jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_event_text';

COMMENT ON FUNCTION windtrap.event_text(jsonb) IS
'the names and values of an event, a line each: what a search for words looks at. For indexes too';

CREATE FUNCTION windtrap.search_sql(query text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_search_sql'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.search_sql(text) IS
'the condition that a query stands for, to be put behind SELECT … FROM windtrap.events WHERE';

-- The planner is told how many rows there are: 100 unless asked for others.
CREATE FUNCTION windtrap.search(
    query text DEFAULT '',
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT now(),
    max_rows integer DEFAULT 100,
    before_time timestamptz DEFAULT NULL,
    before_id text DEFAULT NULL)
RETURNS TABLE (event_timestamp timestamptz, id text, severity text, app text, host text, message text,
               source text, data jsonb, status integer)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 10000 ROWS 100
AS 'MODULE_PATHNAME', 'windtrap_search'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.search(text, timestamptz, timestamptz, integer, timestamptz, text) IS
'the events that a query finds, newest first, from since on and before until; the next page: with event_timestamp and id of the last row as before_time and before_id';

CREATE FUNCTION windtrap.histogram(
    query text DEFAULT '',
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT now(),
    buckets integer DEFAULT 60,
    by text DEFAULT NULL)
RETURNS TABLE (bucket timestamptz, value text, count bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 10000 ROWS 60
AS 'MODULE_PATHNAME', 'windtrap_histogram'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.histogram(text, timestamptz, timestamptz, integer, text) IS
'how many events a query finds in each of so many spans of time, empty ones too; by a field: for each of its 20 most frequent values, and for the others';

CREATE FUNCTION windtrap.top_values(
    query text,
    field text,
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT now(),
    n integer DEFAULT 10)
RETURNS TABLE (value text, count bigint, share numeric)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 10000 ROWS 10
AS 'MODULE_PATHNAME', 'windtrap_top_values'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.top_values(text, text, timestamptz, timestamptz, integer) IS
'the most frequent values of a field in what a query finds, with their share of all it finds';

-- Names are written as a query takes them: quoted where they are no plain words, with @json where
-- the name alone would be a column.
CREATE FUNCTION windtrap.fields(
    query text DEFAULT '',
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT now())
RETURNS TABLE (name text, share numeric, example text, type text)
LANGUAGE sql STABLE PARALLEL RESTRICTED COST 10000 ROWS 50
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE sample AS MATERIALIZED (
        SELECT row_number() OVER () AS n, e.* FROM windtrap.search(query, since, until, 1000) AS e),
    members (n, name, value, depth) AS (
        SELECT n, 'json', data->'json', 0 FROM sample
        UNION ALL
        SELECT m.n,
               CASE WHEN depth > 0 THEN m.name || '.'
                    WHEN key IN ('severity', 'app', 'host', 'message', 'source', 'ip', 'id', 'status')
                    THEN '@json.'
                    ELSE '' END
               || CASE WHEN key ~ '^[[:alpha:]_][[:alnum:]_/$-]*$' THEN key
                       ELSE '"' || replace(replace(key, chr(92), repeat(chr(92), 2)), '"', chr(92) || '"') || '"' END,
               x.value, depth + 1
          FROM members AS m,
               jsonb_each(CASE jsonb_typeof(m.value) WHEN 'object' THEN m.value ELSE '{}' END) AS x (key, value)
         WHERE depth < 8),
    found (n, name, value, type) AS (
        SELECT n, c.name, c.value, CASE c.name WHEN 'status' THEN 'number' ELSE 'string' END
          FROM sample, LATERAL (VALUES ('severity', severity), ('app', app), ('host', host),
               ('message', message), ('source', source), ('ip', data->>'ip'), ('id', id),
               ('status', status::text)) AS c (name, value)
         WHERE c.value IS NOT NULL
        UNION ALL
        SELECT n, m.name, m.value #>> '{}', jsonb_typeof(m.value)
          FROM members AS m WHERE depth > 0 AND jsonb_typeof(m.value) <> 'object')
    SELECT f.name,
           round(count(DISTINCT n)::numeric / (SELECT count(*) FROM sample), 3),
           left((array_agg(f.value ORDER BY n) FILTER (WHERE f.value IS NOT NULL))[1], 100),
           mode() WITHIN GROUP (ORDER BY f.type)
      FROM found AS f GROUP BY f.name
     ORDER BY 2 DESC, f.name COLLATE "C" LIMIT 500
$$;

COMMENT ON FUNCTION windtrap.fields(text, timestamptz, timestamptz) IS
'the fields of the last 1000 events that a query finds: the share of events that have it, an example, and the type it mostly has';

-- Its last row is no event; it has the cursor.  VOLATILE, since it takes a snapshot of its own.
CREATE FUNCTION windtrap.tail(
    query text DEFAULT '',
    after text DEFAULT NULL,
    max_rows integer DEFAULT 1000)
RETURNS TABLE (event_timestamp timestamptz, id text, severity text, app text, host text, message text,
               source text, data jsonb, status integer, cursor text, skipped bigint,
               skipped_since timestamptz, skipped_until timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10000 ROWS 100
AS 'MODULE_PATHNAME', 'windtrap_tail'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.tail(text, text, integer) IS
'the events that a query finds and that have been committed since a cursor, oldest first; then a row with the next cursor, and what there was no room for';

-- Without a search_path, and as cheap as a comparison: it is asked for each row before what is dear.
CREATE FUNCTION windtrap.tail_row(xmin xid, tableoid oid, ctid tid, event_timestamp timestamptz) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1
AS 'MODULE_PATHNAME', 'windtrap_tail_row';

COMMENT ON FUNCTION windtrap.tail_row(xid, oid, tid, timestamptz) IS
'of windtrap.tail(): whether a row is new; nobody else can call it';

-- Of a table that Citus has distributed: what each node is asked before its shards are read, and what they are asked.
CREATE FUNCTION windtrap.tail_position(after text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_tail_position'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.tail_position(text) IS
'of windtrap.tail(): which transactions have been committed on this node of Citus';

CREATE FUNCTION windtrap.tail_shard_row(xmin xid, tableoid oid, ctid tid, event_timestamp timestamptz, after text, until text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL UNSAFE COST 1
AS 'MODULE_PATHNAME', 'windtrap_tail_shard_row';

COMMENT ON FUNCTION windtrap.tail_shard_row(xid, oid, tid, timestamptz, text, text) IS
'of windtrap.tail(): whether a row of this node of Citus is new';
