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

/* Sets the callbacks. */
extern void wt_sealed_set_row_locks(FdwRoutine *routine);

#endif
