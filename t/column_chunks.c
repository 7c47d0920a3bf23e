/*
 * column_chunks.c
 *		Chunks of columns (src/column/) are written and read back, without PostgreSQL.
 *
 *		column_chunks SEED ROUNDS [DIRECTORY]
 *
 * Each round makes rows of a kind of its own, keeps what they were, writes them as a chunk,
 * and asks the reader for all of it in every way there is.  Then what is damaged must be
 * refused, with a sentence.  Ends with 1 at the first thing that does not hold, and says
 * which seed and round show it.
 *
 * With a directory it puts a small chunk of each round there, not compressed, as seed for
 * fuzz/column.c, which says what such a file is.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column/bytes.h"
#include "column/chunk_reader.h"
#include "column/chunk_writer.h"
#include "column/crc.h"
#include "column/overlay.h"

#include "chance.h"

static unsigned long seed;
static int round_number;
static const char *seeds; /* where they go, or NULL */

#define CHECK(condition, ...)                                                            \
	do                                                                                   \
	{                                                                                    \
		if (!(condition))                                                                \
			complain(__LINE__, #condition, __VA_ARGS__);                                 \
	} while (0)

static void __attribute__((format(printf, 3, 4), noreturn))
complain(int line, const char *condition, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "seed %lu, round %d, line %d: does not hold: %s: ", seed,
			round_number, line, condition);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ----------------------------------------------------------------------- what was written */

/* A value that a row had: of an extra column, or a leaf. */
typedef struct Value
{
	int extra; /* or -1 */
	char path[256];
	WtKind kind;
	char *bytes;
	size_t length;
	int64_t integer;
} Value;

typedef struct Row
{
	int64_t time;
	int n;
	Value values[96];
} Row;

#define MAX_ROWS 3000

static Row *rows;
static int n_rows;

static Value *
keep(Row *row, int extra, const char *path, WtKind kind, const char *bytes, size_t length)
{
	Value *value = &row->values[row->n++];

	value->extra = extra;
	snprintf(value->path, sizeof(value->path), "%s", path);
	value->kind = kind;
	value->bytes = malloc(length + 1);
	memcpy(value->bytes, bytes, length);
	value->bytes[length] = '\0';
	value->length = length;
	return value;
}

static void
forget_rows(void)
{
	for (int i = 0; i < n_rows; i++)
		for (int k = 0; k < rows[i].n; k++)
			free(rows[i].values[k].bytes);
	n_rows = 0;
}

/* ------------------------------------------------------------------------------- values */

/* What the values of a column are like, by the number of the column in its round. */
typedef enum Like
{
	CONSTANT,
	FEW,
	SMALL_INTEGERS,
	COUNTER,
	DECIMALS,
	FLOATS,
	MIXED,
	HUGE_NUMBERS,
	UUIDS7,
	UUIDS4,
	UUIDS_ODD,
	HEX,
	HEX_OR_NOT,
	TIMES,
	TIMES_NEAR,
	MESSAGES,
	WORDS,
	BYTES,
	ARRAYS,
	LONG,
	EMPTY_TEXTS,
	BOOLEANS,
	NULLS,
	EMPTIES,
	N_LIKES
} Like;

static const char *const spices[] = {"",  "0", "00", "\"", "\\", "\x01", "Köln", "世界",
									 "🚀", " ", "%",	 "\n", "'",	 "a",	 "-0",	 "1e5"};

static WtKind
kind_of(Like like)
{
	return like == BOOLEANS									? WT_KIND_BOOLEAN
		   : like == NULLS									? WT_KIND_NULL
		   : like == EMPTIES								? WT_KIND_EMPTY
		   : like == ARRAYS									? WT_KIND_JSON
		   : like >= SMALL_INTEGERS && like <= HUGE_NUMBERS ? WT_KIND_NUMBER
															: WT_KIND_STRING;
}

static int
print_instant(char *to, int64_t time, int decimals, const char *suffix)
{
	/* A day is enough: the calendar is checked by itself. */
	int64_t us = ((time % 86400000000) + 86400000000) % 86400000000;
	int n = sprintf(to, "2026-11-26T%02d:%02d:%02d", (int) (us / 3600000000),
					(int) (us / 60000000 % 60), (int) (us / 1000000 % 60));
	char fraction[16];

	if (decimals)
	{
		sprintf(fraction, "%06d000", (int) (us % 1000000));
		n += sprintf(to + n, ".%.*s", decimals, fraction);
	}
	return n + sprintf(to + n, "%s", suffix);
}

static size_t
make_value(Like like, int row, int64_t time, char *to)
{
	uint64_t r = any();
	static const char *const messages[] = {"Connection from %d.%d closed by port %d",
										   "session %d opened",
										   "took %d ms, %d bytes%d",
										   "%d%d%d",
										   "no digits at all",
										   "user alice logged in at 0%d, 00%d",
										   "Grüße %d 世界 %d",
										   "blk_-%d%d terminating"};

	switch (like)
	{
		case CONSTANT:
			return (size_t) sprintf(to, "always %d", round_number);
		case FEW:
			return (size_t) sprintf(to, "one of few %d", (int) (r % 9));
		case SMALL_INTEGERS:
			return (size_t) sprintf(to, "%d", (int) (r % 5000) - 1000);
		case COUNTER:
			return (size_t) sprintf(to, "%d", row * 3 + 100000 + (int) (r % 3));
		case DECIMALS:
			return (size_t) sprintf(to, "%d.%03d", (int) (r % 700),
									(int) (r >> 33 & 511));
		case FLOATS:
		{
			/* As they are printed without trailing zeros. */
			int n = sprintf(to, "%d.%06d", 1760000000 + row, (int) (r % 1000) * 1000);

			while (to[n - 1] == '0' || to[n - 1] == '.')
				if (to[--n] == '.')
					break;
			return (size_t) n;
		}
		case MIXED:
			if (r % 3 == 0)
				return (size_t) sprintf(to, "-%d.5%0*d", (int) (r % 100),
										(int) (r >> 8 & 7) + 1, 0);
			return (size_t) sprintf(to, "%llu",
									(unsigned long long) (r % 999999999999999999));
		case HUGE_NUMBERS:
			return (size_t) sprintf(to, "%llu%llu.%0*d",
									(unsigned long long) (r % 900 + 1),
									(unsigned long long) r, (int) (r >> 20 & 31) + 1, 0);
		case UUIDS7:
			return (size_t) sprintf(to, "0190a5c3-%04x-7%03x-%x%03x-%012llx",
									row / 4096 & 0xFFFF, row % 4096, (int) (8 + r % 4),
									(int) (r >> 50 & 0xFFF),
									(unsigned long long) (r & 0xFFFFFFFFFFFF));
		case UUIDS4:
			return (size_t) sprintf(
				to, "%08x-%04x-4%03x-%x%03x-%012llx", (unsigned) (r >> 32),
				(int) (r >> 16 & 0xFFFF), (int) (r & 0xFFF), (int) (8 + r % 4),
				(int) (r >> 50 & 0xFFF), (unsigned long long) (any() & 0xFFFFFFFFFFFF));
		case UUIDS_ODD:
			return (size_t) sprintf(to, "%08x-%04x-%04x-%04x-%012llx",
									(unsigned) (r >> 32), (int) (r >> 16 & 0xFFFF),
									(int) (r & 0xFFFF), (int) (r >> 40 & 0xFFFF),
									(unsigned long long) (any() & 0xFFFFFFFFFFFF));
		case HEX:
			return (size_t) sprintf(to, "%016llx", (unsigned long long) r);
		case HEX_OR_NOT:
			return (size_t) sprintf(to, r % 100 ? "%016llx" : "%016llX",
									(unsigned long long) r);
		case TIMES:
			return (size_t) print_instant(to, (int64_t) (r >> 8), round_number % 10,
										  round_number % 3 ? "Z" : "+02:00");
		case TIMES_NEAR:
			return (size_t) print_instant(to, time, 6, "+00:00");
		case MESSAGES:
			return (size_t) sprintf(to, messages[r % 8], (int) (r >> 8) % 256, row,
									(int) (r >> 40) % 70000);
		case WORDS:
		{
			size_t n = 0;

			for (int i = (int) (r % 9); i >= 0; i--)
			{
				const char *word = spices[any() % (sizeof(spices) / sizeof(*spices))];

				memcpy(to + n, word, strlen(word));
				n += strlen(word);
			}
			return n;
		}
		case BYTES:
			for (int i = 0; i < (int) (r % 40); i++)
				to[i] = (char) (1 + any() % 255);
			return r % 40;
		case ARRAYS:
			return (size_t) sprintf(to, "[%d, {\"a\": \"%llx\"}, %d.50]", (int) (r % 9),
									(unsigned long long) r, row);
		case LONG:
		{
			size_t n = r % 10000;

			memset(to, 'a' + row % 26, n);
			return n;
		}
		case BOOLEANS:
			return (size_t) sprintf(to, r & 1 ? "true" : "false");
		default:
			return 0;
	}
}

/* ------------------------------------------------------------------------------ writing */

typedef struct Part
{
	int number;
	char *bytes;
	size_t length;
} Part;

static Part parts[5000];
static int n_parts;

static bool
put(void *arg, int part, const char *bytes, size_t length)
{
	(void) arg;
	CHECK(part == (part ? n_parts + 1 : 0), "part %d after %d", part, n_parts);
	parts[n_parts].number = part;
	/* With not one byte to spare, for who looks for reads beyond. */
	parts[n_parts].bytes = malloc(length);
	memcpy(parts[n_parts].bytes, bytes, length);
	parts[n_parts++].length = length;
	return true;
}

static void
forget_parts(void)
{
	for (int i = 0; i < n_parts; i++)
		free(parts[i].bytes);
	n_parts = 0;
}

static Part *
part_of(int number)
{
	for (int i = 0; i < n_parts; i++)
		if (parts[i].number == number)
			return &parts[i];
	complain(__LINE__, "part", "there is no part %d", number);
}

/* Keys as jsonb orders them. */
static int
compare_keys(const char *a, const char *b)
{
	return strlen(a) != strlen(b) ? (strlen(a) < strlen(b) ? -1 : 1) : strcmp(a, b);
}

typedef struct Leaf
{
	const char *group; /* a key above, or NULL */
	char key[16];
	Like like;
	int of_hundred; /* rows that have it */
} Leaf;

static int
compare_leaves(const void *a, const void *b)
{
	const Leaf *x = a;
	const Leaf *y = b;
	int order = compare_keys(x->group ? x->group : x->key, y->group ? y->group : y->key);

	return order ? order : compare_keys(x->key, y->key);
}

static void
write_rows(WtChunkWriter *writer, int extras[3], int32_t chunk)
{
	static const char *const groups[] = {NULL, NULL, "headers", "json", ""};
	static char bytes[20000];
	int n_leaves = 1 + below(seeds ? 12 : 60);
	int wanted = round_number % 5 == 0 || seeds ? 1 + below(60) : 1 + below(MAX_ROWS);
	int64_t time = round_number % 11 == 0 ? INT64_MIN : (int64_t) (any() >> 12);
	Leaf leaves[60];
	WtColumnError error;

	for (int i = 0; i < n_leaves; i++)
	{
		leaves[i].group = groups[below(5)];
		snprintf(leaves[i].key, sizeof(leaves[i].key), "%.*sk%d", below(4), "abc", i);
		leaves[i].like = (Like) below(N_LIKES);
		leaves[i].of_hundred = below(3) ? 100 : below(101);
	}
	qsort(leaves, (size_t) n_leaves, sizeof(*leaves), compare_leaves);
	for (int i = 0; i < wanted; i++)
	{
		Row *row = &rows[n_rows];
		char path[256];
		int64_t number = below(4) ? 200 : (int64_t) any();
		bool whole = below(50) == 0;
		bool forgotten = below(60) == 0;

		memset(row, 0, sizeof(*row));
		if (time > INT64_MIN && time < INT64_MAX)
			time += below(3) ? 0 : below(1000000);
		else if (i == wanted / 2)
			time = INT64_MAX;
		row->time = time;
		wt_chunk_writer_begin_row(writer, time);
		if (below(10))
		{
			wt_chunk_writer_extra_int(writer, extras[0], number);
			keep(row, 0, "", WT_KIND_EXTRA_INT, "", 0)->integer = number;
		}
		for (int k = 0; k < n_leaves; k++)
		{
			Leaf *leaf = &leaves[k];
			WtKind kind = kind_of(leaf->like);
			size_t length;
			int at = WT_PATH_ROOT;

			if (below(100) >= leaf->of_hundred)
				continue;
			/* Now and then another kind, at the same path. */
			if (below(500) == 0)
				kind = WT_KIND_NULL;
			length = kind == WT_KIND_NULL ? 0 : make_value(leaf->like, i, time, bytes);
			if (leaf->group)
				at = wt_chunk_writer_path(writer, at, leaf->group, strlen(leaf->group));
			at = wt_chunk_writer_path(writer, at, leaf->key, strlen(leaf->key));
			CHECK(at > 0, "no path");
			CHECK(wt_chunk_writer_value(writer, at, kind, bytes, length), "no value");
			CHECK(!wt_chunk_writer_value(writer, at, kind, bytes, length), "twice");
			if (leaf->group)
				snprintf(path, sizeof(path), "/%s/%s", leaf->group, leaf->key);
			else
				snprintf(path, sizeof(path), "/%s", leaf->key);
			if (!whole)
				keep(row, -1, path, kind, bytes, length);
		}
		if (whole)
		{
			int n = sprintf(bytes, "{\"whole\": %d}", below(1000));

			wt_chunk_writer_keep_whole(writer, bytes, (size_t) n);
			keep(row, -1, "", WT_KIND_WHOLE, bytes, (size_t) n);
		}
		if (below(3))
		{
			size_t n = make_value(MESSAGES, i, time, bytes);

			wt_chunk_writer_extra(writer, extras[1], bytes, n);
			keep(row, 1, "", WT_KIND_EXTRA, bytes, n);
		}
		if (round_number % 3 && below(20) == 0)
		{
			/* An extra column's bytes may be any. */
			size_t n = make_value(BYTES, i, time, bytes);

			bytes[n / 2] = '\0';
			n = n ? n : 1;
			wt_chunk_writer_extra(writer, extras[2], bytes, n);
			keep(row, 2, "", WT_KIND_EXTRA, bytes, n);
		}
		if (!forgotten || below(2))
			wt_chunk_writer_end_row(writer);
		if (forgotten)
		{
			wt_chunk_writer_forget_row(writer);
			for (int k = 0; k < row->n; k++)
				free(row->values[k].bytes);
			continue;
		}
		n_rows++;
	}
	CHECK(wt_chunk_writer_rows(writer) == n_rows, "%d rows",
		  wt_chunk_writer_rows(writer));
	if (n_rows > 0)
		CHECK(wt_chunk_writer_finish(writer, chunk, put, NULL, &error), "%s", error.text);
	else
		CHECK(!wt_chunk_writer_finish(writer, chunk, put, NULL, &error) && *error.text,
			  "said");
}

/* ------------------------------------------------------------------------------ reading */

static void
want(WtChunk *chunk, int column, WtWant extent)
{
	WtColumnError error;
	int numbers[WT_PARTS_OF_COLUMN];
	int n = wt_column_parts(chunk, column, extent, numbers, &error);

	CHECK(n >= 0, "%s", error.text);
	for (int i = 0; i < n; i++)
	{
		Part *part = part_of(numbers[i]);

		CHECK(wt_chunk_part_size(chunk, part->number) == part->length, "part %d",
			  part->number);
		CHECK(wt_chunk_add_part(chunk, part->number, part->bytes, part->length, &error),
			  "%s", error.text);
	}
	CHECK(wt_column_parts(chunk, column, extent, numbers, &error) == 0, "all is there");
}

static void
path_text(const WtChunk *chunk, int path, char *to)
{
	if (path <= 0)
	{
		*to = '\0';
		return;
	}
	path_text(chunk, chunk->paths[path].parent, to);
	sprintf(to + strlen(to), "/%.*s", (int) chunk->paths[path].key_length,
			chunk->paths[path].key);
}

static bool
is_text(WtText text, const char *bytes, size_t length)
{
	return text.length == length && memcmp(text.text, bytes, length) == 0 &&
		   text.text[length] == '\0';
}

/* One value in all the ways in which it can be asked for. */
static void
check_value(WtChunk *chunk, int column, int row, int rank, const Value *value)
{
	const WtColumn *c = &chunk->columns[column];
	WtText text;
	WtTexts texts;
	const uint16_t *codes;
	int found;

	CHECK(rank >= 0, "row %d has no value in column %d", row, column);
	CHECK(c->kind == value->kind, "row %d, column %d", row, column);
	if (c->kind == WT_KIND_EXTRA_INT)
	{
		const uint8_t *decimals;

		CHECK(wt_column_integers(chunk, column, &decimals)[rank] == value->integer,
			  "row %d", row);
		CHECK(c->min.value <= value->integer && c->max.value >= value->integer, "row %d",
			  row);
		return;
	}
	text = wt_column_text(chunk, column, rank);
	CHECK(is_text(text, value->bytes, value->length),
		  "row %d, column %d, encoding %d: '%.*s' instead of '%.*s'", row, column,
		  c->encoding, (int) text.length, text.text, (int) value->length, value->bytes);
	texts = wt_column_texts(chunk, column);
	CHECK(texts.n == c->n_values, "%d texts", texts.n);
	CHECK(is_text(wt_texts_at(&texts, rank), value->bytes, value->length),
		  "row %d, column %d, encoding %d", row, column, c->encoding);
	codes = wt_column_row_codes(chunk, column);
	if (codes && c->encoding != WT_ENCODING_TEMPLATE)
	{
		WtTexts distinct = wt_column_distinct(chunk, column);

		CHECK(is_text(wt_texts_at(&distinct, codes[row]), value->bytes, value->length),
			  "code");
	}
	if (c->encoding == WT_ENCODING_TEMPLATE)
	{
		WtTexts templates = wt_column_distinct(chunk, column);
		WtText template = wt_texts_at(&templates, codes[row]);
		const char *p = value->bytes;
		int gap = 0;

		for (size_t i = 0; i < template.length; i++)
		{
			if (template.text[i] == WT_TEMPLATE_GAP)
			{
				WtText digits = wt_column_gap(chunk, column, rank, gap++);

				CHECK(memcmp(p, digits.text, digits.length) == 0, "digits");
				p += digits.length;
			}
			else
				CHECK(*p++ == template.text[i], "template");
		}
		CHECK(gap == wt_column_gaps(chunk, column, rank), "gaps");
	}
	if (row % 7 == 0)
	{
		found = wt_column_find(chunk, column, 0, value->bytes, value->length);
		CHECK(found >= 0 && found <= rank, "row %d, column %d is found: %d", row, column,
			  found);
		texts = wt_column_texts(chunk, column);
		CHECK(is_text(wt_texts_at(&texts, found), value->bytes, value->length),
			  "found another");
		CHECK(wt_column_find(chunk, column, rank, value->bytes, value->length) == rank,
			  "found");
	}
	if (c->has_text_range)
	{
		size_t n = value->length < c->min_length ? value->length : c->min_length;
		int order = memcmp(value->bytes, c->min_text, n);

		CHECK(order > 0 || (order == 0 && value->length >= c->min_length),
			  "below the smallest");
		n = value->length < c->max_length ? value->length : c->max_length;
		order = memcmp(value->bytes, c->max_text, n);
		CHECK(order < 0 ||
				  (order == 0 && (value->length <= c->max_length || c->max_is_cut)),
			  "above the largest");
	}
}

/* What is told of a column's codes before, and after, they are there. */
static void
want_in_steps(WtChunk *chunk, int column)
{
	const WtColumn *c = &chunk->columns[column];
	WtTexts before, distinct;
	const uint32_t *counts;
	const uint16_t *codes;
	uint32_t *counted;

	want(chunk, column, WT_WANT_DISTINCT);
	before = wt_column_distinct(chunk, column);
	want(chunk, column, below(2) ? WT_WANT_CODES : WT_WANT_VALUES);
	distinct = wt_column_distinct(chunk, column);
	counts = wt_column_code_counts(chunk, column);
	codes = wt_column_value_codes(chunk, column);
	CHECK((counts != NULL) == (codes != NULL && c->encoding != WT_ENCODING_TEMPLATE),
		  "column %d has counts", column);
	if (!counts)
		return;
	CHECK(before.n == c->n_distinct && distinct.n == c->n_distinct, "%d and %d texts",
		  before.n, distinct.n);
	counted = calloc((size_t) distinct.n, sizeof(*counted));
	for (int value = 0; value < c->n_values; value++)
		counted[codes[value]]++;
	for (int code = 0; code < distinct.n; code++)
	{
		WtText text = wt_texts_at(&distinct, code);

		CHECK(counts[code] > 0 && counts[code] == counted[code], "code %d: %u of %u",
			  code, counts[code], counted[code]);
		CHECK(is_text(wt_texts_at(&before, code), text.text, text.length), "code %d",
			  code);
	}
	free(counted);
}

/* A value that is read by itself is what it is among all. */
static void
read_few(WtChunk *chunk, int column)
{
	int n = chunk->columns[column].n_values;
	char copies[3][512];
	int values[3];
	size_t lengths[3];

	want(chunk, column, WT_WANT_FEW);
	for (int i = 0; i < 3 && n > 0; i++)
	{
		WtText text = wt_column_text(chunk, column, values[i] = below(n));

		CHECK(text.text && text.text[text.length] == '\0', "column %d, value %d", column,
			  values[i]);
		lengths[i] = text.length;
		memcpy(copies[i], text.text,
			   text.length < sizeof(copies[i]) ? text.length : sizeof(copies[i]));
	}
	want(chunk, column, WT_WANT_VALUES);
	for (int i = 0; i < 3 && n > 0; i++)
	{
		WtText text = wt_column_text(chunk, column, values[i]);

		CHECK(text.length == lengths[i] &&
				  memcmp(text.text, copies[i],
						 text.length < sizeof(copies[i]) ? text.length
														 : sizeof(copies[i])) == 0,
			  "column %d, value %d", column, values[i]);
	}
}

static void
read_rows(WtArena *arena, int32_t number)
{
	WtColumnError error;
	Part *directory = part_of(WT_PART_DIRECTORY);
	WtChunk *chunk =
		wt_chunk_open(arena, directory->bytes, directory->length, number, &error);
	static int column_of_extra[3];
	const WtShape *shapes;
	const uint16_t *row_shapes;
	const int64_t *times;
	int n_shapes;
	int *next;

	CHECK(chunk, "%s", error.text);
	CHECK(chunk->n_rows == n_rows, "%d rows", chunk->n_rows);
	CHECK(chunk->n_parts == n_parts - 1, "%d parts", chunk->n_parts);
	CHECK(chunk->n_extras == 3, "%d extra columns", chunk->n_extras);
	column_of_extra[0] = wt_chunk_find_extra(chunk, "status", 6);
	column_of_extra[1] = wt_chunk_find_extra(chunk, "note", 4);
	column_of_extra[2] = wt_chunk_find_extra(chunk, "blob", 4);
	CHECK(wt_chunk_find_extra(chunk, "blo", 3) == -1, "a column that is none");
	want(chunk, WT_COLUMN_SHAPES, WT_WANT_VALUES);
	for (int i = 0; i < chunk->n_columns; i++)
	{
		/* Before all that they want is there, they are asked for in vain, but in safety. */
		wt_column_texts(chunk, i);
		if (chunk->columns[i].n_values > 0)
			wt_column_text(chunk, i, 0);
		wt_column_find(chunk, i, 0, "a", 1);
		if (below(2))
			want(chunk, i, below(2) ? WT_WANT_ROWS : WT_WANT_CODES);
		else if (below(2))
		{
			want(chunk, i, WT_WANT_DISTINCT);
			wt_column_texts(chunk, i);
			wt_column_find(chunk, i, 0, "a", 1);
			want_in_steps(chunk, i);
		}
		if (below(2))
			read_few(chunk, i);
		want(chunk, i, WT_WANT_VALUES);
	}
	shapes = wt_chunk_shapes(chunk, &n_shapes);
	row_shapes = wt_chunk_row_shapes(chunk);
	times = wt_column_integers(chunk, 0, NULL);
	next = calloc((size_t) chunk->n_columns, sizeof(*next));
	for (int i = 0; i < n_rows; i++)
	{
		const Row *row = &rows[i];
		const WtShape *shape = &shapes[row_shapes[i]];
		int n = 0;

		CHECK(times[i] == row->time, "row %d", i);
		CHECK(chunk->first_time <= times[i] && chunk->last_time >= times[i], "row %d", i);
		CHECK(row->n == shape->n_columns + shape->n_extras,
			  "row %d has %d values instead of %d", i, shape->n_columns + shape->n_extras,
			  row->n);
		for (int k = 0; k < row->n; k++)
		{
			const Value *value = &row->values[k];
			int column =
				value->extra >= 0 ? column_of_extra[value->extra] : shape->columns[n++];
			int rank = wt_column_rank(chunk, column, i);
			const int32_t *ranks;
			char path[512];

			CHECK(rank == next[column], "row %d, column %d", i, column);
			next[column]++;
			path_text(chunk, chunk->columns[column].path, path);
			CHECK(strcmp(path, value->path) == 0, "row %d: %s instead of %s", i, path,
				  value->path);
			ranks = wt_column_ranks(chunk, column);
			CHECK((ranks ? ranks[i] : i) == rank, "row %d, column %d", i, column);
			check_value(chunk, column, i, rank, value);
		}
	}
	for (int i = 1; i < chunk->n_columns; i++)
	{
		const WtColumn *c = &chunk->columns[i];

		CHECK(next[i] == c->n_values, "column %d has %d values", i, c->n_values);
		if (c->path >= 0)
		{
			CHECK(wt_chunk_find_column(chunk, c->path, c->kind) == i, "column %d", i);
			if (c->path > 0)
				CHECK(wt_chunk_find_path(chunk, chunk->paths[c->path].parent,
										 chunk->paths[c->path].key,
										 chunk->paths[c->path].key_length) == c->path,
					  "path %d", c->path);
		}
	}
	free(next);
	CHECK(wt_arena_used(arena) < ((size_t) 1 << 30), "%zu bytes", wt_arena_used(arena));
}

/* The directory, then the other parts, each without its checksum and behind its length. */
static void
write_seed(void)
{
	char name[4096];
	FILE *file;

	snprintf(name, sizeof(name), "%s/%lu-%d", seeds, seed, round_number);
	file = fopen(name, "wb");
	CHECK(file && putc('c', file) != EOF, "cannot write %s", name);
	for (int i = -1; i < n_parts - 1; i++)
	{
		Part *part = i < 0 ? part_of(WT_PART_DIRECTORY) : &parts[i];
		char length[2];

		wt_store16(length, (uint16_t) (part->length - WT_CHECKSUM_SIZE));
		fwrite(length, 1, sizeof(length), file);
		fwrite(part->bytes, 1, part->length - WT_CHECKSUM_SIZE, file);
	}
	CHECK(fclose(file) == 0, "cannot write %s", name);
}

/* Any bit that is flipped is noticed, and so are parts that are cut off or another's. */
static void
read_damaged(WtArena *arena, int32_t number)
{
	WtColumnError error;

	for (int i = 0; i < 50; i++)
	{
		Part *part = &parts[below(n_parts)];
		Part *directory = part_of(WT_PART_DIRECTORY);
		size_t at = any() % part->length;
		size_t length = part->length;
		char bit = (char) (1 << below(8));
		WtChunk *chunk;
		int how = below(3);

		wt_arena_reset(arena);
		chunk = wt_chunk_open(arena, directory->bytes, directory->length, number, &error);
		CHECK(chunk, "%s", error.text);
		if (how == 0)
			part->bytes[at] ^= bit;
		else if (how == 1)
			length = at;
		error.text[0] = '\0';
		if (part->number == WT_PART_DIRECTORY)
			CHECK(!wt_chunk_open(arena, part->bytes, length,
								 how == 2 ? number + 1 : number, &error),
				  "damage to the directory, %d", how);
		else if (how == 2)
			CHECK(n_parts < 3 ||
					  !wt_chunk_add_part(chunk, part->number % (n_parts - 1) + 1,
										 part->bytes, length, &error),
				  "part %d for another", part->number);
		else
			CHECK(!wt_chunk_add_part(chunk, part->number, part->bytes, length, &error),
				  "damage to part %d, %d", part->number, how);
		CHECK(*error.text || (how == 2 && n_parts < 3), "a sentence");
		if (how == 0)
			part->bytes[at] ^= bit;
	}
	wt_arena_reset(arena);
}

/* ------------------------------------------------------------------------------- overlays */

static void
check_overlays(WtArena *arena)
{
	int n = 1 + below(20000);
	WtDeleted deleted, deleted_again;
	WtStatuses statuses, statuses_again;
	WtNumbers origins = {0}, origins_again;
	WtColumnError error;
	const char *bytes;
	char *copy;
	size_t length;
	int share = 1 + below(1000);
	bool plain = below(2);

	wt_deleted_init(arena, n, &deleted);
	wt_statuses_init(arena, n, &statuses);
	for (int i = 0; i < n; i++)
	{
		if (below(1000) < share)
			CHECK(wt_deleted_add(&deleted, i) && !wt_deleted_add(&deleted, i), "row %d",
				  i);
		if (below(1000) < share)
			wt_statuses_set(&statuses, i, plain ? 404 : (int64_t) any(), below(9) == 0);
	}
	bytes = wt_deleted_write(arena, &deleted, 7, &length);
	CHECK(length < (size_t) n / 8 + 32, "%zu bytes for %d rows", length, n);
	copy = malloc(length);
	memcpy(copy, bytes, length);
	CHECK(wt_deleted_read(arena, copy, length, 7, n, &deleted_again, &error), "%s",
		  error.text);
	CHECK(deleted.n_deleted == deleted_again.n_deleted &&
			  memcmp(deleted.bits, deleted_again.bits, ((size_t) n + 7) / 8) == 0,
		  "deleted rows");
	CHECK(!wt_deleted_read(arena, copy, length, 8, n, &deleted_again, &error),
		  "another chunk's");
	CHECK(!wt_deleted_read(arena, copy, length, 7, n + 1, &deleted_again, &error),
		  "rows");
	CHECK(!wt_statuses_read(arena, copy, length, 7, n, &statuses_again, &error),
		  "other part");
	free(copy);

	bytes = wt_statuses_write(arena, &statuses, 7, &length);
	copy = malloc(length);
	memcpy(copy, bytes, length);
	CHECK(wt_statuses_read(arena, copy, length, 7, n, &statuses_again, &error), "%s",
		  error.text);
	CHECK(statuses.n_changed == statuses_again.n_changed, "%d", statuses_again.n_changed);
	for (int i = 0; i < n; i++)
		CHECK(statuses.values[i] == statuses_again.values[i] &&
				  wt_overlay_bit(statuses.changed, i) ==
					  wt_overlay_bit(statuses_again.changed, i) &&
				  wt_overlay_bit(statuses.null, i) ==
					  wt_overlay_bit(statuses_again.null, i),
			  "row %d", i);
	CHECK(!wt_statuses_read(arena, copy, length - 1, 7, n, &statuses_again, &error),
		  "cut off");
	free(copy);

	origins.rows = wt_arena_zeroed(arena, (size_t) n, sizeof(int));
	origins.numbers = wt_arena_zeroed(arena, (size_t) n, sizeof(uint64_t));
	for (int i = 0; i < n; i++)
		if (below(1000) < share)
		{
			origins.rows[origins.n] = i;
			origins.numbers[origins.n++] = plain ? 1000 + (uint64_t) below(9) : any();
		}
	bytes = wt_origins_write(arena, &origins, n, 7, &length);
	copy = malloc(length);
	memcpy(copy, bytes, length);
	CHECK(wt_origins_read(arena, copy, length, 7, n, &origins_again, &error), "%s",
		  error.text);
	CHECK(origins.n == origins_again.n, "%d", origins_again.n);
	for (int i = 0; i < origins.n; i++)
		CHECK(origins.rows[i] == origins_again.rows[i] &&
				  origins.numbers[i] == origins_again.numbers[i],
			  "row %d", i);
	CHECK(!wt_origins_read(arena, copy, length, 7, n + 1, &origins_again, &error),
		  "rows");
	free(copy);
	wt_arena_reset(arena);
}

/* --------------------------------------------------------------------------------- limits */

static WtChunk *
finish_and_open(WtChunkWriter *writer, WtArena *arena)
{
	WtColumnError error;
	WtChunk *chunk;

	forget_parts();
	CHECK(wt_chunk_writer_finish(writer, 1, put, NULL, &error), "%s", error.text);
	wt_arena_reset(arena);
	chunk = wt_chunk_open(arena, part_of(0)->bytes, part_of(0)->length, 1, &error);
	CHECK(chunk, "%s", error.text);
	for (int i = WT_COLUMN_SHAPES; i < chunk->n_columns; i++)
		want(chunk, i, WT_WANT_VALUES);
	return chunk;
}

static bool
refuse(void *arg, int part, const char *bytes, size_t length)
{
	(void) part;
	(void) bytes;
	(void) length;
	++*(int *) arg;
	return false;
}

/* More columns and paths than there may be, and deeper ones: such rows are kept whole. */
static void
check_columns(WtChunkWriter *writer, WtArena *arena)
{
	WtChunk *chunk;
	int n_whole = 0;
	int column;
	int path = WT_PATH_ROOT;
	int depth = 0;
	char key[16];
	int n;

	for (int row = 0; row < 5000; row++)
	{
		n = sprintf(key, "k%d", row);
		wt_chunk_writer_begin_row(writer, row);
		path = wt_chunk_writer_path(writer, WT_PATH_ROOT, key, (size_t) n);
		if (path < 0 ||
			!wt_chunk_writer_value(writer, path, WT_KIND_NUMBER, key + 1, (size_t) n - 1))
		{
			wt_chunk_writer_keep_whole(writer, key, (size_t) n);
			n_whole++;
		}
		wt_chunk_writer_end_row(writer);
	}
	CHECK(n_whole == 5000 - (WT_CHUNK_MAX_COLUMNS - 1), "%d rows are kept whole",
		  n_whole);
	chunk = finish_and_open(writer, arena);
	CHECK(chunk->n_columns == 1 + WT_CHUNK_MAX_COLUMNS, "%d columns", chunk->n_columns);
	column = wt_chunk_find_column(chunk, WT_PATH_ROOT, WT_KIND_WHOLE);
	CHECK(column >= 0 && chunk->columns[column].n_values == n_whole,
		  "rows that are whole");
	for (int row = 0; row < 5000; row++)
	{
		int rank = wt_column_rank(chunk, column, row);

		n = sprintf(key, "k%d", row);
		if (rank >= 0)
			CHECK(is_text(wt_column_text(chunk, column, rank), key, (size_t) n), "row %d",
				  row);
		else
		{
			int other = wt_chunk_find_column(
				chunk, wt_chunk_find_path(chunk, WT_PATH_ROOT, key, (size_t) n),
				WT_KIND_NUMBER);

			CHECK(wt_column_rank(chunk, other, row) == 0 &&
					  is_text(wt_column_text(chunk, other, 0), key + 1, (size_t) n - 1),
				  "row %d", row);
		}
	}

	wt_chunk_writer_begin_row(writer, 0);
	for (path = WT_PATH_ROOT; (n = wt_chunk_writer_path(writer, path, "a", 1)) > 0;
		 depth++)
		path = n;
	CHECK(depth == WT_CHUNK_MAX_DEPTH, "%d levels", depth);
	CHECK(wt_chunk_writer_path(writer, WT_PATH_ROOT, "a\0b", 3) == -1,
		  "a key with a NUL");
	CHECK(wt_chunk_writer_value(writer, path, WT_KIND_EMPTY, "", 0), "at the deepest");
	wt_chunk_writer_end_row(writer);
	chunk = finish_and_open(writer, arena);
	CHECK(chunk->paths[chunk->n_paths - 1].depth == WT_CHUNK_MAX_DEPTH, "depth");
}

/* As many rows as there may be, nearly each of its own shape. */
static void
check_shapes(WtChunkWriter *writer, WtArena *arena)
{
	WtChunk *chunk;
	int n_shapes;
	const WtShape *shapes;
	const uint16_t *row_shapes;

	for (int row = 0; row < WT_CHUNK_MAX_ROWS; row++)
	{
		wt_chunk_writer_begin_row(writer, row);
		for (int bit = 0; bit < 16; bit++)
			if ((row * 40503u & 0xFFFF) >> bit & 1)
			{
				char key = (char) ('a' + bit);

				CHECK(wt_chunk_writer_value(writer,
											wt_chunk_writer_path(writer, 0, &key, 1),
											WT_KIND_STRING, "value", 5),
					  "row %d", row);
			}
		wt_chunk_writer_end_row(writer);
	}
	chunk = finish_and_open(writer, arena);
	CHECK(chunk->n_rows == WT_CHUNK_MAX_ROWS, "%d rows", chunk->n_rows);
	shapes = wt_chunk_shapes(chunk, &n_shapes);
	row_shapes = wt_chunk_row_shapes(chunk);
	CHECK(n_shapes == WT_CHUNK_MAX_ROWS, "%d shapes", n_shapes);
	for (int row = 0; row < WT_CHUNK_MAX_ROWS; row++)
	{
		const WtShape *shape = &shapes[row_shapes[row]];
		unsigned bits = 0;

		for (int i = 0; i < shape->n_columns; i++)
			bits |=
				1u << (*chunk->paths[chunk->columns[shape->columns[i]].path].key - 'a');
		CHECK(bits == (row * 40503u & 0xFFFF), "row %d: %x", row, bits);
	}
	/* One too many. */
	for (int row = 0; row <= WT_CHUNK_MAX_ROWS; row++)
	{
		wt_chunk_writer_begin_row(writer, row);
		wt_chunk_writer_value(writer, WT_PATH_ROOT, WT_KIND_NUMBER, "1", 1);
		wt_chunk_writer_end_row(writer);
	}
}

static void
check_limits(WtArena *arena)
{
	WtChunkWriter *writer = wt_chunk_writer_create(WT_CHUNK_MAX_ROWS, 3, out_of_memory);
	WtColumnError error;
	size_t large = 1 << 20;
	char *bytes = malloc(large);
	int asked = 0;
	WtChunk *chunk;

	check_columns(writer, arena);
	check_shapes(writer, arena);
	CHECK(!wt_chunk_writer_finish(writer, 1, put, NULL, &error) && *error.text,
		  "too many rows");

	/* What is too large is said, and the writer is good for what comes next. */
	for (size_t i = 0; i < large; i++)
		bytes[i] = (char) ('a' + any() % 20);
	for (int row = 0; row < 200; row++)
	{
		wt_chunk_writer_begin_row(writer, row);
		wt_chunk_writer_value(writer, WT_PATH_ROOT, WT_KIND_STRING, bytes,
							  large - (size_t) row);
		wt_chunk_writer_end_row(writer);
		if (row == 5)
		{
			chunk = finish_and_open(writer, arena);
			for (int i = 0; i <= row; i++)
				CHECK(is_text(wt_column_text(chunk, 1, i), bytes, large - (size_t) i),
					  "row %d", i);
		}
	}
	CHECK(!wt_chunk_writer_finish(writer, 1, put, NULL, &error) && *error.text,
		  "too large");
	CHECK(!wt_chunk_writer_finish(writer, 1, put, NULL, &error) && *error.text,
		  "no rows");
	wt_chunk_writer_begin_row(writer, 0);
	wt_chunk_writer_value(writer, WT_PATH_ROOT, WT_KIND_STRING, bytes, large);
	wt_chunk_writer_end_row(writer);
	CHECK(!wt_chunk_writer_finish(writer, 1, refuse, &asked, &error) && !*error.text,
		  "refused");
	CHECK(asked == 1, "asked %d times", asked);
	/* A row without a document. */
	wt_chunk_writer_begin_row(writer, 0);
	wt_chunk_writer_end_row(writer);
	chunk = finish_and_open(writer, arena);
	CHECK(chunk->n_rows == 1 && chunk->n_columns == 1, "%d columns", chunk->n_columns);
	wt_chunk_writer_destroy(writer);
	forget_parts();
	wt_arena_reset(arena);
	free(bytes);
}

int
main(int argc, char **argv)
{
	WtArena *arena = wt_arena_create(out_of_memory);
	WtChunkWriter *writer;
	int extras[3];
	int rounds;

	if (argc != 3 && argc != 4)
	{
		fprintf(stderr, "column_chunks SEED ROUNDS [DIRECTORY]\n");
		return 2;
	}
	seed = strtoul(argv[1], NULL, 10);
	rounds = atoi(argv[2]);
	seeds = argv[3];
	rows = malloc(sizeof(*rows) * MAX_ROWS);
	CHECK(wt_crc32c(0, "123456789", 9) == 0xE3069283,
		  "the checksum of the standard's example");
	writer = wt_chunk_writer_create(MAX_ROWS, seeds ? 0 : 3, out_of_memory);
	extras[0] = wt_chunk_writer_declare(writer, "status", 6, true);
	extras[1] = wt_chunk_writer_declare(writer, "note", 4, false);
	extras[2] = wt_chunk_writer_declare(writer, "blob", 4, false);
	state = seed + 1;
	check_limits(arena);
	for (round_number = 0; round_number < rounds; round_number++)
	{
		/* A round's own, so that it can be shown by itself. */
		state = (seed + 1) * 0x9E3779B97F4A7C15u +
				(uint64_t) round_number * 0xD6E8FEB86659FD93u + 1;
		write_rows(writer, extras, round_number - 5);
		if (n_rows > 0)
		{
			read_rows(arena, round_number - 5);
			wt_arena_reset(arena);
			read_damaged(arena, round_number - 5);
			if (seeds)
				write_seed();
		}
		check_overlays(arena);
		forget_rows();
		forget_parts();
	}
	wt_chunk_writer_destroy(writer);
	wt_arena_destroy(arena);
	free(rows);
	printf("%d rounds\n", rounds);
	return 0;
}
