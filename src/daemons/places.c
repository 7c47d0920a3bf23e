/*
 * places.c
 *		Sockets that listen, as the settings say.
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/list.h"
#include "daemons/daemons_state.h"

/* What is asked of the kernel for datagrams that wait, bytes; it gives what it allows. */
#define RECEIVE_BUFFER (8 * 1024 * 1024)

void
wt_places_poll(WtDaemons *daemons, bool connections, bool datagrams)
{
	for (int p = 0; p < MAX_PLACES; p++)
	{
		Place *place = &daemons->places[p];
		bool is_datagram = wt_is_by_datagram(place->public.where.intake);
		bool on = is_datagram ? datagrams : connections;
		struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = place}};

		if (!place->public.open || on == (is_datagram ? daemons->polling_datagrams
													  : daemons->polling_connections))
			continue;
		for (int i = 0; i < place->sockets.n; i++)
			epoll_ctl(daemons->poll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
					  place->sockets.sockets[i].fd, &event);
	}
	daemons->polling_connections = connections;
	daemons->polling_datagrams = datagrams;
}

static bool
same_place(const WtListenPlace *a, const WtListenPlace *b)
{
	return a->intake == b->intake && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Adds what a list stands for, each place once; false: there is too much. */
static bool
read_list(WtListenForm form, const char *list, WtListenPlace *wanted, int *n)
{
	const char *p = list;
	const char *item;
	size_t length;

	while (list[0] != '\0' && wt_list_next(&p, &item, &length))
	{
		WtListenPlace found[WT_LISTEN_PLACES_OF_ITEM];
		const char *fault;
		int n_found = wt_listen_read(form, item, length, found, &fault);

		for (int i = 0; i < n_found; i++)
		{
			bool again = false;

			for (int k = 0; k < *n; k++)
				again = again || same_place(&wanted[k], &found[i]);
			if (again)
				continue;
			if (*n == MAX_PLACES)
				return false;
			wanted[(*n)++] = found[i];
		}
	}
	return true;
}

static void
ask_for_buffers(const WtSockets *sockets)
{
	const int size = RECEIVE_BUFFER;

	for (int i = 0; i < sockets->n; i++)
		(void) setsockopt(sockets->sockets[i].fd, SOL_SOCKET, SO_RCVBUF, &size,
						  sizeof(size));
}

/* Opens its sockets; where that fails, place->public.error says why. */
static void
open_place(const WtDaemons *daemons, Place *place, int flags)
{
	const WtListenPlace *where = &place->public.where;
	WtSocketsError error;

	if (where->intake == WT_INTAKE_SYSLOG_TLS && !daemons->tls)
	{
		snprintf(place->public.error, sizeof(place->public.error),
				 "syslog by TLS needs windtrap.tls_cert_file and windtrap.tls_key_file");
		return;
	}
	if (wt_is_by_datagram(where->intake))
		flags |= WT_SOCKETS_DATAGRAMS;
	if (!wt_sockets_open(&place->sockets, where->host, where->port, flags, &error))
	{
		memcpy(place->public.error, error.message, sizeof(place->public.error));
		return;
	}
	if (wt_is_by_datagram(where->intake))
		ask_for_buffers(&place->sockets);
	memset(place->drops, 0, sizeof(place->drops));
	place->public.error[0] = '\0';
	place->public.open = true;
	wt_sockets_describe(&place->sockets, place->public.addresses,
						sizeof(place->public.addresses));
}

void
wt_daemons_read_place(WtDaemons *daemons, Place *place)
{
	if (!place->public.open)
		return;
	if (wt_is_by_datagram(place->public.where.intake))
		wt_datagrams_read(daemons, place);
	else
		wt_streams_accept(daemons, place);
}

/* What has come by now is not lost with the sockets, and who knocks has been told that he is heard. */
static void
close_place(WtDaemons *daemons, Place *place)
{
	if (!place->public.open)
		return;
	wt_daemons_read_place(daemons, place);
	wt_sockets_close(&place->sockets);
	place->public.open = false;
}

static Place *
find(WtDaemons *daemons, const WtListenPlace *where)
{
	for (int i = 0; i < MAX_PLACES; i++)
		if (daemons->places[i].used &&
			same_place(&daemons->places[i].public.where, where))
			return &daemons->places[i];
	return NULL;
}

static void
add_place(WtDaemons *daemons, const WtListenPlace *where)
{
	Place *place = daemons->places;

	while (place->used)
		place++;
	memset(place, 0, sizeof(*place));
	place->polled = POLLED_LISTENING;
	place->public.where = *where;
	place->used = true;
}

/* Closes the places that are not wanted any more, and takes note of those that are. */
static void
want(WtDaemons *daemons, const WtListenPlace *wanted, int n_wanted)
{
	for (int i = 0; i < MAX_PLACES; i++)
	{
		Place *place = &daemons->places[i];
		bool stays = false;

		for (int k = 0; place->used && k < n_wanted; k++)
			stays = stays || same_place(&place->public.where, &wanted[k]);
		if (!place->used || stays)
			continue;
		close_place(daemons, place);
		place->used = false;
	}
	for (int k = 0; k < n_wanted; k++)
		if (!find(daemons, &wanted[k]))
			add_place(daemons, &wanted[k]);
}

bool
wt_daemons_listen(WtDaemons *daemons, const char *syslog, const char *gelf,
				  WtPlaceFlags flags_for, char error[WT_PLACE_ERROR_SIZE])
{
	WtListenPlace wanted[MAX_PLACES];
	int n_wanted = 0;
	bool connections = daemons->polling_connections;
	bool datagrams = daemons->polling_datagrams;
	bool all = true;

	error[0] = '\0';
	if (!read_list(WT_LISTEN_SYSLOG, syslog, wanted, &n_wanted) ||
		!read_list(WT_LISTEN_GELF, gelf, wanted, &n_wanted))
	{
		snprintf(error, WT_PLACE_ERROR_SIZE,
				 "there are more than %d addresses to listen on for syslog and GELF",
				 MAX_PLACES);
		return false;
	}
	if (n_wanted > 0 && !wt_datagrams_prepare(daemons))
	{
		snprintf(error, WT_PLACE_ERROR_SIZE, "out of memory");
		return false;
	}
	wt_places_poll(daemons, false, false);
	want(daemons, wanted, n_wanted);
	for (int i = 0; i < MAX_PLACES; i++)
	{
		Place *place = &daemons->places[i];
		int flags;

		if (!place->used)
			continue;
		/* Without a certificate it would let everybody in for nothing. */
		if (place->public.where.intake == WT_INTAKE_SYSLOG_TLS && !daemons->tls)
			close_place(daemons, place);
		if (place->public.open)
			continue;
		flags = flags_for(&place->public.where);
		if (flags >= 0)
			open_place(daemons, place, flags);
		all = all && place->public.open;
		if (error[0] == '\0')
			memcpy(error, place->public.error, WT_PLACE_ERROR_SIZE);
	}
	wt_places_poll(daemons, connections, datagrams);
	return all;
}

void
wt_places_close(WtDaemons *daemons)
{
	wt_places_poll(daemons, false, false);
	for (int i = 0; i < MAX_PLACES; i++)
	{
		if (daemons->places[i].used)
			close_place(daemons, &daemons->places[i]);
		daemons->places[i].used = false;
	}
}

const WtDaemonsPlace *
wt_daemons_place(const WtDaemons *daemons, int *i)
{
	while (*i < MAX_PLACES)
	{
		const Place *place = &daemons->places[(*i)++];

		if (place->used)
			return &place->public;
	}
	return NULL;
}
