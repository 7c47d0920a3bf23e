/*
 * forward.c
 *		The outbox → one of the targets of windtrap.forward_to: a load at a time, its size fitted
 *		to what the target can take.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "base/url.h"
#include "forward/forward.h"
#include "forward/http_target.h"
#include "forward/load.h"
#include "forward/step.h"
#include "forward/table_target.h"
#include "store/outbox.h"

/* A load that takes longer than this, ms, makes the next one smaller; see adapt. */
#define SLOW_LOAD 5000

/* That all events are refused is taken for the target's failure so many times before it is for
 * the events'. */
#define MAX_REFUSALS 5

/* Where a target has called a load too large, its bytes are halved, and doubled after so many
 * others. */
#define FITTING 100

static int load_limit = WT_LOAD_MAX_EVENTS;	 /* what the target can take in time */
static size_t max_bytes = WT_LOAD_MAX_BYTES; /* what it can take at all */
static int n_fitting;						 /* loads since that was found too much */
static int64 deleted;						 /* batches up to here are */
static int refusals;						 /* of all events, one after the other */

/* Fits the size of loads to what the target does in time. */
static void
adapt(const WtLoad *load, TimestampTz begun)
{
	double ms = (double) (GetCurrentTimestamp() - begun) / 1000;

	if (ms > SLOW_LOAD)
		load_limit = Max(load->n / 2, 1);
	else if (ms < SLOW_LOAD / 4.0 && load->n >= load_limit)
		load_limit = Min(load_limit * 2, WT_LOAD_MAX_EVENTS);
}

/* What was too large once is tried again now and then: its limit may have been raised. */
static void
shrink(const WtLoad *load)
{
	max_bytes = Max(load->bytes / 2, 1);
	n_fitting = 0;
}

static void
grow(void)
{
	if (max_bytes < WT_LOAD_MAX_BYTES && ++n_fitting >= FITTING)
	{
		max_bytes = Min(max_bytes * 2, WT_LOAD_MAX_BYTES);
		n_fitting = 0;
	}
}

static void
report_refused(const WtLoad *load)
{
	for (int i = 0; i < load->n && load->n_dead > 0; i++)
	{
		const WtLoadEvent *event = &load->events[i];

		if (event->result != WT_LOAD_REFUSED)
			continue;
		ereport(LOG, (errmsg("windtrap: %s has refused %d events, which stay in "
							 "windtrap.dead_letter; one of them is %s: %s",
							 load->forwarder->target, load->n_dead,
							 wt_load_event_id(event), event->error),
					  errhint("Use windtrap.redeliver() to send them again.")));
		return;
	}
}

static void
count(const WtLoad *load)
{
	WtForwarderStatus *me = load->forwarder;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < load->n; i++)
		me->delivered += (load->events[i].result == WT_LOAD_ACCEPTED);
	if (!load->letters)
		me->pending -= load->n;
	LWLockRelease(&wt_shared->lock);
}

static bool
is_remote(const WtLoad *load)
{
	const char *target = load->forwarder->target;

	return wt_is_url(target, strlen(target));
}

static WtForwardResult
deliver(WtLoad *load, WtForwardFailure *failure)
{
	TimestampTz begun = GetCurrentTimestamp();

	load->forwarder->wants_wake = false;
	load->refusal_is_believed = (refusals >= MAX_REFUSALS);
	if (is_remote(load) ? wt_http_deliver(load, failure)
						: wt_table_deliver(load, failure))
	{
		adapt(load, begun);
		grow();
		refusals = 0;
		report_refused(load);
		count(load);
		return load->more ? WT_FORWARD_MORE : WT_FORWARD_SOME;
	}
	if (wt_stop_requested)
		return WT_FORWARD_CANCELLED;
	if (failure->too_large && load->n > 1)
	{
		shrink(load);
		return WT_FORWARD_AGAIN;
	}
	if (failure->blame == WT_BLAME_ROW && load->n > 1)
		load_limit = load->n / 2;
	if (failure->sqlstate == ERRCODE_QUERY_CANCELED)
		load_limit = Max(load->n / 4, 1);
	refusals += (load->n_refused >= WT_ALL_REFUSED);
	return failure->blame == WT_BLAME_ROW ? WT_FORWARD_AGAIN : WT_FORWARD_FAILED;
}

static void
read_load(void *arg)
{
	wt_load_read(arg);
}

static void
trim_some(void *arg)
{
	bool *more = arg;

	*more = wt_outbox_trim(&deleted);
}

static void
trim(void)
{
	WtForwardFailure failure;
	bool more = true;

	while (more && !wt_stop_requested)
	{
		if (!wt_forward_step(trim_some, &more, "deleting what is forwarded", &failure))
			return; /* next time */
		wt_outbox_trimmed();
	}
}

/* Reads the next load, where it is not read yet; false, and *failure, where it cannot be. */
static bool
next_load(WtLoad *load, WtForwardFailure *failure)
{
	if (!wt_http_next_load(load))
		return wt_forward_step(read_load, load, "reading the outbox", failure);
	wt_load_begin(load);
	return true;
}

WtForwardResult
wt_forward(WtForwarderStatus *forwarder, WtForwardFailure *failure)
{
	WtLoad load = {.forwarder = forwarder,
				   .context = CurrentMemoryContext,
				   .limit = load_limit,
				   .max_bytes = max_bytes,
				   .part = -1};
	WtForwardResult result = WT_FORWARD_NOTHING;

	memset(failure, 0, sizeof(*failure));
	if (!next_load(&load, failure))
		return wt_stop_requested ? WT_FORWARD_CANCELLED : WT_FORWARD_FAILED;
	if (load.no_extension)
	{
		wt_load_forget_lag();
		deleted = 0;
		return WT_FORWARD_NO_EXTENSION;
	}
	if (load.n > 0)
		result = deliver(&load, failure);
	else
	{
		deleted = 0; /* others may have left something behind */
		if (!(is_remote(&load) ? wt_http_check(&load, failure)
							   : wt_table_check(&load, failure)))
			result = wt_stop_requested ? WT_FORWARD_CANCELLED : WT_FORWARD_FAILED;
	}
	if (result == WT_FORWARD_NOTHING || result == WT_FORWARD_SOME ||
		result == WT_FORWARD_MORE)
		trim();
	return result;
}
