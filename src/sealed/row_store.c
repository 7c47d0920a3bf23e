/*
 * row_store.c
 *		Rows are put into an ordinary table, as if they had always been there.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/row_store.h"

struct WtRowStore
{
	Relation relation;
	ResultRelInfo *target;
	EState *estate;
	TupleTableSlot *slot;
	AttrMap *map;
	BulkInsertState bulk;
	int options;
	int64 count;
};

WtRowStore *
wt_row_store_open(Oid table, TupleDesc source, bool frozen)
{
	WtRowStore *store = palloc0(sizeof(*store));

	store->relation = table_open(table, RowExclusiveLock);
	store->estate = CreateExecutorState();
	store->target = makeNode(ResultRelInfo);
	InitResultRelInfo(store->target, store->relation, 0, NULL, 0);
	ExecOpenIndices(store->target, false);
	store->slot = table_slot_create(store->relation, NULL);
	store->map = wt_build_attrmap(source, RelationGetDescr(store->relation));
	store->bulk = GetBulkInsertState();
	store->options = frozen ? TABLE_INSERT_FROZEN : 0;
	return store;
}

void
wt_row_store_put(WtRowStore *store, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(store->estate));

	if (store->map)
		(void) execute_attr_map_slot(store->map, slot, store->slot);
	else
		ExecCopySlot(store->slot, slot);
	store->slot->tts_tableOid = RelationGetRelid(store->relation);
	if (store->relation->rd_att->constr)
		ExecConstraints(store->target, store->slot, store->estate);
	table_tuple_insert(store->relation, store->slot, GetCurrentCommandId(true),
					   store->options, store->bulk);
	if (store->target->ri_NumIndices > 0)
		list_free(wt_insert_index_tuples(store->target, store->slot, store->estate));
	MemoryContextSwitchTo(old);
	ExecClearTuple(store->slot);
	ResetPerTupleExprContext(store->estate);
	store->count++;
}

int64
wt_row_store_count(const WtRowStore *store)
{
	return store->count;
}

void
wt_row_store_close(WtRowStore *store)
{
	FreeBulkInsertState(store->bulk);
	table_finish_bulk_insert(store->relation, store->options);
	ExecDropSingleTupleTableSlot(store->slot);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	if (store->map)
		free_attrmap(store->map);
	table_close(store->relation, NoLock);
	pfree(store);
	CommandCounterIncrement();
}

void
wt_row_store_copy(Oid to, Relation from, Snapshot snapshot)
{
	WtRowStore *rows = wt_row_store_open(to, RelationGetDescr(from), true);
	TupleTableSlot *slot = table_slot_create(from, NULL);
	TableScanDesc scan = table_beginscan(from, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		wt_row_store_put(rows, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	wt_row_store_close(rows);
}
