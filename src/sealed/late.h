/*
 * late.h
 *		Rows that came when their partition was sealed, or whose document was changed since: they
 *		are in an ordinary table beside the chunks.
 */
#ifndef WT_LATE_H
#define WT_LATE_H

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct WtLateScan WtLateScan;

/* Marks a row's tid as that of a late row: set in its block number. */
#define WT_LATE_BLOCK ((BlockNumber) 0x80000000)

/*
 * Opens the table, in the current memory context.  needed: columns of the partition, the others are
 * NULL; NULL: all.  direction: 0 in any order, 1 by time, -1 by time from the last.  Only times
 * from first to last.
 */
extern WtLateScan *wt_late_scan_begin(Relation foreign, Oid late, Snapshot snapshot,
									  const Bitmapset *needed, int direction, int64 first,
									  int64 last);
extern void wt_late_scan_end(WtLateScan *scan);

/*
 * The next row in a slot of the foreign table's columns, with its tid; false: there is none.
 * Valid until the next call.
 */
extern bool wt_late_scan_next(WtLateScan *scan, TupleTableSlot *slot);

/* Makes that row anew from what is in the slot that is the next function's. */
extern void wt_late_scan_convert(WtLateScan *scan, TupleTableSlot *slot);

/* The late table. */
extern Relation wt_late_scan_relation(const WtLateScan *scan);

/* The same row as it lies in the late table, with that table's tid. */
extern TupleTableSlot *wt_late_scan_row(const WtLateScan *scan);

#endif
