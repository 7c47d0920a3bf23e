/*
 * client.c
 *		Who is behind a request.
 */
#include <string.h>
#include <strings.h>

#include "http/client.h"

/* More proxies in a row than anybody has; each costs a look at the whole list. */
#define MAX_HOPS 32

/* What proxies add to a request. */
static const char *const proxy_headers[] = {
	"via",		"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
	"x-real-ip"};

/* The last header of a name: the nearest proxy adds its own after the others. */
static const WtHeader *
find_last(const WtHeader *headers, int n_headers, const char *name)
{
	for (int i = n_headers - 1; i >= 0; i--)
		if (wt_header_is(&headers[i], name))
			return &headers[i];
	return NULL;
}

static void
trim(const char **text, size_t *length)
{
	while (*length > 0 && (**text == ' ' || **text == '\t'))
	{
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && ((*text)[*length - 1] == ' ' || (*text)[*length - 1] == '\t'))
		(*length)--;
}

/* Reads an address with or without a port: 192.0.2.1:80, [2001:db8::1]:80, 2001:db8::1. */
static bool
parse_node(const char *text, size_t length, WtAddress *address)
{
	const char *end;

	trim(&text, &length);
	if (length > 0 && text[0] == '[')
	{
		end = memchr(text, ']', length);
		return end && wt_address_parse(text + 1, (size_t) (end - text) - 1, address);
	}
	end = memchr(text, ':', length);
	if (end && !memchr(end + 1, ':', length - (size_t) (end - text) - 1))
		length = (size_t) (end - text);
	return wt_address_parse(text, length, address);
}

/* The last part of a list before *end, be it empty; see last_part. */
static void
last_part_or_none(const char *list, const char **end, const char **part, size_t *length)
{
	const char *comma = NULL;
	bool quoted = false;

	for (const char *p = list; p < *end; p++)
	{
		if (quoted && *p == '\\' && p + 1 < *end)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == ',' && !quoted)
			comma = p;
	}
	*part = comma ? comma + 1 : list;
	*length = (size_t) (*end - *part);
	*end = comma;
	trim(part, length);
}

/*
 * The part of a list before *end that follows its last comma outside of quotes; moves *end
 * to that comma, or to NULL where this was the first part.  Empty parts are none (RFC 9110,
 * 5.6.1); false: there are only such.
 */
static bool
last_part(const char *list, const char **end, const char **part, size_t *length)
{
	while (*end)
	{
		last_part_or_none(list, end, part, length);
		if (*length > 0)
			return true;
	}
	return false;
}

/* The value of one pair (for, proto) of an element of Forwarded, without its quotes. */
static bool
forwarded_value(const char *element, size_t length, const char *name, const char **value,
				size_t *value_length)
{
	const char *end = element + length;

	for (const char *p = element; p < end;)
	{
		const char *pair = p;
		const char *equals;
		size_t n;
		bool quoted = false;

		while (p < end && (quoted || *p != ';'))
		{
			if (*p == '"')
				quoted = !quoted;
			p++;
		}
		n = (size_t) (p - pair);
		p++; /* the semicolon */
		trim(&pair, &n);
		equals = memchr(pair, '=', n);
		if (!equals || (size_t) (equals - pair) != strlen(name) ||
			strncasecmp(pair, name, strlen(name)) != 0)
			continue;
		*value = equals + 1;
		*value_length = n - strlen(name) - 1;
		if (*value_length >= 2 && (*value)[0] == '"' &&
			(*value)[*value_length - 1] == '"')
		{
			(*value)++;
			*value_length -= 2;
		}
		return true;
	}
	return false;
}

/*
 * Takes one step to the left, to the address in text.  False: the search ends here, at
 * the client, or with the last one that was an address.
 */
static bool
step(const WtCidrList *trusted, const char *text, size_t length, WtClient *client)
{
	WtAddress address;

	if (!parse_node(text, length, &address))
		return false;
	client->address = address;
	client->has_address = true;
	return wt_cidr_list_has(trusted, &address);
}

static void
read_forwarded_for(const WtCidrList *trusted, const WtHeader *headers, int n_headers,
				   WtClient *client)
{
	int hops = 0;

	for (int i = n_headers - 1; i >= 0; i--)
	{
		const char *end = headers[i].value + headers[i].value_length;
		const char *part;
		size_t length;

		if (!wt_header_is(&headers[i], "X-Forwarded-For"))
			continue;
		while (last_part(headers[i].value, &end, &part, &length))
		{
			if (++hops > MAX_HOPS || !step(trusted, part, length, client))
				return;
		}
	}
}

static void
read_forwarded(const WtCidrList *trusted, const WtHeader *headers, int n_headers,
			   WtClient *client)
{
	int hops = 0;

	for (int i = n_headers - 1; i >= 0; i--)
	{
		const char *end = headers[i].value + headers[i].value_length;
		const char *element;
		size_t length;

		if (!wt_header_is(&headers[i], "Forwarded"))
			continue;
		while (last_part(headers[i].value, &end, &element, &length))
		{
			const char *value;
			size_t n;

			if (forwarded_value(element, length, "proto", &value, &n))
				client->secure = n == 5 && strncasecmp(value, "https", 5) == 0;
			if (++hops > MAX_HOPS ||
				!forwarded_value(element, length, "for", &value, &n) ||
				!step(trusted, value, n, client))
				return;
		}
	}
}

/* The scheme that the nearest proxy was spoken to in. */
static void
read_proto(const WtHeader *proto, WtClient *client)
{
	const char *end = proto->value + proto->value_length;
	const char *part;
	size_t length;

	client->secure = last_part(proto->value, &end, &part, &length) && length == 5 &&
					 strncasecmp(part, "https", 5) == 0;
}

void
wt_client_find(const WtCidrList *trusted, const WtAddress *peer, bool secure,
			   const WtHeader *headers, int n_headers, WtClient *client)
{
	memset(client, 0, sizeof(*client));
	client->secure = secure;
	if (peer)
	{
		client->has_address = true;
		client->address = *peer;
	}
	for (size_t i = 0; i < sizeof(proxy_headers) / sizeof(proxy_headers[0]); i++)
		if (find_last(headers, n_headers, proxy_headers[i]))
			client->proxied = true;
	if (client->proxied && wt_cidr_list_has(trusted, peer))
	{
		const WtHeader *proto = find_last(headers, n_headers, "X-Forwarded-Proto");
		const WtHeader *real_ip = find_last(headers, n_headers, "X-Real-IP");

		/* One of them: a proxy that writes the one may pass on the other unread. */
		if (find_last(headers, n_headers, "X-Forwarded-For"))
			read_forwarded_for(trusted, headers, n_headers, client);
		else if (find_last(headers, n_headers, "Forwarded"))
			read_forwarded(trusted, headers, n_headers, client);
		else if (real_ip)
			(void) step(trusted, real_ip->value, real_ip->value_length, client);
		if (proto)
			read_proto(proto, client);
	}
	if (client->has_address)
		wt_address_format(&client->address, client->ip, sizeof(client->ip));
}
