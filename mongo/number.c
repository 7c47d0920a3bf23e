/*
 * number.c
 *		Numbers between PostgreSQL's numeric and BSON's four kinds, without loss.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "bson_writer.h"
#include "number.h"

/* Of as many digits, every number within the range of doubles is told from its neighbours. */
#define DOUBLE_DIGITS 15
#define DECIMAL128_DIGITS 34

static Numeric
to_numeric(const char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

static bool
is_equal(Numeric a, Numeric b)
{
	return DatumGetBool(
		DirectFunctionCall2(numeric_eq, NumericGetDatum(a), NumericGetDatum(b)));
}

/* Of a number's text: its digits without leading and trailing zeros; is it an integer? */
static int
significant_digits(const char *text, bool *is_integer)
{
	int digits = 0;
	int zeros = 0;

	*is_integer = true;
	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '.')
			*is_integer = false;
		else if (*p == '0')
			zeros += digits > 0;
		else if (*p != '-')
		{
			digits += zeros + 1;
			zeros = 0;
		}
	}
	return digits;
}

Numeric
wm_double_to_numeric(double value)
{
	char text[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (value == rint(value) && fabs(value) < 9007199254740992.0)
		return int64_to_numeric((int64) value);
	if (isnan(value))
		return to_numeric("NaN");
	if (isinf(value))
		return to_numeric(value > 0 ? "Infinity" : "-Infinity");
	double_to_shortest_decimal_buf(value, text);
	return to_numeric(text);
}

Numeric
wm_decimal128_to_numeric(const bson_decimal128_t *value)
{
	char text[BSON_DECIMAL128_STRING];

	bson_decimal128_to_string(value, text);
	return to_numeric(text);
}

bool
wm_write_decimal128(StringInfo out, const char *name, int name_length, Numeric number)
{
	char *text =
		DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	bool is_integer;
	bson_decimal128_t decimal;

	/* More digits than it holds are dropped without a word, so it is read back. */
	if ((numeric_is_nan(number) || numeric_is_inf(number) ||
		 significant_digits(text, &is_integer) <= DECIMAL128_DIGITS) &&
		bson_decimal128_from_string(text, &decimal) &&
		is_equal(number, wm_decimal128_to_numeric(&decimal)))
	{
		wm_bson_decimal128(out, name, name_length, &decimal);
		return true;
	}
	/* Zeros at the end count as digits there: try without. */
	text = numeric_normalize(number);
	if (significant_digits(text, &is_integer) <= DECIMAL128_DIGITS)
	{
		size_t length = strlen(text);
		size_t zeros = 0;

		if (is_integer)
		{
			while (zeros + 1 < length && text[length - 1 - zeros] == '0')
				zeros++;
		}
		text = psprintf("%.*sE%zu", (int) (length - zeros), text, zeros);
		if (bson_decimal128_from_string(text, &decimal) &&
			is_equal(number, wm_decimal128_to_numeric(&decimal)))
		{
			wm_bson_decimal128(out, name, name_length, &decimal);
			return true;
		}
	}
	return false;
}

void
wm_write_number(StringInfo out, const char *name, int name_length, Numeric number)
{
	char *text;
	int digits;
	bool is_integer;

	if (numeric_is_nan(number) || numeric_is_inf(number))
	{
		wm_write_decimal128(out, name, name_length, number);
		return;
	}
	text = numeric_normalize(number);
	digits = significant_digits(text, &is_integer);
	if (is_integer && strlen(text) <= 20)
	{
		int64 integer;

		errno = 0;
		integer = strtoll(text, NULL, 10);
		if (errno == 0)
		{
			if (integer >= PG_INT32_MIN && integer <= PG_INT32_MAX)
				wm_bson_int32(out, name, name_length, (int32) integer);
			else
				wm_bson_int64(out, name, name_length, integer);
			pfree(text);
			return;
		}
	}
	if (digits <= 17)
	{
		double value = strtod(text, NULL);

		if (!isinf(value) && ((digits <= DOUBLE_DIGITS && fabs(value) > 1e-300) ||
							  is_equal(number, wm_double_to_numeric(value))))
		{
			wm_bson_double(out, name, name_length, value);
			pfree(text);
			return;
		}
	}
	if (!wm_write_decimal128(out, name, name_length, number))
	{
		char *all =
			DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

		wm_bson_string(out, name, name_length, all, (int) strlen(all));
	}
	pfree(text);
}
