/*
 * clock.c
 *		Whether the clock is to be believed, before what it makes old is dropped.
 *
 * A clock that is wrong by ten years makes every partition old.  What tells whether it is:
 *
 *	the steady clock	counts on while the machine is up, and nobody sets it: by it the wall
 *						clock's way since the last round is measured
 *	the events			of a wrong time there are none before it began
 *	the checkpoint		the server has worked until then at least
 *
 * Words:
 *	lead		how far the wall clock is ahead of the steady one; it changes when somebody
 *				sets the wall clock, and hardly at all otherwise
 *	grace		windtrap.retention_grace
 *
 * The rule.  The clock is believed
 *
 *	1. while its lead is the one with which it was believed before, give or take TOLERANCE;
 *	   also if it has gone back, since by an earlier time less is old;
 *	2. where it was never believed, that is, since the server's start: if there is an event
 *	   of the day before the last grace, and the server's last checkpoint is not older than
 *	   that day;
 *	3. if it has kept its lead since the doubt began, and there is an event since then that
 *	   is older than grace;
 *	4. if somebody says so, by windtrap.upkeep(force => true).
 *
 * Else it is in doubt, and nothing that holds rows is dropped or deleted; also not for size, since by a wrong
 * time today's partition is an old one.  Partitions are made in any case: events need them.
 *
 * What is known is in shared memory, so the upkeep's process may come and go.  A restart of
 * the server forgets it, and then rule 2 asks the table, which remembers: after a jump there
 * is a gap in front of the first event of the new time, and no event older than grace behind
 * it, unless rule 3 would hold as well.  So a restart confirms nothing that has not been.
 * What slips through is a jump of less than a day that a restart hides: it makes less than a
 * day's events more go.  A server that was off for long, or whose log is quiet, is in doubt
 * for nothing, until events have come for so long; that costs some space, and no event.
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "catalog/pg_control.h"
#include "catalog/pg_type.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/shared.h"
#include "store/log_table.h"
#include "upkeep/clock.h"
#include "store/scope.h"

/*
 * What the lead may change by between two rounds without being a jump, us: time servers
 * step a clock by less, unless it was wrong.
 */
#define TOLERANCE (5 * USECS_PER_MINUTE)

/* One that counts on while the machine sleeps, where there is one. */
#ifdef CLOCK_BOOTTIME
#define STEADY_CLOCK CLOCK_BOOTTIME
#else
#define STEADY_CLOCK CLOCK_MONOTONIC
#endif

static bool confirm_at_commit = false;

static int64
lead_of(TimestampTz now)
{
	struct timespec steady;

	clock_gettime(STEADY_CLOCK, &steady);
	return now - ((int64) steady.tv_sec * USECS_PER_SEC + steady.tv_nsec / 1000);
}

static bool
has_event(const WtSpans *table, TimestampTz from, TimestampTz to)
{
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(from), TimestampTzGetDatum(to)};

	if (from > to)
		return false;
	wt_scope_run(
		psprintf("SELECT EXISTS (SELECT 1 FROM %s "
				 "WHERE event_timestamp >= $1 AND event_timestamp <= $2)::int::bigint",
				 wt_log_table_quote(table->name)),
		2, types, values);
	return wt_scope_int64(0, 1) != 0;
}

static TimestampTz
last_checkpoint(void)
{
	ControlFileData *control;
	bool crc_ok;
	TimestampTz time;

	LWLockAcquire(ControlFileLock, LW_SHARED);
	control = get_controlfile(DataDir, &crc_ok);
	LWLockRelease(ControlFileLock);
	time = crc_ok ? time_t_to_timestamptz(control->checkPointCopy.time) : 0;
	pfree(control);
	return time;
}

/* Rule 2. */
static bool
is_vouched_for(const WtSpans *table, TimestampTz now)
{
	TimestampTz to = now - wt_retention_grace * USECS_PER_SEC;
	TimestampTz from = to - USECS_PER_DAY;

	return last_checkpoint() >= from && has_event(table, from, to);
}

static void
believe(WtClock *clock, int64 lead)
{
	memset(clock, 0, sizeof(*clock));
	clock->has_believed = true;
	clock->believed = lead;
}

bool
wt_clock_look(WtClock *clock, const WtSpans *table, TimestampTz now)
{
	int64 lead = lead_of(now);

	if (clock->has_believed && lead <= clock->believed + TOLERANCE)
		believe(clock, lead);
	else if (clock->doubted_since != 0 && lead >= clock->doubted - TOLERANCE &&
			 lead <= clock->doubted + TOLERANCE)
	{
		clock->doubted = lead;
		if (has_event(table, clock->doubted_since,
					  now - wt_retention_grace * USECS_PER_SEC) ||
			(!clock->jumped && is_vouched_for(table, now)))
			believe(clock, lead);
	}
	else if (!clock->has_believed && is_vouched_for(table, now))
		believe(clock, lead);
	else
	{
		clock->jumped = clock->has_believed || clock->doubted_since != 0;
		clock->doubted_since = now;
		clock->doubted = lead;
	}
	return clock->doubted_since == 0;
}

WtClock
wt_clock_get(void)
{
	WtClock clock;

	wt_shared_attach();
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	clock = wt_shared->clock;
	LWLockRelease(&wt_shared->lock);
	return clock;
}

void
wt_clock_set(const WtClock *clock)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->clock = *clock;
	LWLockRelease(&wt_shared->lock);
}

static void
confirm(XactEvent event, void *arg)
{
	if (confirm_at_commit && event == XACT_EVENT_COMMIT)
	{
		WtClock clock;

		believe(&clock, lead_of(GetCurrentTimestamp()));
		wt_clock_set(&clock);
		wt_wake(wt_shared->upkeep.pid);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		confirm_at_commit = false;
}

void
wt_clock_confirm(void)
{
	static bool registered = false;

	wt_shared_attach();
	if (!registered)
		RegisterXactCallback(confirm, NULL);
	registered = true;
	confirm_at_commit = true;
}

const char *
wt_clock_doubt(const WtClock *clock)
{
	if (!clock->jumped)
		return "nothing is dropped, because no events have come in long enough to "
			   "confirm "
			   "the time that the clock shows since the server's start";
	if (!clock->has_believed)
		return "nothing is dropped, because the clock has been set";
	return psprintf(
		"nothing is dropped, because the clock has jumped ahead by " INT64_FORMAT
		" minutes",
		(clock->doubted - clock->believed) / USECS_PER_MINUTE);
}

const char *
wt_clock_remedy(void)
{
	return "It is dropped when events have come in by this clock for "
		   "windtrap.retention_grace, or by windtrap.upkeep(force => true).";
}
