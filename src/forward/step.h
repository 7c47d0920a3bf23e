/*
 * step.h
 *		The transactions of a forwarder, and why one has failed.
 */
#ifndef WT_STEP_H
#define WT_STEP_H

#include "base/transact.h"
#include "store/fault.h"

/* Why a target does not take events; the message is in the memory context of the attempt. */
typedef struct WtForwardFailure
{
	WtBlame blame;
	int sqlstate;
	const char *message;
	int retry_after; /* s, where the target has named a time; 0: it has not */
	bool too_large;	 /* the load is, for this target */
} WtForwardFailure;

/* Who watches the transactions that speak to a target; must be set before. */
extern const WtWatch *wt_forward_watch;

/* Says what an error is. */
extern void wt_forward_note(WtForwardFailure *failure, const ErrorData *error);

/*
 * Runs what(arg) in a transaction with SPI connected; false, and *failure, where it failed.
 * What is allocated by it stays in the current memory context.  Raises nothing but FATAL.
 */
extern bool wt_forward_step(void (*what)(void *arg), void *arg, const char *activity,
							WtForwardFailure *failure);

#endif
