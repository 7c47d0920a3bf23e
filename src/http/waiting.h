/*
 * waiting.h
 *		How long senders have waited for their answers.
 */
#ifndef WT_WAITING_H
#define WT_WAITING_H

#include "http/listener_state.h"

/* At the beginning of a run: what time it is. */
extern void wt_waiting_run(WtListener *listener);

/* A request is complete: since when, ms of the monotonic clock, its sender waits. */
extern int64_t wt_waiting_since(const Request *r);

#endif
