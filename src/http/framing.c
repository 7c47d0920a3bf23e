/*
 * framing.c
 *		Strict checks of a request's head, beyond those of libmicrohttpd.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "http/framing.h"

/* RFC 9110's tchar: what the name of a header is made of. */
static bool
is_token_character(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		   (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(const char *s, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_token_character((unsigned char) s[i]))
			return false;
	return length > 0;
}

static bool
has_control(const char *s, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) s[i];

		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return true;
	}
	return false;
}

/* RFC 3986's characters but the comma, which makes a list; non-ASCII is no separator. */
bool
wt_framing_is_host(const char *s, size_t length)
{
	static const char others[] = "-._~%!$&'()*+;=:[]";

	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) s[i];

		if (!(c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			  (c >= 'A' && c <= 'Z') || (c != '\0' && strchr(others, c) != NULL)))
			return false;
	}
	return true;
}

const char *
wt_framing_check_headers(const WtHeader *headers, int n_headers)
{
	int lengths = 0;
	int encodings = 0;
	int hosts = 0;

	for (int i = 0; i < n_headers; i++)
	{
		const WtHeader *h = &headers[i];

		if (!is_token(h->name, h->name_length))
			return "the name of a header is empty or has a character that no name may "
				   "have";
		if (has_control(h->value, h->value_length))
			return "the value of a header has a control character";
		if (wt_header_is(h, "Content-Length"))
		{
			lengths++;
			if (h->value_length == 0 || strspn(h->value, "0123456789") != h->value_length)
				return "Content-Length is not a number";
		}
		else if (wt_header_is(h, "Transfer-Encoding"))
		{
			encodings++;
			if (strcasecmp(h->value, "chunked") != 0)
				return "the only Transfer-Encoding that is understood is chunked";
		}
		else if (wt_header_is(h, "Host"))
		{
			hosts++;
			if (!wt_framing_is_host(h->value, h->value_length))
				return "Host has a character that no name or address has";
		}
	}
	if (lengths > 1)
		return "there is more than one Content-Length";
	if (encodings > 1)
		return "there is more than one Transfer-Encoding";
	if (lengths > 0 && encodings > 0)
		return "there is a Content-Length beside a Transfer-Encoding";
	if (hosts > 1)
		return "there is more than one Host";
	return NULL;
}

const char *
wt_framing_check_lines(const char *version, const char *end)
{
	const char *p = version + strlen(version);

	for (;;)
	{
		/* p is at the end of a line: a NUL each for its CR and LF. */
		if (end - p < 2 || p[1] != '\0')
			return "a line of the head does not end with CR LF, or has a NUL in it";
		p += 2;
		if (end - p == 2 && p[0] == '\0' && p[1] == '\0')
			return NULL;
		if (p >= end)
			return "the head does not end with an empty line";
		if (*p == ' ' || *p == '\t')
			return "a line of the head is folded";
		if (*p == '\0')
			return "the name of a header is empty";
		p = memchr(p, '\0', (size_t) (end - p)); /* in place of the colon */
		if (!p || p + 1 >= end)
			return "a header has no colon";
		p++;
		p = memchr(p, '\0', (size_t) (end - p));
		if (!p)
			return "a line of the head does not end with CR LF, or has a NUL in it";
	}
}
