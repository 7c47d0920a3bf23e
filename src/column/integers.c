/*
 * integers.c
 *		Many integers, in few bytes.
 *
 * A form, in one byte, and then:
 *
 *	EQUAL			the value
 *	VARINTS			a stream of differences from one to the next, as varints
 *	PLANES			the smallest; a width; as many streams: the lowest bytes of all values
 *					above the smallest, then the next bytes, …
 *	DELTA_PLANES	the first; the same of the differences
 *
 * Planes compress better than whole integers, for the bytes of one plane are alike.
 */
#include "column/integers.h"

enum
{
	EQUAL,
	VARINTS,
	PLANES,
	DELTA_PLANES
};

/* Bytes that a value takes. */
static int
width_of(uint64_t value)
{
	int width = 0;

	for (; value > 0; value >>= 8)
		width++;
	return width;
}

static int64_t
difference(int64_t a, int64_t b)
{
	return (int64_t) ((uint64_t) a - (uint64_t) b);
}

static void
add_planes(WtIntegerPacker *packer, WtBody *body, const int64_t *values, int n,
		   bool delta)
{
	int64_t least = INT64_MAX;
	int64_t most = INT64_MIN;
	int from = delta ? 1 : 0;
	int width;

	for (int i = from; i < n; i++)
	{
		int64_t value = delta ? difference(values[i], values[i - 1]) : values[i];

		least = value < least ? value : least;
		most = value > most ? value : most;
	}
	if (n == from)
		least = most = 0;
	width = width_of((uint64_t) difference(most, least));
	wt_bytes_add_byte(&body->bytes, delta ? DELTA_PLANES : PLANES);
	if (delta)
		wt_bytes_add_varint(&body->bytes, wt_zigzag(values[0]));
	wt_bytes_add_varint(&body->bytes, wt_zigzag(least));
	wt_bytes_add_byte(&body->bytes, (uint8_t) width);
	for (int plane = 0; plane < width; plane++)
	{
		char *to;

		packer->plane.length = 0;
		to = wt_bytes_room(&packer->plane, (size_t) n);
		for (int i = from; i < n; i++)
		{
			int64_t value = delta ? difference(values[i], values[i - 1]) : values[i];

			to[i - from] = (char) ((uint64_t) difference(value, least) >> 8 * plane);
		}
		wt_stream_add(packer->compressor, body, to, (size_t) (n - from));
	}
}

static void
add_varints(WtIntegerPacker *packer, WtBody *body, const int64_t *values, int n)
{
	int64_t last = 0;

	packer->plane.length = 0;
	for (int i = 0; i < n; i++)
	{
		wt_bytes_add_varint(&packer->plane, wt_zigzag(difference(values[i], last)));
		last = values[i];
	}
	wt_bytes_add_byte(&body->bytes, VARINTS);
	wt_stream_add(packer->compressor, body, packer->plane.data, packer->plane.length);
}

void
wt_integers_add(WtIntegerPacker *packer, WtBody *body, const int64_t *values, int n)
{
	WtBody *best = &packer->tries[0];
	int equal = 1;

	if (n == 0)
		return;
	while (equal < n && values[equal] == values[0])
		equal++;
	if (equal == n)
	{
		wt_bytes_add_byte(&body->bytes, EQUAL);
		wt_bytes_add_varint(&body->bytes, wt_zigzag(values[0]));
		return;
	}
	for (int i = 0; i < 3; i++)
		wt_body_clear(&packer->tries[i]);
	add_planes(packer, &packer->tries[0], values, n, false);
	add_planes(packer, &packer->tries[1], values, n, true);
	add_varints(packer, &packer->tries[2], values, n);
	for (int i = 1; i < 3; i++)
		if (packer->tries[i].bytes.length < best->bytes.length)
			best = &packer->tries[i];
	wt_body_append(body, best);
}

bool
wt_integers_next(WtArena *arena, WtCursor *cursor, size_t *most, int64_t *values, int n)
{
	int form, width;
	uint64_t least;
	int64_t first = 0;
	int from;

	if (n == 0)
		return true;
	form = wt_cursor_byte(cursor);
	switch (form)
	{
		case EQUAL:
			first = wt_cursor_zigzag(cursor);
			for (int i = 0; i < n; i++)
				values[i] = first;
			return !cursor->bad;

		case VARINTS:
		{
			size_t length;
			const char *bytes = wt_stream_next(arena, cursor, most, &length);
			WtCursor varints;

			if (!bytes)
				return false;
			varints = wt_cursor(bytes, length);
			for (int i = 0; i < n; i++)
			{
				first =
					(int64_t) ((uint64_t) first + (uint64_t) wt_cursor_zigzag(&varints));
				values[i] = first;
			}
			return !varints.bad && wt_cursor_left(&varints) == 0;
		}

		case PLANES:
		case DELTA_PLANES:
			break;

		default:
			return false;
	}

	from = form == DELTA_PLANES ? 1 : 0;
	if (from)
		first = wt_cursor_zigzag(cursor);
	least = (uint64_t) wt_cursor_zigzag(cursor);
	width = wt_cursor_byte(cursor);
	if (cursor->bad || width > 8)
		return false;
	memset(values, 0, sizeof(*values) * (size_t) n);
	for (int plane = 0; plane < width; plane++)
	{
		size_t length;
		const char *bytes = wt_stream_next(arena, cursor, most, &length);

		if (!bytes || length != (size_t) (n - from))
			return false;
		for (int i = from; i < n; i++)
			values[i] = (int64_t) ((uint64_t) values[i] |
								   (uint64_t) (uint8_t) bytes[i - from] << 8 * plane);
	}
	if (!from)
	{
		for (int i = 0; i < n; i++)
			values[i] = (int64_t) ((uint64_t) values[i] + least);
		return true;
	}
	values[0] = first;
	for (int i = 1; i < n; i++)
		values[i] = (int64_t) ((uint64_t) values[i] + least + (uint64_t) values[i - 1]);
	return true;
}

void
wt_codes_add(WtIntegerPacker *packer, WtBody *body, const uint16_t *codes, int n,
			 int n_codes)
{
	for (int plane = 0; plane < (n_codes > 256 ? 2 : 1); plane++)
	{
		char *to;

		packer->plane.length = 0;
		to = wt_bytes_room(&packer->plane, (size_t) n + 1);
		for (int i = 0; i < n; i++)
			to[i] = (char) (codes[i] >> 8 * plane);
		wt_stream_add(packer->compressor, body, to, (size_t) n);
	}
}

bool
wt_codes_next(WtArena *arena, WtCursor *cursor, size_t *most, uint16_t *codes, int n,
			  int n_codes)
{
	uint16_t largest = 0;

	for (int plane = 0; plane < (n_codes > 256 ? 2 : 1); plane++)
	{
		size_t length;
		const char *bytes = wt_stream_next(arena, cursor, most, &length);

		if (!bytes || length != (size_t) n)
			return false;
		for (int i = 0; i < n; i++)
			codes[i] = plane ? (uint16_t) (codes[i] | (uint8_t) bytes[i] << 8)
							 : (uint8_t) bytes[i];
	}
	for (int i = 0; i < n; i++)
		largest = codes[i] > largest ? codes[i] : largest;
	return n == 0 || largest < n_codes;
}

uint32_t *
wt_codes_count(WtArena *arena, const uint16_t *codes, int n, int n_codes)
{
	/* In turns where that fits a cache: many have the same, and each count waits for the one before. */
	size_t turns = n_codes <= 256 ? 4 : 1;
	uint32_t *counts = wt_arena_zeroed(arena, (size_t) n_codes * turns, sizeof(*counts));

	for (int i = 0; i < n; i++)
		counts[codes[i] * turns + ((size_t) i & (turns - 1))]++;
	for (int code = 0; turns > 1 && code < n_codes; code++)
		counts[code] = counts[4 * code] + counts[4 * code + 1] + counts[4 * code + 2] +
					   counts[4 * code + 3];
	return counts;
}

uint32_t *
wt_narrow_codes_count(WtArena *arena, const uint8_t *codes, int n, int n_codes)
{
	uint32_t *counts = wt_arena_zeroed(arena, (size_t) n_codes * 4, sizeof(*counts));

	for (int i = 0; i < n; i++)
		counts[codes[i] * 4 + (i & 3)]++;
	for (int code = 0; code < n_codes; code++)
		counts[code] = counts[4 * code] + counts[4 * code + 1] + counts[4 * code + 2] +
					   counts[4 * code + 3];
	return counts;
}

const uint8_t *
wt_narrow_codes_next(WtArena *arena, WtCursor *cursor, size_t *most, int n, int n_codes)
{
	size_t length;
	const uint8_t *codes = (const uint8_t *) wt_stream_next(arena, cursor, most, &length);
	uint8_t largest = 0;

	if (!codes || length != (size_t) n)
		return NULL;
	for (int i = 0; i < n; i++)
		largest = codes[i] > largest ? codes[i] : largest;
	return largest < n_codes ? codes : NULL;
}
