/*
 * elastic.c
 *		Fuzz target: requests of Elasticsearch's clients (src/protocol/elastic.c).
 *
 * The first byte of the input picks the method, the second max_event_size, both by the tables
 * below and counted from '0'; then there is the target, up to the first line feed; the rest is
 * the body.  What is decoded and what the answer says of it must agree: the number of items,
 * and each item's index, id and op.
 */
#include "fuzz.h"
#include "event/decode.h"
#include "protocol/protocols.h"

static const char *const methods[] = {"POST", "PUT", "GET", "HEAD", "DELETE"};
static const size_t sizes[] = {1024 * 1024, 1, 7, 40, 600};

#define MAX_EVENTS 4096

/* What surrounded each event. */
typedef struct Context
{
	char *index; /* as a JSON string */
	char *id;
	char *op; /* NULL: its action could not be read */
} Context;

/* A text of an object as a JSON string; NULL: there is none. */
static char *
text_of(const WtJson *json, uint32_t object, const char *name)
{
	WtBuffer out = {0};
	uint32_t i;

	if (!wt_json_find(json, object, name, &i))
		return NULL;
	CHECK(json->tokens[i].type == WT_JSON_STRING, "%s is no string", name);
	CHECK(is_text(json->tokens[i].u.text, json->tokens[i].length), "%s cannot be stored",
		  name);
	wt_buffer_json(&out, json->tokens[i].u.text, json->tokens[i].length);
	wt_buffer_add(&out, "", 1);
	CHECK(!out.failed, "out of memory");
	return out.data;
}

static bool
is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static void
parse(WtJson *json, const WtBuffer *text)
{
	WtJsonError error = {0};
	WtJsonResult r = wt_json_parse(json, text->data, text->length, &error);

	CHECK(!text->failed && text->data, "out of memory");
	CHECK(r == WT_JSON_OK, "the answer is no JSON: %s: %.*s", error.reason,
		  (int) text->length, text->data);
}

static void
check_item(const WtJson *json, uint32_t item, const Context *context)
{
	uint32_t said = item + 2;
	char *index;
	char *id;

	CHECK(json->tokens[item].type == WT_JSON_OBJECT && json->tokens[item].length == 1,
		  "an item of no op");
	index = text_of(json, said, "_index");
	id = text_of(json, said, "_id");
	CHECK(is_same(index, context->index ? context->index : "\"\""),
		  "an index of %s, not %s", index, context->index);
	CHECK(is_same(id, context->id), "an id of %s, not %s", id, context->id);
	CHECK(!context->op || (strlen(context->op) == json->tokens[item + 1].length + 2 &&
						   memcmp(context->op + 1, json->tokens[item + 1].u.text,
								  json->tokens[item + 1].length) == 0),
		  "another op than %s", context->op);
	free(index);
	free(id);
}

/* The answer says what has become of these events. */
static void
check_answer(const WtRequest *request, const WtDecoder *decoder, const Context *contexts,
			 size_t n)
{
	const WtOutcome outcome = {.request = request,
							   .decoder = decoder,
							   .n_events = (int64_t) n,
							   .n_stored = (int64_t) n};
	WtWords words = {.status = 200};
	WtJson json = {0};
	uint32_t next;
	uint32_t i;

	wt_elastic.answer(&outcome, &words);
	CHECK(words.status == 200 || words.status == 201, "status %d", words.status);
	parse(&json, &words.body);
	if (words.status == 201)
	{
		char *id = text_of(&json, 0, "_id");

		CHECK(n == 1 && is_same(id, contexts[0].id), "another id than that of the event");
		free(id);
	}
	else if (!request->query)
	{
		CHECK(wt_json_find(&json, 0, "items", &i), "no items");
		CHECK(json.tokens[i].length == n, "%u items for %zu events",
			  json.tokens[i].length, n);
		next = i + 1;
		for (size_t k = 0; k < n; k++)
		{
			check_item(&json, next, &contexts[k]);
			next = wt_json_after(&json, next);
		}
	}
	wt_buffer_free(&words.body);
	wt_json_shrink(&json, 0);
}

static void
decode(const WtRequest *request, size_t max_event_size, bool repair, const char *body,
	   size_t length)
{
	static Context contexts[MAX_EVENTS];
	WtDecoder decoder = {.body = body,
						 .length = length,
						 .max_event_size = max_event_size,
						 .request = request,
						 .protocol = wt_elastic.next};
	WtJson json = {.repair = repair};
	const char *from = body;
	size_t n = 0;
	WtDecodeResult r;

	while ((r = wt_decode_next(&decoder, &json)) == WT_DECODE_EVENT || r == WT_DECODE_BAD)
	{
		const WtDecoded *decoded = &decoder.decoded;
		Context *context = &contexts[n++];

		CHECK(n <= length && n < MAX_EVENTS, "more events than bytes");
		CHECK(decoder.raw_length > 0 && lies_within(decoder.raw, decoder.raw_length, from,
													(size_t) (body + length - from)),
			  "an event that is not in what is left of the body");
		from = decoder.raw + decoder.raw_length;
		CHECK(decoded->has_context, "nothing surrounds it");
		for (uint32_t i = 0; i < json.n_tokens; i++)
			CHECK(json.tokens[i].type != WT_JSON_STRING ||
					  is_text(json.tokens[i].u.text, json.tokens[i].length) ||
					  (r == WT_DECODE_BAD && !repair),
				  "a string that cannot be stored");
		context->index = text_of(&json, decoded->context, "index");
		context->id = text_of(&json, decoded->context, "id");
		context->op = text_of(&json, decoded->context, "op");
		CHECK(context->id, "an event without an id");
		if (r == WT_DECODE_EVENT)
		{
			CHECK(decoder.raw_length <= max_event_size, "an event of %zu bytes",
				  decoder.raw_length);
			CHECK(decoded->event < decoded->context, "no event");
			CHECK(context->op, "an event without an op");
		}
		else
			CHECK(decoder.error[0] != '\0' && decoder.reason > WT_REASON_NONE &&
					  is_text(decoder.error, strlen(decoder.error)),
				  "no error is told");
		if (decoded->key)
		{
			size_t sum = 0;

			for (size_t i = 0; i < decoded->key_length; i++)
				sum += (unsigned char) decoded->key[i];
			CHECK(sum > 0, "a key of nothing");
		}
	}
	CHECK(r == WT_DECODE_END || (r == WT_DECODE_REFUSED && n == 0),
		  "refused after %zu events", n);
	if (r == WT_DECODE_END)
	{
		CHECK(n > 0, "nothing, without a word");
		check_answer(request, &decoder, contexts, n);
	}
	for (size_t i = 0; i < n; i++)
	{
		free(contexts[i].index);
		free(contexts[i].id);
		free(contexts[i].op);
	}
	wt_json_shrink(&json, 0);
}

static void
probe(const WtRequest *request)
{
	for (int i = 0; i < 2; i++)
	{
		WtWords words = {.status = 200};
		WtJson json = {0};

		wt_elastic.endpoint.probe(request, i ? "trouble" : NULL, &words);
		CHECK(words.status == 200 || words.status == 503, "status %d", words.status);
		if (strcmp(request->method, "HEAD") != 0 && !words.type)
			parse(&json, &words.body);
		wt_buffer_free(&words.body);
		wt_json_shrink(&json, 0);
	}
}

static void
refuse(const WtRequest *request, const char *sentence)
{
	WtWords words = {.status = 404};
	WtJson json = {0};

	wt_elastic.endpoint.refuse(request, WT_REASON_NOT_FOUND, sentence, &words);
	parse(&json, &words.body);
	wt_buffer_free(&words.body);
	wt_json_shrink(&json, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size > 2 ? memchr(data + 2, '\n', size - 2) : NULL;
	WtRequest request = {.content_type = "application/json",
						 .host = "[::1]:8000",
						 .received_us = 1700000000123456};
	WtMatch match = {.route = WT_ROUTE_NOT_FOUND};
	size_t max_event_size;
	size_t length;
	char *target;
	char *query;
	char *body;

	if (!newline)
		return 0;
	length = (size_t) (newline - data - 2);
	target = exact_copy(data + 2, length + 1);
	target[length] = '\0';
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	length = size - length - 3;
	body = exact_copy(newline + 1, length);
	max_event_size =
		sizes[(uint8_t) (data[1] - '0') % (sizeof(sizes) / sizeof(sizes[0]))];
	request.method =
		methods[(uint8_t) (data[0] - '0') % (sizeof(methods) / sizeof(methods[0]))];
	request.path = target;
	request.query = query;
	if (wt_elastic.endpoint.find(&request, &match))
	{
		CHECK(match.allow, "a path that takes no method");
		request.verb = match.verb;
		if (match.route == WT_ROUTE_EVENTS)
			for (int repair = 0; repair < 2; repair++)
				decode(&request, max_event_size, repair, body, length);
		else if (match.route == WT_ROUTE_PROBE)
			probe(&request);
		else
			refuse(&request, match.sentence ? match.sentence : "this \"path\"");
	}
	free(body);
	free(target);
	return 0;
}
