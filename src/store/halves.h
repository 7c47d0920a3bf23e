/*
 * halves.h
 *		Which rows of a failed attempt are at fault, and storing the others.
 */
#ifndef WT_HALVES_H
#define WT_HALVES_H

#include "store/fault.h"
#include "store/store.h"

typedef struct WtHalves
{
	/* Inserts those of rows that are pending, with SPI of its own; raises. */
	void (*insert)(WtRow *const *rows, int n_rows);
	void (*undone)(void); /* what was inserted has been rolled back */
	const WtStoreCallbacks *callbacks;
	int looks;	/* rows to look at where it may be that none passes, at least 1 */
	int time;	/* ms until what has not been tried is left for another time */
	bool tells; /* insert of a row alone says what is wrong better than the attempt has */
} WtHalves;

/*
 * Inserts rows, of which all are pending and which have just failed together for *failure,
 * in subtransactions of the current transaction.  Marks them with what they will be when
 * that is committed.  Raises where the fault is the table's, or the server's, and nothing
 * has been inserted.
 */
extern void wt_halves_insert(const WtHalves *halves, WtRow *const *rows, int n_rows,
							 const WtFailure *failure);

#endif
