/*
 * loki.c
 *		Loki's pushes: POST /loki/api/v1/push, in JSON or in protobuf compressed by snappy.
 *
 * `data->'json'` is the line, as JSON where it is an object; labels, metadata and the tenant
 * (X-Scope-OrgID) surround it.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "event/own_time.h"
#include "event/snappy.h"
#include "protocol/loki.h"
#include "protocol/protocols.h"

_Static_assert(sizeof(WtLokiState) <= sizeof(((WtDecoder *) 0)->state),
			   "there is no room for the state of a decoder");

static bool
find(const WtRequest *request, WtMatch *match)
{
	if (wt_path_is(request->path, "/ready") || wt_path_is(request->path, "/loki/ready"))
	{
		wt_match_read(request, match, WT_ROUTE_PROBE);
		return true;
	}
	if (!wt_path_is(request->path, "/loki/api/v1/push") &&
		!wt_path_is(request->path, "/api/prom/push"))
		return false;
	wt_match_events(request, match);
	return true;
}

static void
probe(const WtRequest *request, const char *trouble, WtWords *words)
{
	(void) request;
	words->type = "text/plain; charset=utf-8";
	if (trouble)
		words->status = 503;
	wt_buffer_text(&words->body, trouble ? "not ready\n" : "ready\n");
}

/* What is not said to be JSON is protobuf. */
static bool
is_json(const WtRequest *request)
{
	const char *type = request->content_type;

	return type && (strncasecmp(type, "application/json", 16) == 0 ||
					strncasecmp(type, "text/", 5) == 0);
}

/* Protobuf is a block of snappy's, whether that is said, and so undone, or not. */
static WtInflateResult
unpack(const WtRequest *request, const char *body, size_t length, size_t limit,
	   WtInflated *out)
{
	const char *coding = request->content_encoding;

	if (is_json(request) ||
		(coding && strcasecmp(coding, "snappy") == 0 && body != request->body))
		return WT_INFLATE_PLAIN;
	return wt_snappy_block(body, length, limit, out);
}

/*
 * Adds the line; what is an object as text becomes that, its token then being the event's.
 * The text may lie in the tokens' own memory, and must not move while it is being read: each
 * byte of it may have become three, by repair, and is to be read twice.
 */
static bool
add_line(WtBuild *build, const WtLokiFormat *format, const WtLokiEntry *entry,
		 WtDecoded *decoded)
{
	const WtJsonToken *t;
	uint32_t object;

	if (!wt_json_reserve(build->json, 6 * entry->line.length))
	{
		build->out_of_memory = true;
		return true;
	}
	if (!format->add_line(build, entry))
		return false;
	t = &build->json->tokens[0];
	if (build->out_of_memory || t->type != WT_JSON_STRING || t->length == 0 ||
		t->u.text[0] != '{')
		return true;
	object = wt_build_next(build);
	if (wt_build_parse(build, t->u.text, t->length))
	{
		decoded->event = object;
		wt_build_checked(build); /* the line as text is not stored */
	}
	return true;
}

/* Adds what surrounds the line; false: labels or metadata are none, and stay text. */
static bool
add_context(WtBuild *build, const WtLokiFormat *format, const WtDecoder *decoder,
			const WtLokiState *state, const WtLokiEntry *entry)
{
	const WtRequest *request = decoder->request;
	const char *tenant =
		wt_header_find(request->headers, request->n_headers, "X-Scope-OrgID");
	bool ok = true;

	wt_build_open(build, WT_JSON_OBJECT);
	if (tenant)
	{
		wt_build_key(build, "tenant");
		wt_build_string(build, tenant, strlen(tenant));
	}
	wt_build_key(build, "labels");
	if (!format->add_labels(build, state))
	{
		wt_build_string(build, state->labels.text, state->labels.length);
		ok = false;
	}
	if (entry->metadata.text)
	{
		wt_build_key(build, "metadata");
		if (!format->add_metadata(build, entry))
		{
			wt_build_string(build, entry->metadata.text, entry->metadata.length);
			ok = false;
		}
	}
	wt_build_close(build);
	return ok;
}

static void
take_time(WtDecoder *decoder, const WtLokiEntry *entry)
{
	WtDecoded *decoded = &decoder->decoded;
	WtJsonToken t = {.type = WT_JSON_STRING};

	if (entry->time.text)
	{
		bool quoted = entry->time.length >= 2 && entry->time.text[0] == '"';

		t.u.text = entry->time.text + quoted;
		t.length = (uint32_t) (entry->time.length - 2 * (size_t) quoted);
		wt_decode_time(decoder, &t);
		return;
	}
	decoded->has_time = entry->has_time;
	decoded->time_us = entry->time_us;
}

static WtDecodeResult
decode_entry(WtDecoder *decoder, WtLokiState *state, const WtLokiFormat *format,
			 const WtLokiEntry *entry, WtJson *json)
{
	WtDecoded *decoded = &decoder->decoded;
	const char *raw = entry->raw.text;
	size_t length = entry->raw.length;
	WtBuild build;

	if (length > decoder->max_event_size)
		return wt_decode_good(decoder, json, raw, length); /* which says so */
	wt_build_begin(&build, json, true);
	if (!add_line(&build, format, entry, decoded))
		return wt_decode_bad(decoder, raw, length, WT_REASON_BAD_JSON,
							 "an entry is a time and a line, which is text");
	if (state->same_context && !entry->metadata.text)
		decoded->same_context = true;
	else
	{
		decoded->context = wt_build_next(&build);
		decoded->has_context = true;
		if (!add_context(&build, format, decoder, state, entry))
			snprintf(decoded->note, sizeof(decoded->note),
					 "the labels or the metadata of the line cannot be read");
		state->same_context = !entry->metadata.text && decoded->note[0] == '\0';
	}
	if (!wt_build_is_good(&build))
		return WT_DECODE_OUT_OF_MEMORY;
	take_time(decoder, entry);
	return wt_decode_good(decoder, json, raw, length);
}

static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	WtLokiState *state = (void *) &decoder->state;
	const WtLokiFormat *format =
		is_json(decoder->request) ? &wt_loki_json : &wt_loki_protobuf;
	WtLokiEntry entry;

	if (!state->begun && !format->begin(state, decoder->body, decoder->length))
		return wt_decode_refuse(decoder, 400, WT_REASON_BAD_JSON,
								"the body is no JSON object with streams");
	state->begun = true;
	decoder->is_json = false;
	switch (format->next(state, &entry))
	{
		case WT_LOKI_ENTRY:
			return decode_entry(decoder, state, format, &entry, json);
		case WT_LOKI_BAD_ENTRY:
			return wt_decode_bad(decoder, entry.raw.text, entry.raw.length,
								 WT_REASON_MALFORMED, "this is no entry");
		case WT_LOKI_END:
			return WT_DECODE_END;
		case WT_LOKI_BROKEN:
			break;
	}
	if (!decoder->raw)
		return wt_decode_refuse(decoder, 400, WT_REASON_MALFORMED,
								"the body is broken: it ends within a stream, or what is "
								"in it is none");
	decoder->done = true;
	return wt_decode_bad(decoder, state->streams.text, state->streams.length,
						 WT_REASON_MALFORMED,
						 "the rest of the body is broken: it ends within a stream, or "
						 "what is in it is none");
}

static void
answer(const WtOutcome *outcome, WtWords *words)
{
	if (outcome->n_refused > 0)
	{
		words->status = 400;
		wt_words_text(words, outcome->first_error);
		return;
	}
	words->status = 204;
}

const WtProtocol wt_loki = {
	.endpoint = {.name = "loki",
				 .find = find,
				 .refuse = wt_refuse_as_text,
				 .probe = probe},
	.unpack = unpack,
	.next = next,
	.answer = answer,
};
