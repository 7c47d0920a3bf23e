/*
 * encode.c
 *		Chooses the encoding of a column's values.
 *
 * What each is as bytes (body):
 *
 *	CONSTANT	a text; of integers nothing: the directory has it as the smallest
 *	DICTIONARY	the distinct texts; a code a value
 *	INTEGER		how many decimals all have; or MIXED_DECIMALS, and a stream of how many
 *				each has; or SCALED_DECIMALS, how many the longest has, that stream, and the
 *				integers are as if all had as many (1.5 beside 1.25 is 150); integers
 *	TEXT		texts
 *	TEMPLATE	templates.c
 *	UUID7		integers: the time; a stream of 7 bytes a value and one of 6 bits a value:
 *				the chance
 *	UUID		a byte, whether all are of the variant of RFC 9562, and their version; then a stream
 *				of 16 bytes a value, or of 14 and one of the 10 bits that are left
 *	HEX			bytes a value; a stream of them
 *	INSTANT		its form; whether it is as differences to the row's time; integers
 */
#include <stdlib.h>

#include "column/distinct.h"
#include "column/encode.h"
#include "column/encoding.h"
#include "column/forms.h"
#include "column/templates.h"

#define MAX_DICTIONARY 16384
#define SMALL_DICTIONARY 256 /* no other encoding is tried */
#define FEWEST_TEMPLATES 32	 /* values, to be taken apart */
#define RANGE_TEXT 24

struct WtEncoder
{
	WtArena *arena; /* of one column */
	WtIntegerPacker packer;
	WtBody others[2]; /* encodings that are compared with another */
};

WtEncoder *
wt_encoder_create(int level, WtOutOfMemory failed)
{
	WtEncoder *encoder = calloc(1, sizeof(*encoder));

	if (!encoder)
		return NULL;
	encoder->arena = wt_arena_create(failed);
	encoder->packer.compressor = wt_compressor_create(level);
	encoder->packer.plane.failed = failed;
	encoder->others[0].bytes.failed = encoder->others[1].bytes.failed = failed;
	for (int i = 0; i < 3; i++)
		encoder->packer.tries[i].bytes.failed = failed;
	if (!encoder->arena || !encoder->packer.compressor)
	{
		wt_encoder_destroy(encoder);
		return NULL;
	}
	return encoder;
}

void
wt_encoder_destroy(WtEncoder *encoder)
{
	if (!encoder)
		return;
	for (int i = 0; i < 3; i++)
		wt_bytes_free(&encoder->packer.tries[i].bytes);
	wt_bytes_free(&encoder->packer.plane);
	wt_bytes_free(&encoder->others[0].bytes);
	wt_bytes_free(&encoder->others[1].bytes);
	wt_compressor_destroy(encoder->packer.compressor);
	wt_arena_destroy(encoder->arena);
	free(encoder);
}

WtIntegerPacker *
wt_encoder_packer(WtEncoder *encoder)
{
	return &encoder->packer;
}

/* ----------------------------------------------------------------------------- ranges */

static void
set_text_range(const WtTexts *texts, const int *which, int n, WtEncoded *encoded)
{
	int least = which ? which[0] : 0;
	int most = least;

	for (int i = 1; i < n; i++)
	{
		int at = which ? which[i] : i;
		WtText text = wt_texts_at(texts, at);
		WtText other = wt_texts_at(texts, least);
		int order;

		/* The NUL behind each decides where one is the beginning of the other. */
		order = memcmp(text.text, other.text,
					   (text.length < other.length ? text.length : other.length) + 1);
		if (order < 0)
		{
			least = at;
			continue;
		}
		other = wt_texts_at(texts, most);
		order = memcmp(text.text, other.text,
					   (text.length < other.length ? text.length : other.length) + 1);
		if (order > 0)
			most = at;
	}
	encoded->has_text_range = true;
	encoded->min_text = wt_texts_at(texts, least).text;
	encoded->max_text = wt_texts_at(texts, most).text;
	encoded->max_is_cut = wt_texts_length(texts, most) > RANGE_TEXT;
	encoded->min_length = (uint8_t) (wt_texts_length(texts, least) > RANGE_TEXT
										 ? RANGE_TEXT
										 : wt_texts_length(texts, least));
	encoded->max_length =
		(uint8_t) (encoded->max_is_cut ? RANGE_TEXT : wt_texts_length(texts, most));
}

static void
widen_range(WtEncoded *encoded, WtDecimal decimal)
{
	if (!encoded->has_range)
		encoded->min = encoded->max = decimal;
	else if (wt_decimal_compare(decimal, encoded->min) < 0)
		encoded->min = decimal;
	else if (wt_decimal_compare(decimal, encoded->max) > 0)
		encoded->max = decimal;
	encoded->has_range = true;
}

/* -------------------------------------------------------------------------- encodings */

static void
encode_integers(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded)
{
	for (int i = 0; i < values->n; i++)
		widen_range(encoded, (WtDecimal){values->integers[i], 0});
	if (encoded->min.value == encoded->max.value)
	{
		encoded->encoding = WT_ENCODING_CONSTANT;
		encoded->n_distinct = 1;
		return;
	}
	encoded->encoding = WT_ENCODING_INTEGER;
	wt_bytes_add_byte(&encoded->body.bytes, 0);
	wt_integers_add(&encoder->packer, &encoded->body, values->integers, values->n);
}

/* The distinct texts, and codes where there is more than one. */
static void
add_dictionary(WtEncoder *encoder, const WtValues *values, int n_distinct,
			   const uint16_t *codes, const int *first, WtBody *body)
{
	const WtTexts *texts = &values->texts;
	uint32_t *start =
		wt_arena_array(encoder->arena, (size_t) n_distinct + 1, sizeof(*start));
	size_t length = 0;
	char *bytes;
	uint32_t at = 0;

	for (int i = 0; i < n_distinct; i++)
		length += wt_texts_length(texts, first[i]) + 1;
	bytes = wt_arena_alloc(encoder->arena, length);
	for (int i = 0; i < n_distinct; i++)
	{
		size_t size = wt_texts_length(texts, first[i]) + 1;

		start[i] = at;
		memcpy(bytes + at, wt_texts_at(texts, first[i]).text, size);
		at += (uint32_t) size;
	}
	start[n_distinct] = at;
	wt_texts_add(&encoder->packer, body, &(WtTexts){n_distinct, bytes, start});
	if (n_distinct > 1)
		wt_codes_add(&encoder->packer, body, codes, values->n, n_distinct);
}

/*
 * Where a trailing zero is not written, numbers that are near each other would be far apart as
 * integers: so they are scaled, where all of them fit.
 */
static void
add_mixed_decimals(int n, const char *decimals, int64_t *integers, WtBody *body)
{
	int most = 0;
	int64_t scaled;
	bool fit = true;

	for (int i = 0; i < n; i++)
		most = decimals[i] > most ? decimals[i] : most;
	for (int i = 0; i < n && fit; i++)
		fit = wt_decimal_scale((WtDecimal){integers[i], decimals[i]}, most, &scaled);
	if (!fit)
	{
		wt_bytes_add_byte(&body->bytes, WT_MIXED_DECIMALS);
		return;
	}
	wt_bytes_add_byte(&body->bytes, WT_SCALED_DECIMALS);
	wt_bytes_add_byte(&body->bytes, (uint8_t) most);
	for (int i = 0; i < n; i++)
		wt_decimal_scale((WtDecimal){integers[i], decimals[i]}, most, &integers[i]);
}

static bool
encode_numbers(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded,
			   WtBody *body)
{
	int64_t *integers =
		wt_arena_array(encoder->arena, (size_t) values->n, sizeof(*integers));
	char *decimals = wt_arena_alloc(encoder->arena, (size_t) values->n);
	bool mixed = false;

	for (int i = 0; i < values->n; i++)
	{
		WtText text = wt_texts_at(&values->texts, i);
		WtDecimal decimal;

		if (!wt_decimal_parse(text.text, text.length, &decimal))
		{
			encoded->has_range = false;
			return false;
		}
		integers[i] = decimal.value;
		decimals[i] = (char) decimal.decimals;
		mixed = mixed || decimals[i] != decimals[0];
		widen_range(encoded, decimal);
	}
	if (!mixed)
		wt_bytes_add_byte(&body->bytes, (uint8_t) decimals[0]);
	else
		add_mixed_decimals(values->n, decimals, integers, body);
	if (mixed)
		wt_stream_add(encoder->packer.compressor, body, decimals, (size_t) values->n);
	wt_integers_add(&encoder->packer, body, integers, values->n);
	return true;
}

/* Of a dictionary, which no other encoding has looked at. */
static void
set_number_range(const WtTexts *texts, const int *which, int n, WtEncoded *encoded)
{
	for (int i = 0; i < n; i++)
	{
		WtText text = wt_texts_at(texts, which[i]);
		WtDecimal decimal;

		if (!wt_decimal_parse(text.text, text.length, &decimal))
		{
			encoded->has_range = false;
			return;
		}
		widen_range(encoded, decimal);
	}
}

static bool
encode_instants(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded)
{
	WtBody *body = &encoded->body;
	int64_t *units = wt_arena_array(encoder->arena, (size_t) values->n, sizeof(*units));
	int64_t *distances =
		wt_arena_array(encoder->arena, (size_t) values->n, sizeof(*distances));
	WtText text = wt_texts_at(&values->texts, 0);
	WtInstantForm form;
	WtBody *other = &encoder->others[0];

	if (!values->times || !wt_instant_form(text.text, text.length, &form))
		return false;
	for (int i = 0; i < values->n; i++)
	{
		text = wt_texts_at(&values->texts, i);
		if (!wt_instant_parse(text.text, text.length, &form, &units[i]))
			return false;
		distances[i] =
			(int64_t) ((uint64_t) units[i] -
					   (uint64_t) wt_instant_of_time(values->times[i], form.decimals));
	}
	encoded->encoding = WT_ENCODING_INSTANT;
	wt_bytes_add_byte(&body->bytes, (uint8_t) form.separator);
	wt_bytes_add_byte(&body->bytes, form.decimals);
	wt_bytes_add_byte(&body->bytes, form.suffix_length);
	wt_bytes_add(&body->bytes, form.suffix, form.suffix_length);
	wt_body_clear(other);
	wt_bytes_add_byte(&other->bytes, true);
	wt_integers_add(&encoder->packer, other, distances, values->n);
	if (other->bytes.length > 64)
	{
		WtBody *plain = &encoder->others[1];

		wt_body_clear(plain);
		wt_bytes_add_byte(&plain->bytes, false);
		wt_integers_add(&encoder->packer, plain, units, values->n);
		/* Without the time it is read faster: unless that gains, let it be. */
		wt_body_append(body,
					   plain->bytes.length <= other->bytes.length + 64 ? plain : other);
	}
	else
		wt_body_append(body, other);
	return true;
}

/* Appends fields of so many bits (at most 16), one after the other, the lowest bits first. */
static void
add_bits(WtEncoder *encoder, WtBody *body, const uint16_t *fields, int n, int bits)
{
	size_t length = wt_packed_size(n, bits);
	char *packed = wt_arena_zeroed(encoder->arena, length, 1);
	uint32_t held = 0;
	int n_held = 0;
	char *to = packed;

	for (int i = 0; i < n; i++)
	{
		held |= (uint32_t) fields[i] << n_held;
		for (n_held += bits; n_held >= 8; n_held -= 8, held >>= 8)
			*to++ = (char) held;
	}
	if (n_held > 0)
		*to = (char) held;
	wt_stream_add(encoder->packer.compressor, body, packed, length);
}

static bool
encode_uuids(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded)
{
	WtBody *body = &encoded->body;
	size_t n = (size_t) values->n;
	uint8_t(*uuids)[16] = wt_arena_array(encoder->arena, n, sizeof(*uuids));
	int64_t *ticks = wt_arena_array(encoder->arena, n, sizeof(*ticks));
	char *bytes = wt_arena_array(encoder->arena, n, 16);
	uint16_t *rest = wt_arena_array(encoder->arena, n, sizeof(*rest));
	bool all_of_7 = true;
	bool all_alike = true;

	for (size_t i = 0; i < n; i++)
	{
		WtText text = wt_texts_at(&values->texts, (int) i);
		uint64_t chance;

		if (!wt_uuid_parse(text.text, text.length, uuids[i]))
			return false;
		if (all_of_7 && wt_uuid7_split(uuids[i], &ticks[i], &chance))
		{
			char whole[8];

			wt_store64(whole, chance);
			memcpy(bytes + i * 7, whole, 7);
			rest[i] = (uint8_t) whole[7];
		}
		else
			all_of_7 = false;
		all_alike =
			all_alike && uuids[i][8] >> 6 == 2 && uuids[i][6] >> 4 == uuids[0][6] >> 4;
	}
	if (all_of_7)
	{
		encoded->encoding = WT_ENCODING_UUID7;
		wt_integers_add(&encoder->packer, body, ticks, values->n);
		wt_stream_add(encoder->packer.compressor, body, bytes, n * 7);
		add_bits(encoder, body, rest, values->n, WT_UUID7_BITS);
		return true;
	}
	encoded->encoding = WT_ENCODING_UUID;
	wt_bytes_add_byte(&body->bytes,
					  all_alike ? (uint8_t) (WT_UUIDS_ALIKE | uuids[0][6] >> 4) : 0);
	if (!all_alike)
	{
		wt_stream_add(encoder->packer.compressor, body, (char *) uuids, n * 16);
		return true;
	}
	for (size_t i = 0; i < n; i++)
	{
		char *to = bytes + i * 14;

		memcpy(to, uuids[i], 6);
		to[6] = (char) uuids[i][7];
		memcpy(to + 7, uuids[i] + 9, 7);
		rest[i] = (uint16_t) ((uuids[i][6] & 15) | (uuids[i][8] & 63) << 4);
	}
	wt_stream_add(encoder->packer.compressor, body, bytes, n * 14);
	add_bits(encoder, body, rest, values->n, WT_UUID_BITS);
	return true;
}

static bool
encode_hex(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded)
{
	size_t length = wt_texts_length(&values->texts, 0);
	uint8_t *bytes;

	if (length % 2 != 0 || length == 0 || length / 2 > WT_HEX_MAX)
		return false;
	bytes = wt_arena_array(encoder->arena, (size_t) values->n, length / 2);
	for (int i = 0; i < values->n; i++)
	{
		WtText text = wt_texts_at(&values->texts, i);

		if (text.length != length ||
			!wt_hex_parse(text.text, length, bytes + (size_t) i * (length / 2)))
			return false;
	}
	encoded->encoding = WT_ENCODING_HEX;
	wt_bytes_add_varint(&encoded->body.bytes, length / 2);
	wt_stream_add(encoder->packer.compressor, &encoded->body, (char *) bytes,
				  (size_t) values->n * (length / 2));
	return true;
}

/* --------------------------------------------------------------------------- choosing */

bool
wt_encode_wants_times(const WtValues *values)
{
	WtInstantForm form;
	WtText text;

	if (values->kind != WT_KIND_STRING || values->n == 0)
		return false;
	text = wt_texts_at(&values->texts, 0);
	return wt_instant_form(text.text, text.length, &form);
}

/*
 * Numbers that have a dictionary of some size may be shorter as integers; the dictionary is
 * read faster, so that they must gain a tenth.
 */
static void
encode_repeated_numbers(WtEncoder *encoder, const WtValues *values, int n_distinct,
						const uint16_t *codes, const int *first, WtEncoded *encoded)
{
	WtBody *integers = &encoder->others[0];

	wt_body_clear(integers);
	add_dictionary(encoder, values, n_distinct, codes, first, &encoded->body);
	if (encode_numbers(encoder, values, encoded, integers) &&
		integers->bytes.length + integers->bytes.length / 8 < encoded->body.bytes.length)
	{
		wt_body_clear(&encoded->body);
		wt_body_append(&encoded->body, integers);
		encoded->encoding = WT_ENCODING_INTEGER;
	}
	else
	{
		encoded->encoding = WT_ENCODING_DICTIONARY;
		encoded->n_distinct = n_distinct;
	}
}

static void
encode_texts(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded)
{
	int most = values->n / 4 + 16 < MAX_DICTIONARY ? values->n / 4 + 16 : MAX_DICTIONARY;
	bool are_strings = values->kind == WT_KIND_STRING;
	uint16_t *codes;
	int *first;
	int n_distinct;

	/* Before the dictionary: most take no bytes at all. */
	if (are_strings && encode_instants(encoder, values, encoded))
	{
		set_text_range(&values->texts, NULL, values->n, encoded);
		return;
	}
	n_distinct = wt_distinct(encoder->arena, &values->texts, most, &codes, &first);
	if (n_distinct > 0)
	{
		if (are_strings)
			set_text_range(&values->texts, first, n_distinct, encoded);
		if (values->kind == WT_KIND_NUMBER && n_distinct > SMALL_DICTIONARY)
		{
			encode_repeated_numbers(encoder, values, n_distinct, codes, first, encoded);
			return;
		}
		if (values->kind == WT_KIND_NUMBER)
			set_number_range(&values->texts, first, n_distinct, encoded);
		encoded->encoding =
			n_distinct == 1 ? WT_ENCODING_CONSTANT : WT_ENCODING_DICTIONARY;
		encoded->n_distinct = n_distinct;
		add_dictionary(encoder, values, n_distinct, codes, first, &encoded->body);
		return;
	}
	if (are_strings)
		set_text_range(&values->texts, NULL, values->n, encoded);
	if (values->kind == WT_KIND_NUMBER)
	{
		if (encode_numbers(encoder, values, encoded, &encoded->body))
		{
			encoded->encoding = WT_ENCODING_INTEGER;
			return;
		}
	}
	else if (are_strings && (encode_uuids(encoder, values, encoded) ||
							 encode_hex(encoder, values, encoded)))
		return;
	if (values->kind != WT_KIND_NUMBER && values->n >= FEWEST_TEMPLATES)
	{
		encoded->n_distinct =
			wt_templates_add(encoder->arena, &encoder->packer, &values->texts,
							 &encoded->body, &encoded->digits);
		if (encoded->n_distinct > 0)
		{
			encoded->encoding = WT_ENCODING_TEMPLATE;
			return;
		}
	}
	encoded->encoding = WT_ENCODING_TEXT;
	wt_texts_add(&encoder->packer, &encoded->body, &values->texts);
}

void
wt_encode(WtEncoder *encoder, const WtValues *values, WtEncoded *encoded)
{
	wt_body_clear(&encoded->body);
	wt_body_clear(&encoded->digits);
	encoded->encoding = WT_ENCODING_NONE;
	encoded->n_distinct = -1;
	encoded->has_range = encoded->has_text_range = encoded->max_is_cut = false;
	if (values->n == 0 || values->kind == WT_KIND_NULL || values->kind == WT_KIND_EMPTY)
		return;
	if (wt_kind_is_integer(values->kind))
		encode_integers(encoder, values, encoded);
	else
		encode_texts(encoder, values, encoded);
	wt_arena_reset(encoder->arena);
}
