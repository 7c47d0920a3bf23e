/*
 * datum_to_bson.c
 *		A column's value → BSON.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "bson_writer.h"
#include "convert.h"
#include "number.h"

/* Between PostgreSQL's epoch and BSON's. */
#define EPOCH_MS (((int64) POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

int64
wm_timestamp_to_ms(Timestamp t, bool *exact)
{
	int64 ms = t / 1000;
	int64 rest = t % 1000;

	/* C rounds towards zero. */
	if (rest < 0)
		ms--;
	*exact = rest == 0;
	return ms + EPOCH_MS;
}

int64
wm_date_to_ms(DateADT date)
{
	return (int64) date * SECS_PER_DAY * 1000 + EPOCH_MS;
}

static void
infinite(const char *type)
{
	ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			errmsg("an infinite %s cannot be stored in MongoDB", type));
}

static void
write_text(StringInfo out, const char *name, int name_length, const char *text,
		   int length)
{
	int utf8_length;
	const char *utf8 = wm_to_utf8(text, length, &utf8_length);

	wm_bson_string(out, name, name_length, utf8, utf8_length);
}

/* One dimension of an array from *item on, of which there are `left` more beneath. */
static void
write_dimension(StringInfo out, WmColumn *element, int n_dims, const int *dims,
				Datum *values, bool *nulls, int *item, int depth)
{
	for (int i = 0; i < dims[0]; i++)
	{
		char name[12];
		int name_length = wm_bson_index(i, name);

		if (n_dims > 1)
		{
			int begun = wm_bson_begin_array(out, name, name_length);

			write_dimension(out, element, n_dims - 1, dims + 1, values, nulls, item,
							depth + 1);
			wm_bson_end(out, begun);
			continue;
		}
		if (nulls[*item])
			wm_bson_null(out, name, name_length);
		else
			wm_write_datum(out, element, name, name_length, values[*item]);
		(*item)++;
	}
}

static void
write_array(StringInfo out, WmColumn *c, const char *name, int name_length, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	Datum *values;
	bool *nulls;
	int n;
	int item = 0;
	int begun;

	deconstruct_array(array, c->element->type, c->element_length, c->element_by_value,
					  c->element_align, &values, &nulls, &n);
	begun = wm_bson_begin_array(out, name, name_length);
	if (n > 0)
		write_dimension(out, c->element, ARR_NDIM(array), ARR_DIMS(array), values, nulls,
						&item, 1);
	wm_bson_end(out, begun);
}

void
wm_write_datum(StringInfo out, WmColumn *c, const char *name, int name_length,
			   Datum value)
{
	switch (c->kind)
	{
		case WM_INT2:
			wm_bson_int32(out, name, name_length, DatumGetInt16(value));
			return;
		case WM_INT4:
			wm_bson_int32(out, name, name_length, DatumGetInt32(value));
			return;
		case WM_INT8:
			wm_bson_int64(out, name, name_length, DatumGetInt64(value));
			return;
		case WM_FLOAT4:
		{
			/* The double that has the same shortest text, so that 0.1 is 0.1. */
			float4 number = DatumGetFloat4(value);

			if (isnan(number) || isinf(number))
				wm_bson_double(out, name, name_length, (double) number);
			else
				wm_bson_double(out, name, name_length,
							   strtod(OutputFunctionCall(&c->output, value), NULL));
			return;
		}
		case WM_FLOAT8:
			wm_bson_double(out, name, name_length, DatumGetFloat8(value));
			return;
		case WM_NUMERIC:
			wm_write_number(out, name, name_length, DatumGetNumeric(value));
			return;
		case WM_BOOL:
			wm_bson_bool(out, name, name_length, DatumGetBool(value));
			return;
		case WM_UUID:
			wm_bson_binary(out, name, name_length, BSON_SUBTYPE_UUID,
						   DatumGetUUIDP(value)->data, UUID_LEN);
			return;
		case WM_BYTEA:
		{
			bytea *data = DatumGetByteaPP(value);

			wm_bson_binary(out, name, name_length, BSON_SUBTYPE_BINARY, VARDATA_ANY(data),
						   (int) VARSIZE_ANY_EXHDR(data));
			return;
		}
		case WM_DATE:
		{
			DateADT date = DatumGetDateADT(value);

			if (DATE_NOT_FINITE(date))
				infinite("date");
			wm_bson_date(out, name, name_length, wm_date_to_ms(date));
			return;
		}
		case WM_TIMESTAMP:
		{
			Timestamp t = DatumGetTimestamp(value);
			bool exact;

			if (TIMESTAMP_NOT_FINITE(t))
				infinite("timestamp");
			wm_bson_date(out, name, name_length, wm_timestamp_to_ms(t, &exact));
			return;
		}
		case WM_JSONB:
			wm_write_jsonb(out, name, name_length, DatumGetJsonbP(value));
			return;
		case WM_JSON:
			wm_write_jsonb(out, name, name_length,
						   DatumGetJsonbP(DirectFunctionCall1(
							   jsonb_in, CStringGetDatum(TextDatumGetCString(value)))));
			return;
		case WM_ARRAY:
			write_array(out, c, name, name_length, value);
			return;
		case WM_TEXT:
			if (c->base != NAMEOID)
			{
				text *t = DatumGetTextPP(value);

				write_text(out, name, name_length, VARDATA_ANY(t),
						   (int) VARSIZE_ANY_EXHDR(t));
				return;
			}
			/* FALLTHROUGH */
		case WM_OTHER:
		{
			char *text = OutputFunctionCall(&c->output, value);

			write_text(out, name, name_length, text, (int) strlen(text));
			return;
		}
	}
}
