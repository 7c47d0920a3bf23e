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
#include "worker/intake.h"
#include "serving/condition.h"
#include "serving/serving.h"
#include "base/compat.h"
#include "base/identity.h"
#include "http/listener.h"
#include "http/router.h"
#include "protocol/protocol.h"
#include "views/refused_view.h"
#include "base/monotonic.h"
#include "base/patience.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/shared.h"
#include "output/stdout.h"
#include "store/absence.h"
#include "store/restoring.h"
#include "store/store.h"
#include "serving/tokens.h"
#include "base/transact.h"
#include "worker/ring_batch.h"
#include "worker/worker.h"

/* Looking whether events are taken again, ms. */
#define REFUSAL_POLL 1000

/* Since events could not be stored, looking whether the table would take some, ms. */
#define STORE_POLL 10000

/* Stopping: until the last batch must be stored, and the last answer sent, ms. */
#define STOP_STORE_TIMEOUT WT_PATIENCE(2000)
#define STOP_ANSWER_TIMEOUT WT_PATIENCE(1500)

/* Stopping: until what is left in the ring must be stored, ms. */
#define STOP_RING_TIMEOUT WT_PATIENCE(1000)

/* Stopping: how long those are let in whose connection is being made, ms. */
#define STOP_ADMIT 100

/*
 * A transaction may take this long, ms; request_timeout where that is less.  Who comes while it
 * runs has time left for the next one, see LONGEST_WAIT in batch.c.
 */
#define STORE_TIMEOUT WT_PATIENCE(3500)

/* Looks for more requests before a batch is stored. */
#define MAX_GATHER 4

/* What is kept between batches, bytes; more is given back after IDLE_SHRINK ms. */
#define KEPT_MEMORY (256 * 1024)
#define IDLE_SHRINK 10000

static WtServing serving;
static WtDaemons *daemons;
static WaitEventSet *wait_events;
static bool empties_ring; /* this one, of all workers */

/* Who may, as the settings and the table of tokens say now; says when that changes. */
static void
attend_auth(bool configure)
{
	static bool said_open = false;

	wt_serving_attend_auth(&serving, configure);
	if (!wt_auth_knows(serving.auth) || wt_auth_is_open(serving.auth) == said_open)
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
	wait_events = wt_create_wait_event_set(TopMemoryContext, 5);
	AddWaitEventToSet(wait_events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_events, WL_SOCKET_READABLE,
					  wt_listener_descriptor(serving.listener), NULL, NULL);
	AddWaitEventToSet(wait_events, WL_SOCKET_READABLE, wt_daemons_descriptor(daemons),
					  NULL, NULL);
	if (wt_stdout_descriptor() != PGINVALID_SOCKET)
		AddWaitEventToSet(wait_events, WL_SOCKET_READABLE, wt_stdout_descriptor(), NULL,
						  NULL);
}

/* Without preload other processes do not have us see what they write. */
static void
check_server_log(void)
{
	if (empties_ring && wt_server_log != WT_SERVER_LOG_OFF && !wt_is_preloaded)
		ereport(LOG, (errmsg("windtrap: windtrap.server_log does nothing, since windtrap "
							 "is not in shared_preload_libraries")));
}

static void
on_reload(void)
{
	wt_stdout_configure();
	check_server_log();
	if (wait_events)
		make_wait_events();
	wt_serving_reload(&serving);
	wt_intake_reload();
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

/* Why nothing can be stored now; NULL: it can. */
static const char *
why_unavailable(void)
{
	const char *reason =
		wt_extension_is_present() ? wt_no_destination() : wt_extension_missing;

	return reason ? reason : wt_restore_in_progress(false);
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
	wt_listener_run(serving.listener);
	wt_daemons_run(daemons);
}

/* Requests and messages that wait. */
static int
n_waiting(void)
{
	return wt_listener_unanswered(serving.listener) + wt_daemons_waiting(daemons);
}

/*
 * Lets the listener work, and stores one batch of what it brings and one of the ring's, so that
 * its caller can attend to other things in between; false: there was nothing to store.
 */
static bool
work(int timeout)
{
	const WtSenders senders = {serving.listener, daemons};
	const char *unavailable;
	int waiting = 0;
	bool stored = false;

	/*
	 * While reading one connection the next request arrives on another: as long as the
	 * batch grows, look again.  A flush costs more than a look.
	 */
	for (int i = 0; i < MAX_GATHER; i++)
	{
		run_listener();
		if (n_waiting() <= waiting)
			break;
		waiting = n_waiting();
	}
	unavailable = why_unavailable();
	if (wt_batch_process(&senders, unavailable, timeout, &wt_stop_requested))
	{
		/* MHD does not wake up for the answers by itself. */
		run_listener();
		stored = true;
	}
	if (wt_ring_batch_process(&senders, unavailable, timeout))
	{
		run_listener();
		stored = true;
	}
	return stored;
}

/* Waits for the latch or the listener, at most timeout ms. */
static void
wait_for_work(long timeout)
{
	WaitEvent events[5];
	int n = WaitEventSetWait(wait_events, wt_batch_is_pending() ? 0 : timeout, events,
							 lengthof(events), PG_WAIT_EXTENSION);

	if (!wt_batch_is_pending())
		wt_listener_rested(serving.listener);
	for (int i = 0; i < n; i++)
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
}

/*
 * Answers what is there or on its way, within limits of time, and closes everything.  A client
 * whose connection is cut off cannot know whether its event has been stored: so nobody is who
 * has just connected, or sends one request after the other.
 */
static void
stop_serving(void)
{
	TimestampTz begun = wt_monotonic_us();
	TimestampTz close_at = TimestampTzPlusMilliseconds(begun, STOP_ADMIT);
	TimestampTz until = TimestampTzPlusMilliseconds(begun, STOP_ANSWER_TIMEOUT);
	bool open = true;

	wt_status_set_state(WT_STATE_STOPPING);
	wt_listener_leave(serving.listener, true);
	wt_daemons_leave(daemons);
	/* Else who came in the meantime would only come to one that has little time left. */
	if (!wt_listener_admit_no_more(serving.listener))
		close_at = begun;
	for (;;)
	{
		TimestampTz now;
		long left;

		(void) work(STOP_STORE_TIMEOUT);
		now = wt_monotonic_us();
		if (open && now >= close_at)
		{
			wt_listener_close_sockets(serving.listener);
			open = false;
			continue;
		}
		left = TimestampDifferenceMilliseconds(now, open ? close_at : until);
		if (!open)
		{
			int time_to_end = wt_listener_time_to_end(serving.listener);

			/* What could not be stored is tried until the time is over. */
			if (wt_daemons_are_busy(daemons) && left > 0)
				time_to_end = 20;
			if (time_to_end == 0 || left <= 0)
				break;
			left = wt_shorter(left, time_to_end);
		}
		wait_for_work(wt_shorter(wt_shorter(left, wt_daemons_timeout(daemons)),
								 wt_listener_timeout(serving.listener)));
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
	}
	wt_ring_batch_finish(&(WtSenders){serving.listener, daemons}, why_unavailable(),
						 STOP_RING_TIMEOUT);
	/* What is left is answered 503, by the batch and by the listener. */
	wt_batch_abandon(&(WtSenders){serving.listener, daemons});
	FreeWaitEventSet(wait_events);
	wait_events = NULL;
	wt_stdout_finish();
	wt_intake_end();
	daemons = NULL;
	wt_serving_end(&serving);
}

/* The same while it cannot listen yet, which keeps nobody from storing what is in the ring. */
static bool
nap_without_listener(long ms)
{
	int64 until = wt_monotonic_ms() + ms;
	long left;

	while ((left = (long) (until - wt_monotonic_ms())) > 0)
	{
		AcceptInvalidationMessages();
		if (!wt_ring_batch_process(&(WtSenders){0}, why_unavailable(), store_timeout()) &&
			!nap(wt_shorter(left, wt_ring_batch_timeout())))
			return false;
		if (!attend())
			return false;
	}
	return true;
}

/* Listens, trying again with a growing pause; false: it is time to stop. */
static bool
start_serving(int number)
{
	static WtPaths paths;
	const WtListeningPlace place = {.place = number,
									.first = 0,
									.n = WT_MAX_WORKERS,
									.port = &wt_port,
									.name = "windtrap.port",
									.for_senders = true};

	paths = (WtPaths){.paths = wt_collector_paths,
					  .n = wt_n_collector_paths,
					  .protocols = wt_protocols,
					  .n_protocols = wt_n_protocols,
					  .nothing = wt_collector_nothing};
	wt_router_use(&paths);
	if (!wt_serving_start(&serving, &place, nap_without_listener))
		return false;
	daemons = wt_intake_start(serving.listener, number);
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

	if (!wt_extension_is_present())
		return;
	reason = wt_restore_in_progress(false);
	over = say(WT_CONDITION_RESTORE, reason) && !reason;
	if (reason || wt_condition_stands(WT_CONDITION_DESTINATION))
		return;
	now = wt_monotonic_us();
	if (!over &&
		!(wt_absence_lasts() &&
		  TimestampDifferenceExceeds(last_try, now, REFUSAL_POLL)) &&
		wt_condition_age(WT_CONDITION_STORE) < STORE_POLL)
		return;
	last_try = now;
	wt_batch_prepare(store_timeout());
}

/* Says so where there is no memory for more events. */
static void
check_memory(void)
{
	(void) wt_condition_set(WT_CONDITION_MEMORY, wt_listener_shortage(serving.listener));
}

/* Says so, and lets no client stay, while somebody waits for all of them to have gone. */
static void
check_drain(void)
{
	bool drain = wt_shared->drains > 0;

	(void) wt_condition_set(WT_CONDITION_DRAIN,
							drain ? "the collector is about to stop" : NULL);
	wt_listener_leave(serving.listener, drain);
}

/* Whether something is to be looked at again soon, though nothing comes. */
static bool
is_refusing(void)
{
	return wt_listening_is_otherwise() || wt_intake_is_otherwise() ||
		   wt_absence_lasts() || wt_condition_stands(WT_CONDITION_RESTORE) ||
		   wt_condition_stands(WT_CONDITION_STORE) ||
		   wt_condition_stands(WT_CONDITION_MEMORY);
}

/* Receives events until it is time to stop or the extension has been dropped. */
static void
serve(void)
{
	TimestampTz last_work = wt_monotonic_us();
	bool shrunk = true;
	long stats_due = -1;

	while (attend())
	{
		TimestampTz now;
		bool was_missing;

		/* Before the listener answers who asks for its health. */
		AcceptInvalidationMessages();
		check_table();
		check_memory();
		check_drain();
		if (work(store_timeout()))
		{
			last_work = wt_monotonic_us();
			shrunk = false;
			/* Without this autovacuum never learns of the rows. */
			stats_due = pgstat_report_stat(false);
		}
		now = wt_monotonic_us();
		AcceptInvalidationMessages();
		check_destination();
		wt_serving_check_tokens(&serving);
		check_memory();
		was_missing = serving.missing_since != 0;
		if (!wt_serving_check_extension(&serving))
		{
			ereport(LOG, (errmsg("windtrap: the extension has been dropped")));
			return;
		}
		if (was_missing && serving.missing_since == 0)
			wt_absence_forget();
		wt_listening_try_again();
		wt_intake_try_again();
		if (!shrunk && TimestampDifferenceExceeds(last_work, now, IDLE_SHRINK))
		{
			give_back_memory();
			shrunk = true;
		}

		wait_for_work(wt_shorter(
			wt_shorter(wt_shorter(wt_shorter(wt_listener_timeout(serving.listener),
											 wt_daemons_timeout(daemons)),
								  wt_stdout_timeout()),
					   wt_shorter(wt_ring_batch_timeout(), IDLE_SHRINK)),
			wt_shorter(stats_due > 0 ? stats_due : -1,
					   wt_shorter(wt_tokens_timeout(),
								  serving.missing_since != 0 || is_refusing()
									  ? REFUSAL_POLL
									  : -1))));
		if (stats_due > 0 &&
			TimestampDifferenceExceeds(last_work, wt_monotonic_us(), (int) stats_due))
			stats_due = pgstat_report_stat(true);
	}
}

void
windtrap_worker_main(Datum arg)
{
	static const WtServed served = {
		.nap = nap, .start = start_serving, .serve = serve, .stop = stop_serving};
	int number = DatumGetInt32(arg);
	WtWorkerArgs args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	wt_process_begin(on_reload);
	wt_status_begin(number, args.database);
	wt_connect(args.database);
	keep_memory();
	wt_serving_begin();
	wt_stdout_configure();
	empties_ring = (number == 0);
	check_server_log();
	if (empties_ring)
		wt_ring_batch_begin();
	wt_serving_live(number, &served);
}
