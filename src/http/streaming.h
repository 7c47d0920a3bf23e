/*
 * streaming.h
 *		Bodies that are not collected whole: a piece at a time goes to the worker.
 */
#ifndef WT_STREAMING_H
#define WT_STREAMING_H

#include "http/listener_state.h"

/* The head is complete: whether its body comes in pieces. */
extern bool wt_streaming_begin(Request *r);

/* Whether what has come is a piece, before so many bytes more are taken. */
extern bool wt_streaming_is_due(const Request *r, size_t length);

/* Whether more has come than what the worker could not use. */
extern bool wt_streaming_has_grown(const Request *r);

/* So many bytes more may be taken of so many; all of them: what is too much is refused. */
extern size_t wt_streaming_take(Request *r, size_t length);

/*
 * Whether one that has been held for as long as others may be is to be held again: what was
 * stored of it is not to have been in vain.
 */
extern bool wt_streaming_may_wait(Request *r);

/* The worker is done with so many bytes of a piece; its connection is resumed after that. */
extern void wt_streaming_continue(Request *r, size_t used);

#endif
