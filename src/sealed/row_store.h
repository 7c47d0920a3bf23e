/*
 * row_store.h
 *		Rows are put into an ordinary table, as if they had always been there.
 */
#ifndef WT_ROW_STORE_H
#define WT_ROW_STORE_H

#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "sealed/origin.h"

typedef struct WtRowStore WtRowStore;

/*
 * Opens a table, for rows with the columns of another one, in the current memory context; it
 * is locked until the transaction ends.  Columns are found by name; one that the rows do not have is
 * null, or computed where it is generated.  No trigger fires; indexes are kept, and checks made, as
 * the current user.  frozen: as of wt_chunk_store_open().
 */
extern WtRowStore *wt_row_store_open(Oid table, TupleDesc source, bool frozen);

/* origin: what a row keeps where it is put as a frozen one. */
extern void wt_row_store_put(WtRowStore *store, TupleTableSlot *slot, WtOrigin origin);
extern int64 wt_row_store_count(const WtRowStore *store);
extern void wt_row_store_close(WtRowStore *store);

/*
 * Puts all rows of a table that a snapshot sees into another one, as frozen ones, and gives how
 * many they are.  columns: those of the first table, as they are called in the second.
 */
extern int64 wt_row_store_copy(Oid to, Relation from, TupleDesc columns,
							   Snapshot snapshot);

#endif
