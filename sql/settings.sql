-- Shows the settings with their defaults and bounds, what is said of a bad value, that
-- they are changed by a reload and by nothing else, and that the prefix is reserved.

LOAD 'windtrap';

SELECT name, setting, unit, context, vartype, min_val, max_val, boot_val
FROM pg_settings WHERE name LIKE 'windtrap.%' ORDER BY name COLLATE "C";

-- Each has its description.
SELECT count(*) FROM pg_settings
WHERE name LIKE 'windtrap.%' AND coalesce(short_desc, '') = '';

-- Addresses: names, IP addresses, "*", paths of sockets.
ALTER SYSTEM SET windtrap.listen_addresses = 'localhost, 127.0.0.1, ::1, fe80::1%eth0, /tmp/wt';
ALTER SYSTEM SET windtrap.listen_addresses = localhost, '10.0.0.1';
ALTER SYSTEM SET windtrap.listen_addresses = '*';
ALTER SYSTEM SET windtrap.listen_addresses = '';
ALTER SYSTEM SET windtrap.listen_addresses = 'localhost,,::1';
ALTER SYSTEM SET windtrap.listen_addresses = 'localhost,';
ALTER SYSTEM SET windtrap.listen_addresses = 'local host';
ALTER SYSTEM SET windtrap.listen_addresses = 'http://localhost';
ALTER SYSTEM SET windtrap.listen_addresses = '[::1]';
ALTER SYSTEM SET windtrap.listen_addresses = '*.example.com';
SELECT format('ALTER SYSTEM SET windtrap.listen_addresses = %L', '/' || repeat('x', 100)) \gexec

-- The table: a name, or a schema and a name, quoted where SQL would have it quoted.
ALTER SYSTEM SET "windtrap.table" = 'events';
ALTER SYSTEM SET "windtrap.table" = 'logs."The Log"';
ALTER SYSTEM SET "windtrap.table" = '';
ALTER SYSTEM SET "windtrap.table" = 'a.b.c';
ALTER SYSTEM SET "windtrap.table" = 'two words';
ALTER SYSTEM SET "windtrap.table" = '"unclosed';
ALTER SYSTEM SET "windtrap.table" = 'events; DROP TABLE events';

-- TLS: files are looked at by the worker, when it uses them.
ALTER SYSTEM SET windtrap.tls_min_version = 'TLSv1.1';
ALTER SYSTEM SET windtrap.tls_min_version = '1.3';
ALTER SYSTEM RESET windtrap.tls_min_version;

-- The database.
ALTER SYSTEM SET windtrap.database = 'Any name, really';
ALTER SYSTEM SET windtrap.database = '';
SELECT format('ALTER SYSTEM SET windtrap.database = %L', repeat('d', 64)) \gexec

-- Headers.
ALTER SYSTEM SET windtrap.store_headers = 'none';
ALTER SYSTEM SET windtrap.store_headers = 'All';
ALTER SYSTEM SET windtrap.store_headers = 'User-Agent, X-Request-Id';
ALTER SYSTEM SET windtrap.store_headers = 'user agent';
ALTER SYSTEM SET windtrap.store_headers = 'user-agent: curl';
ALTER SYSTEM SET windtrap.redact_headers = '';
ALTER SYSTEM SET windtrap.redact_headers = 'X-Secret, X-Session';
ALTER SYSTEM SET windtrap.redact_headers = 'X-Secret=1';
ALTER SYSTEM SET windtrap.redact_headers = 'Ünï';

-- Who may: a mode, lists of origins, of hosts, of addresses.
ALTER SYSTEM SET windtrap.auth = 'password';
ALTER SYSTEM SET windtrap.cors_origins = 'https://a.example, http://b.example:8080, https://*.c.example, http://[::1]:3000, app://x, self, null';
ALTER SYSTEM SET windtrap.cors_origins = '*';
ALTER SYSTEM SET windtrap.cors_origins = 'a.example';
ALTER SYSTEM SET windtrap.cors_origins = 'https://a.example/';
ALTER SYSTEM SET windtrap.cors_origins = 'https://a.example:port';
ALTER SYSTEM SET windtrap.cors_origins = 'https://a*.example';
ALTER SYSTEM SET windtrap.cors_origins = 'https://';
ALTER SYSTEM SET windtrap.allowed_hosts = 'logs.example.com, *.internal';
ALTER SYSTEM SET windtrap.allowed_hosts = 'logs.example.com:8000';
ALTER SYSTEM SET windtrap.allowed_hosts = '*';
ALTER SYSTEM SET windtrap.trusted_proxies = '127.0.0.1, 10.0.0.0/8, ::1, 2001:db8::/32, unix';
ALTER SYSTEM SET windtrap.trusted_proxies = '10.0.0.0/33';
ALTER SYSTEM SET windtrap.trusted_proxies = '10.0.0';
ALTER SYSTEM SET windtrap.trusted_proxies = 'proxy.example.com';
ALTER SYSTEM SET windtrap.trusted_proxies = '10.0.0.0/';
ALTER SYSTEM SET windtrap.trusted_proxies = '::1/129';
-- Where messages are taken, and from whom.
ALTER SYSTEM SET windtrap.syslog_listen = '127.0.0.1:5514, udp://[::1]:5514, tls://localhost, relp://127.0.0.1:2514';
ALTER SYSTEM SET windtrap.syslog_listen = 'ftp://127.0.0.1';
ALTER SYSTEM SET windtrap.syslog_listen = '127.0.0.1:99999';
ALTER SYSTEM SET windtrap.syslog_listen = '127.0.0.1:0';
ALTER SYSTEM SET windtrap.syslog_listen = '127.0.0.1:port';
ALTER SYSTEM SET windtrap.syslog_listen = '[::1';
ALTER SYSTEM SET windtrap.syslog_listen = 'tcp://';
ALTER SYSTEM SET windtrap.syslog_listen = '127.0.0.1,,';
ALTER SYSTEM RESET windtrap.syslog_listen;
ALTER SYSTEM SET windtrap.gelf_listen = 'relp://127.0.0.1';
ALTER SYSTEM SET windtrap.gelf_listen = '127.0.0.1, tcp://127.0.0.1:12202';
ALTER SYSTEM RESET windtrap.gelf_listen;
ALTER SYSTEM SET windtrap.allowed_senders = '10.0.0.0/33';
ALTER SYSTEM SET windtrap.allowed_senders = 'unix';
ALTER SYSTEM SET windtrap.allowed_senders = '';
ALTER SYSTEM RESET windtrap.allowed_senders;
-- Lines: off, on, or an absolute path.
ALTER SYSTEM SET windtrap.stdout = 'on';
ALTER SYSTEM SET windtrap.stdout = '/var/log/windtrap/events.log';
ALTER SYSTEM SET windtrap.stdout = 'events.log';
ALTER SYSTEM SET windtrap.stdout = '/var/log/';
ALTER SYSTEM SET windtrap.stdout = '';
ALTER SYSTEM RESET windtrap.stdout;

-- Messages of the server: a level of its own.
ALTER SYSTEM SET windtrap.server_log = 'warning';
ALTER SYSTEM SET windtrap.server_log = 'loud';
ALTER SYSTEM RESET windtrap.server_log;

-- Numbers: with units, within their bounds.
ALTER SYSTEM SET windtrap.max_body_size = '8MB';
-- (Since 17 the bounds in the message have units.)
\set VERBOSITY sqlstate
ALTER SYSTEM SET windtrap.max_event_size = '64MB';
ALTER SYSTEM SET windtrap.max_inflight = '512kB';
\set VERBOSITY default
ALTER SYSTEM SET windtrap.request_timeout = '5s';
\set VERBOSITY sqlstate
ALTER SYSTEM SET windtrap.request_timeout = '10ms';
ALTER SYSTEM SET windtrap.request_timeout = '2h';
\set VERBOSITY default
ALTER SYSTEM SET windtrap.idempotency_window = '2h';
\set VERBOSITY sqlstate
ALTER SYSTEM SET windtrap.idempotency_window = '-1s';
\set VERBOSITY default
ALTER SYSTEM SET windtrap.port = 0;
ALTER SYSTEM SET windtrap.port = 65536;
ALTER SYSTEM SET windtrap.port = 'http';
ALTER SYSTEM SET windtrap.workers = 0;
ALTER SYSTEM SET windtrap.workers = 17;
ALTER SYSTEM SET windtrap.max_connections = 0;
ALTER SYSTEM SET windtrap.viewer_port = 65536;
ALTER SYSTEM SET windtrap.viewers = 9;
\set VERBOSITY sqlstate
ALTER SYSTEM SET windtrap.viewer_timeout = '10ms';
\set VERBOSITY default

-- Where events are forwarded to: tables, quoted where SQL would have them quoted, and URLs.
ALTER SYSTEM SET windtrap.forward_to = 'events, logs."The, Log",Central.Log, https://central:8000/log ,http://[::1]';
ALTER SYSTEM SET windtrap.forward_to = 'events, public.events';
ALTER SYSTEM SET windtrap.forward_to = 'events,';
ALTER SYSTEM SET windtrap.forward_to = 'a.b.c';
ALTER SYSTEM SET windtrap.forward_to = 'a, "unclosed';
ALTER SYSTEM SET windtrap.forward_to = 'a,b,c,d,e,f,g,h,i';
ALTER SYSTEM SET windtrap.forward_to = 'a, https://central, https://central';
ALTER SYSTEM SET windtrap.forward_to = 'ftp://central/log';
ALTER SYSTEM SET windtrap.forward_to = 'central:8000/log';
ALTER SYSTEM SET windtrap.forward_to = 'https://me:secret@central/log';
ALTER SYSTEM SET windtrap.forward_to = 'https://central/log?token=secret';
ALTER SYSTEM SET windtrap.forward_to = 'https://';
ALTER SYSTEM SET windtrap.forward_to = 'https://central:80000';
ALTER SYSTEM SET windtrap.forward_to = 'https://central:/log';
ALTER SYSTEM SET windtrap.forward_to = 'https://[::1';
ALTER SYSTEM SET windtrap.forward_to = 'https://cen tral/log';
ALTER SYSTEM SET windtrap.forward_to = 'https://central/a b';
ALTER SYSTEM SET windtrap.outbox_max_size = '10GB';
\set VERBOSITY sqlstate
ALTER SYSTEM SET windtrap.outbox_max_size = '-1';
\set VERBOSITY default
ALTER SYSTEM SET windtrap.outbox_full = 'drop_oldest';
ALTER SYSTEM SET windtrap.outbox_full = 'block';
ALTER SYSTEM SET windtrap.postgres = off;

-- What was accepted takes effect by a reload, what was refused has left no trace.
SELECT pg_reload_conf();
\c -
LOAD 'windtrap';
SELECT name, setting, boot_val, pending_restart
FROM pg_settings WHERE name LIKE 'windtrap.%' AND setting <> boot_val
ORDER BY name COLLATE "C";
ALTER SYSTEM RESET windtrap.allowed_hosts;
ALTER SYSTEM RESET windtrap.cors_origins;
ALTER SYSTEM RESET windtrap.database;
ALTER SYSTEM RESET windtrap.forward_to;
ALTER SYSTEM RESET windtrap.idempotency_window;
ALTER SYSTEM RESET windtrap.listen_addresses;
ALTER SYSTEM RESET windtrap.max_body_size;
ALTER SYSTEM RESET windtrap.outbox_full;
ALTER SYSTEM RESET windtrap.outbox_max_size;
ALTER SYSTEM RESET windtrap.postgres;
ALTER SYSTEM RESET windtrap.redact_headers;
ALTER SYSTEM RESET windtrap.request_timeout;
ALTER SYSTEM RESET windtrap.store_headers;
ALTER SYSTEM RESET "windtrap.table";
ALTER SYSTEM RESET windtrap.trusted_proxies;
SELECT pg_reload_conf();
\c -
LOAD 'windtrap';
SELECT count(*) FROM pg_settings WHERE name LIKE 'windtrap.%' AND setting <> boot_val;

-- They are the server's: no session, role or database has its own.
SET windtrap.port = 8001;
SELECT set_config('windtrap.table', 'mine', false);
ALTER ROLE CURRENT_USER SET windtrap.store_headers = 'none';
SELECT format('ALTER DATABASE %I SET windtrap.workers = 2', current_database()) \gexec

-- Not even by setting them before the library is there to look.
\c -
SET windtrap.port = 8001;
LOAD 'windtrap';
SHOW windtrap.port;

-- The prefix is reserved: a misspelt setting is an error, not a silence.
SET windtrap.nonsense = 1;
SHOW windtrap.nonsense;
\c -
SET windtrap.prot = 8001;
LOAD 'windtrap';
SHOW windtrap.prot;
