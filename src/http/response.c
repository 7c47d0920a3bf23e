/*
 * response.c
 *		Answers, as MHD or the socket is given them: see response.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/accept_encoding.h"
#include "http/connection.h"
#include "http/endpoint.h"
#include "http/head.h"
#include "http/response.h"

/* What MHD asks for at a time of an answer that is not chunked, bytes. */
#define STREAM_BLOCK (16 * 1024)

/*
 * The page runs nothing but its own files, and is shown in no other page.  What it links to
 * does not learn its address, which has the query in it.
 */
static const WtHeader page_headers[] = {
	{.name = "Content-Security-Policy",
	 .value = "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
			  "form-action 'none'; frame-ancestors 'none'; object-src 'none'"},
	{.name = "X-Content-Type-Options", .value = "nosniff"},
	{.name = "Referrer-Policy", .value = "no-referrer"},
	{.name = "Cross-Origin-Opener-Policy", .value = "same-origin"},
	{.name = "Cross-Origin-Resource-Policy", .value = "same-origin"},
	{.name = "Cache-Control", .value = "no-cache"},
	{.name = "Vary", .value = "Accept-Encoding"},
};

/* What is stored is kept by no cache, and is no part of another page. */
static const WtHeader data_headers[] = {
	{.name = "Cache-Control", .value = "no-store"},
	{.name = "X-Content-Type-Options", .value = "nosniff"},
	{.name = "Cross-Origin-Resource-Policy", .value = "same-origin"},
};

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

static void
add_headers(struct MHD_Response *response, const WtHeader *headers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		MHD_add_response_header(response, headers[i].name, headers[i].value);
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

/* After so long, s, it is worth to be tried again; 0: that is not known. */
static int
default_retry_after(int status)
{
	return status == MHD_HTTP_SERVICE_UNAVAILABLE ? 1 : 0;
}

/* Whether no request may follow it on its connection. */
static bool
is_last(const Request *r)
{
	return r->last || r->connection->listener->leaving;
}

/* The headers that hang on the request. */
static void
add_request_headers(struct MHD_Response *response, const Request *r)
{
	const WtEndpoint *endpoint = r->public.endpoint;

	if (is_last(r))
		MHD_add_response_header(response, "Connection", "close");
	if (endpoint)
		add_headers(response, endpoint->headers, (size_t) endpoint->n_headers);
	if (r->public.route == WT_ROUTE_READ || r->public.route == WT_ROUTE_CHANGE)
		add_headers(response, data_headers,
					sizeof(data_headers) / sizeof(data_headers[0]));
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
	r->response = is_last(r) ? close : keep;
	r->standing = true;
}

/* All headers of an answer but its type. */
static void
add_answer_headers(struct MHD_Response *response, const WtAnswer *answer,
				   const Request *r)
{
	int retry_after =
		answer->retry_after ? answer->retry_after : default_retry_after(answer->status);

	add_request_headers(response, r);
	if (retry_after > 0)
	{
		char seconds[16];

		snprintf(seconds, sizeof(seconds), "%d", retry_after);
		MHD_add_response_header(response, "Retry-After", seconds);
	}
	add_headers(response, answer->headers, (size_t) answer->n_headers);
}

struct MHD_Response *
wt_make_answer(const WtAnswer *answer, const Request *r)
{
	struct MHD_Response *response =
		make_response(answer->type, answer->body, answer->length);

	if (response)
		add_answer_headers(response, answer, r);
	return response;
}

struct MHD_Response *
wt_make_streamed_answer(const WtAnswer *answer, const Request *r,
						MHD_ContentReaderCallback reader, void *cls, bool gzip)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, STREAM_BLOCK, reader, cls, NULL);

	if (!response)
		return NULL;
	MHD_add_response_header(response, "Content-Type",
							answer->type ? answer->type : "application/json");
	if (gzip)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	MHD_add_response_header(response, "Vary", "Accept-Encoding");
	add_answer_headers(response, answer, r);
	return response;
}

void
wt_send_response(Request *r, int status)
{
	r->status = status;
	r->answered = true;
	/* What it is the answer to may have taken a while since the last run. */
	wt_connection_set_phase_since(r->connection, PHASE_ANSWERING, wt_monotonic_ms());
	MHD_resume_connection(r->connection->mhd);
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
	if (!close && !wt_head_has_body(&r->public))
		return MHD_YES;
	r->connection->linger = true;
	return MHD_queue_response(r->connection->mhd, (unsigned int) status, r->response);
}

/*
 * Fills in an error's body, and what else its protocol says of it.  words holds it, and is to
 * be freed.  False: out of memory.
 */
static bool
put_into_words(const Request *r, WtAnswer *answer, const char *sentence, WtWords *words)
{
	const WtEndpoint *endpoint = r->public.endpoint;
	char body[WT_ANSWER_SIZE];

	*words = (WtWords){.status = answer->status};
	if (endpoint)
		endpoint->refuse(&r->public, answer->reason, sentence, words);
	else
		wt_buffer_add(&words->body, body, wt_answer_error(body, sentence));
	wt_words_to_answer(words, answer);
	return !words->body.failed;
}

/* Answers with an error from the callback for the head; *answer says all but the body. */
static enum MHD_Result
refuse(Request *r, WtAnswer *answer, const char *sentence, bool close)
{
	WtWords words;

	r->reason = answer->reason;
	if (put_into_words(r, answer, sentence, &words) && answer->status != 0)
		r->response = wt_make_answer(answer, r);
	wt_buffer_free(&words.body);
	r->answered = answer->status == 0;
	if (!r->response)
		return MHD_NO;
	if (close && !is_last(r))
		MHD_add_response_header(r->response, "Connection", "close");
	return answer_head(r, answer->status, close);
}

enum MHD_Result
wt_refuse(Request *r, int status, WtReason reason, const char *sentence, bool close)
{
	WtAnswer answer = {.status = status, .reason = reason};

	return refuse(r, &answer, sentence, close);
}

enum MHD_Result
wt_refuse_method(Request *r, const char *allow)
{
	const WtHeader header = {.name = "Allow", .value = allow};
	WtAnswer answer = {.status = MHD_HTTP_METHOD_NOT_ALLOWED,
					   .reason = WT_REASON_METHOD,
					   .headers = &header,
					   .n_headers = 1};
	char sentence[64];

	snprintf(sentence, sizeof(sentence), "this path takes %s", allow);
	return refuse(r, &answer, sentence, false);
}

enum MHD_Result
wt_refuse_by(Request *r, const WtVerdict *verdict)
{
	static const WtHeader header = {.name = "WWW-Authenticate",
									.value = "Bearer realm=\"windtrap\""};
	WtAnswer answer = {.status = verdict->status,
					   .reason = verdict->reason,
					   .retry_after = verdict->retry_after,
					   .headers = &header,
					   .n_headers = verdict->authenticate ? 1 : 0};

	return refuse(r, &answer, verdict->sentence, false);
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

/* Its bytes outlive the answer; NULL: out of memory. */
static struct MHD_Response *
make_file_response(const Request *r, const WtPageFile *file)
{
	bool gzip = wt_accepts_gzip(&r->public);
	const char *plain = gzip ? NULL : wt_page_file_plain(file);
	struct MHD_Response *response;

	if (!gzip && !plain)
		return NULL;
	response = MHD_create_response_from_buffer(
		gzip ? file->gzip_size : file->size,
		(void *) (uintptr_t) (gzip ? (const char *) file->gzip : plain),
		MHD_RESPMEM_PERSISTENT);
	if (!response)
		return NULL;
	MHD_add_response_header(response, "Content-Type", wt_page_file_type(file));
	if (gzip)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	return response;
}

enum MHD_Result
wt_answer_file(Request *r, const WtPageFile *file)
{
	const char *known = find_header(&r->public, "If-None-Match");
	bool unchanged = known && wt_page_file_is_known(file, known);

	/* MHD sends the head alone with 304. */
	r->response = make_file_response(r, file);
	if (!r->response)
		return MHD_NO;
	add_headers(r->response, page_headers,
				sizeof(page_headers) / sizeof(page_headers[0]));
	MHD_add_response_header(r->response, "ETag", file->etag);
	add_request_headers(r->response, r);
	return answer_head(r, unchanged ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, false);
}

enum MHD_Result
wt_answer_probe(WtListener *listener, Request *r)
{
	wt_make_probe(listener, r);
	if (!r->response)
		return MHD_NO;
	return answer_head(r, r->status, false);
}

void
wt_make_probe(const WtListener *listener, Request *r)
{
	WtWords words = {.status = MHD_HTTP_OK};
	WtAnswer answer = {0};

	r->public.endpoint->probe(&r->public, listener->health[0] ? listener->health : NULL,
							  &words);
	wt_words_to_answer(&words, &answer);
	if (!words.body.failed)
		r->response = wt_make_answer(&answer, r);
	wt_buffer_free(&words.body);
	r->status = words.status;
	if (words.status >= 400)
		r->reason = WT_REASON_UNAVAILABLE;
}

/* A whole answer as it is sent, for where MHD takes no response; gives its length. */
size_t
wt_compose_answer(char message[DIRECT_ANSWER_SIZE], int status, const char *phrase,
				  const char *sentence)
{
	char body[WT_ANSWER_SIZE];
	size_t length = wt_answer_error(body, sentence);
	int retry_after = default_retry_after(status);
	char retry[32] = "";
	int n;

	if (retry_after > 0)
		snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", retry_after);
	n = snprintf(
		message, DIRECT_ANSWER_SIZE - sizeof(body),
		"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"%sContent-Length: %zu\r\n\r\n",
		status, phrase, retry, length);
	memcpy(message + n, body, length);
	return (size_t) n + length;
}

/* It fits into an empty send buffer; where it does not, the sender is gone. */
static void
send_directly(Connection *c, const char *message, size_t length)
{
	if (c->greeted)
		wt_tls_send_last(c->session, message, length);
	else
		(void) !send(c->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->linger = true;
}

void
wt_answer_directly(Connection *c, int status, const char *phrase, const char *sentence)
{
	char message[DIRECT_ANSWER_SIZE];

	send_directly(c, message, wt_compose_answer(message, status, phrase, sentence));
}

/* A whole answer with what hangs on its request, behind MHD's back. */
static void
send_whole(Request *r, const WtAnswer *answer, const char *phrase)
{
	const WtEndpoint *endpoint = r->public.endpoint;
	WtBuffer message = {0};
	int retry_after =
		answer->retry_after ? answer->retry_after : default_retry_after(answer->status);

	wt_buffer_print(&message, "HTTP/1.1 %d %s\r\nConnection: close\r\n", answer->status,
					phrase);
	for (int i = 0; endpoint && i < endpoint->n_headers; i++)
		wt_buffer_print(&message, "%s: %s\r\n", endpoint->headers[i].name,
						endpoint->headers[i].value);
	if (retry_after > 0)
		wt_buffer_print(&message, "Retry-After: %d\r\n", retry_after);
	wt_buffer_print(&message, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
					answer->type ? answer->type : "application/json", answer->length);
	wt_buffer_add(&message, answer->body, answer->length);
	if (!message.failed)
		send_directly(r->connection, message.data, message.length);
	wt_buffer_free(&message);
}

void
wt_answer_in_body(Request *r, const WtAnswer *answer)
{
	if (answer->status != 0)
		send_whole(r, answer, MHD_get_reason_phrase_for((unsigned int) answer->status));
}

/* As wt_answer_directly, in the words of the request's protocol. */
static void
answer_in_words(Request *r, int status, const char *phrase, WtReason reason,
				const char *sentence)
{
	WtAnswer answer = {.status = status, .reason = reason};
	WtWords words;

	if (put_into_words(r, &answer, sentence, &words) && answer.status != 0)
		send_whole(r, &answer, answer.status == status ? phrase : "");
	wt_buffer_free(&words.body);
}

void
wt_refuse_in_body(Request *r, int status, const char *phrase, WtReason reason,
				  const char *sentence)
{
	if (r->public.endpoint)
		answer_in_words(r, status, phrase, reason, sentence);
	else
		wt_answer_directly(r->connection, status, phrase, sentence);
	r->status = status;
	r->reason = reason;
}
