/*
 * settings.c
 *		The settings, windtrap.*: what they mean.
 *
 * All but one can be changed by a reload, some by each session.  What is wrong with a bad value is said in
 * settings_checks.c.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/auth_mode.h"
#include "base/compat.h"
#include "base/settings.h"
#include "base/settings_checks.h"

char *wt_database;
int wt_workers;
char *wt_listen_addresses;
int wt_port;
int wt_viewer_port;
int wt_viewers;
int wt_viewer_timeout;
char *wt_syslog_listen;
char *wt_gelf_listen;
char *wt_allowed_senders;
char *wt_tls_cert_file;
char *wt_tls_key_file;
char *wt_tls_ca_file;
int wt_tls_min_version;
char *wt_table;
int wt_max_connections;
int wt_max_connections_per_ip;
bool wt_proxy_protocol;
int wt_max_body_size;
int wt_max_event_size;
int wt_max_batch_events;
int wt_max_clock_skew;
int wt_max_inflight;
int wt_request_timeout;
char *wt_trusted_proxies;
int wt_auth_mode;
char *wt_cors_origins;
char *wt_allowed_hosts;
bool wt_quarantine_single;
int wt_idempotency_window;
bool wt_repair;
int wt_retention_size;
int wt_retention_grace;
bool wt_partitionwise_aggregate;
int wt_partition_width;
char *wt_stdout;
char *wt_forward_ca_file;
char *wt_forward_token_file;
int wt_alert_interval;
int wt_alert_timeout;
char *wt_webhook_ca_file;
char *wt_webhook_token_file;
bool wt_postgres;
int wt_outbox_max_size;
int wt_outbox_full;
int wt_server_log;
bool wt_server_log_statement;
int wt_ring_size;
int wt_emit_timeout;

static char *forward_to;
static const WtTargets *targets;
static char *retention_text;
static const Interval *retention;
static char *seal_after_text;
static const Interval *seal_after;
static char *store_headers;
static char *redact_headers;

static const WtHeaderList *stored_headers;
static const WtHeaderList *redacted_headers;

/* Secrets by their nature; redact_headers adds to these. */
static const char *const secret_headers[] = {"authorization", "cookie",
											 "proxy-authorization", "x-api-key"};

static void
assign_forward_to(const char *newval, void *extra)
{
	targets = extra;
}

const WtTargets *
wt_forward_targets(void)
{
	return targets;
}

const char *
wt_no_destination(void)
{
	if (wt_postgres || targets->n > 0 || wt_stdout_target())
		return NULL;
	return "there is nowhere to send events to: set windtrap.postgres = on, name a "
		   "target in windtrap.forward_to, or set windtrap.stdout";
}

bool
wt_only_stdout(void)
{
	return !wt_postgres && targets->n == 0;
}

static void
assign_retention(const char *newval, void *extra)
{
	retention = extra;
}

const Interval *
wt_retention(void)
{
	return retention;
}

static void
assign_seal_after(const char *newval, void *extra)
{
	seal_after = extra;
}

const Interval *
wt_seal_after(void)
{
	return seal_after;
}

/* What the name of standard output is elsewhere means "on" here, with all that this checks. */
#define DEV_STDOUT "/dev/stdout"

const char *
wt_stdout_target(void)
{
	bool on;

	if (parse_bool(wt_stdout, &on))
		return on ? "" : NULL;
	return strcmp(wt_stdout, DEV_STDOUT) == 0 ? "" : wt_stdout;
}

static void
assign_store_headers(const char *newval, void *extra)
{
	stored_headers = extra;
}

static void
assign_redact_headers(const char *newval, void *extra)
{
	redacted_headers = extra;
}

static bool
list_has(const WtHeaderList *list, const char *name)
{
	for (const char *p = list->names; *p != '\0'; p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

bool
wt_header_is_stored(const char *name)
{
	return stored_headers->all || list_has(stored_headers, name);
}

bool
wt_header_is_redacted(const char *name)
{
	for (int i = 0; i < (int) lengthof(secret_headers); i++)
		if (strcmp(secret_headers[i], name) == 0)
			return true;
	return list_has(redacted_headers, name);
}

static const struct config_enum_entry tls_versions[] = {{"TLSv1.2", 12, false},
														{"TLSv1.3", 13, false},
														{"1.2", 12, true},
														{"1.3", 13, true},
														{NULL, 0, false}};

static const struct config_enum_entry auth_modes[] = {
	{"auto", WT_AUTH_AUTO, false},
	{"token", WT_AUTH_TOKEN, false},
	{"none", WT_AUTH_NONE, false},
	{NULL, 0, false},
};

/* In hours. */
static const struct config_enum_entry partition_widths[] = {
	{"1 day", 24, false},	{"12 hours", 12, false}, {"6 hours", 6, false},
	{"4 hours", 4, false},	{"2 hours", 2, false},	 {"1 hour", 1, false},
	{"24 hours", 24, true}, {NULL, 0, false},
};

static const struct config_enum_entry outbox_full_options[] = {
	{"refuse", WT_OUTBOX_REFUSE, false},
	{"drop_oldest", WT_OUTBOX_DROP_OLDEST, false},
	{NULL, 0, false},
};

/* The server's own, as log_min_messages has them. */
static const struct config_enum_entry message_levels[] = {
	{"off", WT_SERVER_LOG_OFF, false},
	{"debug5", DEBUG5, false},
	{"debug4", DEBUG4, false},
	{"debug3", DEBUG3, false},
	{"debug2", DEBUG2, false},
	{"debug1", DEBUG1, false},
	{"debug", DEBUG2, true},
	{"info", INFO, false},
	{"notice", NOTICE, false},
	{"warning", WARNING, false},
	{"error", ERROR, false},
	{"log", LOG, false},
	{"fatal", FATAL, false},
	{"panic", PANIC, false},
	{NULL, 0, false},
};

void
wt_settings_define(void)
{
	/*
	 * The database whose log table receives the events, when the library is preloaded
	 * by shared_preload_libraries.  windtrap.start() takes the database that it is
	 * called in.
	 */
	DefineCustomStringVariable(
		"windtrap.database", "Database that events are stored in, under preload.", NULL,
		&wt_database, "postgres", PGC_SIGHUP, 0, wt_check_database, NULL, NULL);

	/*
	 * Processes that receive events.  They share the port; each has its own connections
	 * and commits its own batches.  One saturates a small machine.
	 */
	DefineCustomIntVariable("windtrap.workers",
							"Number of processes that receive events.", NULL, &wt_workers,
							1, 1, WT_MAX_WORKERS, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Where to listen: host names, IP addresses, "*" for all of them, absolute paths for
	 * Unix-domain sockets.
	 */
	DefineCustomStringVariable("windtrap.listen_addresses",
							   "Addresses to listen on for events, separated by commas.",
							   NULL, &wt_listen_addresses, "localhost", PGC_SIGHUP,
							   GUC_LIST_INPUT, wt_check_listen_addresses, NULL, NULL);

	/* The TCP port of all those addresses. */
	DefineCustomIntVariable("windtrap.port", "TCP port to listen on for events.", NULL,
							&wt_port, 8000, 1, 65535, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Where to listen for syslog and for GELF: [scheme://]address[:port], the schemes udp and
	 * tcp, of syslog tls and relp too; without one it is both of the first.  Empty: nowhere.
	 */
	DefineCustomStringVariable("windtrap.syslog_listen",
							   "Addresses to listen on for syslog, separated by commas.",
							   NULL, &wt_syslog_listen, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   wt_check_syslog_listen, NULL, NULL);
	DefineCustomStringVariable("windtrap.gelf_listen",
							   "Addresses to listen on for GELF, separated by commas.",
							   NULL, &wt_gelf_listen, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   wt_check_gelf_listen, NULL, NULL);

	/*
	 * Who may send there, as IP addresses and ranges of them: these protocols know no tokens.
	 * What comes from elsewhere is dropped, and counted.
	 */
	DefineCustomStringVariable("windtrap.allowed_senders",
							   "Addresses that may send syslog and GELF.", NULL,
							   &wt_allowed_senders, "127.0.0.0/8, ::1", PGC_SIGHUP,
							   GUC_LIST_INPUT, wt_check_allowed_senders, NULL, NULL);

	/*
	 * The TCP port, of the same addresses, of the page to look at events with; 0: there is
	 * none.  It has processes of its own, which share it, so that who searches keeps no
	 * event waiting.
	 */
	DefineCustomIntVariable("windtrap.viewer_port",
							"TCP port of the page to look at events; 0: there is none.",
							NULL, &wt_viewer_port, 0, 0, 65535, PGC_SIGHUP, 0, NULL, NULL,
							NULL);
	DefineCustomIntVariable("windtrap.viewers",
							"Number of processes that serve the page.", NULL, &wt_viewers,
							2, 1, WT_MAX_VIEWERS, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * How long one statement for the page may take.  Searches are made of many short ones,
	 * so this ends what was not foreseen.
	 */
	DefineCustomIntVariable("windtrap.viewer_timeout",
							"Time that a query of the page may take.", NULL,
							&wt_viewer_timeout, 10 * 1000, 100, 3600 * 1000, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);

	/*
	 * The certificate that the collector shows, with those between it and a root, and its
	 * private key: PEM files, their paths relative to the data directory.  All TCP sockets
	 * speak TLS when they are set, and nothing else.  Every reload reads them anew.
	 */
	DefineCustomStringVariable(
		"windtrap.tls_cert_file", "File of the server's certificate; TLS is on with it.",
		NULL, &wt_tls_cert_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"windtrap.tls_key_file", "File of the private key of the server's certificate.",
		NULL, &wt_tls_key_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Authorities that certificates of clients are verified with.  With it clients are
	 * asked for one; none is fine, an invalid one is refused.
	 */
	DefineCustomStringVariable(
		"windtrap.tls_ca_file", "File of the authorities for certificates of clients.",
		NULL, &wt_tls_ca_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);

	/* The oldest version of TLS that is spoken. */
	DefineCustomEnumVariable("windtrap.tls_min_version", "Minimum version of TLS.", NULL,
							 &wt_tls_min_version, 12, tls_versions, PGC_SIGHUP, 0, NULL,
							 NULL, NULL);

	/*
	 * The table that events are inserted into; it has the columns event_timestamp, data
	 * and status.  A name without a schema is one of schema public.  It is made when it
	 * does not exist.
	 */
	DefineCustomStringVariable("windtrap.table", "Table that events are stored in.", NULL,
							   &wt_table, "log", PGC_SIGHUP, 0, wt_check_table, NULL,
							   NULL);

	/*
	 * Connections that one worker holds open.  Beyond it, idle ones are closed to make
	 * room, and new ones wait in the kernel's queue.
	 */
	DefineCustomIntVariable(
		"windtrap.max_connections", "Maximum number of connections of each worker.", NULL,
		&wt_max_connections, 1000, 1, 100000, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Connections that one worker holds open for one address, of IPv6 for one /64: so that
	 * it takes several to fill the house.  Those of this machine and of trusted proxies,
	 * which speak for many, are not counted.
	 */
	DefineCustomIntVariable(
		"windtrap.max_connections_per_ip",
		"Maximum number of connections of one address to each worker.", NULL,
		&wt_max_connections_per_ip, 256, 0, 100000, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Whether connections from windtrap.trusted_proxies begin with a header of the PROXY
	 * protocol, which says who the client is; then all of theirs must.
	 */
	DefineCustomBoolVariable("windtrap.proxy_protocol",
							 "Expect the PROXY protocol from trusted proxies.", NULL,
							 &wt_proxy_protocol, false, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/* The largest body of a request; larger ones are answered 413. */
	DefineCustomIntVariable("windtrap.max_body_size", "Maximum size of a request's body.",
							NULL, &wt_max_body_size, 16 * 1024 * 1024, 1024,
							512 * 1024 * 1024, PGC_SIGHUP, GUC_UNIT_BYTE, NULL, NULL,
							NULL);

	/*
	 * The largest single event.  Its upper bound keeps an event's jsonb, which can be
	 * six times as long as its JSON, within what jsonb can hold (256 MB).
	 */
	DefineCustomIntVariable("windtrap.max_event_size", "Maximum size of an event.", NULL,
							&wt_max_event_size, 1024 * 1024, 1024, 32 * 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_BYTE, NULL, NULL, NULL);

	/*
	 * The most events of one request; larger batches are answered 413.  Each event is
	 * stored with what is known of its request, so without a limit a small body of many
	 * tiny events would become very many large rows.
	 */
	DefineCustomIntVariable(
		"windtrap.max_batch_events", "Maximum number of events in a request.", NULL,
		&wt_max_batch_events, 200000, 1, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"windtrap.max_clock_skew",
		"How far in the future the time that an event brings may lie.",
		"One that lies farther is stored with the time at which it was received.",
		&wt_max_clock_skew, 3600, 0, 366 * 86400, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL,
		NULL);

	/*
	 * The memory that bodies of requests may take at one time in one worker, received
	 * or half received.  Beyond it requests wait, for a second, and are then answered 503.
	 */
	DefineCustomIntVariable("windtrap.max_inflight",
							"Maximum memory of the request bodies in each worker.", NULL,
							&wt_max_inflight, 64 * 1024, 1024, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_KB, NULL, NULL, NULL);

	/*
	 * The time from a request's first line to its answer, and from a connection's
	 * beginning to its first request.  It is absolute: a sender that sends a byte now
	 * and then does not extend it.
	 */
	DefineCustomIntVariable("windtrap.request_timeout",
							"Time that a request may take until it is answered.", NULL,
							&wt_request_timeout, 30 * 1000, 1000, 3600 * 1000, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);

	/*
	 * Who needs a token.  auto: all but clients on this machine, and these too from the
	 * first token on; token: all; none: nobody.
	 */
	DefineCustomEnumVariable("windtrap.auth", "Who needs a token to send events.", NULL,
							 &wt_auth_mode, WT_AUTH_AUTO, auth_modes, PGC_SIGHUP, 0, NULL,
							 NULL, NULL);

	/*
	 * Web pages that may send: their origins, as https://app.example.com, a star for any
	 * labels before a domain, "self" for pages from the same host and port, "null" for
	 * those without an origin, "*" for all.
	 */
	DefineCustomStringVariable("windtrap.cors_origins",
							   "Origins of the web pages that may send events.", NULL,
							   &wt_cors_origins, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   wt_check_cors_origins, NULL, NULL);

	/*
	 * Host names that requests may be addressed to.  Empty: any, but on this machine's own
	 * addresses those who bring no token must name localhost or an address.
	 */
	DefineCustomStringVariable("windtrap.allowed_hosts",
							   "Host names that requests may be addressed to.", NULL,
							   &wt_allowed_hosts, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   wt_check_allowed_hosts, NULL, NULL);

	/*
	 * Reverse proxies in front, as IP addresses and ranges of them.  What they say of the
	 * client that they speak for is believed; of others it is not.
	 */
	DefineCustomStringVariable(
		"windtrap.trusted_proxies",
		"Addresses of reverse proxies whose word on the client's address is taken.", NULL,
		&wt_trusted_proxies, "", PGC_SIGHUP, GUC_LIST_INPUT, wt_check_trusted_proxies,
		NULL, NULL);

	/*
	 * Events of a batch that cannot be stored as they are always go into quarantine, rows
	 * of status 422.  Whether those that are sent alone, and are answered 400, 413 or 422,
	 * go there too.
	 */
	DefineCustomBoolVariable("windtrap.quarantine_single",
							 "Quarantine also events that are refused one by one.", NULL,
							 &wt_quarantine_single, false, PGC_SIGHUP, 0, NULL, NULL,
							 NULL);

	/*
	 * What is sent again with the same key within this time is not stored again: a request
	 * by its Idempotency-Key, an event by the key that its protocol has for it.  0: keys are
	 * not looked at.
	 */
	DefineCustomIntVariable("windtrap.idempotency_window",
							"Time for which events with a key are stored only once.",
							NULL, &wt_idempotency_window, 86400, 0, INT_MAX / 2,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * Whether events are stored that hold what PostgreSQL's text cannot: NULs, lone
	 * surrogates, bytes that are no UTF-8.  U+FFFD takes the place of each, and "repaired"
	 * in the row's data says so.
	 */
	DefineCustomBoolVariable(
		"windtrap.repair", "Store events with U+FFFD for what cannot be stored in them.",
		NULL, &wt_repair, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * How long events are kept.  Partitions whose whole time is older are dropped, and
	 * older events in the default partition deleted.  Empty: for ever.
	 */
	DefineCustomStringVariable("windtrap.retention", "Time that events are kept for.",
							   NULL, &retention_text, "", PGC_SIGHUP, 0,
							   wt_check_retention, assign_retention, NULL);

	/*
	 * The size that the log table may have, with its indexes.  Beyond it partitions are
	 * dropped, the oldest first, but neither today's nor later ones.  0: no limit.  In
	 * MB, since in kB it could not be more than 2 TB.
	 */
	DefineCustomIntVariable("windtrap.retention_size",
							"Size of the log table beyond which its oldest partitions "
							"are dropped.",
							NULL, &wt_retention_size, 0, 0, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_MB, NULL, NULL, NULL);

	/*
	 * A clock that has jumped ahead, or that nothing vouches for after a start, makes
	 * nothing old until events have come in by it for so long.  0: one event is enough.
	 */
	DefineCustomIntVariable("windtrap.retention_grace",
							"Time for which events must have come in before a clock "
							"that has jumped makes older ones be dropped.",
							NULL, &wt_retention_grace, 3600, 0, INT_MAX / 2, PGC_SIGHUP,
							GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * How long a partition's time must be over before it is sealed: rewritten into compressed
	 * columns, which take a fraction of its bytes.  Empty: none is.
	 */
	DefineCustomStringVariable("windtrap.seal_after",
							   "Time after which a partition that is over is sealed.",
							   NULL, &seal_after_text, "1 day", PGC_SIGHUP, 0,
							   wt_check_seal_after, assign_seal_after, NULL);

	/*
	 * How much time the partitions that are made cover.  Those of parts of a day are sealed
	 * one by one, and made one when all of that day's are.
	 */
	DefineCustomEnumVariable(
		"windtrap.partition_width", "Time that a partition of the log table covers.",
		NULL, &wt_partition_width, 24, partition_widths, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Whether a query that aggregates rows of sealed partitions is planned as if
	 * enable_partitionwise_aggregate were on: they are then aggregated where their chunks are
	 * read.  Off, that setting alone decides.
	 */
	DefineCustomBoolVariable(
		"windtrap.partitionwise_aggregate",
		"Aggregate by partition in queries that read sealed partitions.", NULL,
		&wt_partitionwise_aggregate, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);

	/* Headers that are stored with an event: "all", "none", or a list of names. */
	DefineCustomStringVariable(
		"windtrap.store_headers",
		"Request headers stored with each event: all, none, or a list.", NULL,
		&store_headers, "all", PGC_SIGHUP, GUC_LIST_INPUT, wt_check_store_headers,
		assign_store_headers, NULL);

	/*
	 * Headers that are stored as "[redacted]", beside authorization, cookie,
	 * proxy-authorization and x-api-key, which always are.
	 */
	DefineCustomStringVariable("windtrap.redact_headers",
							   "Further request headers stored without their value.",
							   NULL, &redact_headers, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   wt_check_redact_headers, assign_redact_headers, NULL);

	/*
	 * Whether each committed event is also written as a line of JSON: to the server's
	 * standard output, or to the fifo or file at an absolute path, which the server's
	 * operating system user opens; so who may set this can have lines appended to any
	 * file of that user's.
	 */
	DefineCustomStringVariable(
		"windtrap.stdout",
		"Write events also to standard output: off, on, or the path of a fifo or file.",
		NULL, &wt_stdout, "off", PGC_SIGHUP, GUC_SUPERUSER_ONLY, wt_check_stdout, NULL,
		NULL);

	/*
	 * Whether events become rows of windtrap.table.  Without it they are only forwarded,
	 * and durable in the outbox until they are.
	 */
	DefineCustomBoolVariable("windtrap.postgres", "Store events in the log table.", NULL,
							 &wt_postgres, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * What events are forwarded to: tables as schema.name, foreign ones of any wrapper or
	 * ordinary ones, and other WindTraps as the URLs of theirs that take events.  Each gets
	 * them from the outbox by a process of its own.
	 */
	DefineCustomStringVariable(
		"windtrap.forward_to",
		"Tables and URLs that events are forwarded to, separated by commas.", NULL,
		&forward_to, "", PGC_SIGHUP, GUC_LIST_INPUT, wt_check_forward_to,
		assign_forward_to, NULL);

	/*
	 * For those URLs, paths relative to the data directory: the authorities that their
	 * certificates are verified with (PEM; empty: those of the system), and the tokens that
	 * are shown to them (see client/token.h; empty: none).  Reloads read them anew.
	 */
	DefineCustomStringVariable(
		"windtrap.forward_ca_file",
		"File of the authorities for certificates of windtrap.forward_to.", NULL,
		&wt_forward_ca_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"windtrap.forward_token_file",
		"File of the token that is shown to the URLs of windtrap.forward_to.", NULL,
		&wt_forward_token_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);

	/* How often each alert's query is counted, and how long that may take. */
	DefineCustomIntVariable("windtrap.alert_interval",
							"Time between two evaluations of an alert.", NULL,
							&wt_alert_interval, 60000, 100, 3600000, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"windtrap.alert_timeout", "Time that the query of an alert may take.", NULL,
		&wt_alert_timeout, 10000, 100, 600000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	/* For the webhooks of alerts, as the two of windtrap.forward_to. */
	DefineCustomStringVariable("windtrap.webhook_ca_file",
							   "File of the authorities for certificates of webhooks.",
							   NULL, &wt_webhook_ca_file, "", PGC_SIGHUP, 0, NULL, NULL,
							   NULL);
	DefineCustomStringVariable(
		"windtrap.webhook_token_file", "File of the token that is shown to webhooks.",
		NULL, &wt_webhook_token_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * The size that the outbox may have, that is, the compressed events of the batches
	 * which some target has not got yet.  0: no limit.
	 */
	DefineCustomIntVariable(
		"windtrap.outbox_max_size", "Size of the events that wait to be forwarded.", NULL,
		&wt_outbox_max_size, 1024, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);

	/*
	 * Beyond it: refuse says 503 to new events, drop_oldest deletes the oldest batches,
	 * which targets that are behind then never get.
	 */
	DefineCustomEnumVariable("windtrap.outbox_full",
							 "What happens to events while the outbox is full.", NULL,
							 &wt_outbox_full, WT_OUTBOX_REFUSE, outbox_full_options,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * From which level on messages of the server's log become events too; its order is that of
	 * log_min_messages, which decides what there is of them.  Needs preload.
	 */
	DefineCustomEnumVariable("windtrap.server_log",
							 "Level from which on the server's messages become events.",
							 NULL, &wt_server_log, WT_SERVER_LOG_OFF, message_levels,
							 PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);

	/* Whether with the statement that caused them, which may hold a password. */
	DefineCustomBoolVariable(
		"windtrap.server_log_statement",
		"Store the server's messages with the statement that caused them.", NULL,
		&wt_server_log_statement, false, PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL,
		NULL);

	/*
	 * The memory for events of the server's own processes until the worker has stored them.  Without
	 * preload it is got when the first process needs it.
	 */
	DefineCustomIntVariable(
		"windtrap.ring_size",
		"Memory for emitted events and messages that wait to be stored.", NULL,
		&wt_ring_size, 4096, 64, 1024 * 1024,
		process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
		GUC_UNIT_KB, NULL, NULL, NULL);

	/* How long windtrap.emit() waits while that is full; 0: not at all. */
	DefineCustomIntVariable("windtrap.emit_timeout",
							"Time that emitting waits for memory that is full.", NULL,
							&wt_emit_timeout, 5000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("windtrap");
}
