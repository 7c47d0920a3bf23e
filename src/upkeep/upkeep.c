/*
 * upkeep.c
 *		The log table's partitions: made ahead, filled, dropped.
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
 * The hazard of it all is events waiting.  An INSERT locks the log table and those
 * partitions that its rows go to, weakly; what must not happen is that it queues behind
 * a strong lock that is itself waiting for somebody's long query.  So strong locks are
 * taken when they are free, see lock_gently:
 *
 *	- A partition is made on its own and then attached.  ATTACH locks the log table
 *	  weakly, but the default partition strongly, and reads all of it, to be sure that
 *	  no row in it belongs to the new one.  Events for other partitions pass.
 *	- DROP locks the log table strongly, for a few catalog rows' time; files are removed
 *	  after the locks.  DETACH CONCURRENTLY would not, but is not to be had for a table
 *	  with a default partition, nor within a transaction.
 *
 * Rows are moved without firing triggers: for the table's users nothing happens to them.
 * One thing they can notice: an UPDATE that waits for a row which is just being moved
 * finds it gone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/tablespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/identity.h"
#include "store/log_table.h"
#include "store/move_rows.h"
#include "base/settings.h"
#include "upkeep/upkeep.h"

PG_FUNCTION_INFO_V1(windtrap_upkeep);

/*
 * Strong locks: for so long, ms, they are tried for without queueing, and then queued
 * for, while others wait behind us.
 */
#define LOCK_PATIENCE 3000
#define LOCK_POLL 3
#define LOCK_QUEUE "100ms"

/* Weak locks, and rows that others have locked: nobody waits behind us. */
#define LOCK_TIMEOUT "1s"

/* Blocks of the default partition that one statement deletes from: 8 MB. */
#define BLOCKS_AT_ONCE 1024

/*
 * Partitions for days gone by, where senders' own times have scattered events, are made
 * up to so many partitions in all, and not for times that only a broken clock has.
 */
#define MAX_PARTITIONS 1000
#define FIRST_DAY ((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
#define LAST_DAY ((TimestampTz) 2921930 * USECS_PER_DAY) /* in December 9999 */

typedef struct Span
{
	TimestampTz from; /* DT_NOBEGIN, DT_NOEND: no bound */
	TimestampTz to;
	Oid partition;
} Span;

typedef struct LogTable
{
	RangeVar *name;
	Oid relation;
	Oid tablespace;
	Oid default_partition; /* InvalidOid: there is none, or it is no ordinary table */
	BlockNumber default_blocks;
	int n_spans;
	Span *spans; /* in the order of time */
} LogTable;

/* What enter and leave keep. */
typedef struct Scope
{
	MemoryContext caller;
	Oid role;
	int context;
	int nest_level;
	int64 temporary;
} Scope;

static void
set_guc(const char *name, const char *value)
{
	/* PGC_SUSET: also in the name of a caller who could not set it himself. */
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
}

/*
 * Does what follows as the table's owner, with SPI, safe from odd settings; false: there
 * is no such table.  Not even looking at how it is partitioned can be done before: the
 * functions in an expression of its key are the owner's, and PostgreSQL runs them when it
 * reads it.
 */
static bool
enter(Oid relation, Scope *scope)
{
	ConstraintsSetStmt constraints = {.type = T_ConstraintsSetStmt, .deferred = false};
	Oid owner = wt_log_table_owner(relation);

	if (!OidIsValid(owner))
		return false;
	scope->caller = CurrentMemoryContext;
	scope->temporary = wt_count_temporary();
	SPI_connect();

	/*
	 * Deferred triggers would fire at COMMIT, and there as the session's user, which
	 * PostgreSQL refuses: make them fire with the statement.  Those that wait already are
	 * the caller's.
	 */
	AfterTriggerSetState(&constraints);
	wt_become(owner, &scope->role, &scope->context);
	scope->nest_level = NewGUCNestLevel();
	set_guc("search_path", "pg_catalog, pg_temp");
	/* Rows that a policy hides would be left behind: rather fail. */
	set_guc("row_security", "off");
	set_guc("lock_timeout", LOCK_TIMEOUT);
	return true;
}

static void
leave(const Scope *scope)
{
	AtEOXact_GUC(false, scope->nest_level);
	wt_restore(scope->role, scope->context);
	wt_refuse_temporary(scope->temporary);
	SPI_finish();
}

bool
wt_upkeep_as_owner(Oid relation, void (*what)(void *arg), void *arg)
{
	Scope scope;

	if (!enter(relation, &scope))
		return false;
	what(arg);
	leave(&scope);
	return true;
}

static void
run(const char *command, int n_args, Oid *types, Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	int rc = SPI_execute_with_args(command, n_args, types, values, NULL, false, 0);

	/* SPI leaves its own behind. */
	MemoryContextSwitchTo(context);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
}

static int64
int64_result(uint64 row, int column)
{
	bool is_null;
	Datum value =
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);

	return is_null ? 0 : DatumGetInt64(value);
}

/* The name of a relation for use in a statement, which it will be until this transaction ends. */
static char *
quoted_name(Oid relation)
{
	char *name = get_rel_name(relation);

	if (name)
	{
		wt_hold_schema(get_rel_namespace(relation));
		name = get_rel_name(relation);
	}
	if (!name)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("partition with OID %u has just been dropped", relation)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  name);
}

/*
 * Whether pg_partman has the table in its configuration.  That is looked up as its
 * owner, because the log table's need not have the right to.
 */
static bool
is_partmans(const RangeVar *name)
{
	Oid types[] = {TEXTOID};
	Datum values[1];
	Oid saved_role;
	int saved_context;
	Oid owner;
	Oid schema_oid;
	bool is_null;
	const char *schema;

	run("SELECT c.relowner, n.oid FROM pg_extension e "
		"JOIN pg_namespace n ON n.oid = e.extnamespace "
		"JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'part_config' "
		"WHERE e.extname = 'pg_partman'",
		0, NULL, NULL);
	if (SPI_processed == 0)
		return false;
	owner = DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	/* Not by its name: that is the schema's owner's to change. */
	schema_oid = DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null));
	wt_hold_schema(schema_oid);
	schema = quote_identifier(get_namespace_name(schema_oid));
	values[0] = CStringGetTextDatum(psprintf("%s.%s", name->schemaname, name->relname));
	wt_become(owner, &saved_role, &saved_context);
	run(psprintf("SELECT FROM %s.part_config WHERE parent_table = $1", schema), 1, types,
		values);
	wt_restore(saved_role, saved_context);
	return SPI_processed > 0;
}

static TimestampTz
bound_value(PartitionBoundInfo bounds, int i)
{
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		case PARTITION_RANGE_DATUM_VALUE:
			break;
	}
	return DatumGetTimestampTz(bounds->datums[i][0]);
}

static void
read_spans(Relation relation, LogTable *table)
{
	PartitionDesc desc = RelationGetPartitionDesc(relation, true);
	PartitionBoundInfo bounds = desc->boundinfo;

	table->spans = palloc(Max(desc->nparts, 1) * sizeof(Span));
	table->n_spans = 0;
	table->default_partition = InvalidOid;
	table->default_blocks = 0;
	if (desc->nparts == 0)
		return;

	/* Index i is the partition that ends at bound i; where there is none, a gap does. */
	for (int i = 1; i < bounds->ndatums; i++)
	{
		Span *span = &table->spans[table->n_spans];

		if (bounds->indexes[i] < 0)
			continue;
		span->from = bound_value(bounds, i - 1);
		span->to = bound_value(bounds, i);
		span->partition = desc->oids[bounds->indexes[i]];
		table->n_spans++;
	}
	if (partition_bound_has_default(bounds))
	{
		Oid partition = desc->oids[bounds->default_index];

		if (get_rel_relkind(partition) == RELKIND_RELATION)
			table->default_partition = partition;
	}
}

/*
 * Reads how the table is partitioned now, as its owner, that is, after enter.  On failure
 * gives false and the reason why it is none of ours.
 */
static bool
read_table(Oid oid, LogTable *table, const char **reason)
{
	Relation relation = try_relation_open(oid, AccessShareLock);
	PartitionKey key;
	bool fits = false;

	memset(table, 0, sizeof(*table));
	if (!relation)
	{
		*reason = "it has just been dropped";
		return false;
	}
	if (relation->rd_rel->relowner != GetUserId())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("the owner of \"%s\" has just changed",
							   RelationGetRelationName(relation))));
	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		relation_close(relation, NoLock);
		*reason = "it is not partitioned";
		return false;
	}
	key = RelationGetPartitionKey(relation);
	if (key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
		key->partattrs[0] != InvalidAttrNumber)
	{
		Form_pg_attribute attribute =
			TupleDescAttr(RelationGetDescr(relation), key->partattrs[0] - 1);

		fits = attribute->atttypid == TIMESTAMPTZOID &&
			   strcmp(NameStr(attribute->attname), "event_timestamp") == 0;
	}
	if (fits)
	{
		table->relation = oid;
		table->name = makeRangeVar(get_namespace_name(RelationGetNamespace(relation)),
								   pstrdup(RelationGetRelationName(relation)), -1);
		table->tablespace = relation->rd_rel->reltablespace;
		read_spans(relation, table);
	}
	else
		*reason = "it is not partitioned by ranges of event_timestamp alone";
	relation_close(relation, NoLock);

	if (fits && OidIsValid(table->default_partition))
	{
		relation = table_open(table->default_partition, AccessShareLock);
		table->default_blocks = RelationGetNumberOfBlocks(relation);
		table_close(relation, NoLock);
	}
	return fits;
}

/*
 * Planning
 */

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
fill_gaps(List *tasks, const LogTable *table, TimestampTz from, TimestampTz to)
{
	for (int i = 0; i < table->n_spans && from < to; i++)
	{
		const Span *span = &table->spans[i];

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
has_changed(const LogTable *table, TimestampTz today, TimestampTz oldest,
			WtGlance *glance)
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

/* What the rows in the default partition need: partitions, or to be deleted. */
static List *
plan_default(List *tasks, const LogTable *table, TimestampTz today, TimestampTz oldest,
			 MemoryContext caller)
{
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(oldest), TimestampTzGetDatum(today)};
	MemoryContext spi_context;

	/* Days from today on have their partitions by now, or their time has not come. */
	run(psprintf("SELECT DISTINCT CASE WHEN event_timestamp < $1 THEN '-infinity' "
				 "ELSE date_bin('1 day', event_timestamp, '2000-01-01 00:00:00+00') END "
				 "FROM ONLY %s WHERE event_timestamp < $2 ORDER BY 1 DESC",
				 quoted_name(table->default_partition)),
		2, types, values);
	spi_context = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		TimestampTz day = int64_result(i, 1);

		if (day >= FIRST_DAY && table->n_spans + list_length(tasks) < MAX_PARTITIONS)
			tasks = fill_gaps(tasks, table, day, day + USECS_PER_DAY);
		if (day != DT_NOBEGIN || oldest == DT_NOBEGIN)
			continue;
		for (BlockNumber b = 0; b < table->default_blocks; b += BLOCKS_AT_ONCE)
		{
			WtTask *task = new_task(WT_TASK_DELETE, DT_NOBEGIN, oldest);

			task->block = b;
			tasks = lappend(tasks, task);
		}
	}
	MemoryContextSwitchTo(spi_context);
	return tasks;
}

/* The size on disk of a partition, with its own partitions, indexes and all. */
static int64
size_of(Oid relation)
{
	Oid types[] = {REGCLASSOID};
	Datum values[] = {ObjectIdGetDatum(relation)};

	run("SELECT sum(pg_total_relation_size(relid))::bigint "
		"FROM pg_partition_tree($1) WHERE isleaf",
		1, types, values);
	return int64_result(0, 1);
}

/* A foreign partition's rows are somewhere else, and so is their end. */
static bool
can_be_dropped(Oid partition)
{
	char kind = get_rel_relkind(partition);

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
}

static List *
plan_drops(List *tasks, const LogTable *table, TimestampTz today, TimestampTz oldest,
		   MemoryContext caller)
{
	int64 excess = -(int64) wt_retention_size * 1024 * 1024;
	MemoryContext spi_context;

	if (wt_retention_size > 0)
	{
		excess += size_of(table->relation);
		/* The old ones go anyway. */
		for (int i = 0; i < table->n_spans && table->spans[i].to <= oldest; i++)
			if (can_be_dropped(table->spans[i].partition))
				excess -= size_of(table->spans[i].partition);
	}
	spi_context = MemoryContextSwitchTo(caller);
	for (int i = 0; i < table->n_spans; i++)
	{
		const Span *span = &table->spans[i];
		WtTask *task;

		if (!can_be_dropped(span->partition))
			continue;
		if (span->to > oldest)
		{
			if (span->to > today || excess <= 0)
				break;
			excess -= size_of(span->partition);
		}
		task = new_task(WT_TASK_DROP, span->from, span->to);
		task->partition = span->partition;
		tasks = lappend(tasks, task);
	}
	MemoryContextSwitchTo(spi_context);
	return tasks;
}

List *
wt_upkeep_plan(Oid relation, TimestampTz as_of, WtGlance *glance, const char **reason)
{
	TimestampTz today = wt_day_of(as_of);
	TimestampTz oldest;
	LogTable table;
	Scope scope;
	List *tasks = NIL;

	if (as_of < FIRST_DAY || as_of >= LAST_DAY)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("the time is out of range"),
						errhint("Give one from 1970 to 9999.")));
	oldest = oldest_day(as_of);
	*reason = NULL;
	if (!enter(relation, &scope))
	{
		*reason = "it has just been dropped";
		return NIL;
	}
	if (!read_table(relation, &table, reason))
		tasks = NIL;
	else if (is_partmans(table.name))
		*reason = "pg_partman looks after it";
	else
	{
		MemoryContext spi_context = MemoryContextSwitchTo(scope.caller);

		/* Today's first: its events are the ones that are waiting now. */
		for (int i = 0; i <= WT_DAYS_AHEAD; i++)
			tasks = fill_gaps(tasks, &table, today + i * USECS_PER_DAY,
							  today + (i + 1) * USECS_PER_DAY);
		MemoryContextSwitchTo(spi_context);
		if (table.default_blocks > 0 && has_changed(&table, today, oldest, glance))
			tasks = plan_default(tasks, &table, today, oldest, scope.caller);
		if (oldest != DT_NOBEGIN || wt_retention_size > 0)
			tasks = plan_drops(tasks, &table, today, oldest, scope.caller);
	}
	leave(&scope);
	return tasks;
}

/*
 * Doing
 */

/*
 * Locks relations in ACCESS EXCLUSIVE mode, all or none, the first of them being the one
 * that everybody else locks first.  Who waits for such a lock makes all who come later
 * wait behind him; so does who has one and waits for the next.  Therefore we do not
 * wait, but try, for some time; only then, since under heavy load a lock may never be
 * free when one looks, is the first one queued for, briefly.  Raises where that was in
 * vain.
 */
static void
lock_gently(const Oid *relations, int n)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCK_PATIENCE);
	bool last = false;

	for (;;)
	{
		int locked = 0;

		if (last)
		{
			int nest_level = NewGUCNestLevel();

			set_guc("lock_timeout", LOCK_QUEUE);
			LockRelationOid(relations[0], AccessExclusiveLock);
			AtEOXact_GUC(false, nest_level);
			locked = 1;
		}
		while (locked < n &&
			   ConditionalLockRelationOid(relations[locked], AccessExclusiveLock))
			locked++;
		if (locked == n)
			return;
		if (last)
			ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
							errmsg("could not lock %s", quoted_name(relations[locked])),
							errdetail("Somebody is using it.")));
		while (--locked >= 0)
			UnlockRelationOid(relations[locked], AccessExclusiveLock);
		last = GetCurrentTimestamp() >= until;
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_POLL,
						 PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Runs a statement over a range of the default partition's blocks: $1 and $2 are the
 * tuple ids that it begins at and ends before, $3 and $4 the times.
 */
static int64
run_over_blocks(const char *command, BlockNumber first, BlockNumber end, TimestampTz from,
				TimestampTz to)
{
	Oid types[] = {TIDOID, TIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	ItemPointerData begin_tid;
	ItemPointerData end_tid;
	Datum values[4];

	ItemPointerSet(&begin_tid, first, 0);
	ItemPointerSet(&end_tid, end, 0);
	values[0] = PointerGetDatum(&begin_tid);
	values[1] = PointerGetDatum(&end_tid);
	values[2] = TimestampTzGetDatum(from);
	values[3] = TimestampTzGetDatum(to);
	run(command, 4, types, values);
	return (int64) SPI_processed;
}

static bool
is_gap(const LogTable *table, TimestampTz from, TimestampTz to)
{
	for (int i = 0; i < table->n_spans; i++)
		if (table->spans[i].from < to && table->spans[i].to > from)
			return false;
	return true;
}

static void
make_partition(Oid relation, WtTask *task)
{
	LogTable table;
	Scope scope;
	const char *reason;
	char *name;
	char *partition;

	if (!enter(relation, &scope))
		return;
	/* Against other upkeeps, and partitions made by hand; events are not affected. */
	LockRelationOid(relation, ShareUpdateExclusiveLock);
	if (OidIsValid(get_rel_namespace(relation)))
		wt_hold_schema(get_rel_namespace(relation));
	if (read_table(relation, &table, &reason) && is_gap(&table, task->from, task->to))
	{
		name = wt_partition_name(table.name, task->from);
		partition = quote_qualified_identifier(table.name->schemaname, name);

		/*
		 * As CREATE TABLE ... PARTITION OF would make it.  With its indexes, because
		 * ATTACH would build them while it holds its locks.
		 */
		run(psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
					 "INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION "
					 "INCLUDING INDEXES)%s%s",
					 partition, wt_log_table_quote(table.name),
					 OidIsValid(table.tablespace) ? " TABLESPACE " : "",
					 OidIsValid(table.tablespace)
						 ? quote_identifier(get_tablespace_name(table.tablespace))
						 : ""),
			0, NULL, NULL);
		if (OidIsValid(table.default_partition))
		{
			Oid made = get_relname_relid(name, get_rel_namespace(relation));

			/* Most of them while events still come in, the rest when none can. */
			LockRelationOid(table.default_partition, RowExclusiveLock);
			task->rows =
				wt_move_rows(table.default_partition, made, task->from, task->to);
			lock_gently(&table.default_partition, 1);
			task->rows +=
				wt_move_rows(table.default_partition, made, task->from, task->to);
		}
		run(psprintf(
				"ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
				wt_log_table_quote(table.name), partition, wt_bound(task->from),
				wt_bound(task->to)),
			0, NULL, NULL);
		task->done_to = MemoryContextStrdup(scope.caller, partition);
	}
	leave(&scope);
}

/* Deletes what is too old, as the owner would: his triggers fire. */
static void
delete_rows(Oid relation, WtTask *task)
{
	LogTable table;
	Scope scope;
	const char *reason;
	char *partition;

	if (!enter(relation, &scope))
		return;
	if (read_table(relation, &table, &reason) && OidIsValid(table.default_partition))
	{
		partition = quoted_name(table.default_partition);
		task->rows = run_over_blocks(
			psprintf("DELETE FROM ONLY %s WHERE ctid >= $1 AND ctid < $2 "
					 "AND event_timestamp >= $3 AND event_timestamp < $4",
					 partition),
			task->block, task->block + BLOCKS_AT_ONCE, task->from, task->to);
		if (task->rows > 0)
			task->done_to = MemoryContextStrdup(scope.caller, partition);
	}
	leave(&scope);
}

static bool
has_partition(const LogTable *table, Oid partition)
{
	for (int i = 0; i < table->n_spans; i++)
		if (table->spans[i].partition == partition)
			return true;
	return false;
}

static int64
estimate_rows(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int64 rows;

	if (!HeapTupleIsValid(tuple))
		return -1;
	rows = (int64) ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	return rows;
}

static void
drop_partition(Oid relation, WtTask *task)
{
	LogTable table;
	Scope scope;
	const char *reason;
	char *partition;
	Oid locks[3];
	int n = 0;

	if (!enter(relation, &scope))
		return;
	/* All that DROP will lock. */
	locks[n++] = relation;
	locks[n++] = task->partition;
	if (read_table(relation, &table, &reason) && OidIsValid(table.default_partition))
		locks[n++] = table.default_partition;
	lock_gently(locks, n);
	if (read_table(relation, &table, &reason) && has_partition(&table, task->partition))
	{
		partition = quoted_name(task->partition);
		task->rows = estimate_rows(task->partition);
		task->bytes = size_of(task->partition);
		set_guc("lock_timeout", LOCK_QUEUE);
		run(psprintf("DROP TABLE %s", partition), 0, NULL, NULL);
		task->done_to = MemoryContextStrdup(scope.caller, partition);
	}
	leave(&scope);
}

void
wt_upkeep_do(Oid relation, WtTask *task)
{
	switch (task->kind)
	{
		case WT_TASK_MAKE:
			make_partition(relation, task);
			break;
		case WT_TASK_DELETE:
			delete_rows(relation, task);
			break;
		case WT_TASK_DROP:
			drop_partition(relation, task);
			break;
	}
}

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
			break;
	}
	return "dropped";
}

/*
 * windtrap.upkeep(as_of timestamptz DEFAULT now(), name text DEFAULT NULL)
 * RETURNS TABLE (action, partition, from_time, to_time, rows, bytes)
 */
Datum
windtrap_upkeep(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz as_of = PG_ARGISNULL(0) ? GetCurrentTransactionStartTimestamp()
										: PG_GETARG_TIMESTAMPTZ(0);
	RangeVar *name = wt_log_table_name(
		PG_ARGISNULL(1) ? wt_table : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	const char *reason;
	Oid relation;
	List *tasks;
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	/* What follows runs as the owner: only who can become that may cause it. */
	relation = RangeVarGetRelid(name, AccessShareLock, false);
	if (!wt_owns_relation(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name->relname);
	tasks = wt_upkeep_plan(relation, as_of, NULL, &reason);
	if (reason)
		ereport(NOTICE, (errmsg("the upkeep leaves %s alone: %s",
								wt_log_table_quote(name), reason)));
	foreach (cell, tasks)
	{
		WtTask *task = lfirst(cell);
		Datum values[6];
		bool nulls[6] = {0};

		wt_upkeep_do(relation, task);
		if (!task->done_to)
			continue;
		values[0] = CStringGetTextDatum(wt_upkeep_action(task->kind));
		values[1] = CStringGetTextDatum(task->done_to);
		values[2] = TimestampTzGetDatum(task->from);
		values[3] = TimestampTzGetDatum(task->to);
		values[4] = Int64GetDatum(task->rows);
		nulls[4] = (task->rows < 0);
		values[5] = Int64GetDatum(task->bytes);
		nulls[5] = (task->kind != WT_TASK_DROP);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
