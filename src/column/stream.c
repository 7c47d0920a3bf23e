/*
 * stream.c
 *		Streams: runs of bytes, by zstd where that pays.
 */
#include <stdlib.h>

#include <zstd.h>

#include "column/stream.h"

/* zstd must gain so much of a stream, a 32nd, to be worth decoding. */
#define LEAST_GAIN(length) ((length) / 32 + 4)
#define SMALLEST 24

struct WtCompressor
{
	ZSTD_CCtx *zstd;
	int level;
};

WtCompressor *
wt_compressor_create(int level)
{
	WtCompressor *compressor = calloc(1, sizeof(*compressor));

	if (!compressor)
		return NULL;
	compressor->zstd = ZSTD_createCCtx();
	compressor->level = level;
	if (!compressor->zstd)
	{
		free(compressor);
		return NULL;
	}
	return compressor;
}

void
wt_compressor_destroy(WtCompressor *compressor)
{
	if (!compressor)
		return;
	ZSTD_freeCCtx(compressor->zstd);
	free(compressor);
}

void
wt_stream_add(WtCompressor *compressor, WtBody *body, const char *bytes, size_t length)
{
	WtBytes *to = &body->bytes;
	size_t gained = 0;

	body->raw += length;
	wt_bytes_add_varint(to, length);
	if (length >= SMALLEST && compressor->level > 0)
	{
		/* Compressed to where it is to lie, behind a length of fixed width. */
		size_t most = ZSTD_compressBound(length);
		char *room = wt_bytes_room(to, WT_VARINT_MAX + most);
		size_t n = ZSTD_compressCCtx(compressor->zstd, room + WT_VARINT_MAX, most, bytes,
									 length, compressor->level);

		if (!ZSTD_isError(n) && n + LEAST_GAIN(length) < length)
		{
			wt_bytes_add_varint(to, n);
			memmove(to->data + to->length, room + WT_VARINT_MAX, n);
			to->length += n;
			gained = length - n;
		}
	}
	if (gained == 0)
	{
		wt_bytes_add_varint(to, 0);
		wt_bytes_add(to, bytes, length);
	}
}

void
wt_body_append(WtBody *body, const WtBody *other)
{
	wt_bytes_add(&body->bytes, other->bytes.data, other->bytes.length);
	body->raw += other->raw;
}

void
wt_body_clear(WtBody *body)
{
	body->bytes.length = 0;
	body->raw = 0;
}

/* One for the process, made when it is first needed and kept. */
static ZSTD_DCtx *
decompressor(void)
{
	static ZSTD_DCtx *zstd;

	if (!zstd)
		zstd = ZSTD_createDCtx();
	return zstd;
}

const char *
wt_stream_next(WtArena *arena, WtCursor *cursor, size_t *most, size_t *length)
{
	uint64_t raw = wt_cursor_count(cursor, *most);
	uint64_t stored = wt_cursor_varint(cursor);
	const char *from = wt_cursor_bytes(cursor, stored ? stored : raw);
	char *to;

	*length = 0;
	if (!from)
		return NULL;
	/* No form of zstd's packs tighter than this: so a small part cannot ask for much. */
	if (stored && raw / 65536 > stored)
	{
		cursor->bad = true;
		return NULL;
	}
	to = wt_arena_alloc(arena, raw + 1 + WT_STREAM_SLACK);
	if (!stored)
		memcpy(to, from, raw);
	else
	{
		ZSTD_DCtx *zstd = decompressor();

		if (!zstd || ZSTD_decompressDCtx(zstd, to, raw, from, stored) != raw)
		{
			cursor->bad = true;
			return NULL;
		}
	}
	memset(to + raw, '\0', 1 + WT_STREAM_SLACK);
	*most -= raw;
	*length = raw;
	return to;
}
