/*
 * admission.c
 *		Connections, from the sockets that listen to MHD: see admission.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/admission.h"
#include "http/connection.h"
#include "http/response.h"

/* A connection may take this long, ms, to its first request even in a full house. */
#define SLOW_START 1000

/* After accept has failed for want of descriptors or memory, wait, ms. */
#define ACCEPT_PAUSE 100

/* Connections accepted in one run, so that a flood of them leaves time for the rest. */
#define ACCEPT_BURST 64

void
wt_admission_poll(WtListener *listener, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = POLL_SOCKETS}};

	if (listener->polling_sockets == on)
		return;
	listener->polling_sockets = on;
	for (int i = 0; i < listener->sockets.n; i++)
		epoll_ctl(listener->poll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
				  listener->sockets.sockets[i].fd, &event);
}

static bool
is_full(const WtListener *listener)
{
	return listener->n_connections + listener->arrivals.n >=
		   listener->settings.max_connections;
}

/*
 * Who makes room in a full house: the one that has not come to its first request for a
 * while, else the one that has been idle longest; NULL: nobody.
 */
static Connection *
who_makes_room(const WtListener *listener)
{
	Connection *c = listener->phases[PHASE_NEW].first;

	if (c && c->since + SLOW_START <= listener->now)
		return c;
	return listener->phases[PHASE_IDLE].first;
}

static void
make_room(WtListener *listener)
{
	Connection *c = who_makes_room(listener);

	if (c && listener->n_doomed == 0)
		wt_connection_doom(c);
}

/* Prepares a connection's session; its handshake begins with the client's first bytes. */
static void
begin_tls(WtListener *listener, Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	c->session = info ? info->tls_session : NULL;
	if (!c->session || !wt_tls_begin(listener->tls, c->session))
	{
		wt_connection_doom(c);
		return;
	}
	c->tls = wt_tls_hold(listener->tls);
	wt_connection_park(c);
}

/* A parked connection is ready to go on: lets MHD try. */
static void
try_parked(WtListener *listener, Connection *c)
{
	unsigned char first;

	if (!c->greeted && recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
	{
		/* Not the beginning of a handshake: who speaks plain HTTP can be told so. */
		if (first != 0x16)
		{
			if (first >= 'A' && first <= 'Z')
				wt_answer_directly(
					c, 400, "Bad Request",
					"this port speaks TLS: send to https:// instead of http://");
			wt_count_request(listener->counters, 400, WT_REASON_MALFORMED);
			wt_connection_doom(c);
			return;
		}
		c->greeted = true;
	}
	wt_connection_unpark(c);
	c->next_tried = listener->tried;
	listener->tried = c;
}

/* After MHD has been run: those that wait on, for all that it has done, are parked. */
static void
park_tried(WtListener *listener)
{
	Connection *c = listener->tried;
	Connection *next;

	listener->tried = NULL;
	for (; c; c = next)
	{
		next = c->next_tried;
		c->next_tried = NULL;
		if (c->phase != PHASE_NEW) /* it is at its first request, or doomed */
			continue;
		if (wt_tls_has_unread(c->session)) /* MHD is about to read it */
		{
			c->next_tried = listener->tried;
			listener->tried = c;
		}
		else
			wt_connection_park(c);
	}
}

/*
 * Closes a socket that MHD does not get, with an answer where that costs little: by TLS it
 * would be a handshake, and those who come in floods leave room for others to linger.
 */
static void
turn_away(WtListener *listener, int fd, const WtAddress *address, bool secure, int status,
		  const char *phrase, WtReason reason, const char *sentence)
{
	char message[DIRECT_ANSWER_SIZE];
	char ip[INET6_ADDRSTRLEN];
	WtRefusal refusal = {.time_us = wall_clock_us(), .status = status, .reason = reason};

	if (!secure)
	{
		size_t length = wt_compose_answer(message, status, phrase, sentence);

		(void) !send(fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (listener->lingering.n < WT_MAX_LINGERING / 2)
			wt_linger(&listener->lingering, fd, listener->now);
	}
	close(fd);
	wt_count_request(listener->counters, status, reason);
	if (!listener->refused)
		return;
	if (address)
	{
		wt_address_format(address, ip, sizeof(ip));
		refusal.ip = ip;
	}
	wt_refused_add(listener->refused, &refusal);
}

/*
 * Lets a connection in, whose client has this address (NULL: it is not one of IP) and comes
 * by TLS or not.  counted: it is one of those of its address.  NULL where it could not.
 */
static Connection *
admit(WtListener *listener, int fd, const struct sockaddr_storage *address,
	  socklen_t length, bool secure, bool counted)
{
	WtAddress client;
	WtVisitor *visitor = NULL;

	if (counted && wt_address_of_socket((const struct sockaddr *) address, &client) &&
		!wt_address_is_loopback(&client) &&
		!wt_address_enter(&listener->addresses, &client,
						  listener->settings.max_connections_per_ip, &visitor))
	{
		turn_away(
			listener, fd, &client, secure, 429, "Too Many Requests",
			WT_REASON_CONNECTIONS,
			"this address has as many connections as "
			"windtrap.max_connections_per_ip allows: keep them open and use them again");
		return NULL;
	}
	listener->started = NULL;
	/* MHD closes the socket where it fails. */
	if (MHD_add_connection(listener->daemons[secure ? DAEMON_TLS : DAEMON_PLAIN], fd,
						   (const struct sockaddr *) address, length) != MHD_YES ||
		!listener->started)
	{
		if (visitor)
			wt_address_leave(&listener->addresses, visitor);
		return NULL;
	}
	listener->started->visitor = visitor;
	if (secure)
		begin_tls(listener, listener->started);
	return listener->started;
}

/* One that has just been accepted. */
static void
receive(WtListener *listener, int fd, const struct sockaddr_storage *address,
		socklen_t length)
{
	WtAddress peer;
	bool by_ip = wt_address_of_socket((const struct sockaddr *) address, &peer);
	bool trusted = wt_cidr_list_has(&listener->trusted, by_ip ? &peer : NULL);

	if (trusted && listener->settings.proxy_protocol)
	{
		if (!wt_arrivals_add(&listener->arrivals, fd, address, length, listener->now))
			close(fd);
		return;
	}
	(void) admit(listener, fd, address, length, listener->tls && by_ip, !trusted);
}

/* A proxy goes on to say whose connection it passes on. */
static void
attend_arrival(WtListener *listener, WtArrival *arrival)
{
	WtArrival a = *arrival;
	WtProxyHeader header;
	WtProxyResult result = wt_arrival_read(arrival, &header);
	struct sockaddr_in6 client = {.sin6_family = AF_INET6};
	Connection *c;
	WtAddress peer;
	bool by_ip = wt_address_of_socket((const struct sockaddr *) &a.address, &peer);
	bool secure = listener->tls && by_ip;

	if (result == WT_PROXY_INCOMPLETE)
		return;
	wt_arrivals_remove(&listener->arrivals, arrival);
	if (result == WT_PROXY_MALFORMED)
	{
		turn_away(
			listener, a.fd, by_ip ? &peer : NULL, secure, 400, "Bad Request",
			WT_REASON_MALFORMED,
			"windtrap.proxy_protocol is on: a connection from a trusted proxy begins "
			"with a header of the PROXY protocol");
		return;
	}
	if (header.own)
	{
		(void) admit(listener, a.fd, &a.address, a.address_length, secure, false);
		return;
	}
	/* Somebody, but nobody knows who: not this machine, which may do more than others. */
	if (header.known)
		memcpy(&client.sin6_addr, header.address.bytes, sizeof(client.sin6_addr));
	memset(&a.address, 0, sizeof(a.address));
	memcpy(&a.address, &client, sizeof(client));
	c = admit(listener, a.fd, &a.address, sizeof(client), secure, header.known);
	/* Whatever address the proxy has told, it is not one of this machine. */
	if (c)
		c->passed_on = true;
}

void
wt_admission_accept(WtListener *listener)
{
	for (int i = 0; i < listener->sockets.n; i++)
	{
		for (int burst = 0; burst < ACCEPT_BURST; burst++)
		{
			struct sockaddr_storage address;
			socklen_t length = sizeof(address);
			int fd;

			if (is_full(listener))
			{
				make_room(listener);
				return;
			}
			fd = accept4(listener->sockets.sockets[i].fd, (struct sockaddr *) &address,
						 &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd < 0)
			{
				if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
					errno == ENOMEM)
				{
					listener->accept_after = listener->now + ACCEPT_PAUSE;
					return;
				}
				if (errno == EINTR || errno == ECONNABORTED)
					continue;
				break;
			}
			if (listener->leaving)
				wt_socket_admitted(fd, address.ss_family);
			receive(listener, fd, &address, length);
		}
	}
}

void
wt_admission_run(WtListener *listener)
{
	struct epoll_event events[64];
	bool accepting;
	bool knocking = false;
	int n;

	if (listener->accept_after > 0 && listener->accept_after <= listener->now)
		listener->accept_after = 0;
	/* Nobody can be let in: do not be woken for those who knock. */
	accepting = listener->accept_after == 0 &&
				(!is_full(listener) || who_makes_room(listener) != NULL);
	wt_admission_poll(listener, accepting);

	n = epoll_wait(listener->poll_fd, events, 64, 0);
	for (int i = 0; i < n; i++)
	{
		if (events[i].data.u64 == POLL_SOCKETS)
			knocking = true;
		else if (wt_arrival_of(events[i].data.u64))
			attend_arrival(listener, wt_arrival_of(events[i].data.u64));
		else if (events[i].data.u64 != POLL_MHD && events[i].data.u64 >= WT_MAX_LINGERING)
		{
			Connection *c = events[i].data.ptr;

			/* Else the client of a stream has left, which who goes on with it asks for. */
			if (c->parked)
				try_parked(listener, c);
		}
	}
	if (knocking)
		wt_admission_accept(listener);
}

static void
end_overdue_arrivals(WtListener *listener)
{
	WtArrival *arrival;

	while ((arrival = listener->arrivals.first) != NULL &&
		   arrival->since + listener->settings.request_timeout <= listener->now)
	{
		int fd = arrival->fd;

		wt_arrivals_remove(&listener->arrivals, arrival);
		close(fd);
	}
}

void
wt_admission_settle(WtListener *listener)
{
	park_tried(listener);
	end_overdue_arrivals(listener);
}

int64_t
wt_admission_next(const WtListener *listener)
{
	const Connection *c = listener->phases[PHASE_NEW].first;
	const WtArrival *arrival = listener->arrivals.first;
	int64_t next = INT64_MAX;

	/* Those who knock at a full house are not heard until somebody can make room. */
	if (!listener->polling_sockets && c)
		next = c->since + SLOW_START;
	if (arrival && arrival->since + listener->settings.request_timeout < next)
		next = arrival->since + listener->settings.request_timeout;
	if (listener->accept_after > 0 && listener->accept_after < next)
		next = listener->accept_after;
	return next;
}
