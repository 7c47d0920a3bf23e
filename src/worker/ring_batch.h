/*
 * ring_batch.h
 *		The ring → rows: stores what the server's own processes have put there.
 */
#ifndef WT_RING_BATCH_H
#define WT_RING_BATCH_H

#include "worker/batch.h"

/*
 * This process stores what comes, from now until it ends.  Where there is no memory for the ring, which
 * is said in the log, none can be emitted.
 */
extern void wt_ring_batch_begin(void);

/*
 * Stores what is in the ring, or as much as one transaction should have; false: there was nothing to
 * store, or not now.  What cannot be stored stays there and is tried again.  unavailable, timeout as
 * for wt_batch_process; senders, who go on meanwhile, as for
 * wt_batch_attend.  Raises nothing but FATAL.
 */
extern bool wt_ring_batch_process(const WtSenders *senders, const char *unavailable,
								  int timeout);

/* When there is something to store, ms from now; -1: not before the latch is set. */
extern long wt_ring_batch_timeout(void);

/* Stores what is left, in so many ms at most: the worker stops. */
extern void wt_ring_batch_finish(const WtSenders *senders, const char *unavailable,
								 int ms);

#endif
