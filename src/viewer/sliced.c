/*
 * sliced.c
 *		Searches of which a step does one slice, within the time that a request may take.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/settings.h"
#include "viewer/database.h"
#include "viewer/sliced.h"

/* What a request may spend in slices, µs. */
#define BUDGET (2 * USECS_PER_SEC)

/*
 * A slice that takes longer than this, ms, is given up: meanwhile nobody else is served.  Where
 * a part of it takes as long too, as when the index knows nothing of the last events, or this process
 * gets no CPU, parts may take twice as long, up to all of the time that a query may take.
 */
#define FIRST_TIMEOUT 1000

WtSlicedEnd
wt_sliced_step(WtViewerJob *job, WtSliced *sliced, void (*what)(WtViewerJob *job),
			   bool (*gave_up)(WtViewerJob *job))
{
	TimestampTz begun = GetCurrentTimestamp();
	TimestampTz ended;
	WtEnd end;
	bool is_shorter;

	if (wt_job_is_late(job))
	{
		if (sliced->done)
			return WT_SLICED_DONE;
		wt_job_fail(job, 503,
					"the viewer has too much to do at the moment: try again later", 0);
		return WT_SLICED_FAILED;
	}
	if (sliced->trying == 0)
		sliced->trying = begun;
	if (sliced->timeout == 0)
		sliced->timeout = FIRST_TIMEOUT;
	end =
		wt_viewer_run(job, what, WT_OWNER_READS, Min(sliced->timeout, wt_viewer_timeout));
	ended = GetCurrentTimestamp();
	if (end == WT_END_FAILED)
		return WT_SLICED_FAILED;
	sliced->spent += Max(ended - begun, 0);
	if (end == WT_END_DONE)
	{
		sliced->trying = 0;
		sliced->done = true;
		if (ended - begun < FIRST_TIMEOUT * 1000L)
			sliced->timeout = FIRST_TIMEOUT;
		return WT_SLICED_DONE;
	}
	is_shorter = gave_up(job);
	if (ended >= TimestampTzPlusMilliseconds(sliced->trying, wt_viewer_timeout) ||
		(!is_shorter && sliced->timeout >= wt_viewer_timeout))
	{
		wt_viewer_took_too_long(job);
		return WT_SLICED_FAILED;
	}
	sliced->timeout = Min(sliced->timeout * 2, wt_viewer_timeout);
	return WT_SLICED_AGAIN;
}

bool
wt_sliced_time_is_up(const WtViewerJob *job, const WtSliced *sliced)
{
	return sliced->spent >= BUDGET || wt_job_is_late(job);
}
