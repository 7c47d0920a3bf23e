/*
 * connection.c
 *		Phases of a connection: see connection.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http/connection.h"

/* A connection may be silent between two requests for this long, ms. */
#define IDLE_TIMEOUT (75 * 1000)

/* A request waits so long for memory, ms, before it is refused. */
#define HOLD_TIMEOUT 1000

/* `since` is not later than now. */
void
wt_connection_set_phase_since(Connection *c, Phase phase, int64_t since)
{
	if (c->phase < N_PHASES)
	{
		List *list = &c->listener->phases[c->phase];

		if (c->previous)
			c->previous->next = c->next;
		else
			list->first = c->next;
		if (c->next)
			c->next->previous = c->previous;
		else
			list->last = c->previous;
	}
	c->phase = phase;
	c->since = since;
	c->next = NULL;
	c->previous = NULL;
	if (phase < N_PHASES)
	{
		List *list = &c->listener->phases[phase];

		/* By time: nearly always it is the last one. */
		c->previous = list->last;
		while (c->previous && c->previous->since > since)
			c->previous = c->previous->previous;
		c->next = c->previous ? c->previous->next : list->first;
		if (c->previous)
			c->previous->next = c;
		else
			list->first = c;
		if (c->next)
			c->next->previous = c;
		else
			list->last = c;
	}
}

void
wt_connection_set_phase(Connection *c, Phase phase)
{
	wt_connection_set_phase_since(c, phase, c->listener->now);
}

int64_t
wt_connection_phase_limit(const WtListener *listener, Phase phase)
{
	if (phase == PHASE_IDLE)
		return IDLE_TIMEOUT;
	return phase == PHASE_HELD ? HOLD_TIMEOUT : listener->settings.request_timeout;
}

/*
 * Takes a connection that waits for bytes before its first request out of MHD's hands.
 * While a handshake waits, MHD (0.9.75) believes that there is something to read and asks
 * to be run again at once: a single byte would keep the processor busy.
 */
void
wt_connection_park(Connection *c)
{
	struct epoll_event event = {.data = {.ptr = c}};

	event.events = wt_tls_wants_to_write(c->session) ? EPOLLOUT : EPOLLIN;
	if (epoll_ctl(c->listener->poll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
		return;
	c->parked = true;
	MHD_suspend_connection(c->mhd);
}

/* Gives it back. */
void
wt_connection_unpark(Connection *c)
{
	epoll_ctl(c->listener->poll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	c->parked = false;
	c->listener->resumed = true;
	MHD_resume_connection(c->mhd);
}

/*
 * Ends a connection from outside of MHD, which sees it end and closes it; where it has no
 * room to read on it does not look, so its own timeout, in s, has to do.
 */
void
wt_connection_doom(Connection *c)
{
	if (c->parked)
		wt_connection_unpark(c);
	MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
	wt_connection_set_phase(c, PHASE_NONE);
	c->doomed = true;
	c->listener->n_doomed++;
	if (c->request && c->request->stream)
		wt_connection_reset(c);
	shutdown(c->fd, SHUT_RDWR);
}

void
wt_connection_reset(const Connection *c)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	(void) connect(c->fd, &nobody, sizeof(nobody));
}

/* Who has come by TLS, as far as a certificate says it; asked once for a connection. */
WtTlsPeer
wt_connection_certificate(Connection *c)
{
	char text[WT_CERTIFICATE_NAME_SIZE];

	if (!c->tls)
		return WT_TLS_PEER_ANONYMOUS;
	if (!c->certificate_known)
	{
		c->certificate_known = true;
		c->certificate = wt_tls_peer(c->tls, c->session, text);
		if (c->certificate != WT_TLS_PEER_ANONYMOUS)
			c->certificate_text = strdup(text);
		/* Without memory for its name it cannot be told from others. */
		if (c->certificate == WT_TLS_PEER_KNOWN && !c->certificate_text)
			c->certificate = WT_TLS_PEER_REFUSED;
	}
	return c->certificate;
}

/* One from the time before TLS was switched on (or off), which has it (or has it not). */
bool
wt_connection_is_outdated(const Connection *c)
{
	return c->has_peer && (c->tls != NULL) != (c->listener->tls != NULL);
}
