/*
 * bson_to_datum.c
 *		BSON → a column's value.
 *
 * Strict: a column takes what its type holds exactly, and raises for all else, rather than
 * guess.  Conditions can be left to MongoDB only because of that: what it compares is what
 * would be read.  (A column of type jsonb takes everything.)
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "convert.h"
#include "number.h"

/* Between PostgreSQL's epoch and BSON's. */
#define EPOCH_MS (((int64) POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)
#define MS_PER_DAY ((int64) SECS_PER_DAY * 1000)

static const char *
type_name(bson_type_t type)
{
	switch (type)
	{
		case BSON_TYPE_DOUBLE:
			return "double";
		case BSON_TYPE_UTF8:
			return "string";
		case BSON_TYPE_DOCUMENT:
			return "document";
		case BSON_TYPE_ARRAY:
			return "array";
		case BSON_TYPE_BINARY:
			return "binary";
		case BSON_TYPE_OID:
			return "ObjectId";
		case BSON_TYPE_BOOL:
			return "bool";
		case BSON_TYPE_DATE_TIME:
			return "date";
		case BSON_TYPE_INT32:
			return "int32";
		case BSON_TYPE_INT64:
			return "int64";
		case BSON_TYPE_DECIMAL128:
			return "decimal128";
		case BSON_TYPE_TIMESTAMP:
			return "timestamp";
		case BSON_TYPE_REGEX:
			return "regular expression";
		default:
			return "value";
	}
}

static void __attribute__((noreturn)) unfit(WmColumn *c, const bson_iter_t *value)
{
	ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
			errmsg("a BSON %s is no %s", type_name(bson_iter_type(value)),
				   format_type_be(c->base)),
			errhint("A column of type jsonb takes any value."));
}

static void
out_of_range(WmColumn *c, const bson_iter_t *value)
{
	ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			errmsg("the BSON %s %s is no %s", type_name(bson_iter_type(value)),
				   wm_describe(value), format_type_be(c->base)),
			errhint("A column of type numeric takes any number."));
}

char *
wm_describe(const bson_iter_t *value)
{
	return JsonbToCString(NULL, &wm_read_jsonb(value)->root, 64);
}

static int64
read_integer(WmColumn *c, const bson_iter_t *value)
{
	switch (bson_iter_type(value))
	{
		case BSON_TYPE_INT32:
			return bson_iter_int32(value);
		case BSON_TYPE_INT64:
			return bson_iter_int64(value);
		case BSON_TYPE_DOUBLE:
		{
			double number = bson_iter_double(value);

			if (number == rint(number) && number >= -9223372036854775808.0 &&
				number < 9223372036854775808.0)
				return (int64) number;
			out_of_range(c, value);
			break;
		}
		case BSON_TYPE_DECIMAL128:
		{
			bson_decimal128_t number;
			Numeric n;
			char *text;
			char *end;
			int64 integer;

			bson_iter_decimal128(value, &number);
			n = wm_decimal128_to_numeric(&number);
			if (numeric_is_nan(n) || numeric_is_inf(n))
				out_of_range(c, value);
			text = numeric_normalize(n);
			errno = 0;
			integer = strtoll(text, &end, 10);
			if (*end == '\0' && errno == 0)
				return integer;
			out_of_range(c, value);
			break;
		}
		default:
			unfit(c, value);
	}
	return 0;
}

static Numeric
read_numeric(WmColumn *c, const bson_iter_t *value)
{
	switch (bson_iter_type(value))
	{
		case BSON_TYPE_INT32:
			return int64_to_numeric(bson_iter_int32(value));
		case BSON_TYPE_INT64:
			return int64_to_numeric(bson_iter_int64(value));
		case BSON_TYPE_DOUBLE:
			return wm_double_to_numeric(bson_iter_double(value));
		case BSON_TYPE_DECIMAL128:
		{
			bson_decimal128_t number;

			bson_iter_decimal128(value, &number);
			return wm_decimal128_to_numeric(&number);
		}
		case BSON_TYPE_UTF8:
		{
			/* As a number that is none of these is written. */
			uint32 length;
			const char *text = bson_iter_utf8(value, &length);

			return DatumGetNumeric(
				DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(text, length)),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		}
		default:
			unfit(c, value);
	}
	return NULL;
}

static double
read_double(WmColumn *c, const bson_iter_t *value)
{
	switch (bson_iter_type(value))
	{
		case BSON_TYPE_INT32:
			return bson_iter_int32(value);
		case BSON_TYPE_INT64:
			return (double) bson_iter_int64(value);
		case BSON_TYPE_DOUBLE:
			return bson_iter_double(value);
		case BSON_TYPE_DECIMAL128:
		{
			bson_decimal128_t number;
			char text[BSON_DECIMAL128_STRING];

			bson_iter_decimal128(value, &number);
			bson_decimal128_to_string(&number, text);
			return DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(text)));
		}
		default:
			unfit(c, value);
	}
	return 0;
}

static int64
read_ms(WmColumn *c, const bson_iter_t *value)
{
	if (bson_iter_type(value) != BSON_TYPE_DATE_TIME)
		unfit(c, value);
	return bson_iter_date_time(value);
}

static void
date_out_of_range(int64 ms)
{
	ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			errmsg("the BSON date of " INT64_FORMAT " ms is out of range", ms));
}

static Timestamp
read_timestamp(WmColumn *c, const bson_iter_t *value)
{
	int64 ms = read_ms(c, value);
	Timestamp t;

	if (pg_sub_s64_overflow(ms, EPOCH_MS, &t) || pg_mul_s64_overflow(t, 1000, &t) ||
		!IS_VALID_TIMESTAMP(t))
		date_out_of_range(ms);
	return t;
}

/* Not by way of a timestamp, which ends earlier. */
static DateADT
read_date(WmColumn *c, const bson_iter_t *value)
{
	int64 ms = read_ms(c, value);
	int64 since;
	int64 days;

	if (pg_sub_s64_overflow(ms, EPOCH_MS, &since))
		date_out_of_range(ms);
	days = since / MS_PER_DAY;
	if (since % MS_PER_DAY < 0)
		days--;
	if (!IS_VALID_DATE(days))
		date_out_of_range(ms);
	return (DateADT) days;
}

/* Of strings and ObjectIds: the text, in the server's encoding. */
static char *
read_string(WmColumn *c, const bson_iter_t *value, int *length)
{
	uint32 n;
	const char *text;

	switch (bson_iter_type(value))
	{
		case BSON_TYPE_UTF8:
			text = bson_iter_utf8(value, &n);
			return wm_from_utf8(text, (int) n, length);
		case BSON_TYPE_OID:
		{
			char *digits = palloc(25);

			bson_oid_to_string(bson_iter_oid(value), digits);
			*length = 24;
			return digits;
		}
		default:
			unfit(c, value);
	}
	return NULL;
}

static int
count_elements(const bson_iter_t *array)
{
	bson_iter_t it;
	int n = 0;

	if (!bson_iter_recurse(array, &it))
		return 0;
	while (bson_iter_next(&it))
		n++;
	return n;
}

/* Fills in values from *item on; every array of one depth must have as many elements. */
static void
read_dimension(WmColumn *c, const bson_iter_t *array, int n_dims, const int *dims,
			   Datum *values, bool *nulls, int *item)
{
	bson_iter_t it;

	if (bson_iter_type(array) != BSON_TYPE_ARRAY || count_elements(array) != dims[0] ||
		!bson_iter_recurse(array, &it))
		ereport(ERROR, errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("a BSON array of arrays must have as many elements in each"),
				errhint("A column of type jsonb takes any value."));
	while (bson_iter_next(&it))
	{
		if (n_dims > 1)
			read_dimension(c, &it, n_dims - 1, dims + 1, values, nulls, item);
		else
		{
			values[*item] = wm_read_datum(c->element, &it, &nulls[*item]);
			(*item)++;
		}
	}
}

static Datum
read_array(WmColumn *c, const bson_iter_t *value)
{
	int dims[MAXDIM];
	int lower[MAXDIM];
	int n_dims = 0;
	int64 n = 1;
	bson_iter_t it = *value;
	Datum *values;
	bool *nulls;
	int item = 0;

	if (bson_iter_type(value) != BSON_TYPE_ARRAY)
		unfit(c, value);
	/* How many there are in each dimension, the first elements say. */
	for (;;)
	{
		bson_iter_t child;

		if (n_dims == MAXDIM)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("the BSON array has more dimensions than %d", MAXDIM));
		dims[n_dims] = count_elements(&it);
		lower[n_dims] = 1;
		n *= dims[n_dims];
		n_dims++;
		if (!bson_iter_recurse(&it, &child) || !bson_iter_next(&child) ||
			bson_iter_type(&child) != BSON_TYPE_ARRAY || c->element->kind == WM_JSONB ||
			c->element->kind == WM_JSON)
			break;
		it = child;
	}
	if (n == 0)
		return PointerGetDatum(construct_empty_array(c->element->type));
	/* It cannot be more than there are bytes in a document. */
	if (n > 16 * 1024 * 1024)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the BSON array has too many elements"));
	values = palloc(sizeof(Datum) * n);
	nulls = palloc(sizeof(bool) * n);
	read_dimension(c, value, n_dims, dims, values, nulls, &item);
	return PointerGetDatum(construct_md_array(values, nulls, n_dims, dims, lower,
											  c->element->type, c->element_length,
											  c->element_by_value, c->element_align));
}

static Datum
read_present(WmColumn *c, const bson_iter_t *value)
{
	switch (c->kind)
	{
		case WM_INT2:
		case WM_INT4:
		{
			int64 n = read_integer(c, value);
			int64 limit = c->kind == WM_INT2 ? PG_INT16_MAX : PG_INT32_MAX;

			if (n > limit || n < -limit - 1)
				out_of_range(c, value);
			return c->kind == WM_INT2 ? Int16GetDatum((int16) n)
									  : Int32GetDatum((int32) n);
		}
		case WM_INT8:
			return Int64GetDatum(read_integer(c, value));
		case WM_FLOAT4:
		{
			double number = read_double(c, value);
			float4 single = (float4) number;

			if (isinf(single) && !isinf(number))
				out_of_range(c, value);
			return Float4GetDatum(single);
		}
		case WM_FLOAT8:
			return Float8GetDatum(read_double(c, value));
		case WM_NUMERIC:
			return DirectFunctionCall2(numeric, NumericGetDatum(read_numeric(c, value)),
									   Int32GetDatum(c->typmod));
		case WM_BOOL:
			if (bson_iter_type(value) != BSON_TYPE_BOOL)
				unfit(c, value);
			return BoolGetDatum(bson_iter_bool(value));
		case WM_TEXT:
		{
			int length;
			char *text = read_string(c, value, &length);

			if (c->base == TEXTOID)
				return PointerGetDatum(cstring_to_text_with_len(text, length));
			return InputFunctionCall(&c->input, pnstrdup(text, length),
									 c->input_parameter, c->typmod);
		}
		case WM_OTHER:
		{
			int length;
			char *text = read_string(c, value, &length);

			return InputFunctionCall(&c->input, pnstrdup(text, length),
									 c->input_parameter, c->typmod);
		}
		case WM_UUID:
		case WM_BYTEA:
		{
			bson_subtype_t subtype;
			uint32 length;
			const uint8 *data;

			if (bson_iter_type(value) != BSON_TYPE_BINARY)
				unfit(c, value);
			bson_iter_binary(value, &subtype, &length, &data);
			if (c->kind == WM_UUID)
			{
				pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));

				if (subtype != BSON_SUBTYPE_UUID || length != UUID_LEN)
					unfit(c, value);
				memcpy(uuid->data, data, UUID_LEN);
				return UUIDPGetDatum(uuid);
			}
			return PointerGetDatum(
				cstring_to_text_with_len((const char *) data, (int) length));
		}
		case WM_DATE:
			return DateADTGetDatum(read_date(c, value));
		case WM_TIMESTAMP:
		{
			Timestamp t = read_timestamp(c, value);

			if (c->typmod >= 0 && c->typmod < 3)
				return DirectFunctionCall2(timestamp_scale, TimestampGetDatum(t),
										   Int32GetDatum(c->typmod));
			return TimestampGetDatum(t);
		}
		case WM_JSONB:
			return JsonbPGetDatum(wm_read_jsonb(value));
		case WM_JSON:
		{
			Jsonb *jb = wm_read_jsonb(value);

			return CStringGetTextDatum(JsonbToCString(NULL, &jb->root, VARSIZE(jb)));
		}
		case WM_ARRAY:
			return read_array(c, value);
	}
	return (Datum) 0;
}

Datum
wm_read_datum(WmColumn *c, const bson_iter_t *value, bool *isnull)
{
	Datum datum = (Datum) 0;

	*isnull = bson_iter_type(value) == BSON_TYPE_NULL ||
			  bson_iter_type(value) == BSON_TYPE_UNDEFINED;
	if (!*isnull)
		datum = read_present(c, value);
	if (c->is_domain)
		domain_check(datum, *isnull, c->type, &c->domain_state, c->context);
	return datum;
}
