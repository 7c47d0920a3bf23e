/*
 * search_call.c
 *		/api/search and /api/event: events, a line each.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/text.h"
#include "search/search.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/event_json.h"
#include "viewer/sliced.h"
#include "viewer/times.h"

#define DEFAULT_ROWS 100
#define MAX_ROWS 1000

/* Rows of one instant that have no id, which /api/event gives at most. */
#define MAX_SAME 1000

/* With nothing found, how far the search is is told so often, µs. */
#define PROGRESS_INTERVAL (200 * 1000)

static const char ndjson[] = "application/x-ndjson";

typedef struct Search
{
	int wanted;
	WtColumns columns;
	WtSearch *search; /* NULL: not begun */
	WtSliced sliced;
	int64 found;
	TimestampTz told; /* how far it is */
} Search;

/*
 * The id of the row that the page begins behind.  One that is no UTF-8, which a database of
 * encoding SQL_ASCII can have, no JSON can say: it is its bytes, in hexadecimal.
 */
static const char *
before_id(const WtViewerJob *job)
{
	const char *bytes = wt_job_parameter(job, "before_bytes");
	size_t length = bytes ? strlen(bytes) : 0;
	char *id;

	if (!bytes)
		return wt_job_parameter(job, "before_id");
	if (length % 2 != 0 || strspn(bytes, "0123456789abcdef") != length ||
		GetDatabaseEncoding() == PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("before_bytes is what a page before has said")));
	id = palloc0(length / 2 + 1);
	(void) hex_decode(bytes, length, id);
	return id;
}

static void
write_before_id(WtViewerJob *job, const char *id)
{
	WtBuffer *out = &job->out;
	size_t length = strlen(id);

	wt_buffer_text(out, ",\"before_id\":");
	wt_buffer_string(out, id);
	if (wt_text_valid_prefix(id, length) < length)
	{
		wt_buffer_text(out, ",\"before_bytes\":\"");
		for (size_t i = 0; i < length; i++)
			wt_buffer_print(out, "%02x", (unsigned char) id[i]);
		wt_buffer_text(out, "\"");
	}
	/* Who adds this to what he has asked for is not to keep it. */
	else if (wt_job_has(job, "before_bytes"))
		wt_buffer_text(out, ",\"before_bytes\":null");
}

static void
begin_search(WtViewerJob *job)
{
	Search *search = job->state;
	MemoryContext before = MemoryContextSwitchTo(job->context);
	WtSearchFor what = {.query = wt_job_query(job), .wanted = search->wanted};

	wt_viewer_reads_parameters(true);
	wt_viewer_span(job, &what.since, &what.until);
	what.is_behind = wt_job_parameter(job, "before_time") != NULL;
	what.before_time = wt_viewer_time(job, "before_time", 0);
	what.before_id = before_id(job);
	search->columns = wt_viewer_columns(job);
	what.output = wt_viewer_output(&search->columns);
	search->search = wt_search_open(&what);
	wt_viewer_reads_parameters(false);
	MemoryContextSwitchTo(before);
}

static void
search_slice(WtViewerJob *job)
{
	Search *search = job->state;
	int64 n;

	if (!search->search)
		begin_search(job);
	n = wt_search_slice(search->search);
	wt_viewer_is_in_time();
	for (int64 i = 0; i < n; i++)
	{
		wt_buffer_text(&job->out, "{\"event\":");
		wt_viewer_write_event(&job->out, (uint64) i, &search->columns, WT_DATA_IF_SHORT);
		wt_buffer_text(&job->out, "}\n");
	}
	search->found += n;
}

static bool
gave_up(WtViewerJob *job)
{
	const Search *search = job->state;

	return search->search && wt_search_gave_up(search->search);
}

/* The last line, with what the next request asks for. */
static void
write_end(WtViewerJob *job)
{
	WtBuffer *out = &job->out;
	const Search *search = job->state;
	const WtSearched *progress = wt_search_progress(search->search);
	TimestampTz time;
	const char *id;
	bool more = wt_search_next_page(search->search, &time, &id);

	wt_buffer_print(out, "{\"end\":{\"complete\":%s,\"searched_to\":",
					progress->over && !more ? "true" : "false");
	wt_viewer_write_time(out, progress->searched_to);
	wt_buffer_print(out, ",\"rows\":" INT64_FORMAT ",\"ms\":%ld,\"next\":", search->found,
					wt_job_age(job));
	if (more)
	{
		wt_buffer_text(out, "{\"before_time\":");
		wt_viewer_write_time(out, time);
		write_before_id(job, id);
		wt_buffer_text(out, "}");
	}
	else if (!progress->over)
	{
		wt_buffer_text(out, "{\"until\":");
		wt_viewer_write_time(out, progress->searched_to);
		wt_buffer_text(out, "}");
	}
	else
		wt_buffer_text(out, "null");
	wt_buffer_text(out, "}}\n");
}

void
wt_step_search(WtViewerJob *job)
{
	Search *search = job->state;

	if (!search)
	{
		job->type = ndjson;
		job->state = search = MemoryContextAllocZero(job->context, sizeof(Search));
		search->told = job->now;
		if (!wt_job_number(job, "n", 1, MAX_ROWS, DEFAULT_ROWS, &search->wanted))
			return;
	}
	if (wt_sliced_step(job, &search->sliced, search_slice, gave_up) != WT_SLICED_DONE)
		return;
	if (wt_search_progress(search->search)->over || search->found >= search->wanted ||
		wt_sliced_time_is_up(job, &search->sliced))
	{
		write_end(job);
		wt_job_end_stream(job);
		return;
	}
	if (job->out.length > 0 || GetCurrentTimestamp() - search->told > PROGRESS_INTERVAL)
	{
		search->told = GetCurrentTimestamp();
		wt_viewer_write_progress(&job->out,
								 wt_search_progress(search->search)->searched_to);
		(void) wt_job_send(job);
	}
}

static void
read_event(WtViewerJob *job)
{
	static const WtColumns none = {0};
	Oid types[] = {TIMESTAMPTZOID, TEXTOID, INT4OID};
	Datum values[3];
	const char *id = wt_job_parameter(job, "id");

	wt_viewer_reads_parameters(true);
	values[0] = TimestampTzGetDatum(wt_viewer_time(job, "time", 0));
	wt_viewer_reads_parameters(false);
	values[1] = CStringGetTextDatum(id ? id : "");
	values[2] = Int32GetDatum(MAX_SAME);
	if (SPI_execute_with_args(
			psprintf("SELECT event_timestamp, id, %s FROM windtrap.events"
					 " WHERE event_timestamp = $1 AND coalesce(id, '') = $2 LIMIT $3",
					 wt_viewer_output(&none)),
			3, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the event");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		wt_viewer_write_event(&job->out, i, &none, WT_DATA_ALWAYS);
		wt_buffer_text(&job->out, "\n");
	}
}

void
wt_step_event(WtViewerJob *job)
{
	job->type = ndjson;
	if (!wt_job_parameter(job, "time"))
		wt_job_fail(job, 400, "the parameter time is needed: that of the event", 0);
	else if (wt_viewer_query(job, read_event, WT_OWNER_READS))
		wt_job_end_stream(job);
}
