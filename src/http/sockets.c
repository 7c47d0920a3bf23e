/*
 * sockets.c
 *		Listening sockets: from a list of addresses to descriptors.
 *
 * Every TCP socket has SO_REUSEPORT, so that workers can share the port and a reload can
 * bind an address that overlaps one in use.  The hazard is that two clusters of one
 * system user would share a port too, and split the events between them without a word;
 * so who comes first on a port binds it once without SO_REUSEPORT, to see whether it is
 * free.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/sockets.h"

#define BACKLOG 1024

static bool fail(WtSocketsError *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool
fail(WtSocketsError *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return false;
}

static void
describe(const struct sockaddr_storage *address, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN];

	switch (address->ss_family)
	{
		case AF_INET:
		{
			const struct sockaddr_in *in = (const struct sockaddr_in *) address;

			inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
			snprintf(text, size, "%s:%d", host, ntohs(in->sin_port));
			break;
		}
		case AF_INET6:
		{
			const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) address;

			inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
			snprintf(text, size, "[%s]:%d", host, ntohs(in6->sin6_port));
			break;
		}
		default:
			snprintf(text, size, "%s", ((const struct sockaddr_un *) address)->sun_path);
	}
}

static bool
same_address(const WtSocket *a, const WtSocket *b)
{
	return a->address_length == b->address_length &&
		   memcmp(&a->address, &b->address, a->address_length) == 0;
}

static bool
add_address(WtSockets *wanted, const struct sockaddr *address, socklen_t length,
			WtSocketsError *error)
{
	WtSocket *s = &wanted->sockets[wanted->n];

	if (wanted->n == WT_MAX_SOCKETS)
		return fail(error, "there are more than %d addresses to listen on",
					WT_MAX_SOCKETS);
	memset(s, 0, sizeof(*s));
	memcpy(&s->address, address, length);
	s->address_length = length;
	s->fd = -1;
	for (int i = 0; i < wanted->n; i++)
		if (same_address(&wanted->sockets[i], s))
			return true;
	wanted->n++;
	return true;
}

/* Adds all addresses that one item of the list stands for. */
static bool
resolve(WtSockets *wanted, const char *host, int port, WtSocketsError *error)
{
	struct addrinfo hints;
	struct addrinfo *found;
	char service[16];
	int rc;

	if (host[0] == '/')
	{
		struct sockaddr_un un;

		memset(&un, 0, sizeof(un));
		un.sun_family = AF_UNIX;
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", host);
		return add_address(wanted, (struct sockaddr *) &un, sizeof(un), error);
	}

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE;
	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, service, &hints, &found);
	if (rc != 0)
		return fail(error, "could not resolve the address \"%s\": %s", host,
					gai_strerror(rc));
	for (struct addrinfo *a = found; a; a = a->ai_next)
	{
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		if (!add_address(wanted, a->ai_addr, a->ai_addrlen, error))
		{
			freeaddrinfo(found);
			return false;
		}
	}
	freeaddrinfo(found);
	return true;
}

static bool
resolve_list(WtSockets *wanted, const char *addresses, int port, int flags,
			 WtSocketsError *error)
{
	const char *p = addresses;

	while (*p)
	{
		char host[256];
		size_t n;

		p += strspn(p, " \t\r\n,");
		n = strcspn(p, ",");
		while (n > 0 && isspace((unsigned char) p[n - 1]))
			n--;
		if (n == 0)
			break;
		if (n >= sizeof(host))
			return fail(error, "an address of the list is too long");
		memcpy(host, p, n);
		host[n] = '\0';
		if (!(host[0] == '/' && (flags & WT_SOCKETS_NO_PATHS)) &&
			!resolve(wanted, host, port, error))
			return false;
		p += strcspn(p, ",");
	}
	return true;
}

/* A path that nobody listens on any more would stand in the way of bind. */
static void
remove_stale_path(const WtSocket *s)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *) &s->address;
	struct stat st;
	int fd;

	if (lstat(un->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	/* One whose queue is full is not stale, and must not keep us waiting. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *) un, s->address_length) != 0 &&
		errno == ECONNREFUSED)
		unlink(un->sun_path);
	close(fd);
}

/* A socket bound to s's address; -1 and errno where that fails. */
static int
bind_socket(const WtSocket *s, int type, bool share)
{
	int on = 1;
	int family = s->address.ss_family;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (family == AF_UNIX)
		remove_stale_path(s);
	else if ((type == SOCK_STREAM &&
			  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) ||
			 (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
			 (family == AF_INET6 &&
			  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0))
		goto failed;
	if (bind(fd, (const struct sockaddr *) &s->address, s->address_length) != 0)
		goto failed;
	/* As with PostgreSQL's own, who may connect is for the directory to say. */
	if (family == AF_UNIX)
		(void) chmod(((const struct sockaddr_un *) &s->address)->sun_path, 0777);
	return fd;

failed:
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}
}

static bool
open_socket(WtSocket *s, int flags, WtSocketsError *error)
{
	bool exclusive = (flags & WT_SOCKETS_EXCLUSIVE) != 0;
	int type = flags & WT_SOCKETS_DATAGRAMS ? SOCK_DGRAM : SOCK_STREAM;
	char where[160];

	describe(&s->address, where, sizeof(where));
	if (exclusive && s->address.ss_family != AF_UNIX)
	{
		int probe = bind_socket(s, type, false);

		if (probe >= 0)
			close(probe);
		else if (errno == EADDRINUSE)
		{
			error->port_taken = true;
			return fail(error, "could not listen on %s: %s", where, strerror(errno));
		}
	}
	s->fd = bind_socket(s, type, true);
	if (s->fd < 0 || (type == SOCK_STREAM && listen(s->fd, BACKLOG) != 0))
	{
		int saved = errno;

		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
		error->port_taken = (saved == EADDRINUSE);
		fail(error, "could not listen on %s: %s", where, strerror(saved));
		errno = saved;
		return false;
	}
	return true;
}

static void
close_socket(WtSocket *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	if (s->address.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *) &s->address)->sun_path);
}

static WtSocket *
find(WtSockets *sockets, const WtSocket *s)
{
	for (int i = 0; i < sockets->n; i++)
		if (same_address(&sockets->sockets[i], s))
			return &sockets->sockets[i];
	return NULL;
}

bool
wt_sockets_open(WtSockets *sockets, const char *addresses, int port, int flags,
				WtSocketsError *error)
{
	WtSockets wanted = {.n = 0};
	int n_open = 0;

	error->port_taken = false;
	error->message[0] = '\0';
	if (!resolve_list(&wanted, addresses, port, flags, error))
		return false;

	for (int i = 0; i < wanted.n; i++)
	{
		WtSocket *s = &wanted.sockets[i];
		const WtSocket *old = find(sockets, s);

		if (old)
			s->fd = old->fd;
		else if (!open_socket(s, flags, error))
		{
			/* A machine without IPv6 still has a localhost. */
			if (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)
				continue;
			goto failed;
		}
		n_open++;
	}
	if (n_open == 0)
	{
		if (error->message[0] == '\0')
			fail(error, "there is no address to listen on");
		goto failed;
	}

	for (int i = 0; i < sockets->n; i++)
		if (!find(&wanted, &sockets->sockets[i]))
			close_socket(&sockets->sockets[i]);
	sockets->n = 0;
	for (int i = 0; i < wanted.n; i++)
		if (wanted.sockets[i].fd >= 0)
			sockets->sockets[sockets->n++] = wanted.sockets[i];
	return true;

failed:
	for (int i = 0; i < wanted.n; i++)
		if (!find(sockets, &wanted.sockets[i]))
			close_socket(&wanted.sockets[i]);
	return false;
}

/*
 * Packets with a TTL below this are dropped.  The kernel looks at those of a listening socket's that
 * begin a connection, and at those of connections, which are made with what the listening one has.
 */
static bool
set_least_ttl(int fd, int family, int ttl)
{
	return family == AF_INET6
			   ? setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &ttl, sizeof(ttl)) == 0
			   : setsockopt(fd, IPPROTO_IP, IP_MINTTL, &ttl, sizeof(ttl)) == 0;
}

bool
wt_sockets_admit_no_more(const WtSockets *sockets)
{
	bool closed = true;

	/*
	 * More than nearly all senders' packets have.  A filter of the socket's could tell them
	 * better, and some kernels let only who administers the network attach one.
	 */
	for (int i = 0; i < sockets->n; i++)
	{
		int family = sockets->sockets[i].address.ss_family;

		if (family != AF_UNIX && !set_least_ttl(sockets->sockets[i].fd, family, MAXTTL))
			closed = false;
	}
	return closed;
}

void
wt_socket_admitted(int fd, int family)
{
	if (family != AF_UNIX)
		(void) set_least_ttl(fd, family, 0);
}

void
wt_sockets_close(WtSockets *sockets)
{
	for (int i = 0; i < sockets->n; i++)
		close_socket(&sockets->sockets[i]);
	sockets->n = 0;
}

void
wt_sockets_describe(const WtSockets *sockets, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < sockets->n && used + 1 < size; i++)
	{
		char one[160];
		int n;

		describe(&sockets->sockets[i].address, one, sizeof(one));
		n = snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", one);
		used += (size_t) n;
	}
}
