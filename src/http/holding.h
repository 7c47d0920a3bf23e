/*
 * holding.h
 *		Memory of bodies, which max_inflight of the listener's settings bounds: who has room, and
 *		who is held until there is.
 */
#ifndef WT_HOLDING_H
#define WT_HOLDING_H

#include "http/listener_state.h"

/* Whether there is memory for more of a request's body. */
extern bool wt_holding_has_room(WtListener *listener, Request *r);

/*
 * Holds a request until there is.  MHD then calls wt_on_request again with what it has called
 * it with now: a piece of the body, or, length being 0, only the head.  Gives what the
 * callback gives, as does the next one.
 */
extern enum MHD_Result wt_holding_hold(Request *r, size_t length);

/* Refuses one for which there is none; length: of the piece of body at hand. */
extern enum MHD_Result wt_holding_refuse(Request *r, size_t length);

/* Lets go of those that are held: of all for which there is room or time is up, or of all. */
extern void wt_holding_release(WtListener *listener, bool all);

/*
 * So many bytes more of a request's body are in memory; none more are to come, for now; so many
 * are not in memory any more; it is over.
 */
extern void wt_holding_count(Request *r, size_t length);
extern void wt_holding_complete(WtListener *listener, const Request *r);
extern void wt_holding_give_back(WtListener *listener, size_t length);
extern void wt_holding_leave(WtListener *listener, const Request *r);

/* Notes, when a request is over, whether there was memory for its events. */
extern void wt_holding_note(WtListener *listener, const Request *r);

/* As wt_listener_shortage. */
extern const char *wt_holding_shortage(const WtListener *listener);

#endif
