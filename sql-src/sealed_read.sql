-- Sealed partitions: the wrapper that reads them.

CREATE FUNCTION windtrap.sealed_handler() RETURNS fdw_handler
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'windtrap_sealed_handler'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.sealed_handler() IS 'reads partitions that were sealed';

CREATE FUNCTION windtrap.sealed_validator(options text[], catalog oid) RETURNS void
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'windtrap_sealed_validator'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.sealed_validator(text[], oid) IS
'knows which options sealed partitions have';

REVOKE ALL ON FUNCTION windtrap.sealed_handler() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.sealed_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER windtrap_sealed
    HANDLER windtrap.sealed_handler VALIDATOR windtrap.sealed_validator;

COMMENT ON FOREIGN DATA WRAPPER windtrap_sealed IS
'partitions of the log table that were sealed: their rows are in compressed columns';

CREATE SERVER windtrap_sealed FOREIGN DATA WRAPPER windtrap_sealed;

COMMENT ON SERVER windtrap_sealed IS 'that of all sealed partitions';
