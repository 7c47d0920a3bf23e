/*
 * text.c
 *		Checks on bytes that claim to be text.
 *
 * PostgreSQL's own pg_verify_mbstr would do for the server, but the parsers are also
 * built without it, for fuzzing.
 */
#include <string.h>

#include "text.h"

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

size_t
wt_text_valid_prefix(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t i = 0;

	while (i < length)
	{
		int n;

		/* Eight bytes of ASCII without a NUL at a time. */
		while (i + 8 <= length)
		{
			uint64_t w;

			memcpy(&w, p + i, 8);
			if ((w & UINT64_C(0x8080808080808080)) != 0 ||
				((w - UINT64_C(0x0101010101010101)) & ~w &
				 UINT64_C(0x8080808080808080)) != 0)
				break;
			i += 8;
		}
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
