/*
 * store.h
 *		Events → rows of the log table, in one transaction.
 */
#ifndef WT_STORE_H
#define WT_STORE_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

typedef enum WtStoreResult
{
	WT_STORE_PENDING,	  /* not tried yet */
	WT_STORE_COMMITTED,	  /* durable */
	WT_STORE_REFUSED,	  /* the table does not take this event; error says why */
	WT_STORE_UNAVAILABLE, /* nothing is wrong with the event: try again later */
	WT_STORE_CANCELLED	  /* likewise; its transaction was cancelled, and is undone */
} WtStoreResult;

/* One row to be; the caller fills the first part, wt_store_rows the rest. */
typedef struct WtRow
{
	TimestampTz event_timestamp;
	Jsonb *data;
	int32 status;

	WtStoreResult result; /* WT_STORE_PENDING before */
	const char *error;	  /* in the caller's memory context */
} WtRow;

/*
 * Stores the rows of windtrap.table, making it when it is missing, and returns when
 * those marked WT_STORE_COMMITTED are durable.  A row that the table refuses costs its
 * neighbours nothing.  Must be called outside of a transaction; takes at most timeout
 * ms or little more.  Raises nothing but FATAL.
 *
 * What it allocates is in the current memory context, which is the same afterwards.
 */
extern void wt_store_rows(WtRow *rows, int n_rows, int timeout);

/*
 * Why the last wt_store_rows could not store anything; NULL: it could.  Valid until the
 * next call.
 */
extern const char *wt_store_failure(void);

/* Whether a transaction is being run right now; for signal handlers. */
extern volatile bool wt_store_in_progress;

#endif
