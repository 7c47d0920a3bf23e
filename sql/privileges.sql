-- Shows who may do what: nothing for everybody, what is granted for whom it is granted,
-- and the view windtrap.status for pg_monitor.

CREATE EXTENSION windtrap;
SELECT windtrap.create_log_table();
CREATE ROLE regress_windtrap_nobody;
CREATE ROLE regress_windtrap_operator;
CREATE ROLE regress_windtrap_monitor IN ROLE pg_monitor;
CREATE ROLE regress_windtrap_reader;

-- An ordinary role.
SET ROLE regress_windtrap_nobody;
SELECT windtrap.start();
SELECT windtrap.stop();
SELECT windtrap.create_log_table();
SELECT windtrap.create_log_table('mine');
SELECT * FROM windtrap.status WHERE kind = 'worker';
SELECT * FROM windtrap.worker_status();
CREATE TABLE windtrap.mine ();
ALTER SYSTEM SET windtrap.port = 18765;
RESET ROLE;

-- A role that is granted what the superuser can do.
GRANT EXECUTE ON FUNCTION windtrap.start(), windtrap.stop() TO regress_windtrap_operator;
ALTER SYSTEM SET windtrap.port = 18765;
ALTER SYSTEM SET windtrap.listen_addresses = '127.0.0.1';
SELECT pg_reload_conf();
\c -
SET ROLE regress_windtrap_operator;
SELECT windtrap.start();
-- To start and stop is not to read, nor to make tables.
SELECT state FROM windtrap.status WHERE kind = 'worker';
SELECT windtrap.create_log_table('mine');
RESET ROLE;

-- Who monitors reads, and no more.
SET ROLE regress_windtrap_monitor;
SELECT worker, addresses, port, state FROM windtrap.status WHERE kind = 'worker';
SELECT state FROM windtrap.worker_status() WHERE kind = 'worker';
SELECT windtrap.stop();
RESET ROLE;

-- The view reads with its reader's rights: it alone does not do.
GRANT SELECT ON windtrap.status TO regress_windtrap_reader;
SET ROLE regress_windtrap_reader;
SELECT state FROM windtrap.status WHERE kind = 'worker';
RESET ROLE;
GRANT EXECUTE ON FUNCTION windtrap.worker_status() TO regress_windtrap_reader;
SET ROLE regress_windtrap_reader;
SELECT state FROM windtrap.status WHERE kind = 'worker';
RESET ROLE;

-- The events are for the table's owner.
SET ROLE regress_windtrap_monitor;
SELECT count(*) FROM log;
RESET ROLE;

SET ROLE regress_windtrap_operator;
SELECT windtrap.stop();
RESET ROLE;
-- What was granted can be taken away.
REVOKE EXECUTE ON FUNCTION windtrap.start() FROM regress_windtrap_operator;
SET ROLE regress_windtrap_operator;
SELECT windtrap.start();
RESET ROLE;

LOAD 'windtrap';
ALTER SYSTEM RESET windtrap.port;
ALTER SYSTEM RESET windtrap.listen_addresses;
SELECT pg_reload_conf();
DROP TABLE log;
DROP EXTENSION windtrap;
DROP ROLE regress_windtrap_nobody, regress_windtrap_operator, regress_windtrap_monitor,
          regress_windtrap_reader;
