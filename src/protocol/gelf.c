/*
 * gelf.c
 *		GELF over HTTP, Graylog's format: POST /gelf, one JSON object.
 *
 * The object is the event; its `timestamp`, seconds since 1970 with a fraction, is when it
 * happened.  A body may hold several objects one after the other, or an array of them, as
 * some senders have it.
 */
#include <string.h>

#include "event/decode.h"
#include "event/own_time.h"
#include "protocol/protocol.h"

#define METHODS "POST, HEAD, OPTIONS"

static bool
find(const WtRequest *request, WtMatch *match)
{
	if (!wt_path_is(request->path, "/gelf"))
		return false;
	match->allow = METHODS;
	match->route = strcmp(request->method, "POST") == 0		 ? WT_ROUTE_EVENTS
				   : strcmp(request->method, "HEAD") == 0	 ? WT_ROUTE_PROBE
				   : strcmp(request->method, "OPTIONS") == 0 ? WT_ROUTE_OPTIONS
															 : WT_ROUTE_BAD_METHOD;
	return true;
}

static void
refuse(const WtRequest *request, WtReason reason, const char *sentence, WtWords *words)
{
	(void) request;
	(void) reason;
	wt_words_error(words, sentence);
}

static void
probe(const WtRequest *request, const char *trouble, WtWords *words)
{
	(void) request;
	if (trouble)
		words->status = 503;
}

/* The body is JSON, whatever its type says, and read as the native endpoint does it. */
static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	WtDecodeResult result = wt_decode_json(decoder, json);
	uint32_t time;

	if (result == WT_DECODE_EVENT && wt_json_find(json, 0, "timestamp", &time))
		wt_decode_time(decoder, &json->tokens[time]);
	return result;
}

/* Nobody reads it; 202 is what Graylog says. */
static void
answer(const WtOutcome *outcome, WtWords *words)
{
	words->status = outcome->n_refused > 0 ? 400 : 202;
	if (outcome->n_refused > 0)
		refuse(outcome->request, WT_REASON_TABLE, outcome->first_error, words);
}

const WtProtocol wt_gelf = {
	.endpoint = {.name = "gelf", .find = find, .refuse = refuse, .probe = probe},
	.next = next,
	.answer = answer,
};
