/*
 * chunk_writer.c
 *		Collects rows by column, and writes them as a chunk.
 *
 * The directory: the version; then a stream:
 *
 *		rows; the paths below the document, each with its parent and key, in order: depth
 *		first, keys as jsonb orders them (shorter ones first);
 *		the column of times; the count of extra columns, each with its kind and name; the count
 *		of the documents' columns, in order of paths, each with its kind and path;
 *		the count of shapes, and their body: a stream of lists of columns (their count, then
 *		the distances from one to the next), and, where there are several, a code a row.
 *
 * Of each column: encoding, count of values, of distinct ones, range, and its bodies: the part
 * where it is (0: it follows here), its bytes, its bytes when decoded.
 */
#include <stdlib.h>

#include "column/bytes.h"
#include "column/chunk_writer.h"
#include "column/crc.h"
#include "column/distinct.h"
#include "column/encode.h"
#include "column/encoding.h"

#define MAX_INLINE 200 /* bytes of a body that lies in the directory */
#define PATH_TABLE (4 * WT_CHUNK_MAX_PATHS)
#define ROOM_KEPT                                                                        \
	((size_t) 4 << 20) /* bytes of a column that are kept for the next chunk */
#define VALUE_COST 8   /* bytes that a value counts for beside its own */
#define NO_SHAPE 0xFFFF

typedef struct Path
{
	int parent;
	int depth;
	const char *key; /* the arena's */
	size_t key_length;
	int follower; /* the path that came behind it last; 0: none did */
	int16_t columns[WT_N_KINDS];
	/* While the chunk is written: */
	bool is_used;
	int first_child, next_sibling; /* or 0 */
	int number;					   /* in the directory */
} Path;

typedef struct Column
{
	WtKind kind;
	int path;
	const char *name; /* of an extra column */
	size_t name_length;
	int n_values;
	int last_row;  /* that has it */
	WtBytes bytes; /* values, each with a NUL behind it; or integers */
	WtBytes start; /* uint32_t, of each value */
	int number;	   /* in the directory */
} Column;

typedef struct Shape
{
	uint32_t at; /* of its columns, in shape_columns */
	uint32_t n_columns;
	uint32_t n_rows;
	uint32_t number; /* in the chunk */
} Shape;

struct WtChunkWriter
{
	int max_rows;
	WtOutOfMemory failed;
	WtArena *arena; /* of a chunk */
	WtEncoder *encoder;
	WtEncoded encoded;
	WtBytes part;
	WtBytes directory;
	WtBytes lists; /* of shapes */
	WtBody whole;  /* the directory, compressed */

	int n_rows;
	size_t value_bytes;
	bool too_large;
	int64_t *times;
	uint16_t *row_shapes;

	int n_paths;
	int last_path;
	Path *paths;
	uint16_t *path_table; /* path, by hash; 0: free */

	int n_extras;
	int n_columns; /* extra columns and documents' */
	int columns_size;
	Column *columns;

	bool in_row;
	int row_columns; /* how many */
	uint16_t *row;	 /* which */

	int n_shapes;
	int last_shape;
	WtBytes shapes;		   /* Shape */
	WtBytes shape_columns; /* uint16_t */
	size_t shape_table_size;
	uint16_t *shape_table; /* shape, by hash; NO_SHAPE: free */
};

static void begin_chunk(WtChunkWriter *writer);

static Shape *
shape_at(WtChunkWriter *writer, int shape)
{
	return (Shape *) (void *) writer->shapes.data + shape;
}

WtChunkWriter *
wt_chunk_writer_create(int max_rows, int level, WtOutOfMemory failed)
{
	WtChunkWriter *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->max_rows = max_rows < 1					  ? 1
					   : max_rows > WT_CHUNK_MAX_ROWS ? WT_CHUNK_MAX_ROWS
													  : max_rows;
	writer->failed = failed;
	writer->arena = wt_arena_create(failed);
	writer->encoder = wt_encoder_create(level, failed);
	writer->times = calloc((size_t) writer->max_rows, sizeof(*writer->times));
	writer->row_shapes = calloc((size_t) writer->max_rows, sizeof(*writer->row_shapes));
	writer->paths = calloc(WT_CHUNK_MAX_PATHS, sizeof(*writer->paths));
	writer->path_table = calloc(PATH_TABLE, sizeof(*writer->path_table));
	writer->row =
		calloc(WT_CHUNK_MAX_COLUMNS + WT_CHUNK_MAX_EXTRAS, sizeof(*writer->row));
	writer->shape_table_size = 64;
	while (writer->shape_table_size < (size_t) writer->max_rows * 2)
		writer->shape_table_size *= 2;
	writer->shape_table = calloc(writer->shape_table_size, sizeof(*writer->shape_table));
	writer->part.failed = writer->shapes.failed = writer->shape_columns.failed = failed;
	writer->directory.failed = writer->lists.failed = writer->whole.bytes.failed = failed;
	writer->encoded.body.bytes.failed = writer->encoded.digits.bytes.failed = failed;
	if (!writer->arena || !writer->encoder || !writer->times || !writer->row_shapes ||
		!writer->paths || !writer->path_table || !writer->row || !writer->shape_table)
	{
		wt_chunk_writer_destroy(writer);
		return NULL;
	}
	begin_chunk(writer);
	return writer;
}

void
wt_chunk_writer_destroy(WtChunkWriter *writer)
{
	if (!writer)
		return;
	for (int i = 0; i < writer->columns_size; i++)
	{
		wt_bytes_free(&writer->columns[i].bytes);
		wt_bytes_free(&writer->columns[i].start);
		if (i < writer->n_extras)
			free((char *) writer->columns[i].name);
	}
	wt_bytes_free(&writer->part);
	wt_bytes_free(&writer->directory);
	wt_bytes_free(&writer->lists);
	wt_bytes_free(&writer->whole.bytes);
	wt_bytes_free(&writer->encoded.body.bytes);
	wt_bytes_free(&writer->encoded.digits.bytes);
	wt_bytes_free(&writer->shapes);
	wt_bytes_free(&writer->shape_columns);
	wt_encoder_destroy(writer->encoder);
	wt_arena_destroy(writer->arena);
	free(writer->times);
	free(writer->row_shapes);
	free(writer->paths);
	free(writer->path_table);
	free(writer->columns);
	free(writer->row);
	free(writer->shape_table);
	free(writer);
}

static void
empty_column(Column *column)
{
	if (column->bytes.size > ROOM_KEPT)
		wt_bytes_free(&column->bytes);
	column->bytes.length = column->start.length = 0;
	column->n_values = 0;
	column->last_row = -1;
}

/* With no rows, no paths but the document's, and the extra columns alone. */
static void
begin_chunk(WtChunkWriter *writer)
{
	for (int i = 0; i < writer->n_columns; i++)
		empty_column(&writer->columns[i]);
	writer->n_columns = writer->n_extras;
	wt_arena_reset(writer->arena);
	writer->n_rows = 0;
	writer->value_bytes = 0;
	writer->too_large = false;
	writer->in_row = false;
	writer->row_columns = 0;

	memset(writer->path_table, 0, PATH_TABLE * sizeof(*writer->path_table));
	writer->n_paths = 1;
	writer->last_path = WT_PATH_ROOT;
	writer->paths[0] = (Path){.parent = -1};
	memset(writer->paths[0].columns, 0xFF, sizeof(writer->paths[0].columns));

	writer->n_shapes = 0;
	writer->last_shape = -1;
	writer->shapes.length = writer->shape_columns.length = 0;
	memset(writer->shape_table, 0xFF,
		   writer->shape_table_size * sizeof(*writer->shape_table));
}

/* A new column at the end, whose memory a column of an earlier chunk may have left. */
static Column *
add_column(WtChunkWriter *writer, WtKind kind, int path)
{
	Column *column;

	if (writer->n_columns == writer->columns_size)
	{
		int size = writer->columns_size ? writer->columns_size * 2 : 64;
		Column *columns = realloc(writer->columns, (size_t) size * sizeof(*columns));

		if (!columns)
		{
			writer->failed((size_t) size * sizeof(*columns));
			abort(); /* it must not return */
		}
		memset(columns + writer->columns_size, 0,
			   (size_t) (size - writer->columns_size) * sizeof(*columns));
		writer->columns = columns;
		writer->columns_size = size;
	}
	column = &writer->columns[writer->n_columns++];
	column->bytes.failed = column->start.failed = writer->failed;
	column->kind = kind;
	column->path = path;
	column->name = NULL;
	column->name_length = 0;
	empty_column(column);
	return column;
}

int
wt_chunk_writer_declare(WtChunkWriter *writer, const char *name, size_t length,
						bool integers)
{
	char *copy;
	Column *column;

	if (writer->n_extras == WT_CHUNK_MAX_EXTRAS || writer->n_columns != writer->n_extras)
		return -1;
	copy = malloc(length + 1);
	if (!copy)
	{
		writer->failed(length);
		abort(); /* it must not return */
	}
	memcpy(copy, name, length);
	copy[length] = '\0';
	column = add_column(writer, integers ? WT_KIND_EXTRA_INT : WT_KIND_EXTRA, -1);
	column->name = copy;
	column->name_length = length;
	return writer->n_extras++;
}

/* ------------------------------------------------------------------------------- rows */

void
wt_chunk_writer_begin_row(WtChunkWriter *writer, int64_t time)
{
	writer->in_row = true;
	writer->row_columns = 0;
	writer->last_path = WT_PATH_ROOT;
	if (writer->n_rows < writer->max_rows)
		writer->times[writer->n_rows] = time;
	else
		writer->too_large = true;
}

int
wt_chunk_writer_path(WtChunkWriter *writer, int parent, const char *key, size_t length)
{
	int *follower = &writer->paths[writer->last_path].follower;
	Path *path = &writer->paths[*follower];
	size_t at;
	char *copy;

	/* Documents are much alike: most often comes what came here last time. */
	if (*follower && path->parent == parent && path->key_length == length &&
		memcmp(path->key, key, length) == 0)
		return writer->last_path = *follower;

	for (at = (wt_hash(key, length) ^ (uint64_t) parent * 0x9E3779B1u) % PATH_TABLE;
		 writer->path_table[at]; at = (at + 1) % PATH_TABLE)
	{
		path = &writer->paths[writer->path_table[at]];
		if (path->parent == parent && path->key_length == length &&
			memcmp(path->key, key, length) == 0)
			return writer->last_path = *follower = writer->path_table[at];
	}
	if (writer->n_paths == WT_CHUNK_MAX_PATHS ||
		writer->paths[parent].depth == WT_CHUNK_MAX_DEPTH || memchr(key, '\0', length))
		return -1;
	copy = wt_arena_alloc(writer->arena, length + 1);
	memcpy(copy, key, length);
	path = &writer->paths[writer->n_paths];
	*path = (Path){.parent = parent,
				   .depth = writer->paths[parent].depth + 1,
				   .key = copy,
				   .key_length = length};
	memset(path->columns, 0xFF, sizeof(path->columns));
	writer->path_table[at] = (uint16_t) writer->n_paths;
	return writer->last_path = *follower = writer->n_paths++;
}

static void
append_text(WtChunkWriter *writer, Column *column, const char *bytes, size_t length)
{
	uint32_t at = (uint32_t) column->bytes.length;

	/* A reader would not take it. */
	if (writer->too_large || length > WT_CHUNK_MAX_BYTES / 2 - writer->value_bytes)
	{
		writer->too_large = true;
		length = 0;
	}
	wt_bytes_add(&column->start, &at, sizeof(at));
	wt_bytes_add(&column->bytes, bytes, length);
	wt_bytes_add_byte(&column->bytes, '\0');
	writer->value_bytes += length;
}

static void
join_row(WtChunkWriter *writer, Column *column, int index)
{
	column->n_values++;
	column->last_row = writer->n_rows;
	writer->value_bytes += VALUE_COST;
	writer->row[writer->row_columns++] = (uint16_t) index;
}

bool
wt_chunk_writer_value(WtChunkWriter *writer, int path, WtKind kind, const char *bytes,
					  size_t length)
{
	int index = writer->paths[path].columns[kind];
	Column *column;

	if (index < 0)
	{
		/* The last is for rows that are kept whole. */
		if (writer->n_columns - writer->n_extras >=
			WT_CHUNK_MAX_COLUMNS - (kind == WT_KIND_WHOLE ? 0 : 1))
			return false;
		add_column(writer, kind, path);
		index = writer->n_columns - 1;
		writer->paths[path].columns[kind] = (int16_t) index;
	}
	column = &writer->columns[index];
	if (column->last_row == writer->n_rows)
		return false;
	if (wt_kind_has_text(kind))
		append_text(writer, column, bytes, length);
	join_row(writer, column, index);
	return true;
}

/* Takes the last value of a column back. */
static void
drop_value(WtChunkWriter *writer, Column *column)
{
	column->n_values--;
	column->last_row = -1;
	writer->value_bytes -= VALUE_COST;
	if (wt_kind_is_integer(column->kind))
	{
		column->bytes.length -= sizeof(int64_t);
	}
	else if (wt_kind_has_text(column->kind))
	{
		uint32_t at;

		column->start.length -= sizeof(at);
		memcpy(&at, column->start.data + column->start.length, sizeof(at));
		writer->value_bytes -= column->bytes.length - 1 - at;
		column->bytes.length = at;
	}
}

void
wt_chunk_writer_keep_whole(WtChunkWriter *writer, const char *json, size_t length)
{
	int kept = 0;

	for (int i = 0; i < writer->row_columns; i++)
	{
		if (writer->row[i] < writer->n_extras)
			writer->row[kept++] = writer->row[i];
		else
			drop_value(writer, &writer->columns[writer->row[i]]);
	}
	writer->row_columns = kept;
	wt_chunk_writer_value(writer, WT_PATH_ROOT, WT_KIND_WHOLE, json, length);
}

void
wt_chunk_writer_extra(WtChunkWriter *writer, int extra, const char *bytes, size_t length)
{
	Column *column = &writer->columns[extra];

	if (column->last_row == writer->n_rows)
		return;
	append_text(writer, column, bytes, length);
	join_row(writer, column, extra);
}

void
wt_chunk_writer_extra_int(WtChunkWriter *writer, int extra, int64_t value)
{
	Column *column = &writer->columns[extra];

	if (column->last_row == writer->n_rows)
		return;
	wt_bytes_add(&column->bytes, &value, sizeof(value));
	join_row(writer, column, extra);
}

static bool
is_shape(WtChunkWriter *writer, int shape)
{
	Shape *other = shape_at(writer, shape);

	return other->n_columns == (uint32_t) writer->row_columns &&
		   memcmp((uint16_t *) (void *) writer->shape_columns.data + other->at,
				  writer->row, (size_t) writer->row_columns * sizeof(*writer->row)) == 0;
}

static int
find_shape(WtChunkWriter *writer)
{
	size_t length = (size_t) writer->row_columns * sizeof(*writer->row);
	Shape shape = {.at = (uint32_t) (writer->shape_columns.length / sizeof(uint16_t)),
				   .n_columns = (uint32_t) writer->row_columns};
	size_t mask = writer->shape_table_size - 1;
	size_t at;

	if (writer->last_shape >= 0 && is_shape(writer, writer->last_shape))
		return writer->last_shape;
	for (at = wt_hash(writer->row, length) & mask; writer->shape_table[at] != NO_SHAPE;
		 at = (at + 1) & mask)
		if (is_shape(writer, writer->shape_table[at]))
			return writer->shape_table[at];
	writer->shape_table[at] = (uint16_t) writer->n_shapes;
	wt_bytes_add(&writer->shape_columns, writer->row, length);
	wt_bytes_add(&writer->shapes, &shape, sizeof(shape));
	return writer->n_shapes++;
}

void
wt_chunk_writer_end_row(WtChunkWriter *writer)
{
	writer->in_row = false;
	if (writer->n_rows >= writer->max_rows)
	{
		/* One too many: finishing says so. */
		for (int i = 0; i < writer->row_columns; i++)
			drop_value(writer, &writer->columns[writer->row[i]]);
		return;
	}
	writer->last_shape = find_shape(writer);
	shape_at(writer, writer->last_shape)->n_rows++;
	writer->row_shapes[writer->n_rows++] = (uint16_t) writer->last_shape;
}

void
wt_chunk_writer_forget_row(WtChunkWriter *writer)
{
	if (writer->in_row)
	{
		for (int i = 0; i < writer->row_columns; i++)
			drop_value(writer, &writer->columns[writer->row[i]]);
		writer->in_row = false;
	}
	else if (writer->n_rows > 0)
	{
		Shape *shape = shape_at(writer, writer->row_shapes[--writer->n_rows]);
		const uint16_t *columns =
			(uint16_t *) (void *) writer->shape_columns.data + shape->at;

		for (uint32_t i = 0; i < shape->n_columns; i++)
			drop_value(writer, &writer->columns[columns[i]]);
		shape->n_rows--;
	}
}

int
wt_chunk_writer_rows(const WtChunkWriter *writer)
{
	return writer->n_rows;
}

size_t
wt_chunk_writer_bytes(const WtChunkWriter *writer)
{
	return writer->value_bytes;
}

/* -------------------------------------------------------------------------- finishing */

static WtChunkWriter *sorting; /* qsort() takes no argument along */

static int
compare_keys(const void *a, const void *b)
{
	const Path *x = &sorting->paths[*(const int *) a];
	const Path *y = &sorting->paths[*(const int *) b];

	if (x->key_length != y->key_length)
		return x->key_length < y->key_length ? -1 : 1;
	return memcmp(x->key, y->key, x->key_length);
}

/* Numbers the paths that are used, depth first, keys in jsonb's order.  Their count. */
static int
number_paths(WtChunkWriter *writer, int *order)
{
	int *sorted =
		wt_arena_array(writer->arena, (size_t) writer->n_paths, sizeof(*sorted));
	int n = 0;
	int path = WT_PATH_ROOT;

	for (int i = 0; i < writer->n_paths; i++)
	{
		writer->paths[i].is_used = i == WT_PATH_ROOT;
		writer->paths[i].first_child = writer->paths[i].next_sibling = 0;
	}
	for (int i = writer->n_extras; i < writer->n_columns; i++)
		if (writer->columns[i].n_values > 0)
			for (int p = writer->columns[i].path; !writer->paths[p].is_used;
				 p = writer->paths[p].parent)
				writer->paths[p].is_used = true;
	for (int i = 1; i < writer->n_paths; i++)
		if (writer->paths[i].is_used)
			sorted[n++] = i;
	sorting = writer;
	qsort(sorted, (size_t) n, sizeof(*sorted), compare_keys);
	/* From the last: each becomes the first child of its parent. */
	for (int i = n - 1; i >= 0; i--)
	{
		Path *child = &writer->paths[sorted[i]];

		child->next_sibling = writer->paths[child->parent].first_child;
		writer->paths[child->parent].first_child = sorted[i];
	}
	for (n = 0;;)
	{
		writer->paths[path].number = n;
		order[n++] = path;
		if (writer->paths[path].first_child)
		{
			path = writer->paths[path].first_child;
			continue;
		}
		while (path != WT_PATH_ROOT && !writer->paths[path].next_sibling)
			path = writer->paths[path].parent;
		if (path == WT_PATH_ROOT)
			return n;
		path = writer->paths[path].next_sibling;
	}
}

static int
compare_columns(const void *a, const void *b)
{
	const Column *x = &sorting->columns[*(const int *) a];
	const Column *y = &sorting->columns[*(const int *) b];
	int p = sorting->paths[x->path].number;
	int q = sorting->paths[y->path].number;

	if (p != q)
		return p < q ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

/* Where parts go, while a chunk is written. */
typedef struct Output
{
	WtChunkWriter *writer;
	int32_t chunk;
	WtPutPart put;
	void *arg;
	int n_parts;
	bool refused; /* put returned false */
} Output;

static void
put_part(Output *output, int part, const char *bytes, size_t length)
{
	WtBytes *whole = &output->writer->part;
	char checksum[WT_CHECKSUM_SIZE];

	if (output->refused)
		return;
	wt_store32(checksum, wt_part_checksum(bytes, length, output->chunk, part));
	whole->length = 0;
	wt_bytes_add(whole, bytes, length);
	wt_bytes_add(whole, checksum, sizeof(checksum));
	output->refused = !output->put(output->arg, part, whole->data, whole->length);
}

/* Says in the directory where a body is, or has it there. */
static void
add_body(Output *output, WtBytes *directory, const WtBody *body)
{
	bool is_inline = body->bytes.length <= MAX_INLINE;

	wt_bytes_add_varint(directory, is_inline ? 0 : (uint64_t) ++output->n_parts);
	wt_bytes_add_varint(directory, body->bytes.length);
	wt_bytes_add_varint(directory, body->raw);
	if (is_inline)
		wt_bytes_add(directory, body->bytes.data, body->bytes.length);
	else
		put_part(output, output->n_parts, body->bytes.data, body->bytes.length);
}

enum
{
	HAS_RANGE = 1,
	HAS_TEXT_RANGE = 2,
	MAX_IS_CUT = 4
};

static void
add_values(Output *output, WtBytes *directory, const WtValues *values)
{
	WtEncoded *encoded = &output->writer->encoded;

	wt_encode(output->writer->encoder, values, encoded);
	wt_bytes_add_byte(directory, (uint8_t) encoded->encoding);
	wt_bytes_add_varint(directory, (uint64_t) values->n);
	wt_bytes_add_varint(directory, (uint64_t) encoded->n_distinct + 1);
	wt_bytes_add_byte(directory,
					  (uint8_t) ((encoded->has_range ? HAS_RANGE : 0) |
								 (encoded->has_text_range ? HAS_TEXT_RANGE : 0) |
								 (encoded->max_is_cut ? MAX_IS_CUT : 0)));
	if (encoded->has_range)
	{
		wt_bytes_add_varint(directory, wt_zigzag(encoded->min.value));
		wt_bytes_add_byte(directory, (uint8_t) encoded->min.decimals);
		wt_bytes_add_varint(directory, wt_zigzag(encoded->max.value));
		wt_bytes_add_byte(directory, (uint8_t) encoded->max.decimals);
	}
	if (encoded->has_text_range)
	{
		wt_bytes_add_byte(directory, encoded->min_length);
		wt_bytes_add(directory, encoded->min_text, encoded->min_length);
		wt_bytes_add_byte(directory, encoded->max_length);
		wt_bytes_add(directory, encoded->max_text, encoded->max_length);
	}
	add_body(output, directory, &encoded->body);
	if (encoded->encoding == WT_ENCODING_TEMPLATE)
		add_body(output, directory, &encoded->digits);
}

/* The times of the rows that have a column. */
static const int64_t *
times_of(WtChunkWriter *writer, int index)
{
	bool *has = wt_arena_zeroed(writer->arena, (size_t) writer->n_shapes, sizeof(*has));
	int64_t *times;
	int n = 0;

	if (writer->columns[index].n_values == writer->n_rows)
		return writer->times;
	times = wt_arena_array(writer->arena, (size_t) writer->columns[index].n_values,
						   sizeof(*times));
	for (int i = 0; i < writer->n_shapes; i++)
	{
		const Shape *shape = shape_at(writer, i);
		const uint16_t *columns =
			(uint16_t *) (void *) writer->shape_columns.data + shape->at;

		for (uint32_t k = 0; k < shape->n_columns; k++)
			has[i] = has[i] || columns[k] == index;
	}
	for (int row = 0; row < writer->n_rows; row++)
		if (has[writer->row_shapes[row]])
			times[n++] = writer->times[row];
	return times;
}

static void
add_column_values(Output *output, WtBytes *directory, int index)
{
	WtChunkWriter *writer = output->writer;
	Column *column = &writer->columns[index];
	WtValues values = {.kind = column->kind, .n = column->n_values};
	uint32_t end = (uint32_t) column->bytes.length;

	if (wt_kind_is_integer(column->kind))
		values.integers = (int64_t *) (void *) column->bytes.data;
	else if (wt_kind_has_text(column->kind))
	{
		wt_bytes_add(&column->start, &end, sizeof(end));
		values.texts = (WtTexts){column->n_values, column->bytes.data,
								 (uint32_t *) (void *) column->start.data};
	}
	if (wt_encode_wants_times(&values))
		values.times = times_of(writer, index);
	add_values(output, directory, &values);
}

static int
compare_numbers(const void *a, const void *b)
{
	uint16_t x = *(const uint16_t *) a;
	uint16_t y = *(const uint16_t *) b;

	return (x > y) - (x < y);
}

static void
add_shapes(Output *output, WtBytes *directory)
{
	WtChunkWriter *writer = output->writer;
	WtIntegerPacker *packer = wt_encoder_packer(writer->encoder);
	WtBody *body = &writer->encoded.body;
	WtBytes *lists = &writer->lists;
	uint16_t *codes =
		wt_arena_array(writer->arena, (size_t) writer->n_rows, sizeof(*codes));
	int n = 0;

	wt_body_clear(body);
	lists->length = 0;
	for (int i = 0; i < writer->n_shapes; i++)
	{
		Shape *shape = shape_at(writer, i);
		const uint16_t *columns =
			(uint16_t *) (void *) writer->shape_columns.data + shape->at;
		uint16_t *numbers = writer->row;

		if (shape->n_rows == 0)
			continue;
		shape->number = (uint32_t) n++;
		for (uint32_t k = 0; k < shape->n_columns; k++)
			numbers[k] = (uint16_t) writer->columns[columns[k]].number;
		qsort(numbers, shape->n_columns, sizeof(*numbers), compare_numbers);
		wt_bytes_add_varint(lists, shape->n_columns);
		for (uint32_t k = 0; k < shape->n_columns; k++)
			wt_bytes_add_varint(lists,
								(uint64_t) (numbers[k] - (k ? numbers[k - 1] : 0)));
	}
	wt_stream_add(packer->compressor, body, lists->data, lists->length);
	for (int row = 0; row < writer->n_rows; row++)
		codes[row] = (uint16_t) shape_at(writer, writer->row_shapes[row])->number;
	if (n > 1)
		wt_codes_add(packer, body, codes, writer->n_rows, n);
	wt_bytes_add_varint(directory, (uint64_t) n);
	add_body(output, directory, body);
}

static void
write_chunk(Output *output)
{
	WtChunkWriter *writer = output->writer;
	WtBytes *directory = &writer->directory;
	int *order = wt_arena_array(writer->arena, WT_CHUNK_MAX_PATHS, sizeof(*order));
	int *columns =
		wt_arena_array(writer->arena, (size_t) writer->n_columns + 1, sizeof(*columns));
	int n_paths = number_paths(writer, order);
	int n = 0;
	WtBody *whole = &writer->whole;

	for (int i = 0; i < writer->n_extras; i++)
		writer->columns[i].number = 1 + i;
	for (int i = writer->n_extras; i < writer->n_columns; i++)
		if (writer->columns[i].n_values > 0)
			columns[n++] = i;
	sorting = writer;
	qsort(columns, (size_t) n, sizeof(*columns), compare_columns);
	for (int i = 0; i < n; i++)
		writer->columns[columns[i]].number = 1 + writer->n_extras + i;

	directory->length = 0;
	wt_bytes_add_varint(directory, (uint64_t) writer->n_rows);
	wt_bytes_add_varint(directory, (uint64_t) (n_paths - 1));
	for (int i = 1; i < n_paths; i++)
	{
		const Path *path = &writer->paths[order[i]];

		wt_bytes_add_varint(directory, (uint64_t) writer->paths[path->parent].number);
		wt_bytes_add_varint(directory, path->key_length);
		wt_bytes_add(directory, path->key, path->key_length);
	}
	add_values(output, directory,
			   &(WtValues){
				   .kind = WT_KIND_TIME, .n = writer->n_rows, .integers = writer->times});
	wt_bytes_add_varint(directory, (uint64_t) writer->n_extras);
	for (int i = 0; i < writer->n_extras; i++)
	{
		wt_bytes_add_byte(directory, (uint8_t) writer->columns[i].kind);
		wt_bytes_add_varint(directory, writer->columns[i].name_length);
		wt_bytes_add(directory, writer->columns[i].name, writer->columns[i].name_length);
		add_column_values(output, directory, i);
	}
	wt_bytes_add_varint(directory, (uint64_t) n);
	for (int i = 0; i < n; i++)
	{
		const Column *column = &writer->columns[columns[i]];

		wt_bytes_add_byte(directory, (uint8_t) column->kind);
		wt_bytes_add_varint(directory, (uint64_t) writer->paths[column->path].number);
		add_column_values(output, directory, columns[i]);
	}
	add_shapes(output, directory);

	wt_body_clear(whole);
	wt_bytes_add_byte(&whole->bytes, WT_COLUMN_FORMAT_VERSION);
	wt_stream_add(wt_encoder_packer(writer->encoder)->compressor, whole, directory->data,
				  directory->length);
	put_part(output, WT_PART_DIRECTORY, whole->bytes.data, whole->bytes.length);
}

static void
set_error(WtColumnError *error, const char *text)
{
	size_t length = strlen(text);

	memcpy(error->text, text, length + 1);
}

bool
wt_chunk_writer_finish(WtChunkWriter *writer, int32_t chunk, WtPutPart put, void *arg,
					   WtColumnError *error)
{
	Output output = {.writer = writer, .chunk = chunk, .put = put, .arg = arg};
	bool written = false;

	error->text[0] = '\0';
	if (writer->in_row)
		wt_chunk_writer_forget_row(writer);
	if (writer->n_rows == 0)
		set_error(error, "there are no rows");
	else if (writer->too_large)
		set_error(error, "the rows are too many, or too large, for one chunk");
	else
	{
		write_chunk(&output);
		written = !output.refused;
	}
	begin_chunk(writer);
	return written;
}
