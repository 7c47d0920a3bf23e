/*
 * forward.h
 *		The outbox → one of the tables of windtrap.forward_to.
 */
#ifndef WT_FORWARD_H
#define WT_FORWARD_H

#include "base/shared.h"
#include "base/transact.h"

typedef enum WtForwardResult
{
	WT_FORWARD_NOTHING, /* to be forwarded */
	WT_FORWARD_SOME,	/* was forwarded, and that was all */
	WT_FORWARD_MORE,	/* was forwarded, and there is more */
	WT_FORWARD_AGAIN,	/* nothing was; it is to be tried at once, with smaller loads */
	WT_FORWARD_FAILED,	/* the target does not take events; see *error */
	WT_FORWARD_NO_EXTENSION, /* in this database */
	WT_FORWARD_CANCELLED	 /* the process is to stop */
} WtForwardResult;

/*
 * Forwards what can be forwarded by a statement or some to the target of forwarder `me`, and
 * deletes from the outbox what all targets have got.  Must be called outside of a
 * transaction; a statement takes at most half a minute, and little more where the
 * client library of its foreign server lets itself be interrupted.  Raises nothing but
 * FATAL.  *error, and what else it allocates, is in the current memory context.
 */
extern WtForwardResult wt_forward(WtForwarderStatus *me, const char **error);

/* Who watches the transactions that speak to a target; must be set before. */
extern const WtWatch *wt_forward_watch;

#endif
