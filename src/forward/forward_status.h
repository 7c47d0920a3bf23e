/*
 * forward_status.h
 *		What a forwarder reports of itself, and how others read it.
 */
#ifndef WT_FORWARD_STATUS_H
#define WT_FORWARD_STATUS_H

#include "base/shared.h"

/* This process is the forwarder in this place from now until it ends; gives the place. */
extern WtForwarderStatus *wt_forwarder_begin(int number);

/* Reports how this one does; error: why it fails, NULL where it does not. */
extern void wt_forwarder_set_state(WtForwardState state, const char *error);

/*
 * Reports the lag: so many events pending when `written` had been written, the first of them
 * at the time `oldest`.
 */
extern void wt_forwarder_set_lag(int64 pending, uint64 written, TimestampTz oldest);

/* How all of them do: gives copies of those there are, how many, and their lags now. */
extern int wt_forwarders_read(WtForwarderStatus *copies, int64 *events, double *seconds);

/* How a forwarder that lives does, in words. */
extern const char *wt_forward_state_name(WtForwardState state);

#endif
