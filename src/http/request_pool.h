/*
 * request_pool.h
 *		The memory of requests, which is used again.
 */
#ifndef WT_REQUEST_POOL_H
#define WT_REQUEST_POOL_H

#include "http/listener_state.h"

/* A request of which nothing is known; NULL: out of memory. */
extern Request *wt_request_new(WtListener *listener);

/* Takes one that is over; keeps it for the next one where it is not large. */
extern void wt_request_recycle(WtListener *listener, Request *r);

/* Frees those that are kept. */
extern void wt_request_free_all(WtListener *listener);

#endif
