/*
 * plan.c
 *		What the log table needs: which partitions, and which no longer.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "sealed/links.h"
#include "store/distributed.h"
#include "store/log_table.h"
#include "upkeep/clock.h"
#include "upkeep/distributed_table.h"
#include "upkeep/partition.h"
#include "upkeep/plan_sealed.h"
#include "store/scope.h"
#include "upkeep/spans.h"
#include "upkeep/upkeep.h"

/* Of the partitions that hold data, one in so many may go at once, or so many. */
#define SHARE_AT_ONCE 4
#define FEWEST_AT_ONCE 2

/* The same share of the default partition's rows, or so many. */
#define FEWEST_ROWS_AT_ONCE 1000

/*
 * Partitions for days gone by, where senders' own times have scattered events, are made
 * up to so many partitions in all, and not for times that only a broken clock has.
 */
#define MAX_PARTITIONS 1000
#define FIRST_DAY ((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
#define LAST_DAY ((TimestampTz) 2921930 * USECS_PER_DAY) /* in December 9999 */

static WtTask *
new_task(WtTaskKind kind, TimestampTz from, TimestampTz to)
{
	WtTask *task = palloc0(sizeof(*task));

	task->kind = kind;
	task->from = from;
	task->to = to;
	return task;
}

/* Adds a task for each gap between two times. */
static List *
fill_gaps(List *tasks, const WtSpans *table, TimestampTz from, TimestampTz to)
{
	for (int i = 0; i < table->n_spans && from < to; i++)
	{
		const WtSpan *span = &table->spans[i];

		if (span->to <= from)
			continue;
		if (span->from >= to)
			break;
		if (span->from > from)
			tasks = lappend(tasks, new_task(WT_TASK_MAKE, from, span->from));
		from = span->to;
	}
	if (from < to)
		tasks = lappend(tasks, new_task(WT_TASK_MAKE, from, to));
	return tasks;
}

/*
 * The first day of which something is kept.  In UTC as the partitions are: a month ago
 * must not depend on a session's TimeZone.
 */
static TimestampTz
oldest_day(TimestampTz as_of)
{
	const Interval *retention = wt_retention();

	if (!retention)
		return DT_NOBEGIN;
	return wt_day_of(DatumGetTimestamp(DirectFunctionCall2(
		timestamp_mi_interval, TimestampGetDatum(as_of), IntervalPGetDatum(retention))));
}

/* Whether the default partition may hold what it did not at the last look. */
static bool
has_changed(const WtSpans *table, TimestampTz today, TimestampTz oldest, WtGlance *glance)
{
	WtGlance now = {0};

	if (!glance)
		return true;
	now.partition = table->default_partition;
	now.inserted = DatumGetInt64(DirectFunctionCall1(
		pg_stat_get_tuples_inserted, ObjectIdGetDatum(table->default_partition)));
	now.blocks = table->default_blocks;
	now.day = today;
	now.oldest = oldest;
	if (glance->partition == now.partition && glance->inserted == now.inserted &&
		glance->blocks == now.blocks && glance->day == now.day &&
		glance->oldest == now.oldest)
		return false;
	*glance = now;
	return true;
}

/* Plans the deletion of the default partition's rows before oldest, or of the share that may go. */
static void
plan_deletes(WtPlan *plan, const WtSpans *table, char *name, TimestampTz oldest,
			 MemoryContext caller)
{
	Oid types[] = {TIMESTAMPTZOID, INT4OID};
	Datum values[] = {TimestampTzGetDatum(oldest), Int32GetDatum(WT_BLOCKS_AT_ONCE)};
	int64 allowed = PG_INT64_MAX;
	MemoryContext spi_context;

	if (table->distributed)
	{
		wt_distributed_plan_deletes(plan, table, oldest, caller, FEWEST_ROWS_AT_ONCE,
									SHARE_AT_ONCE);
		return;
	}
	if (!plan->force)
	{
		wt_scope_run(psprintf("SELECT count(*) FROM ONLY %s", name), 0, NULL, NULL);
		allowed = Max(FEWEST_ROWS_AT_ONCE, wt_scope_int64(0, 1) / SHARE_AT_ONCE);
	}
	/* A ctid is seen as a point: (block, line). */
	wt_scope_run(psprintf("SELECT floor((ctid::text::point)[0] / $2)::bigint AS piece, "
						  "count(*) FROM ONLY %s WHERE event_timestamp < $1 "
						  "GROUP BY piece ORDER BY piece",
						  name),
				 2, types, values);
	spi_context = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int64 rows = wt_scope_int64(i, 2);
		WtTask *task;

		plan->left_rows += Max(rows - allowed, 0);
		rows = Min(rows, allowed);
		if (rows == 0)
			continue;
		task = new_task(WT_TASK_DELETE, DT_NOBEGIN, oldest);
		task->block = (BlockNumber) (wt_scope_int64(i, 1) * WT_BLOCKS_AT_ONCE);
		task->max_rows = plan->force ? PG_INT64_MAX : rows;
		task->name = name;
		plan->tasks = lappend(plan->tasks, task);
		if (!plan->force)
			allowed -= rows;
	}
	MemoryContextSwitchTo(spi_context);
}

/* What the rows in the default partition need: partitions, or to be deleted. */
static void
plan_default(WtPlan *plan, const WtSpans *table, TimestampTz today, TimestampTz oldest,
			 MemoryContext caller)
{
	List *tasks = plan->tasks;
	char *name = wt_scope_name(table->default_partition);
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(oldest), TimestampTzGetDatum(today)};
	bool has_old = false;
	MemoryContext spi_context;

	/*
	 * Days from today on have their partitions by now, or their time has not come.  Counted from
	 * the first that can have one: date_bin() was wrong about midnights ahead of its origin
	 * before 15.7 and 16.3.
	 */
	wt_scope_run(
		psprintf("SELECT DISTINCT CASE WHEN event_timestamp < $1 THEN '-infinity' "
				 "ELSE date_bin('1 day', event_timestamp, '1970-01-01 00:00:00+00') END "
				 "FROM %s%s WHERE event_timestamp < $2 ORDER BY 1 DESC",
				 table->distributed ? "" : "ONLY ", name),
		2, types, values);
	spi_context = MemoryContextSwitchTo(caller);
	name = pstrdup(name);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		TimestampTz day = wt_scope_int64(i, 1);

		if (day >= FIRST_DAY && table->n_spans + list_length(tasks) < MAX_PARTITIONS)
			tasks = fill_gaps(tasks, table, day, day + USECS_PER_DAY);
		if (day == DT_NOBEGIN && oldest != DT_NOBEGIN)
			has_old = true;
	}
	MemoryContextSwitchTo(spi_context);
	plan->tasks = tasks;
	if (has_old && plan->believed)
		plan_deletes(plan, table, name, oldest, caller);
	else if (has_old)
		plan->held++;
}

/* The rows of a foreign partition that is not ours are somewhere else, and so is their end. */
static bool
can_be_dropped(Oid partition)
{
	char kind = get_rel_relkind(partition);

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		   wt_is_sealed(partition);
}

static void
plan_drops(WtPlan *plan, const WtSpans *table, TimestampTz today, TimestampTz oldest,
		   MemoryContext caller)
{
	int64 excess = -(int64) wt_retention_size * 1024 * 1024;
	int64 allowed = -1; /* not counted yet */
	MemoryContext spi_context;

	if (wt_retention_size > 0)
	{
		excess += wt_upkeep_size(table->relation);
		/* The old ones go anyway. */
		for (int i = 0; i < table->n_spans && table->spans[i].to <= oldest; i++)
			if (can_be_dropped(table->spans[i].partition))
				excess -= wt_upkeep_size(table->spans[i].partition);
	}
	spi_context = MemoryContextSwitchTo(caller);
	for (int i = 0; i < table->n_spans; i++)
	{
		const WtSpan *span = &table->spans[i];
		WtTask *task;
		bool filled;
		bool spare = false;

		if (!can_be_dropped(span->partition))
			continue;
		if (span->to > oldest)
		{
			if (span->to > today || excess <= 0)
				break;
			excess -= wt_upkeep_size(span->partition);
		}
		filled = wt_upkeep_count_filled(table->relation, span->partition) > 0;
		if (!plan->believed && filled)
		{
			plan->held++;
			continue;
		}
		if (!plan->force && filled)
		{
			if (allowed < 0)
				allowed = Max(FEWEST_AT_ONCE,
							  wt_upkeep_count_filled(table->relation, InvalidOid) /
								  SHARE_AT_ONCE);
			spare = allowed == 0;
			if (!spare)
				allowed--;
		}
		task = new_task(WT_TASK_DROP, span->from, span->to);
		task->partition = span->partition;
		task->name = wt_scope_name(span->partition);
		task->if_empty = !plan->believed;
		task->spare = spare;
		/* Once something has been changed it is not to be had. */
		if (table->distributed)
			task->bytes = wt_distributed_size(span->partition);
		plan->tasks = lappend(plan->tasks, task);
	}
	MemoryContextSwitchTo(spi_context);
}

static void
plan_part(WtPlan *plan, WtPlanPart part, const WtSpans *table, const WtScope *scope)
{
	TimestampTz today = wt_day_of(plan->as_of);
	TimestampTz oldest = oldest_day(plan->as_of);
	MemoryContext spi_context;

	switch (part)
	{
		case WT_PLAN_AHEAD:
			spi_context = MemoryContextSwitchTo(scope->caller);
			/* Today's first: its events are the ones that are waiting now. */
			for (int i = 0; i < (wt_days_ahead() + 1) * HOURS_PER_DAY;
				 i += wt_partition_width)
				plan->tasks =
					fill_gaps(plan->tasks, table, today + i * USECS_PER_HOUR,
							  today + (i + wt_partition_width) * USECS_PER_HOUR);
			MemoryContextSwitchTo(spi_context);
			break;
		case WT_PLAN_CLOCK:
			plan->believed = plan->force || !plan->by_clock ||
							 wt_clock_look(&plan->clock, table, plan->as_of);
			break;
		case WT_PLAN_DEFAULT:
			/* How much is in shards is not seen at a glance. */
			if (table->distributed ? OidIsValid(table->default_partition)
								   : table->default_blocks > 0 &&
										 has_changed(table, today, oldest, plan->glance))
				plan_default(plan, table, today, oldest, scope->caller);
			break;
		case WT_PLAN_OLD:
			if (oldest != DT_NOBEGIN || wt_retention_size > 0)
				plan_drops(plan, table, today, oldest, scope->caller);
			break;
		case WT_PLAN_SEALED:
			if (!table->distributed)
				wt_plan_sealed(plan, table, scope);
			break;
		case WT_N_PLAN_PARTS:
			break;
	}
}

void
wt_upkeep_check_time(TimestampTz as_of)
{
	if (as_of < FIRST_DAY || as_of >= LAST_DAY)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("the time is out of range"),
						errhint("Give one from 1970 to 9999.")));
}

void
wt_upkeep_plan(WtPlan *plan, WtPlanPart part)
{
	WtSpans table;
	WtScope scope;

	wt_upkeep_check_time(plan->as_of);
	plan->reason = NULL;
	if (!wt_scope_enter(plan->relation, &scope))
	{
		plan->reason = "it has just been dropped";
		return;
	}
	if (wt_spans_read(plan->relation, &table, &plan->reason))
	{
		if (wt_is_partmans(table.name))
			plan->reason = "pg_partman looks after it";
		else if (table.distributed && wt_is_worker_node())
			plan->reason =
				"it is distributed, and the coordinator of Citus looks after it";
		else
			plan_part(plan, part, &table, &scope);
	}
	wt_scope_leave(&scope);
}

bool
wt_upkeep_is_due(WtPlan *plan, const WtTask *task)
{
	if (!task->spare)
		return true;
	if (plan->vacant == 0)
	{
		plan->left++;
		return false;
	}
	plan->vacant--;
	return true;
}

void
wt_upkeep_failed(WtPlan *plan, const WtTask *task, int sqlstate)
{
	/* Whoever holds a lock on the table would have the others fail as slowly. */
	if (task->kind == WT_TASK_DROP && sqlstate != ERRCODE_LOCK_NOT_AVAILABLE &&
		sqlstate != ERRCODE_QUERY_CANCELED)
		plan->vacant++;
}
