/*
 * forward_status.c
 *		What a forwarder reports of itself, and the view of it.
 *
 * The lag is told while a forwarder hangs in a statement, too: what it had not got when it
 * looked last, and what has been written since.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "base/datum.h"
#include "forward/forward_status.h"

PG_FUNCTION_INFO_V1(windtrap_forwarder_status);

static WtForwarderStatus *me;

static void
end_forwarder(int code, Datum arg)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (me->pid == MyProcPid)
		me->pid = 0;
	me->wants_wake = false;
	LWLockRelease(&wt_shared->lock);
}

WtForwarderStatus *
wt_forwarder_begin(int number)
{
	me = &wt_shared->forwarders[number];
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	me->pid = MyProcPid;
	me->state = WT_FORWARD_STARTING;
	me->since = GetCurrentTimestamp();
	me->error[0] = '\0';
	me->wants_wake = false;
	LWLockRelease(&wt_shared->lock);
	before_shmem_exit(end_forwarder, 0);
	return me;
}

void
wt_forwarder_set_state(WtForwardState state, const char *error)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (me->state != state)
	{
		me->state = state;
		me->since = GetCurrentTimestamp();
	}
	strlcpy(me->error, error ? error : "", sizeof(me->error));
	LWLockRelease(&wt_shared->lock);
}

void
wt_forwarder_set_lag(int64 pending, uint64 written, TimestampTz oldest)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	me->pending = pending;
	me->written = written;
	me->oldest = oldest;
	LWLockRelease(&wt_shared->lock);
}

int
wt_forwarders_read(WtForwarderStatus *copies, int64 *events, double *seconds)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64 written;
	int n = 0;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < WT_MAX_TARGETS; i++)
	{
		const WtStartStatus *start = &wt_shared->starts[WT_PLACE_FORWARDERS + i];

		if (wt_shared->forwarders[i].target[0] == '\0')
			continue;
		copies[n] = wt_shared->forwarders[i];
		/* Why there is no process. */
		if (copies[n].pid == 0 && start->error[0] != '\0')
			strlcpy(copies[n].error, start->error, sizeof(copies[n].error));
		n++;
	}
	LWLockRelease(&wt_shared->lock);
	written = pg_atomic_read_u64(&wt_shared->outbox.events_written);
	for (int i = 0; i < n; i++)
	{
		events[i] = copies[i].pending + (int64) (written - copies[i].written);
		events[i] = Max(events[i], 0);
		seconds[i] = 0;
		if (events[i] > 0 && copies[i].oldest != 0)
			seconds[i] = Max(0, (double) (now - copies[i].oldest) / USECS_PER_SEC);
	}
	return n;
}

const char *
wt_forward_state_name(WtForwardState state)
{
	switch (state)
	{
		case WT_FORWARD_STARTING:
			return "starting";
		case WT_FORWARD_WAITING:
			return "waiting for the extension";
		case WT_FORWARD_WORKING:
			return "working";
		case WT_FORWARD_FAILING:
			break;
	}
	return "failing";
}

/* The rows of the view windtrap.forwarding. */
Datum
windtrap_forwarder_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WtForwarderStatus forwarders[WT_MAX_TARGETS];
	int64 lag[WT_MAX_TARGETS];
	double seconds[WT_MAX_TARGETS];
	int n_forwarders;

	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	n_forwarders = wt_forwarders_read(forwarders, lag, seconds);
	for (int i = 0; i < n_forwarders; i++)
	{
		const WtForwarderStatus *f = &forwarders[i];
		Datum values[9];
		bool nulls[9] = {false};
		int n = 0;

		values[n++] = CStringGetTextDatum(f->target);
		nulls[n] = (f->pid == 0);
		values[n++] = Int32GetDatum(f->pid);
		values[n++] = CStringGetTextDatum(f->pid == 0 ? "stopped"
													  : wt_forward_state_name(f->state));
		values[n++] = TimestampTzGetDatum(f->since);
		values[n] = wt_text_or_null(f->error, &nulls[n]);
		n++;
		values[n++] = Int64GetDatum(lag[i]);
		values[n++] = Float8GetDatum(seconds[i]);
		values[n++] = Int64GetDatum((int64) f->delivered);
		values[n++] = Int64GetDatum((int64) f->dead);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
