/*
 * integers.h
 *		Many integers, in few bytes: as one where all are equal, as their differences, or as
 *		what they are above the smallest; whichever is shortest.
 */
#ifndef WT_COLUMN_INTEGERS_H
#define WT_COLUMN_INTEGERS_H

#include "column/stream.h"

/* What packs them: bodies to try forms in, and an array of bytes. */
typedef struct WtIntegerPacker
{
	WtCompressor *compressor;
	WtBody tries[3];
	WtBytes plane;
} WtIntegerPacker;

extern void wt_integers_add(WtIntegerPacker *packer, WtBody *body, const int64_t *values,
							int n);

/* The next n that were added so, into values; false: they are bad.  *most as of a stream. */
extern bool wt_integers_next(WtArena *arena, WtCursor *cursor, size_t *most,
							 int64_t *values, int n);

/*
 * Codes of two bytes (wide) or of one, by planes; the reader takes codes below n_codes
 * alone, and gives them as two bytes.
 */
extern void wt_codes_add(WtIntegerPacker *packer, WtBody *body, const uint16_t *codes,
						 int n, int n_codes);
extern bool wt_codes_next(WtArena *arena, WtCursor *cursor, size_t *most, uint16_t *codes,
						  int n, int n_codes);

/* How many of n codes, all of which are below n_codes, are which: so many counts. */
#define WT_CODES_COUNT_BYTES (4 * sizeof(uint32_t)) /* for each, at most */
extern uint32_t *wt_codes_count(WtArena *arena, const uint16_t *codes, int n,
								int n_codes);

/* Of so many at most the codes lie in a byte each: as they are, with one more behind them.  NULL: bad. */
#define WT_NARROW_CODES 256
extern const uint8_t *wt_narrow_codes_next(WtArena *arena, WtCursor *cursor, size_t *most,
										   int n, int n_codes);
extern uint32_t *wt_narrow_codes_count(WtArena *arena, const uint8_t *codes, int n,
									   int n_codes);

#endif
