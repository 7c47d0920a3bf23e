/*
 * answer_server.c
 *		A server of the listener's (src/http/) without PostgreSQL, that streams what a test
 *		tells it to.
 *
 *		answer_server PORT REQUEST_TIMEOUT [tokens] [CERTIFICATE KEY]
 *
 *	GET /api/hold			an answer without an end; ?begin=… is its first line
 *	GET /api/bytes?N		an answer of so many bytes, of which little waits at a time
 *	GET /api/query			runs without the listener until a signal handler sees that the
 *							client has left, for 10 s at most
 *	GET /api/state			{"held":…,"backlog":…,"left":…,"cancelled":…,"unanswered":…}
 *	POST /api/say			the body is appended to all answers that are held
 *	POST /api/end, abort	they end
 *	GET /health, and the viewer's page
 *
 * With `tokens` there are three of them, whose texts are their scopes: read, ingest, all.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "http/answer_stream.h"
#include "http/listener.h"
#include "http/router.h"

#define MAX_HELD 64
#define LITTLE (256 * 1024)

enum
{
	HOLD,
	BYTES,
	QUERY,
	STATE,
	SAY,
	END,
	ABORT
};

static const WtPath paths[] = {
	WT_READ_PATH("/api/hold", WT_ROUTE_READ, HOLD),
	WT_READ_PATH("/api/bytes", WT_ROUTE_READ, BYTES),
	WT_READ_PATH("/api/query", WT_ROUTE_READ, QUERY),
	WT_READ_PATH("/api/state", WT_ROUTE_READ, STATE),
	WT_CHANGE_PATH("/api/say", SAY),
	WT_CHANGE_PATH("/api/end", END),
	WT_CHANGE_PATH("/api/abort", ABORT),
	WT_READ_PATH("/health", WT_ROUTE_HEALTH, 0),
};

typedef struct Held
{
	WtRequest *request;
	bool endless;
	size_t rest; /* bytes that are to come */
} Held;

static WtListener *listener;
static Held held[MAX_HELD];
static int n_held;
static int n_left;
static int n_cancelled;
static volatile sig_atomic_t stop;

static WtRequest *volatile queried;
static volatile sig_atomic_t cancelled;

static void
on_stop(int signal_number)
{
	(void) signal_number;
	stop = 1;
}

static void
on_alarm(int signal_number)
{
	(void) signal_number;
	if (queried && wt_client_has_left(queried))
		cancelled = 1;
}

static void
on_panic(const char *reason)
{
	fprintf(stderr, "libmicrohttpd failed: %s\n", reason);
	abort();
}

static void
answer(WtRequest *request, const char *body)
{
	WtAnswer a = {.status = 200, .body = body, .length = strlen(body)};

	wt_listener_answer(listener, request, &a);
}

static void
hold(WtRequest *request, bool endless, size_t rest)
{
	static const WtHeader header = {.name = "X-Held", .value = "yes"};
	WtAnswer a = {.status = 200,
				  .type = "application/x-ndjson",
				  .body = "",
				  .headers = &header,
				  .n_headers = 1};

	if (request->query && strncmp(request->query, "begin=", 6) == 0)
	{
		a.body = request->query + 6;
		a.length = strlen(a.body);
	}
	if (n_held == MAX_HELD)
		answer(request, "{}\n");
	else if (wt_answer_stream_begin(listener, request, &a))
		held[n_held++] = (Held){request, endless, rest};
}

static void
forget(int i)
{
	held[i] = held[--n_held];
}

/* A query, in which the listener gets no turn. */
static void
run_query(WtRequest *request)
{
	struct itimerval often = {.it_interval = {.tv_usec = 10000},
							  .it_value = {.tv_usec = 10000}};
	struct itimerval never = {0};
	time_t until = time(NULL) + 10;

	cancelled = 0;
	queried = request;
	setitimer(ITIMER_REAL, &often, NULL);
	while (!cancelled && time(NULL) < until)
		poll(NULL, 0, 1000);
	setitimer(ITIMER_REAL, &never, NULL);
	queried = NULL;
	n_cancelled += cancelled;
	answer(request, "{}\n");
}

static void
report(WtRequest *request)
{
	size_t backlog = 0;
	char body[256];

	for (int i = 0; i < n_held; i++)
		backlog += wt_answer_stream_backlog(held[i].request);
	snprintf(body, sizeof(body),
			 "{\"held\":%d,\"backlog\":%zu,\"left\":%d,\"cancelled\":%d,"
			 "\"unanswered\":%d}\n",
			 n_held, backlog, n_left, n_cancelled, wt_listener_unanswered(listener));
	answer(request, body);
}

static void
handle(WtRequest *request)
{
	switch (request->verb)
	{
		case HOLD:
			hold(request, true, 0);
			return;
		case BYTES:
			hold(request, false,
				 request->query ? strtoul(request->query, NULL, 10) : 1000);
			return;
		case QUERY:
			run_query(request);
			return;
		case STATE:
			report(request);
			return;
		case SAY:
			for (int i = 0; i < n_held; i++)
				if (held[i].endless)
					(void) wt_answer_stream_append(held[i].request, request->body,
												   request->body_length);
			break;
		case END:
		case ABORT:
			for (int i = n_held - 1; i >= 0; i--)
			{
				if (!held[i].endless)
					continue;
				if (request->verb == END)
					wt_answer_stream_end(held[i].request);
				else
					wt_answer_stream_abort(held[i].request);
				forget(i);
			}
	}
	answer(request, "{}\n");
}

/* Digits, that one can tell what is missing. */
static void
add_bytes(Held *h)
{
	static char digits[10000];
	size_t n = h->rest < sizeof(digits) ? h->rest : sizeof(digits);

	if (digits[0] == '\0')
		for (size_t i = 0; i < sizeof(digits); i++)
			digits[i] = (char) ('0' + (i * i / 7) % 10);
	if (wt_answer_stream_append(h->request, digits, n))
		h->rest -= n;
	else
		h->rest = 0;
}

static void
go_on(void)
{
	for (int i = n_held - 1; i >= 0; i--)
	{
		Held *h = &held[i];

		if (wt_client_has_left(h->request))
		{
			wt_answer_stream_abort(h->request);
			n_left++;
			forget(i);
			continue;
		}
		if (h->endless)
			continue;
		while (h->rest > 0 && wt_answer_stream_backlog(h->request) < LITTLE)
			add_bytes(h);
		if (h->rest == 0)
		{
			wt_answer_stream_end(h->request);
			forget(i);
		}
	}
}

int
main(int argc, char **argv)
{
	static int64_t places[WT_RATE_PLACES];
	static WtCounters counters;
	const WtPaths own = {.paths = paths,
						 .n = sizeof(paths) / sizeof(paths[0]),
						 .files = true,
						 .nothing = "there is nothing at this path"};
	WtListenerSettings settings = {.max_connections = 100,
								   .trusted_proxies = "",
								   .max_body_size = 16 * 1024 * 1024,
								   .max_inflight = 64 * 1024 * 1024};
	WtAuthSettings auth_settings = {WT_AUTH_AUTO, "*", "", ""};
	WtAuth *auth = wt_auth_create(places);
	WtToken tokens[3] = {
		{.id = 1, .read = true, .expires_us = INT64_MAX},
		{.id = 2, .ingest = true, .expires_us = INT64_MAX},
		{.id = 3, .read = true, .ingest = true, .expires_us = INT64_MAX}};
	WtSocketsError error;
	WtFileError tls_error;
	int next = 3;
	bool with_tokens;

	if (argc < 3)
		return 2;
	settings.request_timeout = atoi(argv[2]);
	with_tokens = argc > next && strcmp(argv[next], "tokens") == 0;
	next += with_tokens;
	wt_auth_digest("read", 4, tokens[0].digest);
	wt_auth_digest("ingest", 6, tokens[1].digest);
	wt_auth_digest("all", 3, tokens[2].digest);
	wt_router_use(&own);
	listener = wt_listener_create(&settings, &counters, auth, on_panic);
	if (!listener || !wt_auth_configure(auth, &auth_settings) ||
		!wt_auth_set_tokens(auth, tokens, with_tokens ? 3 : 0, with_tokens))
		return 1;
	if (argc > next + 1)
	{
		WtTlsSettings tls = {
			.cert_file = argv[next], .key_file = argv[next + 1], .ca_file = ""};

		if (!wt_listener_use_tls(listener, &tls, &tls_error))
		{
			fprintf(stderr, "%s\n", tls_error.message);
			return 1;
		}
	}
	if (!wt_listener_open(listener, "127.0.0.1", atoi(argv[1]), 0, &error))
	{
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	signal(SIGTERM, on_stop);
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	while (!stop)
	{
		struct pollfd p = {.fd = wt_listener_descriptor(listener), .events = POLLIN};
		WtRequest *request;

		poll(&p, 1, wt_listener_timeout(listener));
		wt_listener_rested(listener);
		wt_listener_run(listener);
		while ((request = wt_listener_next(listener)) != NULL)
		{
			handle(request);
			if (!wt_listener_peek(listener))
				wt_listener_run(listener); /* for the answers to leave */
		}
		go_on();
	}
	/* With answers that are held still. */
	wt_listener_destroy(listener);
	wt_auth_destroy(auth);
	return 0;
}
