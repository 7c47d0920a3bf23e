-- Events, whatever protocol they came by: what every program has, under one name.
--
-- These functions have no search_path of their own, unlike all others: with one a function in C
-- costs many times what it does, and one in SQL becomes no part of the query that calls it.  They
-- look nothing up by it.

CREATE FUNCTION windtrap.severity(data jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_severity';

COMMENT ON FUNCTION windtrap.severity(jsonb) IS
'how bad an event is: trace, debug, info, warning, error or fatal; null where it does not say. For indexes too';

CREATE FUNCTION windtrap.message(data jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_message';

COMMENT ON FUNCTION windtrap.message(jsonb) IS
'the text of an event: its message, whatever that is called; else its JSON. For indexes too';

CREATE FUNCTION windtrap.app(data jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_app';

COMMENT ON FUNCTION windtrap.app(jsonb) IS
'the application or service that an event is of; else the source of its token. For indexes too';

CREATE FUNCTION windtrap.sender_host(data jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_sender_host';

COMMENT ON FUNCTION windtrap.sender_host(jsonb) IS
'the host that an event says it is of; else the address that sent it. For indexes too';

-- The upkeep's process writes it anew when windtrap.table names another table.  As text, so that
-- nothing depends on the table; neither STRICT nor with settings, so that it becomes a part of the
-- query, with the table's indexes and partitions and with the caller's rights.
CREATE FUNCTION windtrap.log_rows()
RETURNS TABLE (event_timestamp timestamptz, data jsonb, status integer)
LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT event_timestamp, data, status FROM public.log';

COMMENT ON FUNCTION windtrap.log_rows() IS
'the rows of the table that windtrap.table names, with the caller''s own rights on it';

CREATE VIEW windtrap.events WITH (security_invoker) AS
SELECT event_timestamp,
       data->>'id' AS id,
       windtrap.severity(data) AS severity,
       windtrap.app(data) AS app,
       windtrap.sender_host(data) AS host,
       windtrap.message(data) AS message,
       data->>'source' AS source,
       data,
       status
  FROM windtrap.log_rows();

COMMENT ON VIEW windtrap.events IS
'the events of the log table, whatever protocol they came by; seen with the caller''s own rights on it';
COMMENT ON COLUMN windtrap.events.event_timestamp IS 'as in the log table';
COMMENT ON COLUMN windtrap.events.id IS 'its id: a UUID, as text';
COMMENT ON COLUMN windtrap.events.severity IS
'trace, debug, info, warning, error or fatal: windtrap.severity(data)';
COMMENT ON COLUMN windtrap.events.app IS 'the application or service: windtrap.app(data)';
COMMENT ON COLUMN windtrap.events.host IS
'the host that it is of, else the address that sent it: windtrap.sender_host(data)';
COMMENT ON COLUMN windtrap.events.message IS 'its text: windtrap.message(data)';
COMMENT ON COLUMN windtrap.events.source IS 'whose token it came with, if that has a source';
COMMENT ON COLUMN windtrap.events.data IS 'as in the log table';
COMMENT ON COLUMN windtrap.events.status IS 'as in the log table';

-- It shows nothing to who may not read the table.
GRANT SELECT ON windtrap.events TO PUBLIC;
