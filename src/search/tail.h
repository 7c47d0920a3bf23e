/*
 * tail.h
 *		The events that have become visible since the last look.
 *
 * A cursor says which transactions had been committed then, not what time it was: so an event is
 * given whenever its transaction commits, and once.  See tail.c; and of tables that Citus has
 * distributed nodes.h.
 */
#ifndef WT_TAIL_H
#define WT_TAIL_H

#include "datatype/timestamp.h"

typedef struct WtTail WtTail;

/* What a look has found beyond its rows. */
typedef struct WtTailLook
{
	int64 n;			/* rows in SPI_tuptable, oldest first */
	const char *cursor; /* for the next look; in the tail's memory, until that */
	int64 skipped;		/* older ones that there was no room for: since <= time < until */
	TimestampTz since;
	TimestampTz until;
	bool others_write; /* so that nothing has been committed here says nothing */
} WtTailLook;

/*
 * query: NULL: all.  after: a cursor; NULL: from the first look on, which finds nothing.
 * output: as in search.h.  In the current memory context, which must last as long as the tail.
 * Raises where the query or the cursor is none.
 */
extern WtTail *wt_tail_open(const text *query, const char *after, const char *output);

/*
 * Looks once, in the current transaction, with a snapshot of its own.  Rows are (event_timestamp,
 * id, output …).  Needs SPI; with the current user's rights.  Raises, also where the log table
 * is of a kind of which that cannot be known (feature_not_supported); the next call looks for
 * the same events then.
 */
extern void wt_tail_look(WtTail *tail, int max_rows, WtTailLook *look);

#endif
