/*
 * upkeep_worker.c
 *		The life of the process that keeps up the log table.
 *
 * It is one of its own, since a listener's loop must not stand still while rows are moved
 * or locks are tried for.  It sleeps, and now and then looks at the catalog: there are
 * partitions for a week to come, so nothing is urgent, and what fails is tried again.
 *
 * Words: a *round* is one look and what it shows to be done, each task in a transaction
 * of its own, so that none of them holds its locks for the others' time, and one that
 * fails does not undo them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/extension.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/log_table.h"
#include "base/settings.h"
#include "base/shared.h"
#include "base/transact.h"
#include "base/identity.h"
#include "upkeep/upkeep.h"
#include "upkeep/upkeep_worker.h"

/* Between two rounds, ms. */
#define INTERVAL (5 * 60 * 1000)

/* While the extension is absent, ms. */
#define EXTENSION_POLL 2000

/* While the table is absent, ms: it comes with the first event. */
#define TABLE_POLL 15000

/* After a round in which something failed, ms: the first pause and the longest. */
#define FIRST_RETRY 2000
#define LAST_RETRY INTERVAL

/* A task may take this long, ms. */
#define TASK_TIMEOUT INTERVAL

/* What a transaction does; the plan and the tasks outlive it. */
typedef struct Round
{
	bool has_extension;
	Oid relation; /* InvalidOid: the table is absent */
	List *tasks;
	WtTask *task;
	int64 deleted;
} Round;

static volatile sig_atomic_t stop_requested = false;
static WtGlance glance;
static char reported[256]; /* the failure that was logged last */

/* SIGTERM: leave; a transaction that waits or works is cancelled. */
static void
on_sigterm(SIGNAL_ARGS)
{
	int saved = errno;

	stop_requested = true;
	if (wt_transaction_in_progress)
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = saved;
}

static void
on_exit_clear_pid(int code, Datum arg)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (wt_shared->upkeep.pid == MyProcPid)
		wt_shared->upkeep.pid = 0;
	LWLockRelease(&wt_shared->lock);
}

/*
 * Runs something in a transaction; false: it failed, and the log says so, once for as
 * long as it fails in the same way.
 */
static bool
transact(void (*what)(void *round), Round *round, const char *activity)
{
	ErrorData *e = wt_transact(what, round, activity, TASK_TIMEOUT);

	if (!e)
		return true;
	if (!stop_requested && strncmp(reported, e->message, sizeof(reported) - 1) != 0)
	{
		ereport(LOG, (errcode(e->sqlerrcode),
					  errmsg("windtrap: the upkeep of %s could not finish: %s", wt_table,
							 e->message),
					  e->detail ? errdetail_internal("%s", e->detail) : 0,
					  errhint("It will try again.")));
		strlcpy(reported, e->message, sizeof(reported));
	}
	FreeErrorData(e);
	return false;
}

static void
plan(void *arg)
{
	Round *round = arg;
	const char *reason;

	round->has_extension = OidIsValid(get_extension_oid("windtrap", true));
	if (!round->has_extension)
		return;
	round->relation = RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true);
	if (OidIsValid(round->relation))
		round->tasks =
			wt_upkeep_plan(round->relation, GetCurrentTimestamp(), &glance, &reason);
}

static void
do_task(void *arg)
{
	const Round *round = arg;

	wt_upkeep_do(round->relation, round->task);
}

static void
log_task(const WtTask *task)
{
	switch (task->kind)
	{
		case WT_TASK_MAKE:
			if (task->rows > 0)
				ereport(LOG, (errmsg("windtrap: created partition %s, moved " INT64_FORMAT
									 " rows into it",
									 task->done_to, task->rows)));
			else
				ereport(DEBUG1,
						(errmsg("windtrap: created partition %s", task->done_to)));
			break;
		case WT_TASK_DROP:
		{
			char *size = text_to_cstring(DatumGetTextPP(
				DirectFunctionCall1(pg_size_pretty, Int64GetDatum(task->bytes))));

			ereport(
				LOG,
				(task->rows >= 0
					 ? errmsg("windtrap: dropped partition %s: %s, about " INT64_FORMAT
							  " rows",
							  task->done_to, size, task->rows)
					 : errmsg("windtrap: dropped partition %s: %s, rows not counted",
							  task->done_to, size)));
			break;
		}
		case WT_TASK_DELETE: /* one line for all of them */
			break;
	}
}

/* One round; gives ms until the next. */
static long
work(void)
{
	static long pause = 0;
	Round round = {0};
	ListCell *cell;
	bool ok = transact(plan, &round, "looking at partitions");

	if (ok && !round.has_extension)
		return EXTENSION_POLL;
	if (ok && !OidIsValid(round.relation))
		return TABLE_POLL;
	foreach (cell, round.tasks)
	{
		if (stop_requested)
			return 0;
		round.task = lfirst(cell);
		if (!transact(do_task, &round, "maintaining partitions"))
		{
			ok = false;
			continue;
		}
		if (!round.task->done_to)
			continue;
		if (round.task->kind == WT_TASK_DELETE)
			round.deleted += round.task->rows;
		log_task(round.task);
	}
	if (round.deleted > 0)
		ereport(LOG, (errmsg("windtrap: deleted " INT64_FORMAT
							 " rows past windtrap.retention from the default partition",
							 round.deleted)));
	/* Without this autovacuum never learns of the rows. */
	pgstat_report_stat(true);
	if (ok)
	{
		pause = 0;
		reported[0] = '\0';
		return INTERVAL;
	}
	/* What was to be done to the default partition may not have been. */
	memset(&glance, 0, sizeof(glance));
	pause = pause == 0 ? FIRST_RETRY : Min(pause * 2, LAST_RETRY);
	return pause;
}

void
windtrap_upkeep_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGTERM, on_sigterm);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	wt_shared_attach();
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->upkeep.pid = MyProcPid;
	LWLockRelease(&wt_shared->lock);
	before_shmem_exit(on_exit_clear_pid, 0);
	wt_connect(DatumGetObjectId(arg));
	context = AllocSetContextCreate(TopMemoryContext, "windtrap upkeep",
									ALLOCSET_DEFAULT_SIZES);

	while (!stop_requested)
	{
		long next;

		MemoryContextSwitchTo(context);
		next = work();
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		if (stop_requested)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, next,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		/* A cancel that came between two transactions has nothing to cancel. */
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	proc_exit(0);
}
