/*
 * listen_list.c
 *		Where to listen for senders that speak no HTTP: see listen_list.h.
 */
#include <ctype.h>
#include <string.h>

#include "base/listen_list.h"

typedef struct Scheme
{
	WtListenForm form;
	const char *name;
	WtIntake intake;
	int port;	  /* where none is said */
	bool unnamed; /* an item without a scheme stands for it */
} Scheme;

static const Scheme schemes[] = {
	{WT_LISTEN_SYSLOG, "udp://", WT_INTAKE_SYSLOG_UDP, 514, true},
	{WT_LISTEN_SYSLOG, "tcp://", WT_INTAKE_SYSLOG_TCP, 514, true},
	{WT_LISTEN_SYSLOG, "tls://", WT_INTAKE_SYSLOG_TLS, 6514, false},
	{WT_LISTEN_SYSLOG, "relp://", WT_INTAKE_RELP, 2514, false},
	{WT_LISTEN_GELF, "udp://", WT_INTAKE_GELF_UDP, 12201, true},
	{WT_LISTEN_GELF, "tcp://", WT_INTAKE_GELF_TCP, 12201, true},
};

#define N_SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static bool
begins_with(const char *item, size_t length, const char *with)
{
	size_t n = strlen(with);

	return length >= n && memcmp(item, with, n) == 0;
}

static bool
read_port(const char *digits, size_t n, int *port)
{
	if (n == 0 || n > 5)
		return false;
	*port = 0;
	for (size_t i = 0; i < n; i++)
	{
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*port = *port * 10 + (digits[i] - '0');
	}
	return *port >= 1 && *port <= 65535;
}

/* Splits "host", "host:port", "[host]:port", "::1"; *port stays where none is said. */
static bool
read_host(const char *text, size_t length, char *host, int *port, const char **fault)
{
	const char *name = text;
	size_t n = length;
	const char *colon = memchr(text, ':', length);

	if (length > 0 && text[0] == '[')
	{
		const char *end = memchr(text, ']', length);
		size_t rest;

		*fault = "has a bracket that does not end";
		if (!end)
			return false;
		name = text + 1;
		n = (size_t) (end - name);
		rest = length - n - 2;
		*fault = "has a port that is not one of 1 to 65535";
		if (rest > 0 && (end[1] != ':' || !read_port(end + 2, rest - 1, port)))
			return false;
	}
	else if (colon && !memchr(colon + 1, ':', length - (size_t) (colon - text) - 1))
	{
		n = (size_t) (colon - text);
		*fault = "has a port that is not one of 1 to 65535";
		if (!read_port(colon + 1, length - n - 1, port))
			return false;
	}
	*fault = "has no address";
	if (n == 0)
		return false;
	*fault = "is not [scheme://]address[:port]";
	if (n >= WT_LISTEN_HOST_SIZE || (memchr(name, '*', n) && n != 1))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char) name[i]) && !strchr("*.:-_%", name[i]))
			return false;
	memcpy(host, name, n);
	host[n] = '\0';
	return true;
}

int
wt_listen_read(WtListenForm form, const char *item, size_t length,
			   WtListenPlace places[WT_LISTEN_PLACES_OF_ITEM], const char **fault)
{
	const Scheme *named = NULL;
	int n = 0;

	for (size_t i = 0; i < N_SCHEMES && !named; i++)
		if (schemes[i].form == form && begins_with(item, length, schemes[i].name))
			named = &schemes[i];
	if (named)
	{
		item += strlen(named->name);
		length -= strlen(named->name);
	}
	else if (memmem(item, length, "://", 3))
	{
		*fault = form == WT_LISTEN_SYSLOG ? "begins with none of udp, tcp, tls and relp"
										  : "begins with neither udp nor tcp";
		return 0;
	}
	for (size_t i = 0; i < N_SCHEMES; i++)
	{
		const Scheme *scheme = &schemes[i];
		WtListenPlace *place = &places[n];

		if (named ? scheme != named : scheme->form != form || !scheme->unnamed)
			continue;
		place->intake = scheme->intake;
		place->port = scheme->port;
		if (!read_host(item, length, place->host, &place->port, fault))
			return 0;
		n++;
	}
	return n;
}
