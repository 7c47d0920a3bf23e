/*
 * cursor.h
 *		Which transactions had been committed at some moment, as a text that can be kept.
 *
 * A snapshot of PostgreSQL's, with transaction ids that never come again (64 bits), and with each
 * subtransaction by itself: whose it was is not known any more when it is asked for.
 */
#ifndef WT_CURSOR_H
#define WT_CURSOR_H

#include "datatype/timestamp.h"
#include "utils/snapshot.h"

/* Running transactions are noted as ranges of their ids. */
#define WT_CURSOR_RANGES 300

/* No cursor's text is longer, with its NUL. */
#define WT_CURSOR_SIZE (WT_CURSOR_RANGES * 36 + 80)

typedef struct WtCursor
{
	/*
	 * A transaction was committed, or has come to nothing, where its id is below xmax and in
	 * none of the ranges.  What is in from xmax on counts as running.
	 */
	uint64 xmax;
	int n_ranges;
	struct
	{
		uint64 first;
		uint64 last;
	} ranges[WT_CURSOR_RANGES]; /* rising */

	TimestampTz time;  /* the moment, or some time before it */
	TimestampTz floor; /* when the oldest transaction began that was running then */
	int margin;		   /* s; for windtrap.tail() */
} WtCursor;

/*
 * What a snapshot sees as committed, but for what the current transaction has done; sets xmax
 * and ranges.  `before` is an earlier cursor of the same server's, or NULL: it spares looking
 * at ids once more.  Where there are more ranges than there is room for xmax lies lower.
 */
extern void wt_cursor_take(WtCursor *cursor, Snapshot snapshot, const WtCursor *before);

/* Whether a transaction was running, or had not begun. */
extern bool wt_cursor_is_unseen(const WtCursor *cursor, uint64 xid);

/* The id of a transaction that has left a row, of the 32 bits of it that the row has. */
extern uint64 wt_cursor_widen(TransactionId xid, uint64 next);

/* Letters, digits, points and hyphens; out has WT_CURSOR_SIZE bytes. */
extern void wt_cursor_write(const WtCursor *cursor, char *out);

/* False: the text is no cursor. */
extern bool wt_cursor_read(const char *text, WtCursor *cursor);

#endif
