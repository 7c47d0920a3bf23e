-- windtrap 1.0: what is visible in SQL.  See README.md for how to use it.

\echo Use "CREATE EXTENSION windtrap" to load this file. \quit

-- A member of the extension, which itself is in pg_catalog, so that no DROP SCHEMA of the
-- user's takes it along.  Not IF NOT EXISTS: a schema that somebody else has made is somebody else's.
CREATE SCHEMA windtrap;

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

CREATE FUNCTION windtrap.create_log_table(
    name text DEFAULT 'log',
    time_index text DEFAULT 'brin')
RETURNS regclass
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_create_log_table'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.create_log_table(text, text) IS
'makes a log table of this name, owned by the caller, unless it exists; its index on the time is brin, which costs next to nothing, or btree, which finds the last events at once';

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
'what was to be done: create, delete, drop, or look at what is to be done';
COMMENT ON COLUMN windtrap.upkeep_failures.partition IS 'the partition; null: one that is to be made';
COMMENT ON COLUMN windtrap.upkeep_failures.from_time IS 'the beginning of its time';
COMMENT ON COLUMN windtrap.upkeep_failures.to_time IS 'the end of its time';
COMMENT ON COLUMN windtrap.upkeep_failures.error IS 'why it failed';
COMMENT ON COLUMN windtrap.upkeep_failures.hint IS 'what helps; null: it is only tried again';
COMMENT ON COLUMN windtrap.upkeep_failures.first_time IS 'when it failed first';
COMMENT ON COLUMN windtrap.upkeep_failures.last_time IS 'when it failed last';
COMMENT ON COLUMN windtrap.upkeep_failures.times IS 'how often, in so many rounds one after another';

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
    OUT stdout_error text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_status'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.worker_status() IS
'the rows of the view windtrap.status';

CREATE VIEW windtrap.status AS
SELECT kind, worker, name, pid, database, addresses, port, tls, state, since, last_run,
       next_start, last_error, stdout_error
FROM windtrap.worker_status();

COMMENT ON VIEW windtrap.status IS 'each process that is or should be: how it does, and where it listens';
COMMENT ON COLUMN windtrap.status.kind IS
'launcher (starts the others), worker (receives events), upkeep (partitions and retention) or forwarder';
COMMENT ON COLUMN windtrap.status.worker IS 'the number of a worker, from 1';
COMMENT ON COLUMN windtrap.status.name IS 'the table that a forwarder forwards to';
COMMENT ON COLUMN windtrap.status.pid IS 'its process; null while there is none';
COMMENT ON COLUMN windtrap.status.database IS 'where its events are stored';
COMMENT ON COLUMN windtrap.status.addresses IS 'what it listens on';
COMMENT ON COLUMN windtrap.status.port IS 'the TCP port of these addresses';
COMMENT ON COLUMN windtrap.status.tls IS 'whether these sockets speak TLS';
COMMENT ON COLUMN windtrap.status.state IS
'starting, restarting (it has ended), waiting, waiting for the extension, listening, working, idle, failed (it tries again), stopping, stopped';
COMMENT ON COLUMN windtrap.status.since IS 'when the state began';
COMMENT ON COLUMN windtrap.status.last_run IS 'of the upkeep: when its last round ended';
COMMENT ON COLUMN windtrap.status.next_start IS
'when a process that has ended, or could not be started, is started again';
COMMENT ON COLUMN windtrap.status.last_error IS
'why it cannot do its work, or could not store the last batch; null: it can. Of the launcher also what is wrong with settings in files';
COMMENT ON COLUMN windtrap.status.stdout_error IS
'why it writes no lines to windtrap.stdout; null: it does, or shall not';

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
    OUT stdout_dropped bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_stats'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.worker_stats() IS 'the rows of the view windtrap.stats';

CREATE VIEW windtrap.stats AS
SELECT worker, since, requests, requests_by_code, requests_refused, events_accepted,
       events_quarantined, duplicates, events_refused, bytes_received, bytes_decoded, transactions,
       batch_events_avg, batch_events_max, commit_ms_avg, commit_ms_max, request_ms_avg,
       connections, connections_max, bytes_in_flight, stdout_written, stdout_dropped
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

COMMENT ON FUNCTION windtrap.reset_stats() IS 'sets the counters of windtrap.stats, windtrap.metrics and /metrics to 0; what windtrap.refused remembers stays';

CREATE FUNCTION windtrap.refused_requests(
    OUT "time" timestamptz,
    OUT ip inet,
    OUT method text,
    OUT path text,
    OUT status integer,
    OUT reason text,
    OUT user_agent text,
    OUT detail text,
    OUT times bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 4096
AS 'MODULE_PATHNAME', 'windtrap_refused_requests'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.refused_requests() IS
'the rows of the view windtrap.refused, the newest first';

CREATE VIEW windtrap.refused AS
SELECT "time", ip, method, path, status, reason, user_agent, detail, times
FROM windtrap.refused_requests();

COMMENT ON VIEW windtrap.refused IS
'the last 4,096 requests that were refused with a code of 4xx, the newest first; in memory alone, until the server restarts';
COMMENT ON COLUMN windtrap.refused."time" IS 'when it was refused; of several alike the last one';
COMMENT ON COLUMN windtrap.refused.ip IS
'the client; null on a Unix-domain socket';
COMMENT ON COLUMN windtrap.refused.method IS
'its method, cut to 20 bytes; null where the head could not be read. In this and the other texts bytes that are no printable text, and backslashes, are shown as \xNN';
COMMENT ON COLUMN windtrap.refused.path IS
'its path as it was sent, cut to 200 bytes, without the query string';
COMMENT ON COLUMN windtrap.refused.status IS 'the code that it was answered with';
COMMENT ON COLUMN windtrap.refused.reason IS 'why it was refused, as windtrap.metrics names it';
COMMENT ON COLUMN windtrap.refused.user_agent IS
'its User-Agent, cut to 120 bytes; null where there was none';
COMMENT ON COLUMN windtrap.refused.detail IS
'where a body is wrong: of bad JSON line and column, of several alike those of the last one; null where there is no such place';
COMMENT ON COLUMN windtrap.refused.times IS 'how many alike came soon after each other';

CREATE FUNCTION windtrap.refused_by_client(
    OUT ip inet,
    OUT reason text,
    OUT count bigint,
    OUT first timestamptz,
    OUT last timestamptz)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 1024
AS 'MODULE_PATHNAME', 'windtrap_refused_by_client'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.refused_by_client() IS
'the rows of the view windtrap.refused_clients, the one seen last first';

CREATE VIEW windtrap.refused_clients AS
SELECT ip, reason, count, first, last FROM windtrap.refused_by_client();

COMMENT ON VIEW windtrap.refused_clients IS
'how often each client was refused for each reason, the one seen last first; 1,024 of them at most, of whom those not seen for long are forgotten';
COMMENT ON COLUMN windtrap.refused_clients.ip IS 'the client; null on a Unix-domain socket';
COMMENT ON COLUMN windtrap.refused_clients.reason IS 'why, as windtrap.metrics names it';
COMMENT ON COLUMN windtrap.refused_clients.count IS 'how often, since it was first seen';
COMMENT ON COLUMN windtrap.refused_clients.first IS 'when it was first seen';
COMMENT ON COLUMN windtrap.refused_clients.last IS 'when it was last seen';

-- Digests only: the text of a token is kept nowhere.
CREATE TABLE windtrap.token (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scope text NOT NULL CHECK (scope IN ('ingest', 'read', 'all')),
    source text CHECK (octet_length(source) BETWEEN 1 AND 128),
    origins text[],
    rate integer CHECK (rate > 0),
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz,
    last_used timestamptz,
    revoked timestamptz);

CREATE UNIQUE INDEX token_name_key ON windtrap.token (name) WHERE revoked IS NULL;

COMMENT ON TABLE windtrap.token IS
'who may send and read; made by windtrap.create_token(), seen in windtrap.tokens';
COMMENT ON COLUMN windtrap.token.id IS 'its number, by which workers know it';
COMMENT ON COLUMN windtrap.token.name IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.digest IS 'SHA-256 of the token''s text';
COMMENT ON COLUMN windtrap.token.scope IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.source IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.origins IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.rate IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.created IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.expires IS 'see windtrap.tokens';
COMMENT ON COLUMN windtrap.token.last_used IS 'see windtrap.tokens; written by the workers';
COMMENT ON COLUMN windtrap.token.revoked IS 'see windtrap.tokens';
COMMENT ON SEQUENCE windtrap.token_id_seq IS 'numbers of tokens';

SELECT pg_extension_config_dump('windtrap.token', '');
SELECT pg_extension_config_dump('windtrap.token_id_seq', '');

CREATE FUNCTION windtrap.tokens_changed() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'windtrap_tokens_changed'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.tokens_changed() IS
'trigger: has the workers read the tokens again when the transaction commits';

-- Not when only last_used is written, which the workers do.
CREATE TRIGGER token_changed AFTER INSERT OR DELETE OR TRUNCATE ON windtrap.token
    EXECUTE FUNCTION windtrap.tokens_changed();
CREATE TRIGGER token_updated
    AFTER UPDATE OF name, digest, scope, source, origins, rate, expires, revoked
    ON windtrap.token EXECUTE FUNCTION windtrap.tokens_changed();
-- Also under session_replication_role = replica: else a token would be good for ever that is
-- revoked there.
ALTER TABLE windtrap.token ENABLE ALWAYS TRIGGER token_changed;
ALTER TABLE windtrap.token ENABLE ALWAYS TRIGGER token_updated;

-- With its owner's rights, so that whoever is granted it need not be able to read digests.
CREATE FUNCTION windtrap.create_token(
    name text,
    scope text DEFAULT 'ingest',
    source text DEFAULT NULL,
    origins text[] DEFAULT NULL,
    rate integer DEFAULT NULL,
    expires timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
AS 'MODULE_PATHNAME', 'windtrap_create_token'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.create_token(text, text, text, text[], integer, timestamptz) IS
'makes a token and returns its text, which is shown this once; scope is ingest, read or all, source is stored with its events, origins are the pages that may use it, rate is in requests a second';

CREATE FUNCTION windtrap.revoke_token(name text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE windtrap.token AS t SET revoked = now()
     WHERE t.name = revoke_token.name AND t.revoked IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no token "%s"', revoke_token.name),
            HINT = 'See windtrap.tokens for those that there are.';
    END IF;
END
$$;

COMMENT ON FUNCTION windtrap.revoke_token(text) IS
'has a token let nobody in any more; its name is free again';

CREATE VIEW windtrap.tokens AS
SELECT name,
       CASE WHEN revoked IS NOT NULL THEN 'revoked'
            WHEN expires <= now() THEN 'expired'
            ELSE 'active' END AS state,
       scope, source, origins, rate, created, expires, last_used, revoked
  FROM windtrap.token;

COMMENT ON VIEW windtrap.tokens IS 'the tokens, without anything that would let one in';
COMMENT ON COLUMN windtrap.tokens.name IS 'what it is called; of those in force there is one of a name';
COMMENT ON COLUMN windtrap.tokens.state IS 'active, expired or revoked';
COMMENT ON COLUMN windtrap.tokens.scope IS 'ingest: may send; read: may see how the collector does; all';
COMMENT ON COLUMN windtrap.tokens.source IS 'what is stored as "source" with its events';
COMMENT ON COLUMN windtrap.tokens.origins IS 'the web pages that may use it; null: everybody may';
COMMENT ON COLUMN windtrap.tokens.rate IS 'requests a second that it may send; null: no limit';
COMMENT ON COLUMN windtrap.tokens.created IS 'when it was made';
COMMENT ON COLUMN windtrap.tokens.expires IS 'when it ends by itself; null: never';
COMMENT ON COLUMN windtrap.tokens.last_used IS 'when it was last used, within a minute';
COMMENT ON COLUMN windtrap.tokens.revoked IS 'when it was revoked';

CREATE FUNCTION windtrap.log_table() RETURNS regclass
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_log_table'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.log_table() IS
'the log table that windtrap.table names; null while it does not exist';

CREATE VIEW windtrap.stray_partitions AS
SELECT c.oid::regclass AS name,
       CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS rows,
       pg_table_size(c.oid) AS bytes,
       to_timestamp(d.digits, 'YYYYMMDD')::date AS day
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
    rows bigint)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_adopt_partitions'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.adopt_partitions() IS
'takes the tables of windtrap.stray_partitions back into the log table: attaches those that fit, moves the rows of the others and drops them; for the log table''s owner';

CREATE FUNCTION windtrap.parse_event(raw bytea) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_parse_event'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.parse_event(bytea) IS
'parses JSON as the collector does: {"json": …}, or {"error": …} where it cannot be stored';

CREATE FUNCTION windtrap.quarantined(
    OUT event_timestamp timestamptz,
    OUT id text,
    OUT error text,
    OUT raw text,
    OUT encoding text,
    OUT data jsonb)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_quarantined'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.quarantined() IS 'the rows of the view windtrap.quarantine';

CREATE VIEW windtrap.quarantine AS
SELECT event_timestamp, id, error, raw, encoding, data FROM windtrap.quarantined();

COMMENT ON VIEW windtrap.quarantine IS
'events of the log table that could not be stored as they were sent; seen with the caller''s own rights on it';
COMMENT ON COLUMN windtrap.quarantine.event_timestamp IS 'when the event was received';
COMMENT ON COLUMN windtrap.quarantine.id IS 'the id of the event';
COMMENT ON COLUMN windtrap.quarantine.error IS 'why it could not be stored';
COMMENT ON COLUMN windtrap.quarantine.raw IS 'the event as it was sent';
COMMENT ON COLUMN windtrap.quarantine.encoding IS
'base64 where raw is that, because what was sent is no text';
COMMENT ON COLUMN windtrap.quarantine.data IS 'the whole of the row''s data';

CREATE FUNCTION windtrap.retry_quarantined(
    ids text[] DEFAULT NULL,
    OUT id text,
    OUT error text)
RETURNS SETOF record
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_retry_quarantined'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.retry_quarantined(text[]) IS
'parses events in quarantine (all, or those with these ids) again, after a repair of their raw or of the table, and moves them to status 0; error is why one stays';

CREATE FUNCTION windtrap.retry_quarantined(
    INOUT id text,
    raw text,
    OUT error text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_retry_quarantined'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.retry_quarantined(text, text) IS
'parses raw, a repaired text, in place of the event in quarantine with this id, and moves the event to status 0; error is why it stays as it was';

CREATE FUNCTION windtrap.discard_quarantined(ids text[])
RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_discard_quarantined'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.discard_quarantined(text[]) IS
'deletes the events in quarantine with these ids; gives their number';

-- What is sent again with the same key within windtrap.idempotency_window is not stored again.
-- Not dumped: a dump that comes back is older than the window, or of another server.
CREATE TABLE windtrap.idempotency_key (
    key uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    fingerprint bigint,
    events bigint,
    rejected bigint)
WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000,
      autovacuum_analyze_scale_factor = 0.5);

COMMENT ON TABLE windtrap.idempotency_key IS
'events and requests that came with a key within windtrap.idempotency_window';
COMMENT ON COLUMN windtrap.idempotency_key.key IS
'16 bytes of the SHA-256 of the token''s source, the protocol and the key';
COMMENT ON COLUMN windtrap.idempotency_key.seen_at IS 'when it came first';
COMMENT ON COLUMN windtrap.idempotency_key.fingerprint IS
'of a request: what its body is known again by; null: the key is an event''s';
COMMENT ON COLUMN windtrap.idempotency_key.events IS
'of a request: how many of its events have been stored or rejected';
COMMENT ON COLUMN windtrap.idempotency_key.rejected IS
'of a request: how many of these are in quarantine or were refused';

-- The outbox: what is still to be forwarded, a row for each batch that was committed.  What an
-- id means is said in src/store/outbox.c.

CREATE SEQUENCE windtrap.outbox_id;

COMMENT ON SEQUENCE windtrap.outbox_id IS 'numbers the batches of windtrap.outbox';

CREATE TABLE windtrap.outbox (
    id bigint PRIMARY KEY,
    created timestamptz NOT NULL DEFAULT now(),
    n_events integer NOT NULL,
    bytes integer NOT NULL,
    events bytea NOT NULL)
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
      toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 10000);

-- It is compressed already.
ALTER TABLE windtrap.outbox ALTER COLUMN events SET STORAGE EXTERNAL;
ALTER SEQUENCE windtrap.outbox_id OWNED BY windtrap.outbox.id;

COMMENT ON TABLE windtrap.outbox IS
'batches of events that are still to be forwarded to the tables of windtrap.forward_to';
COMMENT ON COLUMN windtrap.outbox.id IS 'the order in which they are forwarded';
COMMENT ON COLUMN windtrap.outbox.created IS 'when the batch was committed';
COMMENT ON COLUMN windtrap.outbox.n_events IS 'how many events it holds';
COMMENT ON COLUMN windtrap.outbox.bytes IS 'the size of events';
COMMENT ON COLUMN windtrap.outbox.events IS 'the events themselves, compressed by zstd';

CREATE FUNCTION windtrap.number_batch() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_number_batch'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.number_batch() IS
'gives a batch of windtrap.outbox its id, whoever inserts it';

CREATE TRIGGER number_batch BEFORE INSERT ON windtrap.outbox
FOR EACH ROW EXECUTE FUNCTION windtrap.number_batch();
ALTER TABLE windtrap.outbox ENABLE ALWAYS TRIGGER number_batch;

CREATE TABLE windtrap.outbox_position (
    target text PRIMARY KEY,
    id bigint NOT NULL DEFAULT 0,
    part integer,
    delivered bigint NOT NULL DEFAULT 0,
    changed timestamptz NOT NULL DEFAULT now())
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE windtrap.outbox_position IS
'how far each table of windtrap.forward_to, now or before, has got in windtrap.outbox';
COMMENT ON COLUMN windtrap.outbox_position.target IS 'the table, as schema.name';
COMMENT ON COLUMN windtrap.outbox_position.id IS 'the last batch that was forwarded to it';
COMMENT ON COLUMN windtrap.outbox_position.part IS
'how many events of that batch were, where it is not done yet; null: all';
COMMENT ON COLUMN windtrap.outbox_position.delivered IS 'events forwarded to it so far';
COMMENT ON COLUMN windtrap.outbox_position.changed IS 'when that was last';

CREATE TABLE windtrap.dead_letter (
    target text NOT NULL,
    id text NOT NULL,
    event_timestamp timestamptz NOT NULL,
    data jsonb NOT NULL,
    status integer NOT NULL,
    error text NOT NULL,
    tries integer NOT NULL,
    first_try timestamptz NOT NULL DEFAULT now(),
    last_try timestamptz NOT NULL DEFAULT now(),
    next_try timestamptz,
    PRIMARY KEY (target, id));

CREATE INDEX dead_letter_next_try ON windtrap.dead_letter (target, next_try);

COMMENT ON TABLE windtrap.dead_letter IS
'events that a target refuses: those that are to be tried again, and those that were tried often enough';
COMMENT ON COLUMN windtrap.dead_letter.target IS 'the table that refuses it';
COMMENT ON COLUMN windtrap.dead_letter.id IS 'the id of the event';
COMMENT ON COLUMN windtrap.dead_letter.event_timestamp IS 'when the event was received';
COMMENT ON COLUMN windtrap.dead_letter.data IS 'the event and what is known of its request';
COMMENT ON COLUMN windtrap.dead_letter.status IS 'its status when it was stored';
COMMENT ON COLUMN windtrap.dead_letter.error IS 'what the target said the last time';
COMMENT ON COLUMN windtrap.dead_letter.tries IS 'how often it was tried';
COMMENT ON COLUMN windtrap.dead_letter.first_try IS 'when it was refused first';
COMMENT ON COLUMN windtrap.dead_letter.last_try IS 'when it was refused last';
COMMENT ON COLUMN windtrap.dead_letter.next_try IS
'when it will be tried again; null: not before windtrap.redeliver()';

-- Undelivered events are data.  Positions are not: batches are numbered anew where they are
-- restored.
SELECT pg_catalog.pg_extension_config_dump('windtrap.outbox', '');
SELECT pg_catalog.pg_extension_config_dump('windtrap.dead_letter', '');

CREATE FUNCTION windtrap.forwarder_status(
    OUT target text,
    OUT pid integer,
    OUT state text,
    OUT since timestamptz,
    OUT last_error text,
    OUT lag_events bigint,
    OUT lag_seconds double precision,
    OUT delivered bigint,
    OUT dead bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_forwarder_status'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.forwarder_status() IS 'the rows of the view windtrap.forwarding';

CREATE VIEW windtrap.forwarding AS
SELECT target, pid, state, since, last_error, lag_events, lag_seconds, delivered, dead
FROM windtrap.forwarder_status()
UNION ALL
-- Who has taken the last target away must see what nobody will get.
SELECT NULL, NULL, 'no target', min(created), NULL, sum(n_events)::bigint,
       extract(epoch FROM now() - min(created))::double precision, NULL, NULL
  FROM windtrap.outbox
 WHERE NOT EXISTS (SELECT FROM windtrap.forwarder_status())
HAVING count(*) > 0;

COMMENT ON VIEW windtrap.forwarding IS
'each table of windtrap.forward_to: how it does, and how far behind it is; without one, a row for what still waits in the outbox';
COMMENT ON COLUMN windtrap.forwarding.target IS 'the table, as schema.name; null: there is none';
COMMENT ON COLUMN windtrap.forwarding.pid IS 'the process that forwards to it; null while there is none';
COMMENT ON COLUMN windtrap.forwarding.state IS
'starting, waiting for the extension, working, failing (it tries again), stopped; no target';
COMMENT ON COLUMN windtrap.forwarding.since IS 'when the state began';
COMMENT ON COLUMN windtrap.forwarding.last_error IS 'why it fails; null: it does not';
COMMENT ON COLUMN windtrap.forwarding.lag_events IS 'events that it has not got yet';
COMMENT ON COLUMN windtrap.forwarding.lag_seconds IS 'how long the oldest of them has been waiting';
COMMENT ON COLUMN windtrap.forwarding.delivered IS 'events that it has got so far';
COMMENT ON COLUMN windtrap.forwarding.dead IS
'events in windtrap.dead_letter that it refused too often to be tried again';

CREATE FUNCTION windtrap.redeliver(
    target text DEFAULT NULL,
    ids text[] DEFAULT NULL)
RETURNS TABLE (
    to_target text,
    id text)
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- As windtrap.forward_to is read.
    names text[] := parse_ident(redeliver.target);
    name text := CASE cardinality(names)
                 WHEN 1 THEN format('public.%I', names[1])
                 WHEN 2 THEN format('%I.%I', names[1], names[2]) END;
BEGIN
    IF redeliver.target IS NOT NULL AND (name IS NULL
       OR NOT EXISTS (SELECT FROM windtrap.outbox_position AS p WHERE p.target = name)
      AND NOT EXISTS (SELECT FROM windtrap.dead_letter AS d WHERE d.target = name)
      AND NOT EXISTS (SELECT FROM windtrap.forwarder_status() AS f WHERE f.target = name)) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no events are, or were, forwarded to "%s"', redeliver.target),
            HINT = 'See windtrap.forwarding and windtrap.dead_letter for the targets that there are.';
    END IF;
    RETURN QUERY
    UPDATE windtrap.dead_letter AS d
       SET next_try = now(), tries = 0
     WHERE (redeliver.target IS NULL OR d.target = name)
       AND (ids IS NULL OR d.id = ANY (ids))
    RETURNING d.target, d.id;
END
$$;

COMMENT ON FUNCTION windtrap.redeliver(text, text[]) IS
'has dead letters (all, or those for this target, named as in windtrap.forward_to, or with these ids) sent again, each to the target that refused it; gives which';

-- What changes something is the superuser's, and of those whom he grants it.
REVOKE ALL ON FUNCTION windtrap.start() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.stop() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.create_log_table(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.retry_quarantined(text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.retry_quarantined(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.discard_quarantined(text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.upkeep(timestamptz, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.adopt_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.tokens_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.create_token(text, text, text, text[], integer, timestamptz)
    FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.revoke_token(text) FROM PUBLIC;
-- An error can quote what stands in the table.
REVOKE ALL ON FUNCTION windtrap.upkeep_failed() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.worker_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.worker_stats() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.all_metrics() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.reset_stats() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.refused_requests() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.refused_by_client() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.forwarder_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.number_batch() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.redeliver(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.upkeep_failed(), windtrap.worker_status(), windtrap.worker_stats(),
    windtrap.all_metrics(), windtrap.forwarder_status(), windtrap.refused_requests(),
    windtrap.refused_by_client() TO pg_monitor;
GRANT SELECT ON windtrap.upkeep_failures, windtrap.status, windtrap.stats, windtrap.metrics, windtrap.tokens,
    windtrap.forwarding, windtrap.refused, windtrap.refused_clients TO pg_monitor;
GRANT SELECT ON windtrap.quarantine, windtrap.stray_partitions TO PUBLIC;
GRANT USAGE ON SCHEMA windtrap TO PUBLIC;

-- While a dump is being restored, the collector makes nothing that the dump is about to make.
CREATE FUNCTION windtrap.installed() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_installed';
SELECT windtrap.installed();
DROP FUNCTION windtrap.installed();
