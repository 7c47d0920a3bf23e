/*
 * cloudevents.c
 *		CloudEvents over HTTP, at WindTrap's own paths, in the three modes of their binding.
 *
 * Words:
 *	structured	the body is the event, with `data` as one of its members
 *	batched		the body is an array of such
 *	binary		the body is the data, and the attributes are headers, as ce-id
 *	attributes	all but the data: id, source, type, time and what else is there
 *
 * `data->'json'` is the data; the attributes surround it.  Who sends an event again sends the
 * same source and id.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "event/decode.h"
#include "event/json_build.h"
#include "event/own_time.h"
#include "protocol/protocols.h"

enum
{
	VERB_STRUCTURED,
	VERB_BINARY
};

/* One of data_base64, which is bytes that are no text. */
static const char data_base64[] = "data_base64";

static bool
is_our_path(const char *path)
{
	return wt_path_is(path, "/log") || strcmp(path, "/") == 0;
}

static bool
find(const WtRequest *request, WtMatch *match)
{
	static const char type[] = "application/cloudevents";
	const char *declared;

	if (strcmp(request->method, "POST") != 0 || !is_our_path(request->path))
		return false;
	declared = request->content_type;
	if (declared && strncasecmp(declared, type, sizeof(type) - 1) == 0)
		match->verb = VERB_STRUCTURED;
	else if (wt_header_find(request->headers, request->n_headers, "ce-specversion"))
		match->verb = VERB_BINARY;
	else
		return false;
	match->route = WT_ROUTE_EVENTS;
	match->allow = "POST, HEAD, OPTIONS";
	return true;
}

/* Notes what the sender would send again: the attributes are the object at token i. */
static bool
take_key(WtDecoded *decoded, WtJson *json, uint32_t i)
{
	uint32_t source;
	uint32_t id;
	WtJsonToken s;
	WtJsonToken t;
	char *key;

	/* Two ids that are no text may be the same once they are repaired: not the same event. */
	if (json->repaired || !wt_json_find(json, i, "source", &source) ||
		!wt_json_find(json, i, "id", &id) ||
		json->tokens[source].type != WT_JSON_STRING ||
		json->tokens[id].type != WT_JSON_STRING)
		return true;
	decoded->key_length =
		(size_t) json->tokens[source].length + 1 + json->tokens[id].length;
	key = wt_json_room(json, decoded->key_length);
	if (!key)
		return false;
	s = json->tokens[source];
	t = json->tokens[id];
	memcpy(key, s.u.text, s.length);
	key[s.length] = '\0';
	memcpy(key + s.length + 1, t.u.text, t.length);
	decoded->key = key;
	return true;
}

/* What the attributes at token i say of the event. */
static bool
take_attributes(WtDecoder *decoder, WtJson *json, uint32_t i)
{
	uint32_t time;

	decoder->decoded.context = i;
	decoder->decoded.has_context = json->tokens[i].length > 0;
	if (wt_json_find(json, i, "time", &time))
		wt_decode_time(decoder, &json->tokens[time]);
	return take_key(&decoder->decoded, json, i);
}

/*
 * The data of the event that token 0 is: its `data`; or, of bytes, an object with their base64
 * and type, as that of a file in a form; null where it has none.
 */
static void
add_data(WtBuild *build, WtJson *json)
{
	uint32_t data;
	uint32_t type;

	if (wt_json_find(json, 0, "data", &data))
		wt_build_token(build, data);
	else if (wt_json_find(json, 0, data_base64, &data))
	{
		wt_build_open(build, WT_JSON_OBJECT);
		if (wt_json_find(json, 0, "datacontenttype", &type))
		{
			wt_build_key(build, "type");
			wt_build_token(build, type);
		}
		wt_build_key(build, "base64");
		wt_build_token(build, data);
		wt_build_close(build);
	}
	else
		wt_build_null(build);
}

static WtDecodeResult
next_structured(WtDecoder *decoder, WtJson *json)
{
	WtDecoded *decoded = &decoder->decoded;
	WtDecodeResult result = wt_decode_json(decoder, json);
	WtBuild build;
	uint32_t next = 1;
	uint32_t attributes;

	if (result != WT_DECODE_EVENT)
		return result;
	if (json->tokens[0].type != WT_JSON_OBJECT)
		return wt_decode_bad(
			decoder, decoder->raw, decoder->raw_length, WT_REASON_MALFORMED,
			"a CloudEvent is an object with id, source, specversion and type");
	wt_build_begin(&build, json, false);
	decoded->event = wt_build_next(&build);
	add_data(&build, json);
	attributes = wt_build_next(&build);
	wt_build_open(&build, WT_JSON_OBJECT);
	for (uint32_t i = 0, n = json->tokens[0].length; i < n; i++)
	{
		const WtJsonToken name = json->tokens[next];
		uint32_t after = wt_json_after(json, next + 1);

		if (!(name.length == 4 && memcmp(name.u.text, "data", 4) == 0) &&
			!(name.length == sizeof(data_base64) - 1 &&
			  memcmp(name.u.text, data_base64, name.length) == 0))
		{
			wt_build_name(&build, name.u.text, name.length);
			wt_build_token(&build, next + 1);
		}
		next = after;
	}
	wt_build_close(&build);
	if (!wt_build_is_good(&build) || !take_attributes(decoder, json, attributes))
		return WT_DECODE_OUT_OF_MEMORY;
	decoder->is_json = false;
	return wt_decode_good(decoder, json, decoder->raw, decoder->raw_length);
}

/* A header's value; what is not ASCII, and quotes, come with percent signs in it. */
static void
add_header_value(WtBuild *build, const WtHeader *h)
{
	char value[1024];
	size_t n = 0;

	for (const char *p = h->value; *p != '\0' && n < sizeof(value); p++)
	{
		int byte = wt_percent_byte(p, 3);

		value[n++] = byte >= 0 ? (char) byte : *p;
		if (byte >= 0)
			p += 2;
	}
	wt_build_copy(build, value, n);
}

/* The body is the data, of whatever type; a batch of it would be one event's. */
static WtDecodeResult
next_binary(WtDecoder *decoder, WtJson *json)
{
	const WtRequest *request = decoder->request;
	WtDecodeResult result = wt_decode_body(decoder, json);
	WtBuild build;
	uint32_t attributes;

	decoder->batch = true;
	if (result != WT_DECODE_EVENT && result != WT_DECODE_BAD)
		return result;

	if (result == WT_DECODE_BAD && !wt_json_begin(json, 0))
		return WT_DECODE_OUT_OF_MEMORY;
	wt_build_begin(&build, json, false);
	attributes = wt_build_next(&build);
	wt_build_open(&build, WT_JSON_OBJECT);
	for (int i = 0; i < request->n_headers; i++)
	{
		const WtHeader *h = &request->headers[i];
		char name[64];
		uint32_t n = h->name_length;

		if (n <= 3 || n >= sizeof(name) || strncasecmp(h->name, "ce-", 3) != 0)
			continue;
		for (uint32_t k = 3; k < n; k++)
			name[k - 3] = (char) (h->name[k] >= 'A' && h->name[k] <= 'Z' ? h->name[k] + 32
																		 : h->name[k]);
		wt_build_name_copy(&build, name, n - 3);
		add_header_value(&build, h);
	}
	wt_build_close(&build);
	if (!wt_build_is_good(&build) || !take_attributes(decoder, json, attributes))
		return WT_DECODE_OUT_OF_MEMORY;
	if (result == WT_DECODE_BAD)
		return result;
	return wt_decode_good(decoder, json, decoder->raw, decoder->raw_length);
}

static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	return decoder->request->verb == VERB_BINARY ? next_binary(decoder, json)
												 : next_structured(decoder, json);
}

const WtProtocol wt_cloudevents = {
	.endpoint = {.name = "cloudevents", .find = find, .refuse = wt_refuse_as_json},
	.next = next,
	.answer = wt_words_accepted,
};
