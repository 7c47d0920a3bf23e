/*
 * request_pool.c
 *		The memory of requests, which is used again: see request_pool.h.
 */
#include <stdlib.h>
#include <string.h>

#include "http/answer_stream_state.h"
#include "http/request_pool.h"

/* What is kept of requests that are over: number, and bytes of the body of each. */
#define MAX_FREE_REQUESTS 256
#define MAX_FREE_BODY (64 * 1024)

Request *
wt_request_new(WtListener *listener)
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

void
wt_request_recycle(WtListener *listener, Request *r)
{
	Request kept;

	if (r->response && !r->standing)
		MHD_destroy_response(r->response);
	if (r->stream)
		wt_answer_stream_free(r->stream);
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

void
wt_request_free_all(WtListener *listener)
{
	Request *r;

	while ((r = listener->free_requests) != NULL)
	{
		listener->free_requests = r->next;
		free_request(r);
	}
}
