/*
 * position.h
 *		Where windtrap.tail() has got to in this server's transactions, and which rows are new by that.
 */
#ifndef WT_POSITION_H
#define WT_POSITION_H

#include "storage/itemptr.h"

#include "search/cursor.h"

/*
 * Takes the position of now, and pushes the snapshot that it is of, which the caller pops.
 * `from`: the one before, or NULL; its time is put right where the clock has been set back since.
 * Gives the transaction id that comes next.  Needs SPI; raises, also where `from` is of another
 * server or too old.
 */
extern uint64 wt_position_take(WtCursor *to, WtCursor *from);

/*
 * Whether a row has become visible between two positions.  What an UPDATE has written has not,
 * if the event is so old that it had been seen at `from`.  next: a transaction id that none of
 * the rows has yet.  Raises.
 */
extern bool wt_position_is_new(const WtCursor *from, const WtCursor *to, uint64 next,
							   TransactionId xmin, Oid relation, ItemPointer tid,
							   TimestampTz event_timestamp);

/* What is older than this, and has been changed since, had been seen at the position. */
extern TimestampTz wt_position_seen_before(const WtCursor *position);

#endif
