/*
 * origin.h
 *		What rows have come by: the transaction that has written them.
 *
 * windtrap.tail() tells by it which rows are new, so it stays with a row that goes from one table to
 * another, or into a chunk: by that no event comes once more, and none is missed.
 */
#ifndef WT_ORIGIN_H
#define WT_ORIGIN_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct WtOrigin
{
	TransactionId xmin; /* FrozenTransactionId: it is of old */
	bool updated;		/* it was an UPDATE that has written it */
} WtOrigin;

/* That of a row of a heap, in a slot of that. */
extern WtOrigin wt_origin_of(TupleTableSlot *slot);

/* As a number that is good for longer than 2 billion transactions, and back; 0: of old. */
extern uint64 wt_origin_number(WtOrigin origin);
extern WtOrigin wt_origin_read(uint64 number);

/*
 * Rows of a heap that this transaction has inserted are given their origins, as many of one
 * page as there are places: as if they had always been there.  Their xmin must be given to rows
 * alone that are frozen: nothing else tells then who sees them.
 */
extern void wt_origins_set(Relation heap, const ItemPointerData *places,
						   const WtOrigin *origins, int n);

/* Such a row, frozen or not, is marked as an UPDATE's. */
extern void wt_origin_set_updated(Relation heap, const ItemPointerData *place);

/*
 * Those of a chunk's rows that is being written, in the current memory context.  They are added in
 * order of the rows; to be written when the chunk has been, and then the next chunk's follow.
 */
struct WtChunkStore;
typedef struct WtOriginList WtOriginList;

extern WtOriginList *wt_origin_list_create(void);
extern void wt_origin_list_add(WtOriginList *list, WtOrigin origin);
extern void wt_origin_list_write(WtOriginList *list, struct WtChunkStore *store,
								 int32 chunk, int n_rows);

#endif
