/*
 * arrivals.c
 *		Connections of proxies that have not yet said whose they are: see arrivals.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/arrivals.h"

/* In the mark of an event: an address is even. */
#define ARRIVAL_BIT UINT64_C(1)
/* No address, and no number of anything else that is polled, is as large as the one and as
 * small as the other. */
#define LOWEST_ADDRESS UINT64_C(4096)
#define HIGHEST_ADDRESS (UINT64_MAX >> 1)

bool
wt_arrivals_add(WtArrivals *arrivals, int fd, const struct sockaddr_storage *address,
				socklen_t address_length, int64_t now)
{
	WtArrival *arrival = calloc(1, sizeof(*arrival));
	/* By edge: what has come stays unread until the header is complete. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};

	if (!arrival)
		return false;
	event.data.u64 = (uint64_t) (uintptr_t) arrival | ARRIVAL_BIT;
	if (epoll_ctl(arrivals->poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
	{
		free(arrival);
		return false;
	}
	arrival->fd = fd;
	arrival->since = now;
	arrival->address = *address;
	arrival->address_length = address_length;
	arrival->previous = arrivals->last;
	if (arrivals->last)
		arrivals->last->next = arrival;
	else
		arrivals->first = arrival;
	arrivals->last = arrival;
	arrivals->n++;
	return true;
}

WtArrival *
wt_arrival_of(uint64_t mark)
{
	if (!(mark & ARRIVAL_BIT) || mark < LOWEST_ADDRESS || mark > HIGHEST_ADDRESS)
		return NULL;
	return (WtArrival *) (uintptr_t) (mark & ~ARRIVAL_BIT);
}

WtProxyResult
wt_arrival_read(const WtArrival *arrival, WtProxyHeader *header)
{
	char bytes[WT_PROXY_HEADER_MAX];
	ssize_t n = recv(arrival->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	WtProxyResult result;

	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
				   ? WT_PROXY_INCOMPLETE
				   : WT_PROXY_MALFORMED;
	if (n == 0)
		return WT_PROXY_MALFORMED;
	result = wt_proxy_header_parse(bytes, (size_t) n, header);
	if (result == WT_PROXY_COMPLETE && recv(arrival->fd, bytes, header->length,
											MSG_DONTWAIT) != (ssize_t) header->length)
		return WT_PROXY_MALFORMED;
	return result;
}

void
wt_arrivals_remove(WtArrivals *arrivals, WtArrival *arrival)
{
	epoll_ctl(arrivals->poll_fd, EPOLL_CTL_DEL, arrival->fd, NULL);
	if (arrival->previous)
		arrival->previous->next = arrival->next;
	else
		arrivals->first = arrival->next;
	if (arrival->next)
		arrival->next->previous = arrival->previous;
	else
		arrivals->last = arrival->previous;
	arrivals->n--;
	free(arrival);
}

void
wt_arrivals_end(WtArrivals *arrivals)
{
	while (arrivals->first)
	{
		int fd = arrivals->first->fd;

		wt_arrivals_remove(arrivals, arrivals->first);
		close(fd);
	}
}
