/*
 * answer_stream.c
 *		Answers that are sent as they come into being: see answer_stream.h.
 *
 * What is appended waits in a buffer, from which MHD takes a block whenever the last one has
 * gone to the socket.  Where there is nothing for it the connection is suspended, and resumed by
 * what is appended next.  So a connection that is not suspended has something to send: it is in
 * PHASE_ANSWERING, which begins anew with each block.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <zlib.h>

#include "base/buffer.h"
#include "http/accept_encoding.h"
#include "http/answer_stream.h"
#include "http/answer_stream_state.h"
#include "http/connection.h"
#include "http/request_pool.h"
#include "http/response.h"

/*
 * The kernel takes so much beyond what is on its way, bytes.  It would take megabytes, and a
 * client that reads slowly would not be seen to read until most of them are gone.
 */
#define UNSENT_LIMIT (128 * 1024)

/* What is kept of the buffer when all has been sent, bytes. */
#define KEPT_BUFFER (64 * 1024)

/* What is compressed, and comes of it, at a time, bytes. */
#define COMPRESS_IN (1024 * 1024)
#define COMPRESS_OUT (16 * 1024)

struct AnswerStream
{
	AnswerStream *previous; /* in the listener's list, as long as it is held */
	AnswerStream *next;
	Request *request;
	WtListener *listener;
	bool held;		/* by the stages after the listener, which go on with it */
	bool headless;	/* to HEAD nothing follows */
	bool suspended; /* MHD waits for more */
	bool ended;		/* nothing is appended any more */
	bool broken;	/* out of memory, or aborted: it is not sent to its end */
	WtBuffer waiting;
	size_t taken; /* of what waits, by MHD */
	bool compressed;
	bool unflushed; /* bytes are in z that have not come out of it */
	z_stream z;
};

static AnswerStream *
stream_of(const WtRequest *request)
{
	return ((const Request *) request)->stream;
}

static size_t
backlog(const AnswerStream *s)
{
	return s->waiting.length - s->taken;
}

static void
add(AnswerStream *s, const void *bytes, size_t length)
{
	if (s->taken > KEPT_BUFFER && s->taken > s->waiting.length / 2)
	{
		s->waiting.length -= s->taken;
		memmove(s->waiting.data, s->waiting.data + s->taken, s->waiting.length);
		s->taken = 0;
	}
	wt_buffer_add(&s->waiting, bytes, length);
	if (s->waiting.failed)
		s->broken = true;
}

/* Gives what is compressed to those that wait, as far as zlib lets go of it. */
static void
compress_more(AnswerStream *s, int flush)
{
	unsigned char out[COMPRESS_OUT];

	do
	{
		s->z.next_out = out;
		s->z.avail_out = sizeof(out);
		if (deflate(&s->z, flush) == Z_STREAM_ERROR)
			s->broken = true;
		add(s, out, sizeof(out) - s->z.avail_out);
	} while (s->z.avail_out == 0 && !s->broken);
	s->unflushed = flush == Z_NO_FLUSH;
}

static void
compress_bytes(AnswerStream *s, const char *bytes, size_t length)
{
	while (length > 0 && !s->broken)
	{
		size_t n = length < COMPRESS_IN ? length : COMPRESS_IN;

		s->z.next_in = (unsigned char *) (uintptr_t) bytes;
		s->z.avail_in = (uInt) n;
		compress_more(s, Z_NO_FLUSH);
		bytes += n;
		length -= n;
	}
}

/* MHD asks for the next block. */
static ssize_t
on_block(void *cls, uint64_t position, char *block, size_t size)
{
	AnswerStream *s = cls;
	Connection *c = s->request->connection;
	size_t n;

	(void) position;
	s->listener->n_callbacks++;
	if (s->broken || c->doomed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	/* So late, so that what is appended bit by bit is compressed together. */
	if (backlog(s) == 0 && s->unflushed)
		compress_more(s, Z_SYNC_FLUSH);
	n = backlog(s) < size ? backlog(s) : size;
	if (n > 0)
	{
		memcpy(block, s->waiting.data + s->taken, n);
		s->taken += n;
		wt_connection_set_phase(c, PHASE_ANSWERING);
		return (ssize_t) n;
	}
	if (s->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (s->listener->closing)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	s->taken = s->waiting.length = 0;
	if (s->waiting.size > KEPT_BUFFER)
		wt_buffer_free(&s->waiting);
	s->suspended = true;
	wt_connection_set_phase(c, PHASE_NONE);
	MHD_suspend_connection(c->mhd);
	return 0;
}

/* There is something for MHD to do. */
static void
wake(AnswerStream *s)
{
	Connection *c = s->request->connection;

	s->listener->resumed = true;
	if (!s->suspended)
		return;
	s->suspended = false;
	wt_connection_set_phase_since(c, PHASE_ANSWERING, wt_monotonic_ms());
	MHD_resume_connection(c->mhd);
}

/* The stages after the listener are done with it. */
static void
let_go(AnswerStream *s)
{
	s->held = false;
	if (s->previous)
		s->previous->next = s->next;
	else
		s->listener->streams = s->next;
	if (s->next)
		s->next->previous = s->previous;
	if (s->request->connection)
		wake(s);
	else
		wt_request_recycle(s->listener, s->request);
}

/* Has the client's end of the connection looked after, and the kernel's buffer kept small. */
static void
watch(const AnswerStream *s)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT,
								.data = {.ptr = s->request->connection}};
	int limit = UNSENT_LIMIT;

	(void) epoll_ctl(s->listener->poll_fd, EPOLL_CTL_ADD, s->request->connection->fd,
					 &event);
#ifdef TCP_NOTSENT_LOWAT
	(void) setsockopt(s->request->connection->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit,
					  sizeof(limit));
#endif
}

static AnswerStream *
new_stream(WtListener *listener, Request *r, const WtAnswer *answer)
{
	AnswerStream *s = calloc(1, sizeof(AnswerStream));

	if (!s)
		return NULL;
	s->request = r;
	s->listener = listener;
	s->headless = strcmp(r->public.method, "HEAD") == 0;
	if (!s->headless && wt_accepts_gzip(&r->public))
		s->compressed = deflateInit2(&s->z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16,
									 MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) == Z_OK;
	r->response = wt_make_streamed_answer(answer, r, on_block, s, s->compressed);
	if (!r->response)
	{
		wt_answer_stream_free(s);
		return NULL;
	}
	return s;
}

bool
wt_answer_stream_begin(WtListener *listener, WtRequest *request, const WtAnswer *answer)
{
	Request *r = (Request *) request;
	AnswerStream *s = new_stream(listener, r, answer);

	if (!s)
	{
		char body[WT_ANSWER_SIZE];
		WtAnswer refusal = {.status = MHD_HTTP_SERVICE_UNAVAILABLE,
							.reason = WT_REASON_MEMORY,
							.body = body};

		refusal.length = wt_answer_error(body, "out of memory, try again");
		wt_listener_answer(listener, request, &refusal);
		return false;
	}
	r->stream = s;
	r->reason = answer->reason;
	s->held = true;
	s->next = listener->streams;
	if (s->next)
		s->next->previous = s;
	listener->streams = s;
	watch(s);
	wt_histogram_add(&listener->counters->request_us, wt_time_bounds,
					 (uint64_t) (wt_monotonic_us() - r->begun_us));
	wt_send_response(r, answer->status);
	listener->resumed = true;
	if (answer->length > 0)
		(void) wt_answer_stream_append(request, answer->body, answer->length);
	return true;
}

bool
wt_answer_stream_append(WtRequest *request, const char *bytes, size_t length)
{
	AnswerStream *s = stream_of(request);

	if (s->broken || !s->request->connection || s->headless)
		return false;
	if (length == 0)
		return true;
	if (s->compressed)
		compress_bytes(s, bytes, length);
	else
		add(s, bytes, length);
	wake(s);
	return !s->broken;
}

size_t
wt_answer_stream_backlog(const WtRequest *request)
{
	return backlog(stream_of(request));
}

void
wt_answer_stream_end(WtRequest *request)
{
	AnswerStream *s = stream_of(request);

	s->ended = true;
	if (s->compressed && !s->broken)
		compress_more(s, Z_FINISH);
	let_go(s);
}

/* What has been sent of it is not to be taken for the whole. */
static void
cut_off(AnswerStream *s)
{
	Connection *c = s->request->connection;

	s->broken = true;
	if (c && !c->doomed && !s->headless)
	{
		if (s->suspended)
			wt_connection_reset(c);
		else
			wt_connection_doom(c);
	}
	let_go(s);
}

void
wt_answer_stream_abort(WtRequest *request)
{
	cut_off(stream_of(request));
}

bool
wt_client_has_left(const WtRequest *request)
{
	const Request *r = (const Request *) request;
	const Connection *c = r->connection;
	struct pollfd p = {.events = POLLRDHUP};
	int saved = errno;
	bool left;

	if (!c || c->doomed || (r->stream && r->stream->headless))
		return true;
	p.fd = c->fd;
	left = poll(&p, 1, 0) == 1;
	errno = saved;
	return left;
}

bool
wt_client_may_still(const WtListener *listener, const WtRequest *request, int *status,
					const char **sentence)
{
	WtVerdict verdict = {0};

	if (wt_auth_still_lets_in(listener->auth, ((const Request *) request)->token,
							  request->route, wall_clock_us(), &verdict))
		return true;
	*status = verdict.status;
	*sentence = verdict.sentence;
	return false;
}

bool
wt_answer_stream_leave(AnswerStream *s)
{
	Request *r = s->request;

	(void) epoll_ctl(s->listener->poll_fd, EPOLL_CTL_DEL, r->connection->fd, NULL);
	r->connection = NULL;
	/* These lie in MHD's memory. */
	r->public.headers = NULL;
	r->public.n_headers = 0;
	r->public.method = "";
	r->public.host = r->public.content_type = r->public.content_encoding = NULL;
	r->origin = NULL;
	return s->held;
}

void
wt_answer_streams_end(WtListener *listener)
{
	while (listener->streams)
		cut_off(listener->streams);
}

void
wt_answer_stream_free(AnswerStream *s)
{
	if (s->compressed)
		deflateEnd(&s->z);
	wt_buffer_free(&s->waiting);
	free(s);
}
