-- Upkeep: the partitions of the log table.

CREATE FUNCTION windtrap.upkeep(
    as_of timestamptz DEFAULT now(),
    name text DEFAULT NULL,
    force boolean DEFAULT false)
RETURNS TABLE (
    action text,
    partition text,
    from_time timestamptz,
    to_time timestamptz,
    rows bigint,
    bytes bigint,
    error text)
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_upkeep'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.upkeep(timestamptz, text, boolean) IS
'makes and fills partitions of the log table (windtrap.table, or the one named) and drops old ones, as at the given time; what cannot be done is a row with its error; force: believes the clock, and drops all that is old at once';

CREATE FUNCTION windtrap.upkeep_failed(
    OUT action text,
    OUT partition text,
    OUT from_time timestamptz,
    OUT to_time timestamptz,
    OUT error text,
    OUT hint text,
    OUT first_time timestamptz,
    OUT last_time timestamptz,
    OUT times bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_upkeep_failures'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.upkeep_failed() IS 'the rows of the view windtrap.upkeep_failures';

CREATE VIEW windtrap.upkeep_failures AS
SELECT action, partition, from_time, to_time, error, hint, first_time, last_time, times
FROM windtrap.upkeep_failed();

COMMENT ON VIEW windtrap.upkeep_failures IS
'what the last round of the upkeep could not do, and what helps; empty: nothing';
COMMENT ON COLUMN windtrap.upkeep_failures.action IS
'what was to be done: create, delete, drop, seal, rewrite (a sealed one''s chunks), merge (sealed ones), or look at what is to be done';
COMMENT ON COLUMN windtrap.upkeep_failures.partition IS 'the partition; null: one that is to be made';
COMMENT ON COLUMN windtrap.upkeep_failures.from_time IS 'the beginning of its time';
COMMENT ON COLUMN windtrap.upkeep_failures.to_time IS 'the end of its time';
COMMENT ON COLUMN windtrap.upkeep_failures.error IS 'why it failed';
COMMENT ON COLUMN windtrap.upkeep_failures.hint IS 'what helps; null: it is only tried again';
COMMENT ON COLUMN windtrap.upkeep_failures.first_time IS 'when it failed first';
COMMENT ON COLUMN windtrap.upkeep_failures.last_time IS 'when it failed last';
COMMENT ON COLUMN windtrap.upkeep_failures.times IS 'how often, in so many rounds one after another';

CREATE VIEW windtrap.stray_partitions AS
SELECT c.oid::regclass AS name,
       CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS rows,
       pg_table_size(c.oid) AS bytes,
       to_date(d.digits, 'YYYYMMDD') AS day
  FROM pg_class l
  JOIN pg_class c ON c.relnamespace = l.relnamespace AND c.relowner = l.relowner
 CROSS JOIN LATERAL (
       SELECT substr(c.relname, length(l.relname) + 2) AS suffix) s
 CROSS JOIN LATERAL (
       SELECT CASE WHEN s.suffix ~ '^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])(_\d+)?$'
                     OR s.suffix ~ '^(19|20)\d\d(0[13-9]|1[0-2])(29|30)(_\d+)?$'
                     OR s.suffix ~ '^(19|20)\d\d(0[13578]|1[02])31(_\d+)?$'
                     OR s.suffix ~ '^(19|20)([02468][048]|[13579][26])0229(_\d+)?$' AND s.suffix !~ '^1900'
                   THEN left(s.suffix, 8) END AS digits) d
 WHERE l.oid = windtrap.log_table()
   AND c.relkind = 'r' AND NOT c.relispartition AND c.relpersistence = 'p'
   AND starts_with(c.relname, l.relname || '_')
   AND (d.digits IS NOT NULL OR s.suffix ~ '^default(_\d+)?$')
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
   AND 3 = (SELECT count(*) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname IN ('event_timestamp', 'data', 'status'))
   AND NOT EXISTS (
       SELECT FROM pg_attribute a LEFT JOIN pg_attribute b
           ON b.attrelid = l.oid AND b.attname = a.attname AND b.atttypid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND b.attnum IS NULL);

COMMENT ON VIEW windtrap.stray_partitions IS
'tables with the name, the columns and the owner of partitions of the log table that belong to nothing; windtrap.adopt_partitions() takes them back';
COMMENT ON COLUMN windtrap.stray_partitions.name IS 'the table that belongs to nothing';
COMMENT ON COLUMN windtrap.stray_partitions.rows IS 'PostgreSQL''s estimate; null: it has none';
COMMENT ON COLUMN windtrap.stray_partitions.bytes IS 'its size on disk, without indexes';
COMMENT ON COLUMN windtrap.stray_partitions.day IS 'the day that its name says; null: none';

CREATE FUNCTION windtrap.adopt_partitions()
RETURNS TABLE (
    partition text,
    action text,
    rows bigint,
    error text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_adopt_partitions'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.adopt_partitions() IS
'takes the tables of windtrap.stray_partitions back into the log table: attaches those that fit, moves the rows of the others and drops them; says what was left alone or failed, and why; for the log table''s owner';

REVOKE ALL ON FUNCTION windtrap.upkeep(timestamptz, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.adopt_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.upkeep_failed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.upkeep_failed() TO pg_monitor;
GRANT SELECT ON windtrap.upkeep_failures TO pg_monitor;
GRANT SELECT ON windtrap.stray_partitions TO PUBLIC;
