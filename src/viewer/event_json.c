/*
 * event_json.c
 *		Events, as the viewer's answers have them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/text.h"
#include "search/search_sql.h"
#include "viewer/event_json.h"
#include "viewer/times.h"

/* What a list of events has of `data`, bytes of its text, and of other texts, characters. */
#define MAX_DATA 8192
#define MAX_TEXT 1000

#define MAX_COLUMNS 50

/* Where the columns are in a row. */
enum
{
	TIME = 1,
	ID,
	SEVERITY,
	APP,
	HOST,
	MESSAGE,
	SOURCE,
	IP,
	STATUS,
	DATA,
	COLUMNS
};

/* The parts of a list at its commas, but for those in quotation marks; copies. */
static List *
split(const char *list)
{
	List *names = NIL;
	const char *begin = list;
	bool quoted = false;

	for (const char *p = list;; p++)
	{
		if (*p == '\\' && quoted && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == '\0' || (*p == ',' && !quoted))
		{
			names = lappend(names, pnstrdup(begin, (Size) (p - begin)));
			begin = p + 1;
		}
		if (*p == '\0')
			return names;
	}
}

WtColumns
wt_viewer_read_columns(const char *list, bool (*is_own)(const char *name))
{
	WtColumns columns = {0};
	StringInfoData sql;
	List *names;
	ListCell *cell;

	if (!list)
		return columns;
	names = split(list);
	if (list_length(names) > MAX_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("columns are at most %d fields", MAX_COLUMNS)));
	columns.names = palloc(sizeof(char *) * list_length(names));
	initStringInfo(&sql);
	foreach (cell, names)
	{
		char *name = lfirst(cell);

		appendStringInfo(&sql, "%s%s", columns.n == 0 ? "ARRAY[" : ", ",
						 is_own && is_own(name) ? "NULL"
												: wt_search_field(cstring_to_text(name)));
		columns.names[columns.n++] = name;
	}
	appendStringInfoString(&sql, "]::text[]");
	columns.sql = sql.data;
	return columns;
}

WtColumns
wt_viewer_columns(const WtViewerJob *job)
{
	return wt_viewer_read_columns(wt_job_parameter(job, "columns"), NULL);
}

const char *
wt_viewer_output(const WtColumns *columns)
{
	return psprintf("severity, app, host, message, source, data->>'ip', status, data%s%s",
					columns->n > 0 ? ", " : "", columns->n > 0 ? columns->sql : "");
}

/* Appends a text as a JSON string, cut; gives whether it was. */
static bool
write_cut(WtBuffer *out, Datum value)
{
	text *full = DatumGetTextPP(value);
	const char *bytes = VARDATA_ANY(full);
	int length = VARSIZE_ANY_EXHDR(full);
	int cut = pg_mbcharcliplen(bytes, length, MAX_TEXT);

	wt_buffer_json(out, bytes, (size_t) cut);
	return cut < length;
}

static bool
write_column(WtBuffer *out, uint64 row, int column)
{
	bool is_null;
	Datum value =
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);

	if (!is_null)
		return write_cut(out, value);
	wt_buffer_text(out, "null");
	return false;
}

/* Appends a column of a row that is a text, as a JSON string, or null. */
static void
write_text(WtBuffer *out, uint64 row, int column)
{
	bool is_null;
	Datum value =
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);

	if (is_null)
		wt_buffer_text(out, "null");
	else
		wt_buffer_json(out, VARDATA_ANY(DatumGetTextPP(value)),
					   VARSIZE_ANY_EXHDR(DatumGetTextPP(value)));
}

void
wt_viewer_write_raw(WtBuffer *out, const char *bytes, size_t length)
{
	char *repaired;

	if (GetDatabaseEncoding() == PG_UTF8 || wt_text_valid_prefix(bytes, length) == length)
	{
		wt_buffer_add(out, bytes, length);
		return;
	}
	repaired = palloc_extended(length * 3, MCXT_ALLOC_HUGE);
	wt_buffer_add(out, repaired, wt_text_repair(bytes, length, repaired));
	pfree(repaired);
}

static void
write_columns(WtBuffer *out, Datum array, const WtColumns *columns)
{
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &n);
	wt_buffer_text(out, ",\"columns\":{");
	for (int i = 0; i < n && i < columns->n; i++)
	{
		if (i > 0)
			wt_buffer_text(out, ",");
		wt_buffer_string(out, columns->names[i]);
		wt_buffer_text(out, ":");
		if (nulls[i])
			wt_buffer_text(out, "null");
		else
			(void) write_cut(out, values[i]);
	}
	wt_buffer_text(out, "}");
}

static void
write_members(WtBuffer *out, uint64 row, const WtColumns *columns, WtEventData how)
{
	static const struct
	{
		const char *name;
		int column;
	} texts[] = {{"id", ID},	 {"severity", SEVERITY}, {"app", APP},
				 {"host", HOST}, {"source", SOURCE},	 {"ip", IP}};
	HeapTuple tuple = SPI_tuptable->vals[row];
	TupleDesc desc = SPI_tuptable->tupdesc;
	bool is_null;
	Datum value = SPI_getbinval(tuple, desc, TIME, &is_null);

	wt_buffer_text(out, "{\"time\":");
	wt_viewer_write_time(out, DatumGetTimestampTz(value));
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		wt_buffer_print(out, ",\"%s\":", texts[i].name);
		/* An id is asked for by its whole text. */
		if (texts[i].column == ID)
			write_text(out, row, ID);
		else
			(void) write_column(out, row, texts[i].column);
	}
	wt_buffer_text(out, ",\"message\":");
	if (write_column(out, row, MESSAGE))
		wt_buffer_text(out, ",\"message_cut\":true");
	value = SPI_getbinval(tuple, desc, STATUS, &is_null);
	if (is_null)
		wt_buffer_text(out, ",\"status\":null");
	else
		wt_buffer_print(out, ",\"status\":%d", DatumGetInt32(value));
	value = SPI_getbinval(tuple, desc, DATA, &is_null);
	if (is_null)
		wt_buffer_text(out, ",\"data\":null");
	else
	{
		Jsonb *data = DatumGetJsonbP(value);
		StringInfoData json;

		initStringInfo(&json);
		(void) JsonbToCString(&json, &data->root, VARSIZE(data));
		if (how == WT_DATA_ALWAYS || json.len <= MAX_DATA)
		{
			wt_buffer_text(out, ",\"data\":");
			wt_viewer_write_raw(out, json.data, (size_t) json.len);
		}
		else
			wt_buffer_print(out, ",\"size\":%d", json.len);
	}
	if (columns->n > 0)
	{
		value = SPI_getbinval(tuple, desc, COLUMNS, &is_null);
		write_columns(out, value, columns);
	}
	wt_buffer_text(out, "}");
}

void
wt_viewer_write_event(WtBuffer *out, uint64 row, const WtColumns *columns,
					  WtEventData how)
{
	/* What one event takes for a while is not to be had of all of them at a time. */
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap viewer event", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);

	write_members(out, row, columns, how);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
}
