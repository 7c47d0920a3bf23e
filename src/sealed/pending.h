/*
 * pending.h
 *		What commands that run are changing of chunks.
 *
 * A command's changes to a chunk are collected, and written when it ends: once, and not once a
 * row.  What other commands read meanwhile that this transaction runs (functions and triggers
 * that the command calls) has them from here: they are as visible to them as rows of a heap.
 */
#ifndef WT_PENDING_H
#define WT_PENDING_H

#include "utils/snapshot.h"

#include "sealed/chunk_scan.h"

typedef struct WtPending WtPending;

/*
 * The changes of a command to a table of chunks; all who carry it out share them.  To be ended
 * by each.
 */
extern WtPending *wt_pending_begin(Oid chunks, CommandId command);

/* The last one writes them. */
extern void wt_pending_end(WtPending *pending);

/*
 * Deletes a row; moved: it lives on in the late table.  False: the command has changed it
 * already.  Raises where something that the command called has done so, and where the chunk
 * is no more.
 */
extern bool wt_pending_delete(WtPending *pending, int32 chunk, int row, bool moved);

/* Where a row that has been deleted as moved is in the late table. */
extern void wt_pending_moved(WtPending *pending, int32 chunk, int row,
							 const ItemPointerData *place);

/* Sets a row's status; as above. */
extern bool wt_pending_set_status(WtPending *pending, int32 chunk, int row, int64 value,
								  bool null);

/*
 * Adds to the overlays of the chunk that a scan has just opened what commands before the one
 * that the scan's snapshot is of are changing of it.
 */
extern void wt_pending_apply(WtChunkScan *scan);

/* Whether anything is pending, which other processes would not see. */
extern bool wt_pending_any(void);

/*
 * Before a statement runs that reads chunks: if anything is pending it goes without other
 * processes, also where its plan was made when nothing was.
 */
struct EState;
extern void wt_pending_keep_serial(struct EState *estate);

#endif
