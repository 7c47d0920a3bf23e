/*
 * store.h
 *		Events → rows of the log table, in one transaction.
 */
#ifndef WT_STORE_H
#define WT_STORE_H

#include "event/row.h"

/*
 * Makes row, which the table refuses for row->error, into its own stand-in, to be stored
 * in quarantine; false: this one is not to be.  Called within the transaction, in the
 * caller's memory context; may raise.
 */
typedef bool (*WtQuarantine)(WtRow *row);

/*
 * Called now and then within a long transaction, so that those who wait for something else
 * are served; must not raise, and must not store anything.
 */
typedef void (*WtBreathe)(void *arg);

/*
 * Called at the end of each transaction that stores rows, or tries to: what it writes is committed
 * with them.  Has SPI not connected; may raise, and then nothing is stored.
 */
typedef void (*WtBeside)(void *arg);

/* What storing asks of its caller; each may be NULL. */
typedef struct WtStoreCallbacks
{
	WtQuarantine quarantine;
	WtBreathe breathe;
	void *arg; /* of breathe and beside */
	WtBeside beside;
} WtStoreCallbacks;

/*
 * Stores those of rows that are WT_STORE_PENDING in windtrap.table, making it when it is
 * missing, and returns when those marked WT_STORE_COMMITTED or WT_STORE_QUARANTINED are
 * durable.  All of them are committed together: after a crash all are there or none.  A
 * row that the table refuses costs its neighbours nothing.  Must be called outside of a
 * transaction; takes at most timeout ms or little more.  Raises nothing but FATAL.
 *
 * What it allocates is in the current memory context, which is the same afterwards.
 */
extern void wt_store_rows(WtRow **rows, int n_rows, const WtStoreCallbacks *callbacks,
						  int timeout);

/*
 * Looks for the table, and makes it when it is missing, before there is anything to
 * store.  As wt_store_rows otherwise.
 */
extern void wt_store_prepare(int timeout);

/*
 * Why the last wt_store_rows could not store anything; NULL: it could.  Valid until the
 * next call.
 */
extern const char *wt_store_failure(void);

#endif
