/*
 * distributed_table.c
 *		What the upkeep does otherwise where Citus has distributed the log table.
 *
 * What is here is an empty shell, so rows are counted, moved and deleted by statements, which
 * Citus takes to the shards.  It knows no ctid, and takes no SELECT without columns.
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lockdefs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "store/distributed.h"
#include "store/log_table.h"
#include "upkeep/distributed_table.h"

static bool
has_rows(Oid partition)
{
	wt_scope_run(psprintf("SELECT EXISTS (SELECT 1 FROM %s)::int::bigint",
						  wt_scope_name(partition)),
				 0, NULL, NULL);
	return wt_scope_int64(0, 1) != 0;
}

int64
wt_distributed_count_filled(Oid parent, Oid partition)
{
	ListCell *cell;
	int64 n = 0;

	if (OidIsValid(partition))
		return has_rows(partition);
	foreach (cell, find_inheritance_children(parent, NoLock))
		n += has_rows(lfirst_oid(cell));
	return n;
}

/* The columns that a statement can insert, quoted. */
static char *
columns_of(Oid relation)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(relation)};

	wt_scope_run("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) "
				 "FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 "
				 "AND NOT attisdropped AND attgenerated = ''",
				 1, types, values);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* Moves the default partition's rows of a time; gives how many. */
static int64
move_rows(const WtSpans *table, const char *to, const char *columns, const WtTask *task)
{
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(task->from), TimestampTzGetDatum(task->to)};

	wt_scope_run(
		psprintf("WITH moved AS (DELETE FROM %s WHERE event_timestamp >= $1 "
				 "AND event_timestamp < $2 RETURNING %s) "
				 "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM moved",
				 wt_scope_name(table->default_partition), columns, to, columns, columns),
		2, types, values);
	return (int64) SPI_processed;
}

/*
 * As a partition of a table that is not distributed it is made on its own and attached, since
 * CREATE TABLE ... PARTITION OF would lock the table strongly.  LOCK TABLE is one that all nodes
 * take: what their collectors store would else come between the move and the attachment.
 */
void
wt_distributed_make(const WtSpans *table, WtTask *task, const WtScope *scope)
{
	const char *quoted = wt_log_table_quote(table->name);
	const char *key = wt_distributed_by(table->relation);
	char *partition = quote_qualified_identifier(
		table->name->schemaname, wt_partition_name(table->name, task->from, task->to));

	wt_scope_run(psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS "
						  "INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE "
						  "INCLUDING COMPRESSION INCLUDING INDEXES)",
						  partition, quoted),
				 0, NULL, NULL);
	wt_scope_run(psprintf("SELECT create_distributed_table(%s, %s, colocate_with => %s)",
						  quote_literal_cstr(partition), key ? key : "NULL",
						  quote_literal_cstr(quoted)),
				 0, NULL, NULL);
	if (OidIsValid(table->default_partition) && has_rows(table->default_partition))
	{
		char *columns = columns_of(table->relation);

		task->rows = move_rows(table, partition, columns, task);
		wt_scope_run(psprintf("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
							  wt_scope_name(table->default_partition)),
					 0, NULL, NULL);
		task->rows += move_rows(table, partition, columns, task);
	}
	wt_scope_run(
		psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
				 quoted, partition, wt_bound(task->from), wt_bound(task->to)),
		0, NULL, NULL);
	task->done_to = MemoryContextStrdup(scope->caller, partition);
}

void
wt_distributed_plan_deletes(WtPlan *plan, const WtSpans *table, TimestampTz oldest,
							MemoryContext caller, int64 fewest, int64 share)
{
	Oid types[] = {TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(oldest)};
	char *name = wt_scope_name(table->default_partition);
	TimestampTz to = oldest;
	MemoryContext spi_context;
	WtTask *task;

	if (!plan->force)
	{
		int64 allowed;
		int64 old;

		wt_scope_run(psprintf("SELECT count(*), count(*) FILTER (WHERE event_timestamp "
							  "< $1) FROM %s",
							  name),
					 1, types, values);
		allowed = Max(fewest, wt_scope_int64(0, 1) / share);
		old = wt_scope_int64(0, 2);
		/* Rows have no place that a statement could name: the oldest go first. */
		if (old > allowed)
		{
			wt_scope_run(psprintf("SELECT event_timestamp FROM %s ORDER BY 1 "
								  "OFFSET " INT64_FORMAT " LIMIT 1",
								  name, allowed - 1),
						 0, NULL, NULL);
			to = Min(oldest, wt_scope_int64(0, 1) + 1);
			plan->left_rows += old - allowed;
		}
	}
	spi_context = MemoryContextSwitchTo(caller);
	task = palloc0(sizeof(*task));
	task->kind = WT_TASK_DELETE;
	task->from = DT_NOBEGIN;
	task->to = to;
	task->name = pstrdup(name);
	plan->tasks = lappend(plan->tasks, task);
	MemoryContextSwitchTo(spi_context);
}

void
wt_distributed_delete(const WtSpans *table, WtTask *task, const WtScope *scope)
{
	Oid types[] = {TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(task->to)};
	char *partition = wt_scope_name(table->default_partition);

	wt_scope_run(psprintf("DELETE FROM %s WHERE event_timestamp < $1", partition), 1,
				 types, values);
	task->rows = (int64) SPI_processed;
	if (task->rows > 0)
		task->done_to = MemoryContextStrdup(scope->caller, partition);
}
