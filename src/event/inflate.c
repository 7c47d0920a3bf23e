/*
 * inflate.c
 *		Compressed bodies: gzip, deflate (zlib and raw), zstd, snappy.
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
#include "event/snappy.h"

/* What comes out at one time where it is only counted; the first size of the buffer. */
#define PIECE (64 * 1024)

/* Up to here, or to so many times what went in, growing the buffer raises no suspicion. */
#define UNSUSPICIOUS_SIZE ((size_t) 128 * 1024)
#define UNSUSPICIOUS_RATIO 32

/* zstd's window, as a power of 2: RFC 8878 asks decoders for 8 MB. */
#define ZSTD_WINDOW 23

/* Codings one in the other that are undone. */
#define MAX_CODINGS 3

typedef enum Format
{
	FORMAT_PLAIN,
	FORMAT_ZLIB, /* gzip or zlib, told apart by zlib itself */
	FORMAT_RAW_DEFLATE,
	FORMAT_ZSTD,
	FORMAT_SNAPPY,
	FORMAT_SNAPPY_FRAMES,
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

/* What Content-Encoding names. */
typedef struct Declared
{
	int n; /* codings, but for identity */
	bool deflate;
	bool gzip;
	bool zstd;
	bool snappy;
	bool unknown;
} Declared;

static bool
is_word(const char *s, size_t length, const char *word)
{
	return length == strlen(word) && strncasecmp(s, word, length) == 0;
}

/* A list, as "gzip, deflate", names each of its elements; empty ones are none. */
static Declared
read_declared(const char *encoding)
{
	Declared declared = {0};
	size_t n;

	for (const char *p = encoding ? encoding : ""; *p; p += n)
	{
		p += strspn(p, ", \t");
		n = strcspn(p, ", \t");
		if (n == 0 || is_word(p, n, "identity"))
			continue;
		declared.n++;
		if (is_word(p, n, "deflate") || is_word(p, n, "zlib"))
			declared.deflate = true;
		else if (is_word(p, n, "gzip") || is_word(p, n, "x-gzip"))
			declared.gzip = true;
		else if (is_word(p, n, "zstd"))
			declared.zstd = true;
		else if (is_word(p, n, "snappy") || is_word(p, n, "x-snappy-framed"))
			declared.snappy = true;
		else
			declared.unknown = true;
	}
	return declared;
}

/*
 * The format of a body.  FORMAT_RAW_DEFLATE is only a guess: text that is declared as
 * deflate may begin in the same way.
 */
static Format
find_format(const Declared *declared, const unsigned char *b, size_t length)
{
	bool deflate = declared->deflate || declared->gzip;
	bool zlib_header = length >= 2 && (b[0] & 0x0F) == 8 && (b[0] >> 4) <= 7 &&
					   (b[0] * 256 + b[1]) % 31 == 0;

	if (length >= 3 && b[0] == 0x1F && b[1] == 0x8B && b[2] == 8)
		return FORMAT_ZLIB;
	if (length >= 4 && memcmp(b, "\x28\xB5\x2F\xFD", 4) == 0)
		return FORMAT_ZSTD;
	if (length >= 10 && memcmp(b, "\xFF\x06\x00\x00sNaPpY", 10) == 0)
		return FORMAT_SNAPPY_FRAMES;
	if (declared->snappy && declared->n == 1)
		return FORMAT_SNAPPY;
	/*
	 * "x^" begins text as well: without a header only what no text begins with counts.  What is
	 * said to be something else may begin with two such bytes.
	 */
	if (zlib_header && (deflate || (!declared->unknown && (b[1] >= 0x80 || b[1] < 0x20))))
		return FORMAT_ZLIB;
	if (declared->n == 0)
		return FORMAT_PLAIN;
	if (declared->deflate && !declared->gzip)
		return FORMAT_RAW_DEFLATE;
	return declared->gzip || declared->zstd || declared->snappy ? FORMAT_PLAIN
																: FORMAT_UNKNOWN;
}

/* Whether a body that is said to be compressed, and is not, is text nevertheless. */
static bool
begins_as_text(const char *body, size_t length)
{
	return length > 0 && memchr("{[\" \t\r\n", body[0], 7) != NULL;
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

static bool
is_padding(const char *body, size_t length)
{
	while (length > 0 && *body == '\0')
	{
		body++;
		length--;
	}
	return length == 0;
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
			if (z.avail_in == 0 ||
				(body[0] == '\x1F' && is_padding((const char *) z.next_in, z.avail_in)))
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
	Declared declared = read_declared(content_encoding);

	return find_format(&declared, (const unsigned char *) body, length) != FORMAT_PLAIN;
}

/* Undoes one coding. */
static WtInflateResult
inflate_once(Format format, const char *body, size_t length, size_t limit,
			 WtInflated *out)
{
	Sink sink = {.out = out, .limit = limit};
	WtInflateResult result;

	if (format == FORMAT_SNAPPY)
		return wt_snappy_block(body, length, limit, out);
	if (format == FORMAT_SNAPPY_FRAMES)
		return wt_snappy_frames(body, length, limit, out);
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

WtInflateResult
wt_inflate(const char *content_encoding, const char *body, size_t length, size_t limit,
		   WtInflated *out)
{
	Declared declared = read_declared(content_encoding);
	Declared nothing = {0};
	Format format = find_format(&declared, (const unsigned char *) body, length);
	WtInflateResult result;

	if (format == FORMAT_PLAIN)
		return WT_INFLATE_PLAIN;
	if (format == FORMAT_UNKNOWN)
		return WT_INFLATE_UNSUPPORTED;
	result = inflate_once(format, body, length, limit, out);
	if ((format == FORMAT_RAW_DEFLATE || format == FORMAT_SNAPPY) &&
		result == WT_INFLATE_CORRUPT && begins_as_text(body, length))
	{
		wt_inflate_shrink(out, 0);
		return WT_INFLATE_PLAIN;
	}
	for (int i = 1; i < declared.n && i < MAX_CODINGS && result == WT_INFLATE_OK; i++)
	{
		WtInflated inner = *out;

		format = find_format(&nothing, (const unsigned char *) inner.data, inner.length);
		if (format != FORMAT_ZLIB && format != FORMAT_ZSTD)
			break;
		memset(out, 0, sizeof(*out));
		result = inflate_once(format, inner.data, inner.length, limit, out);
		wt_inflate_shrink(&inner, 0);
	}
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
