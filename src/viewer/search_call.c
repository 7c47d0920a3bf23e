/*
 * search_call.c
 *		/api/search and /api/event: events, a line each, the newest first.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/event_json.h"
#include "viewer/times.h"

#define DEFAULT_ROWS 100
#define MAX_ROWS 1000

typedef struct Search
{
	int wanted;
	WtColumns columns;
	int64 found;
} Search;

static const char *
query_of(const WtViewerJob *job)
{
	const char *query = wt_job_parameter(job, "q");

	return query ? query : "";
}

static void
search_once(WtViewerJob *job)
{
	Search *search = job->state;
	const char *before_time = wt_job_parameter(job, "before_time");
	const char *before_id = wt_job_parameter(job, "before_id");
	Oid types[] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
				   INT4OID, TIMESTAMPTZOID, TEXTOID};
	Datum values[6];
	char nulls[] = "      ";
	TimestampTz since;
	TimestampTz until;

	wt_viewer_reads_parameters(true);
	wt_viewer_span(job, &since, &until);
	search->columns = wt_viewer_columns(job);
	values[0] = CStringGetTextDatum(query_of(job));
	values[1] = TimestampTzGetDatum(since);
	values[2] = TimestampTzGetDatum(until);
	values[3] = Int32GetDatum(search->wanted);
	nulls[4] = before_time ? ' ' : 'n';
	values[4] = TimestampTzGetDatum(wt_viewer_time(job, "before_time", 0));
	nulls[5] = before_id ? ' ' : 'n';
	values[5] = before_id ? CStringGetTextDatum(before_id) : (Datum) 0;
	wt_viewer_reads_parameters(false);
	if (SPI_execute_with_args(psprintf("SELECT event_timestamp, id, %s FROM "
									   "windtrap.search($1, $2, $3, $4, $5, $6)",
									   wt_viewer_output(&search->columns)),
							  6, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not search");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		wt_buffer_text(&job->out, "{\"event\":");
		wt_viewer_write_event(&job->out, i, &search->columns, WT_DATA_IF_SHORT);
		wt_buffer_text(&job->out, "}\n");
	}
	search->found = (int64) SPI_processed;
}

void
wt_step_search(WtViewerJob *job)
{
	Search *search = MemoryContextAllocZero(job->context, sizeof(Search));

	job->state = search;
	job->type = "application/x-ndjson";
	if (!wt_job_number(job, "n", 1, MAX_ROWS, DEFAULT_ROWS, &search->wanted) ||
		!wt_viewer_query(job, search_once, WT_OWNER_READS) || !wt_job_send(job))
		return;
	wt_buffer_print(&job->out, "{\"end\":{\"rows\":" INT64_FORMAT "}}\n", search->found);
	wt_job_finish(job);
}

void
wt_step_event(WtViewerJob *job)
{
	wt_job_fail(job, 503, "not yet", 0);
}
