/*
 * templates.c
 *		Texts as templates and runs of digits.
 *
 * The body: the templates as texts, and a code a value.  The digits: for each gap of each
 * template, in order, how its runs are stored, a varint of the first run's length * 4 and
 * one of these:
 *
 *	FIXED		all are as long as the first
 *	SAME		all are the first
 *	VARIOUS		each run's length follows
 *	NUMBERS		a stream of their own has differences between numbers; the length is
 *				what they are padded to with zeros, or 0 where none begins with one
 *
 * That is one stream, all digits are another, all numbers a third.
 */
#include "column/distinct.h"
#include "column/templates.h"

enum
{
	FIXED,
	SAME,
	VARIOUS,
	NUMBERS
};

/* The streams of digits. */
enum
{
	MODES,
	DIGITS,
	NUMBERS_OF_DIGITS,
	N_STREAMS
};

#define MAX_TEMPLATES 16384
#define MAX_NUMBER 18 /* digits that an int64 is sure to hold */
#define FEW 8		  /* runs for which no other form than digits is tried */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ----------------------------------------------------------------------------- texts */

void
wt_texts_add(WtIntegerPacker *packer, WtBody *body, const WtTexts *texts)
{
	size_t length = texts->start[texts->n];
	bool has_nul = false;

	for (int i = 0; i < texts->n && !has_nul; i++)
		has_nul = memchr(texts->base + texts->start[i], '\0',
						 wt_texts_length(texts, i)) != NULL;
	wt_bytes_add_byte(&body->bytes, has_nul);
	if (has_nul)
	{
		packer->plane.length = 0;
		for (int i = 0; i < texts->n; i++)
			wt_bytes_add_varint(&packer->plane, wt_texts_length(texts, i));
		wt_stream_add(packer->compressor, body, packer->plane.data, packer->plane.length);
	}
	wt_stream_add(packer->compressor, body, texts->base, length);
}

bool
wt_texts_next(WtArena *arena, WtCursor *cursor, size_t *most, int n, WtTexts *texts)
{
	uint32_t *start = wt_arena_array(arena, (size_t) n + 1, sizeof(*start));
	int with_lengths = wt_cursor_byte(cursor);
	WtCursor lengths = {0};
	size_t length;
	size_t at = 0;

	if (with_lengths > 1)
		return false;
	if (with_lengths)
	{
		const char *bytes = wt_stream_next(arena, cursor, most, &length);

		if (!bytes)
			return false;
		lengths = wt_cursor(bytes, length);
	}
	texts->n = n;
	texts->start = start;
	texts->base = wt_stream_next(arena, cursor, most, &length);
	if (!texts->base)
		return false;
	for (int i = 0; i < n; i++)
	{
		start[i] = (uint32_t) at;
		if (at >= length)
			return false;
		if (with_lengths)
		{
			at += wt_cursor_count(&lengths, length - at - 1);
			if (lengths.bad || texts->base[at] != '\0')
				return false;
		}
		else
		{
			/* There is a NUL behind the stream's end in any case. */
			const char *nul = memchr(texts->base + at, '\0', length - at);

			if (!nul)
				return false;
			at = (size_t) (nul - texts->base);
		}
		at++;
	}
	start[n] = (uint32_t) at;
	return at == length;
}

/* ------------------------------------------------------------------------- taking apart */

/* Runs of all values, in order of values; start is of each value's first. */
typedef struct Runs
{
	const char **at;
	uint32_t *length;
	uint32_t *start;
} Runs;

/* Values by template: those of template t are values[first[t]] to values[first[t + 1] - 1]. */
typedef struct Groups
{
	uint32_t *first;
	uint32_t *values; /* ascending within a template */
} Groups;

static void
group(WtArena *arena, const uint16_t *codes, int n, int n_templates, Groups *groups)
{
	uint32_t *next = wt_arena_zeroed(arena, (size_t) n_templates + 1, sizeof(*next));

	groups->first =
		wt_arena_array(arena, (size_t) n_templates + 1, sizeof(*groups->first));
	groups->values = wt_arena_array(arena, (size_t) n, sizeof(*groups->values));
	for (int i = 0; i < n; i++)
		next[codes[i] + 1]++;
	for (int i = 0; i < n_templates; i++)
		next[i + 1] += next[i];
	memcpy(groups->first, next, ((size_t) n_templates + 1) * sizeof(*next));
	for (int i = 0; i < n; i++)
		groups->values[next[codes[i]]++] = (uint32_t) i;
}

static int64_t
number_of(const char *digits, uint32_t length)
{
	int64_t value = 0;

	for (uint32_t i = 0; i < length; i++)
		value = value * 10 + (digits[i] - '0');
	return value;
}

static size_t
varint_size(uint64_t value)
{
	size_t size = 1;

	for (; value >= 0x80; value >>= 7)
		size++;
	return size;
}

/* The three streams, while they are made. */
typedef struct Streams
{
	WtBytes *modes;
	WtBytes *digits;
	WtBytes *numbers;
} Streams;

/* Whether the runs of a gap are shorter as differences of numbers than as digits. */
static bool
are_better_numbers(const Runs *runs, const Groups *groups, int template, int gap,
				   bool fixed)
{
	size_t as_digits = 0;
	size_t as_numbers = 0;
	int64_t last = 0;

	if (groups->first[template + 1] - groups->first[template] < FEW)
		return false;
	for (uint32_t i = groups->first[template]; i < groups->first[template + 1]; i++)
	{
		uint32_t run = runs->start[groups->values[i]] + (uint32_t) gap;
		int64_t value;

		if (runs->length[run] > MAX_NUMBER ||
			(!fixed && runs->length[run] > 1 && *runs->at[run] == '0'))
			return false;
		value = number_of(runs->at[run], runs->length[run]);
		as_numbers += varint_size(wt_zigzag(value - last));
		as_digits += runs->length[run] + !fixed;
		last = value;
	}
	/* Compressed, a digit takes some 0.45 bytes, a byte of a varint hardly less than one. */
	return as_numbers * 100 < as_digits * 45;
}

static void
add_gap(const Runs *runs, const Groups *groups, int template, int gap, Streams *to)
{
	uint32_t first =
		runs->start[groups->values[groups->first[template]]] + (uint32_t) gap;
	bool fixed = true;
	bool same = true;
	int mode;

	for (uint32_t i = groups->first[template]; i < groups->first[template + 1]; i++)
	{
		uint32_t run = runs->start[groups->values[i]] + (uint32_t) gap;

		fixed = fixed && runs->length[run] == runs->length[first];
		same = same && fixed &&
			   memcmp(runs->at[run], runs->at[first], runs->length[first]) == 0;
	}
	mode = same ? SAME : fixed ? FIXED : VARIOUS;
	if (!same && are_better_numbers(runs, groups, template, gap, fixed))
		mode = NUMBERS;
	wt_bytes_add_varint(
		to->modes, (uint64_t) (mode == NUMBERS && !fixed ? 0 : runs->length[first]) << 2 |
					   (uint64_t) mode);
	if (mode == NUMBERS)
	{
		int64_t last = 0;

		for (uint32_t i = groups->first[template]; i < groups->first[template + 1]; i++)
		{
			uint32_t run = runs->start[groups->values[i]] + (uint32_t) gap;
			int64_t value = number_of(runs->at[run], runs->length[run]);

			wt_bytes_add_varint(to->numbers, wt_zigzag(value - last));
			last = value;
		}
		return;
	}
	for (uint32_t i = groups->first[template]; i < groups->first[template + 1]; i++)
	{
		uint32_t run = runs->start[groups->values[i]] + (uint32_t) gap;

		if (mode == VARIOUS)
			wt_bytes_add_varint(to->modes, runs->length[run]);
		wt_bytes_add(to->digits, runs->at[run], runs->length[run]);
		if (same)
			break;
	}
}

int
wt_templates_add(WtArena *arena, WtIntegerPacker *packer, const WtTexts *texts,
				 WtBody *body, WtBody *digits)
{
	int n = texts->n;
	size_t length = texts->start[n];
	char *bytes = wt_arena_alloc(arena, length);
	uint32_t *start = wt_arena_array(arena, (size_t) n + 1, sizeof(*start));
	WtTexts stripped = {n, bytes, start};
	Runs runs;
	uint32_t n_runs = 0;
	char *to = bytes;
	uint16_t *codes;
	int *first;
	int n_templates;
	Groups groups;
	Streams streams = {&packer->tries[0].bytes, &packer->tries[1].bytes,
					   &packer->tries[2].bytes};

	/* No text has more runs than every other byte. */
	runs.start = wt_arena_array(arena, (size_t) n + 1, sizeof(*runs.start));
	for (const char *p = texts->base; p < texts->base + length; p++)
		n_runs += is_digit(*p) && (p == texts->base || !is_digit(p[-1]));
	runs.at = wt_arena_array(arena, n_runs, sizeof(*runs.at));
	runs.length = wt_arena_array(arena, n_runs, sizeof(*runs.length));
	n_runs = 0;
	for (int i = 0; i < n; i++)
	{
		const char *p = texts->base + texts->start[i];
		const char *end = p + wt_texts_length(texts, i);

		start[i] = (uint32_t) (to - bytes);
		runs.start[i] = n_runs;
		while (p < end)
		{
			const char *from = p;

			if (!is_digit(*p))
			{
				*to++ = *p++;
				continue;
			}
			while (p < end && is_digit(*p))
				p++;
			runs.at[n_runs] = from;
			runs.length[n_runs++] = (uint32_t) (p - from);
			*to++ = WT_TEMPLATE_GAP;
		}
		*to++ = '\0';
	}
	start[n] = (uint32_t) (to - bytes);
	runs.start[n] = n_runs;

	n_templates = n / 2 < MAX_TEMPLATES ? n / 2 : MAX_TEMPLATES;
	n_templates = wt_distinct(arena, &stripped, n_templates, &codes, &first);
	if (n_templates < 1)
		return -1;

	/* The templates by themselves; they are no longer than all of the stripped texts. */
	{
		char *distinct = wt_arena_alloc(arena, start[n]);
		uint32_t *distinct_start =
			wt_arena_array(arena, (size_t) n_templates + 1, sizeof(*distinct_start));
		WtTexts templates = {n_templates, distinct, distinct_start};
		uint32_t at = 0;

		for (int i = 0; i < n_templates; i++)
		{
			uint32_t size = start[first[i] + 1] - start[first[i]];

			distinct_start[i] = at;
			memcpy(distinct + at, bytes + start[first[i]], size);
			at += size;
		}
		distinct_start[n_templates] = at;
		wt_texts_add(packer, body, &templates);
	}
	wt_codes_add(packer, body, codes, n, n_templates);

	group(arena, codes, n, n_templates, &groups);
	streams.modes->length = streams.digits->length = streams.numbers->length = 0;
	for (int i = 0; i < n_templates; i++)
	{
		int n_gaps = (int) (runs.start[first[i] + 1] - runs.start[first[i]]);

		for (int gap = 0; gap < n_gaps; gap++)
			add_gap(&runs, &groups, i, gap, &streams);
	}
	wt_stream_add(packer->compressor, digits, streams.modes->data, streams.modes->length);
	wt_stream_add(packer->compressor, digits, streams.digits->data,
				  streams.digits->length);
	wt_stream_add(packer->compressor, digits, streams.numbers->data,
				  streams.numbers->length);
	return n_templates;
}

/* --------------------------------------------------------------------------- joining */

void
wt_templates_find_gaps(WtArena *arena, WtTemplates *templates)
{
	const WtTexts *texts = &templates->templates;
	uint32_t n_gaps = 0;

	for (const char *p = texts->base; p < texts->base + texts->start[texts->n]; p++)
		n_gaps += *p == WT_TEMPLATE_GAP;
	templates->first_gap =
		wt_arena_array(arena, (size_t) texts->n + 1, sizeof(*templates->first_gap));
	templates->gaps = wt_arena_array(arena, n_gaps, sizeof(*templates->gaps));
	n_gaps = 0;
	for (int i = 0; i < texts->n; i++)
	{
		WtText text = wt_texts_at(texts, i);

		templates->first_gap[i] = n_gaps;
		for (const char *p = text.text;
			 (p = memchr(p, WT_TEMPLATE_GAP, (size_t) (text.text + text.length - p)));
			 p++)
			templates->gaps[n_gaps++] = (uint32_t) (p - text.text);
	}
	templates->first_gap[texts->n] = n_gaps;
}

/* Prints a number with at least so many digits; its length. */
static uint32_t
print_number(uint64_t value, uint32_t padded, char *to)
{
	char digits[20];
	uint32_t n = 0;

	do
	{
		digits[n++] = (char) ('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (n < padded)
		digits[n++] = '0';
	for (uint32_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

/* What is left of the three streams, and of the room where numbers are printed. */
typedef struct Digits
{
	WtCursor modes;
	WtCursor digits;
	WtCursor numbers;
	const char *base;
	char *printed;
	char *printed_end;
} Digits;

static bool
read_gap(Digits *from, const Groups *groups, int template, uint32_t gap,
		 WtTemplates *templates)
{
	uint64_t mode = wt_cursor_varint(&from->modes);
	uint64_t length = mode >> 2;
	int64_t last = 0;
	const char *p = NULL;

	mode &= 3;
	if (from->modes.bad || (mode == NUMBERS ? length > MAX_NUMBER : length == 0))
		return false;
	for (uint32_t i = groups->first[template]; i < groups->first[template + 1]; i++)
	{
		WtRun *run = &templates->runs[templates->start[groups->values[i]] + gap];

		if (mode == NUMBERS)
		{
			last =
				(int64_t) ((uint64_t) last + (uint64_t) wt_cursor_zigzag(&from->numbers));
			if (from->numbers.bad || last < 0 || from->printed_end - from->printed < 20)
				return false;
			run->at = (uint32_t) (from->printed - from->base);
			run->length = print_number((uint64_t) last, (uint32_t) length, from->printed);
			from->printed += run->length;
			continue;
		}
		if (mode == VARIOUS)
			length = wt_cursor_varint(&from->modes);
		if (mode != SAME || !p)
			p = length > 0 ? wt_cursor_bytes(&from->digits, length) : NULL;
		if (!p || from->modes.bad)
			return false;
		run->at = (uint32_t) (p - from->base);
		run->length = (uint32_t) length;
	}
	return true;
}

static bool
take(size_t *budget, size_t bytes)
{
	if (bytes > *budget)
		return false;
	*budget -= bytes;
	return true;
}

bool
wt_templates_read_digits(WtArena *arena, WtCursor *cursor, size_t *most,
						 WtTemplates *templates)
{
	for (int i = 0; i < N_STREAMS; i++)
	{
		size_t length;
		const char *bytes = wt_stream_next(arena, cursor, most, &length);

		if (!bytes)
			return false;
		templates->streams[i] = wt_cursor(bytes, length);
	}
	return true;
}

bool
wt_templates_find_runs(WtArena *arena, size_t *budget, WtTemplates *templates)
{
	int n = templates->n_values;
	int n_templates = templates->templates.n;
	size_t digits_length = wt_cursor_left(&templates->streams[DIGITS]);
	size_t n_runs = 0;
	size_t printed;
	bool all_digits = true;
	uint32_t *start;
	char *base;
	Groups groups;
	Digits from;

	if (!take(budget, (size_t) n * 2 * sizeof(uint32_t)))
		return false;
	start = wt_arena_array(arena, (size_t) n + 1, sizeof(*start));
	for (int i = 0; i < n; i++)
	{
		int code = templates->codes[i];

		start[i] = (uint32_t) n_runs;
		n_runs += templates->first_gap[code + 1] - templates->first_gap[code];
		if (n_runs > *budget / sizeof(WtRun))
			return false;
	}
	start[n] = (uint32_t) n_runs;
	templates->start = start;
	if (!take(budget, n_runs * sizeof(WtRun)))
		return false;
	templates->runs = wt_arena_array(arena, n_runs, sizeof(WtRun));

	/* A number takes a byte at least where it is stored, and up to 19 where it is printed. */
	printed = wt_cursor_left(&templates->streams[NUMBERS_OF_DIGITS]) * 20;
	if (!take(budget, digits_length + printed))
		return false;
	base = wt_arena_alloc(arena, digits_length + printed + WT_STREAM_SLACK);
	memcpy(base, templates->streams[DIGITS].p, digits_length);
	from = (Digits){
		.modes = templates->streams[MODES],
		.digits = wt_cursor(base, digits_length),
		.numbers = templates->streams[NUMBERS_OF_DIGITS],
		.base = base,
		.printed = base + digits_length,
		.printed_end = base + digits_length + printed,
	};
	templates->digits = base;
	for (size_t i = 0; i < digits_length; i++)
		all_digits &= is_digit(base[i]);
	if (!all_digits)
		return false;

	group(arena, templates->codes, n, n_templates, &groups);
	for (int i = 0; i < n_templates; i++)
	{
		uint32_t n_gaps = templates->first_gap[i + 1] - templates->first_gap[i];

		for (uint32_t gap = 0; gap < n_gaps; gap++)
			if (!read_gap(&from, &groups, i, gap, templates))
				return false;
	}

	templates->longest = 0;
	templates->total = 0;
	for (int i = 0; i < n; i++)
	{
		size_t length = wt_texts_length(&templates->templates, templates->codes[i]);

		for (uint32_t run = templates->start[i]; run < templates->start[i + 1]; run++)
			length += templates->runs[run].length - 1;
		if (length > UINT32_MAX / 2)
			return false;
		templates->longest =
			length > templates->longest ? (uint32_t) length : templates->longest;
		templates->total += length + 1;
	}
	return take(budget, templates->total + templates->longest);
}

/* Most pieces are short: whole words are copied sooner than just as many bytes. */
static inline char *
copy_piece(char *to, const char *from, size_t length)
{
	memcpy(to, from, WT_STREAM_SLACK);
	if (length > WT_STREAM_SLACK)
		memcpy(to + WT_STREAM_SLACK, from + WT_STREAM_SLACK, length - WT_STREAM_SLACK);
	return to + length;
}

size_t
wt_templates_print(const WtTemplates *templates, int value, char *to)
{
	int code = templates->codes[value];
	WtText template = wt_texts_at(&templates->templates, code);
	const WtRun *run = templates->runs + templates->start[value];
	char *begin = to;
	size_t at = 0;

	for (uint32_t i = templates->first_gap[code]; i < templates->first_gap[code + 1];
		 i++, run++)
	{
		size_t gap = templates->gaps[i];

		to = copy_piece(to, template.text + at, gap - at);
		to = copy_piece(to, templates->digits + run->at, run->length);
		at = gap + 1;
	}
	return (size_t) (copy_piece(to, template.text + at, template.length - at) - begin);
}

/* -------------------------------------------------------------------------- one value */

/* A run of one value: digits as they are stored, or a number as it is printed. */
typedef struct OneRun
{
	const char *digits; /* NULL: */
	uint64_t number;
	uint32_t length; /* of a number the least */
} OneRun;

/*
 * Passes over the runs of a gap, of which there are n; into run goes the one of them that is asked
 * for, where nth is not negative.
 */
static bool
pass_gap(WtCursor streams[N_STREAMS], uint32_t n, int64_t nth, OneRun *run)
{
	WtCursor *modes = &streams[MODES], *digits = &streams[DIGITS];
	uint64_t mode = wt_cursor_varint(modes);
	uint64_t length = mode >> 2;
	int64_t last = 0;
	const char *p;

	mode &= 3;
	switch (mode)
	{
		case NUMBERS:
			for (uint32_t i = 0; i < n; i++)
			{
				last = (int64_t) ((uint64_t) last + (uint64_t) wt_cursor_zigzag(
														&streams[NUMBERS_OF_DIGITS]));
				if (i == nth)
					*run = (OneRun){NULL, (uint64_t) last, (uint32_t) length};
			}
			return length <= MAX_NUMBER && !streams[NUMBERS_OF_DIGITS].bad &&
				   (nth < 0 || (int64_t) run->number >= 0);

		case VARIOUS:
			for (uint32_t i = 0; i < n; i++)
			{
				length = wt_cursor_varint(modes);
				p = wt_cursor_bytes(digits, length);
				if (i == nth)
					*run = (OneRun){p, 0, (uint32_t) length};
			}
			break;

		default:
			for (uint32_t i = 0; i < (mode == SAME && n > 0 ? 1 : n); i++)
			{
				p = wt_cursor_bytes(digits, length);
				if (i == nth || mode == SAME)
					*run = (OneRun){p, 0, (uint32_t) length};
			}
			break;
	}
	if (modes->bad || digits->bad)
		return false;
	for (uint32_t i = 0; nth >= 0 && i < run->length; i++)
		if (!is_digit(run->digits[i]))
			return false;
	return nth < 0 || run->length > 0;
}

/* How many values each template has. */
static void
count_values(WtArena *arena, WtTemplates *templates)
{
	templates->counts = wt_arena_zeroed(arena, (size_t) templates->templates.n,
										sizeof(*templates->counts));
	for (int i = 0; i < templates->n_values; i++)
		templates->counts[templates->codes[i]]++;
}

bool
wt_templates_text(WtArena *arena, size_t *budget, WtTemplates *templates, int value,
				  WtText *text)
{
	int code = templates->codes[value];
	WtText template = wt_texts_at(&templates->templates, code);
	uint32_t first = templates->first_gap[code];
	size_t n_gaps = templates->first_gap[code + 1] - first;
	size_t length = template.length - n_gaps, at = 0;
	WtCursor streams[N_STREAMS];
	int64_t nth = 0;
	OneRun *runs, passed = {0};
	char *to;

	memcpy(streams, templates->streams, sizeof(streams));
	if (!take(budget, n_gaps * sizeof(OneRun)))
		return false;
	runs = wt_arena_array(arena, n_gaps, sizeof(*runs));
	if (!templates->counts)
		count_values(arena, templates);
	for (int i = 0; i < value; i++)
		nth += templates->codes[i] == code;
	for (uint32_t i = 0, before = 0; i < first; i++)
	{
		while (i >= templates->first_gap[before + 1])
			before++;
		if (!pass_gap(streams, templates->counts[before], -1, &passed))
			return false;
	}
	for (size_t i = 0; i < n_gaps; i++)
	{
		if (!pass_gap(streams, templates->counts[code], nth, &runs[i]))
			return false;
		length += runs[i].digits || runs[i].length > 20 ? runs[i].length : 20;
	}

	if (length > UINT32_MAX / 2 || !take(budget, length + 1))
		return false;
	text->text = to = wt_arena_alloc(arena, length + 1);
	for (size_t i = 0; i < n_gaps; i++)
	{
		size_t gap = templates->gaps[first + i];

		memcpy(to, template.text + at, gap - at);
		to += gap - at;
		at = gap + 1;
		if (runs[i].digits)
		{
			memcpy(to, runs[i].digits, runs[i].length);
			to += runs[i].length;
		}
		else
			to += print_number(runs[i].number, runs[i].length, to);
	}
	memcpy(to, template.text + at, template.length - at);
	to += template.length - at;
	*to = '\0';
	text->length = (size_t) (to - text->text);
	return true;
}
