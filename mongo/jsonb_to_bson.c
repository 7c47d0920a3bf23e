/*
 * jsonb_to_bson.c
 *		jsonb → BSON.
 *
 * Recursion over jsonb's own containers: no tree is built.  The names "$…" of Extended
 * JSON are honoured where convert.h says.
 */
#include "postgres.h"

#include "common/base64.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/jsonb.h"

#include "bson_writer.h"
#include "compat.h"
#include "convert.h"
#include "number.h"

static void write_value(StringInfo out, const char *name, int name_length,
						const JsonbValue *value, int depth);

static bool
is_hexadecimal(const char *text, int length)
{
	for (int i = 0; i < length; i++)
	{
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	}
	return true;
}

bool
wm_write_oid_text(StringInfo out, const char *name, int name_length, const char *text,
				  int length)
{
	char digits[25];
	bson_oid_t oid;

	if (length != 24 || !is_hexadecimal(text, length))
		return false;
	memcpy(digits, text, 24);
	digits[24] = '\0';
	bson_oid_init_from_string(&oid, digits);
	wm_bson_oid(out, name, name_length, &oid);
	return true;
}

static int
two_digits(const char *p)
{
	return (p[0] - '0') * 10 + (p[1] - '0');
}

/* Reads what wm_format_date writes, and that with ".000" too. */
static bool
parse_date(const char *text, int length, int64 *ms)
{
	static const char pattern[] = "dddd-dd-ddTdd:dd:dd";
	char again[32];
	int year;
	int fraction = 0;

	if (length != 20 && length != 24)
		return false;
	for (int i = 0; i < 19; i++)
	{
		if (pattern[i] == 'd' ? (text[i] < '0' || text[i] > '9') : text[i] != pattern[i])
			return false;
	}
	if (length == 24)
	{
		if (text[19] != '.')
			return false;
		for (int i = 20; i < 23; i++)
		{
			if (text[i] < '0' || text[i] > '9')
				return false;
			fraction = fraction * 10 + (text[i] - '0');
		}
	}
	if (text[length - 1] != 'Z')
		return false;
	year = two_digits(text) * 100 + two_digits(text + 2);
	if (year < 1 || two_digits(text + 5) < 1 || two_digits(text + 5) > 12)
		return false;
	*ms = ((int64) date2j(year, two_digits(text + 5), two_digits(text + 8)) -
		   UNIX_EPOCH_JDATE) *
			  SECS_PER_DAY +
		  (two_digits(text + 11) * 60 + two_digits(text + 14)) * 60 +
		  two_digits(text + 17);
	*ms = *ms * 1000 + fraction;
	/* The 31st of June is written as the 1st of July. */
	if (!wm_format_date(*ms, again))
		return false;
	return memcmp(again, text, 19) == 0;
}

static bool
write_binary(StringInfo out, const char *name, int name_length, JsonbContainer *container)
{
	JsonbValue base64;
	JsonbValue subtype;
	char *data;
	char *again;
	int room;
	int length;
	int n;
	uint8 number;

	if (!JsonContainerIsObject(container) || JsonContainerSize(container) != 2 ||
		getKeyJsonValueFromContainer(container, "base64", 6, &base64) == NULL ||
		getKeyJsonValueFromContainer(container, "subType", 7, &subtype) == NULL ||
		base64.type != jbvString || subtype.type != jbvString ||
		subtype.val.string.len != 2 || !is_hexadecimal(subtype.val.string.val, 2))
		return false;
	number = (uint8) strtol(pnstrdup(subtype.val.string.val, 2), NULL, 16);
	/* Subtype 2 has its length within itself once more, which libbson checks. */
	if (number == BSON_SUBTYPE_BINARY_DEPRECATED)
		return false;
	room = pg_b64_dec_len(base64.val.string.len);
	data = palloc(room + 1);
	length = wm_b64_decode(base64.val.string.val, base64.val.string.len, data, room);
	if (length < 0)
		return false;
	room = pg_b64_enc_len(length);
	again = palloc(room + 1);
	n = wm_b64_encode(data, length, again, room);
	if (n != base64.val.string.len || memcmp(again, base64.val.string.val, n) != 0)
		return false;
	wm_bson_binary(out, name, name_length, number, data, length);
	pfree(again);
	pfree(data);
	return true;
}

static bool
is_string(const JsonbValue *value, const char *text)
{
	return value->type == jbvString && value->val.string.len == (int) strlen(text) &&
		   memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

/* A whole number of 32 bits without sign. */
static bool
get_uint32(JsonbContainer *container, const char *name, uint32 *number)
{
	JsonbValue value;
	char *text;
	char *end;
	unsigned long n;

	if (getKeyJsonValueFromContainer(container, name, (int) strlen(name), &value) ==
			NULL ||
		value.type != jbvNumeric)
		return false;
	text = numeric_normalize(value.val.numeric);
	errno = 0;
	n = strtoul(text, &end, 10);
	*number = (uint32) n;
	return *text != '-' && *end == '\0' && errno == 0 && n <= PG_UINT32_MAX;
}

/* Writes an object of one member as the BSON value that it stands for; false: for none. */
static bool
write_extended(StringInfo out, const char *name, int name_length, JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue key;
	JsonbValue value;

	(void) JsonbIteratorNext(&it, &value, true);
	(void) JsonbIteratorNext(&it, &key, true);
	(void) JsonbIteratorNext(&it, &value, true);

	if (is_string(&key, "$oid"))
		return value.type == jbvString &&
			   wm_write_oid_text(out, name, name_length, value.val.string.val,
								 value.val.string.len);
	if (is_string(&key, "$date"))
	{
		int64 ms;
		char text[32];

		if (value.type == jbvString)
		{
			if (!parse_date(value.val.string.val, value.val.string.len, &ms))
				return false;
		}
		else
		{
			JsonbValue number;
			char *digits;

			/* Years that the text has no place for. */
			if (value.type != jbvBinary ||
				!JsonContainerIsObject(value.val.binary.data) ||
				JsonContainerSize(value.val.binary.data) != 1 ||
				getKeyJsonValueFromContainer(value.val.binary.data, "$numberLong", 11,
											 &number) == NULL ||
				number.type != jbvString || number.val.string.len > 20)
				return false;
			digits = pnstrdup(number.val.string.val, number.val.string.len);
			errno = 0;
			ms = strtoll(digits, NULL, 10);
			if (errno != 0 || strcmp(digits, psprintf(INT64_FORMAT, ms)) != 0 ||
				wm_format_date(ms, text))
				return false;
		}
		wm_bson_date(out, name, name_length, ms);
		return true;
	}
	if (is_string(&key, "$binary"))
		return value.type == jbvBinary &&
			   write_binary(out, name, name_length, value.val.binary.data);
	if (is_string(&key, "$numberDouble"))
	{
		double number;

		if (is_string(&value, "NaN"))
			number = get_float8_nan();
		else if (is_string(&value, "Infinity"))
			number = get_float8_infinity();
		else if (is_string(&value, "-Infinity"))
			number = -get_float8_infinity();
		else
			return false;
		wm_bson_double(out, name, name_length, number);
		return true;
	}
	if (is_string(&key, "$numberDecimal"))
	{
		bson_decimal128_t number;

		if (!is_string(&value, "NaN") && !is_string(&value, "Infinity") &&
			!is_string(&value, "-Infinity"))
			return false;
		bson_decimal128_from_string(pnstrdup(value.val.string.val, value.val.string.len),
									&number);
		wm_bson_decimal128(out, name, name_length, &number);
		return true;
	}
	if (is_string(&key, "$timestamp"))
	{
		uint32 seconds;
		uint32 increment;

		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data) ||
			JsonContainerSize(value.val.binary.data) != 2 ||
			!get_uint32(value.val.binary.data, "t", &seconds) ||
			!get_uint32(value.val.binary.data, "i", &increment))
			return false;
		wm_bson_timestamp(out, name, name_length, seconds, increment);
		return true;
	}
	if (is_string(&key, "$regularExpression"))
	{
		JsonbValue pattern;
		JsonbValue flags;

		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data) ||
			JsonContainerSize(value.val.binary.data) != 2 ||
			getKeyJsonValueFromContainer(value.val.binary.data, "pattern", 7, &pattern) ==
				NULL ||
			getKeyJsonValueFromContainer(value.val.binary.data, "options", 7, &flags) ==
				NULL ||
			pattern.type != jbvString || flags.type != jbvString)
			return false;
		wm_bson_regex(out, name, name_length, pattern.val.string.val,
					  pattern.val.string.len, flags.val.string.val, flags.val.string.len);
		return true;
	}
	if (is_string(&key, "$minKey") || is_string(&key, "$maxKey"))
	{
		if (value.type != jbvNumeric ||
			strcmp(numeric_normalize(value.val.numeric), "1") != 0)
			return false;
		wm_bson_bare(out, name, name_length,
					 is_string(&key, "$minKey") ? BSON_TYPE_MINKEY : BSON_TYPE_MAXKEY);
		return true;
	}
	return false;
}

/* Whether the object's only member has a name that begins with "$". */
static bool
may_be_extended(JsonbContainer *object)
{
	return JsonContainerSize(object) == 1 && JBE_OFFLENFLD(object->children[0]) > 0 &&
		   *(char *) &object->children[2] == '$';
}

static void
write_container(StringInfo out, JsonbContainer *container, int depth)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue value;
	JsonbIteratorToken token;
	int i = 0;

	check_stack_depth();
	if (depth > WM_MAX_DEPTH)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the document is nested deeper than %d levels", WM_MAX_DEPTH));
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
		{
			char name[12];
			int name_length = wm_bson_index(i++, name);

			write_value(out, name, name_length, &value, depth);
		}
		else if (token == WJB_KEY)
		{
			int name_length;
			const char *name =
				wm_to_utf8(value.val.string.val, value.val.string.len, &name_length);

			(void) JsonbIteratorNext(&it, &value, true);
			write_value(out, name, name_length, &value, depth);
		}
	}
}

static void
write_value(StringInfo out, const char *name, int name_length, const JsonbValue *value,
			int depth)
{
	switch (value->type)
	{
		case jbvNull:
			wm_bson_null(out, name, name_length);
			break;
		case jbvBool:
			wm_bson_bool(out, name, name_length, value->val.boolean);
			break;
		case jbvNumeric:
			wm_write_number(out, name, name_length, value->val.numeric);
			break;
		case jbvString:
		{
			int length;
			const char *text =
				wm_to_utf8(value->val.string.val, value->val.string.len, &length);

			wm_bson_string(out, name, name_length, text, length);
			break;
		}
		case jbvBinary:
		{
			JsonbContainer *container = value->val.binary.data;
			int begun;

			if (JsonContainerIsObject(container) && may_be_extended(container) &&
				write_extended(out, name, name_length, container))
				break;
			if (JsonContainerIsArray(container))
				begun = wm_bson_begin_array(out, name, name_length);
			else
				begun = wm_bson_begin_document(out, name, name_length);
			write_container(out, container, depth + 1);
			wm_bson_end(out, begun);
			break;
		}
		default:
			elog(ERROR, "unknown type of jsonb: %d", (int) value->type);
	}
}

void
wm_write_jsonb(StringInfo out, const char *name, int name_length, Jsonb *jb)
{
	JsonbValue value;

	if (JB_ROOT_IS_SCALAR(jb))
		(void) JsonbExtractScalar(&jb->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &jb->root;
		value.val.binary.len = VARSIZE(jb) - VARHDRSZ;
	}
	write_value(out, name, name_length, &value, 1);
}

void
wm_write_members(StringInfo out, Jsonb *jb,
				 bool (*skip)(void *argument, const char *name, int length),
				 void *argument)
{
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(jb))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a document must be a JSON object"));
	it = JsonbIteratorInit(&jb->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		int name_length;
		const char *name;

		if (token != WJB_KEY)
			continue;
		name = wm_to_utf8(value.val.string.val, value.val.string.len, &name_length);
		(void) JsonbIteratorNext(&it, &value, true);
		if (!skip(argument, name, name_length))
			write_value(out, name, name_length, &value, 1);
	}
}
