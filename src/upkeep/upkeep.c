/*
 * upkeep.c
 *		The log table's partitions: made ahead, filled, dropped; by hand.
 *
 * Words:
 *	span		the time that a partition covers; from is in it, to is not
 *	gap			a time that no partition covers; its events land in the default one
 *	task		one change, small enough for a transaction of its own
 *
 * What is kept up is a table that is range-partitioned on event_timestamp alone.  It is
 * its owner's, who may have partitions of other spans than days in UTC: they are left as
 * they are, gaps beside them are filled, and all of them can become old.  A plain table
 * is left alone altogether, since what to delete from it, and when, is its owner's to
 * say; and so is one that pg_partman looks after.
 *
 * plan.c says what is to be done, partition.c does it, clock.c says whether the time can be
 * believed that makes something old.  Each step stands by itself: what one cannot do does not
 * stop the others, and failures.c shows it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/settings.h"
#include "base/shared.h"
#include "base/transact.h"
#include "store/log_table.h"
#include "upkeep/clock.h"
#include "upkeep/failures.h"
#include "upkeep/upkeep.h"

PG_FUNCTION_INFO_V1(windtrap_upkeep);

/* A step of a call by hand. */
typedef struct Step
{
	WtPlan *plan;
	WtPlanPart part;
	WtTask *task; /* NULL: the part is to be planned */
} Step;

const char *
wt_upkeep_action(WtTaskKind kind)
{
	switch (kind)
	{
		case WT_TASK_MAKE:
			return "created";
		case WT_TASK_DELETE:
			return "deleted";
		case WT_TASK_DROP:
			return "dropped";
		case WT_TASK_SEAL:
			return "sealed";
		case WT_TASK_REWRITE:
			return "rewritten";
		case WT_TASK_MERGE:
			return "merged";
		case WT_TASK_LOOK:
			break;
	}
	return "looked";
}

const char *
wt_upkeep_verb(WtTaskKind kind)
{
	switch (kind)
	{
		case WT_TASK_MAKE:
			return "create";
		case WT_TASK_DELETE:
			return "delete";
		case WT_TASK_DROP:
			return "drop";
		case WT_TASK_SEAL:
			return "seal";
		case WT_TASK_REWRITE:
			return "rewrite";
		case WT_TASK_MERGE:
			return "merge";
		case WT_TASK_LOOK:
			break;
	}
	return "look";
}

static void
do_step(void *arg)
{
	const Step *step = arg;

	if (step->task)
		wt_upkeep_do(step->plan->relation, step->task);
	else
		wt_upkeep_plan(step->plan, step->part);
}

/* A row of the result: a task that was done, or the error that it failed with. */
static void
put_row(ReturnSetInfo *result, const WtTask *task, const ErrorData *error)
{
	const char *partition = error ? task->name : task->done_to;
	Datum values[7] = {0};
	bool nulls[7] = {0};
	int n = 0;

	values[n++] = CStringGetTextDatum(error ? "failed" : wt_upkeep_action(task->kind));
	nulls[n] = (partition == NULL);
	values[n++] = partition ? CStringGetTextDatum(partition) : (Datum) 0;
	/* A look is at all times. */
	nulls[n] = nulls[n + 1] = (task->kind == WT_TASK_LOOK);
	values[n++] = TimestampTzGetDatum(task->from);
	values[n++] = TimestampTzGetDatum(task->to);
	nulls[n] = (error || task->rows < 0);
	values[n++] = Int64GetDatum(task->rows);
	nulls[n] = (error || task->kind != WT_TASK_DROP);
	values[n++] = Int64GetDatum(task->bytes);
	nulls[n] = (error == NULL);
	values[n] = error ? CStringGetTextDatum(wt_failure_text(error)) : (Datum) 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* One step; what it cannot do is a row and a warning. */
static void
take(Step *step, ReturnSetInfo *result)
{
	const WtTask look = {.kind = WT_TASK_LOOK};
	ErrorData *error = wt_attempt(do_step, step);
	const char *remedy;

	if (!error)
	{
		if (step->task && step->task->done_to)
			put_row(result, step->task, NULL);
		return;
	}
	if (step->task)
		wt_upkeep_failed(step->plan, step->task, error->sqlerrcode);
	remedy = wt_failure_remedy(error);
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("%s", error->message),
					  error->detail ? errdetail_internal("%s", error->detail) : 0,
					  remedy ? errhint("%s", remedy) : 0));
	put_row(result, step->task ? step->task : &look, error);
}

/* What retention has not done, and how it would. */
static void
tell_rest(const WtPlan *plan)
{
	if (plan->held > 0)
		ereport(WARNING, (errmsg("%s", wt_clock_doubt(&plan->clock)),
						  errhint("%s", wt_clock_remedy())));
	if (plan->left > 0)
		ereport(NOTICE,
				(errmsg("%d more partitions are old, and left for the next calls",
						plan->left),
				 errdetail("A quarter of the partitions that hold data goes at once."),
				 errhint("windtrap.upkeep(force => true) drops all of them.")));
	if (plan->left_rows > 0)
		ereport(NOTICE,
				(errmsg(INT64_FORMAT " more rows of the default partition are old, and "
									 "left for the next calls",
						plan->left_rows),
				 errdetail("A quarter of its rows goes at once."),
				 errhint("windtrap.upkeep(force => true) deletes all of them.")));
}

/*
 * windtrap.upkeep(as_of timestamptz DEFAULT now(), name text DEFAULT NULL,
 *		force boolean DEFAULT false)
 * RETURNS TABLE (action, partition, from_time, to_time, rows, bytes, error)
 *
 * A time that is given is the caller's word; now() is the clock's, which must be believed.
 */
Datum
windtrap_upkeep(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	RangeVar *name = wt_log_table_name(
		PG_ARGISNULL(1) ? wt_table : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	WtPlan plan = {.as_of = PG_ARGISNULL(0) ? now : PG_GETARG_TIMESTAMPTZ(0)};
	Step step = {.plan = &plan};
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	/* What follows runs as the owner: only who can become that may cause it. */
	plan.relation = RangeVarGetRelidExtended(name, ShareUpdateExclusiveLock, 0,
											 RangeVarCallbackOwnsRelation, NULL);
	wt_upkeep_check_time(plan.as_of);
	plan.by_clock = (plan.as_of == now);
	plan.force = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	plan.clock = wt_clock_get();
	for (; step.part < WT_N_PLAN_PARTS && !plan.reason; step.part++)
		take(&step, result);
	if (plan.reason)
		ereport(NOTICE, (errmsg("the upkeep leaves %s alone: %s",
								wt_log_table_quote(name), plan.reason)));
	foreach (cell, plan.tasks)
	{
		step.task = lfirst(cell);
		if (wt_upkeep_is_due(&plan, step.task))
			take(&step, result);
	}
	tell_rest(&plan);
	/* The clock is the process's concern, and that of who owns the table that it keeps. */
	if (plan.force && plan.by_clock && MyDatabaseId == wt_shared->upkeep.database &&
		plan.relation == RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true))
		wt_clock_confirm();
	return (Datum) 0;
}
