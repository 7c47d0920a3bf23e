/*
 * rows_json.c
 *		The rows of a statement as JSON.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "viewer/event_json.h"
#include "viewer/rows_json.h"
#include "viewer/times.h"

static void
write_value(WtBuffer *out, uint64 row, int column)
{
	HeapTuple tuple = SPI_tuptable->vals[row];
	TupleDesc desc = SPI_tuptable->tupdesc;
	bool is_null;
	Datum value = SPI_getbinval(tuple, desc, column, &is_null);
	char *text;

	if (is_null)
	{
		wt_buffer_text(out, "null");
		return;
	}
	switch (SPI_gettypeid(desc, column))
	{
		case BOOLOID:
			wt_buffer_text(out, DatumGetBool(value) ? "true" : "false");
			break;
		case TIMESTAMPTZOID:
			wt_viewer_write_time(out, DatumGetTimestampTz(value));
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			wt_buffer_text(out, SPI_getvalue(tuple, desc, column));
			break;
		case FLOAT8OID:
			/* JSON has neither infinity nor a value that is none. */
			if (isfinite(DatumGetFloat8(value)))
				wt_buffer_text(out, SPI_getvalue(tuple, desc, column));
			else
				wt_buffer_text(out, "null");
			break;
		case JSONBOID:
			text = SPI_getvalue(tuple, desc, column);
			wt_viewer_write_raw(out, text, strlen(text));
			break;
		default:
			text = SPI_getvalue(tuple, desc, column);
			wt_buffer_string(out, text);
	}
}

static void
write_member(WtBuffer *out, uint64 row, int column)
{
	const char *name = NameStr(TupleDescAttr(SPI_tuptable->tupdesc, column - 1)->attname);

	wt_buffer_string(out, name);
	wt_buffer_text(out, ":");
	write_value(out, row, column);
}

static void
write_object(WtBuffer *out, uint64 row)
{
	for (int i = 1; i <= SPI_tuptable->tupdesc->natts; i++)
	{
		wt_buffer_text(out, i > 1 ? "," : "{");
		write_member(out, row, i);
	}
	wt_buffer_text(out, "}");
}

void
wt_viewer_write_rows(WtBuffer *out)
{
	wt_buffer_text(out, "[");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		if (i > 0)
			wt_buffer_text(out, ",");
		write_object(out, i);
	}
	wt_buffer_text(out, "]");
}

void
wt_viewer_write_row(WtBuffer *out)
{
	if (SPI_processed == 0)
		wt_buffer_text(out, "null");
	else
		write_object(out, 0);
}

void
wt_viewer_write_members(WtBuffer *out)
{
	for (int i = 1; SPI_processed > 0 && i <= SPI_tuptable->tupdesc->natts; i++)
	{
		wt_buffer_text(out, ",");
		write_member(out, 0, i);
	}
}
