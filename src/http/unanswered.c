/*
 * unanswered.c
 *		What MHD 1.0 refuses without a word: see unanswered.h.
 *
 * MHD closes a connection without an answer where a request line does not look like one of
 * HTTP, and the sender cannot tell that from a collector that has gone.  It says so in its
 * log, though not of which connection, before it does it.  Where a request has begun, MHD
 * tells of its end next, with the socket still open.  Where none has, there is only the end
 * of the connection, later in the same run.  The socket is still open then too, and can be
 * written to (WT_MHD_LEAVES_CLOSING); what TLS needs is gone by then.
 *
 * So of several connections without a request that end in one run, one of which has been
 * refused, it is not known which one that is.  All are answered, but those that cannot be it:
 * those that we end, those whose request was answered in this run, and those whose clients
 * hang up after an answer.
 */
#include <string.h>
#include <sys/socket.h>

#include "http/response.h"
#include "http/unanswered.h"

static const char not_http[] = "what was sent is no request of HTTP/1.1";

static bool
has_hung_up(const Connection *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool
wt_is_silent_refusal(const char *format)
{
	/* MHD has one place where it logs why it closes a connection. */
	return strcmp(format, "%s\n") == 0;
}

void
wt_end_of_unanswered(Request *r, struct MHD_Connection *mhd,
					 enum MHD_RequestTerminationCode code)
{
	WtListener *listener = r->connection->listener;
	const union MHD_ConnectionInfo *info;

	r->connection->last_request = listener->n_runs;
	if (code != MHD_REQUEST_TERMINATED_WITH_ERROR)
		return;
	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
	if (info && info->http_status != 0)
		return;
	/* It is the one that the log has just been about. */
	if (listener->n_silent > 0)
		listener->n_silent--;
	if (r->status == 0 && r->reason == WT_REASON_NONE)
		wt_refuse_in_body(r, 400, "Bad Request", WT_REASON_MALFORMED,
						  "the request is malformed");
}

void
wt_end_without_request(Connection *c)
{
	WtListener *listener = c->listener;
	char ip[INET6_ADDRSTRLEN];
	WtRefusal refusal = {
		.time_us = wall_clock_us(), .status = 400, .reason = WT_REASON_MALFORMED};

	if (listener->n_silent == 0 || c->tls || c->doomed ||
		c->last_request == listener->n_runs || (c->phase == PHASE_IDLE && has_hung_up(c)))
		return;
	wt_answer_directly(c, 400, "Bad Request", not_http);
	if (c->has_peer)
	{
		wt_address_format(&c->peer, ip, sizeof(ip));
		refusal.ip = ip;
	}
	wt_count_request(listener->counters, refusal.status, refusal.reason);
	if (listener->refused)
		wt_refused_add(listener->refused, &refusal);
}
