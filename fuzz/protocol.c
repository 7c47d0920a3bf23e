/*
 * protocol.c
 *		Fuzz target: bodies of other senders' protocols (src/protocol/protocol.h), by way of what
 *		all of them have in common.
 *
 * The first byte of the input picks a request by the table below, counted from 'A', the second
 * max_event_size, counted from '0'; the rest is the body.
 */
#include "fuzz.h"
#include "event/decode.h"
#include "protocol/protocol.h"

typedef struct Kind
{
	const char *path;
	const char *query;
	const char *type;
} Kind;

static const Kind kinds[] = {
	{"/services/collector/event", "index=a%20b&host=%ff", NULL},
	{"/services/collector/raw", "channel=c", "text/plain"},
	{"/services/collector/ack", NULL, "application/json"},
	{"/api/v2/logs", NULL, "application/json"},
	{"/gelf", NULL, NULL},
	{"/upload", NULL, "application/vnd.fdo.journal"},
	{"/log", NULL, "application/cloudevents+json"},
	{"/log", NULL, "application/cloudevents-batch+json"},
	{"/log", "binary", "application/json"},
	{"/loki/api/v1/push", NULL, "application/json"},
	{"/loki/api/v1/push", NULL, "application/x-protobuf"},
	{"/loki/api/v1/push", "plain", "application/x-protobuf"},
	{"/v1/logs", NULL, "application/x-protobuf"},
	{"/v1/logs", NULL, "application/json"},
	{"/a%22/_bulk", NULL, "application/x-ndjson"},
	{"/i/_create/%ff", NULL, "application/json"},
	{"/log", NULL, "application/vnd.windtrap.rows+ndjson"},
};
static const size_t sizes[] = {1024 * 1024, 1, 7, 40, 600};

static const WtHeader binary_headers[] = {
	{"ce-specversion", "1.0", 14, 3},
	{"ce-id", "%e2%82%ac", 5, 9},
	{"ce-source", "/s", 9, 2},
	{"X-Scope-OrgID", "t", 13, 1},
};

/* Tokens that hang together, whose texts can be stored; gives what follows the value. */
static uint32_t
check_tree(const WtJson *json, uint32_t i)
{
	uint32_t end = wt_json_after(json, i);
	uint32_t open[WT_JSON_MAX_DEPTH + WT_JSON_ENVELOPE_DEPTH + 1];
	uint32_t left[WT_JSON_MAX_DEPTH + WT_JSON_ENVELOPE_DEPTH + 1];
	int depth = 0;

	CHECK(i < json->n_tokens && end <= json->n_tokens, "token %u of %u", i,
		  json->n_tokens);
	for (; i < end; i++)
	{
		const WtJsonToken *t = &json->tokens[i];

		if (depth > 0)
		{
			CHECK(left[depth - 1] > 0, "more children than there should be");
			left[depth - 1]--;
		}
		if (t->type == WT_JSON_OBJECT || t->type == WT_JSON_ARRAY)
		{
			CHECK(depth <= WT_JSON_MAX_DEPTH + WT_JSON_ENVELOPE_DEPTH, "nested too deep");
			open[depth] = t->u.end;
			left[depth++] = t->length * (t->type == WT_JSON_OBJECT ? 2 : 1);
		}
		else if (t->type == WT_JSON_STRING || t->type == WT_JSON_NUMBER)
			CHECK(is_text(t->u.text, t->length), "a string that cannot be stored");
		while (depth > 0 && left[depth - 1] == 0)
		{
			CHECK(open[depth - 1] == i + 1, "a container that ends elsewhere");
			depth--;
		}
	}
	CHECK(depth == 0, "a container that does not end");
	return end;
}

/* A row is an object with an id, which is its key, and all of it as it was sent. */
static void
check_row(const WtDecoder *decoder, const WtJson *json)
{
	const WtDecoded *decoded = &decoder->decoded;
	const WtJsonToken *data = &json->tokens[decoded->event];
	uint32_t id;

	CHECK(data->type == WT_JSON_OBJECT && decoded->has_time && !decoded->has_context,
		  "a row without data or time");
	CHECK(wt_json_find(json, decoded->event, "id", &id) &&
			  json->tokens[id].type == WT_JSON_STRING &&
			  json->tokens[id].u.text == decoded->key &&
			  json->tokens[id].length == decoded->key_length && decoded->key_length > 0,
		  "a row whose id is not its key");
	CHECK(!json->repaired, "a row that is another one");
	CHECK(!memchr(decoder->raw, '\n', decoder->raw_length), "a row of two lines");
}

/* What a sender is told is JSON, or text, whatever was quoted in it, if it is not protobuf. */
static void
check_words(WtWords *words)
{
	WtJson json = {0};
	WtJsonError error;

	CHECK(words->status == 0 || (words->status >= 200 && words->status < 600),
		  "status %d", words->status);
	CHECK((words->type && strstr(words->type, "protobuf")) ||
			  is_text(words->body.data, words->body.length),
		  "an answer that is no text");
	if (!words->type && words->body.length > 0)
		CHECK(wt_json_parse(&json, words->body.data, words->body.length, &error) ==
				  WT_JSON_OK,
			  "an answer that is no JSON: %s", error.reason);
	wt_json_shrink(&json, 0);
	wt_buffer_free(&words->body);
}

/* Every answer that there may be. */
static void
check_answers(const WtProtocol *protocol, const WtDecoder *decoder, int64_t n)
{
	for (int refused = 0; refused <= (n > 0); refused++)
	{
		const WtEventError error = {n - 1, "an \"error\"\n"};
		WtOutcome outcome = {.request = decoder->request,
							 .decoder = decoder,
							 .n_events = n,
							 .n_stored = n - refused,
							 .n_refused = refused,
							 .first_error = refused ? error.message : NULL,
							 .errors = &error,
							 .n_errors = refused};
		WtWords words = {.status = 200};

		protocol->answer(&outcome, &words);
		check_words(&words);
	}
}

static void
check_bad(const WtProtocol *protocol, const WtDecoder *decoder, bool is_refused)
{
	WtWords words = {.status = decoder->status};

	CHECK(decoder->error[0] != '\0' && is_text(decoder->error, strlen(decoder->error)) &&
			  decoder->reason > WT_REASON_NONE,
		  "no error is told");
	if (!is_refused)
		return;
	CHECK(decoder->status >= 400 && decoder->status < 500, "status %d", decoder->status);
	protocol->endpoint.refuse(decoder->request, decoder->reason, decoder->error, &words);
	CHECK(words.status >= 400, "a refusal with status %d", words.status);
	check_words(&words);
}

static void
decode(const WtRequest *request, size_t max_event_size, bool repair, bool more,
	   const char *body, size_t length)
{
	const WtProtocol *protocol = wt_protocol_of(request);
	WtDecoder decoder = {.content_type = request->content_type,
						 .body = body,
						 .length = length,
						 .max_event_size = max_event_size,
						 .request = request,
						 .more = more,
						 .protocol = protocol->next};
	WtJson json = {.repair = repair};
	WtDecoder copy;
	bool surrounded = false; /* the event before had a context */
	size_t calls = 0;
	size_t again = 0;
	WtDecodeResult r;

	do
	{
		CHECK(calls++ <= length + 1, "more calls than bytes");
		r = wt_decode_next(&decoder, &json);
		if (calls == 1)
			copy = decoder;
		if (r == WT_DECODE_EVENT || r == WT_DECODE_BAD)
		{
			CHECK(lies_within(decoder.raw, decoder.raw_length, body, length),
				  "an event that is not in the body");
			CHECK(!decoder.decoded.same_context || surrounded,
				  "the same as what was not there");
			if (decoder.decoded.has_context && !decoder.decoded.same_context)
			{
				CHECK(json.tokens[decoder.decoded.context].type == WT_JSON_OBJECT,
					  "a context that is no object");
				check_tree(&json, decoder.decoded.context);
			}
			surrounded = decoder.decoded.has_context || decoder.decoded.same_context;
			CHECK(memchr(decoder.decoded.note, '\0', sizeof(decoder.decoded.note)) !=
					  NULL,
				  "a note without an end");
			/* Bytes that can be read. */
			for (size_t i = 0; decoder.decoded.key && i < decoder.decoded.key_length; i++)
				again += (unsigned char) decoder.decoded.key[i] == 0;
		}
		if (r == WT_DECODE_EVENT)
		{
			check_tree(&json, decoder.decoded.event);
			if (decoder.decoded.is_row)
				check_row(&decoder, &json);
			else
				CHECK(decoder.raw_length <= max_event_size, "an event of %zu bytes",
					  decoder.raw_length);
		}
		else if (r == WT_DECODE_BAD || r == WT_DECODE_REFUSED)
			check_bad(protocol, &decoder, r == WT_DECODE_REFUSED);
		else if (r == WT_DECODE_MORE)
			CHECK(more && decoder.next >= body && decoder.next < body + length,
				  "more of what is not begun");
		else
			CHECK(r == WT_DECODE_END, "out of memory");
	} while (r == WT_DECODE_EVENT || r == WT_DECODE_BAD);
	if (r == WT_DECODE_END)
		check_answers(protocol, &decoder, (int64_t) calls - 1);
	CHECK(wt_decode_next(&decoder, &json) == WT_DECODE_END, "it goes on after its end");

	/* A copy of the decoder sees the same. */
	again = 0;
	if (calls > 1)
		do
			again++;
		while ((r = wt_decode_next(&copy, &json)) == WT_DECODE_EVENT ||
			   r == WT_DECODE_BAD);
	CHECK(calls == 1 || again == calls - 1, "%zu events, and %zu of a copy", calls,
		  again);
	wt_json_shrink(&json, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const Kind *kind;
	WtRequest request = {.method = "POST", .received_us = INT64_C(1795687200000000)};
	WtMatch match = {0};
	WtInflated unpacked = {0};
	bool found = false;
	char *body;
	size_t length = size - 2;

	if (size < 2)
		return 0;
	kind = &kinds[(uint8_t) (data[0] - 'A') % (sizeof(kinds) / sizeof(kinds[0]))];
	request.path = kind->path;
	request.query = kind->query;
	request.content_type = kind->type;
	if (kind->query && strcmp(kind->query, "binary") == 0)
	{
		request.headers = binary_headers;
		request.n_headers = sizeof(binary_headers) / sizeof(binary_headers[0]);
	}
	for (int i = 0; i < wt_n_protocols && !found; i++)
	{
		WtHeader type = {"Content-Type", kind->type, 12,
						 (uint32_t) (kind->type ? strlen(kind->type) : 0)};
		WtRequest head = request;

		if (kind->type && !request.headers)
		{
			head.headers = &type;
			head.n_headers = 1;
		}
		found = wt_protocols[i]->find(&head, &match);
		request.endpoint = wt_protocols[i];
	}
	CHECK(found && match.route == WT_ROUTE_EVENTS, "%s is nobody's", kind->path);
	request.verb = match.verb;
	body = exact_copy(data + 2, length);
	if (wt_protocol_of(&request)->unpack &&
		!(kind->query && strcmp(kind->query, "plain") == 0))
	{
		WtInflateResult r =
			wt_protocol_of(&request)->unpack(&request, body, length, 1 << 20, &unpacked);

		CHECK(r != WT_INFLATE_OUT_OF_MEMORY, "out of memory");
		if (r == WT_INFLATE_OK)
		{
			free(body);
			length = unpacked.length;
			body = exact_copy(unpacked.data, length);
		}
		else if (r != WT_INFLATE_PLAIN)
			length = 0;
		wt_inflate_shrink(&unpacked, 0);
	}
	for (int repair = 0; repair < 2; repair++)
		for (int more = 0; more <= request.endpoint->streams; more++)
			decode(&request,
				   sizes[(uint8_t) (data[1] - '0') % (sizeof(sizes) / sizeof(sizes[0]))],
				   repair, more, body, length);
	free(body);
	return 0;
}
