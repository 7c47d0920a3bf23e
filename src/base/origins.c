/*
 * origins.c
 *		Patterns of hosts and origins.
 */
#include <string.h>
#include <strings.h>

#include "base/cidr.h"
#include "base/list.h"
#include "base/origins.h"

static bool
equal(const char *a, size_t a_length, const char *b, size_t b_length)
{
	return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

static bool
is_host_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		char c = text[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			  (c >= 'A' && c <= 'Z') || strchr(".-_", c)) ||
			c == '\0')
			return false;
	}
	return length > 0;
}

/* Whether name is a pattern's: the same, or one label or more before ".example.com". */
static bool
matches(const char *pattern, size_t pattern_length, const char *name, size_t length)
{
	if (pattern_length > 2 && pattern[0] == '*' && pattern[1] == '.')
	{
		size_t suffix = pattern_length - 1;

		return length > suffix && is_host_text(name, length - suffix) &&
			   equal(name + length - suffix, suffix, pattern + 1, suffix);
	}
	return equal(name, length, pattern, pattern_length);
}

bool
wt_host_is_valid(const char *item, size_t length)
{
	if (length > 2 && item[0] == '*' && item[1] == '.')
		return is_host_text(item + 2, length - 2);
	return is_host_text(item, length);
}

/* Splits "scheme://host:port"; false: it is not of that form. */
static bool
split_origin(const char *origin, size_t length, size_t *scheme, const char **host,
			 size_t *host_length, const char **port, size_t *port_length)
{
	const char *end = origin + length;
	const char *p = memchr(origin, ':', length);

	if (!p || end - p < 4 || p[1] != '/' || p[2] != '/')
		return false;
	*scheme = (size_t) (p - origin);
	*host = p + 3;
	if (**host == '[')
	{
		p = memchr(*host, ']', (size_t) (end - *host));
		if (!p)
			return false;
		p++;
	}
	else
	{
		p = memchr(*host, ':', (size_t) (end - *host));
		if (!p)
			p = end;
	}
	*host_length = (size_t) (p - *host);
	*port = p;
	*port_length = (size_t) (end - p);
	return *scheme > 0 && *host_length > 0;
}

bool
wt_origin_is_valid(const char *item, size_t length)
{
	const char *host;
	const char *port;
	size_t scheme;
	size_t host_length;
	size_t port_length;
	WtAddress address;

	if (wt_list_item_is(item, length, "*") || wt_list_item_is(item, length, "self") ||
		wt_list_item_is(item, length, "null"))
		return true;
	if (!split_origin(item, length, &scheme, &host, &host_length, &port, &port_length))
		return false;
	for (size_t i = 0; i < scheme; i++)
		if (!((item[i] >= 'a' && item[i] <= 'z') || (item[i] >= 'A' && item[i] <= 'Z') ||
			  (i > 0 && ((item[i] >= '0' && item[i] <= '9') || item[i] == '+' ||
						 item[i] == '-' || item[i] == '.'))))
			return false;
	if (port_length > 0)
	{
		if (port_length < 2 || port_length > 6 || port[0] != ':')
			return false;
		for (size_t i = 1; i < port_length; i++)
			if (port[i] < '0' || port[i] > '9')
				return false;
	}
	if (host[0] == '[')
		return host_length > 2 && wt_address_parse(host + 1, host_length - 2, &address);
	return wt_host_is_valid(host, host_length);
}

/* Whether an origin is one of a pattern's: the scheme and port are the same, see matches. */
static bool
origin_matches(const char *pattern, size_t pattern_length, const char *origin,
			   size_t length)
{
	const char *host[2];
	const char *port[2];
	size_t scheme[2];
	size_t host_length[2];
	size_t port_length[2];

	if (equal(pattern, pattern_length, origin, length))
		return true;
	return split_origin(pattern, pattern_length, &scheme[0], &host[0], &host_length[0],
						&port[0], &port_length[0]) &&
		   split_origin(origin, length, &scheme[1], &host[1], &host_length[1], &port[1],
						&port_length[1]) &&
		   equal(pattern, scheme[0], origin, scheme[1]) &&
		   equal(port[0], port_length[0], port[1], port_length[1]) &&
		   matches(host[0], host_length[0], host[1], host_length[1]);
}

/* Whether a page's origin is the one that the request was sent to. */
static bool
is_same_origin(const char *host, bool secure, const char *origin, size_t length)
{
	const char *scheme = secure ? "https://" : "http://";
	size_t n = strlen(scheme);

	return length > n && strncasecmp(origin, scheme, n) == 0 &&
		   equal(origin + n, length - n, host, strlen(host));
}

bool
wt_origins_have(const char *list, const char *origin, const char *host, bool secure)
{
	size_t length = strlen(origin);
	const char *p = list;
	const char *item;
	size_t n;

	while (wt_list_next(&p, &item, &n))
	{
		if (n == 0)
			continue;
		if (wt_list_item_is(item, n, "*") || origin_matches(item, n, origin, length))
			return true;
		if (wt_list_item_is(item, n, "self") && host &&
			is_same_origin(host, secure, origin, length))
			return true;
	}
	return false;
}

bool
wt_host_is_allowed(const char *list, const char *host)
{
	size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	const char *p = list;
	const char *item;
	size_t n;
	WtAddress address;

	if (length > strlen(host))
		return false;
	/* What comes then is a port. */
	if (host[length] != '\0' &&
		(host[length] != ':' ||
		 strspn(host + length + 1, "0123456789") != strlen(host + length + 1)))
		return false;
	if (host[0] == '[')
		return wt_address_parse(host + 1, length - 2, &address);
	/* A name may end with the root's dot. */
	if (length > 0 && host[length - 1] == '.')
		length--;
	if (wt_address_parse(host, length, &address) ||
		wt_list_item_is(host, length, "localhost") ||
		matches("*.localhost", strlen("*.localhost"), host, length))
		return true;
	while (wt_list_next(&p, &item, &n))
		if (n > 0 && matches(item, n, host, length))
			return true;
	return false;
}
