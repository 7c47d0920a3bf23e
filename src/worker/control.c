/*
 * control.c
 *		windtrap.start(), windtrap.stop() and windtrap.drain().
 */
#include "postgres.h"

#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "worker/launcher.h"
#include "base/monotonic.h"
#include "base/patience.h"
#include "base/settings.h"
#include "base/shared.h"

PG_FUNCTION_INFO_V1(windtrap_start);
PG_FUNCTION_INFO_V1(windtrap_stop);
PG_FUNCTION_INFO_V1(windtrap_drain);

/* How long the workers may take, ms. */
#define START_TIMEOUT WT_PATIENCE(15000)
#define STOP_TIMEOUT WT_PATIENCE(15000)

/* Within so long, ms, the server starts a launcher again; it takes a second. */
#define RESTART_TIMEOUT WT_PATIENCE(3000)

/* A worker that does not see the extension for so long, ms, will not see it soon. */
#define VISIBILITY_TIMEOUT WT_PATIENCE(3000)

/* How long clients may be asked to leave, ms. */
#define LONGEST_DRAIN (3600 * 1000)

/* Between two looks, ms. */
#define POLL 20

static void
look_again_later(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static bool
launcher_is_static(void)
{
	bool is_static;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	is_static = wt_shared->launcher_pid != 0 && wt_shared->launcher_static;
	LWLockRelease(&wt_shared->lock);
	return is_static;
}

/*
 * Asks the launcher to end its workers, a dynamic one itself too, or to have them; one that
 * is just being started again will see it.
 */
static void
ask_to_stop(bool stop)
{
	int pid;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	pid = wt_shared->launcher_pid;
	wt_shared->stop = stop;
	LWLockRelease(&wt_shared->lock);
	wt_wake(pid);
}

/* What wt_start waits for: how far all workers are. */
static WtState
overall_state(WtWorkerStatus *worst)
{
	WtState state = WT_STATE_LISTENING;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < wt_workers; i++)
	{
		const WtWorkerStatus *w = &wt_shared->workers[i];

		if (w->state == WT_STATE_LISTENING)
			continue;
		*worst = *w;
		state = w->state;
		if (state == WT_STATE_FAILED)
			break;
	}
	if (state == WT_STATE_LISTENING)
		*worst = wt_shared->workers[0];
	LWLockRelease(&wt_shared->lock);
	return state;
}

/* Whatever was started is stopped again: a start that failed leaves nothing behind. */
static void
stop_and_wait(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(wt_monotonic_us(), STOP_TIMEOUT);

	ask_to_stop(true);
	for (;;)
	{
		bool running = false;
		bool is_static;
		int pid;

		LWLockAcquire(&wt_shared->lock, LW_SHARED);
		for (int i = 0; i < WT_N_LISTENERS; i++)
			if (wt_shared->workers[i].pid != 0 ||
				wt_shared->workers[i].state != WT_STATE_NONE)
				running = true;
		if (wt_shared->upkeep.pid != 0)
			running = true;
		for (int i = 0; i < WT_MAX_TARGETS; i++)
			if (wt_shared->forwarders[i].pid != 0)
				running = true;
		for (int i = 0; i < WT_N_HELPERS; i++)
			if (wt_shared->helpers[i].pid != 0)
				running = true;
		pid = wt_shared->launcher_pid;
		is_static = wt_shared->launcher_static;
		LWLockRelease(&wt_shared->lock);
		if (!running && (pid == 0 || is_static))
			return;
		if (pid == 0)
		{
			/* Nobody is left to clear what ended workers have left behind. */
			LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
			for (int i = 0; i < WT_N_LISTENERS; i++)
				if (wt_shared->workers[i].pid == 0)
					wt_shared->workers[i].state = WT_STATE_NONE;
			wt_shared->launcher.state = WT_STATE_NONE;
			for (int i = 0; i < WT_PLACES; i++)
				wt_shared->starts[i].state = WT_STATE_NONE;
			LWLockRelease(&wt_shared->lock);
		}
		if (wt_monotonic_us() >= until)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("the workers have not ended within %d s",
								   STOP_TIMEOUT / 1000)));
		look_again_later();
	}
}

static void
fail_to_start(int code, const char *message, const char *hint)
{
	if (!launcher_is_static())
		stop_and_wait();
	ereport(ERROR,
			(errcode(code), errmsg("%s", message), hint ? errhint("%s", hint) : 0));
}

/* One that somebody has ended is started again by the server: there must not be another one. */
static void
wait_for_restart(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(wt_monotonic_us(), RESTART_TIMEOUT);
	bool restarting;

	do
	{
		LWLockAcquire(&wt_shared->lock, LW_SHARED);
		restarting = wt_shared->launcher_pid == 0 &&
					 wt_shared->launcher.state == WT_STATE_RESTARTING;
		LWLockRelease(&wt_shared->lock);
		if (restarting)
			look_again_later();
	} while (restarting && wt_monotonic_us() < until);
}

/* Makes sure that there is a launcher for this database, and that it is not stopped. */
static void
ensure_launcher(void)
{
	BackgroundWorkerHandle *handle;
	pid_t pid;
	Oid database;
	bool is_static;

	wait_for_restart();
	is_static = launcher_is_static();
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	pid = wt_shared->launcher_pid;
	database = wt_shared->database;
	LWLockRelease(&wt_shared->lock);

	if (is_static)
		database = get_database_oid(wt_database, true);
	if (pid != 0 && database != MyDatabaseId)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("WindTrap serves database \"%s\" already",
						is_static ? wt_database : get_database_name(database)),
				 is_static
					 ? errhint("Set windtrap.database, and reload the configuration.")
					 : errhint("Call windtrap.stop() there first.")));
	ask_to_stop(false);
	if (pid != 0)
		return;
	if (!wt_launcher_start(MyDatabaseId, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("there is no free slot for a background worker"),
				 errhint("Raise max_worker_processes, now %d, and restart the server.",
						 max_worker_processes)));
	if (WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the launcher could not be started"),
						errhint("The server's log says more.")));
}

/* windtrap.start() RETURNS text: what the first worker listens on */
Datum
windtrap_start(PG_FUNCTION_ARGS)
{
	TimestampTz begun = wt_monotonic_us();

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("WindTrap cannot start on a standby"),
				 errhint("It starts where events can be written: on the primary.")));
	if (IsBinaryUpgrade)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("WindTrap cannot start while pg_upgrade is at work")));
	wt_shared_attach();
	ensure_launcher();
	for (;;)
	{
		WtWorkerStatus worst;
		TimestampTz now = wt_monotonic_us();

		switch (overall_state(&worst))
		{
			case WT_STATE_LISTENING:
				PG_RETURN_TEXT_P(cstring_to_text(worst.addresses));
			case WT_STATE_FAILED:
				fail_to_start(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							  psprintf("WindTrap could not start: %s", worst.error),
							  NULL);
				break;
			case WT_STATE_WAITING:
				if (TimestampDifferenceExceeds(begun, now, VISIBILITY_TIMEOUT))
					fail_to_start(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
								  "the workers do not see the extension",
								  "Commit the transaction that creates it, then call "
								  "windtrap.start().");
				break;
			default:
				break;
		}
		if (TimestampDifferenceExceeds(begun, now, START_TIMEOUT))
			fail_to_start(
				ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				psprintf("WindTrap has not started within %d s", START_TIMEOUT / 1000),
				"The server's log says more.");
		look_again_later();
	}
}

/* Whether there is anything to stop. */
static bool
is_running(void)
{
	bool running = false;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
		if (wt_shared->workers[i].state != WT_STATE_NONE)
			running = true;
	if (wt_shared->launcher_pid != 0 && !wt_shared->launcher_static)
		running = true;
	LWLockRelease(&wt_shared->lock);
	return running;
}

/* windtrap.stop() RETURNS boolean: whether there was anything to stop */
Datum
windtrap_stop(PG_FUNCTION_ARGS)
{
	bool running;

	wt_shared_attach();
	running = is_running();
	stop_and_wait();
	PG_RETURN_BOOL(running);
}

/*
 * Asks the workers to send their clients away, or, for one who has asked that, not to any more.
 * Others who have asked it too are not to be let down by that.
 */
static void
ask_to_drain(bool drain)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->drains += drain ? 1 : -1;
	LWLockRelease(&wt_shared->lock);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		int pid;

		LWLockAcquire(&wt_shared->lock, LW_SHARED);
		pid = wt_shared->workers[i].pid;
		LWLockRelease(&wt_shared->lock);
		wt_wake(pid);
	}
}

static void
drain_no_more(int code, Datum arg)
{
	ask_to_drain(false);
}

/*
 * windtrap.drain(interval) RETURNS boolean: for so long /health is 503 and each answer the last
 * one of its connection, while events are taken; then as windtrap.stop().  One that is cancelled
 * leaves all as it was.
 */
Datum
windtrap_drain(PG_FUNCTION_ARGS)
{
	const Interval *duration = PG_GETARG_INTERVAL_P(0);
	TimestampTz until;
	bool running;

	if (duration->month != 0 || duration->day != 0 || duration->time < 0 ||
		duration->time > LONGEST_DRAIN * INT64CONST(1000))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("clients can be given from 0 to %d s to leave",
							   LONGEST_DRAIN / 1000)));
	wt_shared_attach();
	running = is_running();
	until = wt_monotonic_us() + duration->time;
	ask_to_drain(true);
	PG_ENSURE_ERROR_CLEANUP(drain_no_more, (Datum) 0);
	{
		while (running && wt_monotonic_us() < until)
			look_again_later();
		stop_and_wait();
	}
	PG_END_ENSURE_ERROR_CLEANUP(drain_no_more, (Datum) 0);
	ask_to_drain(false);
	PG_RETURN_BOOL(running);
}
