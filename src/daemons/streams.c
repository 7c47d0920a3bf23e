/*
 * streams.c
 *		Connections of senders: bytes → messages.
 *
 * A connection has at most two batches, one that is being stored and one that is being filled:
 * so its messages are stored in their order, and no more is read than has room.  Who is silent
 * costs a small structure; a buffer is there only while it holds something.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/daemons_state.h"

/* The buffer of a connection at first, bytes; how often one is read before others have their turn. */
#define MIN_BUFFER ((size_t) 16 * 1024)
#define READ_TURN 32

/* What stands before a message at most, bytes. */
#define LONGEST_HEAD 64

/* Answers that a client does not read: beyond that nothing is read of it either, bytes. */
#define MAX_OUT ((size_t) 64 * 1024)

/* After so long without a byte, ms, a line that has no end is a message: some never send one. */
#define QUIET 5000

/* Connections that are accepted at once, and the pause when there is no descriptor, ms. */
#define ACCEPT_BURST 64
#define ACCEPT_PAUSE 100

/* How often all connections are looked at for what takes too long, ms. */
#define CHECK_INTERVAL 250

/* A connection whose other end says nothing is asked after so long whether it is there, s. */
#define KEEPALIVE_IDLE 60

static void attend(Stream *s);

/*
 * Opening and closing
 */

static void
poll_for(Stream *s, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.ptr = s}};

	if (events == s->events)
		return;
	epoll_ctl(s->daemons->poll_fd, s->unpolled ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd,
			  &event);
	s->unpolled = false;
	s->events = events;
}

static void
set_buffer(Stream *s, char *in, size_t size)
{
	s->daemons->bytes += size - s->in_size;
	s->in = in;
	s->in_size = size;
}

/* Its batches are stored without it. */
static void
close_stream(Stream *s)
{
	WtDaemons *daemons = s->daemons;

	if (s->storing)
		s->storing->stream = NULL;
	if (s->filling)
	{
		if (!s->filling->queued)
			wt_batch_queue(daemons, s->filling);
		s->filling->stream = NULL;
	}
	if (s->session)
	{
		if (s->shaken && !s->ended)
			gnutls_bye(s->session, GNUTLS_SHUT_WR);
		gnutls_deinit(s->session);
	}
	if (s->tls)
		wt_tls_release(s->tls);
	close(s->fd);
	if (s->visitor)
		wt_address_leave(&daemons->addresses, s->visitor);
	free(s->in);
	set_buffer(s, NULL, 0);
	wt_buffer_free(&s->out);
	if (s->previous)
		s->previous->next = s->next;
	else
		daemons->streams = s->next;
	if (s->next)
		s->next->previous = s->previous;
	daemons->n_streams--;
	daemons->counters->intake_connections[s->intake]--;
	free(s);
}

static bool
begin_tls(Stream *s)
{
	if (!s->daemons->tls ||
		gnutls_init(&s->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		return false;
	s->tls = wt_tls_hold(s->daemons->tls);
	gnutls_transport_set_int(s->session, s->fd);
	/* The handshake is to be over in time, too. */
	s->begun = s->daemons->now;
	return wt_tls_begin(s->tls, s->session);
}

static void
open_stream(WtDaemons *daemons, WtIntake intake, int fd, const WtAddress *address,
			WtVisitor *visitor)
{
	Stream *s = calloc(1, sizeof(Stream));
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = s}};
	int on = 1;
	int idle = KEEPALIVE_IDLE;

	if (!s || epoll_ctl(daemons->poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
	{
		free(s);
		if (visitor)
			wt_address_leave(&daemons->addresses, visitor);
		close(fd);
		count_dropped(daemons, intake, WT_REASON_MEMORY, 1);
		return;
	}
	(void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->polled = POLLED_STREAM;
	s->daemons = daemons;
	s->intake = intake;
	s->fd = fd;
	s->events = EPOLLIN;
	s->address = *address;
	s->visitor = visitor;
	s->framing.form = intake == WT_INTAKE_GELF_TCP ? WT_FRAMING_NUL : WT_FRAMING_SYSLOG;
	s->next = daemons->streams;
	if (s->next)
		s->next->previous = s;
	daemons->streams = s;
	daemons->n_streams++;
	daemons->counters->intake_connections[intake]++;
	if (intake == WT_INTAKE_SYSLOG_TLS && !begin_tls(s))
	{
		count_dropped(daemons, intake, WT_REASON_MEMORY, 1);
		close_stream(s);
	}
}

void
wt_streams_accept(WtDaemons *daemons, Place *place)
{
	for (int i = 0; i < place->sockets.n; i++)
	{
		for (int burst = 0; burst < ACCEPT_BURST; burst++)
		{
			struct sockaddr_storage from;
			socklen_t length = sizeof(from);
			WtAddress address;
			WtVisitor *visitor = NULL;
			WtReason reason = WT_REASON_NONE;
			int fd = accept4(place->sockets.sockets[i].fd, (struct sockaddr *) &from,
							 &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

			if (fd < 0)
			{
				if (errno == EINTR || errno == ECONNABORTED)
					continue;
				if (errno != EAGAIN && errno != EWOULDBLOCK)
					daemons->accept_after = daemons->now + ACCEPT_PAUSE;
				break;
			}
			if (!wt_address_of_socket((struct sockaddr *) &from, &address) ||
				!wt_cidr_list_has(&daemons->allowed, &address))
				reason = WT_REASON_ADDRESS;
			else if (daemons->n_streams >= daemons->settings.max_connections ||
					 (!wt_address_is_loopback(&address) &&
					  !wt_address_enter(&daemons->addresses, &address,
										daemons->settings.max_connections_per_ip,
										&visitor)))
				reason = WT_REASON_CONNECTIONS;
			if (reason == WT_REASON_NONE)
				open_stream(daemons, place->public.where.intake, fd, &address, visitor);
			else
			{
				count_dropped(daemons, place->public.where.intake, reason, 1);
				close(fd);
			}
		}
	}
}

/*
 * Writing
 */

/* As send; -1 with EAGAIN where it is to be tried again. */
static ssize_t
send_bytes(Stream *s, const char *bytes, size_t length)
{
	ssize_t n;

	if (!s->session)
		return send(s->fd, bytes, length, MSG_NOSIGNAL);
	n = gnutls_record_send(s->session, bytes, length);
	if (n < 0)
		errno = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? EAGAIN : EPIPE;
	return n < 0 ? -1 : n;
}

static void
flush(Stream *s)
{
	while (s->out_sent < s->out.length)
	{
		ssize_t n = send_bytes(s, s->out.data + s->out_sent, s->out.length - s->out_sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
		{
			/* Whom nobody hears is not answered, and sends all that again. */
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				s->ended = s->closing = true;
			else
				return;
			break;
		}
		s->out_sent += (size_t) n;
		s->out_moved = s->daemons->now;
	}
	wt_buffer_free(&s->out);
	s->out_sent = 0;
}

static void
answer(Stream *s, uint32_t number, const char *says)
{
	char text[WT_RELP_ANSWER_SIZE];

	if (s->out.length == s->out_sent)
		s->out_moved = s->daemons->now;
	wt_buffer_add(&s->out, text, wt_relp_answer(text, number, says));
	/* An answer that is missing among others would stop the client: it begins anew. */
	if (s->out.failed)
		s->closing = true;
}

void
wt_stream_stored(Stream *s, const Batch *batch)
{
	s->storing = NULL;
	for (int i = 0; batch->intake == WT_INTAKE_RELP && i < batch->n; i++)
		answer(s, batch->numbers[i],
			   batch->refused && batch->refused[i] ? "500 the log table refuses it"
												   : "200 OK");
	if (s->filling && !s->filling->queued)
		wt_batch_queue(s->daemons, s->filling);
	attend(s);
}

/*
 * Messages
 */

/* The batch for a message of so many bytes; NULL: it has to wait. */
static Batch *
batch_for(Stream *s, size_t length)
{
	if (s->filling)
		return wt_batch_has_room(s->daemons, s->filling, length) ? s->filling : NULL;
	s->filling = wt_batch_new(s->daemons, s->intake, &s->address, s);
	return s->filling;
}

/* Adds a message; false: it has to wait, see full. */
static bool
add_message(Stream *s, const char *text, size_t length, bool cut, uint32_t number)
{
	Batch *batch = batch_for(s, length);

	if (!batch || !wt_batch_add(s->daemons, batch, text, length, cut, number))
	{
		s->full = true;
		return false;
	}
	batch->may_go_on = false;
	if (!batch->queued && !s->storing)
		wt_batch_queue(s->daemons, batch);
	return true;
}

/* A message of syslog or GELF: one that is no message of its own belongs to the one before. */
static bool
add_frame(Stream *s, const WtFrame *frame)
{
	Batch *batch = s->filling;
	bool is_syslog = s->framing.form == WT_FRAMING_SYSLOG;
	bool begins = is_syslog && wt_framing_has_priority(frame->text, frame->length);

	if (is_syslog && !begins && frame->line && batch && batch->may_go_on &&
		batch->public.body_length - batch->last + frame->length <
			s->daemons->settings.max_message_size &&
		wt_batch_has_room(s->daemons, batch, frame->length))
	{
		if (wt_batch_add_line(s->daemons, batch, frame->text, frame->length))
			return true;
		s->full = true;
		return false;
	}
	if (!add_message(s, frame->text, frame->length, frame->cut, 0))
		return false;
	s->filling->may_go_on = begins && frame->line && !frame->cut;
	return true;
}

/* A frame of RELP's; false: it has to wait. */
static bool
take_relp(Stream *s, const WtRelpFrame *frame)
{
	if (wt_relp_is(frame, "open"))
	{
		s->relp.open = true;
		answer(s, frame->number, wt_relp_offers);
	}
	else if (wt_relp_is(frame, "close"))
	{
		s->closing = s->close_asked = true;
		s->close_number = frame->number;
	}
	else if (wt_relp_is(frame, "syslog") && s->relp.open)
		return add_message(s, frame->data, frame->length, frame->cut, frame->number);
	else if (s->relp.open)
		answer(s, frame->number, "500 this command is not known");
	else
	{
		count_dropped(s->daemons, s->intake, WT_REASON_MALFORMED, 1);
		s->closing = true;
	}
	return true;
}

typedef enum Taken
{
	TAKEN,		/* a message, or something else */
	TAKEN_NONE, /* there is none, or no room for it */
	TAKEN_BAD	/* the connection is to be closed */
} Taken;

/* Takes the next message of what has come; *used as wt_framing_next. */
static Taken
take_next(Stream *s, const char *bytes, size_t length, size_t *used)
{
	size_t max = s->daemons->settings.max_message_size;
	WtFraming framing = s->framing;
	WtRelp relp = s->relp;
	WtRelpFrame relp_frame;
	WtFrame frame;
	bool taken = false;

	if (s->intake == WT_INTAKE_RELP)
	{
		switch (wt_relp_next(&s->relp, bytes, length, max, used, &relp_frame))
		{
			case WT_RELP_MORE:
				return TAKEN_NONE;
			case WT_RELP_MALFORMED:
				count_dropped(s->daemons, s->intake, WT_REASON_MALFORMED, 1);
				return TAKEN_BAD;
			case WT_RELP_FRAME:
				relp.open = s->relp.open;
				taken = take_relp(s, &relp_frame);
				break;
		}
	}
	else
	{
		switch (wt_framing_next(&s->framing, bytes, length, max, s->ended, used, &frame))
		{
			case WT_FRAME_MORE:
				return TAKEN_NONE;
			case WT_FRAME_INCOMPLETE:
				count_dropped(s->daemons, s->intake, WT_REASON_TIMEOUT, 1);
				return TAKEN_NONE;
			case WT_FRAME_MALFORMED:
				count_dropped(s->daemons, s->intake, WT_REASON_MALFORMED, 1);
				return TAKEN_BAD;
			case WT_FRAME_MESSAGE:
				taken = frame.length == 0 || add_frame(s, &frame);
				break;
		}
	}
	if (taken)
		return TAKEN;
	/* It is looked at once more when there is room. */
	s->framing = framing;
	s->relp = relp;
	*used = 0;
	return TAKEN_NONE;
}

/* Takes all messages of what has come for which there is room. */
static void
take_messages(Stream *s)
{
	size_t at = 0;
	Taken taken = TAKEN;

	s->full = false;
	while (taken == TAKEN && !s->closing && s->out.length - s->out_sent < MAX_OUT)
	{
		size_t used;

		taken = take_next(s, s->in + at, s->in_length - at, &used);
		at += used;
	}
	if (taken == TAKEN_BAD)
		s->closing = true;
	if (at > 0)
	{
		s->begun = s->daemons->now;
		memmove(s->in, s->in + at, s->in_length - at);
		s->in_length -= at;
	}
	if (s->closing)
		s->in_length = 0;
	if (s->in_length == 0)
	{
		s->begun = 0;
		free(s->in);
		set_buffer(s, NULL, 0);
	}
}

/*
 * Reading
 */

/* Sees to it that there is room for more; false: there is none now. */
static bool
make_room(Stream *s)
{
	WtDaemons *daemons = s->daemons;
	size_t most = daemons->settings.max_message_size + LONGEST_HEAD;
	size_t size = s->in_size ? s->in_size * 2 : MIN_BUFFER;
	char *in;

	if (s->in_length < s->in_size)
		return true;
	if (s->in_size > most)
		return false;
	if (size > ASSURED &&
		daemons->bytes + size - s->in_size > daemons->settings.max_bytes)
	{
		s->starved = daemons->starved = true;
		return false;
	}
	in = realloc(s->in, size);
	if (!in)
	{
		s->starved = daemons->starved = true;
		return false;
	}
	set_buffer(s, in, size);
	return true;
}

static bool
shake_hands(Stream *s)
{
	int rc;

	do
		rc = gnutls_handshake(s->session);
	while (rc == GNUTLS_E_INTERRUPTED);
	if (rc == GNUTLS_E_AGAIN)
	{
		s->wants_to_write = wt_tls_wants_to_write(s->session);
		return false;
	}
	s->wants_to_write = false;
	if (rc < 0 && !gnutls_error_is_fatal(rc))
		return false;
	if (rc < 0)
	{
		count_dropped(s->daemons, s->intake, WT_REASON_MALFORMED, 1);
		s->ended = s->closing = true;
		return false;
	}
	s->shaken = true;
	s->begun = 0;
	switch (wt_tls_peer(s->tls, s->session, s->source))
	{
		case WT_TLS_PEER_KNOWN:
			return true;
		case WT_TLS_PEER_ANONYMOUS:
			s->source[0] = '\0';
			/* By HTTP he would need a token, and here there are none. */
			if (!wt_tls_asks(s->tls))
				return true;
			break;
		case WT_TLS_PEER_REFUSED:
			break;
	}
	count_dropped(s->daemons, s->intake, WT_REASON_CERTIFICATE, 1);
	s->closing = true;
	return false;
}

/* As recv; -1 with EAGAIN where there is nothing. */
static ssize_t
receive_bytes(Stream *s, char *bytes, size_t size)
{
	ssize_t n;

	if (!s->session)
		return recv(s->fd, bytes, size, 0);
	if (!s->shaken && !shake_hands(s))
	{
		errno = EAGAIN;
		return -1;
	}
	n = gnutls_record_recv(s->session, bytes, size);
	if (n >= 0)
		return n;
	errno = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_REHANDSHAKE
				? EAGAIN
				: ECONNRESET;
	return -1;
}

/* Reads, as far as there is room for it; false: there is nothing more now. */
static bool
read_more(Stream *s)
{
	ssize_t n;

	if (s->ended || s->closing || s->full || s->daemons->leaving ||
		s->out.length - s->out_sent >= MAX_OUT || !make_room(s))
		return false;
	do
		n = receive_bytes(s, s->in + s->in_length, s->in_size - s->in_length);
	while (n < 0 && errno == EINTR);
	if (n > 0)
	{
		if (s->in_length == 0)
			s->begun = s->daemons->now;
		s->heard = s->daemons->now;
		s->in_length += (size_t) n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	s->ended = true;
	return true; /* what has no end is complete now */
}

/* Closes it when nothing is left to be done; true: it is gone. */
static bool
close_if_done(Stream *s)
{
	if (!(s->ended || s->closing || s->daemons->leaving) || s->full)
		return false;
	/* Those of syslog and GELF are told nothing. */
	if (s->intake == WT_INTAKE_RELP && (s->filling || s->storing))
		return false;
	if (s->close_asked)
	{
		s->close_asked = false;
		answer(s, s->close_number, "");
		wt_buffer_text(&s->out, "0 serverclose 0\n");
		flush(s);
	}
	if (!s->ended && s->out.length > s->out_sent)
		return false;
	close_stream(s);
	return true;
}

/* Goes on with a connection, as far as it goes. */
static void
attend(Stream *s)
{
	bool more = true;

	s->starved = false;
	for (int turn = 0; more && turn < READ_TURN; turn++)
	{
		more = read_more(s) && !s->ended;
		take_messages(s);
		flush(s);
	}
	if (close_if_done(s))
		return;
	/* The kernel does not wake us for what GnuTLS has read already. */
	if (more && s->session && wt_tls_has_unread(s->session))
		s->starved = s->daemons->starved = true;
	poll_for(
		s,
		(s->ended || s->closing || s->full || s->starved ||
				 s->out.length - s->out_sent >= MAX_OUT
			 ? 0
			 : (uint32_t) EPOLLIN) |
			(s->out.length > s->out_sent || s->wants_to_write ? (uint32_t) EPOLLOUT : 0));
}

void
wt_stream_attend(Stream *s, uint32_t events)
{
	/* Of one that is not read for want of room only this is told: it has gone. */
	if ((events & (EPOLLHUP | EPOLLERR)) && !(s->events & EPOLLIN))
	{
		/* What it has sent is there still, and is read when there is room. */
		epoll_ctl(s->daemons->poll_fd, EPOLL_CTL_DEL, s->fd, NULL);
		s->unpolled = true;
		s->events = 0;
		if (s->full || s->starved)
			return;
	}
	attend(s);
}

/* What takes too long. */
static void
check(Stream *s)
{
	const WtDaemons *daemons = s->daemons;
	bool waits_for_us = s->full || s->closing;

	/* Who does not take its answers would have them, and its place, for ever. */
	if (s->out.length > s->out_sent &&
		s->out_moved + daemons->settings.timeout <= daemons->now)
	{
		count_dropped(s->daemons, s->intake, WT_REASON_TIMEOUT, 1);
		s->ended = s->closing = true;
		attend(s);
		return;
	}
	if (s->begun == 0 || waits_for_us)
		return;
	if (s->begun + daemons->settings.timeout <= daemons->now)
	{
		/* One that we had no memory for is not late itself. */
		count_dropped(s->daemons, s->intake,
					  s->starved ? WT_REASON_OVERLOAD : WT_REASON_TIMEOUT, 1);
		s->closing = true;
		attend(s);
	}
	else if (s->framing.scanned > 0 && s->heard + QUIET <= daemons->now)
	{
		/* A line without an end; its connection goes on. */
		s->ended = true;
		take_messages(s);
		s->ended = false;
		attend(s);
	}
}

void
wt_streams_check(WtDaemons *daemons)
{
	Stream *next;
	bool starved = daemons->starved;

	if (!starved && daemons->next_check > daemons->now)
		return;
	daemons->next_check = daemons->now + CHECK_INTERVAL;
	daemons->starved = false;
	for (Stream *s = daemons->streams; s; s = next)
	{
		next = s->next;
		/* Two that wait for each other's memory must not do so for ever. */
		if (starved && s->starved &&
			(s->begun == 0 || s->begun + daemons->settings.timeout > daemons->now))
			attend(s);
		else
			check(s);
	}
}

void
wt_streams_leave(WtDaemons *daemons)
{
	Stream *next;

	for (Stream *s = daemons->streams; s; s = next)
	{
		next = s->next;
		attend(s);
	}
}

void
wt_streams_end(WtDaemons *daemons)
{
	while (daemons->streams)
	{
		daemons->streams->ended = true;
		close_stream(daemons->streams);
	}
	wt_addresses_free(&daemons->addresses);
}
