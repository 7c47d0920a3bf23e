/*
 * origin.c
 *		What rows have come by.
 *
 * A row of a heap that VACUUM freezes keeps its xmin, which nobody looks at any more to decide who
 * sees it.  Rows that are inserted as frozen have that of the transaction that inserts them; here
 * they get the one that they had where they come from.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "column/overlay.h"
#include "sealed/chunk_store.h"
#include "sealed/origin.h"
#include "sealed/overlay_store.h"

struct WtOriginList
{
	MemoryContext context;
	int n_rows; /* that were added */
	int room;
	WtNumbers origins;
};

WtOrigin
wt_origin_of(TupleTableSlot *slot)
{
	bool free_it;
	HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &free_it);
	WtOrigin origin = {.xmin = HeapTupleHeaderGetRawXmin(tuple->t_data),
					   .updated = (tuple->t_data->t_infomask & HEAP_UPDATED) != 0};

	if (free_it)
		heap_freetuple(tuple);
	return origin;
}

/* The id of 64 bits that a row's xmin is the lower half of. */
static uint64
widen(TransactionId xid)
{
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());
	uint64 id = (next & ~UINT64CONST(0xFFFFFFFF)) | xid;

	if (id <= next)
		return id;
	return id > UINT64CONST(0xFFFFFFFF) ? id - (UINT64CONST(1) << 32) : 0;
}

uint64
wt_origin_number(WtOrigin origin)
{
	if (!TransactionIdIsNormal(origin.xmin))
		return 0;
	return widen(origin.xmin) << 1 | (origin.updated ? 1 : 0);
}

WtOrigin
wt_origin_read(uint64 number)
{
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());
	uint64 id = number >> 1;
	TransactionId xid = (TransactionId) id;

	/* What was dumped may be of another server, whose ids say nothing here. */
	if (id >= next || next - id > PG_INT32_MAX || !TransactionIdIsNormal(xid))
		xid = FrozenTransactionId;
	return (WtOrigin){.xmin = xid, .updated = (number & 1) != 0};
}

/* ---------------------------------------------------------------------- of rows */

static void
set(Relation heap, const ItemPointerData *places, const WtOrigin *origins, int n,
	bool with_xmin)
{
	Buffer buffer = ReadBuffer(heap, ItemPointerGetBlockNumber(&places[0]));
	GenericXLogState *log;
	Page page;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	log = GenericXLogStart(heap);
	page = GenericXLogRegisterBuffer(log, buffer, 0);
	for (int i = 0; i < n; i++)
	{
		ItemId item = PageGetItemId(page, ItemPointerGetOffsetNumber(&places[i]));
		HeapTupleHeader row = (HeapTupleHeader) PageGetItem(page, item);

		if (with_xmin && !HeapTupleHeaderXminFrozen(row))
			elog(ERROR, "a row is not frozen");
		if (with_xmin)
			HeapTupleHeaderSetXmin(row, origins[i].xmin);
		if (origins[i].updated)
			row->t_infomask |= HEAP_UPDATED;
	}
	GenericXLogFinish(log);
	UnlockReleaseBuffer(buffer);
}

void
wt_origins_set(Relation heap, const ItemPointerData *places, const WtOrigin *origins,
			   int n)
{
	set(heap, places, origins, n, true);
}

void
wt_origin_set_updated(Relation heap, const ItemPointerData *place)
{
	WtOrigin origin = {.updated = true};

	set(heap, place, &origin, 1, false);
}

/* ---------------------------------------------------------------------- of chunks */

WtOriginList *
wt_origin_list_create(void)
{
	WtOriginList *list = palloc0(sizeof(*list));

	list->context = CurrentMemoryContext;
	return list;
}

void
wt_origin_list_add(WtOriginList *list, WtOrigin origin)
{
	WtNumbers *origins = &list->origins;
	uint64 number = wt_origin_number(origin);
	int row = list->n_rows++;

	if (number == 0)
		return;
	if (origins->n == list->room)
	{
		MemoryContext old = MemoryContextSwitchTo(list->context);

		list->room = Max(256, list->room * 2);
		origins->rows = origins->rows
							? repalloc(origins->rows, sizeof(int) * (size_t) list->room)
							: palloc(sizeof(int) * (size_t) list->room);
		origins->numbers =
			origins->numbers
				? repalloc(origins->numbers, sizeof(uint64_t) * (size_t) list->room)
				: palloc(sizeof(uint64_t) * (size_t) list->room);
		MemoryContextSwitchTo(old);
	}
	origins->rows[origins->n] = row;
	origins->numbers[origins->n++] = number;
}

void
wt_origin_list_write(WtOriginList *list, WtChunkStore *store, int32 chunk, int n_rows)
{
	if (list->n_rows != n_rows)
		elog(ERROR, "a chunk has %d rows, not %d", n_rows, list->n_rows);
	if (list->origins.n > 0)
	{
		MemoryContext work = AllocSetContextCreate(list->context, "windtrap origins",
												   ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(work);
		size_t length;
		const char *bytes =
			wt_origins_write(wt_overlay_arena(), &list->origins, n_rows, chunk, &length);

		wt_chunk_store_put(store, chunk, WT_PART_ORIGINS, bytes, length);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(work);
	}
	list->n_rows = list->origins.n = 0;
}
