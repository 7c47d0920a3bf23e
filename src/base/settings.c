/*
 * settings.c
 *		The settings, windtrap.*: what they mean, and what is wrong with a bad value.
 *
 * All of them can be changed by a reload.  Check hooks must not raise: they run in the
 * postmaster too.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/auth_mode.h"
#include "base/cidr.h"
#include "base/compat.h"
#include "base/list.h"
#include "base/origins.h"
#include "base/settings.h"

char *wt_database;
int wt_workers;
char *wt_listen_addresses;
int wt_port;
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
char *wt_stdout;
bool wt_postgres;
int wt_outbox_max_size;
int wt_outbox_full;

static const struct config_enum_entry outbox_full_options[] = {
	{"refuse", WT_OUTBOX_REFUSE, false},
	{"drop_oldest", WT_OUTBOX_DROP_OLDEST, false},
	{NULL, 0, false},
};

static char *forward_to;
static const WtTargets *targets;
static const struct config_enum_entry tls_versions[] = {{"TLSv1.2", 12, false},
														{"TLSv1.3", 13, false},
														{"1.2", 12, true},
														{"1.3", 13, true},
														{NULL, 0, false}};

static char *retention_text;
static const Interval *retention;
static char *store_headers;
static char *redact_headers;

/*
 * A list of headers, made by the check hooks: names in lower case, one after the other,
 * each with its NUL; an empty name ends the list.
 */
typedef struct HeaderList
{
	bool all; /* every header, whatever the names */
	char names[FLEXIBLE_ARRAY_MEMBER];
} HeaderList;

static const HeaderList *stored_headers;
static const HeaderList *redacted_headers;

/* Secrets by their nature; redact_headers adds to these. */
static const char *const secret_headers[] = {"authorization", "cookie",
											 "proxy-authorization", "x-api-key"};

static bool
check_listen_addresses(char **newval, void **extra, GucSource source)
{
	const char *p = *newval;
	const char *p_colon;
	const char *item;
	size_t n;

	while (wt_list_next(&p, &item, &n))
	{
		if (n == 0)
		{
			GUC_check_errdetail(
				"An address is missing: the list is empty, or has a comma "
				"too many.");
			return false;
		}
		if (item[0] == '/')
		{
			if (n > 100)
			{
				GUC_check_errdetail(
					"The path of a Unix-domain socket can have at most 100 "
					"bytes: \"%.*s\".",
					(int) n, item);
				return false;
			}
			continue;
		}
		for (size_t i = 0; i < n; i++)
		{
			if (!isalnum((unsigned char) item[i]) && !strchr("*.:-_%", item[i]))
			{
				GUC_check_errdetail("\"%.*s\" is not a host name, an IP address without "
									"port, an absolute path or \"*\".",
									(int) n, item);
				return false;
			}
		}
		/* One colon makes a port; an IPv6 address has two at least. */
		p_colon = memchr(item, ':', n);
		if (p_colon && !memchr(p_colon + 1, ':', n - (size_t) (p_colon - item) - 1))
		{
			GUC_check_errdetail(
				"The port is not part of an address, it is windtrap.port: "
				"\"%.*s\".",
				(int) n, item);
			return false;
		}
		if (memchr(item, '*', n) && n != 1)
		{
			GUC_check_errdetail("\"*\" stands alone, for all addresses: \"%.*s\".",
								(int) n, item);
			return false;
		}
	}
	return true;
}

static bool
check_table(char **newval, void **extra, GucSource source)
{
	char *copy = pstrdup(*newval);
	List *names;
	bool ok = SplitIdentifierString(copy, '.', &names) &&
			  (list_length(names) == 1 || list_length(names) == 2);

	if (!ok)
		GUC_check_errdetail("It names a table, as \"name\" or \"schema.name\".");
	else if (list_length(names) == 2 && strcmp(linitial(names), "pg_temp") == 0)
	{
		GUC_check_errdetail("A log table cannot be temporary.");
		ok = false;
	}
	pfree(copy);
	return ok;
}

/* Gives the end of the item of a list that begins at p: a comma outside of quotes, or the NUL. */
static const char *
end_of_name(const char *p)
{
	bool quoted = false;

	for (; *p != '\0'; p++)
	{
		if (*p == '"')
			quoted = !quoted;
		else if (*p == ',' && !quoted)
			break;
	}
	return p;
}

/* Adds the table that a text names to the list; false: why not is said. */
static bool
add_target(WtTargets *list, char *text)
{
	List *names;
	const char *name;

	if (!SplitIdentifierString(text, '.', &names) || names == NIL ||
		list_length(names) > 2)
	{
		GUC_check_errdetail("It is a list of tables, each as \"name\" or "
							"\"schema.name\", separated by commas.");
		return false;
	}
	name = quote_qualified_identifier(
		list_length(names) == 2 ? linitial(names) : "public", llast(names));
	for (int i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
		{
			GUC_check_errdetail("The table %s is named twice.", name);
			return false;
		}
	if (list->n == WT_MAX_TARGETS)
	{
		GUC_check_errdetail("It names at most %d tables.", WT_MAX_TARGETS);
		return false;
	}
	strlcpy(list->names[list->n++], name, WT_TARGET_SIZE);
	return true;
}

static bool
check_forward_to(char **newval, void **extra, GucSource source)
{
	WtTargets *list = wt_guc_malloc(sizeof(WtTargets));
	const char *p = *newval;

	if (!list)
		return false;
	list->n = 0;
	*extra = list;
	if (p[strspn(p, " \t\n")] == '\0')
		return true;
	for (;;)
	{
		const char *end = end_of_name(p);

		if (!add_target(list, pnstrdup(p, (Size) (end - p))))
			return false;
		if (*end == '\0')
			return true;
		p = end + 1;
	}
}

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
	return "there is nowhere to send events to: set windtrap.postgres = on, name a table "
		   "in "
		   "windtrap.forward_to, or set windtrap.stdout";
}

bool
wt_only_stdout(void)
{
	return !wt_postgres && targets->n == 0;
}

static bool
check_database(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] != '\0' && strlen(*newval) < NAMEDATALEN)
		return true;
	GUC_check_errdetail("It is the name of a database, at most %d bytes long.",
						NAMEDATALEN - 1);
	return false;
}

/* What interval_in does, with a result in place of an ERROR. */
static bool
parse_interval(const char *text, Interval *interval)
{
	char buffer[256];
	char iso[256];
	char *fields[MAXDATEFIELDS];
	int types[MAXDATEFIELDS];
	struct pg_itm_in itm = {0};
	int type = DTK_DELTA;
	int n;
	int error;

	error = ParseDateTime(text, buffer, sizeof(buffer), fields, types, MAXDATEFIELDS, &n);
	if (error == 0)
		error = DecodeInterval(fields, types, n, INTERVAL_FULL_RANGE, &type, &itm);
	if (error == DTERR_BAD_FORMAT && strlcpy(iso, text, sizeof(iso)) < sizeof(iso))
		error = DecodeISO8601Interval(iso, &type, &itm);
	return error == 0 && type == DTK_DELTA && itmin2interval(&itm, interval) == 0;
}

/*
 * A bare number would be seconds to PostgreSQL, and who writes 30 means days; since
 * nothing is dropped in parts, less than a day would not be what it says either.
 */
static bool
check_retention(char **newval, void **extra, GucSource source)
{
	Interval interval;
	Interval *copy;

	*extra = NULL;
	if ((*newval)[strspn(*newval, " \t")] == '\0')
		return true;
	if (!parse_interval(*newval, &interval) ||
		strcspn(*newval, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
			strlen(*newval))
	{
		GUC_check_errdetail("It is an interval with its unit, as \"90 days\" or "
							"\"6 months\", or empty.");
		return false;
	}
	/* Neither a part of it nor the whole may point into the future. */
	if (interval.month < 0 || interval.day < 0 || interval.time < 0 ||
		(interval.month == 0 && interval.day == 0 && interval.time < USECS_PER_DAY))
	{
		GUC_check_errdetail("It is at least one day, without negative parts.");
		return false;
	}
	/* Beyond it the calendar itself would end, which raises. */
	if (interval.month > 1000 * MONTHS_PER_YEAR || interval.day > 366 * 1000 ||
		interval.time > 366 * 1000 * USECS_PER_DAY)
	{
		GUC_check_errdetail("It is at most 1000 years; leave it empty to keep all.");
		return false;
	}
	copy = wt_guc_malloc(sizeof(*copy));
	if (!copy)
		return false;
	*copy = interval;
	*extra = copy;
	return true;
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

/* What the name of standard output is elsewhere means "on" here, with all that this checks. */
#define DEV_STDOUT "/dev/stdout"

static bool
check_stdout(char **newval, void **extra, GucSource source)
{
	const char *value = *newval;
	bool on;

	if (parse_bool(value, &on))
		return true;
	if (value[0] == '/' && value[strlen(value) - 1] != '/' && strlen(value) < MAXPGPATH)
		return true;
	GUC_check_errdetail("It is \"on\", \"off\" or the absolute path of a fifo or file.");
	return false;
}

const char *
wt_stdout_target(void)
{
	bool on;

	if (parse_bool(wt_stdout, &on))
		return on ? "" : NULL;
	return strcmp(wt_stdout, DEV_STDOUT) == 0 ? "" : wt_stdout;
}

/* Makes a HeaderList of a list's text; words: whether "all" and "none" are words. */
static bool
check_header_list(const char *text, bool words, void **extra)
{
	HeaderList *list = wt_guc_malloc(offsetof(HeaderList, names) + strlen(text) + 2);
	const char *p = text;
	const char *item;
	char *out;
	size_t n;
	int n_items = 0;
	bool has_word = false;

	if (!list)
		return false;
	list->all = false;
	out = list->names;
	while (wt_list_next(&p, &item, &n))
	{
		if (n == 0)
			continue;
		n_items++;
		if (words &&
			(wt_list_item_is(item, n, "all") || wt_list_item_is(item, n, "none")))
		{
			has_word = true;
			list->all = wt_list_item_is(item, n, "all");
			continue;
		}
		for (size_t i = 0; i < n; i++)
		{
			if (!isalnum((unsigned char) item[i]) && !strchr("!#$%&'*+-.^_`|~", item[i]))
			{
				GUC_check_errdetail("\"%.*s\" is not the name of a header.", (int) n,
									item);
				return false;
			}
			*out++ = (char) pg_ascii_tolower((unsigned char) item[i]);
		}
		*out++ = '\0';
	}
	*out = '\0';
	if (has_word && n_items > 1)
	{
		GUC_check_errdetail("\"all\" and \"none\" stand alone.");
		return false;
	}
	*extra = list;
	return true;
}

static bool
check_store_headers(char **newval, void **extra, GucSource source)
{
	return check_header_list(*newval, true, extra);
}

static void
assign_store_headers(const char *newval, void *extra)
{
	stored_headers = extra;
}

static bool
check_redact_headers(char **newval, void **extra, GucSource source)
{
	return check_header_list(*newval, false, extra);
}

static void
assign_redact_headers(const char *newval, void *extra)
{
	redacted_headers = extra;
}

static bool
list_has(const HeaderList *list, const char *name)
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

static bool
check_trusted_proxies(char **newval, void **extra, GucSource source)
{
	WtCidrList list = {0};
	const char *bad;
	size_t n;

	if (wt_cidr_list_parse(*newval, &list, &bad, &n))
	{
		wt_cidr_list_free(&list);
		return true;
	}
	if (bad)
		GUC_check_errdetail("\"%.*s\" is not an IP address, nor a range of them such as "
							"10.0.0.0/8, nor \"unix\".",
							(int) n, bad);
	return false;
}

/* Every item of a list is one; what is what that is, for the error. */
static bool
check_items(const char *list, bool (*is_valid)(const char *item, size_t length),
			const char *what)
{
	const char *p = list;
	const char *item;
	size_t n;

	while (wt_list_next(&p, &item, &n))
	{
		if (n == 0 || is_valid(item, n))
			continue;
		GUC_check_errdetail("\"%.*s\" is not %s.", (int) n, item, what);
		return false;
	}
	return true;
}

static bool
check_cors_origins(char **newval, void **extra, GucSource source)
{
	return check_items(*newval, wt_origin_is_valid,
					   "an origin such as https://app.example.com or "
					   "https://*.example.com, nor \"self\", \"null\" or \"*\"");
}

static bool
check_allowed_hosts(char **newval, void **extra, GucSource source)
{
	return check_items(*newval, wt_host_is_valid,
					   "a host name such as logs.example.com or *.example.com, without "
					   "port");
}

static const struct config_enum_entry auth_modes[] = {
	{"auto", WT_AUTH_AUTO, false},
	{"token", WT_AUTH_TOKEN, false},
	{"none", WT_AUTH_NONE, false},
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
		&wt_database, "postgres", PGC_SIGHUP, 0, check_database, NULL, NULL);

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
							   GUC_LIST_INPUT, check_listen_addresses, NULL, NULL);

	/* The TCP port of all those addresses. */
	DefineCustomIntVariable("windtrap.port", "TCP port to listen on for events.", NULL,
							&wt_port, 8000, 1, 65535, PGC_SIGHUP, 0, NULL, NULL, NULL);

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
							   &wt_table, "log", PGC_SIGHUP, 0, check_table, NULL, NULL);

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
	DefineCustomStringVariable(
		"windtrap.cors_origins", "Origins of the web pages that may send events.", NULL,
		&wt_cors_origins, "", PGC_SIGHUP, GUC_LIST_INPUT, check_cors_origins, NULL, NULL);

	/*
	 * Host names that requests may be addressed to.  Empty: any, but on this machine's own
	 * addresses those who bring no token must name localhost or an address.
	 */
	DefineCustomStringVariable("windtrap.allowed_hosts",
							   "Host names that requests may be addressed to.", NULL,
							   &wt_allowed_hosts, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   check_allowed_hosts, NULL, NULL);

	/*
	 * Reverse proxies in front, as IP addresses and ranges of them.  What they say of the
	 * client that they speak for is believed; of others it is not.
	 */
	DefineCustomStringVariable(
		"windtrap.trusted_proxies",
		"Addresses of reverse proxies whose word on the client's address is taken.", NULL,
		&wt_trusted_proxies, "", PGC_SIGHUP, GUC_LIST_INPUT, check_trusted_proxies, NULL,
		NULL);

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
							   NULL, &retention_text, "", PGC_SIGHUP, 0, check_retention,
							   assign_retention, NULL);

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

	/* Headers that are stored with an event: "all", "none", or a list of names. */
	DefineCustomStringVariable(
		"windtrap.store_headers",
		"Request headers stored with each event: all, none, or a list.", NULL,
		&store_headers, "all", PGC_SIGHUP, GUC_LIST_INPUT, check_store_headers,
		assign_store_headers, NULL);

	/*
	 * Headers that are stored as "[redacted]", beside authorization, cookie,
	 * proxy-authorization and x-api-key, which always are.
	 */
	DefineCustomStringVariable("windtrap.redact_headers",
							   "Further request headers stored without their value.",
							   NULL, &redact_headers, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   check_redact_headers, assign_redact_headers, NULL);

	/*
	 * Whether each committed event is also written as a line of JSON: to the server's
	 * standard output, or to the fifo or file at an absolute path, which the server's
	 * operating system user opens; so who may set this can have lines appended to any
	 * file of that user's.
	 */
	DefineCustomStringVariable(
		"windtrap.stdout",
		"Write events also to standard output: off, on, or the path of a fifo or file.",
		NULL, &wt_stdout, "off", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_stdout, NULL,
		NULL);

	/*
	 * Whether events become rows of windtrap.table.  Without it they are only forwarded,
	 * and durable in the outbox until they are.
	 */
	DefineCustomBoolVariable("windtrap.postgres", "Store events in the log table.", NULL,
							 &wt_postgres, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * The tables that events are forwarded to, as schema.name: foreign tables of any
	 * wrapper, or ordinary ones.  Each gets them from the outbox by a process of its own.
	 */
	DefineCustomStringVariable(
		"windtrap.forward_to",
		"Tables that events are forwarded to, separated by commas.", NULL, &forward_to,
		"", PGC_SIGHUP, GUC_LIST_INPUT, check_forward_to, assign_forward_to, NULL);

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

	MarkGUCPrefixReserved("windtrap");
}
