/*
 * chunk_use.h
 *		Who changes rows of a sealed partition's chunks, and who writes chunks anew, keep out of each
 *		other's way.
 *
 * A statement that has found a row, and waits for the chunk that it is in, would not find it again
 * if that were written anew meanwhile.  So chunks are written anew only while nobody changes
 * rows of them, and who comes meanwhile begins when that is done.  Neither minds who reads, nor
 * who inserts.
 */
#ifndef WT_CHUNK_USE_H
#define WT_CHUNK_USE_H

#include "postgres_ext.h"

/*
 * To the end of the transaction its statements may change, or lock, rows of this table's chunks.
 * True: it had to wait, and chunks may be others than a snapshot sees that was taken before.
 */
extern bool wt_chunk_use_begin(Oid chunks);

/*
 * To the end of the transaction nobody else changes rows of them; false: somebody does, also after
 * half a second.  Needs a scope, and a transaction that has written nothing yet.
 */
extern bool wt_chunk_use_exclude(Oid chunks);

#endif
