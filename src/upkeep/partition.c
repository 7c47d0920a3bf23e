/*
 * partition.c
 *		The upkeep's tasks: a partition is made and filled, emptied or dropped.
 *
 * The hazard of it all is events waiting.  An INSERT locks the log table and those
 * partitions that its rows go to, weakly; what must not happen is that it queues behind
 * a strong lock that is itself waiting for somebody's long query.  So strong locks are
 * taken when they are free, see store/lock_gently.h:
 *
 *	- A partition is made on its own and then attached.  ATTACH locks the log table
 *	  weakly, but the default partition strongly, and reads all of it, to be sure that
 *	  no row in it belongs to the new one.  Events for other partitions pass.
 *	- DROP locks the log table strongly, for a few catalog rows' time; files are removed
 *	  after the locks.  DETACH CONCURRENTLY would not, but is not to be had for a table
 *	  with a default partition, nor within a transaction.
 *	- A table that refers to the log refers to each partition, so DROP alone fails: DETACH
 *	  comes first.  It looks whether a row does refer to one of its events.
 *
 * Rows are moved without firing triggers: for the table's users nothing happens to them.
 * One thing they can notice: an UPDATE that waits for a row which is just being moved
 * finds it gone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "sealed/links.h"
#include "sealed/merge.h"
#include "sealed/rewrite.h"
#include "sealed/seal.h"
#include "sealed/size.h"
#include "store/distributed.h"
#include "store/lock_gently.h"
#include "store/log_table.h"
#include "store/move_rows.h"
#include "upkeep/distributed_table.h"
#include "upkeep/partition.h"
#include "upkeep/plan_sealed.h"
#include "store/scope.h"
#include "upkeep/spans.h"
#include "upkeep/upkeep.h"

/*
 * Runs a statement over a range of the default partition's blocks: $1 and $2 are the
 * tuple ids that it begins at and ends before, $3 and $4 the times, $5 how many rows.
 */
static int64
run_over_blocks(const char *command, BlockNumber first, BlockNumber end, TimestampTz from,
				TimestampTz to, int64 rows)
{
	Oid types[] = {TIDOID, TIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};
	ItemPointerData begin_tid;
	ItemPointerData end_tid;
	Datum values[5];

	ItemPointerSet(&begin_tid, first, 0);
	ItemPointerSet(&end_tid, end, 0);
	values[0] = PointerGetDatum(&begin_tid);
	values[1] = PointerGetDatum(&end_tid);
	values[2] = TimestampTzGetDatum(from);
	values[3] = TimestampTzGetDatum(to);
	values[4] = Int64GetDatum(rows);
	wt_scope_run(command, 5, types, values);
	return (int64) SPI_processed;
}

static bool
is_gap(const WtSpans *table, TimestampTz from, TimestampTz to)
{
	for (int i = 0; i < table->n_spans; i++)
		if (table->spans[i].from < to && table->spans[i].to > from)
			return false;
	return true;
}

/* What CREATE TABLE ... LIKE does not copy, and ATTACH does not set. */
static void
copy_replica_identity(const WtSpans *table, Oid made, const char *partition)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(table->relation), ObjectIdGetDatum(made)};
	const char *identity = NULL;

	switch (table->replica_identity)
	{
		case REPLICA_IDENTITY_FULL:
			identity = "FULL";
			break;
		case REPLICA_IDENTITY_NOTHING:
			identity = "NOTHING";
			break;
		case REPLICA_IDENTITY_INDEX:
			wt_scope_run("SELECT c.relname FROM pg_index p "
						 "JOIN pg_inherits h ON h.inhparent = p.indexrelid "
						 "JOIN pg_index i ON i.indexrelid = h.inhrelid "
						 "JOIN pg_class c ON c.oid = i.indexrelid "
						 "WHERE p.indrelid = $1 AND p.indisreplident AND i.indrelid = $2",
						 2, types, values);
			if (SPI_processed == 1)
				identity =
					psprintf("USING INDEX %s",
							 quote_identifier(SPI_getvalue(SPI_tuptable->vals[0],
														   SPI_tuptable->tupdesc, 1)));
			break;
	}
	if (identity)
		wt_scope_run(psprintf("ALTER TABLE %s REPLICA IDENTITY %s", partition, identity),
					 0, NULL, NULL);
}

static void
make_partition(const WtSpans *table, WtTask *task, const WtScope *scope)
{
	Oid schema = get_rel_namespace(table->relation);
	char *name;
	char *partition;
	Oid made;

	if (!is_gap(table, task->from, task->to))
		return;
	if (table->distributed)
	{
		wt_distributed_make(table, task, scope);
		return;
	}
	name = wt_partition_name(table->name, task->from, task->to);
	partition = quote_qualified_identifier(table->name->schemaname, name);

	/*
	 * As CREATE TABLE ... PARTITION OF would make it.  With its indexes, because ATTACH
	 * would build them while it holds its locks.
	 */
	wt_scope_run(
		psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
				 "INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION "
				 "INCLUDING INDEXES)%s%s%s%s",
				 partition, wt_log_table_quote(table->name),
				 OidIsValid(table->access_method) ? " USING " : "",
				 OidIsValid(table->access_method)
					 ? quote_identifier(get_am_name(table->access_method))
					 : "",
				 OidIsValid(table->tablespace) ? " TABLESPACE " : "",
				 OidIsValid(table->tablespace)
					 ? quote_identifier(get_tablespace_name(table->tablespace))
					 : ""),
		0, NULL, NULL);
	made = get_relname_relid(name, schema);
	if (OidIsValid(table->default_partition))
	{
		/* Most of them while events still come in, the rest when none can. */
		LockRelationOid(table->default_partition, RowExclusiveLock);
		task->rows = wt_move_rows(table->default_partition, made, task->from, task->to);
		wt_lock_gently(&table->default_partition, 1, AccessExclusiveLock);
		task->rows += wt_move_rows(table->default_partition, made, task->from, task->to);
	}
	wt_scope_run(
		psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
				 wt_log_table_quote(table->name), partition, wt_bound(task->from),
				 wt_bound(task->to)),
		0, NULL, NULL);
	copy_replica_identity(table, made, partition);
	task->done_to = MemoryContextStrdup(scope->caller, partition);
}

/* Deletes what is too old, as the owner would: his triggers fire. */
static void
delete_rows(const WtSpans *table, WtTask *task, const WtScope *scope)
{
	char *partition;

	if (!OidIsValid(table->default_partition))
		return;
	if (table->distributed)
	{
		wt_distributed_delete(table, task, scope);
		return;
	}
	partition = wt_scope_name(table->default_partition);
	task->rows = run_over_blocks(
		psprintf("DELETE FROM ONLY %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY %s "
				 "WHERE ctid >= $1 AND ctid < $2 "
				 "AND event_timestamp >= $3 AND event_timestamp < $4 LIMIT $5))",
				 partition, partition),
		task->block, task->block + WT_BLOCKS_AT_ONCE, task->from, task->to,
		task->max_rows);
	if (task->rows > 0)
		task->done_to = MemoryContextStrdup(scope->caller, partition);
}

/* So many chunks are rewritten in a transaction: about a second's work. */
#define CHUNKS_AT_ONCE 8

static bool
has_partition(const WtSpans *table, Oid partition)
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

/*
 * All that DETACH and DROP will lock: the table first; the partition with its own ones; what
 * refers to them, and what they refer to, whose triggers go; the default partition.  Gives
 * whether anything refers to the partition.
 */
static bool
lock_to_drop(const WtSpans *table, Oid partition)
{
	Oid types[] = {OIDOID, OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(table->relation), ObjectIdGetDatum(partition),
					  ObjectIdGetDatum(table->default_partition)};
	bool referenced;
	Oid *locks;
	int n;

	wt_scope_run("WITH tree AS (SELECT relid::oid FROM pg_partition_tree($2)), "
				 "refers AS (SELECT conrelid FROM pg_constraint WHERE contype = 'f' "
				 "AND confrelid IN (SELECT relid FROM tree)), "
				 "referred AS (SELECT confrelid FROM pg_constraint WHERE contype = 'f' "
				 "AND conrelid IN (SELECT relid FROM tree)) "
				 "SELECT relid::bigint, EXISTS (SELECT FROM refers)::int::bigint "
				 "FROM (SELECT 1 AS n, $1 AS relid "
				 "UNION SELECT 2, relid FROM tree "
				 "UNION SELECT 2, d.objid FROM tree JOIN pg_class f ON f.oid = relid "
				 "AND f.relkind = 'f' JOIN pg_depend d ON d.refclassid = "
				 "'pg_class'::regclass AND d.refobjid = relid AND d.classid = "
				 "'pg_class'::regclass AND d.deptype = 'i' JOIN pg_class c "
				 "ON c.oid = d.objid AND c.relkind = 'r' "
				 "UNION SELECT 3, conrelid FROM refers "
				 "UNION SELECT 3, confrelid FROM referred "
				 "UNION SELECT 4, $3 WHERE $3 <> 0) AS l ORDER BY n, relid",
				 3, types, values);
	n = (int) SPI_processed;
	locks = palloc(n * sizeof(Oid));
	for (int i = 0; i < n; i++)
		locks[i] = (Oid) wt_scope_int64(i, 1);
	referenced = n > 0 && wt_scope_int64(0, 2) != 0;
	wt_lock_gently(locks, n, AccessExclusiveLock);
	return referenced;
}

int64
wt_upkeep_size(Oid relation)
{
	return wt_is_distributed(relation) ? wt_distributed_size(relation)
									   : wt_partition_size(relation);
}

int64
wt_upkeep_count_filled(Oid parent, Oid partition)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(parent), ObjectIdGetDatum(partition)};

	if (wt_is_distributed(parent))
		return wt_distributed_count_filled(parent, partition);
	/* A sealed one is filled where its chunks or late rows are: see sealed/links.h. */
	wt_scope_run("SELECT count(*) FROM pg_inherits "
				 "WHERE inhparent = $1 AND (inhrelid = $2 OR $2 = 0) AND EXISTS ("
				 "SELECT FROM pg_partition_tree(inhrelid) LEFT JOIN pg_depend d "
				 "ON d.refclassid = 'pg_class'::regclass AND d.refobjid = relid "
				 "AND d.classid = 'pg_class'::regclass AND d.deptype = 'i' "
				 "WHERE isleaf AND (pg_relation_size(relid) > 0 "
				 "OR pg_relation_size(d.objid) > 0))",
				 2, types, values);
	return wt_scope_int64(0, 1);
}

static void
drop_partition(const WtSpans *table, WtTask *task, const WtScope *scope, bool referenced)
{
	char *partition;

	if (!has_partition(table, task->partition))
		return;
	/* It is locked: what has come since the plan is there now. */
	if (task->if_empty && wt_upkeep_count_filled(table->relation, task->partition) > 0)
		return;
	partition = wt_scope_name(task->partition);
	/* Of a distributed one nobody has counted the rows. */
	task->rows = table->distributed ? -1 : estimate_rows(task->partition);
	if (!table->distributed)
		task->bytes = wt_partition_size(task->partition);
	wt_scope_set("lock_timeout", WT_LOCK_QUEUE);
	/* A reference to the table is one to each partition, and would keep it. */
	if (referenced)
		wt_scope_run(psprintf("ALTER TABLE %s DETACH PARTITION %s",
							  wt_log_table_quote(table->name), partition),
					 0, NULL, NULL);
	wt_scope_run(psprintf("DROP %sTABLE %s",
						  wt_is_sealed(task->partition) ? "FOREIGN " : "", partition),
				 0, NULL, NULL);
	task->done_to = MemoryContextStrdup(scope->caller, partition);
}

static void
seal_partition(WtTask *task, const WtScope *scope)
{
	char *partition;
	WtSealed sealed = {0};

	if (get_rel_relkind(task->partition) != RELKIND_RELATION)
		return;
	partition = wt_scope_name(task->partition);
	wt_seal(task->partition, &sealed);
	task->rows = sealed.rows;
	task->bytes = sealed.bytes_before;
	task->bytes_after = sealed.bytes_after;
	task->done_to = MemoryContextStrdup(scope->caller, partition);
}

static void
rewrite_partition(WtTask *task, const WtScope *scope)
{
	WtRewritten rewritten;
	WtLinks links;

	if (!wt_is_sealed(task->partition))
		return;
	wt_rewrite(task->partition, true, CHUNKS_AT_ONCE, &rewritten);
	task->rows = rewritten.erased + rewritten.taken_in;
	task->more = rewritten.more && rewritten.chunks > 0;
	wt_links_read(task->partition, &links);
	if (!rewritten.more && rewritten.busy == 0)
		wt_plan_late_rejected(links.late, rewritten.left);
	task->done_to = MemoryContextStrdup(scope->caller, wt_scope_name(task->partition));
}

/* The partitions that lie within the task's time become one, called as it would have been made. */
static void
merge_partitions(Oid relation, WtTask *task, const WtScope *scope)
{
	WtSpans table;
	const char *reason;
	Oid *partitions;
	int n = 0;
	char *name;

	if (!wt_spans_read(relation, &table, &reason))
		return;
	UnlockRelationOid(relation, AccessShareLock);
	partitions = palloc(sizeof(Oid) * (size_t) Max(table.n_spans, 1));
	for (int i = 0; i < table.n_spans; i++)
		if (table.spans[i].from >= task->from && table.spans[i].to <= task->to)
			partitions[n++] = table.spans[i].partition;
	if (n < 2)
		return;
	name = wt_partition_name(table.name, task->from, task->to);
	wt_merge(partitions, n, name, task->from, task->to);
	task->rows = n;
	task->done_to = MemoryContextStrdup(
		scope->caller, quote_qualified_identifier(table.name->schemaname, name));
}

/* Whether a relation is a partition of the table, which is not locked for that. */
static bool
is_partition_of(Oid partition, Oid table)
{
	return get_rel_relispartition(partition) &&
		   get_partition_parent(partition, true) == table;
}

/*
 * What is long: sealing and merging, and rewriting.  The table is not locked meanwhile, not even
 * weakly, or whoever wants to alter it would wait, and everybody behind him.
 */
static void
do_sealed(Oid relation, WtTask *task, const WtScope *scope)
{
	switch (task->kind)
	{
		case WT_TASK_SEAL:
			if (is_partition_of(task->partition, relation))
				seal_partition(task, scope);
			break;
		case WT_TASK_REWRITE:
			if (is_partition_of(task->partition, relation))
				rewrite_partition(task, scope);
			break;
		default:
			merge_partitions(relation, task, scope);
			break;
	}
}

static bool
is_of_sealed(WtTaskKind kind)
{
	return kind == WT_TASK_SEAL || kind == WT_TASK_REWRITE || kind == WT_TASK_MERGE;
}

void
wt_upkeep_do(Oid relation, WtTask *task)
{
	WtSpans table;
	WtScope scope;
	const char *reason;
	bool referenced = false;

	if (!wt_scope_enter(relation, &scope))
		return;
	if (is_of_sealed(task->kind))
	{
		do_sealed(relation, task, &scope);
		wt_scope_leave(&scope);
		return;
	}
	/*
	 * Against other upkeeps, and partitions made by hand; events are not affected.  Before
	 * any weaker lock: two that had those would wait for each other's to go.
	 */
	if (task->kind == WT_TASK_MAKE || task->kind == WT_TASK_DROP)
		LockRelationOid(relation, ShareUpdateExclusiveLock);
	if (task->kind == WT_TASK_MAKE)
	{
		if (OidIsValid(get_rel_namespace(relation)))
			wt_hold_schema(get_rel_namespace(relation));
	}
	else if (task->kind == WT_TASK_DROP && wt_spans_read(relation, &table, &reason) &&
			 has_partition(&table, task->partition))
		referenced = lock_to_drop(&table, task->partition);

	/* What it is like now that it is locked. */
	if (wt_spans_read(relation, &table, &reason))
		switch (task->kind)
		{
			case WT_TASK_MAKE:
				make_partition(&table, task, &scope);
				break;
			case WT_TASK_DELETE:
				delete_rows(&table, task, &scope);
				break;
			case WT_TASK_DROP:
				drop_partition(&table, task, &scope, referenced);
				break;
			case WT_TASK_SEAL:
			case WT_TASK_REWRITE:
			case WT_TASK_MERGE:
			case WT_TASK_LOOK:
				break;
		}
	wt_scope_leave(&scope);
}
