/*
 * serving.c
 *		What a process that listens does, whether it stores events or shows them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/shared.h"
#include "serving/condition.h"
#include "serving/serving.h"
#include "serving/tokens.h"
#include "views/refused_view.h"

/* Looking whether the extension is there, ms. */
#define EXTENSION_POLL 1000

/* After the extension is gone, requests are answered 503 for so long, ms. */
#define EXTENSION_GRACE 10000

/* Trying again to listen, ms: the first pause and the longest. */
#define FIRST_RETRY 500
#define LAST_RETRY 15000

const char wt_extension_missing[] =
	"the extension windtrap is not installed in the database";

static bool namespace_changed = true;
static bool extension_present;
static char database_name[NAMEDATALEN];

static void
on_namespace_change(Datum arg, int cache, uint32 hash)
{
	namespace_changed = true;
}

void
wt_serving_begin(void)
{
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_namespace_change, (Datum) 0);
	StartTransactionCommand();
	strlcpy(database_name, get_database_name(MyDatabaseId), NAMEDATALEN);
	CommitTransactionCommand();
	wt_status_set_error(NULL);
}

/* Its schema comes and goes with it: as long as no schema changes there is nothing to look up. */
bool
wt_extension_is_present(void)
{
	if (namespace_changed)
	{
		namespace_changed = false;
		StartTransactionCommand();
		extension_present = OidIsValid(get_extension_oid("windtrap", true));
		CommitTransactionCommand();
	}
	return extension_present;
}

/* In other encodings text would have to be converted, and could fail to be. */
static void
wait_if_encoding_is_unfit(WtNap nap)
{
	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
		return;
	(void) wt_condition_set(
		WT_CONDITION_DATABASE,
		psprintf("the encoding of database \"%s\" is %s: WindTrap needs UTF8 "
				 "or SQL_ASCII",
				 database_name, GetDatabaseEncodingName()));
	wt_status_set_state(WT_STATE_FAILED);
	ereport(LOG,
			(errmsg("windtrap: does not start in database \"%s\": its encoding is %s, "
					"not UTF8 or SQL_ASCII",
					database_name, GetDatabaseEncodingName())));
	while (nap(60 * 1000))
		;
}

/* Waits, with a log line once, for the extension; false: it is time to stop. */
static bool
wait_for_extension(WtNap nap)
{
	bool said = false;

	for (;;)
	{
		AcceptInvalidationMessages();
		if (wt_extension_is_present())
			return true;
		if (!said)
		{
			wt_status_set_state(WT_STATE_WAITING);
			ereport(LOG, (errmsg("windtrap: waiting for CREATE EXTENSION windtrap in "
								 "database \"%s\"",
								 database_name)));
			said = true;
		}
		if (!nap(EXTENSION_POLL))
			return false;
	}
}

/* libmicrohttpd is beyond repair: leave without taking the server along. */
static void
on_panic(const char *reason)
{
	ereport(LOG, (errmsg("windtrap: libmicrohttpd failed: %s", reason)));
	proc_exit(1);
}

void
wt_serving_attend_auth(WtServing *serving, bool configure)
{
	WtAuthSettings settings = {.mode = (WtAuthMode) wt_auth_mode,
							   .cors_origins = wt_cors_origins,
							   .allowed_hosts = wt_allowed_hosts,
							   .trusted_proxies = wt_trusted_proxies};

	if (configure && !wt_auth_configure(serving->auth, &settings))
		ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	wt_tokens_attend(serving->auth);
}

void
wt_serving_check_tokens(const WtServing *serving)
{
	(void) wt_condition_set(WT_CONDITION_TOKENS,
							wt_auth_mode == WT_AUTH_NONE || wt_auth_knows(serving->auth)
								? NULL
								: wt_tokens_failure());
}

bool
wt_serving_check_extension(WtServing *serving)
{
	TimestampTz now = wt_monotonic_us();

	if (wt_extension_is_present())
	{
		serving->missing_since = 0;
		(void) wt_condition_set(WT_CONDITION_DATABASE, NULL);
		return true;
	}
	if (serving->missing_since != 0)
		return !TimestampDifferenceExceeds(serving->missing_since, now, EXTENSION_GRACE);
	serving->missing_since = now;
	(void) wt_condition_set(WT_CONDITION_DATABASE, wt_extension_missing);
	return true;
}

bool
wt_serving_start(WtServing *serving, const WtListeningPlace *place, WtNap nap)
{
	WtListenerSettings settings = wt_listening_settings(place->for_senders);
	long pause = FIRST_RETRY;

	serving->for_senders = place->for_senders;
	serving->missing_since = 0;
	serving->auth = wt_auth_create(wt_shared->rates);
	if (serving->auth)
		serving->listener =
			wt_listener_create(&settings, wt_my_counters(), serving->auth, on_panic);
	if (!serving->listener)
		ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("windtrap: could not start libmicrohttpd")));
	wt_listening_begin(serving->listener, place);
	wt_condition_show(serving->listener);
	/* Before the first request is let in. */
	wt_serving_attend_auth(serving, true);
	wt_listener_remember(serving->listener, wt_refused_attach());
	while (!wt_listening_open())
	{
		/* Those that wait for the first one have not failed. */
		if (place->place == place->first || !wt_listening_is_allowed())
			wt_status_set_state(WT_STATE_FAILED);
		else
			pause = FIRST_RETRY / 10;
		if (!nap(pause))
			return false;
		pause = Min(pause * 2, LAST_RETRY);
	}
	return true;
}

void
wt_serving_reload(WtServing *serving)
{
	WtListenerSettings settings;

	if (!serving->listener)
		return;
	settings = wt_listening_settings(serving->for_senders);
	wt_listener_configure(serving->listener, &settings);
	wt_serving_attend_auth(serving, true);
	wt_listening_reload();
}

void
wt_serving_end(WtServing *serving)
{
	wt_condition_show(NULL);
	wt_listener_destroy(serving->listener);
	serving->listener = NULL;
	wt_auth_destroy(serving->auth);
	serving->auth = NULL;
	wt_status_set_address("", 0);
	ereport(LOG, (errmsg("windtrap: stopped listening")));
}

void
wt_serving_live(int place, const WtServed *served)
{
	wait_if_encoding_is_unfit(served->nap);
	while (!wt_stop_requested && wait_for_extension(served->nap))
	{
		if (served->start(place))
		{
			served->serve();
			served->stop();
		}
	}
	proc_exit(0);
}
