/*
 * bson_to_jsonb.c
 *		BSON → jsonb, directly.
 *
 * Not by way of libbson's JSON, which prints 0.1 as 0.10000000000000000555 and ends at a
 * depth of 200.  What JSON has no type for becomes Extended JSON, see convert.h.
 */
#include "postgres.h"

#include <math.h>

#include "common/base64.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "convert.h"
#include "number.h"

static JsonbValue *push_value(JsonbParseState **state, JsonbIteratorToken token,
							  const bson_iter_t *value);

bool
wm_format_date(int64 ms, char text[32])
{
	int64 days = ms / (SECS_PER_DAY * INT64CONST(1000));
	int64 rest = ms % (SECS_PER_DAY * INT64CONST(1000));
	int year;
	int month;
	int day;

	if (rest < 0)
	{
		rest += SECS_PER_DAY * INT64CONST(1000);
		days--;
	}
	/* Years 1 to 9999. */
	if (days < -719162 || days > 2932896)
		return false;
	j2date((int) days + UNIX_EPOCH_JDATE, &year, &month, &day);
	if (rest % 1000 != 0)
		snprintf(text, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
				 (int) (rest / 3600000), (int) (rest / 60000 % 60),
				 (int) (rest / 1000 % 60), (int) (rest % 1000));
	else
		snprintf(text, 32, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day,
				 (int) (rest / 3600000), (int) (rest / 60000 % 60),
				 (int) (rest / 1000 % 60));
	return true;
}

static void
set_string(JsonbValue *v, const char *text, int length)
{
	v->type = jbvString;
	v->val.string.val = wm_from_utf8(text, length, &v->val.string.len);
}

static void
push_key(JsonbParseState **state, const char *name, int length)
{
	JsonbValue key;

	set_string(&key, name, length);
	pushJsonbValue(state, WJB_KEY, &key);
}

static void
push_string_member(JsonbParseState **state, const char *name, const char *text,
				   int length)
{
	JsonbValue v;

	push_key(state, name, (int) strlen(name));
	/* A jsonb under construction points to its strings, and text may be on a stack. */
	set_string(&v, pnstrdup(text, length), length);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_number_member(JsonbParseState **state, const char *name, int64 number)
{
	JsonbValue v;

	push_key(state, name, (int) strlen(name));
	v.type = jbvNumeric;
	v.val.numeric = int64_to_numeric(number);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_document(JsonbParseState **state, bson_iter_t *it)
{
	while (bson_iter_next(it))
	{
		push_key(state, bson_iter_key(it), (int) bson_iter_key_len(it));
		push_value(state, WJB_VALUE, it);
	}
}

static void
push_array(JsonbParseState **state, bson_iter_t *it)
{
	while (bson_iter_next(it))
		push_value(state, WJB_ELEM, it);
}

static void
corrupt(void)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("MongoDB sent malformed BSON"));
}

/* What BSON has and JSON has not, as an object of one member. */
static JsonbValue *
push_extended(JsonbParseState **state, const bson_iter_t *value)
{
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	switch (bson_iter_type(value))
	{
		case BSON_TYPE_OID:
		{
			char text[25];

			bson_oid_to_string(bson_iter_oid(value), text);
			push_string_member(state, "$oid", text, 24);
			break;
		}
		case BSON_TYPE_DATE_TIME:
		{
			int64 ms = bson_iter_date_time(value);
			char text[32];

			if (wm_format_date(ms, text))
				push_string_member(state, "$date", text, (int) strlen(text));
			else
			{
				push_key(state, "$date", 5);
				pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
				snprintf(text, sizeof(text), INT64_FORMAT, ms);
				push_string_member(state, "$numberLong", text, (int) strlen(text));
				pushJsonbValue(state, WJB_END_OBJECT, NULL);
			}
			break;
		}
		case BSON_TYPE_BINARY:
		{
			bson_subtype_t subtype;
			uint32 length;
			const uint8 *data;
			char number[3];
			char *text;
			int room;
			int n;

			bson_iter_binary(value, &subtype, &length, &data);
			room = pg_b64_enc_len((int) length);
			text = palloc(room + 1);
			n = wm_b64_encode(data, (int) length, text, room);
			snprintf(number, sizeof(number), "%02x", (unsigned) subtype & 0xff);
			push_key(state, "$binary", 7);
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			push_string_member(state, "base64", text, n);
			push_string_member(state, "subType", number, 2);
			pushJsonbValue(state, WJB_END_OBJECT, NULL);
			break;
		}
		case BSON_TYPE_DOUBLE:
		{
			double number = bson_iter_double(value);
			const char *text = isnan(number) ? "NaN"
							   : number > 0	 ? "Infinity"
											 : "-Infinity";

			push_string_member(state, "$numberDouble", text, (int) strlen(text));
			break;
		}
		case BSON_TYPE_DECIMAL128:
		{
			bson_decimal128_t number;
			char text[BSON_DECIMAL128_STRING];

			bson_iter_decimal128(value, &number);
			bson_decimal128_to_string(&number, text);
			push_string_member(state, "$numberDecimal", text, (int) strlen(text));
			break;
		}
		case BSON_TYPE_TIMESTAMP:
		{
			uint32 seconds;
			uint32 increment;

			bson_iter_timestamp(value, &seconds, &increment);
			push_key(state, "$timestamp", 10);
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			push_number_member(state, "t", seconds);
			push_number_member(state, "i", increment);
			pushJsonbValue(state, WJB_END_OBJECT, NULL);
			break;
		}
		case BSON_TYPE_REGEX:
		{
			const char *flags;
			const char *pattern = bson_iter_regex(value, &flags);

			push_key(state, "$regularExpression", 18);
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			push_string_member(state, "pattern", pattern, (int) strlen(pattern));
			push_string_member(state, "options", flags, (int) strlen(flags));
			pushJsonbValue(state, WJB_END_OBJECT, NULL);
			break;
		}
		case BSON_TYPE_DBPOINTER:
		{
			uint32 length;
			const char *collection;
			const bson_oid_t *oid;
			char text[25];

			bson_iter_dbpointer(value, &length, &collection, &oid);
			bson_oid_to_string(oid, text);
			push_key(state, "$dbPointer", 10);
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			push_string_member(state, "$ref", collection, (int) strlen(collection));
			push_key(state, "$id", 3);
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			push_string_member(state, "$oid", text, 24);
			pushJsonbValue(state, WJB_END_OBJECT, NULL);
			pushJsonbValue(state, WJB_END_OBJECT, NULL);
			break;
		}
		case BSON_TYPE_CODE:
		{
			uint32 length;
			const char *code = bson_iter_code(value, &length);

			push_string_member(state, "$code", code, (int) length);
			break;
		}
		case BSON_TYPE_CODEWSCOPE:
		{
			uint32 length;
			uint32 scope_length;
			const uint8 *scope;
			const char *code =
				bson_iter_codewscope(value, &length, &scope_length, &scope);
			bson_t document;
			bson_iter_t it;

			if (!bson_init_static(&document, scope, scope_length) ||
				!bson_iter_init(&it, &document))
				corrupt();
			push_string_member(state, "$code", code, (int) strlen(code));
			push_key(state, "$scope", 6);
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			push_document(state, &it);
			pushJsonbValue(state, WJB_END_OBJECT, NULL);
			break;
		}
		case BSON_TYPE_SYMBOL:
		{
			uint32 length;
			const char *text = bson_iter_symbol(value, &length);

			push_string_member(state, "$symbol", text, (int) length);
			break;
		}
		case BSON_TYPE_MINKEY:
			push_number_member(state, "$minKey", 1);
			break;
		case BSON_TYPE_MAXKEY:
			push_number_member(state, "$maxKey", 1);
			break;
		case BSON_TYPE_UNDEFINED:
		{
			JsonbValue v = {.type = jbvBool};

			v.val.boolean = true;
			push_key(state, "$undefined", 10);
			pushJsonbValue(state, WJB_VALUE, &v);
			break;
		}
		default:
			ereport(ERROR, errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
					errmsg("unknown type %d of BSON", (int) bson_iter_type(value)));
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* A value that is no container here or there; false: it is one. */
static bool
scalar(const bson_iter_t *value, JsonbValue *v)
{
	switch (bson_iter_type(value))
	{
		case BSON_TYPE_NULL:
			v->type = jbvNull;
			return true;
		case BSON_TYPE_BOOL:
			v->type = jbvBool;
			v->val.boolean = bson_iter_bool(value);
			return true;
		case BSON_TYPE_INT32:
			v->type = jbvNumeric;
			v->val.numeric = int64_to_numeric(bson_iter_int32(value));
			return true;
		case BSON_TYPE_INT64:
			v->type = jbvNumeric;
			v->val.numeric = int64_to_numeric(bson_iter_int64(value));
			return true;
		case BSON_TYPE_DOUBLE:
			if (isnan(bson_iter_double(value)) || isinf(bson_iter_double(value)))
				return false;
			v->type = jbvNumeric;
			v->val.numeric = wm_double_to_numeric(bson_iter_double(value));
			return true;
		case BSON_TYPE_DECIMAL128:
		{
			bson_decimal128_t number;
			Numeric n;

			bson_iter_decimal128(value, &number);
			n = wm_decimal128_to_numeric(&number);
			if (numeric_is_nan(n) || numeric_is_inf(n))
				return false;
			v->type = jbvNumeric;
			v->val.numeric = n;
			return true;
		}
		case BSON_TYPE_UTF8:
		{
			uint32 length;
			const char *text = bson_iter_utf8(value, &length);

			set_string(v, text, (int) length);
			return true;
		}
		default:
			return false;
	}
}

static JsonbValue *
push_value(JsonbParseState **state, JsonbIteratorToken token, const bson_iter_t *value)
{
	JsonbValue v;
	bson_iter_t children;
	bool is_array;

	if (scalar(value, &v))
		return pushJsonbValue(state, token, &v);
	is_array = bson_iter_type(value) == BSON_TYPE_ARRAY;
	if (!is_array && bson_iter_type(value) != BSON_TYPE_DOCUMENT)
		return push_extended(state, value);
	check_stack_depth();
	if (!bson_iter_recurse(value, &children))
		corrupt();
	pushJsonbValue(state, is_array ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
	if (is_array)
		push_array(state, &children);
	else
		push_document(state, &children);
	if (children.err_off > 0)
		corrupt();
	return pushJsonbValue(state, is_array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
}

Jsonb *
wm_read_jsonb(const bson_iter_t *value)
{
	JsonbParseState *state = NULL;
	JsonbValue v;

	if (scalar(value, &v))
		return JsonbValueToJsonb(&v);
	return JsonbValueToJsonb(push_value(&state, WJB_VALUE, value));
}

Jsonb *
wm_read_document(const bson_t *document)
{
	JsonbParseState *state = NULL;
	bson_iter_t it;

	if (!bson_iter_init(&it, document))
		corrupt();
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_document(&state, &it);
	if (it.err_off > 0)
		corrupt();
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
