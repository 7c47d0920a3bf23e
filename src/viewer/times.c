/*
 * times.c
 *		Times in requests and in answers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/transact.h"
#include "viewer/times.h"

typedef struct Reading
{
	const char *text;
	TimestampTz now;
	TimestampTz time;
} Reading;

static Datum
input(PGFunction function, const char *text)
{
	return DirectFunctionCall3(function, CStringGetDatum(text),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static void
read_time(void *arg)
{
	Reading *reading = arg;

	reading->time = DatumGetTimestampTz(input(timestamptz_in, reading->text));
}

static void
read_interval(void *arg)
{
	Reading *reading = arg;

	reading->time = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(reading->now),
							input(interval_in, reading->text)));
}

TimestampTz
wt_viewer_time(const WtViewerJob *job, const char *name, TimestampTz otherwise)
{
	Reading reading = {.text = wt_job_parameter(job, name), .now = job->now};

	if (!reading.text)
		return otherwise;
	/* What is no time, as 15m, is an interval; a year can be taken for one, too. */
	if (wt_attempt(read_time, &reading) && wt_attempt(read_interval, &reading))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
			 errmsg("%s is a time, as 2026-11-26T12:00:00Z, or how long ago, as 15m or "
					"2 hours, not \"%s\"",
					name, reading.text)));
	return reading.time;
}

void
wt_viewer_span(const WtViewerJob *job, TimestampTz *since, TimestampTz *until)
{
	*since = wt_viewer_time(job, "since", job->now - USECS_PER_DAY);
	*until = wt_viewer_time(job, "until", job->now);
}

void
wt_viewer_write_bare_time(WtBuffer *out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (TIMESTAMP_IS_NOBEGIN(time))
		wt_buffer_text(out, "-infinity");
	else if (TIMESTAMP_NOT_FINITE(time) ||
			 timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		wt_buffer_text(out, "infinity");
	else if (tm.tm_year <= 0)
		/* As PostgreSQL writes it: ISO 8601 has no BC. */
		wt_buffer_print(out, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00 BC", 1 - tm.tm_year,
						tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fsec);
	else
		wt_buffer_print(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year, tm.tm_mon,
						tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fsec);
}

void
wt_viewer_write_time(WtBuffer *out, TimestampTz time)
{
	wt_buffer_text(out, "\"");
	wt_viewer_write_bare_time(out, time);
	wt_buffer_text(out, "\"");
}

void
wt_viewer_write_progress(WtBuffer *out, TimestampTz searched_to)
{
	wt_buffer_text(out, "{\"progress\":{\"searched_to\":");
	wt_viewer_write_time(out, searched_to);
	wt_buffer_text(out, "}}\n");
}
