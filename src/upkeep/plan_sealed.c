/*
 * plan_sealed.c
 *		What is to be sealed, and what sealed partitions need.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/transact.h"
#include "sealed/late_columns.h"
#include "sealed/links.h"
#include "sealed/merge.h"
#include "sealed/missing.h"
#include "sealed/sealable.h"
#include "store/log_table.h"
#include "upkeep/partition.h"
#include "upkeep/plan_sealed.h"

/*
 * Late rows are taken in when no more come, so that a chunk is written once for all of them; where
 * more come all the time, every so many looks.
 */
#define MAX_UNREST 10

/* What is known of a sealed partition's late rows, for as long as the process lives. */
typedef struct LateRows
{
	Oid table;
	int64 inserted; /* at the last look */
	int unrest;		/* looks in a row at which more had come */
	int64
		rejected; /* so many were there after the last time that they were taken in; -1: never */
} LateRows;

static List *known_late;  /* of LateRows */
static List *said_in_log; /* of reasons */

static WtTask *
add_task(WtPlan *plan, WtTaskKind kind, const WtSpan *span)
{
	WtTask *task = palloc0(sizeof(*task));

	task->kind = kind;
	task->from = span->from;
	task->to = span->to;
	task->partition = span->partition;
	task->name = wt_scope_name(span->partition);
	plan->tasks = lappend(plan->tasks, task);
	return task;
}

static bool
is_dropped(const WtPlan *plan, Oid partition)
{
	ListCell *cell;

	foreach (cell, plan->tasks)
	{
		const WtTask *task = lfirst(cell);

		if (task->kind == WT_TASK_DROP && task->partition == partition)
			return true;
	}
	return false;
}

/* One line for all partitions that have it in common. */
static void
say_once(Oid partition, const char *done, const char *reason)
{
	MemoryContext old;
	ListCell *cell;

	foreach (cell, said_in_log)
		if (strcmp(lfirst(cell), reason) == 0)
			return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	said_in_log = lappend(said_in_log, pstrdup(reason));
	MemoryContextSwitchTo(old);
	ereport(LOG, (errmsg("windtrap: partition %s is not %s: %s", wt_scope_name(partition),
						 done, reason),
				  strcmp(done, "sealed") == 0
					  ? errhint("Those that are not sealed are in windtrap.partitions; "
								"windtrap.seal_after = '' seals none.")
					  : errhint("windtrap.unseal() and windtrap.seal() store it anew.")));
}

/* The time before which a partition must have ended; in UTC, as of retention. */
static TimestampTz
sealed_before(const WtPlan *plan)
{
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_mi_interval,
												 TimestampGetDatum(plan->as_of),
												 IntervalPGetDatum(wt_seal_after())));
}

static void
plan_seals(WtPlan *plan, const WtSpans *table)
{
	TimestampTz before = sealed_before(plan);

	for (int i = 0; i < table->n_spans; i++)
	{
		const WtSpan *span = &table->spans[i];
		const char *reason;

		if (span->to > before)
			break;
		if (get_rel_relkind(span->partition) != RELKIND_RELATION ||
			is_dropped(plan, span->partition) ||
			wt_upkeep_count_filled(table->relation, span->partition) == 0)
			continue;
		reason = wt_sealable_reason(span->partition);
		if (reason)
		{
			say_once(span->partition, "sealed", reason);
			continue;
		}
		(void) add_task(plan, WT_TASK_SEAL, span);
	}
}

static LateRows *
know_late(Oid table)
{
	MemoryContext old;
	LateRows *late;
	ListCell *cell;

	foreach (cell, known_late)
		if (((LateRows *) lfirst(cell))->table == table)
			return lfirst(cell);
	old = MemoryContextSwitchTo(TopMemoryContext);
	late = palloc0(sizeof(*late));
	late->table = table;
	late->inserted = late->rejected = -1;
	known_late = lappend(known_late, late);
	MemoryContextSwitchTo(old);
	return late;
}

/* Whether late rows are there that can be taken in, and it is time to. */
static bool
are_late_due(const WtLinks *links)
{
	LateRows *late = know_late(links->late);
	int64 inserted = DatumGetInt64(
		DirectFunctionCall1(pg_stat_get_tuples_inserted, ObjectIdGetDatum(links->late)));
	bool quiet = late->inserted == inserted;
	char *name = wt_scope_name(links->late);

	late->inserted = inserted;
	if (!quiet && ++late->unrest < MAX_UNREST)
		return false;
	late->unrest = 0;
	wt_scope_run(psprintf("SELECT EXISTS (SELECT FROM %s)::int::bigint", name), 0, NULL,
				 NULL);
	if (wt_scope_int64(0, 1) == 0)
		return false;
	if (late->rejected < 0)
		return true;
	wt_scope_run(psprintf("SELECT count(*) FROM %s", name), 0, NULL, NULL);
	return wt_scope_int64(0, 1) != late->rejected;
}

void
wt_plan_late_rejected(Oid late, int64 rows)
{
	know_late(late)->rejected = rows;
}

/* Whether rows of its chunks were deleted. */
static bool
has_deleted(const WtLinks *links)
{
	wt_scope_run(psprintf("SELECT EXISTS (SELECT FROM %s WHERE part = -1)::int::bigint",
						  wt_scope_name(links->chunks)),
				 0, NULL, NULL);
	return wt_scope_int64(0, 1) != 0;
}

/* Sets the option of a sealed partition that names one of its tables, if that has another name. */
static void
mend_name(Oid partition, const char *option, Oid table)
{
	Oid types[] = {OIDOID, TEXTOID};
	Datum values[] = {
		ObjectIdGetDatum(partition),
		CStringGetTextDatum(psprintf("%s=%s", option, get_rel_name(table)))};

	wt_scope_run("SELECT FROM pg_foreign_table WHERE ftrelid = $1 "
				 "AND $2 = ANY (ftoptions)",
				 2, types, values);
	if (SPI_processed == 0)
		wt_scope_run(psprintf("ALTER FOREIGN TABLE %s OPTIONS (SET %s %s)",
							  wt_scope_name(partition), option,
							  quote_literal_cstr(get_rel_name(table))),
					 0, NULL, NULL);
}

static void
record_missing(void *links)
{
	wt_scope_pin_texts();
	wt_missing_record(links);
}

/* One that is not known is said where the column is read. */
static void
note_missing(WtLinks *links)
{
	ErrorData *error = wt_attempt(record_missing, links);

	if (error)
		FreeErrorData(error);
}

/*
 * A dump keeps names and no dependencies: each is made to fit the other.  And a column that the
 * table has got is one of the late rows, too.
 */
static void
mend(WtLinks *links)
{
	Relation foreign;

	note_missing(links);
	foreign = table_open(links->partition, AccessShareLock);
	if (!links->recorded)
		wt_links_record(links);
	wt_late_columns_adopt(foreign, links->late, NULL);
	table_close(foreign, NoLock);
	if (get_rel_namespace(links->chunks) != get_rel_namespace(links->partition) ||
		get_rel_namespace(links->late) != get_rel_namespace(links->partition))
		return;
	mend_name(links->partition, "chunks", links->chunks);
	mend_name(links->partition, "late", links->late);
}

/* Mends sealed partitions, and plans what their chunks need. */
static void
plan_rewrites(WtPlan *plan, const WtSpans *table)
{
	for (int i = 0; i < table->n_spans; i++)
	{
		const WtSpan *span = &table->spans[i];
		const char *problem;
		WtLinks links;
		bool due;

		if (!wt_is_sealed(span->partition) || is_dropped(plan, span->partition))
			continue;
		if (!wt_links_find(span->partition, &links, &problem))
		{
			say_once(span->partition, "sealed", problem);
			continue;
		}
		mend(&links);
		if (!plan->seal)
			continue;
		/* Both are looked at: the one remembers what it has seen. */
		due = are_late_due(&links);
		if (has_deleted(&links) || due)
			(void) add_task(plan, WT_TASK_REWRITE, span);
	}
}

/* Whether partitions can be merged; if not, the log says so. */
static bool
can_merge(const WtSpan *spans, int n)
{
	Oid *partitions = palloc(sizeof(Oid) * (size_t) n);
	const char *reason;

	for (int i = 0; i < n; i++)
		partitions[i] = spans[i].partition;
	reason = wt_merge_refuses(partitions, n);
	if (reason)
		say_once(partitions[0], "merged with those of its day", reason);
	return !reason;
}

/*
 * A day that is over, of which there are several partitions, all sealed or empty, and some
 * sealed, is to have one.
 */
static void
plan_merges(WtPlan *plan, const WtSpans *table)
{
	TimestampTz before = sealed_before(plan);

	for (int i = 0, end; i < table->n_spans; i = end)
	{
		TimestampTz day = wt_day_of(table->spans[i].from);
		bool fits = table->spans[i].from != DT_NOBEGIN && day + USECS_PER_DAY <= before;
		int n_sealed = 0;

		for (end = i; end < table->n_spans && wt_day_of(table->spans[end].from) == day;
			 end++)
		{
			const WtSpan *span = &table->spans[end];

			if (span->to > day + USECS_PER_DAY || is_dropped(plan, span->partition))
				fits = false;
			else if (wt_is_sealed(span->partition))
				n_sealed++;
			else if (get_rel_relkind(span->partition) != RELKIND_RELATION ||
					 wt_upkeep_count_filled(table->relation, span->partition) > 0)
				fits = false;
		}
		if (fits && end - i > 1 && n_sealed > 0 && can_merge(&table->spans[i], end - i))
		{
			WtTask *task = add_task(plan, WT_TASK_MERGE, &table->spans[i]);

			task->from = day;
			task->to = day + USECS_PER_DAY;
		}
	}
}

void
wt_plan_sealed(WtPlan *plan, const WtSpans *table, const WtScope *scope)
{
	MemoryContext spi_context = MemoryContextSwitchTo(scope->caller);

	if (plan->seal && wt_seal_after() && plan->believed)
	{
		plan_seals(plan, table);
		plan_merges(plan, table);
	}
	plan_rewrites(plan, table);
	MemoryContextSwitchTo(spi_context);
}
