-- Events from SQL.

CREATE FUNCTION windtrap.emit(event jsonb, severity text DEFAULT 'info') RETURNS uuid
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_emit'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.emit(jsonb, text) IS
'hands an event to the collector, which stores it whatever becomes of the transaction; gives its id';

CREATE FUNCTION windtrap.emit_durably(event jsonb, severity text DEFAULT 'info') RETURNS uuid
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_emit_durably'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.emit_durably(jsonb, text) IS
'the same as windtrap.emit(), and waits until the collector has committed the event';

REVOKE ALL ON FUNCTION windtrap.emit(jsonb, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.emit_durably(jsonb, text) FROM PUBLIC;
