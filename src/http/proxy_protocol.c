/*
 * proxy_protocol.c
 *		The PROXY protocol: see proxy_protocol.h.
 */
#include <stdint.h>
#include <string.h>

#include "http/proxy_protocol.h"

/* The longest line of version 1, with its end. */
#define MAX_LINE 107

static const char line_start[] = "PROXY ";
static const char signature[] = "\r\n\r\n\0\r\nQUIT\n"; /* of version 2 */

#define LINE_START_SIZE (sizeof(line_start) - 1)
#define SIGNATURE_SIZE (sizeof(signature) - 1)
#define FIXED_SIZE (SIGNATURE_SIZE + 4) /* of version 2 */

/* The next word of a line, up to a space or the end, and past the space. */
static bool
next_word(const char **p, const char *end, const char **word, size_t *length)
{
	const char *space;

	if (!*p)
		return false;
	space = memchr(*p, ' ', (size_t) (end - *p));
	*word = *p;
	*length = (size_t) ((space ? space : end) - *p);
	*p = space ? space + 1 : NULL;
	return *length > 0;
}

static bool
is_port(const char *word, size_t length)
{
	unsigned long port = 0;

	if (length > 5 || (length > 1 && word[0] == '0'))
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (word[i] < '0' || word[i] > '9')
			return false;
		port = port * 10 + (unsigned long) (word[i] - '0');
	}
	return port <= UINT16_MAX;
}

/* An address of one family: in IPv6 there is a colon, and in IPv4 none. */
static bool
is_address(const char *word, size_t length, bool v6, WtAddress *address)
{
	return (memchr(word, ':', length) != NULL) == v6 &&
		   wt_address_parse(word, length, address);
}

/* What stands between "PROXY " and the line's end. */
static bool
parse_line(const char *p, const char *end, WtProxyHeader *header)
{
	const char *word;
	size_t length;
	WtAddress ignored;
	bool v6;

	if (!next_word(&p, end, &word, &length))
		return false;
	/* Whatever follows is to be ignored. */
	if (length == 7 && memcmp(word, "UNKNOWN", 7) == 0)
		return true;
	if (length != 4 || memcmp(word, "TCP", 3) != 0 || (word[3] != '4' && word[3] != '6'))
		return false;
	v6 = word[3] == '6';
	header->known = true;
	return next_word(&p, end, &word, &length) &&
		   is_address(word, length, v6, &header->address) &&
		   next_word(&p, end, &word, &length) && is_address(word, length, v6, &ignored) &&
		   next_word(&p, end, &word, &length) && is_port(word, length) &&
		   next_word(&p, end, &word, &length) && is_port(word, length) && !p;
}

static WtProxyResult
parse_v1(const char *bytes, size_t n, WtProxyHeader *header)
{
	size_t most = n < MAX_LINE ? n : MAX_LINE;
	const char *feed = memchr(bytes, '\n', most);

	if (!feed)
		return n < MAX_LINE ? WT_PROXY_INCOMPLETE : WT_PROXY_MALFORMED;
	if (feed[-1] != '\r' || !parse_line(bytes + LINE_START_SIZE, feed - 1, header))
		return WT_PROXY_MALFORMED;
	header->length = (size_t) (feed + 1 - bytes);
	return WT_PROXY_COMPLETE;
}

static WtProxyResult
parse_v2(const char *bytes, size_t n, WtProxyHeader *header)
{
	const unsigned char *b = (const unsigned char *) bytes;
	size_t rest;

	if (n < FIXED_SIZE)
		return WT_PROXY_INCOMPLETE;
	rest = (size_t) b[14] << 8 | b[15];
	if (b[12] >> 4 != 2 || (b[12] & 0xF) > 1 || FIXED_SIZE + rest > WT_PROXY_HEADER_MAX)
		return WT_PROXY_MALFORMED;
	if (n < FIXED_SIZE + rest)
		return WT_PROXY_INCOMPLETE;
	header->length = FIXED_SIZE + rest;
	header->own = (b[12] & 0xF) == 0;
	if (header->own)
		return WT_PROXY_COMPLETE;
	if (b[13] == 0x11) /* TCP over IPv4 */
	{
		if (rest < 12)
			return WT_PROXY_MALFORMED;
		memset(header->address.bytes, 0, 10);
		memset(header->address.bytes + 10, 0xFF, 2);
		memcpy(header->address.bytes + 12, b + FIXED_SIZE, 4);
		header->known = true;
	}
	else if (b[13] == 0x21) /* TCP over IPv6 */
	{
		if (rest < 36)
			return WT_PROXY_MALFORMED;
		memcpy(header->address.bytes, b + FIXED_SIZE, 16);
		header->known = true;
	}
	return WT_PROXY_COMPLETE;
}

static bool
may_begin_with(const char *bytes, size_t n, const char *start, size_t length)
{
	return memcmp(bytes, start, n < length ? n : length) == 0;
}

WtProxyResult
wt_proxy_header_parse(const char *bytes, size_t n, WtProxyHeader *header)
{
	memset(header, 0, sizeof(*header));
	if (n == 0)
		return WT_PROXY_INCOMPLETE;
	if (may_begin_with(bytes, n, line_start, LINE_START_SIZE))
		return n < LINE_START_SIZE ? WT_PROXY_INCOMPLETE : parse_v1(bytes, n, header);
	if (may_begin_with(bytes, n, signature, SIGNATURE_SIZE))
		return parse_v2(bytes, n, header);
	return WT_PROXY_MALFORMED;
}
