-- Sealed partitions: made, undone, shown.

CREATE FUNCTION windtrap.seal(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_seal'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.seal(regclass) IS
'rewrites a partition of a log table into compressed columns, under the same name and the same SQL, and gives the number of its rows; for the table''s owner';

CREATE FUNCTION windtrap.unseal(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_unseal'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.unseal(regclass) IS
'makes a sealed partition an ordinary one again, and gives the number of rows that were in its chunks; for the table''s owner';

CREATE FUNCTION windtrap.erase(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_erase'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.erase(regclass) IS
'rewrites those chunks of a sealed partition of which rows were deleted, so that VACUUM removes their bytes, and gives the number of those rows; the upkeep does it by itself; for the table''s owner';

CREATE FUNCTION windtrap.unsealable(partition regclass) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_unsealable'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.unsealable(regclass) IS
'why a partition cannot be sealed; null: it can';

REVOKE ALL ON FUNCTION windtrap.seal(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.unseal(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.erase(regclass) FROM PUBLIC;
