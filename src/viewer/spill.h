/*
 * spill.h
 *		What has been written and cannot be sent yet, in a temporary file.
 *
 * It outlives the transaction that writes it.  What of it is on disk counts for temp_file_limit.
 */
#ifndef WT_SPILL_H
#define WT_SPILL_H

#include "utils/palloc.h"

#include "base/buffer.h"

typedef struct WtSpill
{
	int file; /* 0: there is none */
	size_t written;
	size_t taken; /* of these, from the beginning */
	MemoryContextCallback on_end;
} WtSpill;

/* Is empty, and ends with the context. */
extern void wt_spill_begin(WtSpill *spill, MemoryContext context);

/* Moves all of a buffer behind what there is.  In a transaction; raises. */
extern void wt_spill_write(WtSpill *spill, WtBuffer *from);

/* Bytes that have been written and not been taken. */
extern size_t wt_spill_size(const WtSpill *spill);

/* Moves the first bytes of it, so many at most, behind what a buffer has.  Raises. */
extern void wt_spill_take(WtSpill *spill, WtBuffer *to, size_t most);

/* Forgets all that there is. */
extern void wt_spill_clear(WtSpill *spill);

#endif
