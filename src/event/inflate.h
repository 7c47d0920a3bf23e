/*
 * inflate.h
 *		Compressed bodies: gzip, deflate (zlib and raw), zstd, snappy.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_INFLATE_H
#define WT_INFLATE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum WtInflateResult
{
	WT_INFLATE_PLAIN, /* it is not compressed: use it as it is */
	WT_INFLATE_OK,	  /* the buffer holds it */
	WT_INFLATE_UNSUPPORTED,
	WT_INFLATE_CORRUPT,
	WT_INFLATE_TOO_LARGE, /* it would be larger than the limit */
	WT_INFLATE_OUT_OF_MEMORY
} WtInflateResult;

/* Memory for what comes out, kept from body to body: zero it before the first use. */
typedef struct WtInflated
{
	char *data;
	size_t length;
	size_t size;
} WtInflated;

/* Whether wt_inflate would have anything to do. */
extern bool wt_is_compressed(const char *content_encoding, const char *body,
							 size_t length);

/*
 * Inflates a body that Content-Encoding (NULL: none) says is compressed, or that begins
 * as compressed data does.  What is declared decides; since senders name one and send
 * another, the magic bytes decide where it does not fit, and text that is said to be
 * compressed is text.  A list of codings ("gzip, gzip") is undone from its end, as far as
 * it is true.  limit is the most that may come out, in bytes.  A body that expands
 * suspiciously is measured before memory is spent on it.  Zeros behind gzip are padding.
 */
extern WtInflateResult wt_inflate(const char *content_encoding, const char *body,
								  size_t length, size_t limit, WtInflated *out);

/* Gives back what the buffer holds beyond `keep` bytes. */
extern void wt_inflate_shrink(WtInflated *out, size_t keep);

#endif
