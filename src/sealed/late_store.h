/*
 * late_store.h
 *		Writes the late rows of a sealed partition.  (late.h reads them.)
 */
#ifndef WT_LATE_STORE_H
#define WT_LATE_STORE_H

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct WtLateStore WtLateStore;

/* Opens it, in the current memory context, with a lock to the end of the transaction. */
extern WtLateStore *wt_late_store_open(Relation foreign, Oid late);
extern void wt_late_store_close(WtLateStore *store);

/* Puts rows of the partition, as a command's work; updated: they are new versions of others. */
extern void wt_late_store_insert(WtLateStore *store, TupleTableSlot **slots, int n,
								 bool updated, CommandId command);

/* Where the last of them is. */
extern const ItemPointerData *wt_late_store_place(const WtLateStore *store);

/*
 * Changes a late row to be this row of the partition, deletes one; both were locked.  place:
 * in the late table.  False: the command has changed it already.  Raises where something
 * that it called has.
 */
extern bool wt_late_store_update(WtLateStore *store, ItemPointer place,
								 TupleTableSlot *slot, CommandId command);
extern bool wt_late_store_delete(WtLateStore *store, ItemPointer place,
								 CommandId command);

#endif
