/*
 * late_store.c
 *		Writes the late rows of a sealed partition.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/late_columns.h"
#include "sealed/late_store.h"
#include "sealed/origin.h"

struct WtLateStore
{
	Relation relation;
	ResultRelInfo *target;
	EState *estate;
	AttrNumber
		*sources; /* by column of the late table: the partition's; 0: it has none */
	int n_slots;
	TupleTableSlot **slots;
	ItemPointerData place; /* of what was inserted last */
	MemoryContext context;
};

WtLateStore *
wt_late_store_open(Relation foreign, Oid late)
{
	WtLateStore *store = palloc0(sizeof(*store));

	store->context = CurrentMemoryContext;
	wt_late_columns_adopt(foreign, late, NULL);
	store->relation = table_open(late, RowExclusiveLock);
	store->sources = wt_late_columns_find(foreign, store->relation);
	if (!store->sources)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("\"%s\" lacks columns of \"%s\"",
							   RelationGetRelationName(store->relation),
							   RelationGetRelationName(foreign))));
	store->estate = CreateExecutorState();
	store->target = makeNode(ResultRelInfo);
	InitResultRelInfo(store->target, store->relation, 0, NULL, 0);
	ExecOpenIndices(store->target, false);
	return store;
}

void
wt_late_store_close(WtLateStore *store)
{
	for (int i = 0; i < store->n_slots; i++)
		ExecDropSingleTupleTableSlot(store->slots[i]);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	table_close(store->relation, NoLock);
	pfree(store);
}

/* A slot of the late table's, with a row of the partition. */
static TupleTableSlot *
convert(WtLateStore *store, int i, TupleTableSlot *row)
{
	TupleTableSlot *slot;

	if (i == store->n_slots)
	{
		MemoryContext old = MemoryContextSwitchTo(store->context);
		size_t size = sizeof(TupleTableSlot *) * (size_t) (i + 1);

		store->slots = store->slots ? repalloc(store->slots, size) : palloc(size);
		store->slots[store->n_slots++] =
			MakeSingleTupleTableSlot(RelationGetDescr(store->relation), &TTSOpsVirtual);
		MemoryContextSwitchTo(old);
	}
	slot = store->slots[i];
	ExecClearTuple(slot);
	slot_getallattrs(row);
	for (int k = 0; k < slot->tts_tupleDescriptor->natts; k++)
	{
		AttrNumber source = store->sources[k];

		slot->tts_isnull[k] = source == 0 || row->tts_isnull[source - 1];
		slot->tts_values[k] = source == 0 ? (Datum) 0 : row->tts_values[source - 1];
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(store->relation);
	return slot;
}

static void
add_to_indexes(WtLateStore *store, TupleTableSlot *slot)
{
	if (store->target->ri_NumIndices > 0)
		list_free(wt_insert_index_tuples(store->target, slot, store->estate));
}

void
wt_late_store_insert(WtLateStore *store, TupleTableSlot **rows, int n, bool updated,
					 CommandId command)
{
	MemoryContext old;

	for (int i = 0; i < n; i++)
		(void) convert(store, i, rows[i]);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(store->estate));
	if (n == 1)
		table_tuple_insert(store->relation, store->slots[0], command, 0, NULL);
	else
		table_multi_insert(store->relation, store->slots, n, command, 0, NULL);
	for (int i = 0; i < n; i++)
	{
		if (updated)
			wt_origin_set_updated(store->relation, &store->slots[i]->tts_tid);
		add_to_indexes(store, store->slots[i]);
	}
	MemoryContextSwitchTo(old);
	store->place = store->slots[n - 1]->tts_tid;
	for (int i = 0; i < n; i++)
		ExecClearTuple(store->slots[i]);
	ResetPerTupleExprContext(store->estate);
}

const ItemPointerData *
wt_late_store_place(const WtLateStore *store)
{
	return &store->place;
}

/* Whether a row was changed by us; the locks that were taken leave no other result. */
static bool
check_result(TM_Result result, const TM_FailureData *failure, CommandId command)
{
	if (result == TM_Ok)
		return true;
	if (result == TM_SelfModified && failure->cmax == command)
		return false;
	if (result == TM_SelfModified)
		ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
						errmsg("a row to be changed was already modified by an operation "
							   "triggered by the current command"),
						errhint("Consider using an AFTER trigger instead of a BEFORE "
								"trigger to propagate changes to other rows.")));
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not serialize access due to concurrent update")));
}

bool
wt_late_store_update(WtLateStore *store, ItemPointer place, TupleTableSlot *row,
					 CommandId command)
{
	TupleTableSlot *slot = convert(store, 0, row);
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(store->estate));
	TM_FailureData failure;
	LockTupleMode mode;
	WtNewEntries new_entries = WT_ALL_NEW_ENTRIES;
	bool done = check_result(wt_table_tuple_update(store->relation, place, slot, command,
												   &failure, &mode, &new_entries),
							 &failure, command);

	if (done && store->target->ri_NumIndices > 0)
		list_free(wt_insert_new_entries(store->target, slot, store->estate, new_entries));
	MemoryContextSwitchTo(old);
	ExecClearTuple(slot);
	ResetPerTupleExprContext(store->estate);
	return done;
}

bool
wt_late_store_delete(WtLateStore *store, ItemPointer place, CommandId command)
{
	TM_FailureData failure;

	return check_result(table_tuple_delete(store->relation, place, command,
										   InvalidSnapshot, InvalidSnapshot, true,
										   &failure, false),
						&failure, command);
}
