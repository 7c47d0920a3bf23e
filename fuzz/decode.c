/*
 * decode.c
 *		Fuzz target: a body of any kind → events (src/event/decode.h).
 *
 * The first byte of the input picks the Content-Type, the second max_event_size, both by
 * the tables below and counted from '0', so that seeds can be read; the rest is the body.
 */
#include "http/answer.h"
#include "event/decode.h"
#include "fuzz.h"

static const char *const types[] = {
	NULL,
	"application/json",
	"application/x-ndjson",
	"application/x-www-form-urlencoded",
	"text/plain",
	"application/cloudevents+json; charset=utf-8",
	" Application/JSONL ;x",
	"",
	"multipart/form-data; boundary=b",
	"application/json-seq",
};
static const size_t sizes[] = {1024 * 1024, 1, 2, 3, 7, 16, 40, 100, 600};

/* What a sender is told must be a JSON text, whatever was quoted in it. */
static void
check_answer(const char *message)
{
	char body[WT_ANSWER_SIZE];
	size_t length = wt_answer_error(body, message);
	WtJson json = {0};
	WtJsonError error;
	WtJsonResult r;

	CHECK(length > 0 && length <= sizeof(body), "an answer of %zu bytes", length);
	r = wt_json_parse(&json, body, length, &error);
	CHECK(r == WT_JSON_OK, "the answer is no JSON: %s", error.reason);
	wt_json_shrink(&json, 0);
}

static void
check_error(const WtDecoder *decoder, bool is_refused)
{
	CHECK(decoder->error[0] != '\0' &&
			  memchr(decoder->error, '\0', sizeof(decoder->error)) != NULL,
		  "no error is told");
	CHECK(is_text(decoder->error, strlen(decoder->error)), "the error is no text");
	CHECK(decoder->reason > WT_REASON_NONE && decoder->reason < WT_N_REASONS, "reason %d",
		  (int) decoder->reason);
	if (is_refused || !decoder->batch)
		CHECK(decoder->status >= 400 && decoder->status < 500, "status %d",
			  decoder->status);
	check_answer(decoder->error);
}

static void
decode(const char *type, size_t max_event_size, bool repair, const char *body,
	   size_t length)
{
	WtDecoder decoder = {.content_type = type,
						 .body = body,
						 .length = length,
						 .max_event_size = max_event_size};
	WtJson json = {.repair = repair};
	const char *from = body; /* where the last event ended */
	size_t calls = 0;
	WtDecodeResult r;

	do
	{
		/* Every event takes at least a byte of the body, so this ends. */
		CHECK(calls++ <= length, "more calls than bytes");
		r = wt_decode_next(&decoder, &json);
		if (r == WT_DECODE_EVENT || r == WT_DECODE_BAD)
		{
			CHECK(lies_within(decoder.raw, decoder.raw_length, from,
							  (size_t) (body + length - from)),
				  "an event that is not in what is left of the body");
			CHECK(decoder.raw_length > 0, "an event of no bytes");
			from = decoder.raw + decoder.raw_length;
			CHECK(decoder.form != WT_FORM_UNKNOWN, "an event of no form");
			CHECK(decoder.batch || calls == 1, "several events, and no batch");
		}
		switch (r)
		{
			case WT_DECODE_EVENT:
				check_tokens(&json, body, length, true);
				/* Of a batch that is refused later, this is its status: 200 or 422. */
				CHECK(decoder.status == 0, "status %d for a good event", decoder.status);
				CHECK(decoder.raw_length <= max_event_size, "an event of %zu bytes",
					  decoder.raw_length);
				break;
			case WT_DECODE_BAD:
				check_error(&decoder, false);
				break;
			case WT_DECODE_REFUSED:
				check_error(&decoder, true);
				break;
			case WT_DECODE_END:
				CHECK(calls > 1 || decoder.batch, "nothing, without a word");
				break;
			case WT_DECODE_MORE:
			case WT_DECODE_OUT_OF_MEMORY:
				CHECK(false, "out of memory");
		}
	} while (r == WT_DECODE_EVENT || r == WT_DECODE_BAD);
	if (r == WT_DECODE_REFUSED)
		CHECK(wt_decode_next(&decoder, &json) == WT_DECODE_END, "refused, and goes on");
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
