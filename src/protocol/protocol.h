/*
 * protocol.h
 *		Other senders' formats: each a file with the same verbs.
 *
 * Plain C: bad input is a value, never an ERROR; the decoders are fuzzed outside the server.
 * To add one: a file with its WtProtocol, which is declared in protocols.h and listed in protocols.c.
 *
 * What is promised of all of them: a success says that all events are committed; one that
 * cannot be stored as it is, is in quarantine, and is no error to its sender, who would lose
 * it, or send it again and again; a refusal is in the protocol's own words.
 */
#ifndef WT_PROTOCOL_H
#define WT_PROTOCOL_H

#include "event/decoder.h"
#include "event/inflate.h"
#include "http/endpoint.h"

/* What was wrong with one of a request's events. */
typedef struct WtEventError
{
	int64_t index; /* from 0 */
	const char *message;
} WtEventError;

/* What has become of a request's events. */
typedef struct WtOutcome
{
	const WtRequest *request;
	const WtDecoder *decoder; /* its body, and what it was at the end */
	int64_t n_events;
	int64_t n_stored;	   /* as they are */
	int64_t n_quarantined; /* as their stand-ins */
	int64_t n_duplicates; /* of n_stored and n_quarantined: they had been there already */
	int64_t n_refused;	  /* by the table, and are nowhere */
	const char *first_error;	/* of those that are not stored as they are; NULL: none */
	const WtEventError *errors; /* the first few of them */
	int n_errors;
} WtOutcome;

typedef struct WtProtocol
{
	WtEndpoint endpoint; /* must be first: requests point to it */

	/*
	 * Why a request is not taken at all, whatever its body holds, and the answer's status; NULL:
	 * it is.  Asked before anything is done with the body; NULL where nothing is to be asked.
	 */
	const char *(*objection)(const WtRequest *request, int *status);

	/* Each of its events has a key, and none is taken where keys are not looked at. */
	bool needs_keys;

	/*
	 * Undoes what compression the protocol has of its own, after what Content-Encoding said has
	 * been undone; as wt_inflate.  A body that says nothing of a coding, and only seemed to have
	 * one, comes as it was sent.  NULL: none.
	 */
	WtInflateResult (*unpack)(const WtRequest *request, const char *body, size_t length,
							  size_t limit, WtInflated *out);

	/* Decodes one event at a time, see decoder.h. */
	WtDecodeNext next;

	/* The answer to a request whose events have been stored; words->status is 200. */
	void (*answer)(const WtOutcome *outcome, WtWords *words);
} WtProtocol;

/* All of them, for wt_router_use. */
extern const WtEndpoint *const wt_protocols[];
extern const int wt_n_protocols;

/* The protocol that a request's endpoint is. */
static inline const WtProtocol *
wt_protocol_of(const WtRequest *request)
{
	return (const WtProtocol *) request->endpoint;
}

/* An error as WindTrap itself has it: {"error":"…"}. */
extern void wt_words_error(WtWords *words, const char *sentence);

/* An answer as WindTrap itself has it: {"accepted":N}, with what was not stored as it is. */
extern void wt_words_accepted(const WtOutcome *outcome, WtWords *words);

/* What some senders print as it is: the sentence as text. */
extern void wt_words_text(WtWords *words, const char *sentence);

/* For refuse: the sentence in either of these. */
extern void wt_refuse_as_json(const WtRequest *request, WtReason reason,
							  const char *sentence, WtWords *words);
extern void wt_refuse_as_text(const WtRequest *request, WtReason reason,
							  const char *sentence, WtWords *words);

/* For probe: nothing but the status. */
extern void wt_probe_silently(const WtRequest *request, const char *trouble,
							  WtWords *words);

/* For find: the path takes events by POST, and HEAD asks whether it would. */
extern void wt_match_events(const WtRequest *request, WtMatch *match);

/* For find: the path is only read, by GET and HEAD, on this route. */
extern void wt_match_read(const WtRequest *request, WtMatch *match, WtRoute route);

/* Decodes the next event of a body of JSON, whose member `timestamp` is its own time. */
extern WtDecodeResult wt_next_json_with_timestamp(WtDecoder *decoder, WtJson *json);

/* Whether a path is exactly this, but for a slash at its end. */
extern bool wt_path_is(const char *path, const char *exact);

/* Whether a path ends with this, which begins with a slash. */
extern bool wt_path_ends(const char *path, const char *end);

/*
 * The value of a parameter of a request's query string, unescaped into value of so many bytes,
 * with a NUL; false: there is none, or it does not fit.
 */
extern bool wt_query_value(const WtRequest *request, const char *name, char *value,
						   size_t size);

#endif
