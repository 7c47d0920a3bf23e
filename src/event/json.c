/*
 * json.c
 *		A strict JSON parser: text in, a flat list of tokens out (see json.h).
 *
 * One pass, no recursion: the open containers stand on a small stack, so depth costs
 * nothing but WT_JSON_MAX_DEPTH integers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "event/json.h"
#include "base/text.h"

/* What a parse works on; lives on the stack of wt_json_parse. */
typedef struct Parse
{
	WtJson *json;
	const char *text;
	const char *p; /* the next byte to read */
	const char *end;
	int levels;			/* of nesting that it may have */
	size_t before;		/* bytes of scratch that are of what was there before */
	size_t number_text; /* what the numbers so far would print as */
	bool unfit;			/* error says why it cannot be stored; parse on for its end */
	bool ran_out;		/* what is wrong is that the text ends */
	WtJsonError *error;
} Parse;

static void set_error(Parse *parse, const char *at, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void
set_error(Parse *parse, const char *at, const char *format, va_list args)
{
	parse->error->offset = (size_t) (at - parse->text);
	vsnprintf(parse->error->reason, sizeof(parse->error->reason), format, args);
}

static WtJsonResult bad(Parse *parse, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void unfit(Parse *parse, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* This is not JSON. */
static WtJsonResult
bad(Parse *parse, const char *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(parse, at, format, args);
	va_end(args);
	return WT_JSON_BAD;
}

/* This cannot be stored; the first reason is the one that is told. */
static void
unfit(Parse *parse, const char *at, const char *format, ...)
{
	va_list args;

	if (parse->unfit)
		return;
	parse->unfit = true;
	va_start(args, format);
	set_error(parse, at, format, args);
	va_end(args);
}

/* "expected X, found Y", where Y is what stands at `at`. */
static WtJsonResult
unexpected(Parse *parse, const char *at, const char *expected)
{
	unsigned char c;

	if (at >= parse->end)
	{
		parse->ran_out = true;
		return bad(parse, at, "expected %s, found the end of the text", expected);
	}
	c = (unsigned char) *at;
	if (c > 0x20 && c < 0x7F)
		return bad(parse, at, "expected %s, found '%c'", expected, c);
	if (c >= 0x80 &&
		wt_utf8_sequence((const unsigned char *) at, (size_t) (parse->end - at)) > 0)
		return bad(parse, at, "expected %s, found a character that is not ASCII",
				   expected);
	return bad(parse, at, "expected %s, found the byte 0x%02x", expected, c);
}

static inline void
skip_space(Parse *parse)
{
	parse->p = wt_json_skip_space(parse->p, parse->end);
}

/* Reads the four digits of a \u escape; at is the backslash. */
static WtJsonResult
read_hex4(Parse *parse, const char *at, uint32_t *unit)
{
	uint32_t u = 0;

	for (int i = 2; i < 6; i++)
	{
		int d;

		if (at + i >= parse->end || (d = wt_hex_digit(at[i])) < 0)
			return unexpected(parse, at + i, "four hexadecimal digits after \\u");
		u = u * 16 + (uint32_t) d;
	}
	*unit = u;
	return WT_JSON_OK;
}

/*
 * Unescapes the escape at parse->p (a backslash) to out, moves parse->p past it, and
 * sets *written.
 */
static WtJsonResult
read_escape(Parse *parse, char *out, size_t *written)
{
	const char *at = parse->p;
	uint32_t unit;
	uint32_t low;
	WtJsonResult r;

	*written = 1;
	if (at + 1 >= parse->end)
		return unexpected(parse, at + 1, "an escape after \\");
	parse->p = at + 2;
	switch (at[1])
	{
		case '"':
		case '\\':
		case '/':
			*out = at[1];
			return WT_JSON_OK;
		case 'b':
			*out = '\b';
			return WT_JSON_OK;
		case 'f':
			*out = '\f';
			return WT_JSON_OK;
		case 'n':
			*out = '\n';
			return WT_JSON_OK;
		case 'r':
			*out = '\r';
			return WT_JSON_OK;
		case 't':
			*out = '\t';
			return WT_JSON_OK;
		case 'u':
			break;
		default:
			return unexpected(parse, at + 1, "one of \" \\ / b f n r t u after \\");
	}

	r = read_hex4(parse, at, &unit);
	if (r != WT_JSON_OK)
		return r;
	parse->p = at + 6;
	if (unit == 0)
	{
		if (!parse->json->repair)
			unfit(parse, at, "\\u0000 cannot be stored: PostgreSQL's text has no NUL");
		parse->json->repaired = true;
		unit = 0xFFFD;
	}
	if (unit >= 0xD800 && unit <= 0xDFFF)
	{
		low = 0;
		if (unit < 0xDC00 && parse->end - at >= 8 && at[6] == '\\' && at[7] == 'u')
		{
			r = read_hex4(parse, at + 6, &low);
			if (r != WT_JSON_OK)
				return r;
		}
		if (low >= 0xDC00 && low <= 0xDFFF)
		{
			unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
			parse->p = at + 12;
		}
		else
		{
			if (!parse->json->repair)
				unfit(parse, at, "a lone surrogate (\\u%04x) is no character", unit);
			parse->json->repaired = true;
			unit = 0xFFFD;
		}
	}
	*written = (size_t) wt_utf8_encode(unit, out);
	return WT_JSON_OK;
}

/* A byte of a string that needs a look: quote, backslash, control, not ASCII. */
static inline bool
is_special(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
}

/* Whether any of the eight bytes of w is special. */
static inline bool
has_special(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t tops = UINT64_C(0x8080808080808080);
	uint64_t quote = w ^ (ones * '"');
	uint64_t backslash = w ^ (ones * '\\');

	return ((w | (w - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops) != 0;
}

/*
 * Appends what of a string lies between run and p, and U+FFFD for what is no UTF-8 at p, to
 * *out in scratch (NULL: nothing is there yet), which becomes large enough for the worst
 * that the text can hold; gives the bytes at p that U+FFFD stands for, 0 without memory.
 */
static size_t
repair_utf8(Parse *parse, const char *run, const char *p, char **out, size_t *out_length)
{
	WtJson *json = parse->json;
	size_t n = (size_t) (p - run);

	if (!wt_json_move_scratch(json, json->scratch_used + *out_length,
							  parse->before + 3 * (size_t) (parse->end - parse->text)))
		return 0;
	*out = json->scratch + json->scratch_used;
	memcpy(*out + *out_length, run, n);
	memcpy(*out + *out_length + n, WT_UTF8_REPLACEMENT, 3);
	*out_length += n + 3;
	json->repaired = true;
	return (size_t) wt_utf8_broken((const unsigned char *) p, (size_t) (parse->end - p));
}

/*
 * Reads the string whose opening quote is at parse->p.  A string without escapes is
 * left where it is; one with escapes is copied to scratch, which has room for all of
 * the text, so that it never moves but for repairs.
 */
static WtJsonResult
read_string(Parse *parse, WtJsonToken *t)
{
	WtJson *json = parse->json;
	const char *open = parse->p;
	const char *p = open + 1;
	const char *end = parse->end;
	const char *run = p; /* the part that is not yet copied */
	char *out = NULL;	 /* set by the first escape */
	size_t out_length = 0;

	for (;;)
	{
		unsigned char c;

		while (p + 8 <= end)
		{
			uint64_t w;

			memcpy(&w, p, 8);
			if (has_special(w))
				break;
			p += 8;
		}
		while (p < end && !is_special((unsigned char) *p))
			p++;
		if (p >= end)
		{
			parse->ran_out = true;
			return bad(parse, open, "this string has no closing quote");
		}
		c = (unsigned char) *p;
		if (c >= 0x80)
		{
			int n = wt_utf8_sequence((const unsigned char *) p, (size_t) (end - p));

			if (n == 0 && json->repair)
			{
				size_t broken = repair_utf8(parse, run, p, &out, &out_length);

				if (broken == 0)
					return WT_JSON_OUT_OF_MEMORY;
				p = run = p + broken;
				continue;
			}
			if (n == 0)
			{
				unfit(parse, p, "the byte 0x%02x is not valid UTF-8 here", c);
				n = 1;
			}
			p += n;
			continue;
		}
		if (c < 0x20)
		{
			unfit(parse, p,
				  c == 0 ? "a NUL (0x%02x) cannot stand in a string"
						 : "the control character 0x%02x must be escaped in a string",
				  c);
			p++;
			continue;
		}
		if (out || c == '\\')
		{
			size_t n = (size_t) (p - run);

			if (!out)
				out = json->scratch + json->scratch_used;
			memcpy(out + out_length, run, n);
			out_length += n;
		}
		if (c == '"')
			break;
		{
			size_t n;
			WtJsonResult r;

			parse->p = p;
			r = read_escape(parse, out + out_length, &n);
			if (r != WT_JSON_OK)
				return r;
			out_length += n;
			p = run = parse->p;
		}
	}
	t->u.text = out ? out : open + 1;
	t->length = (uint32_t) (out ? out_length : (size_t) (p - open - 1));
	if (out)
		json->scratch_used += out_length;
	parse->p = p + 1;
	return WT_JSON_OK;
}

/* Reads the number at parse->p, a digit or a minus sign. */
static WtJsonResult
read_number(Parse *parse, WtJsonToken *t)
{
	const char *start = parse->p;
	const char *end = parse->end;
	const char *p = start;
	const char *digits;
	long before; /* digits that would print before the point */
	long after;	 /* and after it */
	long exponent = 0;

	if (*p == '-')
		p++;
	digits = p;
	if (p >= end || *p < '0' || *p > '9')
		return unexpected(parse, p, "a digit");
	if (*p == '0')
	{
		p++;
		if (p < end && *p >= '0' && *p <= '9')
			return bad(parse, digits, "a number cannot begin with 0 and another digit");
	}
	else
	{
		while (p < end && *p >= '0' && *p <= '9')
			p++;
	}
	before = p - digits;
	after = 0;
	if (p < end && *p == '.')
	{
		p++;
		digits = p;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
		if (p == digits)
			return unexpected(parse, p, "a digit after the decimal point");
		after = p - digits;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		bool negative = false;

		p++;
		if (p < end && (*p == '+' || *p == '-'))
			negative = (*p++ == '-');
		digits = p;
		while (p < end && *p >= '0' && *p <= '9')
		{
			if (exponent < 10 * WT_JSON_MAX_DIGITS)
				exponent = exponent * 10 + (*p - '0');
			p++;
		}
		if (p == digits)
			return unexpected(parse, p, "a digit in the exponent");
		if (negative)
			exponent = -exponent;
		before += exponent;
		after -= exponent;
	}
	if (before < 1)
		before = 1;
	if (after < 0)
		after = 0;
	if (before > WT_JSON_MAX_DIGITS || after > WT_JSON_MAX_DIGITS)
		unfit(
			parse, start,
			"this number would print as more than %d digits before or after its decimal "
			"point",
			WT_JSON_MAX_DIGITS);
	parse->number_text += (size_t) (before + after) + 2;
	if (parse->number_text > WT_JSON_MAX_NUMBER_TEXT)
		unfit(parse, start, "the numbers up to here would print as more than %d MB",
			  (int) (WT_JSON_MAX_NUMBER_TEXT / (1024 * 1024)));

	t->u.text = start;
	t->length = (uint32_t) (p - start);
	parse->p = p;
	return WT_JSON_OK;
}

static WtJsonResult
read_word(Parse *parse, const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (parse->p + i >= parse->end || parse->p[i] != word[i])
		{
			char expected[16];

			snprintf(expected, sizeof(expected), "%s", word);
			return unexpected(parse, parse->p + i, expected);
		}
	}
	parse->p += length;
	return WT_JSON_OK;
}

static WtJsonResult
read_tokens(Parse *parse)
{
	WtJson *json = parse->json;
	/* The containers we are in, outermost first. */
	uint32_t open[WT_JSON_MAX_DEPTH + WT_JSON_ENVELOPE_DEPTH];
	int depth = 0;
	WtJsonToken *t;
	WtJsonResult r;
	const char *inner;

value:
	skip_space(parse);
	if (parse->p >= parse->end)
		return unexpected(parse, parse->p, "a value");
	t = wt_json_add(json, WT_JSON_NULL);
	if (!t)
		return WT_JSON_OUT_OF_MEMORY;
	r = WT_JSON_OK;
	switch (*parse->p)
	{
		case '{':
		case '[':
			if (depth == parse->levels)
			{
				unfit(parse, parse->p, "this is nested deeper than %d levels",
					  parse->levels);
				inner = wt_json_skip_value(parse->p, (size_t) (parse->end - parse->p));
				if (!inner)
				{
					parse->ran_out = true;
					r = bad(parse, parse->p, "this %s does not end",
							*parse->p == '{' ? "object" : "array");
					parse->p = parse->end;
					return r;
				}
				parse->p = inner;
				break;
			}
			t->type = (*parse->p == '{') ? WT_JSON_OBJECT : WT_JSON_ARRAY;
			open[depth++] = json->n_tokens - 1;
			parse->p++;
			skip_space(parse);
			if (t->type == WT_JSON_OBJECT)
			{
				if (parse->p < parse->end && *parse->p == '}')
					goto close;
				goto name;
			}
			if (parse->p < parse->end && *parse->p == ']')
				goto close;
			goto value;
		case '"':
			t->type = WT_JSON_STRING;
			r = read_string(parse, t);
			break;
		case 't':
			t->type = WT_JSON_TRUE;
			r = read_word(parse, "true", 4);
			break;
		case 'f':
			t->type = WT_JSON_FALSE;
			r = read_word(parse, "false", 5);
			break;
		case 'n':
			r = read_word(parse, "null", 4);
			break;
		case '-':
		case '0':
		case '1':
		case '2':
		case '3':
		case '4':
		case '5':
		case '6':
		case '7':
		case '8':
		case '9':
			t->type = WT_JSON_NUMBER;
			r = read_number(parse, t);
			break;
		default:
			return unexpected(
				parse, parse->p,
				depth > 0 && json->tokens[open[depth - 1]].type == WT_JSON_ARRAY &&
						json->tokens[open[depth - 1]].length == 0
					? "a value or ']'"
					: "a value");
	}
	if (r != WT_JSON_OK)
		return r;

after_value:
	if (depth == 0)
		return parse->unfit ? WT_JSON_UNFIT : WT_JSON_OK;
	skip_space(parse);
	t = &json->tokens[open[depth - 1]];
	t->length++;
	if (t->type == WT_JSON_ARRAY)
	{
		if (parse->p < parse->end && *parse->p == ',')
		{
			parse->p++;
			goto value;
		}
		if (parse->p < parse->end && *parse->p == ']')
			goto close;
		return unexpected(parse, parse->p, "',' or ']' after the element");
	}
	if (parse->p < parse->end && *parse->p == ',')
	{
		parse->p++;
		skip_space(parse);
		goto name;
	}
	if (parse->p < parse->end && *parse->p == '}')
		goto close;
	return unexpected(parse, parse->p, "',' or '}' after the member");

name:
	if (parse->p >= parse->end || *parse->p != '"')
		return unexpected(parse, parse->p,
						  json->tokens[open[depth - 1]].length == 0
							  ? "a member's name in double quotes or '}'"
							  : "a member's name in double quotes");
	t = wt_json_add(json, WT_JSON_STRING);
	if (!t)
		return WT_JSON_OUT_OF_MEMORY;
	r = read_string(parse, t);
	if (r != WT_JSON_OK)
		return r;
	skip_space(parse);
	if (parse->p >= parse->end || *parse->p != ':')
		return unexpected(parse, parse->p, "':' after the member's name");
	parse->p++;
	goto value;

close:
	parse->p++;
	json->tokens[open[--depth]].u.end = json->n_tokens;
	goto after_value;
}

WtJsonResult
wt_json_parse_value(WtJson *json, const char *text, size_t length, size_t limit,
					const char **next, WtJsonError *error)
{
	Parse parse;
	WtJsonResult r;

	/* Unescaped text is never longer than its escapes, so scratch never has to grow. */
	if (!wt_json_begin(json, length < limit ? length : limit))
		return WT_JSON_OUT_OF_MEMORY;

	memset(&parse, 0, sizeof(parse));
	parse.json = json;
	parse.text = text;
	parse.p = text;
	parse.end = text + (length < limit ? length : limit);
	parse.levels = WT_JSON_MAX_DEPTH;
	parse.error = error;
	r = read_tokens(&parse);
	if (r == WT_JSON_OK)
		json->n_checked = json->n_tokens;
	/* What is wrong only because reading stopped at the limit is not wrong; and a number
	 * that ends there may go on. */
	if (length > limit && (r == WT_JSON_BAD ? parse.ran_out
											: parse.p == parse.end &&
												  json->tokens[0].type == WT_JSON_NUMBER))
		return WT_JSON_TOO_LARGE;
	if (r == WT_JSON_OK || r == WT_JSON_UNFIT)
		*next = parse.p;
	else if (r == WT_JSON_BAD)
	{
		error->read = (size_t) (parse.p - text);
		if (error->read < error->offset || parse.ran_out)
			error->read = parse.ran_out ? (size_t) (parse.end - text) : error->offset;
	}
	return r;
}

WtJsonResult
wt_json_parse(WtJson *json, const char *text, size_t length, WtJsonError *error)
{
	const char *next;
	WtJsonResult r = wt_json_parse_value(json, text, length, length, &next, error);
	Parse parse = {.text = text, .p = next, .end = text + length, .error = error};

	if (r != WT_JSON_OK && r != WT_JSON_UNFIT)
		return r;
	skip_space(&parse);
	if (parse.p < parse.end)
		return unexpected(&parse, parse.p, "the end of the text after the value");
	return r;
}

WtJsonResult
wt_json_append(WtJson *json, const char *text, size_t length, int levels,
			   WtJsonError *error)
{
	const uint32_t n_tokens = json->n_tokens;
	const size_t used = json->scratch_used;
	const bool repaired = json->repaired;
	Parse parse = {.json = json,
				   .text = text,
				   .p = text,
				   .end = text + length,
				   .levels = levels,
				   .before = used,
				   .error = error};
	WtJsonResult r;

	/* As above: it never has to grow while it is being read. */
	if (!wt_json_reserve(json, length))
		return WT_JSON_OUT_OF_MEMORY;
	r = read_tokens(&parse);
	if (r == WT_JSON_OK)
	{
		skip_space(&parse);
		if (parse.p < parse.end)
			r = unexpected(&parse, parse.p, "the end of the text after the value");
	}
	if (r != WT_JSON_OK)
	{
		json->n_tokens = n_tokens;
		json->scratch_used = used;
		json->repaired = repaired;
	}
	else if (json->n_checked == n_tokens)
		json->n_checked = json->n_tokens;
	return r;
}

/* The first quote or backslash from p on; end: there is none. */
static const char *
find_end_of_text(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	while (end - p >= 8)
	{
		uint64_t w;
		uint64_t quote;
		uint64_t backslash;

		memcpy(&w, p, 8);
		quote = w ^ (ones * '"');
		backslash = w ^ (ones * '\\');
		if ((((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & (ones << 7))
			break;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p;
}

const char *
wt_json_skip_value(const char *text, size_t length)
{
	const char *p = text;
	const char *end = text + length;
	size_t depth = 0;

	while (p < end)
	{
		switch (*p++)
		{
			case '"':
				for (;;)
				{
					p = find_end_of_text(p, end);
					if (p >= end)
						return NULL;
					if (*p++ == '"')
						break;
					if (p++ >= end)
						return NULL;
				}
				if (depth == 0)
					return p;
				break;
			case '{':
			case '[':
				depth++;
				break;
			case '}':
			case ']':
				if (depth == 0)
					return p - 1; /* of what surrounds it */
				if (--depth == 0)
					return p;
				break;
			case ',':
				if (depth == 0)
					return p - 1;
				break;
			default:
				break;
		}
	}
	return NULL;
}

void
wt_json_position(const char *text, size_t offset, int *line, int *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < offset; i++)
	{
		if (text[i] == '\n')
		{
			(*line)++;
			*column = 1;
		}
		else if (((unsigned char) text[i] & 0xC0) != 0x80)
			(*column)++;
	}
}
