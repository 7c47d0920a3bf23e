/*
 * column_values.c
 *		Gives out the values of a column.  Nothing here can fail: what was decoded is sound, and
 *		of what was not there are no values: empty texts, no codes.
 */
#include "column/chunk_data.h"
#include "column/encoding.h"
#include "column/integers.h"

/* ------------------------------------------------------------------------------- rows */

const WtShape *
wt_chunk_shapes(WtChunk *chunk, int *n_shapes)
{
	*n_shapes = chunk->own->shapes_place.is_there ? chunk->own->n_shapes : 0;
	return chunk->own->shapes;
}

const uint16_t *
wt_chunk_row_shapes(WtChunk *chunk)
{
	return chunk->own->row_shapes;
}

/* Which rows of a set there are, of those that have one of its shapes. */
static void
fill_row_set(WtChunk *chunk, WtRowSet *set, const uint8_t *has)
{
	const uint16_t *row_shapes = chunk->own->row_shapes;
	int32_t before = 0;

	for (int from = 0; from < chunk->n_rows; from += 64)
	{
		int n = chunk->n_rows - from < 64 ? chunk->n_rows - from : 64;
		uint64_t word = 0;

		for (int i = 0; i < n; i++)
			word |= (uint64_t) has[row_shapes[from + i]] << i;
		set->bits[from / 64] = word;
		set->bits_before[from / 64] = before;
		before += __builtin_popcountll(word);
	}
}

/* The rows that have a column; made once for all columns that the same shapes have. */
static WtRowSet *
rows_of(WtChunk *chunk, int column)
{
	WtChunkParts *own = chunk->own;
	WtColumnData *data = chunk->columns[column].data;
	size_t n_words = ((size_t) chunk->n_rows + 63) / 64;
	size_t n_shape_words = ((size_t) own->n_shapes + 63) / 64;
	const uint16_t *shapes = NULL;
	uint64_t *which;
	uint8_t *has;
	WtRowSet *set;
	int n = 0;

	if (data->rows)
		return data->rows;
	which = wt_arena_zeroed(own->arena, n_shape_words, sizeof(*which));
	if (own->shapes_place.is_there)
	{
		shapes = own->column_shapes + own->first_shape[column];
		n = (int) (own->first_shape[column + 1] - own->first_shape[column]);
	}
	for (int i = 0; i < n; i++)
		which[shapes[i] / 64] |= (uint64_t) 1 << shapes[i] % 64;
	for (set = own->row_sets; set; set = set->next)
		if (set->n_shapes == n &&
			memcmp(set->shapes, which, n_shape_words * sizeof(*which)) == 0)
			break;
	if (!set)
	{
		set = wt_arena_zeroed(own->arena, 1, sizeof(*set));
		set->n_shapes = n;
		set->shapes = which;
		set->bits = wt_arena_zeroed(own->arena, n_words, sizeof(*set->bits));
		set->bits_before =
			wt_arena_zeroed(own->arena, n_words, sizeof(*set->bits_before));
		if (n > 0)
		{
			has = wt_arena_zeroed(own->arena, (size_t) own->n_shapes, sizeof(*has));
			for (int i = 0; i < n; i++)
				has[shapes[i]] = 1;
			fill_row_set(chunk, set, has);
		}
		set->next = own->row_sets;
		own->row_sets = set;
	}
	/* Before the shapes are there, it has no rows, which is not to be remembered. */
	if (own->shapes_place.is_there)
		data->rows = set;
	return set;
}

static inline bool
has_row(const WtRowSet *set, int row)
{
	return set->bits[row / 64] >> row % 64 & 1;
}

int
wt_column_rank(WtChunk *chunk, int column, int row)
{
	const WtColumn *c = &chunk->columns[column];
	const WtRowSet *set;
	uint64_t word;

	if (c->n_values == chunk->n_rows)
		return row;
	set = rows_of(chunk, column);
	word = set->bits[row / 64];
	if (!(word >> row % 64 & 1))
		return -1;
	return set->bits_before[row / 64] +
		   __builtin_popcountll(word & (((uint64_t) 1 << row % 64) - 1));
}

const int32_t *
wt_column_ranks(WtChunk *chunk, int column)
{
	WtRowSet *set;
	int32_t rank = 0;

	if (chunk->columns[column].n_values == chunk->n_rows)
		return NULL;
	set = rows_of(chunk, column);
	if (set->ranks)
		return set->ranks;
	set->ranks =
		wt_arena_array(chunk->own->arena, (size_t) chunk->n_rows, sizeof(*set->ranks));
	for (int row = 0; row < chunk->n_rows; row++)
	{
		int32_t has = has_row(set, row);

		/* rank where it has one, else -1: without a branch, for none could be foretold. */
		set->ranks[row] = (rank + 1) * has - 1;
		rank += has;
	}
	return set->ranks;
}

const uint16_t *
wt_column_value_codes(WtChunk *chunk, int column)
{
	const WtColumn *c = &chunk->columns[column];
	WtColumnData *data = c->data;
	size_t n = (size_t) c->n_values;
	uint16_t *codes;

	if (data->codes || !data->has_codes)
		return data->codes;
	/* One more, as column_decode.c has it. */
	codes = wt_arena_array(chunk->own->arena, n + 1, sizeof(*codes));
	if (!data->narrow)
		memset(codes, 0, (n + 1) * sizeof(*codes));
	else
		for (size_t i = 0; i <= n; i++)
			codes[i] = data->narrow[i];
	return data->codes = codes;
}

const uint8_t *
wt_column_narrow_codes(WtChunk *chunk, int column)
{
	return chunk->columns[column].data->narrow;
}

/* The code of a value, of CONSTANT and DICTIONARY. */
static inline int
code_of(const WtColumnData *data, size_t value)
{
	return data->narrow ? data->narrow[value] : data->codes ? data->codes[value] : 0;
}

const uint32_t *
wt_column_code_counts(WtChunk *chunk, int column)
{
	const WtColumn *c = &chunk->columns[column];
	WtColumnData *data = c->data;

	if (!data->code_counts && data->has_codes && c->encoding != WT_ENCODING_TEMPLATE)
		data->code_counts =
			data->narrow
				? wt_narrow_codes_count(chunk->own->arena, data->narrow, c->n_values,
										c->n_distinct)
				: wt_codes_count(chunk->own->arena, wt_column_value_codes(chunk, column),
								 c->n_values, c->n_distinct);
	return data->code_counts;
}

const uint16_t *
wt_column_row_codes(WtChunk *chunk, int column)
{
	WtColumn *c = &chunk->columns[column];
	WtColumnData *data = c->data;
	const uint16_t *codes;
	const WtRowSet *set;
	int value = 0;

	if (!data->has_codes || data->row_codes)
		return data->row_codes;
	if (c->n_values < chunk->n_rows && !chunk->own->shapes_place.is_there)
		return NULL;
	codes = wt_column_value_codes(chunk, column);
	if (c->n_values == chunk->n_rows)
		return codes;
	set = rows_of(chunk, column);
	data->row_codes = wt_arena_array(chunk->own->arena, (size_t) chunk->n_rows,
									 sizeof(*data->row_codes));
	for (int row = 0; row < chunk->n_rows; row++)
	{
		int has = has_row(set, row);

		/* There is a code behind the last, so that this needs no branch either. */
		data->row_codes[row] = (uint16_t) (codes[value] | (has - 1));
		value += has;
	}
	return data->row_codes;
}

/* ----------------------------------------------------------------------------- values */

static const WtTexts no_texts = {0, "", (const uint32_t[]){0}};

WtTexts
wt_column_distinct(WtChunk *chunk, int column)
{
	const WtColumnData *data = chunk->columns[column].data;

	return data->has_codes || data->has_distinct ? data->texts : no_texts;
}

/* Whether all that a value's text is made of is there. */
static bool
are_there(const WtColumn *column)
{
	return column->data->body.is_there &&
		   (column->encoding != WT_ENCODING_TEMPLATE || column->data->templates.runs);
}

/* Instants that are stored as differences to their rows' times become themselves. */
static void
make_absolute(WtChunk *chunk, WtColumn *column)
{
	WtColumnData *data = column->data;
	const int64_t *times = chunk->columns[0].data->integers;
	const WtRowSet *set = NULL;
	int value = 0;

	if (!data->is_relative || !times ||
		(column->n_values < chunk->n_rows && !chunk->own->shapes_place.is_there))
		return;
	if (column->n_values < chunk->n_rows)
		set = rows_of(chunk, data->index);
	for (int row = 0; row < chunk->n_rows && value < column->n_values; row++)
		if (!set || has_row(set, row))
		{
			data->integers[value] = (int64_t) ((uint64_t) data->integers[value] +
											   (uint64_t) wt_instant_of_time(
												   times[row], data->instant.decimals));
			value++;
		}
	data->is_relative = false;
}

/*
 * Writes a value's text, at most `longest` bytes, of encodings that have none ready; it may
 * write over WT_STREAM_SLACK bytes behind it.
 */
static size_t
print_value(const WtColumn *column, int value, char *to)
{
	WtColumnData *data = column->data;
	uint8_t uuid[16];

	switch (column->encoding)
	{
		case WT_ENCODING_CONSTANT:
		case WT_ENCODING_INTEGER:
			return wt_decimal_print(
				(WtDecimal){data->integers[value], data->mixed_decimals
													   ? data->mixed_decimals[value]
													   : data->decimals},
				to);
		case WT_ENCODING_TEMPLATE:
			return wt_templates_print(&data->templates, value, to);
		case WT_ENCODING_UUID7:
			wt_uuid7_join(data->integers[value], data->chances[value], uuid);
			wt_uuid_print(uuid, to);
			return WT_UUID_LENGTH;
		case WT_ENCODING_UUID:
			wt_uuid_print(data->packed + (size_t) value * 16, to);
			return WT_UUID_LENGTH;
		case WT_ENCODING_HEX:
			wt_hex_print(data->packed + (size_t) value * data->width, data->width, to);
			return data->width * 2;
		case WT_ENCODING_INSTANT:
			wt_instant_print(data->integers[value], &data->instant, &data->printed, to);
			return wt_instant_length(&data->instant);
		default:
			return 0;
	}
}

WtText
wt_column_text(WtChunk *chunk, int column, int value)
{
	WtColumn *c = &chunk->columns[column];
	WtColumnData *data = c->data;
	size_t length;

	if (c->encoding == WT_ENCODING_TEMPLATE && data->digits.is_there &&
		!data->templates.runs)
	{
		WtText text = {NULL, 0};

		wt_templates_text(chunk->own->arena, &chunk->own->budget, &data->templates, value,
						  &text);
		return text;
	}
	if (!are_there(c) || c->encoding == WT_ENCODING_NONE)
		return (WtText){"", 0};
	if (data->has_codes && c->encoding != WT_ENCODING_TEMPLATE)
		return wt_texts_at(&data->texts, code_of(data, (size_t) value));
	if (c->encoding == WT_ENCODING_TEXT)
		return wt_texts_at(&data->texts, value);
	if (!data->scratch)
		data->scratch =
			wt_arena_alloc(chunk->own->arena, data->longest + 1 + WT_STREAM_SLACK);
	if (c->encoding == WT_ENCODING_INSTANT)
		make_absolute(chunk, c);
	length = print_value(c, value, data->scratch);
	data->scratch[length] = '\0';
	return (WtText){data->scratch, length};
}

WtTexts
wt_column_texts(WtChunk *chunk, int column)
{
	WtColumn *c = &chunk->columns[column];
	WtColumnData *data = c->data;
	size_t n = (size_t) c->n_values;
	size_t most = 0;
	uint32_t *start;
	char *base;
	uint32_t at = 0;

	if (!are_there(c) || data->all.start)
		return data->all.start ? data->all : no_texts;
	if (c->encoding == WT_ENCODING_TEXT)
		return data->all = data->texts;
	if (c->encoding == WT_ENCODING_NONE)
		most = n;
	else if (c->encoding == WT_ENCODING_TEMPLATE)
		most = data->templates.total;
	else if (data->has_codes)
	{
		const uint32_t *counts = wt_column_code_counts(chunk, column);

		for (int code = 0; code < c->n_distinct; code++)
			most += counts[code] * (wt_texts_length(&data->texts, code) + 1);
		/* Of the others it was asked when they were decoded. */
		if (!wt_chunk_afford(chunk, most, 1) ||
			!wt_chunk_afford(chunk, n + 1, sizeof(*start)))
			return no_texts;
	}
	else
		most = n * (data->longest + 1);
	if (c->encoding == WT_ENCODING_INSTANT)
		make_absolute(chunk, c);

	start = wt_arena_array(chunk->own->arena, n + 1, sizeof(*start));
	base = wt_arena_alloc(chunk->own->arena, most + WT_STREAM_SLACK);
	for (size_t i = 0; i < n; i++)
	{
		start[i] = at;
		if (data->has_codes && c->encoding != WT_ENCODING_TEMPLATE)
		{
			WtText text = wt_texts_at(&data->texts, code_of(data, i));

			memcpy(base + at, text.text, text.length);
			at += (uint32_t) text.length;
		}
		else
			at += (uint32_t) print_value(c, (int) i, base + at);
		base[at++] = '\0';
	}
	start[n] = at;
	return data->all = (WtTexts){(int) n, base, start};
}

int
wt_column_gaps(WtChunk *chunk, int column, int value)
{
	const WtColumnData *data = chunk->columns[column].data;

	if (!data->templates.runs)
		return 0;
	return (int) (data->templates.start[value + 1] - data->templates.start[value]);
}

WtText
wt_column_gap(WtChunk *chunk, int column, int value, int gap)
{
	const WtTemplates *templates = &chunk->columns[column].data->templates;
	const WtRun *run = &templates->runs[templates->start[value] + (uint32_t) gap];

	return (WtText){templates->digits + run->at, run->length};
}

const int64_t *
wt_column_integers(WtChunk *chunk, int column, const uint8_t **decimals)
{
	WtColumn *c = &chunk->columns[column];

	if (c->encoding == WT_ENCODING_INSTANT)
		make_absolute(chunk, c);
	if (decimals)
		*decimals = c->data->mixed_decimals;
	return c->data->integers;
}

int
wt_column_decimals(const WtChunk *chunk, int column)
{
	const WtColumnData *data = chunk->columns[column].data;

	return chunk->columns[column].encoding == WT_ENCODING_INSTANT ? data->instant.decimals
																  : data->decimals;
}

void
wt_column_uuid(WtChunk *chunk, int column, int value, uint8_t uuid[16])
{
	const WtColumn *c = &chunk->columns[column];

	if (c->encoding == WT_ENCODING_UUID7 && are_there(c))
		wt_uuid7_join(c->data->integers[value], c->data->chances[value], uuid);
	else if (c->encoding == WT_ENCODING_UUID && are_there(c))
		memcpy(uuid, c->data->packed + (size_t) value * 16, 16);
	else
		memset(uuid, 0, 16);
}

/* ----------------------------------------------------------------------------- finding */

static int
find_code(const WtColumn *column, int from, const char *text, size_t length)
{
	const WtColumnData *data = column->data;
	int code = 0;

	for (; code < data->texts.n; code++)
		if (wt_texts_length(&data->texts, code) == length &&
			memcmp(data->texts.base + data->texts.start[code], text, length) == 0)
			break;
	if (code == data->texts.n)
		return -1;
	if (data->narrow)
	{
		const uint8_t *found =
			memchr(data->narrow + from, code, (size_t) (column->n_values - from));

		return found ? (int) (found - data->narrow) : -1;
	}
	for (int i = from; i < column->n_values; i++)
		if (code_of(data, (size_t) i) == code)
			return i;
	return -1;
}

static int
find_text(const WtColumn *column, int from, const char *text, size_t length)
{
	const WtTexts *texts = &column->data->texts;

	for (int i = from; i < column->n_values; i++)
		if (wt_texts_length(texts, i) == length &&
			memcmp(texts->base + texts->start[i], text, length) == 0)
			return i;
	return -1;
}

static int
find_decimal(const WtColumn *column, int from, const char *text, size_t length)
{
	const WtColumnData *data = column->data;
	WtDecimal decimal;

	if (!wt_decimal_parse(text, length, &decimal))
	{
		/* Times and extra integers may have a digit more. */
		for (int i = from; i < column->n_values; i++)
		{
			char printed[WT_FORM_MAX + WT_STREAM_SLACK];

			if (print_value(column, i, printed) == length &&
				memcmp(printed, text, length) == 0)
				return i;
		}
		return -1;
	}
	for (int i = from; i < column->n_values; i++)
		if (data->integers[i] == decimal.value &&
			(data->mixed_decimals ? data->mixed_decimals[i] : data->decimals) ==
				decimal.decimals)
			return i;
	return -1;
}

static int
find_packed(const WtColumn *column, int from, const uint8_t *packed)
{
	const WtColumnData *data = column->data;

	for (int i = from; i < column->n_values; i++)
		if (memcmp(data->packed + (size_t) i * data->width, packed, data->width) == 0)
			return i;
	return -1;
}

static int
find_template(const WtColumn *column, int from, const char *text, size_t length)
{
	const WtTemplates *templates = &column->data->templates;

	for (int i = from; i < column->n_values; i++)
	{
		int code = templates->codes[i];
		WtText template = wt_texts_at(&templates->templates, code);
		const WtRun *run = templates->runs + templates->start[i];
		size_t at = 0;	 /* in the text */
		size_t done = 0; /* of the template */
		bool equal = true;

		for (uint32_t gap = templates->first_gap[code];
			 equal && gap < templates->first_gap[code + 1]; gap++, run++)
		{
			size_t piece = templates->gaps[gap] - done;

			equal =
				length - at >= piece + run->length &&
				memcmp(text + at, template.text + done, piece) == 0 &&
				memcmp(text + at + piece, templates->digits + run->at, run->length) == 0;
			at += piece + run->length;
			done = templates->gaps[gap] + 1;
		}
		if (equal && length - at == template.length - done &&
			memcmp(text + at, template.text + done, length - at) == 0)
			return i;
	}
	return -1;
}

int
wt_column_find(WtChunk *chunk, int column, int from, const char *text, size_t length)
{
	WtColumn *c = &chunk->columns[column];
	const WtColumnData *data = c->data;
	uint8_t packed[WT_HEX_MAX];
	int64_t units;
	uint64_t chance;

	if (!are_there(c) || from >= c->n_values)
		return -1;
	switch (c->encoding)
	{
		case WT_ENCODING_NONE:
			return length == 0 ? from : -1;
		case WT_ENCODING_CONSTANT:
			return data->has_codes ? find_code(c, from, text, length)
								   : find_decimal(c, from, text, length);
		case WT_ENCODING_DICTIONARY:
			return find_code(c, from, text, length);
		case WT_ENCODING_TEXT:
			return find_text(c, from, text, length);
		case WT_ENCODING_INTEGER:
			return find_decimal(c, from, text, length);
		case WT_ENCODING_TEMPLATE:
			return find_template(c, from, text, length);
		case WT_ENCODING_UUID:
			return wt_uuid_parse(text, length, packed) ? find_packed(c, from, packed)
													   : -1;
		case WT_ENCODING_HEX:
			return length == data->width * 2 && wt_hex_parse(text, length, packed)
					   ? find_packed(c, from, packed)
					   : -1;
		case WT_ENCODING_UUID7:
			if (!wt_uuid_parse(text, length, packed) ||
				!wt_uuid7_split(packed, &units, &chance))
				return -1;
			for (int i = from; i < c->n_values; i++)
				if (data->integers[i] == units && data->chances[i] == chance)
					return i;
			return -1;
		case WT_ENCODING_INSTANT:
			if (!wt_instant_parse(text, length, &data->instant, &units))
				return -1;
			make_absolute(chunk, c);
			for (int i = from; i < c->n_values; i++)
				if (data->integers[i] == units)
					return i;
			return -1;
		default:
			return -1;
	}
}

/* -------------------------------------------------------------------------------- UTF-8 */

/* The length of the character at p, which has so many bytes left; 0: it is none. */
static size_t
character(const uint8_t *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2)
		return 0;
	if (p[0] < 0xE0)
		return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
	if (p[0] < 0xF0)
	{
		if (left < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 ||
			(p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))
			return 0;
		return 3;
	}
	if (p[0] > 0xF4 || left < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 ||
		(p[3] & 0xC0) != 0x80 || (p[0] == 0xF0 && p[1] < 0x90) ||
		(p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return 4;
}

bool
wt_is_utf8(const char *text, size_t length)
{
	const uint8_t *p = (const uint8_t *) text;
	const uint8_t *end = p + length;

	while (p < end)
	{
		size_t n;

		while (end - p >= 8 && (wt_load64(p) & 0x8080808080808080u) == 0)
			p += 8;
		if (p == end)
			break;
		n = character(p, (size_t) (end - p));
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

bool
wt_column_is_utf8(WtChunk *chunk, int column)
{
	WtColumnData *data = chunk->columns[column].data;

	/* All other encodings print nothing but ASCII; the parts of instants are looked at. */
	if (!data->utf8_known)
	{
		data->is_utf8 = true;
		if (data->texts.start)
			data->is_utf8 =
				wt_is_utf8(data->texts.base, data->texts.start[data->texts.n]);
		else if (chunk->columns[column].encoding == WT_ENCODING_INSTANT)
			data->is_utf8 = (data->instant.separator & 0x80) == 0 &&
							wt_is_utf8(data->instant.suffix, data->instant.suffix_length);
		data->utf8_known = data->body.is_there;
	}
	return data->is_utf8;
}
