/*
 * stream.h
 *		A stream is a run of bytes in a part: its length, its length as stored, and the
 *		bytes, by zstd where that pays.
 */
#ifndef WT_COLUMN_STREAM_H
#define WT_COLUMN_STREAM_H

#include "column/bytes.h"
#include "column/format.h"

typedef struct WtCompressor WtCompressor;

/* Compresses at a level of zstd's; 0: not at all.  NULL where there is no memory. */
extern WtCompressor *wt_compressor_create(int level);
extern void wt_compressor_destroy(WtCompressor *compressor);

/* Streams one after another, and how many bytes they are when decoded. */
typedef struct WtBody
{
	WtBytes bytes;
	size_t raw;
} WtBody;

/* Appends a stream of these bytes. */
extern void wt_stream_add(WtCompressor *compressor, WtBody *body, const char *bytes,
						  size_t length);

/* Appends what another body has; empties one. */
extern void wt_body_append(WtBody *body, const WtBody *other);
extern void wt_body_clear(WtBody *body);

/* Bytes behind a stream that may be read, whatever they are: for copies of whole words. */
#define WT_STREAM_SLACK 16

/*
 * The next stream of a part, decoded into the arena, always with a NUL behind it; at most
 * `most` bytes are taken, of which as many as it has are taken off.  NULL: it is bad (the
 * cursor too), or longer.
 */
extern const char *wt_stream_next(WtArena *arena, WtCursor *cursor, size_t *most,
								  size_t *length);

#endif
