/*
 * waiting.c
 *		How long senders have waited for their answers: see waiting.h.
 *
 * A sender waits from its last byte on, and that may have come long before it is read: while a
 * transaction runs nothing is.  The kernel knows when; to ask it for each request would cost
 * all of them something, so that it is asked only for a while after nothing was read.
 */
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "http/connection.h"
#include "http/listener.h"
#include "http/waiting.h"

/* Between two runs is so much time, ms: what is read then may have come long before. */
#define ABSENCE 100

/* It may take so long until all of that has been read, ms. */
#define CATCHING_UP 5000

void
wt_waiting_run(WtListener *listener)
{
	listener->before = listener->now;
	listener->now = wt_monotonic_ms();
	if (listener->now - listener->before >= ABSENCE)
		listener->catching_up_until = listener->now + CATCHING_UP;
}

void
wt_listener_rested(WtListener *listener)
{
	listener->now = wt_monotonic_ms();
}

/* When the last byte came; what is not known is taken to be as long ago as can be. */
static int64_t
last_byte(const Connection *c)
{
	const WtListener *listener = c->listener;
#ifdef __linux__
	struct tcp_info info;
	socklen_t size = sizeof(info);
#endif

	if (listener->now >= listener->catching_up_until)
		return listener->now;
#ifdef __linux__
	if (c->has_peer && getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
		return listener->now - info.tcpi_last_data_recv;
#endif
	return listener->before;
}

/* How long it was held, about: its sender may have sent the last byte before. */
static int64_t
held(const Request *r)
{
	const WtListener *listener = r->connection->listener;
	int64_t limit = wt_connection_phase_limit(listener, PHASE_HELD);
	int64_t since_then = listener->now - r->held_since;

	if (r->held_since == 0)
		return 0;
	return since_then < limit ? since_then : limit;
}

int64_t
wt_waiting_since(const Request *r)
{
	return last_byte(r->connection) - held(r);
}

int64_t
wt_listener_longest_wait(const WtListener *listener)
{
	const Connection *longest_held = listener->phases[PHASE_HELD].first;
	int64_t now = wt_monotonic_ms();
	int64_t since = now;

	/* Of the queue the first one was complete first, and has waited longest, nearly. */
	if (listener->queue_first)
		since = listener->queue_first->public.waits_since;
	if (longest_held && longest_held->since < since)
		since = longest_held->since;
	return now - since;
}
