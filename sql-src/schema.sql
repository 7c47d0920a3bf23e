-- windtrap 1.0: what is visible in SQL.  See README.md for how to use it.

\echo Use "CREATE EXTENSION windtrap" to load this file. \quit

-- Whose things are: what changes something is the superuser's, and of those whom he grants it;
-- what shows how the collector does is pg_monitor's, too, for an error can quote what stands in the
-- table.  The end of each piece says so.

-- A member of the extension, which itself is in pg_catalog, so that no DROP SCHEMA of the
-- user's takes it along.  Not IF NOT EXISTS: a schema that somebody else has made is somebody else's.
CREATE SCHEMA windtrap;

COMMENT ON SCHEMA windtrap IS 'WindTrap: an event collector inside PostgreSQL';
GRANT USAGE ON SCHEMA windtrap TO PUBLIC;
