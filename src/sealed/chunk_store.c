/*
 * chunk_store.c
 *		A table of chunks is made, and written.
 *
 * An ordinary table, so that chunks are logged, replicated, dumped and recovered as any row.
 * Bodies are compressed already, and stored as they are.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/tablespace.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "column/format.h"
#include "sealed/chunk_store.h"
#include "store/scope.h"

struct WtChunkStore
{
	Relation relation;
	ResultRelInfo *target;
	EState *estate;
	TupleTableSlot *slot;
	int options;
};

Oid
wt_chunk_store_create(Oid schema, const char *name, Oid tablespace)
{
	char *quoted = quote_qualified_identifier(get_namespace_name(schema), name);

	wt_scope_run(
		psprintf("CREATE TABLE %s (chunk integer NOT NULL, part integer NOT NULL, "
				 "body bytea NOT NULL, PRIMARY KEY (chunk, part)) USING heap%s%s",
				 quoted, OidIsValid(tablespace) ? " TABLESPACE " : "",
				 OidIsValid(tablespace)
					 ? quote_identifier(get_tablespace_name(tablespace))
					 : ""),
		0, NULL, NULL);
	/* What is erased is to be gone soon; and small parts are changed often. */
	wt_scope_run(psprintf("ALTER TABLE %s ALTER body SET STORAGE EXTERNAL, SET ("
						  "autovacuum_vacuum_threshold = 1, "
						  "autovacuum_vacuum_scale_factor = 0, "
						  "toast.autovacuum_vacuum_threshold = 1, "
						  "toast.autovacuum_vacuum_scale_factor = 0)",
						  quoted),
				 0, NULL, NULL);
	return get_relname_relid(name, schema);
}

WtChunkStore *
wt_chunk_store_open(Oid table, bool frozen)
{
	WtChunkStore *store = palloc0(sizeof(*store));

	store->relation = table_open(table, RowExclusiveLock);
	store->estate = CreateExecutorState();
	store->target = makeNode(ResultRelInfo);
	InitResultRelInfo(store->target, store->relation, 0, NULL, 0);
	ExecOpenIndices(store->target, false);
	store->slot =
		MakeSingleTupleTableSlot(RelationGetDescr(store->relation), &TTSOpsVirtual);
	store->options = frozen ? TABLE_INSERT_FROZEN : 0;
	return store;
}

void
wt_chunk_store_close(WtChunkStore *store)
{
	ExecDropSingleTupleTableSlot(store->slot);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	table_close(store->relation, NoLock);
	pfree(store);
	CommandCounterIncrement();
}

void
wt_chunk_store_fill(TupleTableSlot *slot, Relation table, int32 chunk, int32 part,
					const char *bytes, size_t length)
{
	bytea *body = palloc(length + VARHDRSZ);

	SET_VARSIZE(body, length + VARHDRSZ);
	memcpy(VARDATA(body), bytes, length);
	ExecClearTuple(slot);
	/* Columns that somebody has added to the table stay empty. */
	memset(slot->tts_isnull, true,
		   sizeof(bool) * (size_t) slot->tts_tupleDescriptor->natts);
	memset(slot->tts_isnull, false, sizeof(bool) * 3);
	slot->tts_values[0] = Int32GetDatum(chunk);
	slot->tts_values[1] = Int32GetDatum(part);
	slot->tts_values[2] = PointerGetDatum(body);
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(table);
}

void
wt_chunk_store_put(WtChunkStore *store, int32 chunk, int32 part, const char *bytes,
				   size_t length)
{
	TupleTableSlot *slot = store->slot;
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(store->estate));

	wt_chunk_store_fill(slot, store->relation, chunk, part, bytes, length);
	table_tuple_insert(store->relation, slot, GetCurrentCommandId(true), store->options,
					   NULL);
	list_free(wt_insert_index_tuples(store->target, slot, store->estate));
	ExecClearTuple(slot);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(store->estate);
}

/* Begins a scan over a chunk's parts: all, or one. */
static SysScanDesc
begin_parts(const WtChunkStore *store, int32 chunk, int32 part, bool all,
			Snapshot snapshot)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chunk));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(part));
	return systable_beginscan(store->relation, wt_primary_key_index(store->relation),
							  true, snapshot, all ? 1 : 2, keys);
}

bool
wt_chunk_store_lock(WtChunkStore *store, int32 chunk, Snapshot snapshot)
{
	SysScanDesc scan = begin_parts(store, chunk, WT_PART_DIRECTORY, false, snapshot);
	HeapTuple tuple = systable_getnext(scan);
	TupleTableSlot *slot = table_slot_create(store->relation, NULL);
	TM_FailureData failure;
	bool locked = HeapTupleIsValid(tuple) &&
				  table_tuple_lock(store->relation, &tuple->t_self, snapshot, slot,
								   GetCurrentCommandId(false), LockTupleExclusive,
								   LockWaitSkip, 0, &failure) == TM_Ok;

	ExecDropSingleTupleTableSlot(slot);
	systable_endscan(scan);
	return locked;
}

void
wt_chunk_store_delete(WtChunkStore *store, int32 chunk, Snapshot snapshot)
{
	SysScanDesc scan = begin_parts(store, chunk, 0, true, snapshot);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		simple_heap_delete(store->relation, &tuple->t_self);
	systable_endscan(scan);
	CommandCounterIncrement();
}

void
wt_chunk_store_delete_part(WtChunkStore *store, int32 chunk, int32 part)
{
	Snapshot snapshot;
	SysScanDesc scan;
	HeapTuple tuple;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = begin_parts(store, chunk, part, false, snapshot);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "part %d of chunk %d is not there", part, chunk);
	simple_heap_delete(store->relation, &tuple->t_self);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	CommandCounterIncrement();
}
