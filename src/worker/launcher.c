/*
 * launcher.c
 *		The process that starts the workers and keeps them going.
 *
 * It is connected to no database, so it is in nobody's way: databases can be dropped,
 * and what it waits for may not exist yet.  It alone decides whether a worker that ended
 * is started again, and when; so there is one place for patience, and a worker that
 * cannot live makes no restart loop.  The upkeep's process, the viewers, the forwarders and the
 * helpers are looked after in the same way.
 *
 * Words: a *static* launcher was started by preload and lives as long as the server; a
 * *dynamic* one by windtrap.start(), for one database, until windtrap.stop(), or until
 * the database or the extension is gone.  What a launcher finds running when it begins it
 * *adopts*: somebody has ended the one before, and no event waits for the server to start
 * another one.  PostgreSQL gives no handle for these, so they are known by the pid in
 * their place, which each of them clears before it is gone.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "alerts/alerts_worker.h"
#include "alerts/webhooks_worker.h"
#include "forward/forward_worker.h"
#include "worker/launcher.h"
#include "base/helper.h"
#include "base/monotonic.h"
#include "base/patience.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/shared.h"
#include "upkeep/upkeep_worker.h"
#include "viewer/viewer_worker.h"
#include "worker/worker.h"

/* Before a worker that ended is started again, ms: the first pause and the longest. */
#define FIRST_PAUSE 1000
#define LAST_PAUSE 60000

/*
 * Before one that has served, ms, for it is somebody who ends it: a closed port loses events.
 * How often in a row; beyond that it is at fault itself, and the pauses grow.
 */
#define SHORT_PAUSE 100
#define MAX_SHORT_PAUSES 10

/* A process that nobody sees serve has done so when it has lived this long, ms. */
#define SHORT_LIFE 1000

/* A worker that lived this long, ms, was well: what was before is forgotten. */
#define GOOD_LIFE 60000

/* Looking for a database that does not exist, or a free slot, ms. */
#define POLL 1000

/* With nothing to expect, ms. */
#define REST 10000

/* A dynamic launcher ends when the extension has been absent for so long, ms. */
#define EXTENSION_GRACE 15000

/* Ending: how long workers may take, ms; they need less than 5 s. */
#define STOP_TIMEOUT WT_PATIENCE(6000)

typedef struct Worker
{
	BackgroundWorkerHandle *handle; /* NULL: none was started, or it has ended */
	int adopted;					/* pid of one that was running already; 0: none */
	TimestampTz started;			/* by the steady clock, as the next: */
	TimestampTz not_before;			/* of the next start */
	long pause;						/* ms, the last one of those that grow */
	int ends;						/* since it was well */
	bool said;						/* that there is no slot for it */
} Worker;

static Worker workers[WT_PLACES];
static volatile sig_atomic_t stop_requested = false;
static const char no_slot[] =
	"there is no free slot for a background worker: raise max_worker_processes";
static const char after_workers[] =
	"it is started when all workers run, since slots for background workers may be few";

static void
on_sigterm(SIGNAL_ARGS)
{
	int saved = errno;

	stop_requested = true;
	SetLatch(MyLatch);
	errno = saved;
}

static void
fill_worker(BackgroundWorker *worker, const char *function, const char *name)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	/* On a standby there is nothing to write to: wait for promotion. */
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, "windtrap", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_name, name, sizeof(worker->bgw_name));
	strlcpy(worker->bgw_type, name, sizeof(worker->bgw_type));
}

static void
fill_launcher(BackgroundWorker *worker, Oid database)
{
	fill_worker(worker, "windtrap_launcher_main", "windtrap launcher");
	worker->bgw_restart_time = 1;
	worker->bgw_main_arg = ObjectIdGetDatum(database);
}

void
wt_launcher_register(void)
{
	BackgroundWorker worker;

	fill_launcher(&worker, InvalidOid);
	RegisterBackgroundWorker(&worker);
}

bool
wt_launcher_start(Oid database, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	fill_launcher(&worker, database);
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

static void
set_worker_status(int number, WtState state, const char *error)
{
	WtWorkerStatus *w = &wt_shared->workers[number];

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (w->state != state)
	{
		w->state = state;
		w->since = GetCurrentTimestamp();
	}
	strlcpy(w->error, error, sizeof(w->error));
	LWLockRelease(&wt_shared->lock);
}

static WtState
worker_state(int number)
{
	WtState state;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	state = wt_shared->workers[number].state;
	LWLockRelease(&wt_shared->lock);
	return state;
}

/* The process in a place, as it says itself; 0: none.  Needs the lock. */
static int
pid_in(int place)
{
	if (place < WT_N_LISTENERS)
		return wt_shared->workers[place].pid;
	if (place == WT_PLACE_UPKEEP)
		return wt_shared->upkeep.pid;
	if (place >= WT_PLACE_HELPERS)
		return wt_shared->helpers[place - WT_PLACE_HELPERS].pid;
	return wt_shared->forwarders[place - WT_PLACE_FORWARDERS].pid;
}

static bool
is_running(int place)
{
	return workers[place].handle || workers[place].adopted != 0;
}

/* Whether what was running in a place has ended; then there is nothing any more. */
static bool
has_ended(int place)
{
	Worker *w = &workers[place];
	bool ended;
	pid_t pid;

	if (w->adopted != 0)
	{
		LWLockAcquire(&wt_shared->lock, LW_SHARED);
		ended = pid_in(place) != w->adopted;
		LWLockRelease(&wt_shared->lock);
		if (ended)
			w->adopted = 0;
		return ended;
	}
	if (!w->handle || GetBackgroundWorkerPid(w->handle, &pid) != BGWH_STOPPED)
		return false;
	pfree(w->handle);
	w->handle = NULL;
	return true;
}

/* Asks what is running in a place to end. */
static void
terminate(int place)
{
	const Worker *w = &workers[place];

	if (w->handle)
		TerminateBackgroundWorker(w->handle);
	if (w->adopted == 0)
		return;
	/* It needs the lock before it can be gone, so this is nobody else's pid. */
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	if (pid_in(place) == w->adopted)
		(void) kill(w->adopted, SIGTERM);
	LWLockRelease(&wt_shared->lock);
}

/* Says of a place how it is with it while there is no process. */
static void
set_start_status(int place, WtState state, const char *error)
{
	WtStartStatus *s = &wt_shared->starts[place];

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (s->state != state)
	{
		s->state = state;
		s->since = GetCurrentTimestamp();
	}
	s->next_start = 0;
	if (workers[place].not_before != 0)
		s->next_start =
			GetCurrentTimestamp() + (workers[place].not_before - wt_monotonic_us());
	strlcpy(s->error, error, sizeof(s->error));
	LWLockRelease(&wt_shared->lock);
}

static void
set_launcher_status(WtState state, const char *error)
{
	WtLauncherStatus *l = &wt_shared->launcher;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (l->state != state)
	{
		l->state = state;
		l->since = GetCurrentTimestamp();
	}
	strlcpy(l->error, error, sizeof(l->error));
	LWLockRelease(&wt_shared->lock);
}

/*
 * Starts a process in its place; where there is no slot, says so once, tries again later
 * and gives false.
 */
static bool
start_process(int place, BackgroundWorker *process)
{
	Worker *w = &workers[place];

	process->bgw_restart_time = BGW_NEVER_RESTART; /* that is ours to do */
	process->bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(process, &w->handle))
	{
		w->started = wt_monotonic_us();
		w->not_before = 0;
		w->said = false;
		set_start_status(place, WT_STATE_STARTING, "");
		return true;
	}
	w->handle = NULL;
	w->not_before = TimestampTzPlusMilliseconds(wt_monotonic_us(), 5 * POLL);
	if (!w->said)
		ereport(LOG,
				(errmsg("windtrap: there is no free slot for a background worker "
						"(%s)",
						process->bgw_name),
				 errhint("Raise max_worker_processes, now %d.", max_worker_processes)));
	w->said = true;
	set_start_status(place, WT_STATE_FAILED, no_slot);
	return false;
}

static void
start_listener(int place, Oid database)
{
	BackgroundWorker worker;
	WtWorkerArgs args = {.database = database};
	bool views = place >= WT_PLACE_VIEWERS;

	fill_worker(&worker, views ? "windtrap_viewer_main" : "windtrap_worker_main",
				views ? "windtrap viewer" : "windtrap worker");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s %d", worker.bgw_type,
			 (views ? place - WT_PLACE_VIEWERS : place) + 1);
	worker.bgw_main_arg = Int32GetDatum(place);
	memcpy(worker.bgw_extra, &args, sizeof(args));
	set_worker_status(place, WT_STATE_STARTING, "");
	if (!start_process(place, &worker))
		set_worker_status(place, WT_STATE_FAILED, no_slot);
}

static int
wanted_viewers(void)
{
	return wt_viewer_port == 0 ? 0 : wt_viewers;
}

/* Asks viewers that are wanted no more to end; their places are free when they have. */
static void
end_viewers(void)
{
	for (int i = WT_PLACE_VIEWERS + wanted_viewers(); i < WT_N_LISTENERS; i++)
	{
		if (is_running(i))
			terminate(i);
		else if (wt_shared->starts[i].state != WT_STATE_NONE ||
				 wt_shared->workers[i].state != WT_STATE_NONE)
		{
			memset(&workers[i], 0, sizeof(workers[i]));
			set_start_status(i, WT_STATE_NONE, "");
			set_worker_status(i, WT_STATE_NONE, "");
		}
	}
}

static void
start_upkeep(Oid database)
{
	BackgroundWorker worker;

	fill_worker(&worker, "windtrap_upkeep_main", "windtrap upkeep");
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	(void) start_process(WT_PLACE_UPKEEP, &worker);
}

static void
start_forwarder(int number, Oid database)
{
	BackgroundWorker worker;
	WtWorkerArgs args = {.database = database};

	fill_worker(&worker, "windtrap_forward_main", "windtrap forwarder");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "windtrap forwarder to %s",
			 wt_shared->forwarders[number].target);
	worker.bgw_main_arg = Int32GetDatum(number);
	memcpy(worker.bgw_extra, &args, sizeof(args));
	(void) start_process(WT_PLACE_FORWARDERS + number, &worker);
}

static void
start_helper(WtHelper helper, Oid database)
{
	BackgroundWorker worker;
	bool counts = helper == WT_HELPER_ALERTS;

	fill_worker(&worker, counts ? "windtrap_alerts_main" : "windtrap_webhooks_main",
				counts ? "windtrap alerts" : "windtrap webhooks");
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	(void) start_process(WT_PLACE_HELPERS + helper, &worker);
}

/* Asks a helper that is wanted no more to end; its place is free when it has. */
static void
end_helper(WtHelper helper)
{
	int place = WT_PLACE_HELPERS + helper;

	if (is_running(place))
		terminate(place);
	else if (wt_shared->starts[place].state != WT_STATE_NONE)
	{
		memset(&workers[place], 0, sizeof(workers[place]));
		set_start_status(place, WT_STATE_NONE, "");
	}
}

static bool
is_target(const char *name)
{
	const WtTargets *targets = wt_forward_targets();

	for (int i = 0; i < targets->n; i++)
		if (strcmp(targets->names[i], name) == 0)
			return true;
	return false;
}

static bool
has_forwarder(const char *name)
{
	for (int i = 0; i < WT_MAX_TARGETS; i++)
		if (strcmp(wt_shared->forwarders[i].target, name) == 0)
			return true;
	return false;
}

/*
 * Gives each target of windtrap.forward_to a place.  A forwarder whose target is not among
 * them any more is asked to end, and its place is free when it has; nobody waits for it.
 */
static void
place_forwarders(void)
{
	const WtTargets *targets = wt_forward_targets();

	for (int i = 0; i < WT_MAX_TARGETS; i++)
	{
		WtForwarderStatus *f = &wt_shared->forwarders[i];
		Worker *w = &workers[WT_PLACE_FORWARDERS + i];

		if (f->target[0] == '\0' || is_target(f->target))
			continue;
		if (is_running(WT_PLACE_FORWARDERS + i))
			terminate(WT_PLACE_FORWARDERS + i);
		else
		{
			LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
			memset(f, 0, sizeof(*f));
			LWLockRelease(&wt_shared->lock);
			memset(w, 0, sizeof(*w));
			set_start_status(WT_PLACE_FORWARDERS + i, WT_STATE_NONE, "");
		}
	}
	for (int i = 0; i < targets->n; i++)
	{
		if (has_forwarder(targets->names[i]))
			continue;
		for (int k = 0; k < WT_MAX_TARGETS; k++)
		{
			WtForwarderStatus *f = &wt_shared->forwarders[k];

			if (f->target[0] != '\0')
				continue;
			LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
			memset(f, 0, sizeof(*f));
			strlcpy(f->target, targets->names[i], sizeof(f->target));
			f->since = GetCurrentTimestamp();
			LWLockRelease(&wt_shared->lock);
			break;
		}
	}
}

/* Whether what has just ended was at work before. */
static bool
has_served(int place, TimestampTz now)
{
	bool served;

	if (place >= WT_N_LISTENERS)
		return TimestampDifferenceExceeds(workers[place].started, now, SHORT_LIFE);
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	served = wt_shared->workers[place].has_served;
	wt_shared->workers[place].has_served = false;
	LWLockRelease(&wt_shared->lock);
	return served;
}

/* Looks who has ended, and when it may be started again. */
static void
collect_workers(void)
{
	TimestampTz now = wt_monotonic_us();

	for (int i = 0; i < WT_PLACES; i++)
	{
		Worker *w = &workers[i];
		long pause;

		if (!has_ended(i))
			continue;
		if (TimestampDifferenceExceeds(w->started, now, GOOD_LIFE))
		{
			w->pause = 0;
			w->ends = 0;
		}
		if (has_served(i, now) && ++w->ends <= MAX_SHORT_PAUSES)
			pause = SHORT_PAUSE;
		else
		{
			pause = w->pause == 0 ? FIRST_PAUSE : Min(w->pause * 2, LAST_PAUSE);
			w->pause = pause;
		}
		w->not_before = TimestampTzPlusMilliseconds(now, pause);
		set_start_status(i, WT_STATE_RESTARTING,
						 "the process has ended: the server's log says why");
	}
}

static int
count_running(void)
{
	int n = 0;

	for (int i = 0; i < WT_MAX_WORKERS; i++)
		n += is_running(i);
	return n;
}

/* Ends those in the places from first to before end, and waits until they are gone. */
static void
stop_workers(int first, int end)
{
	TimestampTz until = TimestampTzPlusMilliseconds(wt_monotonic_us(), STOP_TIMEOUT);

	for (int i = first; i < end; i++)
		terminate(i);
	for (;;)
	{
		int running = 0;

		collect_workers();
		for (int i = first; i < end; i++)
			running += is_running(i);
		if (running == 0 || wt_monotonic_us() >= until)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	for (int i = first; i < end; i++)
	{
		workers[i].pause = 0;
		workers[i].ends = 0;
		workers[i].not_before = 0;
		set_start_status(i, WT_STATE_NONE, "");
		if (i < WT_N_LISTENERS)
			set_worker_status(i, WT_STATE_NONE, "");
	}
}

/*
 * Unless it goes for good, the server starts it again, and it takes over those that run;
 * but not who has been started and is not to be seen yet.
 */
static void
leave(int code, Datum arg)
{
	bool for_good = code == 0 || wt_shared->stop;

	for (int i = 0; i < WT_PLACES; i++)
	{
		bool seen;

		LWLockAcquire(&wt_shared->lock, LW_SHARED);
		seen = pid_in(i) != 0;
		LWLockRelease(&wt_shared->lock);
		if (for_good || !seen)
			terminate(i);
	}
	set_launcher_status(code == 0 ? WT_STATE_NONE : WT_STATE_RESTARTING,
						code == 0 ? ""
								  : "the process has ended: the server starts it again");
	for (int i = 0; i < WT_PLACES; i++)
	{
		bool wanted =
			!for_good && (i < wt_workers || i == WT_PLACE_UPKEEP || is_running(i));

		workers[i].not_before = 0;
		set_start_status(i, wanted ? WT_STATE_RESTARTING : WT_STATE_NONE,
						 wanted ? "it waits for the launcher" : "");
	}
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (wt_shared->launcher_pid == MyProcPid)
	{
		wt_shared->launcher_pid = 0;
		if (for_good)
			wt_shared->database = InvalidOid;
	}
	LWLockRelease(&wt_shared->lock);
}

/*
 * There is one launcher; who comes second goes.  *served: the database of those that it has
 * adopted; InvalidOid: nobody was there.
 */
static bool
become_launcher(Oid database, Oid *served)
{
	bool any = false;
	bool first;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	first = (wt_shared->launcher_pid == 0);
	if (first)
	{
		wt_shared->launcher_pid = MyProcPid;
		wt_shared->launcher_static = !OidIsValid(database);
		for (int i = 0; i < WT_PLACES; i++)
		{
			workers[i].adopted = pid_in(i);
			workers[i].started = wt_monotonic_us();
			any = any || workers[i].adopted != 0;
		}
		*served = any ? wt_shared->database : InvalidOid;
		wt_shared->database = any ? *served : database;
	}
	LWLockRelease(&wt_shared->lock);
	if (first)
	{
		before_shmem_exit(leave, 0);
		set_launcher_status(WT_STATE_STARTING, "");
		for (int i = 0; i < WT_PLACES; i++)
			if (is_running(i))
				set_start_status(i, WT_STATE_STARTING, "");
	}
	return first;
}

static bool
is_stopped(void)
{
	bool stop;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	stop = wt_shared->stop;
	LWLockRelease(&wt_shared->lock);
	return stop;
}

/*
 * The database to serve, InvalidOid while it does not exist.  Without a database of our
 * own there may be no index to look it up by (right after initdb or a crash there is no
 * cache of the shared catalogs), so this reads pg_database as autovacuum's launcher does.
 */
static Oid
find_database(Oid database)
{
	Oid found = InvalidOid;
	Relation relation;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (OidIsValid(database) ? form->oid == database
								 : strcmp(NameStr(form->datname), wt_database) == 0)
			found = form->oid;
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	return found;
}

/*
 * Whether all workers have been waiting for the extension for so long that it has been
 * dropped for good.
 */
static bool
extension_is_gone(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool gone = true;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < wt_workers; i++)
	{
		const WtWorkerStatus *w = &wt_shared->workers[i];

		if (w->state != WT_STATE_WAITING ||
			!TimestampDifferenceExceeds(w->since, now, EXTENSION_GRACE))
			gone = false;
	}
	LWLockRelease(&wt_shared->lock);
	return gone;
}

static void
rest(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* ms until what is in a place may be started; 0: now. */
static long
time_to_start(const Worker *w)
{
	if (w->not_before == 0)
		return 0;
	return TimestampDifferenceMilliseconds(wt_monotonic_us(), w->not_before);
}

/* Starts what should run and does not; gives ms until there is something to do. */
static long
start_workers(Oid database)
{
	long next = REST;
	bool all_work;

	/* Of the end of these the server does not tell. */
	for (int i = 0; i < WT_PLACES; i++)
		if (workers[i].adopted != 0)
			next = POLL;
	for (int i = 0; i < wt_workers; i++)
	{
		long left;

		if (is_running(i))
		{
			/* It may have failed to fork: look soon. */
			if (worker_state(i) == WT_STATE_STARTING)
				next = Min(next, POLL);
			continue;
		}
		left = time_to_start(&workers[i]);
		if (left <= 0)
			start_listener(i, database);
		else
			next = Min(next, left);
	}
	/* Where slots are few, events come first. */
	all_work = count_running() >= wt_workers;
	if (!is_running(WT_PLACE_UPKEEP))
	{
		long left = time_to_start(&workers[WT_PLACE_UPKEEP]);

		if (!all_work)
			set_start_status(WT_PLACE_UPKEEP, WT_STATE_WAITING, after_workers);
		else if (left <= 0)
			start_upkeep(database);
		else
			next = Min(next, left);
	}
	end_viewers();
	for (int i = WT_PLACE_VIEWERS; i < WT_PLACE_VIEWERS + wanted_viewers(); i++)
	{
		long left = time_to_start(&workers[i]);

		if (is_running(i))
			continue;
		if (!all_work)
			set_start_status(i, WT_STATE_WAITING, after_workers);
		else if (left <= 0)
			start_listener(i, database);
		else
			next = Min(next, left);
	}
	place_forwarders();
	for (int i = 0; i < WT_MAX_TARGETS; i++)
	{
		Worker *w = &workers[WT_PLACE_FORWARDERS + i];
		long left;

		if (is_running(WT_PLACE_FORWARDERS + i) ||
			wt_shared->forwarders[i].target[0] == '\0')
			continue;
		left = time_to_start(w);
		if (!all_work)
			set_start_status(WT_PLACE_FORWARDERS + i, WT_STATE_WAITING, after_workers);
		else if (left <= 0)
			start_forwarder(i, database);
		else
			next = Min(next, left);
	}
	for (int i = 0; i < WT_N_HELPERS; i++)
	{
		int place = WT_PLACE_HELPERS + i;
		long left = time_to_start(&workers[place]);

		if (!wt_helper_is_wanted(i))
			end_helper(i);
		else if (is_running(place))
			continue;
		else if (!all_work)
			set_start_status(place, WT_STATE_WAITING, after_workers);
		else if (left <= 0)
			start_helper(i, database);
		else
			next = Min(next, left);
	}
	return next;
}

void
windtrap_launcher_main(Datum arg)
{
	Oid wanted = DatumGetObjectId(arg); /* InvalidOid: static */
	Oid served;
	bool said_missing = false;

	wt_process_is_own = true;
	pqsignal(SIGTERM, on_sigterm);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	wt_shared_attach();
	if (!become_launcher(wanted, &served))
		proc_exit(0);
	pgstat_report_activity(STATE_IDLE, NULL);

	while (!stop_requested)
	{
		char error[WT_ERROR_SIZE];
		Oid database;
		long next;

		if (is_stopped())
		{
			stop_workers(0, WT_PLACES);
			served = InvalidOid;
			set_launcher_status(WT_STATE_NONE, "");
			if (OidIsValid(wanted))
				proc_exit(0);
			rest(REST);
			continue;
		}
		collect_workers();
		database = find_database(wanted);
		if (database != served)
		{
			stop_workers(0, WT_PLACES);
			served = database;
			LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
			wt_shared->database = database;
			wt_shared->outbox.measured = false;
			LWLockRelease(&wt_shared->lock);
			/* What that one has its upkeep will say. */
			for (int i = 0; i < WT_N_HELPERS; i++)
				wt_helper_want(i, false);
		}
		if (!OidIsValid(database))
		{
			if (OidIsValid(wanted))
			{
				ereport(LOG,
						(errmsg("windtrap: its database has been dropped, stopping")));
				proc_exit(0);
			}
			if (!said_missing)
				ereport(LOG,
						(errmsg("windtrap: waiting for database \"%s\" to be created",
								wt_database)));
			said_missing = true;
			snprintf(error, sizeof(error), "database \"%s\" does not exist", wt_database);
			set_launcher_status(WT_STATE_WAITING, error);
			rest(POLL);
			continue;
		}
		said_missing = false;
		set_launcher_status(WT_STATE_WORKING, "");
		if (OidIsValid(wanted) && extension_is_gone())
		{
			ereport(LOG, (errmsg("windtrap: the extension is not installed, stopping")));
			stop_workers(0, WT_PLACES);
			proc_exit(0);
		}
		if (count_running() > wt_workers)
			stop_workers(wt_workers, WT_MAX_WORKERS);
		next = start_workers(database);
		rest(next);
	}
	/* Where the server is stopping it tells the others itself. */
	proc_exit(1);
}
