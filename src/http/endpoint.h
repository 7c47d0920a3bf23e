/*
 * endpoint.h
 *		A protocol as the listener knows it: which requests are its own, and its words for what
 *		is answered without its body being looked at.
 *
 * Plain C.  The listener names no protocol: it is given a list of these, see wt_router_use.
 * What is called here is called beneath libmicrohttpd's callback, and must not raise.
 */
#ifndef WT_ENDPOINT_H
#define WT_ENDPOINT_H

#include "base/buffer.h"
#include "base/counters.h"
#include "http/answer.h"
#include "http/request.h"

/* An answer in a protocol's words. */
typedef struct WtWords
{
	int status;		  /* HTTP's; 0: the connection is closed without an answer */
	const char *type; /* Content-Type; NULL: JSON */
	WtBuffer body;	  /* the caller frees it */
} WtWords;

/* Puts words into an answer, which then points into them. */
static inline void
wt_words_to_answer(const WtWords *words, WtAnswer *answer)
{
	answer->status = words->status;
	answer->type = words->type;
	answer->body = words->body.data ? words->body.data : "";
	answer->length = words->body.length;
}

/* What has been found for a request. */
typedef struct WtMatch
{
	WtRoute route;
	const char *allow; /* the methods that the path takes; NULL: there is no such path */
	const WtEndpoint *endpoint;	   /* NULL: it is WindTrap's own */
	int verb;					   /* the protocol's own, for WtRequest */
	const struct WtPageFile *file; /* of WT_ROUTE_FILE */
	const char *sentence;		   /* why there is nothing here; NULL: the usual */
	const char *secret;			   /* a credential in the path; NULL: there is none */
	size_t secret_length;
} WtMatch;

struct WtEndpoint
{
	const char
		*name; /* as `protocol` in data has it, and the member with what surrounds */

	/*
	 * Whether the head of a request is of this protocol: fills *match, but for the endpoint,
	 * or leaves it alone.  It has method, path, query, headers and content_type.
	 */
	bool (*find)(const WtRequest *request, WtMatch *match);

	/* An error, where words->status is what WindTrap would say, and sentence why. */
	void (*refuse)(const WtRequest *request, WtReason reason, const char *sentence,
				   WtWords *words);

	/*
	 * WT_ROUTE_PROBE and WT_ROUTE_CHECK; words->status is 200.  trouble: why events cannot be
	 * stored now, NULL: they can.  NULL where it has no such route.
	 */
	void (*probe)(const WtRequest *request, const char *trouble, WtWords *words);

	/*
	 * Bodies come in pieces, and may be as long as they like: each event is bounded, not the
	 * body.  Its decoder begins anew with each piece, at the first event that was not complete
	 * in the one before; WT_DECODE_MORE says that.
	 */
	bool streams;

	/*
	 * Its events are whole rows of another collector's, which say themselves who sent them, when
	 * and from where: not everybody who may send may send these.
	 */
	bool takes_rows;

	const WtHeader *headers; /* of each answer */
	int n_headers;

	/*
	 * Where a token may stand beside the usual places; NULL: nowhere.  After the scheme of an
	 * Authorization header it is the token, or in base64 behind a name and a colon.
	 */
	const char *token_header;
	const char *token_scheme;
};

#endif
