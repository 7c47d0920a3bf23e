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

/* That the system had no memory for an event is shown for so long, ms. */
#define SHORTAGE_TIME 5000

static const char overload[] = "too many events are waiting to be stored, try again";

/*
 * Whether bodies fill the memory up to a limit, bytes, so that requests are held; now: ms.
 * Where nobody is favoured the next one will be, so there is room for him.
 */
static bool
is_crowded(const WtListener *listener, size_t limit, int64_t now)
{
	return listener->inflight >= limit && listener->favoured &&
		   listener->favoured_at + FAVOUR_TIMEOUT > now;
}

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
	if (is_crowded(listener, limit, listener->now))
		return false;
	listener->favoured = r;
	listener->favoured_at = listener->now;
	return true;
}

enum MHD_Result
wt_holding_refuse(Request *r, size_t length)
{
	if (r->public.body_length == 0 && length == 0)
		return wt_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_OVERLOAD, overload,
						 true);
	wt_refuse_in_body(r, 503, "Service Unavailable", WT_REASON_OVERLOAD, overload);
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
wt_holding_give_back(WtListener *listener, size_t length)
{
	listener->inflight -= length;
}

void
wt_holding_leave(WtListener *listener, const Request *r)
{
	listener->inflight -= r->public.body_length;
	wt_holding_complete(listener, r);
}

void
wt_holding_note(WtListener *listener, const Request *r)
{
	if (r->public.route != WT_ROUTE_EVENTS)
		return;
	if (r->reason == WT_REASON_OVERLOAD || r->reason == WT_REASON_MEMORY)
	{
		listener->shortage = r->reason;
		listener->shortage_at = listener->now;
	}
	else if (r->status >= 200 && r->status < 300)
		listener->shortage = WT_REASON_NONE;
}

const char *
wt_holding_shortage(const WtListener *listener)
{
	int64_t now = wt_monotonic_ms();

	switch (listener->shortage)
	{
		case WT_REASON_OVERLOAD:
			return is_crowded(listener, listener->settings.max_inflight, now) ? overload
																			  : NULL;
		case WT_REASON_MEMORY:
			return now - listener->shortage_at < SHORTAGE_TIME ? "out of memory" : NULL;
		default:
			return NULL;
	}
}
