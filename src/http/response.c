/*
 * response.c
 *		Answers, as MHD or the socket is given them: see listener_private.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/listener_private.h"

/* For so long a browser need not ask again whether a page may send, s. */
#define PREFLIGHT_MAX_AGE "600"

const char wt_accepted[] = "{\"accepted\":1}\n";
const char wt_stopping[] = "the collector is stopping, try again";

static const char healthy[] = "{\"status\":\"ok\"}\n";

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

static struct MHD_Response *
make_standing_response(const char *body, bool close)
{
	struct MHD_Response *response = make_response(NULL, body, strlen(body));

	if (response && close)
		MHD_add_response_header(response, "Connection", "close");
	return response;
}

bool
wt_make_standing_responses(WtListener *listener)
{
	listener->accepted = make_standing_response(wt_accepted, false);
	listener->accepted_and_close = make_standing_response(wt_accepted, true);
	listener->healthy = make_standing_response(healthy, false);
	listener->healthy_and_close = make_standing_response(healthy, true);
	return listener->accepted && listener->accepted_and_close && listener->healthy &&
		   listener->healthy_and_close;
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

/* Gives a request one of the listener's responses, or, where it has headers of its own,
 * one like it. */
void
wt_set_standing_response(Request *r, struct MHD_Response *keep,
						 struct MHD_Response *close, const char *body)
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

struct MHD_Response *
wt_make_answer(const WtAnswer *answer, const Request *r)
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
	return wt_make_answer(&answer, r);
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
	wt_connection_set_phase(r->connection, PHASE_ANSWERING);
	r->status = status;
	r->answered = true;
	if (!close && !expects_body(&r->public))
		return MHD_YES;
	r->connection->linger = true;
	return MHD_queue_response(r->connection->mhd, (unsigned int) status, r->response);
}

/* Answers with an error from the callback for the head. */
enum MHD_Result
wt_refuse(Request *r, int status, WtReason reason, const char *sentence, bool close)
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
enum MHD_Result
wt_refuse_method(Request *r, const char *allow)
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
enum MHD_Result
wt_refuse_by(Request *r, const WtVerdict *verdict)
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
enum MHD_Result
wt_answer_options(Request *r, const char *allow)
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

/* The reason for not being well can quote an error of the database: not for everybody. */
enum MHD_Result
wt_answer_health(WtListener *listener, Request *r, bool may_read)
{
	if (listener->health[0] != '\0')
		return wt_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WT_REASON_UNAVAILABLE,
						 may_read ? listener->health : "events cannot be stored now",
						 false);
	wt_set_standing_response(r, listener->healthy, listener->healthy_and_close, healthy);
	if (!r->response)
		return MHD_NO;
	return answer_head(r, MHD_HTTP_OK, false);
}

/* A whole answer as it is sent, for where MHD takes no response; gives its length. */
size_t
wt_compose_answer(char message[DIRECT_ANSWER_SIZE], int status, const char *phrase,
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
void
wt_answer_directly(Connection *c, int status, const char *phrase, const char *sentence)
{
	char message[DIRECT_ANSWER_SIZE];
	size_t length = wt_compose_answer(message, status, phrase, sentence);

	/* It fits into an empty send buffer; where it does not, the sender is gone. */
	if (c->greeted)
		wt_tls_send_last(c->session, message, length);
	else
		(void) !send(c->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->linger = true;
}

/* Answers in the middle of a body, where MHD takes no response; as answer_directly. */
void
wt_refuse_in_body(Request *r, int status, const char *phrase, WtReason reason,
				  const char *sentence)
{
	wt_answer_directly(r->connection, status, phrase, sentence);
	r->status = status;
	r->reason = reason;
}
