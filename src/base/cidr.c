/*
 * cidr.c
 *		Ranges of IP addresses.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cidr.h"
#include "base/list.h"

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static void
set_ipv4(WtAddress *address, const void *bytes)
{
	memcpy(address->bytes, mapped_prefix, sizeof(mapped_prefix));
	memcpy(address->bytes + sizeof(mapped_prefix), bytes, 4);
}

static bool
is_ipv4(const WtAddress *address)
{
	return memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool
wt_address_parse(const char *text, size_t length, WtAddress *address)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr ipv4;

	/* A NUL inside would hide what comes after it. */
	if (length == 0 || length >= sizeof(copy) || memchr(text, '\0', length))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET, copy, &ipv4) == 1)
	{
		set_ipv4(address, &ipv4);
		return true;
	}
	return inet_pton(AF_INET6, copy, address->bytes) == 1;
}

bool
wt_address_of_socket(const struct sockaddr *socket_address, WtAddress *address)
{
	if (!socket_address)
		return false;
	switch (socket_address->sa_family)
	{
		case AF_INET:
			set_ipv4(address, &((const struct sockaddr_in *) socket_address)->sin_addr);
			return true;
		case AF_INET6:
			memcpy(address->bytes,
				   &((const struct sockaddr_in6 *) socket_address)->sin6_addr, 16);
			return true;
		default:
			return false;
	}
}

void
wt_address_format(const WtAddress *address, char *text, size_t size)
{
	const char *done = is_ipv4(address)
						   ? inet_ntop(AF_INET, address->bytes + 12, text, size)
						   : inet_ntop(AF_INET6, address->bytes, text, size);

	if (!done && size > 0)
		text[0] = '\0';
}

bool
wt_address_is_loopback(const WtAddress *address)
{
	static const unsigned char loopback[16] = {[15] = 1};

	if (is_ipv4(address))
		return address->bytes[12] == 127;
	return memcmp(address->bytes, loopback, sizeof(loopback)) == 0;
}

bool
wt_cidr_parse(const char *text, size_t length, WtCidr *range)
{
	const char *slash = memchr(text, '/', length);
	size_t address_length = slash ? (size_t) (slash - text) : length;
	int max_bits;
	int bits = 0;

	if (!wt_address_parse(text, address_length, &range->network))
		return false;
	/* As it is written, not as it is mapped: /8 of an IPv4 address is 104 of 128. */
	max_bits = memchr(text, ':', address_length) ? 128 : 32;
	if (!slash)
		bits = max_bits;
	else
	{
		const char *digits = slash + 1;
		size_t n = length - address_length - 1;

		if (n == 0 || n > 3)
			return false;
		for (size_t i = 0; i < n; i++)
		{
			if (digits[i] < '0' || digits[i] > '9')
				return false;
			bits = bits * 10 + (digits[i] - '0');
		}
		if (bits > max_bits)
			return false;
	}
	range->bits = bits + 128 - max_bits;
	return true;
}

static bool
cidr_has(const WtCidr *range, const WtAddress *address)
{
	int bytes = range->bits / 8;
	int rest = range->bits % 8;
	unsigned char mask;

	if (memcmp(range->network.bytes, address->bytes, (size_t) bytes) != 0)
		return false;
	if (rest == 0)
		return true;
	mask = (unsigned char) (0xFF << (8 - rest));
	return ((range->network.bytes[bytes] ^ address->bytes[bytes]) & mask) == 0;
}

bool
wt_cidr_list_parse(const char *text, WtCidrList *list, const char **bad,
				   size_t *bad_length)
{
	WtCidrList read = {0};
	const char *p = text;
	const char *item;
	size_t n;

	while (wt_list_next(&p, &item, &n))
	{
		WtCidr range;
		WtCidr *ranges;

		if (n == 0)
			continue;
		if (n == strlen("unix") && strncasecmp(item, "unix", n) == 0)
		{
			read.unix_sockets = true;
			continue;
		}
		if (!wt_cidr_parse(item, n, &range))
		{
			*bad = item;
			*bad_length = n;
			wt_cidr_list_free(&read);
			return false;
		}
		ranges = realloc(read.ranges, sizeof(WtCidr) * ((size_t) read.n + 1));
		if (!ranges)
		{
			*bad = NULL;
			*bad_length = 0;
			wt_cidr_list_free(&read);
			return false;
		}
		read.ranges = ranges;
		read.ranges[read.n++] = range;
	}
	wt_cidr_list_free(list);
	*list = read;
	return true;
}

bool
wt_cidr_list_has(const WtCidrList *list, const WtAddress *address)
{
	if (!address)
		return list->unix_sockets;
	for (int i = 0; i < list->n; i++)
		if (cidr_has(&list->ranges[i], address))
			return true;
	return false;
}

void
wt_cidr_list_free(WtCidrList *list)
{
	free(list->ranges);
	memset(list, 0, sizeof(*list));
}
