/*
 * inflate.c
 *		Fuzz target: compressed bodies (src/event/inflate.h).
 *
 * The first byte of the input picks the Content-Encoding, the second the limit, both by
 * the tables below and counted from '0'; the rest is the body.
 *
 * What comes out must be what zlib and libzstd give when they have room for everything at
 * once, and be given whenever they do; frames from before version 1 of zstd are refused.
 * libzstd is asked by its functions for streams, as in the code under test: the one for
 * whole bodies is of another mind about blocks that are empty, or larger than 128 KB.
 *
 * The allocator is watched: a body that would be larger than the limit must cost little.
 */
#include <sanitizer/allocator_interface.h>
#include <zlib.h>

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getFrameHeader */
#include <zstd.h>

#include "fuzz.h"
#include "event/inflate.h"

static const char *const encodings[] = {
	NULL, "gzip", "deflate", "zstd", "identity", "br", "deflate, gzip", "",
};
static const size_t limits[] = {
	16 * 1024 * 1024, 0, 1, 100, 1000, 65535, 65536, 65537, 131072, 600000,
};

/* What a bomb may cost, bytes. */
#define MAX_BOMB ((size_t) 2 * 1024 * 1024)
/*
 * What is not suspicious yet, 32 times what has gone in, lies in a buffer of up to twice
 * that size, which was moved when it last grew: more than MAX_BOMB for large bodies.
 */
#define MAX_BOMB_RATIO ((size_t) 32 * 3)
/* The largest window of zstd that is accepted, as a power of 2. */
#define WINDOW_LOG 23
#define MAX_WINDOW ((size_t) 1 << WINDOW_LOG)

static bool watching;
static size_t in_use;
static size_t most_in_use;

static void
note_malloc(const volatile void *p, size_t size)
{
	(void) p;
	if (!watching)
		return;
	in_use += size;
	if (in_use > most_in_use)
		most_in_use = in_use;
}

static void
note_free(const volatile void *p)
{
	if (watching && p)
		in_use -= __sanitizer_get_allocated_size(p);
}

/* Whether the last n bytes are what may stand behind gzip: nothing, or zeros. */
static bool
is_padding(const char *body, size_t length, size_t n)
{
	for (size_t i = length - n; i < length; i++)
		if (body[0] != '\x1F' || body[i] != '\0')
			return false;
	return true;
}

/* All of it at once; the length of what comes out, or -1. */
static long
reference_zlib(const char *body, size_t length, int window_bits, char *out, size_t limit)
{
	z_stream z = {.next_in = (Bytef *) (uintptr_t) body, .avail_in = (uInt) length};
	int rc;

	CHECK(inflateInit2(&z, window_bits) == Z_OK, "out of memory");
	z.next_out = (Bytef *) out;
	z.avail_out = (uInt) limit + 1;
	while ((rc = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in > 0 &&
		   window_bits > 0 && !is_padding(body, length, (size_t) z.avail_in))
		CHECK(inflateReset(&z) == Z_OK, "cannot reset");
	inflateEnd(&z);
	if (rc != Z_STREAM_END || !is_padding(body, length, (size_t) z.avail_in) ||
		z.avail_out == 0)
		return -1;
	return (long) (limit + 1 - z.avail_out);
}

static long
reference_zstd(const char *body, size_t length, char *out, size_t limit)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_inBuffer in = {body, length, 0};
	ZSTD_outBuffer room = {out, limit + 1, 0};
	size_t rc;

	CHECK(context, "out of memory");
	ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG);
	do
	{
		/* Frames of older versions are refused, wherever they stand. */
		if (in.size - in.pos >= 4 && memcmp(body + in.pos + 1, "\xB5\x2F\xFD", 3) == 0 &&
			body[in.pos] != '\x28')
		{
			ZSTD_freeDCtx(context);
			return -1;
		}
		rc = ZSTD_decompressStream(context, &room, &in);
	} while (!ZSTD_isError(rc) && room.pos < room.size && in.pos < in.size);
	ZSTD_freeDCtx(context);
	if (rc != 0 || room.pos > limit)
		return -1;
	return (long) room.pos;
}

/* The largest window that a frame of the body asks for, and may have. */
static size_t
largest_window(const char *body, size_t length)
{
	size_t window = 0;

	while (length > 0)
	{
		ZSTD_frameHeader header;
		size_t n = ZSTD_findFrameCompressedSize(body, length);

		if (ZSTD_getFrameHeader(&header, body, length) == 0 &&
			header.frameType == ZSTD_frame && header.windowSize > window &&
			header.windowSize <= MAX_WINDOW)
			window = (size_t) header.windowSize;
		if (ZSTD_isError(n) || n == 0 || n > length)
			break;
		body += n;
		length -= n;
	}
	return window;
}

static bool
begins_as_zstd(const char *body, size_t length)
{
	return length >= 4 && memcmp(body, "\x28\xB5\x2F\xFD", 4) == 0;
}

/* The same by the reference, into out; -1 where it does not inflate to limit bytes. */
static long
reference(const char *body, size_t length, char *out, size_t limit)
{
	const unsigned char *b = (const unsigned char *) body;

	if (begins_as_zstd(body, length))
		return reference_zstd(body, length, out, limit);
	if (length >= 3 && b[0] == 0x1F && b[1] == 0x8B && b[2] == 8)
		return reference_zlib(body, length, MAX_WBITS + 32, out, limit);
	if (length >= 2 && (b[0] & 0x8F) == 8 && (b[0] << 8 | b[1]) % 31 == 0)
		return reference_zlib(body, length, MAX_WBITS + 32, out, limit);
	return reference_zlib(body, length, -MAX_WBITS, out, limit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool installed;
	static char *out; /* of the reference */
	WtInflated inflated = {0};
	const char *encoding;
	size_t limit;
	size_t length;
	size_t window;
	size_t allowed;
	long expected;
	char *body;
	WtInflateResult r;

	if (!installed)
	{
		installed = __sanitizer_install_malloc_and_free_hooks(note_malloc, note_free) > 0;
		CHECK(installed, "cannot watch the allocator");
		out = malloc(limits[0] + 1);
		CHECK(out, "out of memory");
	}
	if (size < 2)
		return 0;
	encoding =
		encodings[(uint8_t) (data[0] - '0') % (sizeof(encodings) / sizeof(encodings[0]))];
	limit = limits[(uint8_t) (data[1] - '0') % (sizeof(limits) / sizeof(limits[0]))];
	length = size - 2;
	body = exact_copy(data + 2, length);

	in_use = most_in_use = 0;
	watching = true;
	r = wt_inflate(encoding, body, length, limit, &inflated);
	watching = false;

	window = begins_as_zstd(body, length) ? largest_window(body, length) : 0;
	switch (r)
	{
		case WT_INFLATE_PLAIN:
		case WT_INFLATE_UNSUPPORTED:
			CHECK(!inflated.data, "memory for nothing");
			break;
		case WT_INFLATE_OK:
			CHECK(inflated.length <= limit && inflated.length <= inflated.size,
				  "%zu bytes of %zu, at a limit of %zu", inflated.length, inflated.size,
				  limit);
			expected = reference(body, length, out, limit);
			CHECK(expected == (long) inflated.length,
				  "%zu bytes where the library gives %ld", inflated.length, expected);
			CHECK(memcmp(out, inflated.data, inflated.length) == 0, "other bytes");
			break;
		case WT_INFLATE_CORRUPT:
		case WT_INFLATE_TOO_LARGE:
			expected = reference(body, length, out, limit);
			CHECK(expected < 0, "result %d where the library gives %ld bytes", (int) r,
				  expected);
			allowed = MAX_BOMB + MAX_BOMB_RATIO * length + window;
			CHECK(most_in_use <= allowed, "%zu bytes of memory; allowed are %zu",
				  most_in_use, allowed);
			break;
		case WT_INFLATE_OUT_OF_MEMORY:
			CHECK(false, "out of memory");
	}
	wt_inflate_shrink(&inflated, 0);
	CHECK(!inflated.data, "memory is kept");
	free(body);
	return 0;
}
