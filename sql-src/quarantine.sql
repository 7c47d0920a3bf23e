-- Quarantine: events that were not stored as they are.

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
'parses events in quarantine (all, or those with these ids) again, after a repair of their raw or of the table, and moves them to status 0, rows of another collector to their own; error is why one stays';

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

REVOKE ALL ON FUNCTION windtrap.retry_quarantined(text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.retry_quarantined(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.discard_quarantined(text[]) FROM PUBLIC;
GRANT SELECT ON windtrap.quarantine TO PUBLIC;
