/*
 * row_locks.h
 *		SELECT … FOR UPDATE and the like: rows of sealed partitions are locked.
 *
 * A late row is locked as any.  With a row of a chunk all rows of that chunk are locked: who skips
 * what others have locked skips the whole chunk.
 */
#ifndef WT_ROW_LOCKS_H
#define WT_ROW_LOCKS_H

#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"

#include "sealed/links.h"

typedef struct WtRowLocks WtRowLocks;

/*
 * For a scan whose rows may be locked, or asked for again; NULL: they will not.  In the current
 * memory context.
 */
extern WtRowLocks *wt_row_locks_begin(ForeignScanState *node, const WtLinks *links);
extern void wt_row_locks_end(WtRowLocks *locks);

/*
 * For rows that are to be changed, which a scan has found without locking them: as long as the
 * command runs.  In the current memory context.
 */
extern WtRowLocks *wt_row_locks_create(Relation foreign, const WtLinks *links,
									   Snapshot snapshot, CommandId command);

/*
 * Locks such a row, by its place as the scan had it, in a slot of the table's columns.  Empty: it
 * is no more.  updated: it was changed since the snapshot, place and slot are those of what it
 * is now; else what is in the slot is nobody's business.  Raises where the transaction cannot have
 * that.
 */
extern void wt_row_locks_fetch(WtRowLocks *locks, ItemPointer place, TupleTableSlot *slot,
							   bool *updated);

/* Sets the callbacks. */
extern void wt_sealed_set_row_locks(FdwRoutine *routine);

#endif
