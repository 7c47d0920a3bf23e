-- windtrap 1.0: what is visible in SQL.  See README.md for how to use it.

\echo Use "CREATE EXTENSION windtrap" to load this file. \quit

COMMENT ON SCHEMA windtrap IS 'WindTrap: an event collector inside PostgreSQL';

CREATE FUNCTION windtrap.start() RETURNS text
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_start'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.start() IS
'starts the workers for this database, waits until they listen, and says where';

CREATE FUNCTION windtrap.stop() RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_stop'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.stop() IS
'ends the workers and waits until they are gone; false: there were none';

CREATE FUNCTION windtrap.create_log_table(name text DEFAULT NULL) RETURNS regclass
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_create_log_table'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.create_log_table(text) IS
'makes the log table (windtrap.table, or the one named), owned by the caller, unless it exists';

CREATE FUNCTION windtrap.worker_status(
    OUT worker integer,
    OUT pid integer,
    OUT database text,
    OUT addresses text,
    OUT port integer,
    OUT state text,
    OUT since timestamptz,
    OUT last_error text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_status'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.worker_status() IS
'the rows of the view windtrap.status';

CREATE VIEW windtrap.status AS
SELECT worker, pid, database, addresses, port, state, since, last_error
FROM windtrap.worker_status();

COMMENT ON VIEW windtrap.status IS 'each worker: where it listens, and how it does';
COMMENT ON COLUMN windtrap.status.worker IS 'its number, from 1';
COMMENT ON COLUMN windtrap.status.pid IS 'its process; null while there is none';
COMMENT ON COLUMN windtrap.status.database IS 'where its events are stored';
COMMENT ON COLUMN windtrap.status.addresses IS 'what it listens on';
COMMENT ON COLUMN windtrap.status.port IS 'the TCP port of these addresses';
COMMENT ON COLUMN windtrap.status.state IS
'starting, waiting for the extension, listening, failed (it tries again), stopping';
COMMENT ON COLUMN windtrap.status.since IS 'when the state began';
COMMENT ON COLUMN windtrap.status.last_error IS
'why it cannot listen, or could not store the last batch; null: it can';

CREATE FUNCTION windtrap.counters(
    OUT name text,
    OUT label text,
    OUT label_value text,
    OUT value double precision)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_stats'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.counters() IS 'the rows of the view windtrap.stats';

CREATE VIEW windtrap.stats AS
SELECT name, label, label_value, value FROM windtrap.counters();

COMMENT ON VIEW windtrap.stats IS
'what all workers have counted since the server started or since windtrap.reset_stats(): the numbers of /metrics';
COMMENT ON COLUMN windtrap.stats.name IS 'what is counted; histograms have _bucket, _sum and _count';
COMMENT ON COLUMN windtrap.stats.label IS 'by what it is divided; null: by nothing';
COMMENT ON COLUMN windtrap.stats.label_value IS 'which part this is; of a histogram the upper bound';
COMMENT ON COLUMN windtrap.stats.value IS 'the number';

CREATE FUNCTION windtrap.reset_stats() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_reset_stats'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.reset_stats() IS 'sets the counters of windtrap.stats and /metrics to 0';

-- What changes something is the superuser's, and of those whom he grants it.
REVOKE ALL ON FUNCTION windtrap.start() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.stop() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.create_log_table(text) FROM PUBLIC;
-- An error can quote what stands in the table.
REVOKE ALL ON FUNCTION windtrap.worker_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.counters() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.reset_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.worker_status(), windtrap.counters() TO pg_monitor;
GRANT SELECT ON windtrap.status, windtrap.stats TO pg_monitor;
GRANT USAGE ON SCHEMA windtrap TO PUBLIC;
