/*
 * gelf.c
 *		GELF over HTTP, Graylog's format: POST /gelf, one JSON object.
 *
 * The object is the event; its `timestamp`, seconds since 1970 with a fraction, is when it
 * happened.  A body may hold several objects one after the other, or an array of them, as
 * some senders have it.
 */
#include <string.h>

#include "event/own_time.h"
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

/* The next message of several. */
static WtDecodeResult
next_message(WtDecoder *decoder, WtJson *json)
{
	WtDecodeResult result;
	WtMessage message;
	WtJsonError error;
	uint32_t time;

	decoder->is_json = true;
	result = wt_decode_next_message(decoder, &message);
	if (result != WT_DECODE_EVENT)
		return result;
	switch (wt_json_parse(json, message.text, message.length, &error))
	{
		case WT_JSON_OK:
			break;
		case WT_JSON_OUT_OF_MEMORY:
			return WT_DECODE_OUT_OF_MEMORY;
		case WT_JSON_UNFIT:
			return wt_decode_bad(decoder, message.text, message.length, WT_REASON_UNFIT,
								 "the message cannot be stored: %s", error.reason);
		case WT_JSON_BAD:
		case WT_JSON_TOO_LARGE:
			return wt_decode_bad(decoder, message.text, message.length,
								 WT_REASON_BAD_JSON, "the message is not JSON: %s",
								 error.reason);
	}
	if (wt_json_find(json, 0, "timestamp", &time))
		wt_decode_time(decoder, &json->tokens[time]);
	return wt_decode_good(decoder, json, message.text, message.length);
}

const WtProtocol wt_gelf_messages = {
	.endpoint = {.name = "gelf"},
	.next = next_message,
};

const WtProtocol wt_gelf = {
	.endpoint = {.name = "gelf",
				 .find = find,
				 .refuse = wt_refuse_as_json,
				 .probe = wt_probe_silently},
	.next = wt_next_json_with_timestamp,
	.answer = answer,
};
