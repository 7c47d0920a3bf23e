/*
 * target.h
 *		Scans of rows that are to be changed: they lock what they find, and see it as it is then.
 *
 * PostgreSQL looks at a row again that another transaction has changed meanwhile, before it
 * changes it; of a foreign table's rows it does not.  So they are locked when they are found, which
 * is before anything is computed from them: a chunk at its first row, late rows each.
 */
#ifndef WT_TARGET_H
#define WT_TARGET_H

#include "nodes/execnodes.h"

#include "sealed/chunk_scan.h"
#include "sealed/late.h"

typedef struct WtTarget WtTarget;

/* For the rows of a scan, in the current memory context.  NULL: they are only read. */
extern WtTarget *wt_target_begin(ForeignScanState *node, Oid chunks);
extern void wt_target_end(WtTarget *target);

/*
 * Locks the chunk that is open, unless it is locked.  True: it was changed since the scan's
 * snapshot; its overlays, and which rows are selected, are now as they are by now, and all
 * conditions are to be looked at again.  Raises where the transaction cannot have that.
 */
extern bool wt_target_lock_chunk(WtTarget *target, WtChunkScan *scan);

/* Raises where a row of the locked chunk has meanwhile moved to the late table. */
extern void wt_target_check_row(const WtTarget *target, int row);

typedef enum WtLocked
{
	WT_LOCKED,		   /* and it is what the snapshot sees */
	WT_LOCKED_CHANGED, /* it was changed, and is now in the slot as it is by now */
	WT_LOCKED_GONE	   /* it was deleted meanwhile */
} WtLocked;

/* Locks the late row that a scan stands on; slot: where it has been put, as by the scan. */
extern WtLocked wt_target_lock_late(WtTarget *target, WtLateScan *late,
									TupleTableSlot *slot);

#endif
