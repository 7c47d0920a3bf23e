/*
 * row_order.c
 *		The rows of a table in order of time, in bounded memory.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/tupdesc.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "sealed/row_order.h"

/* For sorting, kB: places of some 300,000 rows; what is more goes through temporary files. */
#define SORT_MEMORY (16 * 1024)

struct WtRowOrder
{
	Relation relation;
	Snapshot snapshot;
	Tuplesortstate *sort;
	TupleTableSlot *place; /* (time, ctid) */
	TupleTableSlot *row;
	int64 count;
};

static TupleDesc
make_place(void)
{
	TupleDesc desc = CreateTemplateTupleDesc(2);

	TupleDescInitEntry(desc, 1, "event_timestamp", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, 2, "ctid", TIDOID, -1, 0);
	return desc;
}

WtRowOrder *
wt_row_order_begin(Relation relation, Snapshot snapshot)
{
	/* By time, then by place, which is the order of arrival. */
	AttrNumber columns[] = {1, 2};
	Oid operators[] = {lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_LT_OPR)->lt_opr,
					   TIDLessOperator};
	Oid collations[] = {InvalidOid, InvalidOid};
	bool nulls_first[] = {false, false};
	WtRowOrder *order = palloc0(sizeof(*order));
	TupleDesc desc = make_place();
	AttrNumber time = get_attnum(RelationGetRelid(relation), "event_timestamp");
	TupleTableSlot *place = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	TableScanDesc scan;

	order->relation = relation;
	order->snapshot = snapshot;
	order->place = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	order->row = table_slot_create(relation, NULL);
	order->sort = tuplesort_begin_heap(desc, 2, columns, operators, collations,
									   nulls_first, SORT_MEMORY, NULL, TUPLESORT_NONE);
	scan = table_beginscan(relation, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, order->row))
	{
		bool is_null;
		Datum when = slot_getattr(order->row, time, &is_null);

		CHECK_FOR_INTERRUPTS();
		if (is_null)
			ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
							errmsg("an event of \"%s\" has no event_timestamp",
								   RelationGetRelationName(relation))));
		ExecClearTuple(place);
		place->tts_values[0] = when;
		place->tts_values[1] = PointerGetDatum(&order->row->tts_tid);
		place->tts_isnull[0] = place->tts_isnull[1] = false;
		ExecStoreVirtualTuple(place);
		tuplesort_puttupleslot(order->sort, place);
		order->count++;
	}
	table_endscan(scan);
	ExecClearTuple(order->row);
	ExecDropSingleTupleTableSlot(place);
	tuplesort_performsort(order->sort);
	return order;
}

int64
wt_row_order_count(const WtRowOrder *order)
{
	return order->count;
}

TupleTableSlot *
wt_row_order_next(WtRowOrder *order)
{
	bool is_null;
	ItemPointer tid;

	if (!tuplesort_gettupleslot(order->sort, true, false, order->place, NULL))
		return NULL;
	tid = (ItemPointer) DatumGetPointer(slot_getattr(order->place, 2, &is_null));
	if (!table_tuple_fetch_row_version(order->relation, tid, order->snapshot, order->row))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("a row of \"%s\" has vanished while it was being sealed",
							   RelationGetRelationName(order->relation))));
	return order->row;
}

void
wt_row_order_end(WtRowOrder *order)
{
	tuplesort_end(order->sort);
	ExecDropSingleTupleTableSlot(order->place);
	ExecDropSingleTupleTableSlot(order->row);
	pfree(order);
}
