/*
 * listener.c
 *		Sockets and HTTP, by libmicrohttpd ("MHD"): see listener.h.
 *
 * Words:
 *	request		one HTTP request; it lives from its first line to its answer's last
 *				byte, and is then kept for the next one
 *	phase		what a connection is waiting for; a list for each phase, in the order
 *				of time, so that the first one on a list is the first to be overdue
 *	doomed		a connection that has been shut down and that MHD is about to close
 *	held		a request that waits, suspended, until others have left the memory that its
 *				body needs
 *	parked		a connection with TLS that waits, suspended, for the next bytes before its
 *				first request: MHD would run in circles until they come
 *
 * Two daemons of MHD share the callbacks and all else: one for plain connections, one for
 * TLS.  What TLS needs is given to each session as it begins (see tls.h), so that a reload
 * changes it for the connections that come, and leaves those that are open alone.
 *
 * The sockets that listen are ours, not MHD's, and connections are handed to MHD after
 * accept: so a reload can open and close sockets while connections stay, there can be
 * several addresses and Unix-domain sockets, and a full house is ours to handle.
 */
#ifdef POSTGRES_H
#error "listener.c knows no PostgreSQL: what raises would raise through MHD's frames"
#endif

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "compat.h"
#include "framing.h"
#include "addresses.h"
#include "arrivals.h"
#include "lingering.h"
#include "listener.h"

/*
 * MHD's memory for each connection.  The head of a request must fit, with about 60 bytes
 * for each header beside its text; bodies pass through it.  MHD zeroes it at every
 * request, so more is slower: 64 KB cost a fifth of all CPU time.
 */
#define CONNECTION_MEMORY (16 * 1024)

/*
 * What of it the head of an answer takes at most, beside what it repeats of the request,
 * and what each header of a request takes beside its text.
 */
#define ANSWER_MEMORY 1024
#define HEADER_MEMORY 64

/* A connection may be silent between two requests for this long, ms. */
#define IDLE_TIMEOUT (75 * 1000)

/* A request waits so long for memory, ms, before it is refused. */
#define HOLD_TIMEOUT 1000

/* Runs in which MHD may do nothing but ask for the next one, and those of them that follow
 * each other at once; to the others there is a pause, ms. */
#define MAX_STALLS 50
#define MAX_FAST_STALLS 15
#define STALL_PAUSE 5

/* A connection may take this long, ms, to its first request even in a full house. */
#define SLOW_START 1000

/* One that is given room before others must go on receiving: within so long, ms. */
#define FAVOUR_TIMEOUT 1000

/* Bodies up to here find room when larger ones do not, bytes. */
#define MODEST_BODY (64 * 1024)

/* After accept has failed for want of descriptors or memory, wait, ms. */
#define ACCEPT_PAUSE 100

/* Connections accepted in one run, so that a flood of them leaves time for the rest. */
#define ACCEPT_BURST 64

/* What is kept of requests that are over: number, and bytes of the body of each. */
#define MAX_FREE_REQUESTS 256
#define MAX_FREE_BODY (64 * 1024)

/* For so long a browser need not ask again whether a page may send, s. */
#define PREFLIGHT_MAX_AGE "600"

/* An answer of ours with its head, as it is sent without MHD. */
#define DIRECT_ANSWER_SIZE (WT_ANSWER_SIZE + 256)

/* The first piece of memory for a body. */
#define MIN_BODY 1024

typedef enum Phase
{
	PHASE_NEW,		 /* for its first request: request_timeout */
	PHASE_IDLE,		 /* for the next request: IDLE_TIMEOUT */
	PHASE_RECEIVING, /* for the rest of a request: request_timeout */
	PHASE_ANSWERING, /* for the sender to read the answer: request_timeout */
	PHASE_HELD,		 /* for memory, before or in its body: HOLD_TIMEOUT */
	N_PHASES,
	PHASE_NONE /* suspended, or doomed: on no list */
} Phase;

typedef struct Connection Connection;
typedef struct Request Request;

typedef struct List
{
	Connection *first;
	Connection *last;
} List;

struct Connection
{
	Connection *previous;
	Connection *next;
	WtListener *listener;
	struct MHD_Connection *mhd;
	int fd;
	Phase phase;
	int64_t since;	  /* when the phase began, ms of the monotonic clock */
	Request *request; /* the current one, if any */
	bool doomed;
	bool linger;   /* drain it when MHD closes it, see lingering.h */
	bool has_peer; /* false: it came by a Unix-domain socket */
	WtAddress peer;
	bool passed_on;		/* by a proxy that has said who the peer is */
	WtVisitor *visitor; /* NULL: it is not counted */

	/* TLS; all NULL and false without. */
	WtTls *tls;
	struct gnutls_session_int *session;
	Connection *next_tried; /* in the listener's list of those that are tried */
	bool parked;
	bool greeted;			/* its first byte has been seen */
	bool certificate_known; /* and these two say whose it is, or what is wrong with it */
	WtTlsPeer certificate;
	char *certificate_text;
};

struct Request
{
	WtRequest public; /* must be first */
	Request *next;	  /* in the queue, or among the free ones */
	Connection *connection;
	char *target; /* the request line's target, as it was sent, split at the '?' */
	size_t target_size;
	size_t target_length;
	const char *target_in_place; /* in MHD's memory */
	WtHeader *headers;
	int max_headers;
	char *body;
	size_t body_size;
	bool head_seen;
	bool last; /* nothing may follow it on its connection */
	bool chunked;
	size_t announced; /* Content-Length */
	bool held;
	bool held_too_long;
	bool answered;
	int status; /* of the answer; 0: there is none yet */
	WtReason reason;
	char ip[INET6_ADDRSTRLEN];
	char source[WT_MAX_SOURCE + 1];
	const char *origin; /* a page of this origin may see the answer; NULL: no page may */
	int64_t begun_us;	/* by the monotonic clock */
	int64_t begun;		/* the same as the phases have it, ms */
	int64_t held_since; /* ms; 0: it has not been held */
	struct MHD_Response *response;
	bool standing; /* response is one of the listener's, not the request's own */
};

enum
{
	DAEMON_PLAIN,
	DAEMON_TLS, /* NULL until it is needed */
	N_DAEMONS
};

struct WtListener
{
	struct MHD_Daemon *daemons[N_DAEMONS];
	WtTls *tls; /* for new connections; NULL: they are plain */
	/* An epoll descriptor: MHD's own, the listening sockets, lingering and parked ones. */
	int poll_fd;
	WtListenerSettings settings;
	WtCounters *counters;
	WtAuth *auth;
	WtRefused *refused; /* NULL: they are not remembered */
	WtSockets sockets;
	bool closing;		  /* no request is suspended any more */
	bool polling_sockets; /* the listening sockets are in poll_fd */
	int64_t accept_after; /* ms; 0: at once */
	int64_t now;		  /* ms, as of this run */

	int n_connections;
	int n_doomed;
	List phases[N_PHASES];
	WtLingering lingering;
	WtArrivals arrivals;
	WtAddresses addresses;
	WtCidrList trusted;	 /* proxies */
	Connection *started; /* what MHD has made of the last socket that it was given */
	Connection *tried;	 /* not parked any more, and perhaps about to be again */
	bool resumed;		 /* MHD has something to do, and does not say so */

	Request *queue_first;
	Request *queue_last;
	Request *free_requests;
	int n_free_requests;
	int n_unanswered;
	size_t inflight;	 /* bytes of bodies */
	Request *favoured;	 /* it has room whatever there is, as long as it goes on */
	int64_t favoured_at; /* when its last piece came, ms */

	uint64_t n_callbacks; /* of MHD's */
	uint64_t last_n_callbacks;
	int n_stalls; /* runs since then in which MHD wanted to be run again */

	struct MHD_Response *accepted;
	struct MHD_Response *accepted_and_close;
	struct MHD_Response *healthy;
	struct MHD_Response *healthy_and_close;
	char *health; /* reason for not being well; NULL: well */
};

/*
 * What an epoll event of poll_fd is about.  Lingering ones carry their index instead, and
 * parked connections their address, which is larger; arrivals have a mark of their own.
 */
#define POLL_MHD UINT64_MAX
#define POLL_SOCKETS (UINT64_MAX - 1)

/*
 * Clocks
 */

static int64_t
monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t
monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

static int64_t
wall_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/*
 * Phases of a connection
 */

/* `since` is not later than now. */
static void
set_phase_since(Connection *c, Phase phase, int64_t since)
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

static void
set_phase(Connection *c, Phase phase)
{
	set_phase_since(c, phase, c->listener->now);
}

static int64_t
phase_limit(const WtListener *listener, Phase phase)
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
static void
park(Connection *c)
{
	struct epoll_event event = {.data = {.ptr = c}};

	event.events = wt_tls_wants_to_write(c->session) ? EPOLLOUT : EPOLLIN;
	if (epoll_ctl(c->listener->poll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
		return;
	c->parked = true;
	MHD_suspend_connection(c->mhd);
}

/* Gives it back. */
static void
unpark(Connection *c)
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
static void
doom(Connection *c)
{
	if (c->parked)
		unpark(c);
	MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
	set_phase(c, PHASE_NONE);
	c->doomed = true;
	c->listener->n_doomed++;
	shutdown(c->fd, SHUT_RDWR);
}

/*
 * Requests
 */

static Request *
new_request(WtListener *listener)
{
	Request *r = listener->free_requests;

	if (!r)
		return calloc(1, sizeof(Request));
	listener->free_requests = r->next;
	listener->n_free_requests--;
	r->next = NULL;
	return r;
}

static void
free_request(Request *r)
{
	free(r->target);
	free(r->headers);
	free(r->body);
	free(r);
}

/* Takes a request that is over; keeps it for the next one where it is not large. */
static void
recycle_request(WtListener *listener, Request *r)
{
	Request kept;

	listener->inflight -= r->public.body_length;
	if (listener->favoured == r)
		listener->favoured = NULL;
	if (r->response && !r->standing)
		MHD_destroy_response(r->response);
	if (listener->n_free_requests >= MAX_FREE_REQUESTS)
	{
		free_request(r);
		return;
	}
	if (r->body_size > MAX_FREE_BODY)
	{
		free(r->body);
		r->body = NULL;
		r->body_size = 0;
	}
	kept = *r;
	memset(r, 0, sizeof(*r));
	r->target = kept.target;
	r->target_size = kept.target_size;
	r->headers = kept.headers;
	r->max_headers = kept.max_headers;
	r->body = kept.body;
	r->body_size = kept.body_size;
	r->next = listener->free_requests;
	listener->free_requests = r;
	listener->n_free_requests++;
}

/*
 * Responses
 */

static struct MHD_Response *
make_response(const char *type, const char *body, size_t length)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		length, (void *) (uintptr_t) body, MHD_RESPMEM_MUST_COPY);

	if (response)
		MHD_add_response_header(response, "Content-Type",
								type ? type : "application/json");
	return response;
}

static bool
busy_status(int status)
{
	return status == MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* The headers that hang on the request. */
static void
add_request_headers(struct MHD_Response *response, const Request *r)
{
	if (r->last)
		MHD_add_response_header(response, "Connection", "close");
	if (!r->origin)
		return;
	MHD_add_response_header(response, "Access-Control-Allow-Origin", r->origin);
	MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
	MHD_add_response_header(response, "Access-Control-Expose-Headers", "Retry-After");
	MHD_add_response_header(response, "Vary", "Origin");
}

static struct MHD_Response *
make_answer(const WtAnswer *answer, const Request *r)
{
	struct MHD_Response *response =
		make_response(answer->type, answer->body, answer->length);

	if (!response)
		return NULL;
	add_request_headers(response, r);
	if (busy_status(answer->status))
		MHD_add_response_header(response, "Retry-After", "1");
	return response;
}

static struct MHD_Response *
make_error(int status, const char *sentence, const Request *r)
{
	char body[WT_ANSWER_SIZE];
	WtAnswer answer = {.status = status, .body = body};

	answer.length = wt_answer_error(body, sentence);
	return make_answer(&answer, r);
}

static const char *
find_header(const WtRequest *request, const char *name)
{
	return wt_header_find(request->headers, request->n_headers, name);
}

static bool
expects_body(const WtRequest *request)
{
	const char *length = find_header(request, "Content-Length");

	return find_header(request, "Transfer-Encoding") != NULL ||
		   (length && strspn(length, "0") != strlen(length));
}

/*
 * Answers from the callback for the head with r->response.  MHD closes the connection
 * after an answer that comes before the body, so where there is no body the answer has to
 * wait for the next call.
 */
static enum MHD_Result
answer_head(Request *r, int status, bool close)
{
	set_phase(r->connection, PHASE_ANSWERING);
	r->status = status;
	r->answered = true;
	if (!close && !expects_body(&r->public))
		return MHD_YES;
	r->connection->linger = true;
	return MHD_queue_response(r->connection->mhd, (unsigned int) status, r->response);
}

/* Answers with an error from the callback for the head. */
static enum MHD_Result
refuse(Request *r, int status, WtReason reason, const char *sentence, bool close)
{
	r->reason = reason;
	r->response = make_error(status, sentence, r);
	if (!r->response)
		return MHD_NO;
	if (close && !r->last)
		MHD_add_response_header(r->response, "Connection", "close");
	return answer_head(r, status, close);
}

/* The path does not take the method. */
static enum MHD_Result
refuse_method(Request *r, const char *allow)
{
	char sentence[64];

	snprintf(sentence, sizeof(sentence), "this path takes %s", allow);
	r->reason = WT_REASON_METHOD;
	r->response = make_error(MHD_HTTP_METHOD_NOT_ALLOWED, sentence, r);
	if (!r->response)
		return MHD_NO;
	MHD_add_response_header(r->response, "Allow", allow);
	return answer_head(r, MHD_HTTP_METHOD_NOT_ALLOWED, false);
}

/* Who sends may not. */
static enum MHD_Result
refuse_by(Request *r, const WtVerdict *verdict)
{
	r->reason = verdict->reason;
	r->response = make_error(verdict->status, verdict->sentence, r);
	if (!r->response)
		return MHD_NO;
	if (verdict->authenticate)
		MHD_add_response_header(r->response, "WWW-Authenticate",
								"Bearer realm=\"windtrap\"");
	if (verdict->retry_after > 0)
	{
		char seconds[16];

		snprintf(seconds, sizeof(seconds), "%d", verdict->retry_after);
		MHD_add_response_header(r->response, "Retry-After", seconds);
	}
	return answer_head(r, verdict->status, false);
}

/* What the path takes; where a browser asks for a page that may send, that it may. */
static enum MHD_Result
answer_options(Request *r, const char *allow)
{
	const char *headers = find_header(&r->public, "Access-Control-Request-Headers");

	r->response = make_response(NULL, "", 0);
	if (!r->response)
		return MHD_NO;
	MHD_add_response_header(r->response, "Allow", allow);
	add_request_headers(r->response, r);
	if (r->origin && find_header(&r->public, "Access-Control-Request-Method"))
	{
		MHD_add_response_header(r->response, "Access-Control-Allow-Methods", allow);
		if (headers)
			MHD_add_response_header(r->response, "Access-Control-Allow-Headers", headers);
		if (find_header(&r->public, "Access-Control-Request-Private-Network"))
			MHD_add_response_header(r->response, "Access-Control-Allow-Private-Network",
									"true");
		MHD_add_response_header(r->response, "Access-Control-Max-Age", PREFLIGHT_MAX_AGE);
	}
	return answer_head(r, MHD_HTTP_NO_CONTENT, false);
}

/* A whole answer as it is sent, for where MHD takes no response; gives its length. */
static size_t
compose_answer(char message[DIRECT_ANSWER_SIZE], int status, const char *phrase,
			   const char *sentence)
{
	char body[WT_ANSWER_SIZE];
	size_t length = wt_answer_error(body, sentence);
	int n = snprintf(
		message, DIRECT_ANSWER_SIZE - sizeof(body),
		"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"%sContent-Length: %zu\r\n\r\n",
		status, phrase, busy_status(status) ? "Retry-After: 1\r\n" : "", length);

	memcpy(message + n, body, length);
	return (size_t) n + length;
}

/*
 * Answers behind MHD's back, straight to the socket or the session, which hold nothing of a
 * response yet.  The caller ends the connection.
 */
static void
answer_directly(Connection *c, int status, const char *phrase, const char *sentence)
{
	char message[DIRECT_ANSWER_SIZE];
	size_t length = compose_answer(message, status, phrase, sentence);

	/* It fits into an empty send buffer; where it does not, the sender is gone. */
	if (c->greeted)
		wt_tls_send_last(c->session, message, length);
	else
		(void) !send(c->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->linger = true;
}

/* Answers where MHD takes no response, in the middle of a body above all; as
 * answer_directly. */
static void
refuse_in_body(Request *r, int status, const char *phrase, WtReason reason,
			   const char *sentence)
{
	answer_directly(r->connection, status, phrase, sentence);
	r->status = status;
	r->reason = reason;
}

/*
 * MHD's callbacks, in the order in which MHD calls them for a connection
 */

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	WtListener *listener = cls;
	Connection *c = *context;

	listener->n_callbacks++;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		const union MHD_ConnectionInfo *info;
		const struct sockaddr *address;

		listener->n_connections++;
		c = calloc(1, sizeof(Connection));
		*context = c;
		listener->started = c;
		if (!c) /* on_uri sees to it that the connection ends */
			return;
		c->listener = listener;
		c->mhd = mhd;
		c->phase = PHASE_NONE;
		info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		c->fd = info->connect_fd;
		info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		address = info ? info->client_addr : NULL;
		c->has_peer = wt_address_of_socket(address, &c->peer);
		set_phase(c, PHASE_NEW);
		return;
	}

	listener->n_connections--;
	if (!c)
		return;
	if (c->linger)
		wt_linger(&listener->lingering, c->fd, listener->now);
	if (c->doomed)
		listener->n_doomed--;
	set_phase(c, PHASE_NONE);
	if (c->visitor)
		wt_address_leave(&listener->addresses, c->visitor);
	for (Connection **p = &listener->tried; *p; p = &(*p)->next_tried)
	{
		if (*p == c)
		{
			*p = c->next_tried;
			break;
		}
	}
	if (c->tls)
		wt_tls_release(c->tls);
	free(c->certificate_text);
	free(c);
	*context = NULL;
}

static Connection *
connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/*
 * MHD is about to parse the query string, which nobody asks it for; where that does not fit
 * into its memory, it closes the connection without an answer.  Let it find none.
 */
static void
hide_query(const char *target)
{
#if WT_MHD_HEAD_IN_PLACE
	char *query = strchr((char *) (uintptr_t) target, '?');

	if (query && query[1] != '\0')
		query[1] = '\0';
#else
	(void) target;
#endif
}

/*
 * The request line has come.  MHD is about to decode the target in place, so that what
 * was sent has to be kept now.
 */
static void *
on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	WtListener *listener = cls;
	Connection *c = connection_of(mhd);
	Request *r;
	size_t length;

	listener->n_callbacks++;
	if (!c || !target || !(r = new_request(listener)))
		return NULL;
	length = strlen(target);
	if (r->target_size <= length)
	{
		char *copy = realloc(r->target, length + 1);

		if (!copy)
		{
			recycle_request(listener, r);
			return NULL;
		}
		r->target = copy;
		r->target_size = length + 1;
	}
	memcpy(r->target, target, length + 1);
	r->target_length = length;
	r->target_in_place = target;
	hide_query(target);
	r->connection = c;
	r->begun_us = monotonic_us();
	r->begun = listener->now;
	c->request = r;
	listener->n_unanswered++;
	set_phase(c, PHASE_RECEIVING);
	return r;
}

static enum MHD_Result
add_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	Request *r = cls;
	WtHeader *h;

	(void) kind;
	if (!value)
		value = "";
	if (r->public.n_headers == r->max_headers)
	{
		int max = r->max_headers ? r->max_headers * 2 : 16;

		h = realloc(r->headers, (size_t) max * sizeof(WtHeader));
		if (!h)
			return MHD_NO;
		r->headers = h;
		r->max_headers = max;
	}
	h = &r->headers[r->public.n_headers++];
	h->name = name;
	h->value = value;
	h->name_length = (uint32_t) strlen(name);
	h->value_length = (uint32_t) strlen(value);
	return MHD_YES;
}

/* Splits the target into path and query; of an absolute URI the path counts. */
static void
split_target(Request *r)
{
	char *path = r->target;
	char *query;

	if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0)
	{
		path = strchr(path, ':') + 3;
		path += strcspn(path, "/?");
	}
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	r->public.path = path;
	r->public.query = query;
}

/* NULL, or what is wrong with the framing of the request. */
static const char *
check_framing(struct MHD_Connection *mhd, const Request *r, const char *version)
{
#if WT_MHD_HEAD_IN_PLACE
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const char *begin = r->public.method;
	const char *end = info ? begin + info->header_size : NULL;

	/* The head is one piece from the method to the empty line's end. */
	if (end && version > begin && version < end)
	{
		const char *wrong;

		if (r->target_in_place != begin + strlen(begin) + 1 ||
			version != r->target_in_place + r->target_length + 1)
			return "the request line is not a method, a target and a version with one "
				   "space between them";
		wrong = wt_framing_check_lines(version, end);
		if (wrong)
			return wrong;
	}
#else
	(void) mhd;
#endif
	if (r->chunked && strcmp(version, "HTTP/1.1") != 0)
		return "only HTTP/1.1 knows Transfer-Encoding";
	return wt_framing_check_headers(r->public.headers, r->public.n_headers);
}

/* Blanks behind a value are not part of it; MHD below 1.0 leaves them there. */
static void
trim_values(Request *r)
{
	for (int i = 0; i < r->public.n_headers; i++)
	{
		WtHeader *h = &r->headers[i];
		size_t length = h->value_length;

		while (length > 0 &&
			   (h->value[length - 1] == ' ' || h->value[length - 1] == '\t'))
			length--;
		if (length == h->value_length)
			continue;
		h->value_length = (uint32_t) length;
		((char *) (uintptr_t) h->value)[length] = '\0';
	}
}

/*
 * Whether the head leaves enough of MHD's memory for that of an answer.  Where it does not,
 * MHD closes the connection without one, when the event has been stored already.
 */
static bool
leaves_room_for_answer(struct MHD_Connection *mhd, const Request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	size_t needed = (info ? info->header_size : 0) + ANSWER_MEMORY;
	int n =
		r->public.n_headers + MHD_get_connection_values(mhd, MHD_COOKIE_KIND, NULL, NULL);

	for (int i = 0; i < r->public.n_headers; i++)
	{
		const WtHeader *h = &r->headers[i];

		/* A copy of these is made: for MHD itself, and for what answers repeat. */
		if (wt_header_is(h, "Cookie") || wt_header_is(h, "Origin") ||
			wt_header_is(h, "Access-Control-Request-Headers"))
			needed += h->value_length;
	}
	return needed + (size_t) n * HEADER_MEMORY <= CONNECTION_MEMORY;
}

/* Who has come by TLS, as far as a certificate says it; asked once for a connection. */
static WtTlsPeer
check_certificate(Connection *c)
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
static bool
is_outdated(const Connection *c)
{
	return c->has_peer && (c->tls != NULL) != (c->listener->tls != NULL);
}

static const char accepted[] = "{\"accepted\":1}\n";
static const char healthy[] = "{\"status\":\"ok\"}\n";

/* Gives a request one of the listener's responses, or, where it has headers of its own,
 * one like it. */
static void
set_standing_response(Request *r, struct MHD_Response *keep, struct MHD_Response *close,
					  const char *body)
{
	if (r->origin)
	{
		r->response = make_response(NULL, body, strlen(body));
		if (r->response)
			add_request_headers(r->response, r);
		return;
	}
	r->response = r->last ? close : keep;
	r->standing = true;
}

/* The reason for not being well can quote an error of the database: not for everybody. */
static enum MHD_Result
answer_health(WtListener *listener, Request *r, bool may_read)
{
	if (listener->health)
		return refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_UNAVAILABLE,
					  may_read ? listener->health : "events cannot be stored now", false);
	set_standing_response(r, listener->healthy, listener->healthy_and_close, healthy);
	if (!r->response)
		return MHD_NO;
	return answer_head(r, MHD_HTTP_OK, false);
}

/*
 * Whether there is memory for more of a request's body.  One request at a time always has
 * it: else all could wait for each other, each with half of its body received.
 */
static bool
has_room(WtListener *listener, Request *r)
{
	size_t limit = listener->settings.max_inflight;

	if (r->announced <= MODEST_BODY && !r->chunked)
		limit += limit / 2;
	if (listener->inflight < limit || listener->favoured == r)
		return true;
	if (listener->favoured && listener->favoured_at + FAVOUR_TIMEOUT > listener->now)
		return false;
	listener->favoured = r;
	listener->favoured_at = listener->now;
	return true;
}

/* Refuses a request for which there is no room; length: of the piece of body at hand. */
static enum MHD_Result
refuse_for_overload(Request *r, size_t length)
{
	static const char sentence[] = "too many events are waiting to be stored, try again";

	if (r->public.body_length == 0 && length == 0)
		return refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_OVERLOAD, sentence,
					  true);
	refuse_in_body(r, 503, "Service Unavailable", WT_REASON_OVERLOAD, sentence);
	return MHD_NO;
}

/*
 * Holds a request until there is room.  MHD then calls on_request again with what it has
 * called it with now: a piece of the body, or, length being 0, only the head.
 */
static enum MHD_Result
hold(Request *r, size_t length)
{
	if (r->connection->listener->closing)
		return refuse_for_overload(r, length);
	/* All that it is held counts, however often. */
	if (r->held_since == 0)
		r->held_since = r->connection->listener->now;
	r->held = true;
	set_phase_since(r->connection, PHASE_HELD, r->held_since);
	MHD_suspend_connection(r->connection->mhd);
	return MHD_YES;
}

/* Lets go of the requests that are held: all for which there is room, or time is up. */
static void
release_held(WtListener *listener, bool all)
{
	Connection *c;

	while ((c = listener->phases[PHASE_HELD].first) != NULL)
	{
		c->request->held_too_long = all || c->since + HOLD_TIMEOUT <= listener->now;
		if (!c->request->held_too_long && !has_room(listener, c->request))
			break;
		set_phase_since(c, PHASE_RECEIVING, c->request->begun);
		MHD_resume_connection(c->mhd);
	}
}

/* Asks who may, and notes what came out of it. */
static void
ask_auth(WtListener *listener, Request *r, WtRoute route, WtVerdict *verdict)
{
	const WtAuthQuestion question = {
		.request = &r->public,
		.route = route,
		.peer = r->connection->has_peer ? &r->connection->peer : NULL,
		.passed_on = r->connection->passed_on,
		.secure = r->connection->tls != NULL,
		.certificate_name = r->connection->certificate == WT_TLS_PEER_KNOWN
								? r->connection->certificate_text
								: NULL,
		.now_us = wall_clock_us(),
		.monotonic_us = r->begun_us,
	};

	wt_auth_check(listener->auth, &question, verdict);
	r->origin = verdict->origin;
	r->public.ip = NULL;
	if (verdict->client.has_address)
	{
		memcpy(r->ip, verdict->client.ip, sizeof(r->ip));
		r->public.ip = r->ip;
	}
	/* A change of tokens may come before the request is stored. */
	if (verdict->source)
	{
		snprintf(r->source, sizeof(r->source), "%s", verdict->source);
		r->public.source = r->source;
	}
}

/* The head of the request is complete; the body, if any, is to come. */
static enum MHD_Result
on_head(WtListener *listener, Request *r, const char *method, const char *version)
{
	struct MHD_Connection *mhd = r->connection->mhd;
	WtRequest *public = &r->public;
	WtVerdict verdict;
	WtRoute route;
	const char *wrong;
	const char *allow;
	const char *length;

	public->method = method;
	if (r->connection->has_peer)
	{
		wt_address_format(&r->connection->peer, r->ip, sizeof(r->ip));
		public->ip = r->ip;
	}
	if (MHD_get_connection_values(mhd, MHD_HEADER_KIND, add_header, r) < 0 ||
		MHD_get_connection_values(mhd, MHD_HEADER_KIND, NULL, NULL) != public->n_headers)
		return refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_MEMORY,
					  "out of memory, try again", true);
	public->headers = r->headers;
	if (!leaves_room_for_answer(mhd, r))
	{
		refuse_in_body(r, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
					   "Request Header Fields Too Large", WT_REASON_HEAD_TOO_LARGE,
					   "the head of the request is too large: about 14 kB is what it may "
					   "have");
		return MHD_NO;
	}
	r->chunked = find_header(public, "Transfer-Encoding") != NULL;
	wrong = check_framing(mhd, r, version);
	if (wrong)
		return refuse(r, MHD_HTTP_BAD_REQUEST, WT_REASON_MALFORMED, wrong, true);
	trim_values(r);
#if WT_MHD_FRAMING_IS_LOOSE
	r->last = r->chunked || find_header(public, "Via") ||
			  find_header(public, "Forwarded") || find_header(public, "X-Forwarded-For");
#endif
	if (is_outdated(r->connection))
		r->last = true; /* what follows comes by a new connection */
	if (check_certificate(r->connection) == WT_TLS_PEER_REFUSED)
	{
		char sentence[WT_CERTIFICATE_NAME_SIZE + 64];

		snprintf(sentence, sizeof(sentence), "the client certificate is refused: %s",
				 r->connection->certificate_text ? r->connection->certificate_text
												 : "out of memory");
		return refuse(r, MHD_HTTP_FORBIDDEN, WT_REASON_CERTIFICATE, sentence, true);
	}
	public->host = find_header(public, "Host");
	public->content_type = find_header(public, "Content-Type");
	public->content_encoding = find_header(public, "Content-Encoding");

	split_target(r);
	route = wt_route_find(method, public->path, &allow);
	ask_auth(listener, r, route, &verdict);
	if (verdict.status != 0)
		return refuse_by(r, &verdict);
	switch (route)
	{
		case WT_ROUTE_EVENTS:
		case WT_ROUTE_METRICS:
			break;
		case WT_ROUTE_HEALTH:
			return answer_health(listener, r, verdict.may_read);
		case WT_ROUTE_OPTIONS:
			return answer_options(r, allow);
		case WT_ROUTE_NOT_FOUND:
			return refuse(r, MHD_HTTP_NOT_FOUND, WT_REASON_NOT_FOUND,
						  "there is nothing at this path: POST events to /log", false);
		case WT_ROUTE_BAD_METHOD:
			return refuse_method(r, allow);
	}
	public->route = route;

	length = find_header(public, "Content-Length");
	if (length && strtoull(length, NULL, 10) > listener->settings.max_body_size)
	{
		char sentence[128];

		snprintf(sentence, sizeof(sentence),
				 "the body is larger than windtrap.max_body_size, %zu bytes",
				 listener->settings.max_body_size);
		return refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, WT_REASON_BODY_TOO_LARGE, sentence,
					  true);
	}
	r->announced = length ? (size_t) strtoull(length, NULL, 10) : 0;
	if (!has_room(listener, r))
		return hold(r, 0);
	return MHD_YES;
}

/* A piece of the body has come. */
static enum MHD_Result
on_body(WtListener *listener, Request *r, const char *piece, size_t length)
{
	WtRequest *public = &r->public;
	size_t needed = public->body_length + length;

	if (needed > listener->settings.max_body_size)
	{
		char sentence[128];

		snprintf(sentence, sizeof(sentence),
				 "the body is larger than windtrap.max_body_size, %zu bytes",
				 listener->settings.max_body_size);
		refuse_in_body(r, 413, "Content Too Large", WT_REASON_BODY_TOO_LARGE, sentence);
		return MHD_NO;
	}
	if (needed > r->body_size)
	{
		size_t size = r->body_size ? r->body_size : MIN_BODY;
		char *body;

		while (size < needed)
			size *= 2;
		body = realloc(r->body, size);
		if (!body)
		{
			refuse_in_body(r, 503, "Service Unavailable", WT_REASON_MEMORY,
						   "out of memory, try again");
			return MHD_NO;
		}
		r->body = body;
		r->body_size = size;
	}
	memcpy(r->body + public->body_length, piece, length);
	listener->counters->bytes_received += length;
	if (listener->favoured == r)
		listener->favoured_at = listener->now;
	public->body_length = needed;
	listener->inflight += length;
	return MHD_YES;
}

static const char stopping[] = "the collector is stopping, try again";

/* The request is complete: it waits, suspended, for the worker. */
static enum MHD_Result
on_complete(WtListener *listener, Request *r)
{
	if (listener->favoured == r)
		listener->favoured = NULL;
	if (listener->closing)
		return refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_UNAVAILABLE, stopping,
					  true);
	r->public.body = r->body ? r->body : "";
	r->public.received_us = wall_clock_us();
	set_phase(r->connection, PHASE_NONE);
	if (listener->queue_last)
		listener->queue_last->next = r;
	else
		listener->queue_first = r;
	listener->queue_last = r;
	MHD_suspend_connection(r->connection->mhd);
	return MHD_YES;
}

static enum MHD_Result
send_answer(Request *r)
{
	if (!r->response) /* there was no memory for it */
		return MHD_NO;
	return MHD_queue_response(r->connection->mhd, (unsigned int) r->status, r->response);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
		   const char *version, const char *upload_data, size_t *upload_data_size,
		   void **context)
{
	WtListener *listener = cls;
	Request *r = *context;
	size_t length = *upload_data_size;

	(void) mhd;
	(void) url;
	listener->n_callbacks++;
	if (!r)
		return MHD_NO;
	if (!r->head_seen)
	{
		r->head_seen = true;
		return on_head(listener, r, method, version);
	}
	if (r->held)
	{
		r->held = false;
		if (r->held_too_long)
			return refuse_for_overload(r, length);
		if (length == 0) /* the body is still to come */
			return MHD_YES;
	}
	if (length > 0)
	{
		if (!has_room(listener, r))
			return hold(r, length);
		*upload_data_size = 0;
		return on_body(listener, r, upload_data, length);
	}
	if (r->answered)
		return send_answer(r);
	return on_complete(listener, r);
}

/*
 * Remembers a request that was refused.  Where MHD has refused it, its head may be there in
 * part; the target is a copy of our own.
 */
static void
remember_refused(const WtListener *listener, Request *r)
{
	WtRefusal refusal = {.time_us = wall_clock_us(),
						 .ip = r->public.ip,
						 .method = r->public.method,
						 .status = r->status,
						 .reason = r->reason};

	if (!refusal.ip && r->connection->has_peer)
	{
		wt_address_format(&r->connection->peer, r->ip, sizeof(r->ip));
		refusal.ip = r->ip;
	}
	if (!r->public.path)
		split_target(r);
	refusal.path = r->public.path;
	refusal.user_agent = wt_header_find(r->headers, r->public.n_headers, "User-Agent");
	if (refusal.user_agent)
		refusal.user_agent_length = strlen(refusal.user_agent);
	wt_refused_add(listener->refused, &refusal);
}

/*
 * A request that ended without an answer of ours may have had one of MHD's own.  (What MHD
 * answers before it has read the request line, 414 that is, shows nowhere.)
 */
static void
count_request(WtListener *listener, Request *r, struct MHD_Connection *mhd)
{
	if (r->status == 0)
	{
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);

		if (!info || info->http_status == 0)
			return;
		r->status = (int) info->http_status;
		r->reason = r->status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE ||
							r->status == MHD_HTTP_URI_TOO_LONG
						? WT_REASON_HEAD_TOO_LARGE
					: r->status == MHD_HTTP_CONTENT_TOO_LARGE ? WT_REASON_BODY_TOO_LARGE
															  : WT_REASON_MALFORMED;
	}
	wt_count_request(listener->counters, r->status, r->reason);
	wt_histogram_add(&listener->counters->request_us, wt_time_bounds,
					 (uint64_t) (monotonic_us() - r->begun_us));
	if (listener->refused && r->status >= 400 && r->status < 500)
		remember_refused(listener, r);
}

static void
on_request_over(void *cls, struct MHD_Connection *mhd, void **context,
				enum MHD_RequestTerminationCode code)
{
	WtListener *listener = cls;
	Request *r = *context;

	(void) code;
	if (!r)
		return;
	*context = NULL;
	count_request(listener, r, mhd);
	r->connection->request = NULL;
	listener->n_unanswered--;
	if (!r->connection->doomed)
		set_phase(r->connection, PHASE_IDLE);
	recycle_request(listener, r);
}

/*
 * The life of a listener
 */

static void (*panic_callback)(const char *reason);

static void
on_panic(void *cls, const char *file, unsigned int line, const char *reason)
{
	char message[256];

	(void) cls;
	snprintf(message, sizeof(message), "%s (%s:%u)", reason ? reason : "no reason given",
			 file, line);
	panic_callback(message);
}

static struct MHD_Response *
make_standing_response(const char *body, bool close)
{
	struct MHD_Response *response = make_response(NULL, body, strlen(body));

	if (response && close)
		MHD_add_response_header(response, "Connection", "close");
	return response;
}

static bool
make_standing_responses(WtListener *listener)
{
	listener->accepted = make_standing_response(accepted, false);
	listener->accepted_and_close = make_standing_response(accepted, true);
	listener->healthy = make_standing_response(healthy, false);
	listener->healthy_and_close = make_standing_response(healthy, true);
	return listener->accepted && listener->accepted_and_close && listener->healthy &&
		   listener->healthy_and_close;
}

/*
 * MHD wants to have a certificate from somewhere.  Sessions have been given their own
 * before they could ask for this one.
 */
static int
no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
			   int n_authorities, const gnutls_pk_algorithm_t *algorithms,
			   int n_algorithms, gnutls_pcert_st **certificate, unsigned int *length,
			   gnutls_privkey_t *key)
{
	(void) session, (void) authorities, (void) n_authorities, (void) algorithms;
	(void) n_algorithms, (void) certificate, (void) length, (void) key;
	return -1;
}

static bool
start_daemon(WtListener *listener, int which)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = POLL_MHD}};
	struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *) (uintptr_t) no_certificate},
		{MHD_OPTION_END, 0, NULL}};
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	/* MHD's own limit on connections is out of the way: ours can be changed. */
	daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_SUSPEND_RESUME |
			(which == DAEMON_TLS ? MHD_USE_TLS : 0U),
		0, NULL, NULL, on_request, listener, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		listener, MHD_OPTION_NOTIFY_COMPLETED, on_request_over, listener,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, listener,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, 1000000U, WT_MHD_STRICT, 1, MHD_OPTION_ARRAY,
		which == DAEMON_TLS ? tls : plain, MHD_OPTION_END);
	info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info || epoll_ctl(listener->poll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0)
	{
		if (daemon)
			MHD_stop_daemon(daemon);
		return false;
	}
	listener->daemons[which] = daemon;
	return true;
}

static void
run_daemons(WtListener *listener)
{
	listener->resumed = false;
	for (int i = 0; i < N_DAEMONS; i++)
		if (listener->daemons[i])
			MHD_run(listener->daemons[i]);
}

/* ms until a daemon wants to be run; -1: it waits for its descriptor alone. */
static int64_t
daemons_timeout(const WtListener *listener)
{
	int64_t timeout = listener->resumed ? 0 : -1;
	MHD_UNSIGNED_LONG_LONG one;

	for (int i = 0; i < N_DAEMONS; i++)
		if (listener->daemons[i] &&
			MHD_get_timeout(listener->daemons[i], &one) == MHD_YES &&
			(timeout < 0 || (int64_t) one < timeout))
			timeout = (int64_t) one;
	return timeout;
}

WtListener *
wt_listener_create(const WtListenerSettings *settings, WtCounters *counters, WtAuth *auth,
				   void (*panic)(const char *reason))
{
	WtListener *listener = calloc(1, sizeof(WtListener));

	if (!listener)
		return NULL;
	wt_listener_configure(listener, settings);
	listener->counters = counters;
	listener->auth = auth;
	listener->now = monotonic_ms();
	panic_callback = panic;
	MHD_set_panic_func(on_panic, NULL);
	listener->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener->lingering.poll_fd = listener->poll_fd;
	listener->arrivals.poll_fd = listener->poll_fd;
	if (listener->poll_fd < 0 || !start_daemon(listener, DAEMON_PLAIN) ||
		!make_standing_responses(listener))
	{
		wt_listener_destroy(listener);
		return NULL;
	}
	return listener;
}

void
wt_listener_remember(WtListener *listener, WtRefused *refused)
{
	listener->refused = refused;
}

void
wt_listener_configure(WtListener *listener, const WtListenerSettings *settings)
{
	const char *bad;
	size_t n;

	listener->settings = *settings;
	/* Without memory for the new list the old one goes on. */
	(void) wt_cidr_list_parse(settings->trusted_proxies, &listener->trusted, &bad, &n);
}

static void
poll_sockets(WtListener *listener, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = POLL_SOCKETS}};

	if (listener->polling_sockets == on)
		return;
	listener->polling_sockets = on;
	for (int i = 0; i < listener->sockets.n; i++)
		epoll_ctl(listener->poll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
				  listener->sockets.sockets[i].fd, &event);
}

bool
wt_listener_open(WtListener *listener, const char *addresses, int port, int flags,
				 WtSocketsError *error)
{
	bool ok;

	poll_sockets(listener, false);
	ok = wt_sockets_open(&listener->sockets, addresses, port, flags, error);
	poll_sockets(listener, true);
	return ok;
}

bool
wt_listener_use_tls(WtListener *listener, const WtTlsSettings *settings,
					WtTlsError *error)
{
	WtTls *old = listener->tls;
	WtTls *tls = NULL;
	Connection *next;

	if (settings && !(tls = wt_tls_load(settings, old, error)))
		return false;
	if (tls && !listener->daemons[DAEMON_TLS] && !start_daemon(listener, DAEMON_TLS))
	{
		wt_tls_release(tls);
		snprintf(error->message, sizeof(error->message),
				 MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_YES
					 ? "could not start TLS"
					 : "this libmicrohttpd has been built without TLS");
		return false;
	}
	listener->tls = tls;
	if (old)
		wt_tls_release(old);
	for (Connection *c = listener->phases[PHASE_IDLE].first; c; c = next)
	{
		next = c->next;
		if (is_outdated(c))
			doom(c);
	}
	return true;
}

void
wt_listener_describe(const WtListener *listener, char *text, size_t size)
{
	wt_sockets_describe(&listener->sockets, text, size);
}

void
wt_listener_close_sockets(WtListener *listener)
{
	poll_sockets(listener, false);
	wt_sockets_close(&listener->sockets);
}

int
wt_listener_descriptor(const WtListener *listener)
{
	return listener->poll_fd;
}

static bool
is_full(const WtListener *listener)
{
	return listener->n_connections + listener->arrivals.n >=
		   listener->settings.max_connections;
}

int
wt_listener_timeout(WtListener *listener)
{
	int64_t now = monotonic_ms();
	int64_t next = INT64_MAX;
	int64_t mhd = daemons_timeout(listener);

	if (listener->queue_first)
		return 0;
	/* Where it only wants to be run, and does nothing: not too often. */
	if (mhd == 0 && listener->n_stalls > MAX_FAST_STALLS)
		mhd = STALL_PAUSE;
	if (mhd >= 0)
		next = now + mhd;
	for (int phase = 0; phase < N_PHASES; phase++)
	{
		const Connection *c = listener->phases[phase].first;

		if (c && c->since + phase_limit(listener, (Phase) phase) < next)
			next = c->since + phase_limit(listener, (Phase) phase);
	}
	/* Those who knock at a full house are not heard until somebody can make room. */
	if (!listener->polling_sockets && listener->phases[PHASE_NEW].first &&
		listener->phases[PHASE_NEW].first->since + SLOW_START < next)
		next = listener->phases[PHASE_NEW].first->since + SLOW_START;
	if (listener->arrivals.first &&
		listener->arrivals.first->since + listener->settings.request_timeout < next)
		next = listener->arrivals.first->since + listener->settings.request_timeout;
	if (wt_lingering_next(&listener->lingering) < next)
		next = wt_lingering_next(&listener->lingering);
	if (listener->accept_after > 0 && listener->accept_after < next)
		next = listener->accept_after;
	if (next == INT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now > 60000 ? 60000 : (int) (next - now);
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
		doom(c);
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
		doom(c);
		return;
	}
	c->tls = wt_tls_hold(listener->tls);
	park(c);
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
				answer_directly(
					c, 400, "Bad Request",
					"this port speaks TLS: send to https:// instead of http://");
			wt_count_request(listener->counters, 400, WT_REASON_MALFORMED);
			doom(c);
			return;
		}
		c->greeted = true;
	}
	unpark(c);
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
			park(c);
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
		size_t length = compose_answer(message, status, phrase, sentence);

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

static void
accept_connections(WtListener *listener)
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
			receive(listener, fd, &address, length);
		}
	}
}

static void
end_overdue(WtListener *listener)
{
	for (int phase = 0; phase < N_PHASES; phase++)
	{
		int64_t limit = phase_limit(listener, (Phase) phase);
		Connection *c;

		if (phase == PHASE_HELD) /* see release_held */
			continue;

		while ((c = listener->phases[phase].first) != NULL &&
			   c->since + limit <= listener->now)
		{
			if (phase == PHASE_RECEIVING)
				refuse_in_body(c->request, 408, "Request Timeout", WT_REASON_TIMEOUT,
							   "the request was not complete within "
							   "windtrap.request_timeout");
			doom(c);
		}
	}
}

/*
 * MHD 0.9.75 runs in circles over a chunk's size line that is longer than its memory: it
 * has no room to read on, and says that there is something to read.  Where it does nothing
 * else but ask to be run, those whose bytes it does not read are ended.
 */
static void
end_stalled(WtListener *listener)
{
	Connection *next;

	if (listener->n_callbacks != listener->last_n_callbacks ||
		daemons_timeout(listener) != 0)
	{
		listener->last_n_callbacks = listener->n_callbacks;
		listener->n_stalls = 0;
		return;
	}
	if (++listener->n_stalls < MAX_STALLS)
		return;
	listener->n_stalls = 0;
	for (Connection *c = listener->phases[PHASE_RECEIVING].first; c; c = next)
	{
		int unread = 0;

		next = c->next;
		if (!c->request->chunked || ioctl(c->fd, FIONREAD, &unread) != 0)
			continue;
		if (unread == 0 && !(c->session && wt_tls_has_unread(c->session)))
			continue;
		refuse_in_body(c->request, 400, "Bad Request", WT_REASON_MALFORMED,
					   "the chunked body cannot be read: a line of it is too long");
		doom(c);
	}
}

void
wt_listener_run(WtListener *listener)
{
	struct epoll_event events[64];
	bool accepting;
	bool knocking = false;
	int n;

	listener->now = monotonic_ms();
	if (listener->accept_after > 0 && listener->accept_after <= listener->now)
		listener->accept_after = 0;
	/* Nobody can be let in: do not be woken for those who knock. */
	accepting = listener->accept_after == 0 &&
				(!is_full(listener) || who_makes_room(listener) != NULL);
	poll_sockets(listener, accepting);

	n = epoll_wait(listener->poll_fd, events, 64, 0);
	for (int i = 0; i < n; i++)
	{
		if (events[i].data.u64 == POLL_SOCKETS)
			knocking = true;
		else if (wt_arrival_of(events[i].data.u64))
			attend_arrival(listener, wt_arrival_of(events[i].data.u64));
		else if (events[i].data.u64 != POLL_MHD && events[i].data.u64 >= WT_MAX_LINGERING)
			try_parked(listener, events[i].data.ptr);
	}
	if (knocking)
		accept_connections(listener);
	release_held(listener, false);
	run_daemons(listener);
	park_tried(listener);
	end_stalled(listener);
	end_overdue(listener);
	end_overdue_arrivals(listener);
	if (listener->lingering.n > 0)
		wt_lingering_drain(&listener->lingering, listener->now);
	listener->counters->connections = (uint64_t) listener->n_connections;
	wt_count_max(&listener->counters->max_connections, listener->counters->connections);
	listener->counters->bytes_in_flight = listener->inflight;
}

const WtRequest *
wt_listener_peek(const WtListener *listener)
{
	return listener->queue_first ? &listener->queue_first->public : NULL;
}

WtRequest *
wt_listener_next(WtListener *listener)
{
	Request *r = listener->queue_first;

	if (!r)
		return NULL;
	listener->queue_first = r->next;
	if (!r->next)
		listener->queue_last = NULL;
	r->next = NULL;
	return &r->public;
}

static void
resume(Request *r, int status)
{
	r->status = status;
	r->answered = true;
	set_phase(r->connection, PHASE_ANSWERING);
	MHD_resume_connection(r->connection->mhd);
}

void
wt_listener_answer(WtListener *listener, WtRequest *request, const WtAnswer *answer)
{
	Request *r = (Request *) request;

	(void) listener;
	r->reason = answer->reason;
	r->response = make_answer(answer, r);
	resume(r, answer->status);
}

void
wt_listener_accept(WtListener *listener, WtRequest *request)
{
	Request *r = (Request *) request;

	set_standing_response(r, listener->accepted, listener->accepted_and_close, accepted);
	resume(r, MHD_HTTP_OK);
}

void
wt_listener_set_health(WtListener *listener, const char *reason)
{
	free(listener->health);
	listener->health = reason ? strdup(reason) : NULL;
}

int
wt_listener_unanswered(const WtListener *listener)
{
	return listener->n_unanswered;
}

/* Requests that were completed after the last batch had been taken. */
static void
refuse_queued(WtListener *listener)
{
	char body[WT_ANSWER_SIZE];
	WtAnswer answer = {
		.status = 503, .reason = WT_REASON_UNAVAILABLE, .type = NULL, .body = body};
	WtRequest *request;

	answer.length = wt_answer_error(body, stopping);
	while ((request = wt_listener_next(listener)) != NULL)
		wt_listener_answer(listener, request, &answer);
}

void
wt_listener_destroy(WtListener *listener)
{
	if (listener->poll_fd >= 0)
		wt_listener_close_sockets(listener);
	/* MHD aborts where a connection is suspended: let go, and suspend no more. */
	listener->closing = true;
	release_held(listener, true);
	for (Connection *c = listener->phases[PHASE_NEW].first; c; c = c->next)
		if (c->parked)
			unpark(c);
	refuse_queued(listener);
	run_daemons(listener);
	for (int i = 0; i < N_DAEMONS; i++)
		if (listener->daemons[i])
			MHD_stop_daemon(listener->daemons[i]);
	if (listener->tls)
		wt_tls_release(listener->tls);
	wt_lingering_end(&listener->lingering);
	wt_arrivals_end(&listener->arrivals);
	wt_addresses_free(&listener->addresses);
	wt_cidr_list_free(&listener->trusted);
	if (listener->accepted)
		MHD_destroy_response(listener->accepted);
	if (listener->accepted_and_close)
		MHD_destroy_response(listener->accepted_and_close);
	if (listener->healthy)
		MHD_destroy_response(listener->healthy);
	if (listener->healthy_and_close)
		MHD_destroy_response(listener->healthy_and_close);
	while (listener->free_requests)
	{
		Request *r = listener->free_requests;

		listener->free_requests = r->next;
		free_request(r);
	}
	if (listener->poll_fd >= 0)
		close(listener->poll_fd);
	free(listener->health);
	free(listener);
}
