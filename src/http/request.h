/*
 * request.h
 *		One HTTP request, as the listener hands it over.
 *
 * Plain C, and little more than data: the listener fills it, the stages after it read it.
 * Everything in it belongs to the listener and holds until the request is answered, or, where
 * its body is a piece, goes on.
 */
#ifndef WT_REQUEST_H
#define WT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "http/route.h"

typedef struct WtHeader
{
	const char *name; /* as it was sent */
	const char *value;
	uint32_t name_length; /* bytes */
	uint32_t value_length;
} WtHeader;

/* Whether a header has this name, in whatever case. */
static inline bool
wt_header_is(const WtHeader *header, const char *name)
{
	return header->name_length == strlen(name) &&
		   strncasecmp(header->name, name, header->name_length) == 0;
}

/* The value of the first of some headers with this name; NULL: there is none. */
static inline const char *
wt_header_find(const WtHeader *headers, int n_headers, const char *name)
{
	for (int i = 0; i < n_headers; i++)
		if (wt_header_is(&headers[i], name))
			return headers[i].value;
	return NULL;
}

/* A protocol other than WindTrap's own, see endpoint.h. */
typedef struct WtEndpoint WtEndpoint;

/* What has become of the events of the pieces before, where a body comes in pieces. */
typedef struct WtProgress
{
	int64_t n_pieces;
	int64_t n_events;
	int64_t n_accepted;
	int64_t n_rejected;	  /* not stored as they are */
	int64_t n_refused;	  /* of these: they are nowhere */
	int64_t n_duplicates; /* of the accepted and the rejected */
	char first_error[128];
} WtProgress;

typedef struct WtRequest
{
	WtRoute route;				/* what handles it */
	const WtEndpoint *endpoint; /* whose it is; NULL: WindTrap's own */
	int verb; /* which of its protocol's, or its process's, requests it is */
	const char *method;
	const char *path;	/* as it was sent, without the query string */
	const char *query;	/* as it was sent, without the question mark; NULL: none */
	const char *ip;		/* the client's address; NULL on a Unix-domain socket */
	const char *source; /* whose token it came with; NULL: it says nothing of that */
	bool may_change;	/* of what is read: who sends this may also change it */
	const WtHeader *headers;
	int n_headers;

	/* Headers that stages ask for; NULL where they were not sent. */
	const char *host;
	const char *content_type;
	const char *content_encoding;

	const char *body;
	size_t body_length;
	int64_t received_us; /* when the last byte came, µs since 1970-01-01 UTC */
	bool more;			 /* the body is a piece, and not the last one */
	WtProgress progress; /* the stages' own */

	/*
	 * It came by no HTTP: the body is messages as in base/messages.h, and it is not answered, but
	 * what has become of it is told to daemons/daemons.h.  refused: a place for each of them, of
	 * which those are set that the table refuses; NULL: nobody asks.
	 */
	bool is_messages;
	unsigned char *refused;
	/* For its answer, ms of the monotonic clock: since the last byte came, or, where it was held
	 * before that for want of memory, as much earlier. */
	int64_t waits_since;
} WtRequest;

#endif
