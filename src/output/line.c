/*
 * line.c
 *		data, the jsonb of a row → a line of JSON.
 *
 * JsonbToCString would do but for its spaces, and for leaving characters as they are that
 * end lines elsewhere.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "output/line.h"
#include "base/text.h"

static void
append_escaped(StringInfo line, unsigned c)
{
	switch (c)
	{
		case '"':
			appendStringInfoString(line, "\\\"");
			break;
		case '\\':
			appendStringInfoString(line, "\\\\");
			break;
		case '\n':
			appendStringInfoString(line, "\\n");
			break;
		case '\r':
			appendStringInfoString(line, "\\r");
			break;
		case '\t':
			appendStringInfoString(line, "\\t");
			break;
		default:
			appendStringInfo(line, "\\u%04x", c);
			break;
	}
}

/*
 * The character at p that is to be escaped; 0: it goes as it is.  *length: its bytes.  What
 * is not UTF-8, where a database in SQL_ASCII let it in, is U+FFFD.
 */
static unsigned
special_character(const unsigned char *p, size_t left, int *length)
{
	*length = 1;
	if (*p < 0x80)
		return (*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7F) ? *p : 0;
	*length = wt_utf8_sequence(p, left);
	if (*length == 0)
	{
		*length = 1;
		return 0xFFFD;
	}
	if (p[0] == 0xC2 && p[1] < 0xA0)
		return p[1];
	if (p[0] == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9))
		return 0x2000u | (p[2] & 0x3F);
	return 0;
}

static void
append_string(StringInfo line, const char *text, int length)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;
	const unsigned char *plain = p; /* where what goes as it is begins */

	appendStringInfoCharMacro(line, '"');
	while (p < end)
	{
		int n;
		unsigned c = special_character(p, (size_t) (end - p), &n);

		if (c != 0 || *p == 0)
		{
			appendBinaryStringInfo(line, (const char *) plain, (int) (p - plain));
			append_escaped(line, c);
			plain = p + n;
		}
		p += n;
	}
	appendBinaryStringInfo(line, (const char *) plain, (int) (p - plain));
	appendStringInfoCharMacro(line, '"');
}

static void
append_scalar(StringInfo line, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(line, "null");
			break;
		case jbvBool:
			appendStringInfoString(line, value->val.boolean ? "true" : "false");
			break;
		case jbvString:
			append_string(line, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			appendStringInfoString(
				line, DatumGetCString(DirectFunctionCall1(
						  numeric_out, NumericGetDatum(value->val.numeric))));
			break;
		default:
			elog(ERROR, "unexpected type of a jsonb value: %d", (int) value->type);
	}
}

void
wt_line_append(StringInfo line, Jsonb *data, int32 status)
{
	JsonbIterator *iterator = JsonbIteratorInit(&data->root);
	JsonbIteratorToken token;
	JsonbValue value;
	int depth = 0;
	bool comma = false; /* before what comes next */

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		bool ends = (token == WJB_END_OBJECT || token == WJB_END_ARRAY);

		if (comma && !ends)
			appendStringInfoCharMacro(line, ',');
		switch (token)
		{
			case WJB_BEGIN_OBJECT:
			case WJB_BEGIN_ARRAY:
				appendStringInfoCharMacro(line, token == WJB_BEGIN_OBJECT ? '{' : '[');
				depth++;
				break;
			case WJB_KEY:
				append_scalar(line, &value);
				appendStringInfoCharMacro(line, ':');
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				append_scalar(line, &value);
				break;
			case WJB_END_OBJECT:
			case WJB_END_ARRAY:
				if (--depth == 0 && status != 0 && token == WJB_END_OBJECT)
					appendStringInfo(line, "%s\"status\":%d", comma ? "," : "", status);
				appendStringInfoCharMacro(line, token == WJB_END_OBJECT ? '}' : ']');
				break;
			case WJB_DONE:
				break;
		}
		comma = (ends || token == WJB_VALUE || token == WJB_ELEM);
	}
	appendStringInfoCharMacro(line, '\n');
}
