/*
 * inflate.c
 *		Compressed bodies: gzip, deflate (zlib and raw), zstd.
 *
 * Words:
 *	bomb		a small body that expands to very much; it must cost neither memory nor more
 *				time than it takes to see what it is
 *	sink		where the bytes that come out go: the buffer, or nowhere, only counted
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "event/inflate.h"

/* What comes out at one time where it is only counted; the first size of the buffer. */
#define PIECE (64 * 1024)

/* Up to here, or to so many times what went in, growing the buffer raises no suspicion. */
#define UNSUSPICIOUS_SIZE ((size_t) 128 * 1024)
#define UNSUSPICIOUS_RATIO 32

/* zstd's window, as a power of 2: RFC 8878 asks decoders for 8 MB. */
#define ZSTD_WINDOW 23

typedef enum Format
{
	FORMAT_PLAIN,
	FORMAT_ZLIB, /* gzip or zlib, told apart by zlib itself */
	FORMAT_RAW_DEFLATE,
	FORMAT_ZSTD,
	FORMAT_UNKNOWN
} Format;

typedef struct Sink
{
	WtInflated *out;
	size_t total;
	size_t limit;
	bool trusted;  /* it has been measured: it is no bomb */
	bool counting; /* only count: it may be a bomb */
	char *piece;   /* where bytes that are only counted go */
} Sink;

static bool
names_one_of(const char *encoding, const char *names)
{
	/* A list of encodings, as "gzip,deflate", names each of them. */
	const char *p = encoding;

	while (*p)
	{
		size_t n;

		p += strspn(p, ", \t");
		n = strcspn(p, ", \t");
		for (const char *name = names; *name && n > 0; name += strlen(name) + 1)
			if (strlen(name) == n && strncasecmp(p, name, n) == 0)
				return true;
		p += n;
	}
	return false;
}

static Format
find_format(const char *encoding, const unsigned char *b, size_t length)
{
	bool none = !encoding || *encoding == '\0' || names_one_of(encoding, "identity\0");
	bool deflate = !none && names_one_of(encoding, "deflate\0gzip\0x-gzip\0");
	bool zlib_header = length >= 2 && (b[0] & 0x0F) == 8 && (b[0] >> 4) <= 7 &&
					   (b[0] * 256 + b[1]) % 31 == 0;

	if (length >= 3 && b[0] == 0x1F && b[1] == 0x8B && b[2] == 8)
		return FORMAT_ZLIB;
	if (length >= 4 && memcmp(b, "\x28\xB5\x2F\xFD", 4) == 0)
		return FORMAT_ZSTD;
	/* "x^" begins text as well: without a header only what no text begins with counts. */
	if (zlib_header && (deflate || b[1] >= 0x80 || b[1] < 0x20))
		return FORMAT_ZLIB;
	if (none || names_one_of(encoding, "gzip\0x-gzip\0zstd\0"))
		return FORMAT_PLAIN;
	if (!deflate)
		return FORMAT_UNKNOWN;
	/* A sender that says deflate and means neither zlib's form nor JSON sends it raw. */
	if (length > 0 && memchr("{[\" \t\r\n", b[0], 7))
		return FORMAT_PLAIN;
	return FORMAT_RAW_DEFLATE;
}

/*
 * Room for the next bytes, after `consumed` bytes have gone in: *size of them at what is
 * given; NULL without memory.
 */
static char *
sink_room(Sink *sink, size_t consumed, size_t *size)
{
	WtInflated *out = sink->out;

	if (!sink->trusted && sink->total > UNSUSPICIOUS_SIZE &&
		sink->total / UNSUSPICIOUS_RATIO > consumed)
		sink->counting = true;
	if (sink->counting)
	{
		if (!sink->piece && !(sink->piece = malloc(PIECE)))
			return NULL;
		*size = PIECE;
		return sink->piece;
	}
	if (out->size - sink->total < PIECE / 2)
	{
		size_t wanted = out->size ? out->size * 2 : PIECE;
		char *data = realloc(out->data, wanted);

		if (!data)
			return NULL;
		out->data = data;
		out->size = wanted;
	}
	*size = out->size - sink->total;
	return out->data + sink->total;
}

/* All members of a gzip body, or one zlib stream, into sink. */
static WtInflateResult
run_zlib(const char *body, size_t length, bool raw, Sink *sink)
{
	z_stream z;
	WtInflateResult result = WT_INFLATE_CORRUPT;
	int rc = Z_OK;

	memset(&z, 0, sizeof(z));
	if (inflateInit2(&z, raw ? -MAX_WBITS : MAX_WBITS + 32) != Z_OK)
		return WT_INFLATE_OUT_OF_MEMORY;
	z.next_in = (Bytef *) (uintptr_t) body;
	z.avail_in = (uInt) length;
	for (;;)
	{
		size_t size;
		char *room = sink_room(sink, length - z.avail_in, &size);

		if (!room)
		{
			result = WT_INFLATE_OUT_OF_MEMORY;
			break;
		}
		z.next_out = (Bytef *) room;
		z.avail_out = (uInt) size;
		rc = inflate(&z, Z_NO_FLUSH);
		sink->total += size - z.avail_out;
		if (sink->total > sink->limit)
		{
			result = WT_INFLATE_TOO_LARGE;
			break;
		}
		if (rc == Z_MEM_ERROR)
		{
			result = WT_INFLATE_OUT_OF_MEMORY;
			break;
		}
		if (rc == Z_STREAM_END)
		{
			if (z.avail_in == 0)
			{
				result = WT_INFLATE_OK;
				break;
			}
			/* Another member follows, or rubbish, which is no member. */
			if (raw || inflateReset(&z) != Z_OK)
				break;
			continue;
		}
		/* Input that ends before its stream does makes no progress. */
		if (rc != Z_OK || (z.avail_in == 0 && z.avail_out > 0))
			break;
	}
	inflateEnd(&z);
	return result;
}

/*
 * Whether a frame begins here that zstd has today, or one that is to be skipped.  The
 * library also decodes what came before version 1, with code that nobody looks after
 * and without ZSTD_d_windowLogMax: a few bytes would make it allocate 128 MB.
 */
static bool
begins_zstd_frame(const char *body, size_t length)
{
	const unsigned char *b = (const unsigned char *) body;

	return length >= 4 &&
		   (memcmp(b, "\x28\xB5\x2F\xFD", 4) == 0 ||
			((b[0] & 0xF0) == 0x50 && memcmp(b + 1, "\x2A\x4D\x18", 3) == 0));
}

/* All frames of a zstd body, into sink. */
static WtInflateResult
run_zstd(const char *body, size_t length, Sink *sink)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_inBuffer in = {body, length, 0};
	WtInflateResult result = WT_INFLATE_CORRUPT;
	size_t rc = 1;

	if (!context)
		return WT_INFLATE_OUT_OF_MEMORY;
	ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW);
	for (;;)
	{
		ZSTD_outBuffer out = {NULL, 0, 0};

		out.dst = sink_room(sink, in.pos, &out.size);
		if (!out.dst)
		{
			result = WT_INFLATE_OUT_OF_MEMORY;
			break;
		}
		rc = ZSTD_decompressStream(context, &out, &in);
		sink->total += out.pos;
		if (sink->total > sink->limit)
		{
			result = WT_INFLATE_TOO_LARGE;
			break;
		}
		if (ZSTD_isError(rc))
			break;
		if (rc == 0 && in.pos == in.size)
		{
			result = WT_INFLATE_OK; /* the last frame is complete */
			break;
		}
		if (in.pos == in.size && out.pos < out.size)
			break;
		if (rc == 0 && !begins_zstd_frame(body + in.pos, in.size - in.pos))
			break;
	}
	ZSTD_freeDCtx(context);
	return result;
}

static WtInflateResult
run(Format format, const char *body, size_t length, Sink *sink)
{
	if (format == FORMAT_ZSTD)
		return run_zstd(body, length, sink);
	return run_zlib(body, length, format == FORMAT_RAW_DEFLATE, sink);
}

bool
wt_is_compressed(const char *content_encoding, const char *body, size_t length)
{
	return find_format(content_encoding, (const unsigned char *) body, length) !=
		   FORMAT_PLAIN;
}

WtInflateResult
wt_inflate(const char *content_encoding, const char *body, size_t length, size_t limit,
		   WtInflated *out)
{
	Format format = find_format(content_encoding, (const unsigned char *) body, length);
	Sink sink = {.out = out, .limit = limit};
	WtInflateResult result;

	if (format == FORMAT_PLAIN)
		return WT_INFLATE_PLAIN;
	if (format == FORMAT_UNKNOWN)
		return WT_INFLATE_UNSUPPORTED;

	result = run(format, body, length, &sink);
	free(sink.piece);
	if (result == WT_INFLATE_OK && sink.counting)
	{
		/* It was no bomb, only very regular: now keep what comes out. */
		Sink again = {.out = out, .limit = limit, .trusted = true};

		result = run(format, body, length, &again);
		sink.total = again.total;
	}
	out->length = sink.total;
	return result;
}

void
wt_inflate_shrink(WtInflated *out, size_t keep)
{
	if (out->size <= keep)
		return;
	free(out->data);
	out->data = NULL;
	out->size = 0;
	out->length = 0;
}
