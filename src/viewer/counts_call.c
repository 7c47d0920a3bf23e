/*
 * counts_call.c
 *		/api/histogram and /api/top: how many events there are, over time and by values.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "search/counts.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/sliced.h"
#include "viewer/times.h"

#define DEFAULT_BUCKETS 60
#define MAX_BUCKETS 1000
#define DEFAULT_VALUES 10
#define MAX_VALUES 100

typedef struct Counting
{
	WtTimeHistogram *histogram;
	WtTop *top;
	WtCountFor what;
	WtSliced sliced;
	int n; /* buckets, or values */
	int64 total;
	bool has_header;
} Counting;

/* What is counted; the field is that of the parameter of this name, or `otherwise`. */
static void
read_what(WtViewerJob *job, const char *field, const char *otherwise)
{
	Counting *counting = job->state;
	WtCountFor *what = &counting->what;
	const char *name = wt_job_parameter(job, field);

	what->query = wt_job_query(job);
	wt_viewer_span(job, &what->since, &what->until);
	if (!name && !wt_job_has(job, field))
		name = otherwise;
	what->field = name ? cstring_to_text(name) : NULL;
}

static Counting *
new_counting(WtViewerJob *job)
{
	job->state = MemoryContextAllocZero(job->context, sizeof(Counting));
	return job->state;
}

static void
write_value(WtBuffer *out, const WtCount *count)
{
	wt_buffer_string(out, count->is_others ? "(others)" : count->value);
}

/*
 * Over time
 */

static void
begin_histogram(WtViewerJob *job)
{
	Counting *counting = job->state;
	MemoryContext before = MemoryContextSwitchTo(job->context);

	wt_viewer_reads_parameters(true);
	read_what(job, "by", "severity");
	counting->histogram = wt_histogram_open(&counting->what, counting->n);
	wt_viewer_reads_parameters(false);
	MemoryContextSwitchTo(before);
}

/* The first line, once. */
static void
write_header(WtBuffer *out, Counting *counting)
{
	if (counting->has_header)
		return;
	counting->has_header = true;
	wt_buffer_text(out, "{\"histogram\":{\"since\":");
	wt_viewer_write_time(out, counting->what.since);
	wt_buffer_text(out, ",\"until\":");
	wt_viewer_write_time(out, counting->what.until);
	wt_buffer_print(out, ",\"buckets\":%d,\"width_ms\":%.3f}}\n", counting->n,
					(double) wt_histogram_width(counting->histogram) / 1000);
}

static void
histogram_slice(WtViewerJob *job)
{
	Counting *counting = job->state;
	WtBuffer *out = &job->out;
	const WtCount *counts;
	int n;

	if (!counting->histogram)
		begin_histogram(job);
	n = wt_histogram_slice(counting->histogram, &counts);
	wt_viewer_is_in_time();
	write_header(out, counting);
	if (n == 0)
		return;
	wt_buffer_text(out, "{\"counts\":[");
	for (int i = 0; i < n; i++)
	{
		wt_buffer_print(out, "%s[%d,", i > 0 ? "," : "", counts[i].bucket);
		write_value(out, &counts[i]);
		wt_buffer_print(out, "," INT64_FORMAT "]", counts[i].count);
		counting->total += counts[i].count;
	}
	wt_buffer_text(out, "]}\n");
}

static bool
histogram_gave_up(WtViewerJob *job)
{
	const Counting *counting = job->state;

	return counting->histogram && wt_histogram_gave_up(counting->histogram);
}

static void
end_histogram(WtViewerJob *job)
{
	const Counting *counting = job->state;
	const WtSearched *progress = wt_histogram_progress(counting->histogram);
	TimestampTz final_to = wt_histogram_final_to(counting->histogram);
	WtBuffer *out = &job->out;

	wt_buffer_print(out, "{\"end\":{\"complete\":%s,\"searched_to\":",
					progress->over ? "true" : "false");
	wt_viewer_write_time(out, final_to);
	wt_buffer_print(out,
					",\"total\":" INT64_FORMAT ",\"ms\":%ld,\"next\":", counting->total,
					wt_job_age(job));
	if (progress->over)
		wt_buffer_text(out, "null");
	else
	{
		/* The same buckets, as far as they are not final. */
		wt_buffer_text(out, "{\"until\":");
		wt_viewer_write_time(out, final_to);
		wt_buffer_print(out, ",\"buckets\":" INT64_FORMAT "}",
						(final_to - counting->what.since) /
							wt_histogram_width(counting->histogram));
	}
	wt_buffer_text(out, "}}\n");
	wt_job_end_stream(job);
}

void
wt_step_histogram(WtViewerJob *job)
{
	Counting *counting = job->state;
	const WtSearched *progress;
	TimestampTz final_to;

	if (!counting)
	{
		counting = new_counting(job);
		job->type = "application/x-ndjson";
		if (!wt_job_number(job, "buckets", 1, MAX_BUCKETS, DEFAULT_BUCKETS, &counting->n))
			return;
	}
	if (wt_sliced_step(job, &counting->sliced, histogram_slice, histogram_gave_up) !=
		WT_SLICED_DONE)
		return;
	progress = wt_histogram_progress(counting->histogram);
	final_to = wt_histogram_final_to(counting->histogram);
	if (progress->over ||
		(wt_sliced_time_is_up(job, &counting->sliced) && final_to < counting->what.until))
	{
		end_histogram(job);
		return;
	}
	/* Who asked again would come no further. */
	if (wt_job_is_late(job) && final_to >= counting->what.until)
	{
		wt_viewer_took_too_long(job);
		return;
	}
	wt_viewer_write_progress(&job->out, progress->searched_to);
	(void) wt_job_send(job);
}

/*
 * By the values of a field
 */

static void
begin_top(WtViewerJob *job)
{
	Counting *counting = job->state;
	MemoryContext before = MemoryContextSwitchTo(job->context);

	wt_viewer_reads_parameters(true);
	read_what(job, "field", NULL);
	counting->top = wt_top_open(&counting->what);
	wt_viewer_reads_parameters(false);
	MemoryContextSwitchTo(before);
}

static void
top_slice(WtViewerJob *job)
{
	Counting *counting = job->state;

	if (!counting->top)
		begin_top(job);
	wt_top_slice(counting->top);
	wt_viewer_is_in_time();
}

static bool
top_gave_up(WtViewerJob *job)
{
	const Counting *counting = job->state;

	return counting->top && wt_top_gave_up(counting->top);
}

static void
end_top(WtViewerJob *job)
{
	const Counting *counting = job->state;
	WtBuffer *out = &job->out;
	const char *field = wt_job_parameter(job, "field");
	WtCount *counts = palloc(sizeof(WtCount) * (Size) counting->n);
	int64 total;
	int n = wt_top_values(counting->top, counts, counting->n, &total);

	wt_buffer_text(out, "{\"field\":");
	wt_buffer_string(out, field);
	wt_buffer_text(out, ",\"values\":[");
	for (int i = 0; i < n; i++)
	{
		wt_buffer_text(out, i > 0 ? ",{\"value\":" : "{\"value\":");
		write_value(out, &counts[i]);
		wt_buffer_print(out, ",\"count\":" INT64_FORMAT ",\"share\":%.4f}",
						counts[i].count, (double) counts[i].count / (double) total);
	}
	wt_buffer_print(out, "],\"total\":" INT64_FORMAT ",\"complete\":%s,\"searched_to\":",
					total, wt_top_is_complete(counting->top) ? "true" : "false");
	wt_viewer_write_time(out, wt_top_progress(counting->top)->searched_to);
	wt_buffer_text(out, "}\n");
	wt_job_finish(job);
}

void
wt_step_top(WtViewerJob *job)
{
	Counting *counting = job->state;

	if (!counting)
	{
		counting = new_counting(job);
		if (!wt_job_parameter(job, "field"))
		{
			wt_job_fail(job, 400, "the parameter field is needed: whose values to count",
						0);
			return;
		}
		if (!wt_job_number(job, "n", 1, MAX_VALUES, DEFAULT_VALUES, &counting->n))
			return;
	}
	if (wt_sliced_step(job, &counting->sliced, top_slice, top_gave_up) ==
			WT_SLICED_DONE &&
		(wt_top_progress(counting->top)->over ||
		 wt_sliced_time_is_up(job, &counting->sliced)))
		end_top(job);
}
