/*
 * streaming.c
 *		Bodies that are not collected whole: see streaming.h.
 *
 * A piece goes to the worker like a request that is complete, while its connection is
 * suspended.  What the worker cannot use, the beginning of an event, stays, and the next piece
 * goes on from there.  MHD has more of the body at hand whenever a piece is taken: so the
 * worker knows that it is not the last one.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/connection.h"
#include "http/endpoint.h"
#include "http/holding.h"
#include "http/streaming.h"

/* A piece, bytes. */
#define PIECE (1024 * 1024)

/* After so long, ms, less than that is a piece too: who sends slowly is not kept waiting. */
#define PIECE_AGE 1000

/* What a request keeps of its memory between two pieces, bytes. */
#define KEPT_BODY (16 * 1024)

bool
wt_streaming_begin(Request *r)
{
	const WtRequest *public = &r->public;

	/* What is compressed is so as a whole. */
	r->streams = public->endpoint && public->endpoint->streams &&
				 public->route == WT_ROUTE_EVENTS &&
				 (!public->content_encoding ||
				  strcasecmp(public->content_encoding, "identity") == 0);
	return r->streams;
}

/*
 * How large a piece may become.  One of which little could be used is twice as large the next
 * time, so that all of it is looked at only so often.
 */
static size_t
piece_limit(const Request *r)
{
	size_t most = r->connection->listener->settings.max_body_size;
	size_t limit = r->rest * 2 > PIECE ? r->rest * 2 : PIECE;

	return limit < most ? limit : most;
}

bool
wt_streaming_has_grown(const Request *r)
{
	return r->public.body_length > r->rest;
}

bool
wt_streaming_is_due(const Request *r, size_t length)
{
	size_t have = r->public.body_length;

	if (!wt_streaming_has_grown(r))
		return false;
	return have + length > piece_limit(r) ||
		   (have >= r->rest * 2 &&
			r->piece_begun + PIECE_AGE <= r->connection->listener->now);
}

size_t
wt_streaming_take(Request *r, size_t length)
{
	size_t limit = piece_limit(r);
	size_t have = r->public.body_length;

	if (!wt_streaming_has_grown(r))
		r->piece_begun = r->connection->listener->now;
	if (have >= limit)
		return length;
	return length < limit - have ? length : limit - have;
}

bool
wt_streaming_may_wait(Request *r)
{
	const WtListener *listener = r->connection->listener;

	if (!r->streams || r->public.progress.n_pieces == 0 ||
		r->begun + listener->settings.request_timeout <= listener->now)
		return false;
	r->held_since = 0;
	return true;
}

void
wt_streaming_continue(Request *r, size_t used)
{
	WtListener *listener = r->connection->listener;
	size_t rest = r->public.body_length - used;
	char *smaller;

	if (rest > 0 && used > 0)
		memmove(r->body, r->body + used, rest);
	r->public.body_length = rest;
	r->rest = rest;
	wt_holding_give_back(listener, used);
	if (r->body_size > KEPT_BODY && rest <= KEPT_BODY &&
		(smaller = realloc(r->body, KEPT_BODY)) != NULL)
	{
		r->body = smaller;
		r->body_size = KEPT_BODY;
	}
	/* There is a limit of time for each event, and for each time that it is held. */
	r->held_since = 0;
	if (used > 0)
		r->begun = listener->now;
	wt_connection_set_phase_since(r->connection, PHASE_RECEIVING, r->begun);
}
