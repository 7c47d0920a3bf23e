/*
 * row_origin.c
 *		What a row of a sealed partition has come by.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "sealed/chunk_scan.h"
#include "sealed/late.h"
#include "sealed/links.h"
#include "sealed/row_origin.h"

static void
of_chunk(Oid partition, const WtLinks *links, const ItemPointerData *place,
		 WtOrigin *origin)
{
	Relation foreign = table_open(partition, AccessShareLock);
	WtChunkScan *scan = wt_chunk_scan_create(foreign, links->chunks, GetActiveSnapshot());
	int row = ItemPointerGetOffsetNumberNoCheck(place) - 1;

	if (wt_chunk_scan_open(scan, (int32) ItemPointerGetBlockNumberNoCheck(place)) &&
		row >= 0 && row < scan->chunk->n_rows)
		*origin = wt_chunk_scan_origin(scan, row);
	wt_chunk_scan_destroy(scan);
	table_close(foreign, AccessShareLock);
}

static void
of_late(const WtLinks *links, const ItemPointerData *place, WtOrigin *origin)
{
	Relation late = table_open(links->late, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(late, NULL);
	ItemPointerData tid = *place;

	ItemPointerSetBlockNumber(&tid,
							  ItemPointerGetBlockNumberNoCheck(place) & ~WT_LATE_BLOCK);
	/* A block of no number would be added. */
	if (ItemPointerIsValid(&tid) &&
		ItemPointerGetBlockNumber(&tid) < RelationGetNumberOfBlocks(late) &&
		table_tuple_fetch_row_version(late, &tid, GetActiveSnapshot(), slot))
		*origin = wt_origin_of(slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(late, AccessShareLock);
}

WtOrigin
wt_row_origin(Oid partition, const ItemPointerData *place)
{
	WtOrigin origin = {.xmin = FrozenTransactionId};
	WtLinks links;

	wt_links_read(partition, &links);
	if (ItemPointerGetBlockNumberNoCheck(place) & WT_LATE_BLOCK)
		of_late(&links, place, &origin);
	else
		of_chunk(partition, &links, place, &origin);
	return origin;
}
