-- The log table.

CREATE FUNCTION windtrap.create_log_table(
    name text DEFAULT 'log',
    time_index text DEFAULT 'brin')
RETURNS regclass
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_create_log_table'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.create_log_table(text, text) IS
'makes a log table of this name, owned by the caller, unless it exists; its index on the time is brin, which costs next to nothing, or btree, which finds the last events at once';

CREATE FUNCTION windtrap.log_table() RETURNS regclass
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_log_table'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.log_table() IS
'the log table that windtrap.table names; null while it does not exist';

REVOKE ALL ON FUNCTION windtrap.create_log_table(text, text) FROM PUBLIC;
