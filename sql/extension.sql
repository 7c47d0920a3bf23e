-- Shows what CREATE EXTENSION brings, that it can be dropped and created again, that the
-- log table is the user's and outlives it, and that the workers start and stop without
-- preload.

CREATE EXTENSION windtrap;

-- What the extension contains, besides the types that come with a view.
SELECT pg_describe_object(classid, objid, 0) COLLATE "C" AS object
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'windtrap')
  AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
ORDER BY object;

-- Every function has a search_path of its own, but those of events, which look nothing up by
-- one and would be slow with it; and none runs with its owner's rights but
-- those that write the tables of tokens and of alerts, which nobody else reads.
SELECT oid::regprocedure AS function, pg_get_function_result(oid) ~ '^TABLE|record' AS rows,
       provolatile AS volatility, proisstrict AS strict, proparallel AS parallel,
       prosecdef AS definer, proconfig AS config
FROM pg_proc
WHERE pronamespace = 'windtrap'::regnamespace
ORDER BY proname COLLATE "C", pronargs DESC;

-- Its schema is a member of it, and it stays there.
SELECT pg_describe_object(classid, objid, objsubid) AS member
FROM pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'windtrap')
  AND classid = 'pg_namespace'::regclass;
ALTER EXTENSION windtrap SET SCHEMA public;

-- A log table is not a member of it, and stays when it goes.
SELECT windtrap.create_log_table('survivor');
INSERT INTO survivor VALUES (now(), '{"json": "still here"}');
SELECT count(*) FROM pg_depend
WHERE deptype = 'e' AND classid = 'pg_class'::regclass
  AND objid IN (SELECT relid FROM pg_partition_tree('survivor'));
DROP EXTENSION windtrap;
SELECT data, status FROM survivor;
SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
WHERE nspname = 'windtrap';

-- It comes back, and finds the table.
CREATE EXTENSION windtrap;
SELECT windtrap.create_log_table('survivor');
SELECT data, status FROM survivor;
DROP TABLE survivor;

-- Workers on a port of their own.  A new connection has what the reload brought.
ALTER SYSTEM SET windtrap.port = 18765;
ALTER SYSTEM SET windtrap.listen_addresses = '127.0.0.1';
SELECT pg_reload_conf();
\c -

-- Nothing runs yet.
SELECT windtrap.stop();
SELECT count(*) FROM windtrap.status WHERE kind = 'worker';

SELECT windtrap.start();
SELECT worker, database = current_database() AS here, addresses, port, state,
       now() - since BETWEEN '-1 minute' AND '1 minute' AS since_now, last_error
FROM windtrap.status WHERE kind = 'worker';
SELECT count(*) FROM windtrap.status JOIN pg_stat_activity a USING (pid)
WHERE kind = 'worker' AND a.datname = current_database() AND a.backend_type = 'windtrap worker';
-- To start again changes nothing.
SELECT pid FROM windtrap.status WHERE kind = 'worker' \gset before_
SELECT windtrap.start();
SELECT pid = :before_pid AS same FROM windtrap.status WHERE kind = 'worker';

-- Stopped means gone.
SELECT windtrap.stop();
SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'windtrap%';
SELECT count(*) FROM windtrap.status WHERE kind = 'worker';
SELECT windtrap.stop();
-- Back again, in the same session.
SELECT windtrap.start();
SELECT windtrap.stop();

-- An address that this machine does not have: the reason, and nothing left behind.
LOAD 'windtrap';
ALTER SYSTEM SET windtrap.listen_addresses = '192.0.2.1';
SELECT pg_reload_conf();
\c -
SELECT windtrap.start();
SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'windtrap%';
SELECT windtrap.stop();

-- The workers cannot see what is not committed.
LOAD 'windtrap';
ALTER SYSTEM SET windtrap.listen_addresses = '127.0.0.1';
SELECT pg_reload_conf();
\c -
DROP EXTENSION windtrap;
BEGIN;
CREATE EXTENSION windtrap;
SELECT windtrap.start();
ROLLBACK;
SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'windtrap%';

LOAD 'windtrap';
ALTER SYSTEM RESET windtrap.port;
ALTER SYSTEM RESET windtrap.listen_addresses;
SELECT pg_reload_conf();
