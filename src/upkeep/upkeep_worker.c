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
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/helper.h"
#include "base/process.h"
#include "store/idempotency.h"
#include "store/log_table.h"
#include "store/restoring.h"
#include "base/settings.h"
#include "base/shared.h"
#include "base/transact.h"
#include "base/identity.h"
#include "base/sql.h"
#include "upkeep/clock.h"
#include "upkeep/failures.h"
#include "upkeep/log_rows.h"
#include "upkeep/summarize.h"
#include "upkeep/upkeep.h"
#include "upkeep/upkeep_worker.h"

/* Between two rounds, ms. */
#define INTERVAL (5 * 60 * 1000)

/* Old keys are forgotten so often in windtrap.idempotency_window, and no sooner than after, s. */
#define KEY_SWEEPS 24
#define MIN_KEY_PAUSE 60

/* While the extension is absent, ms. */
#define EXTENSION_POLL 2000

/* While the table is absent, ms: it comes with the first event. */
#define TABLE_POLL 15000

/* While the database is being restored, ms: less than it is said to be after it has ended. */
#define RESTORE_POLL 1000

/* A table that has taken the place of another one is left alone for so long, ms. */
#define NEWCOMER 120000

/* After a round in which something failed, ms: the first pause and the longest. */
#define FIRST_RETRY 2000
#define LAST_RETRY INTERVAL

/* After a round that has left partitions, or rows, to be dropped for the next one, ms. */
#define NEXT_SHARE (60 * 1000)

/* Between two rounds BRIN indexes are kept up so often, ms. */
#define SUMMARIZE_INTERVAL 5000

/* A task may take this long, ms. */
#define TASK_TIMEOUT INTERVAL

/* Sealing is as long as the partition is large, and gives way to who waits for it, ms. */
#define SEAL_TIMEOUT (12 * 3600 * 1000)

/* After so long, ms, no further ones are sealed in this round, and the next one begins soon, ms. */
#define SEALING_TIME INTERVAL
#define NEXT_SEALS 1000

/* What a transaction does; the plan and the tasks outlive it. */
typedef struct Round
{
	bool has_extension;
	WtPlan plan; /* its relation InvalidOid: the table is absent */
	WtPlanPart part;
	WtTask *task; /* NULL: planning */
	WtUpkeepFailures failures;
	int64 deleted;
	BlockNumber key_block; /* from where on old keys are to be forgotten */
	bool more_keys;
} Round;

static WtGlance glance;

/* What the log table has been is known: another one is a newcomer. */
static bool has_begun = false;

static void
on_exit_clear_pid(int code, Datum arg)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (wt_shared->upkeep.pid == MyProcPid)
	{
		wt_shared->upkeep.pid = 0;
		wt_shared->upkeep.state = WT_STATE_NONE;
	}
	LWLockRelease(&wt_shared->lock);
}

static bool
is_long(const WtTask *task)
{
	return task && (task->kind == WT_TASK_SEAL || task->kind == WT_TASK_MERGE);
}

/*
 * Runs something in a transaction; false: it failed, and the log says so, once for as
 * long as something fails in the same way.
 */
static bool
transact(void (*what)(void *round), Round *round, const char *activity)
{
	const WtTask look = {.kind = WT_TASK_LOOK};
	ErrorData *e = wt_transact(what, round, activity,
							   is_long(round->task) ? SEAL_TIMEOUT : TASK_TIMEOUT);

	if (!e)
		return true;
	if (!wt_stop_requested && wt_failures_are_news(&round->failures, e))
		ereport(LOG, (errcode(e->sqlerrcode),
					  errmsg("windtrap: the upkeep of %s could not finish: %s", wt_table,
							 e->message),
					  e->detail ? errdetail_internal("%s", e->detail) : 0,
					  errhint("%s", wt_failure_remedy(e) ? wt_failure_remedy(e)
														 : "It will try again.")));
	if (round->task)
		wt_upkeep_failed(&round->plan, round->task, e->sqlerrcode);
	wt_failures_note(&round->failures, round->task ? round->task : &look, e);
	FreeErrorData(e);
	return false;
}

static void
plan(void *arg)
{
	Round *round = arg;
	WtPlan *p = &round->plan;

	round->has_extension = OidIsValid(get_extension_oid("windtrap", true));
	if (!round->has_extension)
		return;
	p->relation = RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true);
	if (!OidIsValid(p->relation))
		return;
	p->as_of = GetCurrentTimestamp();
	p->clock = wt_clock_get();
	wt_upkeep_plan(p, round->part);
	if (round->part == WT_PLAN_CLOCK && !p->reason)
		wt_clock_set(&p->clock);
}

static void
find_table(void *arg)
{
	Round *round = arg;

	round->plan.relation = RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true);
}

static void
do_task(void *arg)
{
	const Round *round = arg;

	wt_upkeep_do(round->plan.relation, round->task);
}

static void
follow_table(void *arg)
{
	(void) arg;
	wt_log_rows_follow();
}

/* Alerts that were there when the server started, or that a prepared transaction has made. */
static void
look_for_alerts(void *arg)
{
	(void) arg;
	if (wt_helper_is_wanted(WT_HELPER_ALERTS) ||
		!OidIsValid(get_extension_oid("windtrap", true)))
		return;
	wt_sql_connect();
	wt_sql_run("SELECT EXISTS (SELECT FROM windtrap.alert_rule)", 0, NULL, NULL, NULL);
	if (wt_sql_bool(0, 1))
		wt_helper_want(WT_HELPER_ALERTS, true);
	SPI_finish();
}

static void
prune_keys(void *arg)
{
	Round *round = arg;

	round->more_keys = OidIsValid(get_extension_oid("windtrap", true)) &&
					   wt_idempotency_prune(&round->key_block);
}

/*
 * Forgets old keys, now and then; false: it failed.  That is no matter of the log table's, and
 * is done whatever there is of it.
 */
static bool
forget_keys(Round *round)
{
	static TimestampTz last;
	static int window;
	TimestampTz now = GetCurrentTimestamp();
	long pause = Max(wt_idempotency_window / KEY_SWEEPS, MIN_KEY_PAUSE) * 1000L;
	WtTask *task;

	if (last != 0 && window == wt_idempotency_window &&
		!TimestampDifferenceExceeds(last, now, (int) Min(pause, INT_MAX)))
		return true;
	task = palloc0(sizeof(*task));
	task->kind = WT_TASK_DELETE;
	task->name = pstrdup("windtrap.idempotency_key");
	round->task = task;
	do
	{
		if (!transact(prune_keys, round, "forgetting old keys"))
			return false;
	} while (round->more_keys && !wt_stop_requested);
	round->task = NULL;
	last = now;
	window = wt_idempotency_window;
	return true;
}

static char *
pretty_size(int64 bytes)
{
	return text_to_cstring(
		DatumGetTextPP(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(bytes))));
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
			char *size = pretty_size(task->bytes);

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
		case WT_TASK_SEAL:
			ereport(LOG, (errmsg("windtrap: sealed partition %s: " INT64_FORMAT
								 " rows, %s became %s",
								 task->done_to, task->rows, pretty_size(task->bytes),
								 pretty_size(task->bytes_after))));
			break;
		case WT_TASK_REWRITE:
			ereport(DEBUG1, (errmsg("windtrap: rewrote chunks of %s", task->done_to)));
			break;
		case WT_TASK_MERGE:
			ereport(LOG,
					(errmsg("windtrap: merged " INT64_FORMAT " sealed partitions into %s",
							task->rows, task->done_to)));
			break;
		case WT_TASK_DELETE: /* one line for all of them */
		case WT_TASK_LOOK:
			break;
	}
}

/*
 * How long, ms, a table is to be left alone, because somebody may be filling it from a dump,
 * with its partitions.  That are tables that appear while this process lives, and that the
 * collector has not made.  `restored`: what was there when a restore that is over was seen last.
 * Another one is not its work: the next restore, which cannot be told by its session, may have
 * begun at once.
 */
static long
time_to_leave_alone(Oid relation, Oid restored)
{
	static Oid known = InvalidOid; /* it is kept up */
	static Oid newcomer = InvalidOid;
	static instr_time came;
	instr_time passed;

	if (!has_begun || relation == restored || relation == wt_shared->made_table)
		known = relation;
	has_begun = true;
	if (relation == known || !OidIsValid(relation))
		return 0;
	if (relation != newcomer)
	{
		newcomer = relation;
		INSTR_TIME_SET_CURRENT(came);
	}
	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, came);
	if (INSTR_TIME_GET_MILLISEC(passed) < NEWCOMER)
		return NEWCOMER - (long) INSTR_TIME_GET_MILLISEC(passed);
	known = relation;
	return 0;
}

static void
set_state(WtState state)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (wt_shared->upkeep.state != state)
	{
		wt_shared->upkeep.state = state;
		wt_shared->upkeep.since = GetCurrentTimestamp();
	}
	LWLockRelease(&wt_shared->lock);
}

/* Says, once, that nothing is dropped because of the clock; NULL: it is not so. */
static const char *
doubt(const WtPlan *p)
{
	static bool said = false;
	bool waits = !p->believed && (p->clock.jumped || p->held > 0);
	const char *text = waits ? wt_clock_doubt(&p->clock) : NULL;

	if (waits && !said)
		ereport(LOG, (errmsg("windtrap: %s", text), errhint("%s", wt_clock_remedy())));
	said = waits;
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->clock.waits = waits && wt_shared->clock.doubted_since != 0;
	LWLockRelease(&wt_shared->lock);
	return text;
}

/* Has others see how a round has ended. */
static void
report(Round *round)
{
	const WtUpkeepFailure *first = &round->failures.failures[0];
	const char *error = round->plan.reason ? NULL : doubt(&round->plan);
	const char *remedy = wt_clock_remedy();

	wt_failures_publish(&round->failures);
	if (round->failures.n > 0)
	{
		error = first->error;
		remedy = first->hint;
	}
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->upkeep.last_run = GetCurrentTimestamp();
	if (round->failures.n == 0)
		wt_shared->upkeep.last_success = wt_shared->upkeep.last_run;
	snprintf(wt_shared->upkeep.error, WT_ERROR_SIZE, "%s%s%s", error ? error : "",
			 error && remedy[0] ? "; " : "", error ? remedy : "");
	LWLockRelease(&wt_shared->lock);
}

static void
summarize(void *arg)
{
	Oid relation;

	(void) arg;
	if (!OidIsValid(get_extension_oid("windtrap", true)))
		return;
	relation = RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true);
	if (OidIsValid(relation))
		wt_upkeep_summarize(relation);
}

/* Has searches find the last events quickly. */
static void
find_last_quickly(void)
{
	static int last_sqlstate = 0;
	ErrorData *e = wt_transact(summarize, NULL, "summarizing BRIN indexes", TASK_TIMEOUT);

	if (e && !wt_stop_requested && e->sqlerrcode != last_sqlstate)
		ereport(LOG, (errcode(e->sqlerrcode),
					  errmsg("windtrap: could not summarize BRIN indexes of %s: %s",
							 wt_table, e->message),
					  errhint("It will try again.")));
	last_sqlstate = e ? e->sqlerrcode : 0;
	if (e)
		FreeErrorData(e);
}

/* One round; gives ms until the next. */
static long
work(void)
{
	static long pause = 0;
	static Oid restored = InvalidOid;
	Round round = {.plan = {.by_clock = true, .seal = true, .glance = &glance}};
	WtTask rows = {.kind = WT_TASK_LOOK, .name = pstrdup(WT_LOG_ROWS)};
	TimestampTz begin = GetCurrentTimestamp();
	ListCell *cell;
	long alone;
	bool ok = true;

	if (wt_restore_in_progress(true))
	{
		restored = InvalidOid;
		(void) transact(find_table, &round, "looking at the log table");
		restored = round.plan.relation;
		has_begun = true;
		return RESTORE_POLL;
	}
	round.task = &rows; /* what has failed, if it does */
	ok = transact(follow_table, &round, "looking at windtrap.log_rows()");
	rows.name = pstrdup("windtrap.alert_rule");
	if (!transact(look_for_alerts, &round, "looking for alerts"))
		ok = false;
	if (!forget_keys(&round))
		ok = false;
	round.task = NULL;
	for (; round.part < WT_N_PLAN_PARTS; round.part++)
	{
		if (!transact(plan, &round, "looking at partitions"))
			ok = false;
		else if (!round.has_extension)
			return EXTENSION_POLL;
		else if (!OidIsValid(round.plan.relation))
			return TABLE_POLL;
		if (wt_stop_requested)
			return 0;
		set_state(WT_STATE_WORKING);
	}
	alone = time_to_leave_alone(round.plan.relation, restored);
	restored = InvalidOid;
	if (alone > 0 && round.plan.tasks != NIL)
	{
		/* What the default partition needed is still to be done. */
		memset(&glance, 0, sizeof(glance));
		return alone;
	}
	foreach (cell, round.plan.tasks)
	{
		if (wt_stop_requested)
			return 0;
		if (wt_restore_in_progress(false))
			return RESTORE_POLL;
		round.task = lfirst(cell);
		if (!wt_upkeep_is_due(&round.plan, round.task))
			continue;
		if (is_long(round.task) &&
			TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), SEALING_TIME))
		{
			round.plan.more = true;
			continue;
		}
		do
		{
			round.task->more = false;
			if (!transact(do_task, &round, "maintaining partitions"))
			{
				ok = false;
				round.task->done_to = NULL;
				break;
			}
		} while (round.task->more && !wt_stop_requested);
		/* It has waited for that, and would for all that are left. */
		if (is_long(round.task) && !wt_stop_requested && !wt_restore_in_progress(false))
			find_last_quickly();
		if (!round.task->done_to)
			continue;
		if (round.task->kind == WT_TASK_DELETE)
			round.deleted += round.task->rows;
		/* Days of several sealed partitions can be merged now. */
		if (round.task->kind == WT_TASK_SEAL)
			round.plan.more = true;
		log_task(round.task);
	}
	if (round.deleted > 0)
		ereport(LOG, (errmsg("windtrap: deleted " INT64_FORMAT
							 " rows past windtrap.retention from the default partition",
							 round.deleted)));
	/* Without this autovacuum never learns of the rows. */
	pgstat_report_stat(true);
	report(&round);
	/* What was to be done to the default partition may not have been. */
	if (!ok || !round.plan.believed || round.plan.left_rows > 0)
		memset(&glance, 0, sizeof(glance));
	if (ok)
	{
		pause = 0;
		if (round.plan.more)
			return NEXT_SEALS;
		if (round.plan.left > 0 || round.plan.left_rows > 0)
			return NEXT_SHARE;
		if (round.plan.held > 0)
			return Min(INTERVAL, Max(TABLE_POLL, wt_retention_grace * 1000L));
		return INTERVAL;
	}
	pause = pause == 0 ? FIRST_RETRY : Min(pause * 2, LAST_RETRY);
	return pause;
}

/* Sleeps until the next round, and has searches find the last events quickly meanwhile. */
static void
rest(long ms)
{
	while (ms > 0 && !wt_stop_requested)
	{
		long nap = Min(ms, SUMMARIZE_INTERVAL);
		bool woken;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap,
						 PG_WAIT_EXTENSION);
		/* What WaitLatch() gives does not tell where the time was over too. */
		woken = MyLatch->is_set;
		ResetLatch(MyLatch);
		(void) wt_process_attend();
		/* There is a reason to look at once. */
		if (woken)
			return;
		ms -= nap;
		if (wt_stop_requested || wt_restore_in_progress(false))
			continue;
		find_last_quickly();
	}
}

void
windtrap_upkeep_main(Datum arg)
{
	MemoryContext context;

	wt_process_begin(NULL);
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->upkeep.pid = MyProcPid;
	wt_shared->upkeep.database = DatumGetObjectId(arg);
	wt_shared->upkeep.state = WT_STATE_STARTING;
	wt_shared->upkeep.since = GetCurrentTimestamp();
	LWLockRelease(&wt_shared->lock);
	before_shmem_exit(on_exit_clear_pid, 0);
	wt_connect(DatumGetObjectId(arg));
	context = AllocSetContextCreate(TopMemoryContext, "windtrap upkeep",
									ALLOCSET_DEFAULT_SIZES);

	while (!wt_stop_requested)
	{
		long next;

		MemoryContextSwitchTo(context);
		next = work();
		set_state(next == EXTENSION_POLL ? WT_STATE_WAITING : WT_STATE_IDLE);
		rest(next);
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
	}
	proc_exit(0);
}
