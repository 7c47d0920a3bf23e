/*
 * head.h
 *		The head of a request: what it says, and whether it is well-formed.
 */
#ifndef WT_HEAD_H
#define WT_HEAD_H

#include "http/listener_state.h"

/* Reads the headers, and whether the body is chunked; false: out of memory. */
extern bool wt_head_read(Request *r);

/*
 * Whether the head leaves enough of MHD's memory for that of an answer.  Where it does not,
 * MHD closes the connection without one, when the event has been stored already.
 */
extern bool wt_head_leaves_room(const Request *r);

/* NULL, or what is wrong with the framing of the request, whose method is set. */
extern const char *wt_head_check(const Request *r, const char *version);

/* Blanks behind a header's value are not part of it: cuts them off. */
extern void wt_head_trim(Request *r);

/* Splits the target into host, if it names one, path and query.  False: it is malformed. */
extern bool wt_head_split_target(Request *r);

#endif
