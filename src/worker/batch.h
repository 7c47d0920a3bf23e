/*
 * batch.h
 *		Requests → answers: takes what is complete through all the stages at once.
 */
#ifndef WT_BATCH_H
#define WT_BATCH_H

#include <signal.h>

#include "daemons/daemons.h"
#include "http/listener.h"

/* Who hands over requests, and is told what has become of them. */
typedef struct WtSenders
{
	WtListener *listener;
	WtDaemons *daemons;
} WtSenders;

/*
 * One turn: takes requests that are complete, decodes and enriches their events for a few
 * milliseconds, stores what is decoded in one transaction, and answers those that are
 * done.  false where there was nothing to do.  The answers leave with wt_listener_run,
 * which must follow; what came by no HTTP and is not stored is its daemons' to hand over again.
 *
 * unavailable: NULL, or why nothing can be stored now, which is then the answer.
 * timeout: what storing may take, ms.  *stopping: the worker has been asked to stop, and
 * what it was storing may have been cancelled for that.  Raises nothing but FATAL.
 */
extern bool wt_batch_process(const WtSenders *senders, const char *unavailable,
							 int timeout, const volatile sig_atomic_t *stopping);

/*
 * Lets senders go on, for wt_store_rows while it stores: reads what they send, and writes lines to
 * standard output.  senders: a WtSenders; of one without a listener there are no daemons either.
 */
extern void wt_batch_attend(void *senders);

/* Sees to it that there is a table to store events in, and says so if there is not. */
extern void wt_batch_prepare(int timeout);

/* Says, and in the log once each, why storing events fails, and, with NULL, that it works again. */
extern void wt_batch_report(const char *reason);

/* Whether there is work left for another turn, beside what the listener has. */
extern bool wt_batch_is_pending(void);

/* Answers 503 to all of the listener's that is still being decoded: there is no time for it any more. */
extern void wt_batch_abandon(const WtSenders *senders);

/* Gives back memory that batches keep beyond `keep` bytes. */
extern void wt_batch_shrink(size_t keep);

#endif
