/*
 * settings_checks.c
 *		What is wrong with a bad value of a setting, and what is made of a good one.
 *
 * Check hooks must not raise: they run in the postmaster too.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/cidr.h"
#include "base/compat.h"
#include "base/list.h"
#include "base/listen_list.h"
#include "base/origins.h"
#include "base/settings.h"
#include "base/settings_checks.h"
#include "base/url.h"

bool
wt_check_listen_addresses(char **newval, void **extra, GucSource source)
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

bool
wt_check_table(char **newval, void **extra, GucSource source)
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

/* Adds a target by its name to the list; false: why not is said. */
static bool
add_target(WtTargets *list, const char *name)
{
	for (int i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
		{
			GUC_check_errdetail("The target %s is named twice.", name);
			return false;
		}
	if (list->n == WT_MAX_TARGETS)
	{
		GUC_check_errdetail("It names at most %d targets.", WT_MAX_TARGETS);
		return false;
	}
	strlcpy(list->names[list->n++], name, WT_TARGET_SIZE);
	return true;
}

static bool
add_url(WtTargets *list, const char *url, size_t length)
{
	const char *fault = wt_url_fault(url, length);

	/* A password, or a token, is not to be quoted once more than PostgreSQL does. */
	if (fault && (memchr(url, '@', length) || memchr(url, '?', length)))
		GUC_check_errdetail("A URL in it %s.", fault);
	else if (fault)
		GUC_check_errdetail("The URL %.*s %s.", (int) length, url, fault);
	else if (length >= WT_TARGET_SIZE)
		GUC_check_errdetail("A URL in it is longer than %d bytes.", WT_TARGET_SIZE - 1);
	else
		return add_target(list, pnstrdup(url, length));
	return false;
}

static bool
add_table(WtTargets *list, char *text)
{
	List *names;

	/* Names with these are written with quotes. */
	if (!strchr(text, '"') && strpbrk(text, ":/"))
	{
		GUC_check_errdetail("A URL begins with https:// or http://, and \"%s\" does not.",
							text);
		return false;
	}
	if (!SplitIdentifierString(text, '.', &names) || names == NIL ||
		list_length(names) > 2)
	{
		GUC_check_errdetail("It is a list of tables, each as \"name\" or "
							"\"schema.name\", and of URLs, separated by commas.");
		return false;
	}
	return add_target(
		list, quote_qualified_identifier(
				  list_length(names) == 2 ? linitial(names) : "public", llast(names)));
}

/* Adds what an item of the list names. */
static bool
add_item(WtTargets *list, const char *item, size_t length)
{
	while (length > 0 && scanner_isspace(*item))
	{
		item++;
		length--;
	}
	while (length > 0 && scanner_isspace(item[length - 1]))
		length--;
	return wt_is_url(item, length) ? add_url(list, item, length)
								   : add_table(list, pnstrdup(item, length));
}

bool
wt_check_forward_to(char **newval, void **extra, GucSource source)
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

		if (!add_item(list, p, (size_t) (end - p)))
		{
			*extra = NULL;
			wt_guc_free(list);
			return false;
		}
		if (*end == '\0')
			return true;
		p = end + 1;
	}
}

bool
wt_check_database(char **newval, void **extra, GucSource source)
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

/* The interval of a setting, NULL where it is empty; false: what is wrong is said. */
static bool
check_interval(const char *text, int64 shortest, const char *rule, void **extra)
{
	Interval interval;
	Interval *copy;

	*extra = NULL;
	if (text[strspn(text, " \t")] == '\0')
		return true;
	/* A bare number would be seconds to PostgreSQL, and who writes 30 means days. */
	if (!parse_interval(text, &interval) ||
		strcspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
			strlen(text))
	{
		GUC_check_errdetail("It is an interval with its unit, as \"90 days\" or "
							"\"6 months\", or empty.");
		return false;
	}
	/* Neither a part of it nor the whole may point into the future. */
	if (interval.month < 0 || interval.day < 0 || interval.time < 0 ||
		(interval.month == 0 && interval.day == 0 && interval.time < shortest))
	{
		GUC_check_errdetail("%s", rule);
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

/* Since nothing is dropped in parts, less than a day would not be what it says. */
bool
wt_check_retention(char **newval, void **extra, GucSource source)
{
	return check_interval(*newval, USECS_PER_DAY,
						  "It is at least one day, without negative parts.", extra);
}

bool
wt_check_seal_after(char **newval, void **extra, GucSource source)
{
	return check_interval(*newval, 0, "It has no negative parts.", extra);
}

bool
wt_check_stdout(char **newval, void **extra, GucSource source)
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

/* Makes a WtHeaderList of a list's text; words: whether "all" and "none" are words. */
static bool
check_header_list(const char *text, bool words, void **extra)
{
	WtHeaderList *list = wt_guc_malloc(offsetof(WtHeaderList, names) + strlen(text) + 2);
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
				wt_guc_free(list);
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
		wt_guc_free(list);
		return false;
	}
	*extra = list;
	return true;
}

bool
wt_check_store_headers(char **newval, void **extra, GucSource source)
{
	return check_header_list(*newval, true, extra);
}

bool
wt_check_redact_headers(char **newval, void **extra, GucSource source)
{
	return check_header_list(*newval, false, extra);
}

/* A list of addresses and ranges; unix_too: of "unix", too. */
static bool
check_cidr_list(const char *text, bool unix_too)
{
	WtCidrList list = {0};
	const char *bad;
	size_t n;

	if (wt_cidr_list_parse(text, &list, &bad, &n))
	{
		bool fits = unix_too || !list.unix_sockets;

		wt_cidr_list_free(&list);
		if (fits)
			return true;
		GUC_check_errdetail("\"unix\" has no meaning here: list IP addresses and ranges "
							"of them.");
		return false;
	}
	if (bad)
		GUC_check_errdetail("\"%.*s\" is not an IP address, nor a range of them such as "
							"10.0.0.0/8%s.",
							(int) n, bad, unix_too ? ", nor \"unix\"" : "");
	return false;
}

bool
wt_check_trusted_proxies(char **newval, void **extra, GucSource source)
{
	return check_cidr_list(*newval, true);
}

bool
wt_check_allowed_senders(char **newval, void **extra, GucSource source)
{
	return check_cidr_list(*newval, false);
}

static bool
check_listen(const char *list, WtListenForm form, int port)
{
	const char *p = list;
	const char *item;
	size_t n;

	while (list[0] != '\0' && wt_list_next(&p, &item, &n))
	{
		WtListenPlace places[WT_LISTEN_PLACES_OF_ITEM];
		const char *fault;

		if (wt_listen_read(form, item, n, places, &fault) > 0)
			continue;
		GUC_check_errdetail("\"%.*s\" %s.", (int) n, item, fault);
		GUC_check_errhint("Write it as 127.0.0.1:%d, or tcp://[::1]:%d.", port, port);
		return false;
	}
	return true;
}

bool
wt_check_syslog_listen(char **newval, void **extra, GucSource source)
{
	return check_listen(*newval, WT_LISTEN_SYSLOG, 514);
}

bool
wt_check_gelf_listen(char **newval, void **extra, GucSource source)
{
	return check_listen(*newval, WT_LISTEN_GELF, 12201);
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

bool
wt_check_cors_origins(char **newval, void **extra, GucSource source)
{
	return check_items(*newval, wt_origin_is_valid,
					   "an origin such as https://app.example.com or "
					   "https://*.example.com, nor \"self\", \"null\" or \"*\"");
}

bool
wt_check_allowed_hosts(char **newval, void **extra, GucSource source)
{
	return check_items(*newval, wt_host_is_valid,
					   "a host name such as logs.example.com or *.example.com, without "
					   "port");
}
