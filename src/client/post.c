/*
 * post.c
 *		A client that sends bodies to servers by POST: see post.h.
 *
 * libcurl may resolve names in threads of its own.  A signal that one of them took would not
 * interrupt the process's waits, and PostgreSQL's handlers are not made for threads, so they
 * are begun with all signals blocked, which they inherit.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/post.h"

#ifdef POSTGRES_H
#error "what runs beneath libcurl's callbacks must not be able to raise"
#endif

/* An answer has a sentence for each event of a load, at most. */
#define MAX_ANSWER (4 * 1024 * 1024)

/* ms; and what a slow line takes to carry a body, bytes/ms, which it is given beside its timeout:
 * else the one event that cannot be halved would never get through. */
#define CONNECT_TIMEOUT 5000
#define SLOW_LINE 16

/* s without a byte in either direction, likewise: what the kernel has taken is on its way for long. */
#define STALL_TIMEOUT 20

/* s that are taken for what a server asks for. */
#define MAX_RETRY_AFTER 1000000

/* Bytes that are handed to the network at once. */
#define UPLOAD_BUFFER (256 * 1024)

struct WtPoster
{
	CURLM *multi;
	int n_running;
};

struct WtPost
{
	WtPoster *poster;
	CURL *easy;
	struct curl_slist *headers;
	bool runs;
	size_t body_length;
	char *answer_body;
	size_t answer_length;
	size_t answer_size;
	bool too_long;
	char detail[CURL_ERROR_SIZE];
	WtPostAnswer answer;
};

/* libcurl's callback. */
static size_t
take_answer(char *bytes, size_t one, size_t length, void *arg)
{
	WtPost *post = arg;

	if (length > MAX_ANSWER - post->answer_length)
	{
		post->too_long = true;
		return 0;
	}
	if (length > post->answer_size - post->answer_length)
	{
		size_t size = (post->answer_length + length) * 2;
		char *grown = realloc(post->answer_body, size);

		if (!grown)
			return 0;
		post->answer_body = grown;
		post->answer_size = size;
	}
	memcpy(post->answer_body + post->answer_length, bytes, length);
	post->answer_length += length;
	return length;
}

WtPoster *
wt_poster_new(int connections)
{
	WtPoster *poster = calloc(1, sizeof(WtPoster));

	if (!poster)
		return NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		!(poster->multi = curl_multi_init()))
	{
		free(poster);
		return NULL;
	}
	curl_multi_setopt(poster->multi, CURLMOPT_MAXCONNECTS, (long) connections);
	return poster;
}

WtPost *
wt_post_new(WtPoster *poster)
{
	WtPost *post = calloc(1, sizeof(WtPost));

	if (!post)
		return NULL;
	post->poster = poster;
	post->easy = curl_easy_init();
	if (!post->easy)
	{
		free(post);
		return NULL;
	}
	return post;
}

static bool
add_header(WtPost *post, const char *header)
{
	struct curl_slist *longer = curl_slist_append(post->headers, header);

	if (longer)
		post->headers = longer;
	return longer != NULL;
}

static bool
set_headers(WtPost *post, const char *const *headers)
{
	curl_slist_free_all(post->headers);
	post->headers = NULL;
	for (int i = 0; headers[i]; i++)
		if (!add_header(post, headers[i]))
			return false;
	/* No round trip before each body. */
	return add_header(post, "Expect:");
}

/* What the environment says of proxies, and where an answer redirects to, is not followed. */
static bool
set_options(WtPost *post, const WtPostRequest *request)
{
	CURL *easy = post->easy;
	bool ok = true;

	curl_easy_reset(easy);
#define SET(option, value) (ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK)
	SET(CURLOPT_URL, request->url);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Giving up does not wait for a thread that resolves a name. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_USERAGENT, "windtrap");
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) CONNECT_TIMEOUT);
	SET(CURLOPT_TIMEOUT_MS,
		(long) ((size_t) request->timeout + request->length / SLOW_LINE));
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME,
		(long) (STALL_TIMEOUT + request->length / SLOW_LINE / 1000));
	SET(CURLOPT_UPLOAD_BUFFERSIZE, (long) UPLOAD_BUFFER);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (request->ca_file[0] != '\0')
	{
		SET(CURLOPT_CAINFO, request->ca_file);
		/* Not those of the system's directory as well. */
		SET(CURLOPT_CAPATH, NULL);
	}
	SET(CURLOPT_HTTPHEADER, post->headers);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, request->body);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->length);
	SET(CURLOPT_ERRORBUFFER, post->detail);
	SET(CURLOPT_WRITEFUNCTION, take_answer);
	SET(CURLOPT_WRITEDATA, post);
	SET(CURLOPT_PRIVATE, post);
#undef SET
	return ok;
}

bool
wt_post_begin(WtPost *post, const WtPostRequest *request)
{
	wt_post_abort(post);
	post->detail[0] = '\0';
	post->answer_length = 0;
	post->too_long = false;
	post->body_length = request->length;
	memset(&post->answer, 0, sizeof(post->answer));
	if (!set_headers(post, request->headers) || !set_options(post, request) ||
		curl_multi_add_handle(post->poster->multi, post->easy) != CURLM_OK)
		return false;
	post->runs = true;
	post->poster->n_running++;
	return true;
}

static WtPostEnd
end_of(const WtPost *post, CURLcode code)
{
	switch (code)
	{
		case CURLE_OK:
			return WT_POST_ANSWERED;
		case CURLE_COULDNT_RESOLVE_HOST:
			return WT_POST_NO_HOST;
		case CURLE_COULDNT_CONNECT:
			return WT_POST_NO_CONNECTION;
		case CURLE_SSL_CACERT_BADFILE:
			return WT_POST_BAD_CA_FILE;
		case CURLE_PEER_FAILED_VERIFICATION:
			return WT_POST_NOT_TRUSTED;
		case CURLE_SSL_CONNECT_ERROR:
			return WT_POST_NO_TLS;
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_WEIRD_SERVER_REPLY:
			return WT_POST_NO_HTTP;
		case CURLE_WRITE_ERROR:
			return post->too_long ? WT_POST_NO_HTTP : WT_POST_FAILED;
		case CURLE_GOT_NOTHING:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_PARTIAL_FILE:
			return WT_POST_CLOSED;
		case CURLE_OPERATION_TIMEDOUT:
			return WT_POST_TIMEOUT;
		default:
			return WT_POST_FAILED;
	}
}

static void
note_answer(WtPost *post, CURLcode code)
{
	WtPostAnswer *answer = &post->answer;
	long status = 0;
	curl_off_t retry_after = 0;

	(void) curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
	(void) curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &retry_after);
	answer->end = end_of(post, code);
	answer->status = (int) status;
	answer->retry_after = retry_after <= 0				  ? 0
						  : retry_after > MAX_RETRY_AFTER ? MAX_RETRY_AFTER
														  : (int) retry_after;
	answer->body = post->answer_body;
	answer->length = post->answer_length;
	answer->detail = post->detail;
	if (post->detail[0] == '\0' && code != CURLE_OK)
		answer->detail = curl_easy_strerror(code);
}

static void
perform(WtPoster *poster)
{
	sigset_t all;
	sigset_t before;
	int n;
	CURLMsg *message;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	(void) curl_multi_perform(poster->multi, &n);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	while ((message = curl_multi_info_read(poster->multi, &n)) != NULL)
	{
		char *post = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE ||
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &post) != CURLE_OK)
			continue;
		note_answer((WtPost *) (void *) post, code);
		wt_post_abort((WtPost *) (void *) post);
	}
}

void
wt_poster_run(WtPoster *poster, int ms)
{
	if (poster->n_running == 0)
		return;
	/* A signal ends it early. */
	if (ms > 0)
		(void) curl_multi_poll(poster->multi, NULL, 0, ms, NULL);
	perform(poster);
}

bool
wt_post_run(WtPost *post, int ms)
{
	if (post->runs)
		wt_poster_run(post->poster, ms);
	return !post->runs;
}

bool
wt_post_is_sent(const WtPost *post)
{
	curl_off_t sent = 0;

	return !post->runs ||
		   (curl_easy_getinfo(post->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
			(size_t) sent >= post->body_length);
}

const WtPostAnswer *
wt_post_answer(const WtPost *post)
{
	return &post->answer;
}

void
wt_post_abort(WtPost *post)
{
	if (!post->runs)
		return;
	post->runs = false;
	post->poster->n_running--;
	(void) curl_multi_remove_handle(post->poster->multi, post->easy);
}
