/*
 * row_order.h
 *		The rows of a table in order of time, in bounded memory.
 */
#ifndef WT_ROW_ORDER_H
#define WT_ROW_ORDER_H

#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct WtRowOrder WtRowOrder;

/*
 * Looks at all rows of a table that the snapshot sees, and sorts their places, not
 * themselves: rows come in about the order of time, so that fetching them is cheaper than
 * sorting a partition on disk.  In the current memory context.
 */
extern WtRowOrder *wt_row_order_begin(Relation relation, Snapshot snapshot);

extern int64 wt_row_order_count(const WtRowOrder *order);

/* The next row, in a slot of its own that is good until the next call; NULL: there is none. */
extern TupleTableSlot *wt_row_order_next(WtRowOrder *order);

extern void wt_row_order_end(WtRowOrder *order);

#endif
