/*
 * exchange.c
 *		Requests, from their first line to their answer's last byte: MHD's callbacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/answer_stream_state.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/head.h"
#include "http/holding.h"
#include "http/request_pool.h"
#include "http/response.h"
#include "http/router.h"
#include "http/streaming.h"
#include "http/unanswered.h"
#include "http/waiting.h"

/* The first piece of memory for a body. */
#define MIN_BODY 1024

static const char head_too_large[] =
	"the head of the request is too large: about 14 kB is what it may have";

void
wt_on_connection(void *cls, struct MHD_Connection *mhd, void **context,
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
		if (!c) /* wt_on_target sees to it that the connection ends */
			return;
		c->listener = listener;
		c->mhd = mhd;
		c->phase = PHASE_NONE;
		info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		c->fd = info->connect_fd;
		info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		address = info ? info->client_addr : NULL;
		c->has_peer = wt_address_of_socket(address, &c->peer);
		wt_connection_set_phase(c, PHASE_NEW);
		return;
	}

	listener->n_connections--;
	if (!c)
		return;
	wt_end_without_request(c);
	if (c->linger)
		wt_linger(&listener->lingering, c->fd, listener->now);
	if (c->doomed)
		listener->n_doomed--;
	wt_connection_set_phase(c, PHASE_NONE);
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
	char *query = strchr((char *) (uintptr_t) target, '?');

	if (query && query[1] != '\0')
		query[1] = '\0';
}

/*
 * The request line has come.  MHD is about to decode the target in place, so that what
 * was sent has to be kept now.
 */
void *
wt_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	WtListener *listener = cls;
	Connection *c = connection_of(mhd);
	Request *r;
	size_t length;

	listener->n_callbacks++;
	if (!c || !target || !(r = wt_request_new(listener)))
		return NULL;
	length = strlen(target);
	if (r->target_size <= length)
	{
		char *copy = realloc(r->target, length + 1);

		if (!copy)
		{
			wt_request_recycle(listener, r);
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
	r->begun_us = wt_monotonic_us();
	r->begun = listener->now;
	c->request = r;
	listener->n_unanswered++;
	wt_connection_set_phase(c, PHASE_RECEIVING);
	return r;
}

/* Asks who may, and notes what came out of it. */
static void
ask_auth(WtListener *listener, Request *r, const WtMatch *match, WtVerdict *verdict)
{
	const WtAuthQuestion question = {
		.request = &r->public,
		.route = match->route,
		.in_path = match->secret,
		.in_path_length = match->secret_length,
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
	r->token = verdict->token;
	r->public.may_change = verdict->may_change;
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
	WtRequest *public = &r->public;
	WtVerdict verdict;
	WtMatch match;
	const char *wrong;
	const char *length;

	public->method = method;
	if (r->connection->has_peer)
	{
		wt_address_format(&r->connection->peer, r->ip, sizeof(r->ip));
		public->ip = r->ip;
	}
	if (!wt_head_read(r))
		return wt_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_MEMORY,
						 "out of memory, try again", true);
	if (!wt_head_leaves_room(r))
	{
		wt_refuse_in_body(r, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
						  "Request Header Fields Too Large", WT_REASON_HEAD_TOO_LARGE,
						  head_too_large);
		return MHD_NO;
	}
	wrong = wt_head_check(r, version);
	if (wrong)
		return wt_refuse(r, MHD_HTTP_BAD_REQUEST, WT_REASON_MALFORMED, wrong, true);
	wt_head_trim(r);
	/* MHD passes lines between and behind chunks that others read otherwise. */
	r->last = r->chunked;
#if WT_MHD_FRAMING_IS_LOOSE
	if (find_header(public, "Via") || find_header(public, "Forwarded") ||
		find_header(public, "X-Forwarded-For"))
		r->last = true;
#endif
	if (wt_connection_is_outdated(r->connection))
		r->last = true; /* what follows comes by a new connection */
	if (wt_connection_certificate(r->connection) == WT_TLS_PEER_REFUSED)
	{
		char sentence[WT_CERTIFICATE_NAME_SIZE + 64];

		snprintf(sentence, sizeof(sentence), "the client certificate is refused: %s",
				 r->connection->certificate_text ? r->connection->certificate_text
												 : "out of memory");
		return wt_refuse(r, MHD_HTTP_FORBIDDEN, WT_REASON_CERTIFICATE, sentence, true);
	}
	public->content_type = find_header(public, "Content-Type");
	public->content_encoding = find_header(public, "Content-Encoding");

	if (!wt_head_split_target(r))
		return wt_refuse(r, MHD_HTTP_BAD_REQUEST, WT_REASON_MALFORMED,
						 "the target's host has a character that no name or address has, "
						 "or there is none",
						 true);
	public->host = r->target_host ? r->target_host : find_header(public, "Host");
	wt_router_find(public, &match);
	public->endpoint = match.endpoint;
	public->verb = match.verb;
	ask_auth(listener, r, &match, &verdict);
	wt_head_hide_secret(&match);
	if (verdict.status != 0)
		return wt_refuse_by(r, &verdict);
	switch (match.route)
	{
		case WT_ROUTE_EVENTS:
		case WT_ROUTE_METRICS:
		case WT_ROUTE_READ:
		case WT_ROUTE_CHANGE:
			break;
		case WT_ROUTE_FILE:
			return wt_answer_file(r, match.file);
		case WT_ROUTE_HEALTH:
			return wt_answer_health(listener, r, verdict.may_read);
		case WT_ROUTE_OPTIONS:
			return wt_answer_options(r, match.allow);
		case WT_ROUTE_PROBE:
		case WT_ROUTE_CHECK:
			if (!wt_head_has_body(public))
				return wt_answer_probe(listener, r);
			break;
		case WT_ROUTE_NOT_FOUND:
			return wt_refuse(r, MHD_HTTP_NOT_FOUND, WT_REASON_NOT_FOUND, match.sentence,
							 false);
		case WT_ROUTE_BAD_METHOD:
			return wt_refuse_method(r, match.allow);
	}
	public->route = match.route;

	length = find_header(public, "Content-Length");
	if (!wt_streaming_begin(r) && length &&
		strtoull(length, NULL, 10) > listener->settings.max_body_size)
	{
		char sentence[128];

		snprintf(sentence, sizeof(sentence),
				 "the body is larger than windtrap.max_body_size, %zu bytes",
				 listener->settings.max_body_size);
		return wt_refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, WT_REASON_BODY_TOO_LARGE,
						 sentence, true);
	}
	r->announced = length ? (size_t) strtoull(length, NULL, 10) : 0;
	if (!wt_holding_has_room(listener, r))
		return wt_holding_hold(r, 0);
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
				 "%s is larger than windtrap.max_body_size, %zu bytes",
				 r->streams ? "an event" : "the body", listener->settings.max_body_size);
		wt_refuse_in_body(r, 413, "Content Too Large", WT_REASON_BODY_TOO_LARGE,
						  sentence);
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
			wt_refuse_in_body(r, 503, "Service Unavailable", WT_REASON_MEMORY,
							  "out of memory, try again");
			return MHD_NO;
		}
		r->body = body;
		r->body_size = size;
	}
	memcpy(r->body + public->body_length, piece, length);
	listener->counters->bytes_received += length;
	public->body_length = needed;
	wt_holding_count(r, length);
	return MHD_YES;
}

/* The request, or a piece of it, is complete: it waits, suspended, for the worker. */
static enum MHD_Result
on_complete(WtListener *listener, Request *r, bool more)
{
	wt_holding_complete(listener, r);
	if (listener->closing)
	{
		if (!more)
			return wt_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_UNAVAILABLE,
							 wt_stopping, true);
		wt_refuse_in_body(r, 503, "Service Unavailable", WT_REASON_UNAVAILABLE,
						  wt_stopping);
		return MHD_NO;
	}
	r->public.more = more;
	r->public.body = r->body ? r->body : "";
	r->public.received_us = wall_clock_us();
	r->public.waits_since = wt_waiting_since(r);
	wt_connection_set_phase(r->connection, PHASE_NONE);
	if (listener->queue_last)
		listener->queue_last->next = r;
	else
		listener->queue_first = r;
	listener->queue_last = r;
	MHD_suspend_connection(r->connection->mhd);
	return MHD_YES;
}

/*
 * The request whose head MHD refuses at this moment; NULL: it is something else that it
 * refuses.  Between a head's last line and wt_on_request nothing else happens, so that a head
 * which is complete, of which we have not been told, and which has no answer yet is the one.
 */
static Request *
refused_by_mhd(const WtListener *listener)
{
	for (const Connection *c = listener->phases[PHASE_RECEIVING].first; c; c = c->next)
		if (!c->request->head_seen &&
			!MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_HTTP_STATUS) &&
			MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE))
			return c->request;
	return NULL;
}

/*
 * MHD says in its log, before it does so, that it answers by itself: in HTML without a type.
 * Where it is known to whom, that is done here instead; MHD finds that it can write no more,
 * and closes the connection.
 */
void
wt_on_complaint(void *cls, const char *format, va_list values)
{
	WtListener *listener = cls;
	const char *first = strchr(format, '%');
	Request *r;
	unsigned int status;

	if (wt_is_silent_refusal(format))
		listener->n_silent++;
	/* Of all that it says only this begins with a number, the code; it may be translated. */
	if (!first || first[1] != 'u')
		return;
	status = va_arg(values, unsigned int);
	if (status < 400 || status > 599)
		return;
	r = refused_by_mhd(listener);
	if (!r)
	{
		/* Before the target has come there is no request to be counted when it is over. */
		if (WT_MHD_REFUSES_TARGET(status))
			wt_count_request(listener->counters, (int) status,
							 status == MHD_HTTP_URI_TOO_LONG ? WT_REASON_HEAD_TOO_LARGE
															 : WT_REASON_MALFORMED);
		return;
	}
	if (status == MHD_HTTP_CONTENT_TOO_LARGE)
		wt_refuse_in_body(r, 413, "Content Too Large", WT_REASON_BODY_TOO_LARGE,
						  "Content-Length is larger than any body may be");
	else if (status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
		wt_refuse_in_body(r, 431, "Request Header Fields Too Large",
						  WT_REASON_HEAD_TOO_LARGE, head_too_large);
	else if (status != MHD_HTTP_BAD_REQUEST && status != MHD_HTTP_NOT_IMPLEMENTED)
		return; /* its own failure, not the sender's */
	else if (!MHD_lookup_connection_value(r->connection->mhd, MHD_HEADER_KIND, "Host"))
		wt_refuse_in_body(r, 400, "Bad Request", WT_REASON_MALFORMED,
						  "there is no Host, which HTTP/1.1 asks for");
	else
		wt_refuse_in_body(
			r, 400, "Bad Request", WT_REASON_MALFORMED,
			"Content-Length or Transfer-Encoding is not one that says where "
			"the body ends");
	shutdown(r->connection->fd, SHUT_WR);
}

static enum MHD_Result
send_answer(Request *r)
{
	if (!r->response) /* there was no memory for it */
		return MHD_NO;
	return MHD_queue_response(r->connection->mhd, (unsigned int) r->status, r->response);
}

enum MHD_Result
wt_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
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
		if (r->held_too_long && !wt_streaming_may_wait(r))
			return wt_holding_refuse(r, length);
		if (length == 0) /* the body is still to come */
			return MHD_YES;
	}
	if (length > 0)
	{
		if (r->answered) /* a stream, in its middle: see wt_answer_in_body */
			return MHD_NO;
		if (r->streams && wt_streaming_is_due(r, length))
			return on_complete(listener, r, true);
		if (!wt_holding_has_room(listener, r))
			/* What the worker can use makes room. */
			return r->streams && wt_streaming_has_grown(r)
					   ? on_complete(listener, r, true)
					   : wt_holding_hold(r, length);
		if (r->streams)
			length = wt_streaming_take(r, length);
		*upload_data_size -= length;
		if (on_body(listener, r, upload_data, length) == MHD_NO)
			return MHD_NO;
		/* MHD calls again for what is left of it after it has been suspended only. */
		return *upload_data_size > 0 ? on_complete(listener, r, true) : MHD_YES;
	}
	if (r->answered)
		return send_answer(r);
	return on_complete(listener, r, false);
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
						 .reason = r->reason,
						 .line = r->line,
						 .column = r->column};

	if (!refusal.ip && r->connection->has_peer)
	{
		wt_address_format(&r->connection->peer, r->ip, sizeof(r->ip));
		refusal.ip = r->ip;
	}
	if (!r->public.path)
	{
		WtMatch match;

		(void) wt_head_split_target(r);
		if (!r->public.method)
			r->public.method = "POST";
		wt_router_find(&r->public, &match);
		wt_head_hide_secret(&match);
		r->public.method = refusal.method;
	}
	refusal.path = r->public.path;
	refusal.user_agent = wt_header_find(r->headers, r->public.n_headers, "User-Agent");
	if (refusal.user_agent)
		refusal.user_agent_length = strlen(refusal.user_agent);
	wt_refused_add(listener->refused, &refusal);
}

/*
 * A request that ended without an answer of ours may have had one of MHD's own.  What MHD
 * answers before it has read the request line is counted by wt_on_complaint, if at all.
 */
static void
count_request(WtListener *listener, Request *r, struct MHD_Connection *mhd)
{
	if (r->status == 0 && !r->answered)
	{
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);

		if (!info || info->http_status == 0)
			return;
		r->connection->linger = true; /* it does not read on for the answer to be seen */
		r->status = (int) info->http_status;
		r->reason = r->status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE ||
							r->status == MHD_HTTP_URI_TOO_LONG
						? WT_REASON_HEAD_TOO_LARGE
					: r->status == MHD_HTTP_CONTENT_TOO_LARGE ? WT_REASON_BODY_TOO_LARGE
															  : WT_REASON_MALFORMED;
	}
	wt_holding_note(listener, r);
	wt_count_request(listener->counters, r->status, r->reason);
	if (!r->stream) /* which may take as long as it likes */
		wt_histogram_add(&listener->counters->request_us, wt_time_bounds,
						 (uint64_t) (wt_monotonic_us() - r->begun_us));
	/* Who mistypes a search is answered 400 for no reason that is one of a refusal. */
	if (listener->refused && r->status >= 400 && r->status < 500 &&
		r->reason != WT_REASON_NONE)
		remember_refused(listener, r);
}

void
wt_on_request_over(void *cls, struct MHD_Connection *mhd, void **context,
				   enum MHD_RequestTerminationCode code)
{
	WtListener *listener = cls;
	Request *r = *context;

	if (!r)
		return;
	*context = NULL;
	wt_end_of_unanswered(r, mhd, code);
	count_request(listener, r, mhd);
	wt_holding_leave(listener, r);
	r->connection->request = NULL;
	listener->n_unanswered--;
	if (!r->connection->doomed)
		wt_connection_set_phase(r->connection, PHASE_IDLE);
	if (r->stream && wt_answer_stream_leave(r->stream))
		return;
	wt_request_recycle(listener, r);
}
