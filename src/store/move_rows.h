/*
 * move_rows.h
 *		Rows of one table → another, as if nothing happened to them.
 */
#ifndef WT_MOVE_ROWS_H
#define WT_MOVE_ROWS_H

#include "datatype/timestamp.h"

/*
 * Moves the rows with an event_timestamp from `from` to before `to` out of one table into
 * another, which has the same columns, perhaps in another order.  No trigger fires, no
 * reference is followed and no policy looked at; what checks and indexes compute is
 * computed, as the current user, who must be allowed to read and to delete what is moved, if
 * anything is, and to own where it goes.
 *
 * A row that is being changed meanwhile is left where it is: who wants all of them keeps
 * others from changing any.  The caller has locked both tables.  Gives the number of rows
 * moved; raises.
 */
extern int64 wt_move_rows(Oid source, Oid target, TimestampTz from, TimestampTz to);

#endif
