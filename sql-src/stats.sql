-- What the workers have counted.

CREATE FUNCTION windtrap.worker_stats(
    OUT worker integer,
    OUT since timestamptz,
    OUT requests bigint,
    OUT requests_by_code jsonb,
    OUT requests_refused jsonb,
    OUT events_accepted bigint,
    OUT events_quarantined bigint,
    OUT duplicates bigint,
    OUT events_refused jsonb,
    OUT bytes_received bigint,
    OUT bytes_decoded bigint,
    OUT transactions bigint,
    OUT batch_events_avg double precision,
    OUT batch_events_max bigint,
    OUT commit_ms_avg double precision,
    OUT commit_ms_max double precision,
    OUT request_ms_avg double precision,
    OUT connections bigint,
    OUT connections_max bigint,
    OUT bytes_in_flight bigint,
    OUT stdout_written bigint,
    OUT stdout_dropped bigint,
    OUT messages_dropped jsonb)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_stats'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.worker_stats() IS 'the rows of the view windtrap.stats';

CREATE VIEW windtrap.stats AS
SELECT worker, since, requests, requests_by_code, requests_refused, events_accepted,
       events_quarantined, duplicates, events_refused, bytes_received, bytes_decoded, transactions,
       batch_events_avg, batch_events_max, commit_ms_avg, commit_ms_max, request_ms_avg,
       connections, connections_max, bytes_in_flight, stdout_written, stdout_dropped,
       messages_dropped
FROM windtrap.worker_stats();

COMMENT ON VIEW windtrap.stats IS
'what each worker has counted since the server started or since windtrap.reset_stats()';
COMMENT ON COLUMN windtrap.stats.worker IS 'its number, from 1';
COMMENT ON COLUMN windtrap.stats.since IS 'when counting began';
COMMENT ON COLUMN windtrap.stats.requests IS 'requests answered';
COMMENT ON COLUMN windtrap.stats.requests_by_code IS 'the same by the code of the answer';
COMMENT ON COLUMN windtrap.stats.requests_refused IS 'requests not answered with success, by reason';
COMMENT ON COLUMN windtrap.stats.events_accepted IS 'events committed';
COMMENT ON COLUMN windtrap.stats.events_quarantined IS 'events committed into quarantine';
COMMENT ON COLUMN windtrap.stats.duplicates IS
'events that were sent again with their key, and were stored already';
COMMENT ON COLUMN windtrap.stats.events_refused IS
'events of batches that could not be stored as they were, by reason';
COMMENT ON COLUMN windtrap.stats.bytes_received IS 'bytes of request bodies received';
COMMENT ON COLUMN windtrap.stats.bytes_decoded IS 'bytes of request bodies decoded, after inflation';
COMMENT ON COLUMN windtrap.stats.transactions IS 'transactions that stored events';
COMMENT ON COLUMN windtrap.stats.batch_events_avg IS 'events in a transaction, on average';
COMMENT ON COLUMN windtrap.stats.batch_events_max IS 'the most events in a transaction';
COMMENT ON COLUMN windtrap.stats.commit_ms_avg IS
'milliseconds that a transaction took, with its commit, on average';
COMMENT ON COLUMN windtrap.stats.commit_ms_max IS 'the longest of them';
COMMENT ON COLUMN windtrap.stats.request_ms_avg IS
'milliseconds from a request''s first line to its answer, on average';
COMMENT ON COLUMN windtrap.stats.connections IS 'connections that are open';
COMMENT ON COLUMN windtrap.stats.connections_max IS 'the most that were open at one time';
COMMENT ON COLUMN windtrap.stats.bytes_in_flight IS 'bytes of request bodies in memory';
COMMENT ON COLUMN windtrap.stats.stdout_written IS
'events written as lines to windtrap.stdout';
COMMENT ON COLUMN windtrap.stats.stdout_dropped IS
'events committed and not written to windtrap.stdout, since nobody read it, or not fast enough';

COMMENT ON COLUMN windtrap.stats.messages_dropped IS
'messages and connections of syslog, RELP and GELF that were dropped, by reason';

CREATE FUNCTION windtrap.worker_intakes(
    OUT worker integer,
    OUT intake text,
    OUT addresses text,
    OUT state text,
    OUT last_error text,
    OUT connections bigint,
    OUT received bigint,
    OUT stored bigint,
    OUT dropped bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_intakes'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.worker_intakes() IS 'the rows of the view windtrap.intakes';

CREATE VIEW windtrap.intakes AS
SELECT worker, intake, addresses, state, last_error, connections, received, stored, dropped
FROM windtrap.worker_intakes();

COMMENT ON VIEW windtrap.intakes IS
'where each worker listens for syslog, RELP and GELF, and what it has counted there since the server started or since windtrap.reset_stats()';
COMMENT ON COLUMN windtrap.intakes.worker IS 'its number, from 1';
COMMENT ON COLUMN windtrap.intakes.intake IS
'syslog_udp, syslog_tcp, syslog_tls, relp, gelf_udp or gelf_tcp';
COMMENT ON COLUMN windtrap.intakes.addresses IS 'what it listens on by this way';
COMMENT ON COLUMN windtrap.intakes.state IS
'listening, failed (not on all addresses that the settings name; it tries again), stopped';
COMMENT ON COLUMN windtrap.intakes.last_error IS 'why it does not listen on one of them; null: it does';
COMMENT ON COLUMN windtrap.intakes.connections IS 'connections that are open; null: there are none by UDP';
COMMENT ON COLUMN windtrap.intakes.received IS
'messages taken; of RELP also those that are not answered, and so are sent again';
COMMENT ON COLUMN windtrap.intakes.stored IS 'messages committed, into quarantine too';
COMMENT ON COLUMN windtrap.intakes.dropped IS
'messages dropped and connections turned away; windtrap.stats has the reasons';

CREATE FUNCTION windtrap.all_metrics(
    OUT name text,
    OUT label text,
    OUT label_value text,
    OUT value double precision)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_metrics'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.all_metrics() IS 'the rows of the view windtrap.metrics';

CREATE VIEW windtrap.metrics AS
SELECT name, label, label_value, value FROM windtrap.all_metrics();

COMMENT ON VIEW windtrap.metrics IS 'the numbers of /metrics: those of all workers together';
COMMENT ON COLUMN windtrap.metrics.name IS
'what is counted; histograms have _bucket, _sum and _count';
COMMENT ON COLUMN windtrap.metrics.label IS 'by what it is divided; null: by nothing';
COMMENT ON COLUMN windtrap.metrics.label_value IS
'which part this is; of a histogram the upper bound';
COMMENT ON COLUMN windtrap.metrics.value IS 'the number';

CREATE FUNCTION windtrap.reset_stats() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_reset_stats'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.reset_stats() IS 'sets the counters of windtrap.stats, windtrap.intakes, windtrap.metrics and /metrics to 0; what windtrap.refused remembers stays';

REVOKE ALL ON FUNCTION windtrap.worker_stats() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.worker_intakes() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.all_metrics() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.reset_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.worker_stats(), windtrap.worker_intakes(), windtrap.all_metrics()
TO pg_monitor;
GRANT SELECT ON windtrap.stats, windtrap.intakes, windtrap.metrics TO pg_monitor;
