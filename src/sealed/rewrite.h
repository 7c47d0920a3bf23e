/*
 * rewrite.h
 *		Chunks of a sealed partition are written anew: without the rows that were deleted, and with
 *		the late ones.
 */
#ifndef WT_REWRITE_H
#define WT_REWRITE_H

#include "postgres_ext.h"

typedef struct WtRewritten
{
	int chunks;		/* that were written anew */
	int64 erased;	/* deleted rows that were in them */
	int64 taken_in; /* late rows that are in chunks now */
	int64 left;		/* late rows that are not for chunks */
	int busy;		/* chunks that need it, or may, and that somebody else is changing */
	bool more;		/* there are further chunks that need it */
} WtRewritten;

/*
 * Writes at most so many chunks anew, of those that need it, as the partition's owner.  take_in:
 * late rows become rows of chunks.  Nothing is done while somebody else changes rows of the
 * partition, or locks them.  Who reads is not disturbed, who inserts neither; who comes to change
 * rows waits for the end of the transaction.  Needs a scope; raises.
 */
extern void wt_rewrite(Oid partition, bool take_in, int max_chunks, WtRewritten *result);

#endif
