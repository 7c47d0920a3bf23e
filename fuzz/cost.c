/*
 * cost.c
 *		Fuzz target: decoding must not cost more than a body's length explains.
 *
 * A decoder that looks at the same bytes again and again lets a small body keep a worker
 * busy for minutes.  Such bodies repeat something, thousands of times, which a fuzzer would
 * have to find a copy at a time.  So the input is a pattern: its first byte picks the
 * Content-Type, counted from '0' in the table below; the rest is how the body begins, and
 * what stands after its first line feed is repeated until the body is full.
 */
#include <time.h>

#include "event/decode.h"
#include "fuzz.h"

static const char *const types[] = {
	NULL,
	"application/json",
	"application/x-ndjson",
	"application/x-www-form-urlencoded",
	"text/plain",
};

#define BODY_SIZE ((size_t) 32 * 1024)

/*
 * CPU time that a byte may take, ns.  Sanitized, it takes up to 500; reading the rest of
 * the body again for every six bytes takes 30000.
 */
#define MAX_NS 8000

static double
cpu_ns(void)
{
	struct timespec t;

	/* Not the time of day: other programs may be running. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static double
decode(const char *type, const char *body)
{
	WtDecoder decoder = {.content_type = type,
						 .body = body,
						 .length = BODY_SIZE,
						 .max_event_size = 1024 * 1024};
	WtJson json = {0};
	double begun = cpu_ns();
	WtDecodeResult r;

	do
	{
		r = wt_decode_next(&decoder, &json);
	} while (r == WT_DECODE_EVENT || r == WT_DECODE_BAD);
	wt_json_shrink(&json, 0);
	return cpu_ns() - begun;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size ? memchr(data + 1, '\n', size - 1) : NULL;
	const uint8_t *end = data + size;
	const char *type;
	char *body;
	double ns;

	if (!newline || newline + 1 == end || size > BODY_SIZE)
		return 0;
	type = types[(uint8_t) (data[0] - '0') % (sizeof(types) / sizeof(types[0]))];
	body = malloc(BODY_SIZE);
	CHECK(body, "out of memory");
	for (size_t i = 0; i < BODY_SIZE; i++)
	{
		const uint8_t *p = data + 1 + i;

		body[i] = (char) (p < end ? *p : body[i - (size_t) (end - newline - 1)]);
	}

	ns = decode(type, body);
	/* Once is no proof: the machine may have been asleep in between. */
	if (ns > MAX_NS * (double) BODY_SIZE)
		ns = decode(type, body);
	CHECK(ns < MAX_NS * (double) BODY_SIZE, "%.0f ms for %zu bytes", ns / 1e6, BODY_SIZE);
	free(body);
	return 0;
}
