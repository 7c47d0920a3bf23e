/*
 * hec.c
 *		Splunk's HTTP Event Collector: POST /services/collector[/event|/raw][/1.0].
 *
 * Words:
 *	event endpoint	objects one after the other, each with its `event` and what surrounds it
 *	raw endpoint	text, an event a line; a line that begins with a blank belongs to the one
 *					before, as those of a stack trace do
 *	channel			what a sender may name to be told an `ackId`, of which it asks later whether
 *					it is stored.  An answer comes after the commit here, so that it always is
 *
 * `data->'json'` is the value of `event`, or the line, as JSON where it is an object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "event/decode.h"
#include "event/json_build.h"
#include "event/own_time.h"
#include "protocol/protocols.h"

#define METHODS "POST, HEAD, OPTIONS"

enum
{
	VERB_EVENT,
	VERB_RAW,
	VERB_ACK,
	VERB_HEALTH,
	VERB_OPTIONS
};

/* Codes of the protocol. */
#define CODE_DISABLED 1
#define CODE_NO_TOKEN 2
#define CODE_BAD_TOKEN 4
#define CODE_NO_DATA 5
#define CODE_BAD_DATA 6
#define CODE_BUSY 9
#define CODE_HEALTHY 17
#define CODE_UNHEALTHY 18
#define CODE_TOO_LARGE 27

/* What may stand in the query string instead of the object. */
static const char *const surroundings[] = {"host", "source", "sourcetype", "index"};

#define MAX_PARAMETER 256

static bool
find(const WtRequest *request, WtMatch *match)
{
	static const char root[] = "/services/collector";
	const char *rest = request->path;
	const char *method = request->method;

	if (strncmp(rest, root, sizeof(root) - 1) != 0)
		return false;
	rest += sizeof(root) - 1;
	match->allow = METHODS;
	if (wt_path_is(rest, "") || wt_path_is(rest, "/event") ||
		wt_path_is(rest, "/event/1.0"))
		match->verb = VERB_EVENT;
	else if (wt_path_is(rest, "/raw") || wt_path_is(rest, "/raw/1.0"))
		match->verb = VERB_RAW;
	else if (wt_path_is(rest, "/ack") || wt_path_is(rest, "/ack/1.0"))
		match->verb = VERB_ACK;
	else if (wt_path_is(rest, "/health") || wt_path_is(rest, "/health/1.0"))
	{
		match->verb = VERB_HEALTH;
		match->allow = "GET, HEAD, OPTIONS";
	}
	else
		return false;

	if (strcmp(method, "OPTIONS") == 0)
	{
		/* Docker's driver starts only if this is answered 200, and brings no token. */
		match->route = wt_header_find(request->headers, request->n_headers, "Origin")
						   ? WT_ROUTE_OPTIONS
						   : WT_ROUTE_PROBE;
		match->verb = VERB_OPTIONS;
	}
	else if (strcmp(method, "HEAD") == 0 ||
			 (match->verb == VERB_HEALTH && strcmp(method, "GET") == 0))
		match->route = WT_ROUTE_PROBE;
	else if (match->verb != VERB_HEALTH && strcmp(method, "POST") == 0)
		match->route = WT_ROUTE_EVENTS;
	else
		match->route = WT_ROUTE_BAD_METHOD;
	return true;
}

/* {"text":"<text>: <sentence>","code":<code>} */
static void
say(WtWords *words, int status, int code, const char *text, const char *sentence)
{
	char all[600];

	snprintf(all, sizeof(all), sentence ? "%s: %s" : "%s", text, sentence);
	words->status = status;
	wt_buffer_text(&words->body, "{\"text\":");
	wt_buffer_json(&words->body, all, strlen(all));
	wt_buffer_print(&words->body, ",\"code\":%d}", code);
}

static bool
brings_token(const WtRequest *request)
{
	return wt_header_find(request->headers, request->n_headers, "Authorization") != NULL;
}

static void
refuse(const WtRequest *request, WtReason reason, const char *sentence, WtWords *words)
{
	switch (words->status)
	{
		case 401:
			if (brings_token(request))
				say(words, 403, CODE_BAD_TOKEN, "Invalid token", sentence);
			else
				say(words, 401, CODE_NO_TOKEN, "Token is required", sentence);
			return;
		case 403:
			say(words, 403, CODE_DISABLED, "Token disabled", sentence);
			return;
		case 413:
			say(words, 413, CODE_TOO_LARGE, "Request entity too large", sentence);
			return;
		case 503:
			say(words, 503, CODE_BUSY, "Server is busy", sentence);
			return;
		case 400:
		case 415:
		case 422:
			if (reason == WT_REASON_EMPTY)
				say(words, 400, CODE_NO_DATA, "No data", NULL);
			else
				say(words, 400, CODE_BAD_DATA, "Invalid data format", sentence);
			return;
		default:
			say(words, words->status, words->status, sentence, NULL);
	}
}

static void
probe(const WtRequest *request, const char *trouble, WtWords *words)
{
	if (request->verb != VERB_HEALTH)
	{
		if (trouble && request->verb != VERB_OPTIONS)
			words->status = 503;
	}
	else if (trouble)
		say(words, 503, CODE_UNHEALTHY, "HEC is unhealthy", NULL);
	else
		say(words, 200, CODE_HEALTHY, "HEC is healthy", NULL);
}

/* What channel a request names; false: none. */
static bool
has_channel(const WtRequest *request)
{
	char channel[MAX_PARAMETER];

	return wt_header_find(request->headers, request->n_headers,
						  "X-Splunk-Request-Channel") ||
		   wt_query_value(request, "channel", channel, sizeof(channel));
}

/*
 * What surrounds an event, as an object: the members of object (the token of one; 0: there is
 * none) other than the event, and what of the same is in the query string and not there.
 */
static bool
add_context(WtDecoder *decoder, WtJson *json, bool has_object)
{
	WtDecoded *decoded = &decoder->decoded;
	WtBuild build;
	uint32_t next = 1;
	uint32_t n = has_object ? json->tokens[0].length : 0;

	wt_build_begin(&build, json, false);
	decoded->context = wt_build_next(&build);
	wt_build_open(&build, WT_JSON_OBJECT);
	for (uint32_t i = 0; i < n; i++)
	{
		const WtJsonToken name = json->tokens[next];
		uint32_t after = wt_json_after(json, next + 1);

		if (name.length != 5 || memcmp(name.u.text, "event", 5) != 0)
		{
			wt_build_name(&build, name.u.text, name.length);
			wt_build_token(&build, next + 1);
		}
		next = after;
	}
	for (size_t i = 0; i < sizeof(surroundings) / sizeof(surroundings[0]); i++)
	{
		char value[MAX_PARAMETER];
		uint32_t there;

		if ((has_object && wt_json_find(json, 0, surroundings[i], &there)) ||
			!wt_query_value(decoder->request, surroundings[i], value, sizeof(value)))
			continue;
		wt_build_key(&build, surroundings[i]);
		wt_build_copy(&build, value, strlen(value));
	}
	wt_build_close(&build);
	decoded->has_context = json->tokens[decoded->context].length > 0;
	return wt_build_is_good(&build);
}

static WtDecodeResult
next_event(WtDecoder *decoder, WtJson *json)
{
	WtDecodeResult result = wt_decode_json(decoder, json);
	uint32_t value;

	if (result != WT_DECODE_EVENT)
		return result;
	if (json->tokens[0].type != WT_JSON_OBJECT)
	{
		if (decoder->form == WT_FORM_SINGLE && !decoder->is_json)
			return wt_decode_refuse(decoder, 400, WT_REASON_BAD_JSON,
									"the body is no JSON");
		return wt_decode_bad(decoder, decoder->raw, decoder->raw_length,
							 WT_REASON_MALFORMED,
							 "an object with a member `event` is expected");
	}
	if (!wt_json_find(json, 0, "event", &value))
		return wt_decode_bad(decoder, decoder->raw, decoder->raw_length,
							 WT_REASON_MALFORMED, "there is no member `event`");
	decoder->decoded.event = value;
	decoder->is_json = false; /* what is quarantined for the table's sake is the event */
	if (wt_json_find(json, 0, "time", &value))
		wt_decode_time(decoder, &json->tokens[value]);
	if (!add_context(decoder, json, true))
		return WT_DECODE_OUT_OF_MEMORY;
	return wt_decode_good(decoder, json, decoder->raw, decoder->raw_length);
}

/* Where the event that begins at p ends: with its line, and those that belong to it. */
static const char *
end_of_event(const char *p, const char *end)
{
	for (;;)
	{
		p = memchr(p, '\n', (size_t) (end - p));
		if (!p)
			return end;
		if (p + 1 == end || (p[1] != ' ' && p[1] != '\t'))
			return p;
		p++;
	}
}

static WtDecodeResult
next_line(WtDecoder *decoder, WtJson *json)
{
	const char *end = decoder->body + decoder->length;
	const char *from = decoder->next ? decoder->next : decoder->body;
	const char *to;
	WtBuild build;

	if (decoder->length == 0)
		return wt_decode_refuse(decoder, 400, WT_REASON_EMPTY,
								"the body is empty: send an event");
	while (from < end && (*from == '\n' || *from == '\r'))
		from++;
	if (from == end)
		return WT_DECODE_END;
	to = end_of_event(from, end);
	decoder->next = to;
	while (to > from && to[-1] == '\r')
		to--;

	wt_build_begin(&build, json, true);
	if (*from != '{' || (size_t) (to - from) > decoder->max_event_size ||
		!wt_build_parse(&build, from, (size_t) (to - from)))
		wt_build_string(&build, from, (size_t) (to - from));
	if (!wt_build_is_good(&build) || !add_context(decoder, json, false))
		return WT_DECODE_OUT_OF_MEMORY;
	return wt_decode_good(decoder, json, from, (size_t) (to - from));
}

static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	switch (decoder->request->verb)
	{
		case VERB_RAW:
			return next_line(decoder, json);
		case VERB_ACK:
			return WT_DECODE_END;
		default:
			return next_event(decoder, json);
	}
}

/* What is asked of has been answered, and so is stored. */
static void
answer_ack(const WtDecoder *decoder, WtWords *words)
{
	WtJson json = {0};
	WtJsonError error;
	uint32_t list;
	bool first = true;

	if (wt_json_parse(&json, decoder->body, decoder->length, &error) != WT_JSON_OK ||
		!wt_json_find(&json, 0, "acks", &list) || json.tokens[list].type != WT_JSON_ARRAY)
	{
		say(words, 400, CODE_BAD_DATA, "Invalid data format", NULL);
		wt_json_shrink(&json, 0);
		return;
	}
	wt_buffer_text(&words->body, "{\"acks\":{");
	for (uint32_t i = list + 1; i < json.tokens[list].u.end; i = wt_json_after(&json, i))
	{
		const WtJsonToken *t = &json.tokens[i];

		if (t->type != WT_JSON_NUMBER)
			continue;
		wt_buffer_text(&words->body, first ? "\"" : ",\"");
		wt_buffer_add(&words->body, t->u.text, t->length);
		wt_buffer_text(&words->body, "\":true");
		first = false;
	}
	wt_buffer_text(&words->body, "}}");
	wt_json_shrink(&json, 0);
}

static void
answer(const WtOutcome *outcome, WtWords *words)
{
	const WtRequest *request = outcome->request;

	if (request->verb == VERB_ACK)
		answer_ack(outcome->decoder, words);
	else if (outcome->n_refused > 0)
		say(words, 400, CODE_BAD_DATA, "Invalid data format", outcome->first_error);
	else
	{
		wt_buffer_text(&words->body, "{\"text\":\"Success\",\"code\":0");
		if (has_channel(request))
			wt_buffer_print(&words->body, ",\"ackId\":%" PRId64, request->received_us);
		wt_buffer_text(&words->body, "}");
	}
}

const WtProtocol wt_hec = {
	.endpoint = {.name = "hec",
				 .find = find,
				 .refuse = refuse,
				 .probe = probe,
				 .token_scheme = "Splunk"},
	.next = next,
	.answer = answer,
};
