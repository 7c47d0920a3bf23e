/*
 * loki_labels.c
 *		Labels as text: {app="shop", level="error"}, their values quoted as Go quotes them.
 */
#include <string.h>

#include "base/text.h"
#include "base/text_cursor.h"
#include "protocol/loki.h"

static void
skip_blanks(WtTextCursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n'))
		c->p++;
}

static bool
skip(WtTextCursor *c, char wanted)
{
	skip_blanks(c);
	return wt_text_skip(c, wanted);
}

/* Digits of an escape: \x41, \u00e9, \U0001f680, \101. */
static bool
read_code(WtTextCursor *c, int digits, int base, uint32_t *code)
{
	*code = 0;
	for (int i = 0; i < digits; i++)
	{
		int digit = c->p < c->end ? wt_hex_digit(*c->p) : -1;

		if (digit < 0 || digit >= base)
			return false;
		*code = *code * (uint32_t) base + (uint32_t) digit;
		c->p++;
	}
	return true;
}

/* Reads the escape behind a backslash to out; gives how many bytes it is, 0: it is none. */
static int
read_escape(WtTextCursor *c, char *out)
{
	static const char plain[] = "a\ab\bf\fn\nr\rt\tv\v\\\\''\"\"";
	uint32_t code;
	char letter;

	if (c->p == c->end)
		return 0;
	letter = *c->p;
	for (size_t i = 0; i + 1 < sizeof(plain); i += 2)
	{
		if (plain[i] != letter)
			continue;
		c->p++;
		*out = plain[i + 1];
		return 1;
	}
	if (letter >= '0' && letter <= '7')
	{
		if (!read_code(c, 3, 8, &code) || code > 255)
			return 0;
		*out = (char) code;
		return 1;
	}
	c->p++;
	if (letter == 'x')
	{
		if (!read_code(c, 2, 16, &code))
			return 0;
		*out = (char) code;
		return 1;
	}
	if ((letter != 'u' && letter != 'U') ||
		!read_code(c, letter == 'u' ? 4 : 8, 16, &code) || code > 0x10FFFF ||
		(code >= 0xD800 && code <= 0xDFFF))
		return 0;
	return wt_utf8_encode(code, out);
}

/* Reads a quoted value, unescaped, to out, which has room for all of the text. */
static bool
read_value(WtTextCursor *c, char *out, size_t *length)
{
	char *to = out;

	if (!skip(c, '"'))
		return false;
	while (c->p < c->end && *c->p != '"')
	{
		int n = 1;

		if (*c->p != '\\')
			*to = *c->p++;
		else
		{
			c->p++;
			n = read_escape(c, to);
			if (n == 0)
				return false;
		}
		to += n;
	}
	*length = (size_t) (to - out);
	return skip(c, '"');
}

static bool
read_name(WtTextCursor *c, WtJsonText *name)
{
	skip_blanks(c);
	name->text = c->p;
	while (c->p < c->end && *c->p != '=' && *c->p != ' ' && *c->p != ',' &&
		   *c->p != '}' && *c->p != '"')
		c->p++;
	name->length = (size_t) (c->p - name->text);
	return name->length > 0;
}

/* Reads all of them; out: where the unescaped values go; build: NULL, only to see. */
static bool
read_labels(WtTextCursor c, char *out, WtBuild *build)
{
	if (!skip(&c, '{'))
		return false;
	while (!skip(&c, '}'))
	{
		WtJsonText name;
		size_t length;

		if (!read_name(&c, &name) || !skip(&c, '=') || !read_value(&c, out, &length))
			return false;
		if (build)
		{
			wt_build_name(build, name.text, name.length);
			wt_build_string(build, out, length);
		}
		out += length;
		if (!skip(&c, ',') && (skip_blanks(&c), c.p == c.end || *c.p != '}'))
			return false;
	}
	skip_blanks(&c);
	return c.p == c.end;
}

bool
wt_loki_add_labels(WtBuild *build, const char *text, size_t length)
{
	WtTextCursor c = {text, text + length};
	/* Escapes are never shorter than what they stand for. */
	char *room = wt_build_room(build, length);

	if (!room)
		return false;
	if (!read_labels(c, room, NULL))
		return false;
	wt_build_open(build, WT_JSON_OBJECT);
	(void) read_labels(c, room, build);
	wt_build_close(build);
	return true;
}
