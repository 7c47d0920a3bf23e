/*
 * connection.h
 *		Phases of a connection, and its ends: see listener_state.h for the words.
 */
#ifndef WT_CONNECTION_H
#define WT_CONNECTION_H

#include "http/listener_state.h"

/* Puts a connection into a phase that began at `since`, ms, which is not later than now. */
extern void wt_connection_set_phase_since(Connection *c, Phase phase, int64_t since);

/* The same, from now on. */
extern void wt_connection_set_phase(Connection *c, Phase phase);

/* How long a phase may last, ms. */
extern int64_t wt_connection_phase_limit(const WtListener *listener, Phase phase);

/*
 * Takes a connection that waits for bytes before its first request out of MHD's hands, and
 * gives it back.
 */
extern void wt_connection_park(Connection *c);
extern void wt_connection_unpark(Connection *c);

/*
 * Ends a connection from outside of MHD, which sees it end and closes it; where an answer is
 * streamed, by a reset.
 */
extern void wt_connection_doom(Connection *c);

/*
 * Resets a connection: of an answer that is not chunked its end would be taken for the answer's.
 * What the client has not been sent is lost; MHD closes what is left of it.
 */
extern void wt_connection_reset(const Connection *c);

/* Who has come by TLS, as far as a certificate says it; asked once for a connection. */
extern WtTlsPeer wt_connection_certificate(Connection *c);

/* One from the time before TLS was switched on (or off), which has it (or has it not). */
extern bool wt_connection_is_outdated(const Connection *c);

#endif
