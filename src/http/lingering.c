/*
 * lingering.c
 *		Closed connections whose sender is still sending: see lingering.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* F_DUPFD_CLOEXEC */
#endif

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/lingering.h"

/* How long, ms, each is drained. */
#define LINGER_TIMEOUT 2000

/* How much of each: who sends more than that does not want an answer. */
#define LINGER_BYTES (16 * 1024 * 1024)

void
wt_linger(WtLingering *lingering, int from, int64_t now)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
	int fd;

	if (lingering->n >= WT_MAX_LINGERING)
		return;
	fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	event.data.u64 = (uint64_t) lingering->n;
	shutdown(fd, SHUT_WR);
	if (epoll_ctl(lingering->poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
	{
		close(fd);
		return;
	}
	lingering->items[lingering->n].fd = fd;
	lingering->items[lingering->n].until = now + LINGER_TIMEOUT;
	lingering->items[lingering->n].drained = 0;
	lingering->n++;
}

int64_t
wt_lingering_next(const WtLingering *lingering)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < lingering->n; i++)
		if (lingering->items[i].until < next)
			next = lingering->items[i].until;
	return next;
}

static void
end_one(WtLingering *lingering, int i)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};

	close(lingering->items[i].fd);
	lingering->n--;
	if (i == lingering->n)
		return;
	/* The last one takes its place, and its number. */
	lingering->items[i] = lingering->items[lingering->n];
	event.data.u64 = (uint64_t) i;
	epoll_ctl(lingering->poll_fd, EPOLL_CTL_MOD, lingering->items[i].fd, &event);
}

/* Reads and forgets what a closed connection's sender still sends; false: it is over. */
static bool
drain(WtLingeringItem *item)
{
	static char sink[64 * 1024];

	for (int i = 0; i < 16; i++)
	{
		ssize_t n = recv(item->fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
		item->drained += (size_t) n;
		if (n == 0 || item->drained > LINGER_BYTES)
			return false;
	}
	return true;
}

void
wt_lingering_drain(WtLingering *lingering, int64_t now)
{
	for (int i = lingering->n - 1; i >= 0; i--)
		if (!drain(&lingering->items[i]) || lingering->items[i].until <= now)
			end_one(lingering, i);
}

void
wt_lingering_end(WtLingering *lingering)
{
	while (lingering->n > 0)
		end_one(lingering, lingering->n - 1);
}
