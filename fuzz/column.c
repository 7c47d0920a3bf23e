/*
 * column.c
 *		Fuzz target: what is read of a table of chunks (src/column/).
 *
 * The first byte of the input says what it is:
 *
 *	c	a chunk: its directory and its other parts in order, each behind its length in two bytes;
 *		the last may be shorter than it says
 *	d	rows that are deleted: two bytes of a count of rows, and the part
 *	s	statuses, likewise
 *	o	origins, likewise
 *
 * Checksums are put behind each here: who wants to do harm can do so as well.  Of what is taken
 * for sound everything is asked for, and must hang together.
 */
#include "column/bytes.h"
#include "column/chunk_reader.h"
#include "column/crc.h"
#include "column/overlay.h"
#include "fuzz.h"

#define CHUNK 7
#define MAX_PARTS 64
#define MANY 200 /* values of a column that are asked for one by one */

static void
out_of_memory(size_t bytes)
{
	CHECK(bytes == 0, "no memory for %zu bytes", bytes);
}

typedef struct Part
{
	char *bytes;
	size_t length;
} Part;

static Part
part_of(const uint8_t *data, size_t size, int number)
{
	Part part = {malloc(size + WT_CHECKSUM_SIZE), size + WT_CHECKSUM_SIZE};

	CHECK(part.bytes, "out of memory");
	if (size)
		memcpy(part.bytes, data, size);
	wt_store32(part.bytes + size, wt_part_checksum(part.bytes, size, CHUNK, number));
	return part;
}

static void
check_sentence(const WtColumnError *error)
{
	size_t length = strnlen(error->text, sizeof(error->text));

	CHECK(length > 0 && length < sizeof(error->text), "a sentence");
}

/* Reads all bytes of them, so that the address sanitizer sees what is not there. */
static void
check_texts(const WtTexts *texts)
{
	volatile char last = 0;

	for (int i = 0; i < texts->n; i++)
	{
		CHECK(texts->start[i] < texts->start[i + 1], "text %d", i);
		CHECK(texts->base[texts->start[i + 1] - 1] == '\0',
			  "text %d has no NUL behind it", i);
	}
	if (texts->n > 0)
		last = texts->base[texts->start[0]];
	(void) last;
}

static void
check_one(WtChunk *chunk, int column, int value, const WtTexts *texts)
{
	const WtColumn *c = &chunk->columns[column];
	WtText text = wt_column_text(chunk, column, value);
	WtText other = wt_texts_at(texts, value);
	uint8_t uuid[16];

	CHECK(text.length == other.length &&
			  memcmp(text.text, other.text, text.length) == 0 &&
			  text.text[text.length] == '\0',
		  "column %d, value %d: '%s' and '%s'", column, value, text.text, other.text);
	if (c->kind != WT_KIND_EXTRA)
		CHECK(!memchr(text.text, '\0', text.length), "column %d, value %d: a NUL", column,
			  value);
	if (c->kind == WT_KIND_NUMBER)
		CHECK(strspn(text.text, "-.0123456789") == text.length, "a number: %s",
			  text.text);
	if (c->kind == WT_KIND_BOOLEAN)
		CHECK(strcmp(text.text, "true") == 0 || strcmp(text.text, "false") == 0, "%s",
			  text.text);
	for (int i = wt_column_gaps(chunk, column, value); i > 0; i--)
	{
		WtText gap = wt_column_gap(chunk, column, value, i - 1);

		CHECK(gap.length > 0 && strspn(gap.text, "0123456789") >= gap.length, "a gap");
	}
	wt_column_uuid(chunk, column, value, uuid);
	wt_column_find(chunk, column, value, other.text, other.length);
}

static void
check_column(WtChunk *chunk, int column)
{
	const WtColumn *c = &chunk->columns[column];
	WtTexts texts = wt_column_texts(chunk, column);
	WtTexts distinct = wt_column_distinct(chunk, column);
	const int32_t *ranks = wt_column_ranks(chunk, column);
	const uint16_t *codes = wt_column_row_codes(chunk, column);
	const int64_t *integers = wt_column_integers(chunk, column, NULL);
	int next = 0;
	volatile int64_t sum = 0;

	/* Many texts of a dictionary may be too much. */
	CHECK(texts.n == c->n_values || (texts.n == 0 && distinct.n > 0),
		  "column %d: %d texts of %d", column, texts.n, c->n_values);
	check_texts(&texts);
	check_texts(&distinct);
	for (int row = 0; row < chunk->n_rows; row++)
	{
		int rank = ranks ? ranks[row] : row;

		CHECK(rank == -1 || rank == next, "column %d, row %d: value %d", column, row,
			  rank);
		if (row < MANY)
			CHECK(wt_column_rank(chunk, column, row) == rank, "column %d, row %d", column,
				  row);
		if (codes)
			CHECK(rank < 0 ? codes[row] == WT_NO_CODE : codes[row] < distinct.n,
				  "column %d, row %d: code %d", column, row, codes[row]);
		next += rank >= 0;
	}
	CHECK(next == c->n_values, "column %d: %d values of %d", column, next, c->n_values);
	for (int value = 0; value < c->n_values && value < MANY; value++)
		check_one(chunk, column, value, &texts);
	for (int value = 0; integers && value < c->n_values; value++)
		sum = (int64_t) ((uint64_t) sum + (uint64_t) integers[value]);
	if (wt_column_is_utf8(chunk, column) && c->n_values > 0)
	{
		WtText text = wt_texts_at(&texts, 0);

		for (size_t i = 0; i < text.length;)
		{
			int n = utf8_character(text.text + i, text.length - i);

			CHECK(n > 0, "column %d is said to be UTF-8: %s", column, text.text);
			i += (size_t) n;
		}
	}
}

/* A few values, of which nothing is known before they are asked for. */
static void
check_few(WtChunk *chunk, int column)
{
	int n = chunk->columns[column].n_values;

	for (int value = n - 1; value >= 0; value -= n / 3 + 1)
	{
		WtText text = wt_column_text(chunk, column, value);

		if (text.text)
			CHECK(text.text[text.length] == '\0', "column %d, value %d", column, value);
		else
			CHECK(chunk->columns[column].encoding == WT_ENCODING_TEMPLATE, "column %d",
				  column);
	}
}

/* Keys ascend, and no document has a member twice. */
static void
check_shapes(WtChunk *chunk)
{
	int n_shapes;
	const WtShape *shapes = wt_chunk_shapes(chunk, &n_shapes);
	const uint16_t *row_shapes = wt_chunk_row_shapes(chunk);
	int n_rows = 0;

	for (int i = 0; i < n_shapes; i++)
	{
		n_rows += shapes[i].n_rows;
		for (int k = 1; k < shapes[i].n_columns; k++)
		{
			int path = chunk->columns[shapes[i].columns[k]].path;
			int before = chunk->columns[shapes[i].columns[k - 1]].path;

			CHECK(before < path, "shape %d: path %d before %d", i, before, path);
			for (; path >= 0; path = chunk->paths[path].parent)
				CHECK(path != before, "shape %d: path %d is above another", i, path);
		}
	}
	CHECK(n_rows == chunk->n_rows, "%d rows", n_rows);
	for (int row = 0; row < chunk->n_rows; row++)
		CHECK(row_shapes[row] < n_shapes, "row %d", row);
}

static void
read_chunk(WtArena *arena, const Part *parts, int n_parts)
{
	WtColumnError error = {""};
	WtChunk *chunk = wt_chunk_open(arena, parts[0].bytes, parts[0].length, CHUNK, &error);

	if (!chunk)
	{
		check_sentence(&error);
		return;
	}
	for (int i = 1; i < chunk->n_paths; i++)
		CHECK(wt_chunk_find_path(chunk, chunk->paths[i].parent, chunk->paths[i].key,
								 chunk->paths[i].key_length) == i,
			  "path %d", i);
	for (int i = WT_COLUMN_SHAPES; i < chunk->n_columns; i++)
	{
		int wanted[WT_PARTS_OF_COLUMN];
		/* To what extent depends on nothing but the input. */
		WtWant want =
			(WtWant) ((parts[0].length + (size_t) (i + 1)) % (WT_WANT_VALUES + 1));
		int n;

		for (; want <= WT_WANT_VALUES; want++)
		{
			n = wt_column_parts(chunk, i, want, wanted, &error);
			CHECK(n <= WT_PARTS_OF_COLUMN, "%d parts", n);
			if (n < 0)
			{
				check_sentence(&error);
				return;
			}
			for (int k = 0; k < n; k++)
			{
				if (wanted[k] >= n_parts)
					return;
				if (!wt_chunk_add_part(chunk, wanted[k], parts[wanted[k]].bytes,
									   parts[wanted[k]].length, &error))
				{
					check_sentence(&error);
					return;
				}
			}
			CHECK(wt_column_parts(chunk, i, want, wanted, &error) == 0, "all is there");
			if (want == WT_WANT_FEW && i >= 0)
				check_few(chunk, i);
		}
		if (i == WT_COLUMN_SHAPES)
			check_shapes(chunk);
		else
			check_column(chunk, i);
	}
}

static void
chunk(WtArena *arena, const uint8_t *data, size_t size)
{
	Part parts[MAX_PARTS];
	int n = 0;

	while (n < MAX_PARTS && (size >= 2 || n == 0))
	{
		size_t length = size >= 2 ? wt_load16(data) : 0;

		data += size >= 2 ? 2 : 0;
		size -= size >= 2 ? 2 : 0;
		length = length < size ? length : size;
		parts[n] = part_of(data, length, n);
		n++;
		data += length;
		size -= length;
	}
	read_chunk(arena, parts, n);
	for (int i = 0; i < n; i++)
		free(parts[i].bytes);
}

/* What is read is written as what is read again. */
static void
deleted(WtArena *arena, const Part *part, int n_rows)
{
	WtColumnError error = {""};
	WtDeleted read, again;
	const char *bytes;
	size_t length;
	int n = 0;

	if (!wt_deleted_read(arena, part->bytes, part->length, CHUNK, n_rows, &read, &error))
	{
		check_sentence(&error);
		return;
	}
	for (int row = 0; row < n_rows; row++)
		n += wt_overlay_bit(read.bits, row);
	CHECK(n == read.n_deleted, "%d of %d", n, read.n_deleted);
	bytes = wt_deleted_write(arena, &read, CHUNK, &length);
	CHECK(wt_deleted_read(arena, bytes, length, CHUNK, n_rows, &again, &error), "%s",
		  error.text);
	CHECK(memcmp(read.bits, again.bits, ((size_t) n_rows + 7) / 8) == 0,
		  "another bitmap");
}

static void
statuses(WtArena *arena, const Part *part, int n_rows)
{
	WtColumnError error = {""};
	WtStatuses read, again;
	const char *bytes;
	size_t length;

	if (!wt_statuses_read(arena, part->bytes, part->length, CHUNK, n_rows, &read, &error))
	{
		check_sentence(&error);
		return;
	}
	bytes = wt_statuses_write(arena, &read, CHUNK, &length);
	CHECK(wt_statuses_read(arena, bytes, length, CHUNK, n_rows, &again, &error), "%s",
		  error.text);
	CHECK(read.n_changed == again.n_changed &&
			  memcmp(read.values, again.values, (size_t) n_rows * sizeof(*read.values)) ==
				  0 &&
			  memcmp(read.changed, again.changed, ((size_t) n_rows + 7) / 8) == 0,
		  "other statuses");
}

static void
origins(WtArena *arena, const Part *part, int n_rows)
{
	WtColumnError error = {""};
	WtNumbers read, again;
	const char *bytes;
	size_t length;

	if (!wt_origins_read(arena, part->bytes, part->length, CHUNK, n_rows, &read, &error))
	{
		check_sentence(&error);
		return;
	}
	bytes = wt_origins_write(arena, &read, n_rows, CHUNK, &length);
	CHECK(wt_origins_read(arena, bytes, length, CHUNK, n_rows, &again, &error), "%s",
		  error.text);
	CHECK(read.n == again.n &&
			  memcmp(read.rows, again.rows, (size_t) read.n * sizeof(*read.rows)) == 0 &&
			  memcmp(read.numbers, again.numbers,
					 (size_t) read.n * sizeof(*read.numbers)) == 0,
		  "other origins");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	WtArena *arena;

	if (size < 3)
		return 0;
	arena = wt_arena_create(out_of_memory);
	CHECK(arena, "out of memory");
	if (data[0] == 'd' || data[0] == 's' || data[0] == 'o')
	{
		int n_rows = wt_load16(data + 1);
		Part part = part_of(data + 3, size - 3,
							data[0] == 'd'	 ? WT_PART_DELETED
							: data[0] == 's' ? WT_PART_STATUSES
											 : WT_PART_ORIGINS);

		if (n_rows == 0)
			n_rows = 1;
		(data[0] == 'd'	  ? deleted
		 : data[0] == 's' ? statuses
						  : origins)(arena, &part, n_rows);
		free(part.bytes);
	}
	else
		chunk(arena, data + 1, size - 1);
	wt_arena_destroy(arena);
	return 0;
}
