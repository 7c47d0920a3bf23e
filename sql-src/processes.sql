-- The processes: start, stop, and how they do.

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

CREATE FUNCTION windtrap.drain(duration interval) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_drain'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.drain(interval) IS
'for so long takes events as before, while /health is 503 and each answer the last one of its connection, so that a load balancer goes elsewhere; then ends the workers as windtrap.stop()';

CREATE FUNCTION windtrap.worker_status(
    OUT kind text,
    OUT worker integer,
    OUT name text,
    OUT pid integer,
    OUT database text,
    OUT addresses text,
    OUT port integer,
    OUT tls boolean,
    OUT state text,
    OUT since timestamptz,
    OUT last_run timestamptz,
    OUT next_start timestamptz,
    OUT last_error text,
    OUT stdout_error text,
    OUT node text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_status'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.worker_status() IS
'the rows of the view windtrap.status';

CREATE VIEW windtrap.status AS
SELECT kind, worker, name, pid, database, addresses, port, tls, state, since, last_run,
       next_start, last_error, stdout_error, node
FROM windtrap.worker_status();

COMMENT ON VIEW windtrap.status IS 'each process that is or should be: how it does, and where it listens';
COMMENT ON COLUMN windtrap.status.kind IS
'launcher (starts the others), worker (receives events), viewer (shows them), upkeep (partitions and retention), forwarder, alerts (counts what they ask for) or webhooks (posts what they tell)';
COMMENT ON COLUMN windtrap.status.worker IS 'the number of a worker or viewer, from 1';
COMMENT ON COLUMN windtrap.status.name IS 'the table that a forwarder forwards to';
COMMENT ON COLUMN windtrap.status.pid IS 'its process; null while there is none';
COMMENT ON COLUMN windtrap.status.database IS 'where its events are stored';
COMMENT ON COLUMN windtrap.status.addresses IS 'what it listens on';
COMMENT ON COLUMN windtrap.status.port IS 'the TCP port of these addresses';
COMMENT ON COLUMN windtrap.status.tls IS 'whether these sockets speak TLS';
COMMENT ON COLUMN windtrap.status.state IS
'starting, restarting (it has ended), waiting, waiting for the extension, listening, working, idle, failed (it tries again), stopping, stopped';
COMMENT ON COLUMN windtrap.status.since IS 'when the state began';
COMMENT ON COLUMN windtrap.status.last_run IS 'of the upkeep: when its last round ended; of alerts and webhooks: when they last counted, or posted';
COMMENT ON COLUMN windtrap.status.next_start IS
'when a process that has ended, or could not be started, is started again';
COMMENT ON COLUMN windtrap.status.last_error IS
'why it cannot do its work, or could not store the last batch; null: it can. Of the launcher also what is wrong with settings in files';
COMMENT ON COLUMN windtrap.status.stdout_error IS
'why it writes no lines to windtrap.stdout; null: it does, or shall not';
COMMENT ON COLUMN windtrap.status.node IS
'the server that it belongs to: its cluster_name; else the host''s name and the server''s port';

REVOKE ALL ON FUNCTION windtrap.start() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.stop() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.drain(interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.worker_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.worker_status() TO pg_monitor;
GRANT SELECT ON windtrap.status TO pg_monitor;
