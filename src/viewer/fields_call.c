/*
 * fields_call.c
 *		/api/fields: what fields the last events have that a search finds.
 *
 * How far back these lie is found in slices, like a search; what is left is then to be read once
 * more, in a statement that takes about as long as that took.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "search/search.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/rows_json.h"
#include "viewer/sliced.h"
#include "viewer/times.h"

/* As many as windtrap.fields() looks at. */
#define SAMPLE 1000

typedef struct Fields
{
	WtSearch *search; /* NULL: not begun */
	WtSliced sliced;
	int64 found;
	TimestampTz since;
	TimestampTz until;
} Fields;

static void
begin_fields(WtViewerJob *job)
{
	Fields *fields = job->state;
	MemoryContext before = MemoryContextSwitchTo(job->context);
	WtSearchFor what = {.query = wt_job_query(job), .wanted = SAMPLE, .output = "NULL"};

	wt_viewer_reads_parameters(true);
	wt_viewer_span(job, &fields->since, &fields->until);
	what.since = fields->since;
	what.until = fields->until;
	fields->search = wt_search_open(&what);
	wt_viewer_reads_parameters(false);
	MemoryContextSwitchTo(before);
}

static void
search_slice(WtViewerJob *job)
{
	Fields *fields = job->state;

	if (!fields->search)
		begin_fields(job);
	fields->found += wt_search_slice(fields->search);
	wt_viewer_is_in_time();
}

static bool
gave_up(WtViewerJob *job)
{
	const Fields *fields = job->state;

	return fields->search && wt_search_gave_up(fields->search);
}

static void
read_fields(WtViewerJob *job)
{
	const Fields *fields = job->state;
	WtBuffer *out = &job->out;
	Oid types[] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	const text *query = wt_job_query(job);
	TimestampTz since = wt_search_progress(fields->search)->searched_to;
	Datum values[3];
	char nulls[] = "   ";
	TimestampTz last;
	const char *id;

	/* Where there were as many as are wanted, to the last of them. */
	if (wt_search_next_page(fields->search, &last, &id))
		since = last;
	values[0] = PointerGetDatum(query);
	nulls[0] = query ? ' ' : 'n';
	values[1] = TimestampTzGetDatum(since);
	values[2] = TimestampTzGetDatum(fields->until);
	if (SPI_execute_with_args(
			"SELECT name, share::float8, example, type FROM windtrap.fields($1, $2, $3)",
			3, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for fields");
	wt_buffer_text(out, "{\"fields\":");
	wt_viewer_write_rows(out);
	wt_buffer_text(out, ",\"searched_to\":");
	wt_viewer_write_time(out, since);
	wt_buffer_text(out, "}\n");
}

void
wt_step_fields(WtViewerJob *job)
{
	Fields *fields = job->state;

	if (!fields)
		job->state = fields = MemoryContextAllocZero(job->context, sizeof(Fields));
	if (wt_sliced_step(job, &fields->sliced, search_slice, gave_up) != WT_SLICED_DONE)
		return;
	if (!wt_search_progress(fields->search)->over && fields->found < SAMPLE &&
		!wt_sliced_time_is_up(job, &fields->sliced))
		return;
	if (wt_viewer_query(job, read_fields, WT_OWNER_READS))
		wt_job_finish(job);
}
