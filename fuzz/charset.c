/*
 * charset.c
 *		Fuzz target: bodies in other charsets → UTF-8 (src/event/charset.h).
 *
 * The first line of the input is the Content-Type, the rest the body.  What comes out is
 * compared with
 *
 *	- for UTF-16 and UTF-32: a decoder that is written here;
 *	- for others: iconv with all of the body and room for everything at once; and back, by
 *	  iconv, to the bytes that were sent, where the charset has one way to write a text;
 *	- for forms: the fields of the body, each with its escapes undone, and only then converted.
 *
 * It is UTF-8 but for the bytes that stand for what is no character.  It is the same up to
 * a limit of its length, and too large below.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include <errno.h>
#include <iconv.h>
#include <strings.h>

#include "event/charset.h"
#include "event/form.h"
#include "fuzz.h"

#define BROKEN '\xFF'

typedef struct Bytes
{
	char *p;
	size_t length;
} Bytes;

static bool
contains(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

/* The charset that the type names, in the case it has there; "": none. */
static void
named_charset(const char *type, char name[64])
{
	const char *p = type;

	name[0] = '\0';
	while ((p = strchr(p, ';')) != NULL)
	{
		do
			p++;
		while (*p == ' ' || *p == '\t');
		if (strncasecmp(p, "charset=", 8) == 0)
		{
			size_t n;

			p += 8;
			p += *p == '"' || *p == '\'';
			n = strcspn(p, "\"'; \t");
			snprintf(name, 64, "%.*s", (int) (n < 63 ? n : 63), p);
			return;
		}
	}
}

/* Appends a character, or what stands for none. */
static void
put(Bytes *out, uint32_t c)
{
	char *p = out->p + out->length;

	if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
	{
		*p = BROKEN;
		out->length++;
		return;
	}
	if (c < 0x80)
	{
		p[0] = (char) c;
		out->length++;
	}
	else if (c < 0x800)
	{
		p[0] = (char) (0xC0 + c / 0x40);
		p[1] = (char) (0x80 + c % 0x40);
		out->length += 2;
	}
	else if (c < 0x10000)
	{
		p[0] = (char) (0xE0 + c / 0x1000);
		p[1] = (char) (0x80 + c / 0x40 % 0x40);
		p[2] = (char) (0x80 + c % 0x40);
		out->length += 3;
	}
	else
	{
		p[0] = (char) (0xF0 + c / 0x40000);
		p[1] = (char) (0x80 + c / 0x1000 % 0x40);
		p[2] = (char) (0x80 + c / 0x40 % 0x40);
		p[3] = (char) (0x80 + c % 0x40);
		out->length += 4;
	}
}

/* The unit of `size` bytes at i, most significant byte first or last. */
static uint32_t
unit(const unsigned char *body, size_t i, size_t size, bool big)
{
	uint32_t c = 0;

	for (size_t k = 0; k < size; k++)
		c = c << 8 | body[i + (big ? k : size - 1 - k)];
	return c;
}

/*
 * UTF-16 (size 2) or UTF-32 (size 4).  What is no character is skipped a unit at a time; of
 * the last unit, what there is.
 */
static Bytes
decode_units(const char *name, const char *body, size_t length, size_t size)
{
	const unsigned char *b = (const unsigned char *) body;
	Bytes out = {.p = malloc(length * 2 + 8)};
	bool big = strcasecmp(name + 6, "be") == 0;
	size_t i = 0;

	CHECK(out.p, "out of memory");
	if (name[6] == '\0' && length > 0)
	{
		/* By its mark, which is none of the text; without one by the first byte. */
		bool marked = false;

		for (int order = 0; order < 2 && !marked && length >= size; order++)
		{
			marked = unit(b, 0, size, order) == 0xFEFF;
			big = order && marked;
		}
		if (marked)
			i = size;
		else
			big = b[0] == 0;
	}
	while (i < length)
	{
		uint32_t c;
		uint32_t low;

		if (length - i < size)
		{
			put(&out, UINT32_MAX);
			break;
		}
		c = unit(b, i, size, big);
		i += size;
		if (size == 2 && c >= 0xD800 && c < 0xDC00 && length - i >= 2 &&
			(low = unit(b, i, 2, big)) >= 0xDC00 && low < 0xE000)
		{
			c = 0x10000 + (c - 0xD800) * 0x400 + (low - 0xDC00);
			i += 2;
		}
		put(&out, c);
	}
	return out;
}

/* All at once, with room for everything; after what is no character, go on behind a byte. */
static Bytes
decode_by_iconv(const char *name, const char *body, size_t length)
{
	iconv_t conversion = iconv_open("UTF-8", name);
	size_t room = length * 16 + 64;
	Bytes out = {.p = malloc(room)};
	char *to = out.p;
	char *in = (char *) (uintptr_t) body;
	size_t left = length;

	CHECK(conversion != (iconv_t) -1 && out.p, "cannot open %s", name);
	while (left > 0)
	{
		bool failed = iconv(conversion, &in, &left, &to, &room) == (size_t) -1;

		CHECK(failed == (left > 0), "%zu bytes are left", left);
		CHECK(!failed || errno == EILSEQ || errno == EINVAL, "errno %d", errno);
		/* What it still held back comes before what is no character, and at the end. */
		iconv(conversion, NULL, NULL, &to, &room);
		if (failed)
		{
			*to++ = BROKEN;
			room--;
			in++;
			left--;
		}
	}
	iconv_close(conversion);
	out.length = (size_t) (to - out.p);
	return out;
}

/* Charsets of which a text can be written in one way only, but for what is not mapped. */
static bool
has_one_way(const char *name)
{
	return strncasecmp(name, "iso-8859-", 9) == 0 || strncasecmp(name, "koi8-", 5) == 0 ||
		   strcasecmp(name, "windows-1252") == 0 || strcasecmp(name, "cp437") == 0;
}

static void
check_round_trip(const char *name, const char *body, size_t length, const Bytes *out)
{
	iconv_t conversion = iconv_open(name, "UTF-8");
	char *back = malloc(length + 8);
	char *to = back;
	char *in = out->p;
	size_t left = out->length;
	size_t room = length + 8;

	CHECK(conversion != (iconv_t) -1 && back, "cannot open %s", name);
	CHECK(iconv(conversion, &in, &left, &to, &room) == 0, "no way back");
	CHECK((size_t) (to - back) == length && memcmp(back, body, length) == 0,
		  "other bytes on the way back");
	iconv_close(conversion);
	free(back);
}

static bool
is_hex(char c)
{
	return c && strchr("0123456789abcdefABCDEF", c);
}

/* One name or value of a form, with its escapes undone. */
static Bytes
unescaped(const char *from, const char *to)
{
	Bytes out = {.p = malloc((size_t) (to - from) + 1)};

	CHECK(out.p, "out of memory");
	for (; from < to; from++)
	{
		char c = *from == '+' ? ' ' : *from;

		if (c == '%' && to - from > 2 && is_hex(from[1]) && is_hex(from[2]))
		{
			c = (char) strtol((char[]){from[1], from[2], '\0'}, NULL, 16);
			from += 2;
		}
		out.p[out.length++] = c;
	}
	return out;
}

/*
 * Whether the same names and values, one after the other, come of the body, undone and
 * then converted, and of what has come out, undone.
 */
static void
check_form(const char *name, const char *body, size_t length, const Bytes *out)
{
	const char *a = body;
	const char *a_end = body + length;
	const char *b = out->p;
	const char *b_end = out->p + out->length;

	CHECK(out->length == 0 || !memchr("{[\"", out->p[0], 3), "the form looks like JSON");
	for (;;)
	{
		const char *a_to = a;
		const char *b_to = b;
		Bytes raw;
		Bytes expected;
		Bytes got;

		while (a_to < a_end && *a_to != '&' && *a_to != '=')
			a_to++;
		while (b_to < b_end && *b_to != '&' && *b_to != '=')
			b_to++;
		raw = unescaped(a, a_to);
		expected = decode_by_iconv(name, raw.p, raw.length);
		got = unescaped(b, b_to);
		CHECK(got.length == expected.length && memcmp(got.p, expected.p, got.length) == 0,
			  "\"%.*s\" instead of \"%.*s\"", (int) got.length, got.p,
			  (int) expected.length, expected.p);
		free(raw.p);
		free(expected.p);
		free(got.p);
		CHECK((a_to == a_end) == (b_to == b_end), "another number of fields");
		if (a_to == a_end)
			break;
		CHECK(*a_to == *b_to, "another separator");
		a = a_to + 1;
		b = b_to + 1;
	}
}

/* Charsets whose iconv joins letters with the marks behind them, across escapes too. */
static bool
joins(const char *name)
{
	return contains(name, "1255") || contains(name, "1258") || contains(name, "hkscs") ||
		   contains(name, "jisx0213") || contains(name, "jis-2004") ||
		   contains(name, "jis-x") || contains(name, "jisx");
}

/* The result at other limits, with memory that is used again. */
static void
check_limits(const char *type, const char *body, size_t length, const Bytes *out)
{
	WtInflated again = {0};

	CHECK(wt_charset_convert(type, body, length, out->length, &again) == WT_CHARSET_OK &&
			  again.length == out->length && memcmp(again.data, out->p, out->length) == 0,
		  "not the same at a limit of its length");
	for (size_t limit = 0; limit < out->length; limit = limit * 2 + 1)
		CHECK(wt_charset_convert(type, body, length, limit, &again) ==
				  WT_CHARSET_TOO_LARGE,
			  "%zu bytes at a limit of %zu", out->length, limit);
	if (out->length > 0)
		CHECK(wt_charset_convert(type, body, length, out->length - 1, &again) ==
				  WT_CHARSET_TOO_LARGE,
			  "%zu bytes at a limit of one less", out->length);
	free(again.data);
}

static void
check_converted(const char *type, const char *body, size_t length, const WtInflated *got)
{
	Bytes out = {got->data, got->length};
	Bytes expected;
	char name[64];
	size_t size;
	bool is_form = strncasecmp(type + strspn(type, " \t"),
							   "application/x-www-form-urlencoded", 33) == 0;

	named_charset(type, name);
	/* By the body's mark, where the type is silent or says UTF-8. */
	if (name[0] == '\0' || strncasecmp(name, "utf-8", 6) == 0 ||
		strncasecmp(name, "utf8", 5) == 0 || contains(name, "ascii"))
		strcpy(name, length >= 4 && (memcmp(body, "\xFF\xFE\0\0", 4) == 0 ||
									 memcmp(body, "\0\0\xFE\xFF", 4) == 0)
						 ? "utf-32"
						 : "utf-16");
	size = strncasecmp(name, "utf-16", 6) == 0	 ? 2
		   : strncasecmp(name, "utf-32", 6) == 0 ? 4
												 : 1;
	for (size_t i = 0; i < out.length;)
	{
		int n = utf8_character(out.p + i, out.length - i);

		CHECK(n > 0 || out.p[i] == BROKEN, "no UTF-8 at %zu", i);
		i += n > 0 ? (size_t) n : 1;
	}
	check_limits(type, body, length, &out);
	if (size == 1 && is_form && length > 0 && !memchr("{[\"", body[0], 3))
	{
		if (!joins(name))
			check_form(name, body, length, &out);
		return;
	}
	expected = size > 1 ? decode_units(name, body, length, size)
						: decode_by_iconv(name, body, length);
	CHECK(expected.length == out.length && memcmp(expected.p, out.p, out.length) == 0,
		  "%s: \"%.*s\" instead of \"%.*s\"", name, (int) out.length, out.p,
		  (int) expected.length, expected.p);
	if (has_one_way(name) && !memchr(out.p, BROKEN, out.length))
		check_round_trip(name, body, length, &out);
	free(expected.p);
}

/* Whether iconv has it, and it is of those that are served: for what says that it is not. */
static bool
is_served(const char *name)
{
	static const char *const some[] = {"iso-8859-1", "latin1", "windows-1252", "koi8-r",
									   "utf-16",	 "utf-32", "shift_jis",	   "gb18030",
									   "euc-jp",	 "big5",   "cp437"};

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		if (strcasecmp(name, some[i]) == 0)
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t line = end ? (size_t) (end - data) : size;
	size_t length = end ? size - line - 1 : 0;
	char *body = exact_copy(data + size - length, length);
	char *type = malloc(line + 1);
	char name[64];
	WtInflated out = {0};

	CHECK(type, "out of memory");
	memcpy(type, data, line);
	type[line] = '\0';
	named_charset(type, name);
	switch (wt_charset_convert(type, body, length, SIZE_MAX, &out))
	{
		case WT_CHARSET_UTF8:
			CHECK(!is_served(name) ||
					  strncasecmp(type + strspn(type, " \t"), "multipart/", 10) == 0,
				  "%s is taken for UTF-8", name);
			break;
		case WT_CHARSET_OK:
			check_converted(type, body, length, &out);
			break;
		case WT_CHARSET_UNKNOWN:
			CHECK(!is_served(name), "%s is not known", name);
			break;
		default:
			CHECK(false, "too large, or out of memory");
	}
	free(out.data);
	free(type);
	free(body);
	return 0;
}
