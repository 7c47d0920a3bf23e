/*
 * target.h
 *		Scans of rows that are to be changed: they lock what they find, and see it as it is then.
 *
 * PostgreSQL looks at a row again that another transaction has changed meanwhile, before it
 * changes it; of a foreign table's rows it does not.  So they are locked when they are found, which
 * is before anything is computed from them: a chunk at its first row, late rows each.  But rows that
 * are found and then not changed must not be locked: see modify.c for those statements.
 */
#ifndef WT_TARGET_H
#define WT_TARGET_H

#include "nodes/execnodes.h"

#include "sealed/chunk_scan.h"
#include "sealed/late.h"

typedef struct WtTarget WtTarget;

/*
 * Whether a statement changes all rows of a relation that its scan returns.  Where it does not,
 * since there are conditions that the scan knows nothing of, what changes a row locks it.
 */
extern bool wt_target_is_direct(const PlannedStmt *statement, Index varno);

/*
 * For the rows of a scan, in the current memory context.  NULL: they are only read, or it is not
 * the scan that locks them.
 */
extern WtTarget *wt_target_begin(ForeignScanState *node, Oid chunks);
extern void wt_target_end(WtTarget *target);

typedef enum WtLocked
{
	WT_LOCKED,
	WT_LOCKED_CHANGED,
	WT_LOCKED_GONE
} WtLocked;

/*
 * Locks the chunk that is open, unless it is locked.  Raises where the transaction cannot
 * have that.
 *
 * LOCKED: it is as the scan sees it.  CHANGED: it was changed since the scan's snapshot; its
 * overlays, and which rows are selected, are now as they are by now, and all conditions are
 * to be looked at again.  GONE: it was rewritten; what there is instead is to be looked at,
 * see the next function.
 */
extern WtLocked wt_target_lock_chunk(WtTarget *target, WtChunkScan *scan);

/*
 * Opens the next one of the chunks that were written instead of the one that was gone; false:
 * there are no more, and the scan goes on by its own snapshot.
 */
extern bool wt_target_open_instead(WtTarget *target, WtChunkScan *scan, int direction);

/* The scan begins anew. */
extern void wt_target_rescan(WtTarget *target, WtChunkScan *scan);

/* Whether a row of the locked chunk has meanwhile moved to the late table: to this place. */
extern bool wt_target_has_moved(const WtTarget *target, int row, ItemPointer place);

/*
 * Locks the late row that a scan stands on; slot: where it has been put, as by the scan.
 * CHANGED: it was changed, and is in the slot as it is by now; GONE: it was deleted.
 */
extern WtLocked wt_target_lock_late(WtTarget *target, WtLateScan *late,
									TupleTableSlot *slot);

/* The same for a row that has moved, wherever the scan stands. */
extern WtLocked wt_target_lock_moved(WtTarget *target, WtLateScan *late,
									 const ItemPointerData *place, TupleTableSlot *slot);

#endif
