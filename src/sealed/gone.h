/*
 * gone.h
 *		Rows of chunks that are there no more: those that were changed or deleted while their
 *		partition was being sealed.
 */
#ifndef WT_GONE_H
#define WT_GONE_H

#include "datatype/timestamp.h"

#include "sealed/chunk_scan.h"
#include "sealed/chunk_store.h"
#include "sealed/row_hash.h"

/* More than so many make sealing give up, for a time when there is less to do. */
#define WT_MAX_GONE 10000

typedef struct WtGone WtGone;

/* In the current memory context. */
extern WtGone *wt_gone_create(void);

/* A row of a chunk is gone. */
extern void wt_gone_mark(WtGone *gone, int32 chunk, int n_rows, int row);

/* A row of this time and hash is, wherever it is.  Raises where they become too many. */
extern void wt_gone_add(WtGone *gone, TimestampTz time, uint64 hash);

/* Whether there are some that are looked for. */
extern bool wt_gone_sought(const WtGone *gone);

/*
 * Looks for those that were added among the rows of chunks, and then of late rows, of which
 * those that are found are deleted.  Equal rows stand for each other.  Raises where one is
 * nowhere.  hash: of rows of the foreign table.
 */
extern void wt_gone_find(WtGone *gone, WtChunkScan *scan, const WtRowHash *hash,
						 Oid late);

/*
 * Deletes those that were added from a table, with the columns of desc by name.  Raises where
 * one is not there.
 */
extern void wt_gone_delete(WtGone *gone, Oid table, TupleDesc desc);

/* Writes the parts that say which rows are gone; once. */
extern void wt_gone_write(const WtGone *gone, WtChunkStore *store);

#endif
