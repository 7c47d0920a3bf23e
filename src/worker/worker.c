/*
 * worker.c
 *		A listener's life: start, the loop, stop.  Alone sees both the listener (which
 *		knows no PostgreSQL) and the stages after it (which know no HTTP).
 *
 * The loop: wait for the latch, the postmaster's death or the listener; let the listener
 * read and write; take all requests that are complete; decode and enrich their events;
 * store them in one transaction; answer.  The more requests arrive while a transaction
 * is being committed, the larger the next batch: group commit without a timer.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "http/auth.h"
#include "worker/batch.h"
#include "worker/condition.h"
#include "worker/listening.h"
#include "base/compat.h"
#include "base/identity.h"
#include "http/listener.h"
#include "http/router.h"
#include "protocol/protocol.h"
#include "views/refused_view.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/shared.h"
#include "output/stdout.h"
#include "store/absence.h"
#include "store/restoring.h"
#include "store/store.h"
#include "worker/tokens.h"
#include "base/transact.h"
#include "worker/worker.h"

/* Looking whether the extension is there, ms. */
#define EXTENSION_POLL 1000

/* Looking whether events are taken again, ms. */
#define REFUSAL_POLL 1000

/* Since events could not be stored, looking whether the table would take some, ms. */
#define STORE_POLL 10000

/* After the extension is gone, requests are answered 503 for so long, ms. */
#define EXTENSION_GRACE 10000

/* Trying again to listen, ms: the first pause and the longest. */
#define FIRST_RETRY 500
#define LAST_RETRY 15000

/* After a reload whose sockets did not open, trying them again, ms. */
#define LISTEN_RETRY 1000

/* Stopping: until the last batch must be stored, and the last answer sent, ms. */
#define STOP_STORE_TIMEOUT 2000
#define STOP_ANSWER_TIMEOUT 1500

/*
 * A transaction may take this long, ms; request_timeout where that is less.  Who comes while it
 * runs has time left for the next one, see LONGEST_WAIT in batch.c.
 */
#define STORE_TIMEOUT 3500

/* Looks for more requests before a batch is stored. */
#define MAX_GATHER 4

/* What is kept between batches, bytes; more is given back after IDLE_SHRINK ms. */
#define KEPT_MEMORY (256 * 1024)
#define IDLE_SHRINK 10000

static WtListener *listener;
static WtAuth *auth;
static WaitEventSet *wait_events;

static bool namespace_changed = true;
static bool extension_present;
static const char extension_missing[] =
	"the extension windtrap is not installed in the database";
static char database_name[NAMEDATALEN];
/* libmicrohttpd is beyond repair: leave without taking the server along. */
static void
on_panic(const char *reason)
{
	ereport(LOG, (errmsg("windtrap: libmicrohttpd failed: %s", reason)));
	proc_exit(1);
}

static void
on_namespace_change(Datum arg, int cache, uint32 hash)
{
	namespace_changed = true;
}

/*
 * Whether CREATE EXTENSION windtrap has been committed in this database.  Its schema
 * comes and goes with it, so as long as no schema changes there is nothing to look up.
 */
static bool
extension_is_present(void)
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

/* Who may, as the settings and the table of tokens say now; says when that changes. */
static void
attend_auth(bool configure)
{
	static bool said_open = false;
	WtAuthSettings settings = {.mode = (WtAuthMode) wt_auth_mode,
							   .cors_origins = wt_cors_origins,
							   .allowed_hosts = wt_allowed_hosts,
							   .trusted_proxies = wt_trusted_proxies};

	if (configure && !wt_auth_configure(auth, &settings))
		ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	wt_tokens_attend(auth);
	if (!wt_auth_knows(auth) || wt_auth_is_open(auth) == said_open)
		return;
	said_open = !said_open;
	if (!said_open)
		ereport(LOG, (errmsg("windtrap: whoever sends events needs a token")));
	else if (wt_auth_mode == WT_AUTH_NONE)
		ereport(LOG, (errmsg("windtrap: anybody may send events without a token, since "
							 "windtrap.auth is none")));
	else
		ereport(LOG,
				(errmsg("windtrap: clients on this machine may send events without a "
						"token, until the first one is made"),
				 errhint("Call windtrap.create_token() to have it closed.")));
}

static void
make_wait_events(void)
{
	if (wait_events)
		FreeWaitEventSet(wait_events);
	wait_events = wt_create_wait_event_set(TopMemoryContext, 4);
	AddWaitEventToSet(wait_events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_events, WL_SOCKET_READABLE, wt_listener_descriptor(listener),
					  NULL, NULL);
	if (wt_stdout_descriptor() != PGINVALID_SOCKET)
		AddWaitEventToSet(wait_events, WL_SOCKET_READABLE, wt_stdout_descriptor(), NULL,
						  NULL);
}

static void
on_reload(void)
{
	WtListenerSettings settings;

	wt_stdout_configure();
	if (wait_events)
		make_wait_events();
	if (!listener)
		return;
	settings = wt_listening_settings();
	wt_listener_configure(listener, &settings);
	attend_auth(true);
	wt_listening_reload();
}

static int
store_timeout(void)
{
	return Min(wt_stop_requested ? STOP_STORE_TIMEOUT : STORE_TIMEOUT,
			   wt_request_timeout);
}

/* What a worker looks at beside what every process does. */
static bool
and_counters(bool go_on)
{
	wt_counters_attend();
	wt_stdout_attend();
	return go_on;
}

/* What every turn of every loop looks at; false: it is time to stop. */
static bool
attend(void)
{
	return and_counters(wt_process_attend());
}

/* Sleeps for some ms, or until the latch is set; false: it is time to stop. */
static bool
nap(long ms)
{
	return and_counters(wt_process_nap(ms));
}

/* Waits, with a log line once, for the extension; false: it is time to stop. */
static bool
wait_for_extension(void)
{
	bool said = false;

	for (;;)
	{
		AcceptInvalidationMessages();
		if (extension_is_present())
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

/*
 * The loop
 */

static void
keep_memory(void)
{
#ifdef __GLIBC__
	/*
	 * A batch's large blocks would go back to the kernel after each batch and come again
	 * with the next, at the price of more page faults than all else costs.
	 */
	mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TOP_PAD, 1024 * 1024);
#endif
}

static void
give_back_memory(void)
{
	wt_batch_shrink(KEPT_MEMORY);
#ifdef __GLIBC__
	malloc_trim(KEPT_MEMORY);
#endif
}

/* Takes and answers one batch; false: there are no requests to take. */
static bool
process_batch(int timeout)
{
	const char *unavailable =
		extension_is_present() ? wt_no_destination() : extension_missing;

	if (!unavailable)
		unavailable = wt_restore_in_progress(false);
	return wt_batch_process(listener, unavailable, timeout, &wt_stop_requested);
}

/*
 * Lets the listener work.  A token that was revoked before a request came must not let it
 * in, and one that was made must: to store a batch has taken its time.
 */
static void
run_listener(void)
{
	AcceptInvalidationMessages();
	attend_auth(false);
	wt_listener_run(listener);
}

/*
 * Lets the listener work, and stores one batch of what it brings, so that its caller can
 * attend to other things in between; false: there was nothing to store.
 */
static bool
work(int timeout)
{
	int unanswered = 0;

	/*
	 * While reading one connection the next request arrives on another: as long as the
	 * batch grows, look again.  A flush costs more than a look.
	 */
	for (int i = 0; i < MAX_GATHER; i++)
	{
		run_listener();
		if (wt_listener_unanswered(listener) <= unanswered)
			break;
		unanswered = wt_listener_unanswered(listener);
	}
	if (!process_batch(timeout))
		return false;
	/* MHD does not wake up for the answers by itself. */
	run_listener();
	return true;
}

/* Waits for the latch or the listener, at most timeout ms. */
static void
wait_for_work(long timeout)
{
	WaitEvent events[4];
	int n = WaitEventSetWait(wait_events, wt_batch_is_pending() ? 0 : timeout, events,
							 lengthof(events), PG_WAIT_EXTENSION);

	if (!wt_batch_is_pending())
		wt_listener_rested(listener);
	for (int i = 0; i < n; i++)
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
}

static long
shorter(long a, long b)
{
	if (a < 0)
		return b;
	if (b < 0)
		return a;
	return Min(a, b);
}

/*
 * Answers what is there, within limits of time, and closes everything.
 */
static void
stop_serving(void)
{
	TimestampTz until =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STOP_ANSWER_TIMEOUT);

	wt_status_set_state(WT_STATE_STOPPING);
	wt_listener_close_sockets(listener);
	for (;;)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		(void) work(STOP_STORE_TIMEOUT);
		if (wt_listener_unanswered(listener) == 0 || left <= 0)
			break;
		wait_for_work(shorter(left, wt_listener_timeout(listener)));
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
	}
	/* What is left is answered 503, by the batch and by the listener. */
	wt_batch_abandon(listener);
	FreeWaitEventSet(wait_events);
	wait_events = NULL;
	wt_condition_show(NULL);
	wt_listener_destroy(listener);
	listener = NULL;
	wt_auth_destroy(auth);
	auth = NULL;
	wt_stdout_finish();
	wt_status_set_address("", 0);
	ereport(LOG, (errmsg("windtrap: stopped listening")));
}

/* Listens, trying again with a growing pause; false: it is time to stop. */
static bool
start_serving(int number)
{
	static WtPaths paths;
	WtListenerSettings settings = wt_listening_settings();
	long pause = FIRST_RETRY;

	paths = (WtPaths){.paths = wt_collector_paths,
					  .n = wt_n_collector_paths,
					  .protocols = wt_protocols,
					  .n_protocols = wt_n_protocols,
					  .nothing = wt_collector_nothing};
	wt_router_use(&paths);
	auth = wt_auth_create(wt_shared->rates);
	if (auth)
		listener = wt_listener_create(&settings, wt_my_counters(), auth, on_panic);
	if (!listener)
		ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("windtrap: could not start libmicrohttpd")));
	wt_listening_begin(listener, number);
	wt_condition_show(listener);
	/* Before the first request is let in. */
	attend_auth(true);
	wt_listener_remember(listener, wt_refused_attach());
	while (!wt_listening_open())
	{
		/* Those that wait for the first worker have not failed. */
		if (number == 0 || !wt_listening_is_allowed())
			wt_status_set_state(WT_STATE_FAILED);
		else
			pause = FIRST_RETRY / 10;
		if (!nap(pause))
			return false;
		pause = Min(pause * 2, LAST_RETRY);
	}
	make_wait_events();
	/* They are said anew. */
	(void) wt_condition_set(WT_CONDITION_DATABASE, NULL);
	(void) wt_condition_set(WT_CONDITION_RESTORE, NULL);
	(void) wt_condition_set(WT_CONDITION_DESTINATION, NULL);
	if (!wt_restore_in_progress(true))
		wt_batch_prepare(store_timeout());
	wt_status_set_state(WT_STATE_LISTENING);
	return true;
}

/*
 * Says why a source lets no events be taken, and, in the log, that it does and that it does
 * not any more; gives whether that is news.
 */
static bool
say(WtConditionSource source, const char *reason)
{
	bool before = wt_condition_stands(source);

	if (!wt_condition_set(source, reason) || before == (reason != NULL))
		return false;
	if (reason)
		ereport(LOG, (errmsg("windtrap: no events are taken: %s", reason)));
	else
		ereport(LOG, (errmsg("windtrap: events are taken again")));
	return true;
}

/* Says that the settings leave events no place to go to, and that they do again. */
static void
check_destination(void)
{
	const char *reason = wt_no_destination();

	if (say(WT_CONDITION_DESTINATION, reason))
		wt_status_set_state(reason ? WT_STATE_FAILED : WT_STATE_LISTENING);
}

/*
 * Takes no events while the database is being restored, and goes on when it has been; tries
 * again what could not be made ready then, whether events come or not.
 *
 * Where events could not be stored and no more of them come it looks now and then whether
 * the table would take some: who asks /health before he sends would never send again.
 */
static void
check_table(void)
{
	static TimestampTz last_try;
	const char *reason;
	TimestampTz now;
	bool over;

	if (!extension_is_present())
		return;
	reason = wt_restore_in_progress(false);
	over = say(WT_CONDITION_RESTORE, reason) && !reason;
	if (reason || wt_condition_stands(WT_CONDITION_DESTINATION))
		return;
	now = GetCurrentTimestamp();
	if (!over &&
		!(wt_absence_lasts() &&
		  TimestampDifferenceExceeds(last_try, now, REFUSAL_POLL)) &&
		wt_condition_age(WT_CONDITION_STORE) < STORE_POLL)
		return;
	last_try = now;
	wt_batch_prepare(store_timeout());
}

/* Whoever needs a token is answered 503 while they cannot be read: says so, too. */
static void
check_tokens(void)
{
	(void) wt_condition_set(
		WT_CONDITION_TOKENS,
		wt_auth_mode == WT_AUTH_NONE || wt_auth_knows(auth) ? NULL : wt_tokens_failure());
}

/* Says so where there is no memory for more events. */
static void
check_memory(void)
{
	(void) wt_condition_set(WT_CONDITION_MEMORY, wt_listener_shortage(listener));
}

/* Whether something is to be looked at again soon, though nothing comes. */
static bool
is_refusing(void)
{
	return wt_listening_is_otherwise() || wt_absence_lasts() ||
		   wt_condition_stands(WT_CONDITION_RESTORE) ||
		   wt_condition_stands(WT_CONDITION_STORE) ||
		   wt_condition_stands(WT_CONDITION_MEMORY);
}

/* Receives events until it is time to stop or the extension has been dropped. */
static void
serve(void)
{
	TimestampTz last_work = GetCurrentTimestamp();
	TimestampTz last_listen = last_work;
	TimestampTz missing_since = 0;
	bool shrunk = true;
	long stats_due = -1;

	while (attend())
	{
		TimestampTz now;

		/* Before the listener answers who asks for its health. */
		AcceptInvalidationMessages();
		check_table();
		check_memory();
		if (work(store_timeout()))
		{
			last_work = GetCurrentTimestamp();
			shrunk = false;
			/* Without this autovacuum never learns of the rows. */
			stats_due = pgstat_report_stat(false);
		}
		now = GetCurrentTimestamp();
		AcceptInvalidationMessages();
		check_destination();
		check_tokens();
		check_memory();
		if (extension_is_present())
		{
			if (missing_since != 0)
				wt_absence_forget();
			missing_since = 0;
			(void) wt_condition_set(WT_CONDITION_DATABASE, NULL);
		}
		else if (missing_since == 0)
		{
			(void) wt_condition_set(WT_CONDITION_DATABASE, extension_missing);
			missing_since = now;
		}
		else if (TimestampDifferenceExceeds(missing_since, now, EXTENSION_GRACE))
		{
			ereport(LOG, (errmsg("windtrap: the extension has been dropped")));
			return;
		}
		if (wt_listening_is_otherwise() &&
			TimestampDifferenceExceeds(last_listen, now, LISTEN_RETRY))
		{
			(void) wt_listening_open();
			last_listen = now;
		}
		if (!shrunk && TimestampDifferenceExceeds(last_work, now, IDLE_SHRINK))
		{
			give_back_memory();
			shrunk = true;
		}

		wait_for_work(shorter(
			shorter(shorter(wt_listener_timeout(listener), wt_stdout_timeout()),
					IDLE_SHRINK),
			shorter(stats_due > 0 ? stats_due : -1,
					shorter(wt_tokens_timeout(),
							missing_since || is_refusing() ? REFUSAL_POLL : -1))));
		if (stats_due > 0 &&
			TimestampDifferenceExceeds(last_work, GetCurrentTimestamp(), (int) stats_due))
			stats_due = pgstat_report_stat(true);
	}
}

/* In other encodings text would have to be converted, and could fail to be. */
static void
wait_if_encoding_is_unfit(void)
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

void
windtrap_worker_main(Datum arg)
{
	int number = DatumGetInt32(arg);
	WtWorkerArgs args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	wt_process_begin(on_reload);
	wt_status_begin(number, args.database);
	wt_connect(args.database);
	keep_memory();
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_namespace_change, (Datum) 0);
	StartTransactionCommand();
	strlcpy(database_name, get_database_name(MyDatabaseId), NAMEDATALEN);
	CommitTransactionCommand();
	wt_status_set_error(NULL);
	wt_stdout_configure();

	wait_if_encoding_is_unfit();
	while (!wt_stop_requested && wait_for_extension())
	{
		if (start_serving(number))
		{
			serve();
			stop_serving();
		}
	}
	proc_exit(0);
}
