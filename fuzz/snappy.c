/*
 * snappy.c
 *		Fuzz target: bodies that are compressed by snappy (src/event/snappy.h).
 *
 * The first byte of the input picks the limit, by the table below and counted from '0'; the
 * rest is the body, tried as one block and as frames.
 */
#include "event/snappy.h"
#include "fuzz.h"

static const size_t limits[] = {1024 * 1024, 0, 1, 7, 64, 1000};

static void
undo(WtInflateResult (*run)(const char *, size_t, size_t, WtInflated *), const char *body,
	 size_t length, size_t limit)
{
	WtInflated out = {0};
	WtInflateResult r = run(body, length, limit, &out);

	CHECK(r == WT_INFLATE_OK || r == WT_INFLATE_CORRUPT || r == WT_INFLATE_TOO_LARGE,
		  "result %d", (int) r);
	CHECK(out.length <= out.size, "%zu bytes of %zu", out.length, out.size);
	/* 65,536 bytes in one chunk, and what makes room for the next. */
	CHECK(out.size <= 2 * (limit + 65536) + 1, "%zu bytes for a limit of %zu", out.size,
		  limit);
	if (r == WT_INFLATE_OK)
		CHECK(out.length <= limit, "%zu bytes, and the limit is %zu", out.length, limit);
	wt_inflate_shrink(&out, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t limit;
	char *body;

	if (size < 1)
		return 0;
	limit = limits[(uint8_t) (data[0] - '0') % (sizeof(limits) / sizeof(limits[0]))];
	body = exact_copy(data + 1, size - 1);
	undo(wt_snappy_block, body, size - 1, limit);
	undo(wt_snappy_frames, body, size - 1, limit);
	free(body);
	return 0;
}
