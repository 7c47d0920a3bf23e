/*
 * chunk_store.h
 *		A table of chunks is made, and written.  (chunk_table.h reads it.)
 */
#ifndef WT_CHUNK_STORE_H
#define WT_CHUNK_STORE_H

#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct WtChunkStore WtChunkStore;

/*
 * Makes an empty table of chunks of this name, as the current user.  Needs a scope; raises
 * as CREATE TABLE does.
 */
extern Oid wt_chunk_store_create(Oid schema, const char *name, Oid tablespace);

/*
 * Opens it for writing, in the current memory context, with a lock that lasts to the end of
 * the transaction.
 *
 * frozen: what is written is there for all, whenever their snapshots were taken.  It is for
 * tables that this transaction has made, in place of others that had the same rows: who has
 * an older snapshot would find the new table empty.
 */
extern WtChunkStore *wt_chunk_store_open(Oid table, bool frozen);
extern void wt_chunk_store_close(WtChunkStore *store);

/* Adds a part. */
extern void wt_chunk_store_put(WtChunkStore *store, int32 chunk, int32 part,
							   const char *bytes, size_t length);

/*
 * Makes a part the row of a slot of the table, which is open; its body is allocated in the current
 * memory context.
 */
extern void wt_chunk_store_fill(TupleTableSlot *slot, Relation table, int32 chunk,
								int32 part, const char *bytes, size_t length);

/*
 * Locks a chunk that a snapshot sees, until the transaction ends: nobody else changes it then.
 * False: it has been changed since, or written anew, or somebody else has it locked.  Does not wait:
 * who locks one chunk after the other, and waits, can wait for somebody who waits for him.
 */
extern bool wt_chunk_store_lock(WtChunkStore *store, int32 chunk, Snapshot snapshot);

/* Deletes all parts of a chunk that the snapshot sees; it is locked. */
extern void wt_chunk_store_delete(WtChunkStore *store, int32 chunk, Snapshot snapshot);

/* Deletes one part, that a latest snapshot sees; a missing one is an error. */
extern void wt_chunk_store_delete_part(WtChunkStore *store, int32 chunk, int32 part);

#endif
