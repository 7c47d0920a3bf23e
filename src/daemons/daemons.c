/*
 * daemons.c
 *		Senders that speak no HTTP: their life, and one run.  See daemons.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemons/daemons_state.h"

/* While a connection waits for memory, how often it is looked whether there is some, ms. */
#define STARVED_INTERVAL 20

/* With connections that may take too long, how often that is looked at, ms. */
#define CHECK_INTERVAL 1000

WtDaemons *
wt_daemons_create(const WtDaemonsSettings *settings, WtCounters *counters,
				  const WtEndpoint *const endpoints[WT_N_INTAKES])
{
	WtDaemons *daemons = calloc(1, sizeof(WtDaemons));

	if (!daemons)
		return NULL;
	daemons->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (daemons->poll_fd < 0)
	{
		free(daemons);
		return NULL;
	}
	daemons->counters = counters;
	daemons->endpoints = endpoints;
	daemons->now = wt_monotonic_ms();
	memset(counters->intake_connections, 0, sizeof(counters->intake_connections));
	wt_daemons_configure(daemons, settings);
	return daemons;
}

void
wt_daemons_configure(WtDaemons *daemons, const WtDaemonsSettings *settings)
{
	const char *bad;
	size_t n;

	daemons->settings = *settings;
	/* Without memory for the new list the old one goes on. */
	(void) wt_cidr_list_parse(settings->allowed_senders, &daemons->allowed, &bad, &n);
	daemons->settings.allowed_senders = NULL;
}

void
wt_daemons_use_tls(WtDaemons *daemons, WtTls *tls)
{
	if (tls == daemons->tls)
		return;
	if (daemons->tls)
		wt_tls_release(daemons->tls);
	daemons->tls = tls ? wt_tls_hold(tls) : NULL;
}

int
wt_daemons_descriptor(const WtDaemons *daemons)
{
	return daemons->poll_fd;
}

int
wt_daemons_timeout(const WtDaemons *daemons)
{
	int64_t now = wt_monotonic_ms();
	int64_t next = wt_batches_next(daemons);

	if (daemons->queue_first)
		return 0;
	if (daemons->chunks && wt_chunks_next(daemons->chunks) < next)
		next = wt_chunks_next(daemons->chunks);
	if (daemons->starved && now + STARVED_INTERVAL < next)
		next = now + STARVED_INTERVAL;
	if (daemons->streams && now + CHECK_INTERVAL < next)
		next = now + CHECK_INTERVAL;
	if (daemons->accept_after > 0 && daemons->accept_after < next)
		next = daemons->accept_after;
	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : (int) (next - now);
}

/* Whether poll_fd has anything to tell: this runs for each batch, also where nothing is listened on. */
static bool
has_descriptors(const WtDaemons *daemons)
{
	for (int i = 0; i < MAX_PLACES; i++)
		if (daemons->places[i].public.open)
			return true;
	return daemons->streams != NULL;
}

void
wt_daemons_run(WtDaemons *daemons)
{
	struct epoll_event events[64];
	int n;

	daemons->now = wt_monotonic_ms();
	if (daemons->accept_after > 0 && daemons->accept_after <= daemons->now)
		daemons->accept_after = 0;
	wt_places_poll(daemons, !daemons->leaving && daemons->accept_after == 0,
				   !daemons->leaving && wt_datagrams_have_room(daemons));
	wt_batches_retry(daemons);
	n = has_descriptors(daemons) ? epoll_wait(daemons->poll_fd, events, 64, 0) : 0;
	for (int i = 0; i < n; i++)
	{
		if (*(Polled *) events[i].data.ptr == POLLED_LISTENING)
			wt_daemons_read_place(daemons, events[i].data.ptr);
		else
			wt_stream_attend(events[i].data.ptr, events[i].events);
	}
	wt_streams_check(daemons);
	if (daemons->chunks)
		count_dropped(daemons, WT_INTAKE_GELF_UDP, WT_REASON_TIMEOUT,
					  (uint64_t) wt_chunks_expire(daemons->chunks, daemons->now));
	daemons->counters->intake_bytes = daemons->bytes;
}

void
wt_daemons_leave(WtDaemons *daemons)
{
	if (daemons->leaving)
		return;
	daemons->now = wt_monotonic_ms();
	wt_places_close(daemons);
	wt_streams_leave(daemons);
	daemons->leaving = true;
	wt_streams_leave(daemons);
}

bool
wt_daemons_are_busy(const WtDaemons *daemons)
{
	return daemons->n_batches > 0;
}

void
wt_daemons_destroy(WtDaemons *daemons)
{
	daemons->leaving = true;
	wt_places_close(daemons);
	wt_streams_end(daemons);
	wt_batches_end(daemons);
	wt_datagrams_end(daemons);
	wt_daemons_use_tls(daemons, NULL);
	wt_cidr_list_free(&daemons->allowed);
	daemons->counters->intake_bytes = 0;
	close(daemons->poll_fd);
	free(daemons);
}
