/*
 * listener.c
 *		Sockets and HTTP, by libmicrohttpd ("MHD"): see listener.h, and listener_state.h
 *		for its words.
 *
 * Two daemons of MHD share the callbacks and all else: one for plain connections, one for
 * TLS.  What TLS needs is given to each session as it begins (see tls.h), so that a reload
 * changes it for the connections that come, and leaves those that are open alone.
 *
 * The sockets that listen are ours, not MHD's, and connections are handed to MHD after
 * accept: so a reload can open and close sockets while connections stay, there can be
 * several addresses and Unix-domain sockets, and a full house is ours to handle.
 */
#include <gnutls/abstract.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/admission.h"
#include "http/answer_stream_state.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/holding.h"
#include "http/listener.h"
#include "http/request_pool.h"
#include "http/response.h"
#include "http/streaming.h"
#include "http/waiting.h"

/* Runs in which MHD may do nothing but ask for the next one, and those of them that follow
 * each other at once; to the others there is a pause, ms. */
#define MAX_STALLS 50
#define MAX_FAST_STALLS 15
#define STALL_PAUSE 5

/* Who has connected, or has been answered, less than so long ago, ms, may be about to send. */
#define FRESH 250

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
			MHD_USE_ERROR_LOG | WT_MHD_ONE_THREAD |
			(which == DAEMON_TLS ? MHD_USE_TLS : WT_MHD_LEAVES_CLOSING),
		0, NULL, NULL, wt_on_request, listener, MHD_OPTION_EXTERNAL_LOGGER,
		wt_on_complaint, listener, MHD_OPTION_NOTIFY_CONNECTION, wt_on_connection,
		listener, MHD_OPTION_NOTIFY_COMPLETED, wt_on_request_over, listener,
		MHD_OPTION_URI_LOG_CALLBACK, wt_on_target, listener,
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
	listener->n_runs++;
	for (int i = 0; i < N_DAEMONS; i++)
		if (listener->daemons[i])
			MHD_run(listener->daemons[i]);
	listener->n_silent = 0;
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
	listener->now = wt_monotonic_ms();
	panic_callback = panic;
	MHD_set_panic_func(on_panic, NULL);
	listener->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener->lingering.poll_fd = listener->poll_fd;
	listener->arrivals.poll_fd = listener->poll_fd;
	if (listener->poll_fd < 0 || !start_daemon(listener, DAEMON_PLAIN) ||
		!wt_make_standing_responses(listener))
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

bool
wt_listener_open(WtListener *listener, const char *addresses, int port, int flags,
				 WtSocketsError *error)
{
	bool ok;

	wt_admission_poll(listener, false);
	ok = wt_sockets_open(&listener->sockets, addresses, port, flags, error);
	wt_admission_poll(listener, true);
	return ok;
}

bool
wt_listener_use_tls(WtListener *listener, const WtTlsSettings *settings,
					WtFileError *error)
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
		if (wt_connection_is_outdated(c))
			wt_connection_doom(c);
	}
	return true;
}

void
wt_listener_describe(const WtListener *listener, char *text, size_t size)
{
	wt_sockets_describe(&listener->sockets, text, size);
}

bool
wt_listener_is_tls(const WtListener *listener)
{
	return listener->tls != NULL;
}

WtTls *
wt_listener_tls(const WtListener *listener)
{
	return listener->tls;
}

void
wt_listener_leave(WtListener *listener, bool leaving)
{
	listener->leaving = leaving;
}

bool
wt_listener_admit_no_more(WtListener *listener)
{
	return wt_sockets_admit_no_more(&listener->sockets);
}

void
wt_listener_close_sockets(WtListener *listener)
{
	wt_admission_accept(listener);
	wt_admission_poll(listener, false);
	wt_sockets_close(&listener->sockets);
}

int
wt_listener_descriptor(const WtListener *listener)
{
	return listener->poll_fd;
}

int
wt_listener_timeout(WtListener *listener)
{
	int64_t now = wt_monotonic_ms();
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

		if (c && c->since + wt_connection_phase_limit(listener, (Phase) phase) < next)
			next = c->since + wt_connection_phase_limit(listener, (Phase) phase);
	}
	if (wt_admission_next(listener) < next)
		next = wt_admission_next(listener);
	if (wt_lingering_next(&listener->lingering) < next)
		next = wt_lingering_next(&listener->lingering);
	if (next == INT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now > 60000 ? 60000 : (int) (next - now);
}

static void
end_overdue(WtListener *listener)
{
	for (int phase = 0; phase < N_PHASES; phase++)
	{
		int64_t limit = wt_connection_phase_limit(listener, (Phase) phase);
		Connection *c;

		if (phase == PHASE_HELD) /* see wt_holding_release */
			continue;

		while ((c = listener->phases[phase].first) != NULL &&
			   c->since + limit <= listener->now)
		{
			if (phase == PHASE_RECEIVING)
				wt_refuse_in_body(c->request, 408, "Request Timeout", WT_REASON_TIMEOUT,
								  "the request was not complete within "
								  "windtrap.request_timeout");
			wt_connection_doom(c);
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
		wt_refuse_in_body(c->request, 400, "Bad Request", WT_REASON_MALFORMED,
						  "the chunked body cannot be read: a line of it is too long");
		wt_connection_doom(c);
	}
}

void
wt_listener_run(WtListener *listener)
{
	wt_waiting_run(listener);
	wt_admission_run(listener);
	wt_holding_release(listener, false);
	run_daemons(listener);
	wt_admission_settle(listener);
	end_stalled(listener);
	end_overdue(listener);
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

void
wt_listener_answer(WtListener *listener, WtRequest *request, const WtAnswer *answer)
{
	Request *r = (Request *) request;

	(void) listener;
	r->reason = answer->reason;
	r->line = answer->line;
	r->column = answer->column;
	if (request->more)
		wt_answer_in_body(r, answer);
	else if (answer->status != 0)
		r->response = wt_make_answer(answer, r);
	wt_send_response(r, answer->status);
}

void
wt_listener_continue(WtListener *listener, WtRequest *request, size_t used)
{
	Request *r = (Request *) request;

	(void) listener;
	wt_streaming_continue(r, used);
	MHD_resume_connection(r->connection->mhd);
}

void
wt_listener_accept(WtListener *listener, WtRequest *request)
{
	Request *r = (Request *) request;

	wt_set_standing_response(r, listener->accepted, listener->accepted_and_close,
							 wt_accepted);
	wt_send_response(r, MHD_HTTP_OK);
}

void
wt_listener_answer_probe(WtListener *listener, WtRequest *request)
{
	Request *r = (Request *) request;

	wt_make_probe(listener, r);
	wt_send_response(r, r->status);
}

void
wt_listener_set_health(WtListener *listener, const char *reason)
{
	snprintf(listener->health, sizeof(listener->health), "%s", reason ? reason : "");
}

const char *
wt_listener_shortage(const WtListener *listener)
{
	return wt_holding_shortage(listener);
}

int
wt_listener_unanswered(const WtListener *listener)
{
	return listener->n_unanswered;
}

/* ms for which what began then is fresh still. */
static int64_t
fresh_for(int64_t since, int64_t now)
{
	return since + FRESH > now ? since + FRESH - now : 0;
}

int
wt_listener_time_to_end(const WtListener *listener)
{
	static const Phase silent[] = {PHASE_NEW, PHASE_IDLE};
	int64_t now = wt_monotonic_ms();
	int64_t longest = 0;

	if (listener->n_unanswered > 0)
		return -1;
	/* The last one of each list is the latest. */
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
	{
		const Connection *c = listener->phases[silent[i]].last;

		if (c && fresh_for(c->since, now) > longest)
			longest = fresh_for(c->since, now);
	}
	if (listener->arrivals.last &&
		fresh_for(listener->arrivals.last->since, now) > longest)
		longest = fresh_for(listener->arrivals.last->since, now);
	return (int) longest;
}

/* Requests that were completed after the last batch had been taken. */
static void
refuse_queued(WtListener *listener)
{
	char body[WT_ANSWER_SIZE];
	WtAnswer answer = {
		.status = 503, .reason = WT_REASON_UNAVAILABLE, .type = NULL, .body = body};
	WtRequest *request;

	answer.length = wt_answer_error(body, wt_stopping);
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
	wt_holding_release(listener, true);
	for (Connection *c = listener->phases[PHASE_NEW].first; c; c = c->next)
		if (c->parked)
			wt_connection_unpark(c);
	refuse_queued(listener);
	wt_answer_streams_end(listener);
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
	wt_request_free_all(listener);
	if (listener->poll_fd >= 0)
		close(listener->poll_fd);
	free(listener);
}
