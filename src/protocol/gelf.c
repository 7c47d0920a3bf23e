/*
 * gelf.c
 *		GELF over HTTP, Graylog's format: POST /gelf, one JSON object.
 *
 * The object is the event; its `timestamp`, seconds since 1970 with a fraction, is when it
 * happened.  A body may hold several objects one after the other, or an array of them, as
 * some senders have it.
 */
#include <string.h>

#include "protocol/protocols.h"

static bool
find(const WtRequest *request, WtMatch *match)
{
	if (!wt_path_is(request->path, "/gelf"))
		return false;
	wt_match_events(request, match);
	return true;
}

/* Nobody reads it; 202 is what Graylog says. */
static void
answer(const WtOutcome *outcome, WtWords *words)
{
	words->status = outcome->n_refused > 0 ? 400 : 202;
	if (outcome->n_refused > 0)
		wt_words_error(words, outcome->first_error);
}

const WtProtocol wt_gelf = {
	.endpoint = {.name = "gelf",
				 .find = find,
				 .refuse = wt_refuse_as_json,
				 .probe = wt_probe_silently},
	.next = wt_next_json_with_timestamp,
	.answer = answer,
};
