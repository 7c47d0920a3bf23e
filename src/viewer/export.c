/*
 * export.c
 *		/api/export: all that a search finds, as a file, the newest first.
 *
 * However much it is, it is never all in memory: the time is read in slices, as a search reads
 * it, and a slice by a cursor; a step sends what a client takes at once, and the next one goes
 * on behind the last row.  Rows of one instant that have no id are in the order of what is in
 * them, so that those which are equal are counted.  Nothing is held between two steps, neither a
 * transaction, which would keep dead rows from being removed, nor others' requests.
 *
 * Where a slice has more than a step sends, the next step reads and sorts all of it once more.  So
 * a step goes on for as long as it has taken until its first row came, and what it writes
 * beyond what can be sent lies in a file until it is: however many rows an instant has, they
 * are not sorted for longer than they are written.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "search/search_sql.h"
#include "search/slices.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/event_json.h"
#include "viewer/sliced.h"
#include "viewer/spill.h"
#include "viewer/times.h"

/* Events of the first slice, and of one FETCH. */
#define FIRST_EVENTS 1000.0
#define FETCH 100

/* What a step sends, bytes, and how long it takes, µs: others wait meanwhile. */
#define STEP_BYTES (2 * 1024 * 1024)
#define STEP_TIME (250 * 1000)

/* With so much waiting to be sent, bytes, nothing more is read; looking again, µs. */
#define MAX_BACKLOG (1024 * 1024)
#define BACKLOG_POLL 5000

/* What a column is, beside a field of a search. */
typedef enum ColumnKind
{
	COLUMN_FIELD,
	COLUMN_TIME,
	COLUMN_DATA
} ColumnKind;

/* How far it is. */
typedef struct Place
{
	bool has_header;

	/* The last row that was written, and how many that are like it in time and id. */
	bool is_behind;
	TimestampTz last_time;
	char *last_id; /* "": it has none */
	int64 n_like_it;
} Place;

typedef struct Export
{
	bool csv;
	WtColumns columns; /* of CSV */
	ColumnKind *kinds;
	const char *condition; /* NULL: not begun */
	WtSlices slices;
	WtSlice slice;
	bool in_slice;
	WtSliced sliced;
	WtSpill spill; /* what has been written, and not been sent */
	char filename[64];

	Place place;
	Place before; /* where the step began, with an id that lasts as long as that */

	/* The cursor has come to its end. */
	bool slice_is_over;
} Export;

/* Where the columns of a row are. */
enum
{
	TIME = 1,
	ID,
	DATA,
	STATUS,
	FIELDS
};

static const char *const default_columns =
	"event_timestamp,severity,app,host,message,status,data";

static ColumnKind
kind_of(const char *name)
{
	if (strcmp(name, "event_timestamp") == 0)
		return COLUMN_TIME;
	return strcmp(name, "data") == 0 ? COLUMN_DATA : COLUMN_FIELD;
}

/* Whether it is read from the row, and not by an expression. */
static bool
is_of_row(const char *name)
{
	return kind_of(name) != COLUMN_FIELD;
}

static void
read_columns(WtViewerJob *job)
{
	Export *export = job->state;
	const char *list = wt_job_parameter(job, "columns");

	export->columns = wt_viewer_read_columns(list ? list : default_columns, is_of_row);
	export->kinds = palloc(sizeof(ColumnKind) * export->columns.n);
	for (int i = 0; i < export->columns.n; i++)
		export->kinds[i] = kind_of(export->columns.names[i]);
}

static void
write_cell(WtBuffer *out, const char *text, size_t length)
{
	const char *end = text + length;

	if (length > 0 && !memchr(text, '"', length) && !memchr(text, ',', length) &&
		!memchr(text, '\n', length) && !memchr(text, '\r', length))
	{
		wt_viewer_write_raw(out, text, length);
		return;
	}
	/* So that what is empty is not taken for what is not there. */
	wt_buffer_text(out, "\"");
	while (text < end)
	{
		const char *quote = memchr(text, '"', (size_t) (end - text));
		const char *stop = quote ? quote + 1 : end;

		wt_viewer_write_raw(out, text, (size_t) (stop - text));
		if (quote)
			wt_buffer_text(out, "\"");
		text = stop;
	}
	wt_buffer_text(out, "\"");
}

/* The first line, once; a step that has to be tried again has not written it. */
static void
write_header(WtBuffer *out, Export *export)
{
	const WtColumns *columns = &export->columns;

	if (!export->csv || export->place.has_header)
		return;
	export->place.has_header = true;
	for (int i = 0; i < columns->n; i++)
	{
		if (i > 0)
			wt_buffer_text(out, ",");
		write_cell(out, columns->names[i], strlen(columns->names[i]));
	}
	wt_buffer_text(out, "\r\n");
}

static void
begin_export(WtViewerJob *job)
{
	Export *export = job->state;
	MemoryContext before = MemoryContextSwitchTo(job->context);
	const text *query = wt_job_query(job);
	TimestampTz since;
	TimestampTz until;

	wt_viewer_reads_parameters(true);
	wt_viewer_span(job, &since, &until);
	if (export->csv)
		read_columns(job);
	export->condition = query ? wt_search_condition(query) : "true";
	wt_viewer_reads_parameters(false);
	wt_slices_begin(&export->slices, since, until, FIRST_EVENTS);
	MemoryContextSwitchTo(before);
}

static Portal
open_cursor(const Export *export)
{
	const Place *place = &export->place;
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID};
	Datum values[] = {TimestampTzGetDatum(export->slice.from),
					  TimestampTzGetDatum(export->slice.to),
					  Int64GetDatum(place->n_like_it),
					  TimestampTzGetDatum(place->last_time), (Datum) 0};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT event_timestamp, id, data, status%s%s FROM windtrap.events"
					 " WHERE (%s) AND event_timestamp >= $1 AND event_timestamp < $2",
					 export->csv ? ", " : "", export->csv ? export->columns.sql : "",
					 export->condition);
	if (place->is_behind)
	{
		values[4] = CStringGetTextDatum(place->last_id);
		/* Both, for the first one alone says which partitions and pages are to be read. */
		appendStringInfoString(&sql,
							   " AND event_timestamp <= $4 AND (event_timestamp < $4"
							   " OR coalesce(id, '') COLLATE \"C\" <= $5)");
	}
	appendStringInfoString(
		&sql, " ORDER BY event_timestamp DESC, coalesce(id, '') COLLATE \"C\""
			  " DESC, data, status OFFSET $3");
	return SPI_cursor_open_with_args(NULL, sql.data, place->is_behind ? 5 : 3, types,
									 values, NULL, true, CURSOR_OPT_NO_SCROLL);
}

static void
write_csv(WtBuffer *out, const Export *export, TimestampTz time, const char *data,
		  size_t data_length, Datum fields)
{
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(DatumGetArrayTypeP(fields), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			wt_buffer_text(out, ",");
		if (export->kinds[i] == COLUMN_TIME)
			wt_viewer_write_bare_time(out, time);
		else if (export->kinds[i] == COLUMN_DATA && data)
			write_cell(out, data, data_length);
		else if (!nulls[i])
			write_cell(out, VARDATA_ANY(DatumGetPointer(values[i])),
					   VARSIZE_ANY_EXHDR(DatumGetPointer(values[i])));
	}
	wt_buffer_text(out, "\r\n");
}

static void
write_row(WtBuffer *out, const Export *export, uint64 row)
{
	HeapTuple tuple = SPI_tuptable->vals[row];
	TupleDesc desc = SPI_tuptable->tupdesc;
	bool is_null;
	TimestampTz time = DatumGetTimestampTz(SPI_getbinval(tuple, desc, TIME, &is_null));
	Datum value = SPI_getbinval(tuple, desc, DATA, &is_null);
	StringInfoData data = {0};

	if (!is_null)
	{
		Jsonb *jsonb = DatumGetJsonbP(value);

		initStringInfo(&data);
		(void) JsonbToCString(&data, &jsonb->root, VARSIZE(jsonb));
	}
	if (export->csv)
	{
		write_csv(out, export, time, data.data, (size_t) data.len,
				  SPI_getbinval(tuple, desc, FIELDS, &is_null));
		return;
	}
	wt_buffer_text(out, "{\"event_timestamp\":");
	wt_viewer_write_time(out, time);
	wt_buffer_text(out, ",\"data\":");
	if (data.data)
		wt_viewer_write_raw(out, data.data, (size_t) data.len);
	else
		wt_buffer_text(out, "null");
	value = SPI_getbinval(tuple, desc, STATUS, &is_null);
	if (is_null)
		wt_buffer_text(out, ",\"status\":null}\n");
	else
		wt_buffer_print(out, ",\"status\":%d}\n", DatumGetInt32(value));
}

/* Remembers that this row has been written. */
static void
note_row(WtViewerJob *job, uint64 row)
{
	Place *place = &((Export *) job->state)->place;
	TupleDesc desc = SPI_tuptable->tupdesc;
	bool is_null;
	TimestampTz time =
		DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[row], desc, TIME, &is_null));
	Datum id = SPI_getbinval(SPI_tuptable->vals[row], desc, ID, &is_null);
	const char *name = is_null ? "" : TextDatumGetCString(id);

	if (place->is_behind && time == place->last_time && strcmp(name, place->last_id) == 0)
	{
		place->n_like_it++;
		return;
	}
	if (place->last_id)
		pfree(place->last_id);
	place->is_behind = true;
	place->last_time = time;
	place->last_id = MemoryContextStrdup(job->context, name);
	place->n_like_it = 1;
}

/* What the step has written is thrown away. */
static void
go_back(WtViewerJob *job)
{
	Export *export = job->state;
	char *last_id = export->place.last_id;

	wt_spill_clear(&export->spill);
	export->place = export->before;
	if (export->before.last_id)
		export->place.last_id = MemoryContextStrdup(job->context, export->before.last_id);
	if (last_id)
		pfree(last_id);
}

/* Writes rows of the slice, from behind the last one on, as many as one step has time for. */
static void
export_rows(WtViewerJob *job)
{
	Export *export = job->state;
	TimestampTz begun = GetCurrentTimestamp();
	TimestampTz until = 0;
	MemoryContext row_context;
	Portal portal;
	bool is_full = false;

	if (!export->condition)
		begin_export(job);
	export->slice_is_over = false;
	if (!export->in_slice)
	{
		if (export->slices.progress.over)
		{
			write_header(&job->out, export);
			return;
		}
		export->slice = wt_slices_next(&export->slices);
		export->in_slice = true;
	}
	portal = open_cursor(export);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "windtrap viewer row",
										ALLOCSET_DEFAULT_SIZES);
	do
	{
		MemoryContext before;

		SPI_cursor_fetch(portal, true, FETCH);
		wt_viewer_is_in_time();
		if (until == 0)
			until = 2 * GetCurrentTimestamp() - begun;
		write_header(&job->out, export);
		if (SPI_processed == 0)
		{
			export->slice_is_over = true;
			break;
		}
		before = MemoryContextSwitchTo(row_context);
		/* What is left of them is fetched again: events can be large. */
		for (uint64 i = 0; i < SPI_processed && !is_full; i++)
		{
			write_row(&job->out, export, i);
			note_row(job, i);
			MemoryContextReset(row_context);
			if (job->out.length < STEP_BYTES)
				continue;
			is_full = GetCurrentTimestamp() >= until;
			if (!is_full)
				wt_spill_write(&export->spill, &job->out);
		}
		MemoryContextSwitchTo(before);
		SPI_freetuptable(SPI_tuptable);
		/* The next ones may be far. */
		wt_viewer_has_time(Min(export->sliced.timeout, wt_viewer_timeout));
	} while (!is_full && GetCurrentTimestamp() < Max(until, begun + STEP_TIME));
	wt_viewer_is_in_time();
	SPI_cursor_close(portal);
	if (wt_spill_size(&export->spill) > 0)
		wt_spill_write(&export->spill, &job->out);
}

/* A part of the slice is to be tried; false: there is none. */
static bool
gave_up(WtViewerJob *job)
{
	Export *export = job->state;
	bool is_shorter = export->in_slice && wt_slices_gave_up(&export->slices);

	export->in_slice = false;
	go_back(job);
	return is_shorter;
}

/* What is to be sent next of what has been written. */
static void
take_spilled(WtViewerJob *job)
{
	Export *export = job->state;

	wt_spill_take(&export->spill, &job->out, STEP_BYTES);
}

static bool
begin(WtViewerJob *job)
{
	const char *format = wt_job_parameter(job, "format");
	Export *export = MemoryContextAllocZero(job->context, sizeof(Export));
	static const char attachment[] = "attachment; filename=\"events.";
	const char *ending;

	job->state = export;
	wt_spill_begin(&export->spill, job->context);
	job->no_error_line = true;
	export->csv = format && strcmp(format, "csv") == 0;
	ending = export->csv ? "csv\"" : "ndjson\"";
	if (format && !export->csv && strcmp(format, "ndjson") != 0)
	{
		wt_job_fail(job, 400, psprintf("format is ndjson or csv, not \"%s\"", format), 0);
		return false;
	}
	job->type = export->csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
	snprintf(export->filename, sizeof(export->filename), "%s%s", attachment, ending);
	job->header_name = "Content-Disposition";
	job->header_value = export->filename;
	return true;
}

/* Reads on from behind the last row; false: there is nothing to be sent yet, or the job is done. */
static bool
read_rows(WtViewerJob *job)
{
	Export *export = job->state;

	export->before = export->place;
	if (export->place.last_id)
		export->before.last_id = pstrdup(export->place.last_id);
	if (wt_sliced_step(job, &export->sliced, export_rows, gave_up) != WT_SLICED_DONE)
		return false;
	if (export->slice_is_over)
	{
		wt_slices_done(&export->slices, false);
		export->in_slice = false;
		/* One that was made shorter may end before the last row that was written. */
		if (export->slice.from <= export->place.last_time)
		{
			export->place.is_behind = false;
			export->place.n_like_it = 0;
		}
	}
	return true;
}

void
wt_step_export(WtViewerJob *job)
{
	Export *export = job->state;
	TimestampTz now = GetCurrentTimestamp();

	if (!export && !begin(job))
		return;
	export = job->state;
	if (wt_job_backlog(job) > MAX_BACKLOG)
	{
		job->rests_until = now + BACKLOG_POLL;
		return;
	}
	if (wt_spill_size(&export->spill) > 0
			? !wt_viewer_query(job, take_spilled, WT_PROCESS_READS)
			: !read_rows(job))
		return;
	if (export->slices.progress.over && wt_spill_size(&export->spill) == 0)
		wt_job_end_stream(job);
	else if (job->out.length > 0 || !job->streams)
		(void) wt_job_send(job);
}
