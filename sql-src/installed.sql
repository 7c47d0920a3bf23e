-- While a dump is being restored, the collector makes nothing that the dump is about to make.
CREATE FUNCTION windtrap.installed() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_installed';
SELECT windtrap.installed();
DROP FUNCTION windtrap.installed();
