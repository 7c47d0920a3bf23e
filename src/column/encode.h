/*
 * encode.h
 *		The values of one column, as the shortest of the encodings that suit them.
 */
#ifndef WT_COLUMN_ENCODE_H
#define WT_COLUMN_ENCODE_H

#include "column/integers.h"
#include "column/texts.h"

typedef struct WtEncoder WtEncoder;

extern WtEncoder *wt_encoder_create(int level, WtOutOfMemory failed);
extern void wt_encoder_destroy(WtEncoder *encoder);

/* Whoever has streams of his own to add packs them by it. */
extern WtIntegerPacker *wt_encoder_packer(WtEncoder *encoder);

/* Of kinds of integers, integers; of all others, texts. */
typedef struct WtValues
{
	WtKind kind;
	int n;
	WtTexts texts;
	const int64_t *integers;
	const int64_t *times; /* of their rows, where wt_encode_wants_times() */
} WtValues;

typedef struct WtEncoded
{
	WtEncoding encoding;
	int n_distinct; /* or -1 */
	bool has_range;
	WtDecimal min, max;
	bool has_text_range;
	bool max_is_cut;
	uint8_t min_length, max_length;
	const char *min_text, *max_text; /* in the values */
	WtBody body;
	WtBody digits; /* of TEMPLATE */
} WtEncoded;

/* Whether the values look like instants, which are stored by what they differ from the time. */
extern bool wt_encode_wants_times(const WtValues *values);

/* Encodes; the bodies of *encoded are its own and are used again. */
extern void wt_encode(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded);

#endif
