/*
 * holding.c
 *		Memory of bodies: see holding.h.
 */
#include "http/connection.h"
#include "http/holding.h"
#include "http/response.h"

/* One that is given room before others must go on receiving: within so long, ms. */
#define FAVOUR_TIMEOUT 1000

/* Bodies up to here find room when larger ones do not, bytes. */
#define MODEST_BODY (64 * 1024)

/*
 * One request at a time always has room: else all could wait for each other, each with half
 * of its body received.
 */
bool
wt_holding_has_room(WtListener *listener, Request *r)
{
	size_t limit = listener->settings.max_inflight;

	if (r->announced <= MODEST_BODY && !r->chunked)
		limit += limit / 2;
	if (listener->inflight < limit || listener->favoured == r)
		return true;
	if (listener->favoured && listener->favoured_at + FAVOUR_TIMEOUT > listener->now)
		return false;
	listener->favoured = r;
	listener->favoured_at = listener->now;
	return true;
}

enum MHD_Result
wt_holding_refuse(Request *r, size_t length)
{
	static const char sentence[] = "too many events are waiting to be stored, try again";

	if (r->public.body_length == 0 && length == 0)
		return wt_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_OVERLOAD, sentence,
						 true);
	wt_refuse_in_body(r, 503, "Service Unavailable", WT_REASON_OVERLOAD, sentence);
	return MHD_NO;
}

enum MHD_Result
wt_holding_hold(Request *r, size_t length)
{
	if (r->connection->listener->closing)
		return wt_holding_refuse(r, length);
	/* All that it is held counts, however often. */
	if (r->held_since == 0)
		r->held_since = r->connection->listener->now;
	r->held = true;
	wt_connection_set_phase_since(r->connection, PHASE_HELD, r->held_since);
	MHD_suspend_connection(r->connection->mhd);
	return MHD_YES;
}

void
wt_holding_release(WtListener *listener, bool all)
{
	int64_t limit = wt_connection_phase_limit(listener, PHASE_HELD);
	Connection *c;

	while ((c = listener->phases[PHASE_HELD].first) != NULL)
	{
		c->request->held_too_long = all || c->since + limit <= listener->now;
		if (!c->request->held_too_long && !wt_holding_has_room(listener, c->request))
			break;
		wt_connection_set_phase_since(c, PHASE_RECEIVING, c->request->begun);
		MHD_resume_connection(c->mhd);
	}
}

void
wt_holding_count(Request *r, size_t length)
{
	WtListener *listener = r->connection->listener;

	listener->inflight += length;
	if (listener->favoured == r)
		listener->favoured_at = listener->now;
}

void
wt_holding_complete(WtListener *listener, const Request *r)
{
	if (listener->favoured == r)
		listener->favoured = NULL;
}

void
wt_holding_leave(WtListener *listener, const Request *r)
{
	listener->inflight -= r->public.body_length;
	wt_holding_complete(listener, r);
}
