/*
 * column_decode.c
 *		The bytes of a column become values.  Whatever they are, what is left behind is safe
 *		to be asked for: all lengths and codes are checked here.
 */
#include "column/chunk_data.h"
#include "column/encoding.h"
#include "column/integers.h"

/* Room that a column's values may want once they are printed one after another. */
static bool
afford_print(WtChunk *chunk, const WtColumn *column, size_t longest)
{
	column->data->longest = longest;
	return wt_chunk_afford(chunk, (size_t) column->n_values + 1,
						   longest + 1 + sizeof(uint32_t));
}

/* What must hold of texts of this kind. */
static bool
suit_kind(const WtColumn *column, const WtTexts *texts, bool may_have_nul)
{
	if (may_have_nul)
		return column->kind == WT_KIND_EXTRA;
	if (column->kind == WT_KIND_BOOLEAN)
	{
		for (int i = 0; i < texts->n; i++)
		{
			WtText text = wt_texts_at(texts, i);

			if (strcmp(text.text, "true") != 0 && strcmp(text.text, "false") != 0)
				return false;
		}
	}
	if (column->kind == WT_KIND_NUMBER)
	{
		for (int i = 0; i < texts->n; i++)
		{
			WtText text = wt_texts_at(texts, i);

			if (text.length == 0 || strspn(text.text, "-.0123456789") != text.length)
				return false;
		}
	}
	return true;
}

static bool
next_texts(WtChunk *chunk, const WtColumn *column, WtCursor *cursor, size_t *most, int n,
		   WtTexts *texts)
{
	bool may_have_nul = cursor->p < cursor->end && *cursor->p != 0;

	return wt_chunk_afford(chunk, (size_t) n + 1, sizeof(uint32_t)) &&
		   wt_texts_next(chunk->own->arena, cursor, most, n, texts) &&
		   suit_kind(column, texts, may_have_nul);
}

/* Distinct texts, and the code of each value. */
static bool
decode_codes(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	size_t n = (size_t) column->n_values;
	uint16_t *codes;

	/* Room is taken for codes of two bytes and for counts, which are made when asked for, too. */
	if (!next_texts(chunk, column, cursor, most, column->n_distinct, &data->texts) ||
		!wt_chunk_afford(chunk, n, sizeof(*codes)) ||
		!wt_chunk_afford(chunk, (size_t) column->n_distinct, WT_CODES_COUNT_BYTES))
		return false;
	data->has_codes = true;
	if (column->encoding == WT_ENCODING_CONSTANT)
		return true;
	if (column->encoding == WT_ENCODING_DICTIONARY &&
		column->n_distinct <= WT_NARROW_CODES)
	{
		data->narrow = wt_narrow_codes_next(chunk->own->arena, cursor, most,
											column->n_values, column->n_distinct);
		return data->narrow != NULL;
	}
	/* One more, which whoever goes through rows may read behind the last. */
	codes = wt_arena_array(chunk->own->arena, n + 1, sizeof(*codes));
	codes[n] = 0;
	data->codes = codes;
	return wt_codes_next(chunk->own->arena, cursor, most, codes, column->n_values,
						 column->n_distinct);
}

/* Distinct texts alone. */
static bool
decode_distinct(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;

	data->has_distinct =
		next_texts(chunk, column, cursor, most, column->n_distinct, &data->texts);
	return data->has_distinct;
}

static bool
decode_integers(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	size_t n = (size_t) column->n_values;

	if (!wt_chunk_afford(chunk, n, sizeof(*data->integers)))
		return false;
	data->integers = wt_arena_array(chunk->own->arena, n, sizeof(*data->integers));
	return wt_integers_next(chunk->own->arena, cursor, most, data->integers,
							column->n_values);
}

static bool
decode_decimals(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	int form = wt_cursor_byte(cursor);
	int scale = form;

	if (form == WT_SCALED_DECIMALS)
		scale = wt_cursor_byte(cursor);
	else if (form == WT_MIXED_DECIMALS)
		scale = WT_DECIMAL_DIGITS;
	else
		data->decimals = form;
	if (scale > WT_DECIMAL_DIGITS)
		return false;
	if (form == WT_SCALED_DECIMALS || form == WT_MIXED_DECIMALS)
	{
		size_t length;
		const char *decimals = wt_stream_next(chunk->own->arena, cursor, most, &length);

		if (!decimals || length != (size_t) column->n_values)
			return false;
		data->mixed_decimals = (const uint8_t *) decimals;
		for (size_t i = 0; i < length; i++)
			if (data->mixed_decimals[i] > scale)
				return false;
	}
	if (!afford_print(chunk, column, WT_DECIMAL_MAX) ||
		!decode_integers(chunk, column, cursor, most))
		return false;
	for (int i = 0; form == WT_SCALED_DECIMALS && i < column->n_values; i++)
		data->integers[i] =
			wt_decimal_unscale(data->integers[i], scale, data->mixed_decimals[i]).value;
	return true;
}

/* Fields of so many bits (at most 16) from a stream of just them. */
static const char *
next_packed(WtChunk *chunk, WtCursor *cursor, size_t *most, int n, int bits)
{
	size_t length;
	const char *packed = wt_stream_next(chunk->own->arena, cursor, most, &length);

	return packed && length == wt_packed_size(n, bits) ? packed : NULL;
}

typedef struct Bits
{
	const uint8_t *p;
	uint32_t held;
	int n_held;
} Bits;

static uint32_t
next_bits(Bits *bits, int n)
{
	uint32_t field;

	for (; bits->n_held < n; bits->n_held += 8)
		bits->held |= (uint32_t) *bits->p++ << bits->n_held;
	field = bits->held & ((1u << n) - 1);
	bits->held >>= n;
	bits->n_held -= n;
	return field;
}

static bool
decode_uuids7(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	size_t n = (size_t) column->n_values;
	size_t length;
	const char *low;
	const char *high;
	Bits bits = {0};

	if (!afford_print(chunk, column, WT_UUID_LENGTH) ||
		!decode_integers(chunk, column, cursor, most))
		return false;
	low = wt_stream_next(chunk->own->arena, cursor, most, &length);
	if (!low || length != n * 7)
		return false;
	high = next_packed(chunk, cursor, most, column->n_values, WT_UUID7_BITS);
	if (!high || !wt_chunk_afford(chunk, n, sizeof(*data->chances)))
		return false;
	data->chances = wt_arena_array(chunk->own->arena, n, sizeof(*data->chances));
	bits.p = (const uint8_t *) high;
	for (size_t i = 0; i < n; i++, low += 7)
	{
		char whole[8];

		memcpy(whole, low, 7);
		whole[7] = (char) next_bits(&bits, WT_UUID7_BITS);
		data->chances[i] = wt_load64(whole);
	}
	return true;
}

static bool
decode_uuids(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	size_t n = (size_t) column->n_values;
	uint8_t alike = wt_cursor_byte(cursor);
	size_t length;
	const uint8_t *bytes;
	uint8_t *uuids;
	Bits bits = {0};

	data->width = 16;
	if ((alike != 0 && (alike & ~15) != WT_UUIDS_ALIKE) ||
		!afford_print(chunk, column, WT_UUID_LENGTH))
		return false;
	bytes = (const uint8_t *) wt_stream_next(chunk->own->arena, cursor, most, &length);
	if (!bytes || length != n * (alike ? 14 : 16))
		return false;
	data->packed = bytes;
	if (!alike)
		return true;
	bits.p = (const uint8_t *) next_packed(chunk, cursor, most, column->n_values,
										   WT_UUID_BITS);
	if (!bits.p || !wt_chunk_afford(chunk, n, 16))
		return false;
	uuids = wt_arena_array(chunk->own->arena, n, 16);
	data->packed = uuids;
	for (size_t i = 0; i < n; i++, bytes += 14, uuids += 16)
	{
		uint32_t rest = next_bits(&bits, WT_UUID_BITS);

		memcpy(uuids, bytes, 6);
		uuids[6] = (uint8_t) ((alike & 15) << 4 | (rest & 15));
		uuids[7] = bytes[6];
		uuids[8] = (uint8_t) (0x80 | rest >> 4);
		memcpy(uuids + 9, bytes + 7, 7);
	}
	return true;
}

static bool
decode_hex(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	size_t length;

	data->width = wt_cursor_count(cursor, WT_HEX_MAX);
	if (data->width == 0 || !afford_print(chunk, column, data->width * 2))
		return false;
	data->packed =
		(const uint8_t *) wt_stream_next(chunk->own->arena, cursor, most, &length);
	return data->packed && length == (size_t) column->n_values * data->width;
}

static bool
decode_instants(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtInstantForm *form = &column->data->instant;
	const char *suffix;
	uint8_t relative;

	form->separator = (char) wt_cursor_byte(cursor);
	form->decimals = wt_cursor_byte(cursor);
	form->suffix_length = wt_cursor_byte(cursor);
	if (form->separator == '\0' || form->decimals > 9 ||
		form->suffix_length > WT_INSTANT_SUFFIX)
		return false;
	suffix = wt_cursor_bytes(cursor, form->suffix_length);
	if (!suffix || memchr(suffix, '\0', form->suffix_length))
		return false;
	memcpy(form->suffix, suffix, form->suffix_length);
	relative = wt_cursor_byte(cursor);
	column->data->is_relative = relative;
	return relative <= 1 && afford_print(chunk, column, wt_instant_length(form)) &&
		   decode_integers(chunk, column, cursor, most);
}

static bool
decode_templates(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;

	if (!decode_codes(chunk, column, cursor, most) ||
		!wt_chunk_afford(chunk,
						 data->texts.start[data->texts.n] + (size_t) data->texts.n + 1,
						 sizeof(uint32_t)))
		return false;
	data->templates = (WtTemplates){
		.templates = data->texts, .n_values = column->n_values, .codes = data->codes};
	wt_templates_find_gaps(chunk->own->arena, &data->templates);
	return true;
}

static bool
decode_body(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	switch (column->encoding)
	{
		case WT_ENCODING_NONE:
			return true;

		case WT_ENCODING_CONSTANT:
			if (!wt_kind_is_integer(column->kind))
				return decode_codes(chunk, column, cursor, most);
			if (!afford_print(chunk, column, WT_DECIMAL_MAX) ||
				!wt_chunk_afford(chunk, (size_t) column->n_values, sizeof(int64_t)))
				return false;
			column->data->integers = wt_arena_array(
				chunk->own->arena, (size_t) column->n_values, sizeof(int64_t));
			for (int i = 0; i < column->n_values; i++)
				column->data->integers[i] = column->min.value;
			return true;

		case WT_ENCODING_DICTIONARY:
			return decode_codes(chunk, column, cursor, most);

		case WT_ENCODING_INTEGER:
			return decode_decimals(chunk, column, cursor, most);

		case WT_ENCODING_TEXT:
			return next_texts(chunk, column, cursor, most, column->n_values,
							  &column->data->texts);

		case WT_ENCODING_TEMPLATE:
			return decode_templates(chunk, column, cursor, most);

		case WT_ENCODING_UUID7:
			return decode_uuids7(chunk, column, cursor, most);

		case WT_ENCODING_UUID:
			return decode_uuids(chunk, column, cursor, most);

		case WT_ENCODING_HEX:
			return decode_hex(chunk, column, cursor, most);

		case WT_ENCODING_INSTANT:
			return decode_instants(chunk, column, cursor, most);

		default:
			return false;
	}
}

static bool
decode_digits(WtChunk *chunk, WtColumn *column, WtCursor *cursor, size_t *most)
{
	WtColumnData *data = column->data;
	return wt_templates_read_digits(chunk->own->arena, cursor, most, &data->templates) &&
		   (!data->all_wanted || wt_column_find_runs(chunk, column));
}

bool
wt_column_find_runs(WtChunk *chunk, WtColumn *column)
{
	WtColumnData *data = column->data;
	bool found =
		wt_templates_find_runs(chunk->own->arena, &chunk->own->budget, &data->templates);

	data->longest = data->templates.longest;
	return found &&
		   wt_chunk_afford(chunk, (size_t) column->n_values + 1, sizeof(uint32_t));
}

bool
wt_column_decode(WtChunk *chunk, WtColumn *column, WtBodyPlace *place, const char *bytes,
				 size_t length)
{
	WtCursor cursor = wt_cursor(bytes, length);
	size_t most = place->raw;
	bool decoded;

	/* Streams are decompressed into what they say that they take. */
	if (!wt_chunk_afford(chunk, place->raw, 1))
		return false;
	if (place == &column->data->body && column->data->wants_distinct)
		return decode_distinct(chunk, column, &cursor, &most);
	decoded = place == &column->data->digits
				  ? decode_digits(chunk, column, &cursor, &most)
				  : decode_body(chunk, column, &cursor, &most);
	place->is_there = decoded && !cursor.bad && wt_cursor_left(&cursor) == 0 && most == 0;
	return place->is_there;
}
