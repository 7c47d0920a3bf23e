/*
 * alert_functions.c
 *		What SQL asks of C about alerts: the rest is in sql-src/alerts.sql.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/helper.h"
#include "base/settings.h"
#include "base/url.h"

PG_FUNCTION_INFO_V1(windtrap_alerts_changed);
PG_FUNCTION_INFO_V1(windtrap_webhook_fault);
PG_FUNCTION_INFO_V1(windtrap_alert_lateness);

/* The longest URL, bytes. */
#define MAX_URL 2000

/* An alert is late after so many intervals, beside what its query and others' may take. */
#define LATE 3

static bool is_changed; /* by this transaction */

static void
on_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			if (is_changed && MyDatabaseId == wt_shared->database)
			{
				wt_helper_want(WT_HELPER_ALERTS, true);
				wt_helper_wake(WT_HELPER_ALERTS);
			}
			is_changed = false;
			break;
		case XACT_EVENT_ABORT:
			is_changed = false;
			break;
		default:
			break;
	}
}

/* A trigger: has the alerts looked at when the transaction commits. */
Datum
windtrap_alerts_changed(PG_FUNCTION_ARGS)
{
	static bool is_registered;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("windtrap.alerts_changed() is for triggers")));
	wt_shared_attach();
	if (!is_registered)
		RegisterXactCallback(on_end, NULL);
	is_registered = true;
	is_changed = true;
	PG_RETURN_POINTER(NULL);
}

static bool
is_of_query(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~' || strchr("\"#<>\\^`{|}", text[i]))
			return false;
	return true;
}

static const char *
fault_of(const char *url, size_t length)
{
	const char *query = memchr(url, '?', length);
	size_t n = query ? (size_t) (query - url) : length;
	const char *authority = strstr(url, "://");
	size_t end = authority ? strcspn(authority + 3, "/?#") : 0;

	if (length > MAX_URL)
		return "is longer than 2000 bytes";
	if (authority && memchr(authority + 3, '@', end))
		return "names a user or a password: put a token in windtrap.webhook_token_file";
	if (strchr(url, '#'))
		return "has a fragment, which is not sent";
	if (query && !is_of_query(query + 1, length - n - 1))
		return "has a query with characters that are to be written as %XX";
	return wt_url_fault(url, n);
}

/* windtrap.webhook_fault(url text) RETURNS text: the rest of a sentence; NULL: it is good */
Datum
windtrap_webhook_fault(PG_FUNCTION_ARGS)
{
	char *url = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *fault = fault_of(url, strlen(url));

	if (!fault)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fault));
}

/* windtrap.alert_lateness(evaluated timestamptz) RETURNS text: a sentence; NULL: it is in time */
Datum
windtrap_alert_lateness(PG_FUNCTION_ARGS)
{
	TimestampTz evaluated = PG_GETARG_TIMESTAMPTZ(0);
	int64 late = (int64) LATE * wt_alert_interval + 2L * wt_alert_timeout;

	if (GetCurrentTimestamp() - evaluated <= late * 1000)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(
		"it is not evaluated: windtrap.status says how the process alerts does"));
}
