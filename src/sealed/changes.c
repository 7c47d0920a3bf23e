/*
 * changes.c
 *		What has become of a table's rows since a snapshot.
 *
 * Nothing was being changed when the snapshot was taken, so a row that was put, changed or
 * deleted since has its page's LSN behind that of the moment: all of it is logged.  Pages that
 * are all-visible need not be read for that: the bit goes with the first change, and VACUUM,
 * which alone sets it, is kept away.  Nor has anybody removed a row that the snapshot sees.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "sealed/changes.h"
#include "store/lock_gently.h"

/* How long, ms, one is tried for that need not be. */
#define TRY_PATIENCE 500

/* The table is locked so that nobody is changing it. */
static void
take(Oid table, WtMoment *moment)
{
	moment->position = GetXLogInsertRecPtr();
	moment->snapshot = RegisterSnapshot(GetLatestSnapshot());
	wt_unlock_gently(&table, 1, ShareLock);
}

void
wt_moment_take(Oid table, WtMoment *moment)
{
	wt_lock_gently(&table, 1, ShareLock);
	take(table, moment);
}

bool
wt_moment_try(Oid table, WtMoment *moment)
{
	if (!wt_try_lock_gently(&table, 1, ShareLock, TRY_PATIENCE))
		return false;
	take(table, moment);
	return true;
}

void
wt_moment_end(WtMoment *moment)
{
	UnregisterSnapshot(moment->snapshot);
	moment->snapshot = NULL;
}

/* A row that only one of two snapshots sees, and whether that is the first. */
typedef struct Changed
{
	OffsetNumber offset;
	bool gone;
} Changed;

/* Those of a page that is locked. */
static int
find_changed(Relation relation, Buffer buffer, Snapshot then, Snapshot now,
			 Changed *changed)
{
	Page page = BufferGetPage(buffer);
	OffsetNumber n_items = PageGetMaxOffsetNumber(page);
	int n = 0;

	for (OffsetNumber i = FirstOffsetNumber; i <= n_items; i++)
	{
		ItemId item = PageGetItemId(page, i);
		HeapTupleData tuple;
		bool was;
		bool is;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(relation);
		ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer), i);
		was = HeapTupleSatisfiesVisibility(&tuple, then, buffer);
		is = HeapTupleSatisfiesVisibility(&tuple, now, buffer);
		if (was != is)
			changed[n++] = (Changed){.offset = i, .gone = was};
	}
	return n;
}

void
wt_changes_since(Relation relation, const WtMoment *moment, Snapshot now,
				 WtChangedRow take, void *arg)
{
	BlockNumber n_blocks = RelationGetNumberOfBlocks(relation);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	Buffer map = InvalidBuffer;

	for (BlockNumber block = 0; block < n_blocks; block++)
	{
		Changed changed[MaxHeapTuplesPerPage];
		int n = 0;
		Buffer buffer;

		CHECK_FOR_INTERRUPTS();
		if (VM_ALL_VISIBLE(relation, block, &map))
			continue;
		buffer = ReadBuffer(relation, block);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (PageGetLSN(BufferGetPage(buffer)) > moment->position)
			n = find_changed(relation, buffer, moment->snapshot, now, changed);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		for (int i = 0; i < n; i++)
		{
			ItemPointerData place;

			ItemPointerSet(&place, block, changed[i].offset);
			if (!table_tuple_fetch_row_version(
					relation, &place, changed[i].gone ? moment->snapshot : now, slot))
				elog(ERROR, "a row of \"%s\" has vanished",
					 RelationGetRelationName(relation));
			take(arg, slot, changed[i].gone);
		}
		ReleaseBuffer(buffer);
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
	ExecDropSingleTupleTableSlot(slot);
}
