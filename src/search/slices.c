/*
 * slices.c
 *		The time that is searched, read backwards in slices that take no long.
 *
 * How long a slice takes is not known beforehand: it depends on how many events there are in
 * it, and what is asked of each.  The first is learnt from the planner, whose statistics know
 * nothing of what has come since the last ANALYZE; the second from the slices before.  So
 * slices begin small, and grow as long as they are quick.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "nodes/plannodes.h"
#include "utils/builtins.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"

#include "search/rows.h"
#include "search/slices.h"

/* A slice is at least so long to begin with, µs, and the first is as long where nothing is known. */
#define MIN_SLICE (USECS_PER_SEC / 100)

/* Over how long a time, before the end of what is asked for, the rate is taken. */
#define RATE_SPAN USECS_PER_DAY

/* Past this the rest of the time is one slice: there can hardly be any events. */
#define MAX_SLICE (USECS_PER_DAY * 36525)

/* What a slice takes, µs: it is to be followed by one twice, half as long, a quarter. */
#define QUICK 100000
#define SLOW 250000
#define VERY_SLOW 750000

/*
 * What takes less says nothing of how long events take: hardly any have been read, and the next
 * slice is four times as long.
 */
#define MEASURABLE 5000

/* How many events, by the planner's estimate, a slice may hold while that is not known. */
#define FIRST_ROWS 20000.0

/* By what the planner says a slice is not made shorter than so: it may be wrong. */
#define MOST_SHRINKING 8

/* A constant that reads the same whatever DateStyle and TimeZone are. */
static const char *
time_literal(TimestampTz time)
{
	return quote_literal_cstr(timestamptz_to_str(time));
}

/* How many events there are between two times, by the planner's estimate, for all conditions. */
static double
estimate(TimestampTz from, TimestampTz to)
{
	SPIPlanPtr plan;
	CachedPlan *cached;
	double rows = 0;
	int nest_level = wt_search_enter();
	/* Not in one call: timestamptz_to_str() has one buffer, which quoting copies. */
	const char *from_literal = time_literal(from);
	const char *command =
		psprintf("SELECT 1 FROM windtrap.events WHERE event_timestamp >= %s "
				 "AND event_timestamp < %s",
				 from_literal, time_literal(to));

	plan = SPI_prepare(command, 0, NULL);
	if (!plan)
		elog(ERROR, "could not prepare \"%s\": %s", command,
			 SPI_result_code_string(SPI_result));
	cached = SPI_plan_get_cached_plan(plan);
	if (cached)
	{
		rows = linitial_node(PlannedStmt, cached->stmt_list)->planTree->plan_rows;
		ReleaseCachedPlan(cached, NULL);
	}
	SPI_freeplan(plan);
	wt_search_leave(nest_level);
	return rows;
}

static int64
first_width(TimestampTz until, double events)
{
	TimestampTz from = until - RATE_SPAN;
	double width;

	if (!IS_VALID_TIMESTAMP(from))
		return RATE_SPAN;
	width = (double) RATE_SPAN * events / Max(estimate(from, until), 1.0);
	return (int64) Min(Max(width, (double) MIN_SLICE), (double) RATE_SPAN);
}

/* How long the slice is, µs. */
static int64
length_of(const WtSlices *slices)
{
	if (slices->slice.to - MAX_SLICE < slices->slice.from)
		return slices->slice.to - slices->slice.from;
	return Max(slices->width, MAX_SLICE);
}

void
wt_slices_begin(WtSlices *slices, TimestampTz since, TimestampTz until, double events)
{
	memset(slices, 0, sizeof(*slices));
	slices->since = since;
	slices->now = GetCurrentTransactionStartTimestamp();
	slices->events = events;
	slices->rows_in_time = FIRST_ROWS;
	slices->progress.searched_to = until;
	slices->progress.over = since >= until;
}

WtSlice
wt_slices_next(WtSlices *slices)
{
	WtSlice *slice = &slices->slice;

	slice->to = slices->progress.searched_to;
	slice->from = slices->since;
	slices->estimated = 0;
	if (slice->to > slices->now)
		slice->from = Max(slices->since, slices->now);
	else
	{
		bool is_first = slices->width == 0;

		if (is_first)
			slices->width = first_width(slice->to, slices->events);
		/* Overflow is out of the question: PostgreSQL's time begins far from int64's end. */
		if (slices->width < MAX_SLICE && slice->to - slices->width > slice->from)
			slice->from = slice->to - slices->width;
		if (!is_first && slice->to - MAX_SLICE < slice->from)
		{
			int64 shortest = (slice->to - slice->from) / MOST_SHRINKING;

			/* Its events may be at its end: what is left is looked at again. */
			for (int i = 0; i < 3; i++)
			{
				int64 length = slice->to - slice->from;

				slices->estimated = estimate(slice->from, slice->to);
				if (length <= shortest || slices->estimated <= slices->rows_in_time)
					break;
				length =
					(int64) ((double) length * slices->rows_in_time / slices->estimated);
				slice->from = slice->to - Max(Max(length, shortest), 1);
			}
		}
	}
	slices->begun = GetCurrentTimestamp();
	return *slice;
}

WtSlice
wt_slices_cut(WtSlices *slices, TimestampTz from)
{
	WtSlice *slice = &slices->slice;

	Assert(from >= slice->from && from < slice->to);
	if (slices->estimated > 0)
		slices->estimated *=
			(double) (slice->to - from) / (double) (slice->to - slice->from);
	slice->from = from;
	return *slice;
}

void
wt_slices_done(WtSlices *slices, bool enough)
{
	int64 took = GetCurrentTimestamp() - slices->begun;

	slices->progress.searched_to = slices->slice.from;
	if (enough || slices->slice.from <= slices->since)
		slices->progress.over = true;
	if (slices->slice.to > slices->now)
		return;
	slices->width = length_of(slices);
	if (took < MEASURABLE)
		slices->width *= 4;
	else if (took < QUICK)
		slices->width *= 2;
	else if (took > VERY_SLOW)
		slices->width /= 4;
	else if (took > SLOW)
		slices->width /= 2;
	slices->width = Max(slices->width, 1);
	if (slices->estimated == 0)
		return;
	/* Where the planner has known less than there was, it is soon forgotten. */
	if (took >= MEASURABLE)
		slices->rows_in_time =
			Max(slices->estimated * SLOW / (double) took, slices->rows_in_time / 2);
	else
		slices->rows_in_time = Max(slices->estimated * 2, slices->rows_in_time);
}

bool
wt_slices_gave_up(WtSlices *slices)
{
	if (slices->slice.to > slices->now)
	{
		if (TIMESTAMP_IS_NOEND(slices->slice.to))
			return false;
		slices->now = slices->slice.to;
	}
	if (slices->slice.to - slices->slice.from == 1)
		return false;
	slices->width = Max(length_of(slices) / 4, 1);
	return true;
}
