/*
 * url.c
 *		URLs of settings: see url.h.
 */
#include <string.h>
#include <strings.h>

#include "base/url.h"

/* Where it goes on after "https://" or "http://"; 0: it begins with neither. */
static size_t
after_scheme(const char *url, size_t length)
{
	if (length >= 8 && strncasecmp(url, "https://", 8) == 0)
		return 8;
	return length >= 7 && strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
}

static bool
is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whether all characters are letters, digits or among others. */
static bool
consists_of(const char *text, size_t length, const char *others)
{
	for (size_t i = 0; i < length; i++)
		if (!is_alphanumeric(text[i]) && (text[i] == '\0' || !strchr(others, text[i])))
			return false;
	return true;
}

bool
wt_is_url(const char *text, size_t length)
{
	for (size_t i = 0; i + 2 < length; i++)
	{
		if (strncmp(text + i, "://", 3) == 0)
			return i > 0;
		if (!is_alphanumeric(text[i]) && !strchr("+-.", text[i]))
			return false;
	}
	return false;
}

static const char *
port_fault(const char *port, size_t length)
{
	long n = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (port[i] < '0' || port[i] > '9' || i >= 5)
			return "has a port that is no number from 1 to 65535";
		n = n * 10 + (port[i] - '0');
	}
	return n < 1 || n > 65535 ? "has a port that is no number from 1 to 65535" : NULL;
}

static const char *
authority_fault(const char *text, size_t length)
{
	const char *end = text + length;
	const char *colon;
	size_t n;

	if (memchr(text, '@', length))
		return "names a user or a password: put the token in "
			   "windtrap.forward_token_file";
	if (length > 0 && text[0] == '[')
	{
		const char *bracket = memchr(text, ']', length);

		if (!bracket || bracket == text + 1 ||
			!consists_of(text + 1, (size_t) (bracket - text) - 1, ":."))
			return "has an IPv6 address that does not end";
		text = bracket + 1;
		if (text == end)
			return NULL;
		return *text == ':' ? port_fault(text + 1, (size_t) (end - text) - 1)
							: "has something behind its IPv6 address";
	}
	colon = memchr(text, ':', length);
	n = colon ? (size_t) (colon - text) : length;
	if (n == 0)
		return "names no host";
	if (!consists_of(text, n, ".-_"))
		return "names a host with characters that no name has";
	return colon ? port_fault(colon + 1, (size_t) (end - colon) - 1) : NULL;
}

const char *
wt_url_fault(const char *url, size_t length)
{
	size_t start = after_scheme(url, length);
	const char *path;
	const char *fault;
	size_t n;

	if (start == 0)
		return "is neither http:// nor https://";
	path = memchr(url + start, '/', length - start);
	n = path ? (size_t) (path - url) : length;
	for (size_t i = start; i < length; i++)
		if (url[i] == '?' || url[i] == '#')
			return "has a query or a fragment: put the token in "
				   "windtrap.forward_token_file";
	if ((fault = authority_fault(url + start, n - start)) != NULL)
		return fault;
	return consists_of(url + n, length - n, "/-._~%!$&'()*+;=:@")
			   ? NULL
			   : "has a path with characters that are to be written as %XX";
}

const char *
wt_url_path(const char *url)
{
	const char *authority = strstr(url, "://");
	const char *path = authority ? strchr(authority + 3, '/') : NULL;

	return path ? path : url + strlen(url);
}
