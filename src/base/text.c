/*
 * text.c
 *		Checks on bytes that claim to be text.
 *
 * PostgreSQL's own pg_verify_mbstr would do for the server, but the parsers are also
 * built without it, for fuzzing.
 */
#include <string.h>

#include "base/text.h"

int
wt_utf8_sequence(const unsigned char *p, size_t left)
{
	unsigned char a;

	if (left == 0)
		return 0;
	a = p[0];
	if (a < 0x80)
		return 1;
	if (a < 0xC2)
		return 0;
	if (left < 2 || (p[1] & 0xC0) != 0x80)
		return 0;
	if (a < 0xE0)
		return 2;
	if (left < 3 || (p[2] & 0xC0) != 0x80)
		return 0;
	if (a < 0xF0)
	{
		if ((a == 0xE0 && p[1] < 0xA0) || (a == 0xED && p[1] > 0x9F))
			return 0;
		return 3;
	}
	if (left < 4 || (p[3] & 0xC0) != 0x80)
		return 0;
	if (a > 0xF4 || (a == 0xF0 && p[1] < 0x90) || (a == 0xF4 && p[1] > 0x8F))
		return 0;
	return 4;
}

int
wt_utf8_broken(const unsigned char *p, size_t left)
{
	int follow = p[0] >= 0xE0 && p[0] <= 0xEF ? 2 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 3 : 0;
	unsigned char least = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
	unsigned char most = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
	int n = 1;

	while (n <= follow && (size_t) n < left && p[n] >= least && p[n] <= most)
	{
		n++;
		least = 0x80;
		most = 0xBF;
	}
	return n;
}

size_t
wt_text_repair(const char *text, size_t length, char *out)
{
	size_t written = 0;

	while (length > 0)
	{
		size_t valid = wt_text_valid_prefix(text, length);

		memcpy(out + written, text, valid);
		written += valid;
		if (valid == length)
			break;
		memcpy(out + written, WT_UTF8_REPLACEMENT, 3);
		written += 3;
		valid +=
			(size_t) wt_utf8_broken((const unsigned char *) text + valid, length - valid);
		text += valid;
		length -= valid;
	}
	return written;
}

/* Whether eight bytes are ASCII, without a NUL. */
static inline bool
is_ascii_word(const unsigned char *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return (w & UINT64_C(0x8080808080808080)) == 0 &&
		   ((w - UINT64_C(0x0101010101010101)) & ~w & UINT64_C(0x8080808080808080)) == 0;
}

size_t
wt_text_valid_prefix(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t i = 0;

	while (i < length)
	{
		int n;

		while (i + 8 <= length && is_ascii_word(p + i))
			i += 8;
		/* The last ones again with what is left, else what stands before another character. */
		if (i + 8 > length && length >= 8 && is_ascii_word(p + length - 8))
			break;
		while (i < length && (unsigned char) (p[i] - 1) < 0x7F)
			i++;
		if (i >= length)
			break;
		if (p[i] == 0)
			return i;
		n = wt_utf8_sequence(p + i, length - i);
		if (n == 0)
			return i;
		i += (size_t) n;
	}
	return length;
}

/*
 * Whether a character of n bytes may be shown as it is.  C1 controls end or begin a
 * terminal's commands as ESC does; marks of direction and of no width make a line read
 * otherwise than it is.
 */
static bool
is_harmless(const unsigned char *p, int n)
{
	uint32_t c;

	if (n == 1)
		return p[0] >= 0x20 && p[0] != 0x7F && p[0] != '\\';
	c = p[0] & (0xFFu >> (n + 1));
	for (int i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3F);
	return c >= 0xA0 && c != 0xAD && c != 0x61C && (c < 0x200B || c > 0x200F) &&
		   (c < 0x2028 || c > 0x202E) && (c < 0x2060 || c > 0x206F) && c != 0xFEFF &&
		   (c < 0xFFF9 || c > 0xFFFF) && (c < 0xE0000 || c > 0xE0FFF);
}

size_t
wt_text_escape(const char *text, size_t length, bool ascii_only, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *) text;
	size_t written = 0;

	for (size_t i = 0; i < length;)
	{
		int n = wt_utf8_sequence(p + i, length - i);
		bool plain = n > 0 && !(ascii_only && n > 1) && is_harmless(p + i, n);

		if (n == 0)
			n = 1;
		for (; n > 0; n--, i++)
		{
			if (plain)
			{
				out[written++] = text[i];
				continue;
			}
			out[written++] = '\\';
			out[written++] = 'x';
			out[written++] = digits[p[i] >> 4];
			out[written++] = digits[p[i] & 0xF];
		}
	}
	return written;
}

int
wt_utf8_encode(uint32_t c, char *out)
{
	unsigned char *o = (unsigned char *) out;

	if (c < 0x80)
	{
		o[0] = (unsigned char) c;
		return 1;
	}
	if (c < 0x800)
	{
		o[0] = (unsigned char) (0xC0 | (c >> 6));
		o[1] = (unsigned char) (0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000)
	{
		o[0] = (unsigned char) (0xE0 | (c >> 12));
		o[1] = (unsigned char) (0x80 | ((c >> 6) & 0x3F));
		o[2] = (unsigned char) (0x80 | (c & 0x3F));
		return 3;
	}
	o[0] = (unsigned char) (0xF0 | (c >> 18));
	o[1] = (unsigned char) (0x80 | ((c >> 12) & 0x3F));
	o[2] = (unsigned char) (0x80 | ((c >> 6) & 0x3F));
	o[3] = (unsigned char) (0x80 | (c & 0x3F));
	return 4;
}

size_t
wt_base64_encode(const void *bytes, size_t length, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *b = bytes;
	char *start = out;

	for (size_t i = 0; i < length; i += 3)
	{
		size_t n = length - i;
		uint32_t group = (uint32_t) b[i] << 16 | (n > 1 ? (uint32_t) b[i + 1] << 8 : 0) |
						 (n > 2 ? b[i + 2] : 0);

		*out++ = digits[group >> 18];
		*out++ = digits[group >> 12 & 63];
		*out++ = n > 1 ? digits[group >> 6 & 63] : '=';
		*out++ = n > 2 ? digits[group & 63] : '=';
	}
	return (size_t) (out - start);
}
