/*
 * batch.h
 *		Requests → answers: takes what is complete through all the stages at once.
 */
#ifndef WT_BATCH_H
#define WT_BATCH_H

#include <signal.h>

#include "http/listener.h"

/*
 * One turn: takes requests that are complete, decodes and enriches their events for a few
 * milliseconds, stores what is decoded in one transaction, and answers those that are
 * done.  false where there was nothing to do.  The answers leave with wt_listener_run,
 * which must follow.
 *
 * unavailable: NULL, or why nothing can be stored now, which is then the answer.
 * timeout: what storing may take, ms.  *stopping: the worker has been asked to stop, and
 * what it was storing may have been cancelled for that.  Raises nothing but FATAL.
 */
extern bool wt_batch_process(WtListener *listener, const char *unavailable, int timeout,
							 const volatile sig_atomic_t *stopping);

/* Sees to it that there is a table to store events in, and says so if there is not. */
extern void wt_batch_prepare(int timeout);

/* Whether there is work left for another turn, beside what the listener has. */
extern bool wt_batch_is_pending(void);

/* Answers 503 to all that is still being decoded: there is no time for it any more. */
extern void wt_batch_abandon(WtListener *listener);

/* Gives back memory that batches keep beyond `keep` bytes. */
extern void wt_batch_shrink(size_t keep);

#endif
