/*
 * chunk_scan.h
 *		Reads the chunks of a sealed partition, one after another: opens a chunk under a snapshot,
 *		fetches what columns are asked for, and says which rows there are.
 *
 * Who reads does this:
 *
 *		scan = wt_chunk_scan_create(...)
 *		filters = wt_filters_create(scan, clauses, ...)			filters.h
 *		projection = wt_projection_create(scan, needs)			projection.h
 *		wt_filters_start(filters)
 *		for each of scan->numbers:
 *			if (!wt_chunk_scan_open(scan, number) || !wt_filters_chunk(filters))
 *				continue;
 *			for (row = wt_chunk_scan_next(scan, -1); row >= 0; row = wt_chunk_scan_next(scan, row))
 *				if (wt_filters_row(filters, row))
 *					wt_projection_fill(projection, row, values, nulls);
 *		wt_chunk_scan_destroy(scan)
 *
 * Memory: what is of a chunk is in scan->chunk_context, and in the chunk's arena, which is not
 * PostgreSQL's; both are reset when the next one is opened.  What is of a row is the
 * projection's, until the next row is asked for.
 */
#ifndef WT_CHUNK_SCAN_H
#define WT_CHUNK_SCAN_H

#include "fmgr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "column/chunk_reader.h"
#include "column/overlay.h"
#include "sealed/chunk_table.h"
#include "sealed/origin.h"

typedef struct WtChunkScan
{
	/* Of the scan. */
	Relation foreign;  /* the table that is read, opened by who calls */
	TupleDesc columns; /* by the names under which they are stored: stored_columns.h */
	AttrNumber time_column, data_column,
		status_column; /* of event_timestamp, …; 0: none */
	WtChunkTable *table;
	MemoryContext context;
	int n_numbers;
	int32 *numbers; /* of its chunks, ascending; some may not be visible */

	/* Of the chunk that is open. */
	WtChunk *chunk; /* NULL: none is */
	uint64
		serial; /* counts the chunks that were opened: who keeps something of one looks at it */
	MemoryContext chunk_context;
	MemoryContext arena_context; /* never reset: its end is the arena's */
	WtArena *arena;
	bool has_deleted, has_statuses; /* something was changed since it was sealed */
	WtDeleted deleted;
	WtStatuses statuses;
	WtPart origin_bytes; /* what rows have come by; NULL: nothing is known of any */
	bool has_origins;	 /* it has been read: */
	WtNumbers origins;
	uint8
		*selected;	/* a byte a row: 1 where it is there, and no filter has left it out */
	int n_selected; /* of them; -1: not counted */
	uint8 *checked; /* by column: how far its texts are known to be text */
} WtChunkScan;

/*
 * For the chunks in a table (of sealed/links.h), in the current memory context, which must
 * outlive it; when that context goes, it takes along what is not PostgreSQL's.  Raises.
 */
extern WtChunkScan *wt_chunk_scan_create(Relation foreign, Oid chunks, Snapshot snapshot);

/* Closes the tables, too.  After an ERROR it need not be called. */
extern void wt_chunk_scan_destroy(WtChunkScan *scan);

/*
 * Opens a chunk; the one before is gone.  False: the snapshot sees none of this number, or no
 * row of it is left.  Raises where it is damaged, with the names of table and chunk.
 */
extern bool wt_chunk_scan_open(WtChunkScan *scan, int32 number);

/* Forgets the chunk that is open. */
extern void wt_chunk_scan_close_chunk(WtChunkScan *scan);

/*
 * The place in scan->numbers of the first chunk that may have rows of this time or later;
 * n_numbers: none has.  Looks at a few directories; the open chunk goes.
 */
extern int wt_chunk_scan_seek(WtChunkScan *scan, int64 time);

/*
 * Fetches the parts that a column of the chunk takes, to that extent, and checks that what
 * it calls text is text.  column may be WT_COLUMN_SHAPES.
 */
extern void wt_chunk_scan_want(WtChunkScan *scan, int column, WtWant want);

/* A column's values as integers, of kinds TIME and EXTRA_INT: fetched. */
extern const int64 *wt_chunk_scan_integers(WtChunkScan *scan, int column);

/* The next selected row behind one (-1: the first), or before one; -1: there is none. */
static inline int
wt_chunk_scan_next(const WtChunkScan *scan, int row)
{
	int n = scan->chunk->n_rows;
	const uint8 *next;

	row++;
	if (row >= n)
		return -1;
	if (scan->selected[row])
		return row;
	next = memchr(scan->selected + row, 1, n - row);
	return next ? next - scan->selected : -1;
}
extern int wt_chunk_scan_previous(const WtChunkScan *scan, int row);

/* What a row of the open chunk has come by; it may have been known once, and be of old by now. */
extern WtOrigin wt_chunk_scan_origin(WtChunkScan *scan, int row);

/* Counts the selected rows. */
extern int wt_chunk_scan_count(WtChunkScan *scan);

/* Raises: this chunk is damaged, and how. */
extern void wt_chunk_scan_damaged(const WtChunkScan *scan, const char *how);

/* Raises unless a time of the chunk is one of PostgreSQL's, which an int64 need not be. */
extern void wt_chunk_scan_check_time(const WtChunkScan *scan, int64 time);

/*
 * Reads a value of a column of the table of its text: as the table's owner, where the type is none
 * of PostgreSQL's own.  Beneath such a type may be a domain, whose checks are functions of
 * his, and who reads a table does not expect to call those.
 */
extern Datum wt_input_as_owner(Relation foreign, Oid type, FmgrInfo *function,
							   const char *text, Oid parameter, int32 modifier);

/* The chunk's extra column for a column of the table; -1: it was sealed before there was it. */
extern int wt_chunk_scan_extra(const WtChunkScan *scan, AttrNumber column);

#endif
