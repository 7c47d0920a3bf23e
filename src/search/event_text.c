/*
 * event_text.c
 *		windtrap.event_text(): the names and values of an event, as text for the search of words.
 *
 * Not JSON, so that a phrase is found whatever JSON would escape in it, and none of JSON's marks
 * is.  The function is immutable and used in indexes: a change here changes what these hold, and
 * has to tell its users to reindex.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(windtrap_event_text);

/* What the collector says of an event.  The rest of data is what was sent. */
static const char *const envelope[] = {
	"id",	"time",	  "timezone", "ip",		 "source",
	"host", "method", "path",	  "headers", "protocol",
};

static bool
is_envelope(const JsonbValue *key)
{
	for (size_t i = 0; i < lengthof(envelope); i++)
		if (key->val.string.len == (int) strlen(envelope[i]) &&
			memcmp(key->val.string.val, envelope[i], key->val.string.len) == 0)
			return true;
	return false;
}

static void
add(StringInfo out, const char *text, int length)
{
	appendBinaryStringInfo(out, text, length);
	appendStringInfoChar(out, '\n');
}

static void
add_scalar(StringInfo out, const JsonbValue *value)
{
	char *number;

	switch (value->type)
	{
		case jbvString:
			add(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			number = DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			add(out, number, (int) strlen(number));
			pfree(number);
			break;
		case jbvBool:
			add(out, value->val.boolean ? "true" : "false", value->val.boolean ? 4 : 5);
			break;
		case jbvNull:
			add(out, "null", 4);
			break;
		default:
			break;
	}
}

/*
 * windtrap.event_text(data jsonb) → text: each name and value of what was sent, a line each.  The
 * name "json", which stands around every event, is none.
 */
Datum
windtrap_event_text(PG_FUNCTION_ARGS)
{
	Jsonb *data = PG_GETARG_JSONB_P(0);
	JsonbIterator *it = JsonbIteratorInit(&data->root);
	JsonbIteratorToken token;
	JsonbValue value;
	StringInfoData out;
	int depth = 0;

	initStringInfo(&out);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_BEGIN_OBJECT:
			case WJB_BEGIN_ARRAY:
				depth++;
				break;
			case WJB_END_OBJECT:
			case WJB_END_ARRAY:
				depth--;
				break;
			case WJB_KEY:
				/* What is skipped comes as one value. */
				if (depth == 1 && is_envelope(&value))
					(void) JsonbIteratorNext(&it, &value, true);
				else if (depth > 1 || value.val.string.len != 4 ||
						 memcmp(value.val.string.val, "json", 4) != 0)
					add(&out, value.val.string.val, value.val.string.len);
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				add_scalar(&out, &value);
				break;
			default:
				break;
		}
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
