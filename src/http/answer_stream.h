/*
 * answer_stream.h
 *		Answers that are sent as they come into being: a search that goes on, events that
 *		are still to come.
 *
 * A request that wt_listener_next gave is answered by these instead of wt_listener_answer.  It
 * stays the caller's until he has ended it, even where its client has gone long before.
 *
 *		wt_answer_stream_begin(listener, request, &answer);
 *		while (there is more and not wt_client_has_left(request))
 *			wt_answer_stream_append(request, bytes, length), wt_listener_run(listener);
 *		wt_answer_stream_end(request), or wt_answer_stream_abort(request)
 *
 * Nothing leaves but in wt_listener_run: after begin, append, end and abort wt_listener_timeout
 * is 0 until it has been called.  A client that does not read on for windtrap.request_timeout
 * is cut off; while nothing is there to be sent, a stream may rest as long as it likes.
 *
 * Plain C, raises nothing, and does not block.
 */
#ifndef WT_ANSWER_STREAM_H
#define WT_ANSWER_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "http/answer.h"
#include "http/listener.h"
#include "http/request.h"

/*
 * Begins an answer with its status, type and headers; its body is the first that is appended.
 * Of the request only path, query, ip, source and body hold from now on.  What follows is
 * compressed where the client takes that, and is chunked but for HTTP/1.0, where the end of the
 * connection is its end.  To HEAD nothing follows: its client counts as having left.
 *
 * False: out of memory; the request has been answered (503), and is no longer the caller's.
 */
extern bool wt_answer_stream_begin(WtListener *listener, WtRequest *request,
								   const WtAnswer *answer);

/*
 * Adds bytes, which are copied.  False: out of memory; then, and where the client has gone,
 * they are forgotten, and so is all that would follow: what remains is to abort it.
 */
extern bool wt_answer_stream_append(WtRequest *request, const char *bytes, size_t length);

/* Bytes that wait to be sent, beside those that the kernel has. */
extern size_t wt_answer_stream_backlog(const WtRequest *request);

/* All has been appended.  The request is no longer the caller's; what waits is still sent. */
extern void wt_answer_stream_end(WtRequest *request);

/*
 * It ends here, unfinished: the connection is cut off, so that nobody takes it for whole.  What
 * waits is forgotten.  The request is no longer the caller's.
 */
extern void wt_answer_stream_abort(WtRequest *request);

/*
 * Whether a request's client has closed its connection, or the half of it by which it sends,
 * or has been cut off; of any request that is the caller's, whether its answer has begun or not.
 * Costs one poll().  Async-signal-safe: may be called in a signal handler, to cancel a query.
 * The listener's descriptor gets readable when the client of a stream leaves.
 */
extern bool wt_client_has_left(const WtRequest *request);

/*
 * Whether the client of such a request may still read what is stored: its token may have been
 * revoked since, or have expired; or the door was open to it, and is no longer; or tokens cannot
 * be read at the moment.  False: *status and *sentence say which.
 */
extern bool wt_client_may_still(const WtListener *listener, const WtRequest *request,
								int *status, const char **sentence);

#endif
