/*
 * overlay_store.h
 *		The parts of chunks that say what was changed of them, as rows of the table of chunks: they
 *		are found, locked, read and written.
 *
 * Who changes a chunk, or locks rows of it, first locks the row of its directory, which stays
 * as it is: so only one changes a chunk at a time, and all who lock rows of it wait for each
 * other as their modes have it.
 */
#ifndef WT_OVERLAY_STORE_H
#define WT_OVERLAY_STORE_H

#include "nodes/lockoptions.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "column/arena.h"
#include "column/overlay.h"

typedef struct WtOverlayStore WtOverlayStore;

/*
 * What was changed of a chunk.  What of the four is not has no bits: n_deleted and n_changed
 * and n are then 0, and nothing else is to be looked at.
 */
typedef struct WtChanges
{
	WtDeleted deleted;
	WtDeleted moved;  /* those of the deleted ones that are in the late table now */
	WtNumbers places; /* of those, where they are there: see wt_place_number() */
	WtStatuses statuses;
} WtChanges;

/* The place of a late row as a number, and back. */
extern uint64 wt_place_number(const ItemPointerData *place);
extern void wt_place_of_number(uint64 number, ItemPointer place);

/* Where a row that has moved is; false: it has not moved.  Raises where that is not known. */
extern bool wt_changes_find_moved(const WtChanges *changes, int row, ItemPointer place);

/*
 * Opens a table of chunks for that, with a lock that lasts to the end of the transaction; in
 * the current memory context.
 */
extern WtOverlayStore *wt_overlay_store_open(Oid chunks);
extern void wt_overlay_store_close(WtOverlayStore *store);

typedef enum WtChunkLock
{
	WT_CHUNK_SAME,		/* it is as the snapshot sees it */
	WT_CHUNK_CHANGED,	/* others have changed rows of it since */
	WT_CHUNK_REWRITTEN, /* it is no more: its rows are in others now; nothing is locked */
	WT_CHUNK_BUSY		/* somebody else has locked it, and the policy was to skip it */
} WtChunkLock;

/*
 * Locks a chunk that the snapshot sees, to the end of the (sub)transaction, for a command.
 * Raises by the policy.
 */
extern WtChunkLock wt_overlay_store_lock(WtOverlayStore *store, int32 chunk,
										 Snapshot snapshot, CommandId command,
										 LockTupleMode mode, LockWaitPolicy policy);

/* Locks a chunk that there is now, for who has looked at it as it is, and will change it. */
extern void wt_overlay_store_lock_now(WtOverlayStore *store, int32 chunk,
									  CommandId command);

/*
 * The chunks that a snapshot sees from one number to before another, ascending, in the current
 * memory context.
 */
extern int wt_overlay_store_chunks(WtOverlayStore *store, Snapshot snapshot, int32 from,
								   int32 to, int32 **numbers);

/* Whether rows of a chunk may have moved to the late table that the snapshot has not seen move. */
extern bool wt_overlay_store_has_moved(WtOverlayStore *store, int32 chunk,
									   Snapshot snapshot);

/*
 * A snapshot of now, to which this transaction's commands look as they do to another one, for
 * who must look again.  To be unregistered.
 */
extern Snapshot wt_overlay_store_now(Snapshot snapshot);

/*
 * What was changed of a locked chunk of n_rows rows: as of now, but for what this transaction did
 * in the snapshot's command and later.  In the arena.  Raises where it is damaged.
 */
extern void wt_overlay_store_read(WtOverlayStore *store, int32 chunk, int n_rows,
								  Snapshot snapshot, WtArena *arena, WtChanges *changes);

/* The same with all that this transaction did, whatever the command. */
extern void wt_overlay_store_read_all(WtOverlayStore *store, int32 chunk, int n_rows,
									  WtArena *arena, WtChanges *changes);

/* The rows of a chunk, as its directory has it. */
extern int wt_overlay_store_rows(WtOverlayStore *store, int32 chunk, WtArena *arena);

/*
 * Writes what was changed of a locked chunk, as a command's work; where it has been written by
 * this command already, as that of a new one.
 */
extern void wt_overlay_store_write(WtOverlayStore *store, int32 chunk,
								   const WtChanges *changes, WtArena *arena,
								   CommandId command);

/* Raises: what this command was to change was changed by others since its snapshot. */
extern void wt_overlay_store_conflict(void);

/* An arena that ends with the current memory context. */
extern WtArena *wt_overlay_arena(void);

#endif
