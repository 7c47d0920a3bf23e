/*
 * admission.h
 *		Connections, from the sockets that listen to their first request: who is let in, whose
 *		they are, how TLS begins.
 */
#ifndef WT_ADMISSION_H
#define WT_ADMISSION_H

#include "http/listener_state.h"

/* Whether those who knock wake the listener. */
extern void wt_admission_poll(WtListener *listener, bool on);

/*
 * What is done in a run before MHD: looks at all that has happened beside it, lets in who can
 * be, and makes room for others.
 */
extern void wt_admission_run(WtListener *listener);

/* What is done after it. */
extern void wt_admission_settle(WtListener *listener);

/* Lets in those who knock, as far as there is room, at any time but within a run of MHD. */
extern void wt_admission_accept(WtListener *listener);

/* When it is to be run even if nothing happens, ms of the monotonic clock; INT64_MAX: never. */
extern int64_t wt_admission_next(const WtListener *listener);

#endif
