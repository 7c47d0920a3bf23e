/*
 * otlp.c
 *		Fuzz target: bodies of OpenTelemetry's logs (src/protocol/otlp.h).
 *
 * The first byte of the input picks the Content-Type, the second max_event_size, both by the
 * tables below and counted from '0'; the rest is the body.
 */
#include "fuzz.h"
#include "protocol/otlp.h"

static const char *const types[] = {"application/x-protobuf",
									"application/json; charset=utf-8", NULL};
static const size_t sizes[] = {1024 * 1024, 1, 7, 40, 600};

/* Tokens that hang together, whose texts lie in the body, in scratch, or in the program. */
static void
check_tree(const WtJson *json, uint32_t i, bool must_be_text)
{
	uint32_t end = wt_json_after(json, i);
	uint32_t open[WT_JSON_MAX_DEPTH + 1];
	uint32_t left[WT_JSON_MAX_DEPTH + 1];
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
			CHECK(depth < WT_JSON_MAX_DEPTH, "nested too deep");
			open[depth] = t->u.end;
			left[depth++] = t->length * (t->type == WT_JSON_OBJECT ? 2 : 1);
		}
		else if (t->type == WT_JSON_STRING || t->type == WT_JSON_NUMBER)
			CHECK(!must_be_text || is_text(t->u.text, t->length),
				  "a string that cannot be stored");
		while (depth > 0 && left[depth - 1] == 0)
		{
			CHECK(open[depth - 1] == i + 1, "a container that ends elsewhere");
			depth--;
		}
	}
	CHECK(depth == 0, "a container that does not end");
}

static void
decode(const char *type, size_t max_event_size, bool repair, const char *body,
	   size_t length)
{
	WtRequest request = {.content_type = type};
	WtDecoder decoder = {.content_type = type,
						 .body = body,
						 .length = length,
						 .max_event_size = max_event_size,
						 .request = &request,
						 .protocol = wt_otlp_next};
	WtJson json = {.repair = repair};
	WtDecoder copy;
	bool surrounded = false; /* the event before had a context */
	size_t calls = 0;
	size_t again = 0;
	WtDecodeResult r;

	do
	{
		CHECK(calls++ <= length, "more calls than bytes");
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
				check_tree(&json, decoder.decoded.context, true);
			surrounded = decoder.decoded.has_context || decoder.decoded.same_context;
		}
		if (r == WT_DECODE_EVENT)
		{
			check_tree(&json, decoder.decoded.event, true);
			CHECK(decoder.raw_length <= max_event_size, "an event of %zu bytes",
				  decoder.raw_length);
		}
		else if (r == WT_DECODE_BAD || r == WT_DECODE_REFUSED)
			CHECK(decoder.error[0] != '\0' &&
					  is_text(decoder.error, strlen(decoder.error)) &&
					  decoder.reason > WT_REASON_NONE,
				  "no error is told");
		else
			CHECK(r == WT_DECODE_END, "out of memory");
	} while (r == WT_DECODE_EVENT || r == WT_DECODE_BAD);
	CHECK(wt_decode_next(&decoder, &json) == WT_DECODE_END, "it goes on after its end");

	/* A copy of the decoder sees the same. */
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
	const char *type;
	char *body;

	if (size < 2)
		return 0;
	type = types[(uint8_t) (data[0] - '0') % (sizeof(types) / sizeof(types[0]))];
	body = exact_copy(data + 2, size - 2);
	for (int repair = 0; repair < 2; repair++)
		decode(type,
			   sizes[(uint8_t) (data[1] - '0') % (sizeof(sizes) / sizeof(sizes[0]))],
			   repair, body, size - 2);
	free(body);
	return 0;
}
