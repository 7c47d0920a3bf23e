-- Who was refused, and why.

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

REVOKE ALL ON FUNCTION windtrap.refused_requests() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.refused_by_client() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.refused_requests(), windtrap.refused_by_client() TO pg_monitor;
GRANT SELECT ON windtrap.refused, windtrap.refused_clients TO pg_monitor;
