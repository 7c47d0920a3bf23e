/*
 * forward.h
 *		The outbox → one of the targets of windtrap.forward_to.
 */
#ifndef WT_FORWARD_H
#define WT_FORWARD_H

#include "base/shared.h"
#include "forward/step.h"

typedef enum WtForwardResult
{
	WT_FORWARD_NOTHING, /* to be forwarded */
	WT_FORWARD_SOME,	/* was forwarded, and that was all */
	WT_FORWARD_MORE,	/* was forwarded, and there is more */
	WT_FORWARD_AGAIN,	/* nothing was; it is to be tried at once, with smaller loads */
	WT_FORWARD_FAILED,	/* the target does not take events; see *failure */
	WT_FORWARD_NO_EXTENSION, /* in this database */
	WT_FORWARD_CANCELLED	 /* the process is to stop */
} WtForwardResult;

/*
 * Forwards what can be forwarded by a statement, or a request, or some to the target of
 * forwarder `me`, and deletes from the outbox what all targets have got.  Must be called
 * outside of a transaction; each takes at most half a minute, and little more where the
 * client library of a foreign server lets itself be interrupted.  Raises nothing but FATAL.
 * What it allocates is in the current memory context, as is what *failure says; memory that
 * it needs from one call to the next is its own.
 */
extern WtForwardResult wt_forward(WtForwarderStatus *me, WtForwardFailure *failure);

#endif
