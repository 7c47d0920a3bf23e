-- windtrap_mongo 1.0: a foreign data wrapper for MongoDB.  See README.md for how to use it.

\echo Use "CREATE EXTENSION windtrap_mongo" to load this file. \quit

CREATE FUNCTION windtrap_mongo_handler() RETURNS fdw_handler
LANGUAGE c STRICT
AS 'MODULE_PATHNAME';

COMMENT ON FUNCTION windtrap_mongo_handler() IS
'what PostgreSQL calls to plan and run queries of foreign tables in MongoDB';

CREATE FUNCTION windtrap_mongo_validator(text[], oid) RETURNS void
LANGUAGE c STRICT
AS 'MODULE_PATHNAME';

COMMENT ON FUNCTION windtrap_mongo_validator(text[], oid) IS
'checks the options of servers, user mappings and foreign tables in MongoDB';

CREATE FOREIGN DATA WRAPPER windtrap_mongo
HANDLER windtrap_mongo_handler
VALIDATOR windtrap_mongo_validator;

COMMENT ON FOREIGN DATA WRAPPER windtrap_mongo IS 'MongoDB, by libmongoc';
