/*
 * packer.h
 *		Rows in order of time become chunks of a table.
 */
#ifndef WT_PACKER_H
#define WT_PACKER_H

#include "executor/tuptable.h"

#include "column/format.h"
#include "sealed/chunk_store.h"
#include "sealed/row_hash.h"

/* Rows of a chunk: about so many; at most so many, and so many bytes of values. */
#define WT_PACKER_ROWS 16384
#define WT_PACKER_MAX_ROWS (WT_PACKER_ROWS * 3 / 2)
#define WT_PACKER_BYTES (16 * 1024 * 1024)

/* A document that is larger is not for chunks: it is kept among the late rows. */
#define WT_PACKER_MAX_DOCUMENT (8 * 1024 * 1024)

/*
 * Chunks are numbered in the order of time, with gaps, so that others can come between.  The
 * numbers of a day are shared out among its partitions by the time of day that they begin at,
 * so that the chunks of a day's hours can be put into one table as they are.
 */
#define WT_CHUNKS_OF_DAY 2000000000
#define WT_CHUNK_STEP 1000

typedef struct WtPacker WtPacker;

/*
 * Why a table's columns cannot be kept in chunks, a sentence about the table; NULL: they can.
 */
extern const char *wt_packer_refuses(Relation relation);

/* Takes the number of a chunk that was written and its rows' hashes (row_hash.h), in order. */
typedef void (*WtChunkWritten)(void *arg, int32 chunk, int n_rows, const uint64 *hashes);

/* The number of a partition's first chunk.  Needs a scope with pinned texts. */
extern int32 wt_packer_first(Oid partition);

/* What the chunks are to be like. */
typedef struct WtPacking
{
	int max_rows; /* of each, at most WT_PACKER_MAX_ROWS */
	int32 first;  /* their numbers: from here on, */
	int32 step;	  /* by this, */
	int32 limit;  /* below this */
} WtPacking;

/*
 * Rows with these columns, by the names under which they are stored, become chunks of the store.  hash says how a row is hashed.  All is
 * allocated in a context beneath the current one, which goes with it.
 */
extern WtPacker *wt_packer_create(TupleDesc desc, const WtRowHash *hash,
								  WtChunkStore *store, const WtPacking *packing,
								  WtChunkWritten written, void *arg);

/* Whether a row is not too large. */
extern bool wt_packer_takes(const WtPacker *packer, TupleTableSlot *slot);

/*
 * Adds a row, and clears its slot.  Its time must not be before the last one's.  False: it is
 * too large, nothing is done.
 */
extern bool wt_packer_add(WtPacker *packer, TupleTableSlot *slot);

/* Writes what is left over as a chunk.  Gives the number of chunks that were written. */
extern int wt_packer_finish(WtPacker *packer);

extern void wt_packer_destroy(WtPacker *packer);

#endif
