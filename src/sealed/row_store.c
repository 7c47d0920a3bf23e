/*
 * row_store.c
 *		Rows are put into an ordinary table, as if they had always been there.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/row_store.h"
#include "sealed/stored_columns.h"

struct WtRowStore
{
	Relation relation;
	ResultRelInfo *target;
	EState *estate;
	TupleTableSlot *slot;
	AttrNumber *sources; /* by column of the table; 0: the rows have none */
	BulkInsertState bulk;
	int options;
	int64 count;

	/* Those of a page that are to be given their origins. */
	int n_places;
	ItemPointerData places[MaxHeapTuplesPerPage];
	WtOrigin origins[MaxHeapTuplesPerPage];
};

static AttrNumber *
find_sources(TupleDesc source, TupleDesc target)
{
	AttrNumber *sources = palloc0(sizeof(AttrNumber) * (size_t) Max(target->natts, 1));

	for (int i = 0; i < target->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(target, i);

		if (column->attisdropped || column->attgenerated != '\0')
			continue;
		sources[i] = wt_column_named(source, NameStr(column->attname));
		if (AttributeNumberIsValid(sources[i]) &&
			TupleDescAttr(source, sources[i] - 1)->atttypid != column->atttypid)
			elog(ERROR, "rows that are copied have column \"%s\" of another type",
				 NameStr(column->attname));
	}
	return sources;
}

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
	store->sources = find_sources(source, RelationGetDescr(store->relation));
	store->bulk = GetBulkInsertState();
	store->options = frozen ? TABLE_INSERT_FROZEN : 0;
	return store;
}

static void
set_origins(WtRowStore *store)
{
	if (store->n_places > 0)
		wt_origins_set(store->relation, store->places, store->origins, store->n_places);
	store->n_places = 0;
}

/* A page at a time: each costs a record of the write-ahead log. */
static void
note_origin(WtRowStore *store, const ItemPointerData *place, WtOrigin origin)
{
	if (store->n_places > 0 &&
		ItemPointerGetBlockNumber(&store->places[0]) != ItemPointerGetBlockNumber(place))
		set_origins(store);
	store->places[store->n_places] = *place;
	store->origins[store->n_places++] = origin;
}

void
wt_row_store_put(WtRowStore *store, TupleTableSlot *slot, WtOrigin origin)
{
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(store->estate));

	slot_getallattrs(slot);
	ExecClearTuple(store->slot);
	for (int i = 0; i < store->slot->tts_tupleDescriptor->natts; i++)
	{
		AttrNumber source = store->sources[i];

		store->slot->tts_isnull[i] = source == 0 || slot->tts_isnull[source - 1];
		store->slot->tts_values[i] =
			source == 0 ? (Datum) 0 : slot->tts_values[source - 1];
	}
	ExecStoreVirtualTuple(store->slot);
	store->slot->tts_tableOid = RelationGetRelid(store->relation);
	if (store->relation->rd_att->constr &&
		store->relation->rd_att->constr->has_generated_stored)
		ExecComputeStoredGenerated(store->target, store->estate, store->slot, CMD_INSERT);
	if (store->relation->rd_att->constr)
		ExecConstraints(store->target, store->slot, store->estate);
	table_tuple_insert(store->relation, store->slot, GetCurrentCommandId(true),
					   store->options, store->bulk);
	if (store->options & TABLE_INSERT_FROZEN)
		note_origin(store, &store->slot->tts_tid, origin);
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
	set_origins(store);
	FreeBulkInsertState(store->bulk);
	table_finish_bulk_insert(store->relation, store->options);
	ExecDropSingleTupleTableSlot(store->slot);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	pfree(store->sources);
	table_close(store->relation, NoLock);
	pfree(store);
	CommandCounterIncrement();
}

int64
wt_row_store_copy(Oid to, Relation from, TupleDesc columns, Snapshot snapshot)
{
	WtRowStore *rows = wt_row_store_open(to, columns, true);
	TupleTableSlot *slot = table_slot_create(from, NULL);
	TableScanDesc scan = table_beginscan(from, snapshot, 0, NULL);
	int64 n;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		wt_row_store_put(rows, slot, wt_origin_of(slot));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	n = wt_row_store_count(rows);
	wt_row_store_close(rows);
	return n;
}
