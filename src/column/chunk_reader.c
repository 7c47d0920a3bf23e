/*
 * chunk_reader.c
 *		Opens a chunk by its directory, and takes its parts.  chunk_writer.c says what the
 *		directory is.
 */
#include <stdarg.h>
#include <stdio.h>

#include "column/chunk_data.h"
#include "column/crc.h"
#include "column/encoding.h"

#define MAX_DIRECTORY ((size_t) 64 << 20)
#define MAX_CODES 16384 /* of a dictionary, or templates */

enum
{
	HAS_RANGE = 1,
	HAS_TEXT_RANGE = 2,
	MAX_IS_CUT = 4
};

static bool __attribute__((format(printf, 2, 3)))
fail(WtColumnError *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return false;
}

/* -------------------------------------------------------------------------- directory */

/*
 * Each path has a parent that is the path before it or one of that one's parents, and a key
 * behind those of its parent's other children, as jsonb orders them.
 */
static bool
read_paths(WtChunk *chunk, WtCursor *cursor, WtPathInfo *paths, int *last_child)
{
	paths[0] = (WtPathInfo){.parent = -1, .key = ""};
	for (int i = 1; i < chunk->n_paths; i++)
	{
		WtPathInfo *path = &paths[i];
		int ancestor = i - 1;

		path->parent = (int) wt_cursor_count(cursor, (uint64_t) i - 1);
		path->key_length = wt_cursor_count(cursor, wt_cursor_left(cursor));
		path->key = wt_cursor_bytes(cursor, path->key_length);
		if (!path->key || memchr(path->key, '\0', path->key_length))
			return false;
		while (ancestor > path->parent)
			ancestor = paths[ancestor].parent;
		path->depth = paths[path->parent].depth + 1;
		if (ancestor != path->parent || path->depth > WT_CHUNK_MAX_DEPTH)
			return false;
		if (last_child[path->parent])
		{
			const WtPathInfo *other = &paths[last_child[path->parent]];

			if (other->key_length > path->key_length ||
				(other->key_length == path->key_length &&
				 memcmp(other->key, path->key, path->key_length) >= 0))
				return false;
		}
		last_child[path->parent] = i;
	}
	return true;
}

static bool
read_place(WtChunk *chunk, WtCursor *cursor, WtBodyPlace *place, int column)
{
	WtChunkParts *own = chunk->own;

	place->part = (int) wt_cursor_count(cursor, (uint64_t) chunk->n_parts + 1);
	place->stored = wt_cursor_count(cursor, WT_CHUNK_MAX_BYTES);
	place->raw = wt_cursor_count(cursor, WT_CHUNK_MAX_BYTES);
	if (cursor->bad || place->raw > WT_CHUNK_MAX_BYTES - chunk->raw_bytes)
		return false;
	chunk->raw_bytes += place->raw;
	if (place->part == 0)
	{
		place->in_place = wt_cursor_bytes(cursor, place->stored);
		return place->in_place != NULL;
	}
	if (place->part != chunk->n_parts + 1)
		return false;
	own->owners[place->part] = (WtPartOwner){column, place};
	chunk->n_parts++;
	return true;
}

static bool
read_decimal(WtCursor *cursor, WtDecimal *decimal)
{
	decimal->value = wt_cursor_zigzag(cursor);
	decimal->decimals = wt_cursor_byte(cursor);
	return !cursor->bad && decimal->decimals <= WT_DECIMAL_DIGITS;
}

static bool
read_range_text(WtCursor *cursor, const char **text, uint8_t *length)
{
	*length = wt_cursor_byte(cursor);
	*text = wt_cursor_bytes(cursor, *length);
	return *text && *length <= WT_RANGE_TEXT;
}

static bool
read_range(WtCursor *cursor, WtColumn *column)
{
	uint8_t flags = wt_cursor_byte(cursor);

	column->has_range = flags & HAS_RANGE;
	column->has_text_range = flags & HAS_TEXT_RANGE;
	column->max_is_cut = flags & MAX_IS_CUT;
	if (flags > (HAS_RANGE | HAS_TEXT_RANGE | MAX_IS_CUT))
		return false;
	if (column->has_range &&
		!(read_decimal(cursor, &column->min) && read_decimal(cursor, &column->max)))
		return false;
	return !column->has_text_range ||
		   (read_range_text(cursor, &column->min_text, &column->min_length) &&
			read_range_text(cursor, &column->max_text, &column->max_length));
}

/* Whether values of a kind may be encoded so. */
static bool
suits(WtKind kind, WtEncoding encoding, int n_values)
{
	if (n_values == 0 || kind == WT_KIND_NULL || kind == WT_KIND_EMPTY)
		return encoding == WT_ENCODING_NONE;
	switch (encoding)
	{
		case WT_ENCODING_CONSTANT:
			return true;
		case WT_ENCODING_DICTIONARY:
		case WT_ENCODING_TEXT:
			return !wt_kind_is_integer(kind);
		case WT_ENCODING_INTEGER:
			return wt_kind_is_integer(kind) || kind == WT_KIND_NUMBER;
		case WT_ENCODING_TEMPLATE:
			return !wt_kind_is_integer(kind) && kind != WT_KIND_NUMBER &&
				   kind != WT_KIND_BOOLEAN;
		case WT_ENCODING_UUID7:
		case WT_ENCODING_UUID:
		case WT_ENCODING_HEX:
		case WT_ENCODING_INSTANT:
			return kind == WT_KIND_STRING;
		default:
			return false;
	}
}

static bool
read_column(WtChunk *chunk, WtCursor *cursor, int index)
{
	WtColumn *column = &chunk->columns[index];
	bool has_codes;

	column->data = wt_arena_zeroed(chunk->own->arena, 1, sizeof(*column->data));
	column->data->index = index;
	column->encoding = (WtEncoding) wt_cursor_byte(cursor);
	column->n_values = (int) wt_cursor_count(cursor, (uint64_t) chunk->n_rows);
	column->n_distinct = (int) wt_cursor_count(cursor, MAX_CODES + 1) - 1;
	has_codes = column->encoding == WT_ENCODING_CONSTANT ||
				column->encoding == WT_ENCODING_DICTIONARY ||
				column->encoding == WT_ENCODING_TEMPLATE;
	if (cursor->bad || !suits(column->kind, column->encoding, column->n_values) ||
		has_codes != (column->n_distinct >= 1) ||
		(column->encoding == WT_ENCODING_CONSTANT && column->n_distinct != 1))
		return false;
	if (!read_range(cursor, column))
		return false;
	/* A constant of integers is nowhere else. */
	if (wt_kind_is_integer(column->kind) && column->n_values > 0 && !column->has_range)
		return false;
	return read_place(chunk, cursor, &column->data->body, index) &&
		   (column->encoding != WT_ENCODING_TEMPLATE ||
			read_place(chunk, cursor, &column->data->digits, index));
}

static bool
read_extras(WtChunk *chunk, WtCursor *cursor)
{
	for (int i = 1; i <= chunk->n_extras; i++)
	{
		WtColumn *column = &chunk->columns[i];

		column->path = -1;
		column->kind = (WtKind) wt_cursor_byte(cursor);
		if (column->kind != WT_KIND_EXTRA_INT && column->kind != WT_KIND_EXTRA)
			return false;
		column->name_length = wt_cursor_count(cursor, wt_cursor_left(cursor));
		column->name = wt_cursor_bytes(cursor, column->name_length);
		if (!column->name || !read_column(chunk, cursor, i))
			return false;
	}
	return true;
}

static bool
read_document_columns(WtChunk *chunk, WtCursor *cursor)
{
	int path = -1;
	WtKind kind = WT_KIND_TIME;

	for (int i = 1 + chunk->n_extras; i < chunk->n_columns; i++)
	{
		WtColumn *column = &chunk->columns[i];

		column->kind = (WtKind) wt_cursor_byte(cursor);
		column->path = (int) wt_cursor_count(cursor, (uint64_t) chunk->n_paths - 1);
		if (cursor->bad || column->kind < WT_KIND_STRING || column->kind >= WT_N_KINDS ||
			column->path < path || (column->path == path && column->kind <= kind) ||
			(column->kind == WT_KIND_WHOLE && column->path != WT_PATH_ROOT) ||
			!read_column(chunk, cursor, i) || column->n_values == 0)
			return false;
		path = column->path;
		kind = column->kind;
	}
	return true;
}

static bool
read_directory(WtChunk *chunk, WtCursor *cursor)
{
	WtChunkParts *own = chunk->own;
	WtPathInfo *paths;
	WtCursor rest;
	int n_columns;

	chunk->n_rows = (int) wt_cursor_count(cursor, WT_CHUNK_MAX_ROWS);
	chunk->n_paths = 1 + (int) wt_cursor_count(cursor, WT_CHUNK_MAX_PATHS - 1);
	if (cursor->bad || chunk->n_rows < 1 ||
		(size_t) chunk->n_paths > wt_cursor_left(cursor))
		return false;
	paths = wt_arena_zeroed(own->arena, (size_t) chunk->n_paths, sizeof(*paths));
	chunk->paths = paths;
	if (!read_paths(chunk, cursor, paths,
					wt_arena_zeroed(own->arena, (size_t) chunk->n_paths, sizeof(int))))
		return false;

	/*
	 * How many columns there are is said twice, before the extra ones and behind them; each
	 * takes six bytes of the directory at least.
	 */
	n_columns = 1 + WT_CHUNK_MAX_EXTRAS + WT_CHUNK_MAX_COLUMNS;
	if ((size_t) n_columns > wt_cursor_left(cursor) / 6)
		n_columns = (int) (wt_cursor_left(cursor) / 6) + 1;
	chunk->columns =
		wt_arena_zeroed(own->arena, (size_t) n_columns, sizeof(*chunk->columns));
	own->owners =
		wt_arena_zeroed(own->arena, (size_t) n_columns * 2 + 2, sizeof(*own->owners));
	chunk->columns[0].kind = WT_KIND_TIME;
	chunk->columns[0].path = -1;
	if (!read_column(chunk, cursor, 0) || chunk->columns[0].n_values != chunk->n_rows)
		return false;
	chunk->first_time = chunk->columns[0].min.value;
	chunk->last_time = chunk->columns[0].max.value;
	chunk->n_extras = (int) wt_cursor_count(cursor, WT_CHUNK_MAX_EXTRAS);
	if (cursor->bad || 1 + chunk->n_extras > n_columns || !read_extras(chunk, cursor))
		return false;
	rest = *cursor;
	chunk->n_columns =
		1 + chunk->n_extras + (int) wt_cursor_count(&rest, WT_CHUNK_MAX_COLUMNS);
	*cursor = rest;
	if (cursor->bad || chunk->n_columns > n_columns ||
		!read_document_columns(chunk, cursor))
		return false;
	own->n_shapes = (int) wt_cursor_count(cursor, (uint64_t) chunk->n_rows);
	return !cursor->bad && own->n_shapes >= 1 &&
		   read_place(chunk, cursor, &own->shapes_place, WT_COLUMN_SHAPES) &&
		   wt_cursor_left(cursor) == 0;
}

WtChunk *
wt_chunk_open(WtArena *arena, const char *bytes, size_t length, int32_t number,
			  WtColumnError *error)
{
	WtChunk *chunk = wt_arena_zeroed(arena, 1, sizeof(*chunk));
	size_t most = MAX_DIRECTORY;
	WtCursor cursor;
	uint8_t version;
	const char *directory;

	chunk->number = number;
	chunk->own = wt_arena_zeroed(arena, 1, sizeof(*chunk->own));
	chunk->own->arena = arena;
	chunk->own->budget = WT_CHUNK_MAX_BYTES * 2;
	if (!wt_part_is_sound(bytes, &length, number, WT_PART_DIRECTORY))
	{
		fail(error, "the checksum of part 0 does not match");
		return NULL;
	}
	cursor = wt_cursor(bytes, length);
	version = wt_cursor_byte(&cursor);
	if (version != WT_COLUMN_FORMAT_VERSION)
	{
		fail(error, "its format has version %d, of which only %d is known", version,
			 WT_COLUMN_FORMAT_VERSION);
		return NULL;
	}
	directory = wt_stream_next(arena, &cursor, &most, &length);
	if (directory && wt_cursor_left(&cursor) == 0)
	{
		cursor = wt_cursor(directory, length);
		if (read_directory(chunk, &cursor))
			return chunk;
	}
	fail(error, "part 0 is damaged");
	return NULL;
}

/* ----------------------------------------------------------------------------- shapes */

/*
 * Columns ascend; of a document no two are of one path, and none is of a path below
 * another's.
 */
static bool
read_shape(WtChunk *chunk, WtCursor *cursor, const int *subtree_end, uint16_t *numbers,
		   WtShape *shape)
{
	int n = (int) wt_cursor_count(cursor, (uint64_t) chunk->n_columns - 1);
	uint64_t column = 0;
	int free_path = 0;

	shape->extras = numbers;
	for (int i = 0; i < n; i++)
	{
		uint64_t distance = wt_cursor_count(cursor, (uint64_t) chunk->n_columns);

		column += distance;
		if (cursor->bad || distance == 0 || column >= (uint64_t) chunk->n_columns)
			return false;
		numbers[i] = (uint16_t) column;
		if (column <= (uint64_t) chunk->n_extras)
		{
			shape->n_extras++;
			continue;
		}
		if (chunk->columns[column].path < free_path)
			return false;
		free_path = subtree_end[chunk->columns[column].path];
	}
	shape->columns = numbers + shape->n_extras;
	shape->n_columns = n - shape->n_extras;
	return !cursor->bad;
}

/*
 * Lists each column's shapes.  Whether each has as many values as there are rows whose shape
 * has it.
 */
static bool
list_shapes(WtChunk *chunk)
{
	WtChunkParts *own = chunk->own;
	size_t n_columns = (size_t) chunk->n_columns;
	int *n_values = wt_arena_zeroed(own->arena, n_columns, sizeof(*n_values));
	uint32_t *next = wt_arena_zeroed(own->arena, n_columns + 1, sizeof(*next));

	for (int i = 0; i < own->n_shapes; i++)
	{
		const WtShape *shape = &own->shapes[i];

		for (int k = 0; k < shape->n_extras + shape->n_columns; k++)
		{
			n_values[shape->extras[k]] += shape->n_rows;
			next[shape->extras[k] + 1]++;
		}
	}
	for (size_t i = 1; i < n_columns; i++)
		if (n_values[i] != chunk->columns[i].n_values)
			return false;
	for (size_t i = 0; i < n_columns; i++)
		next[i + 1] += next[i];
	own->first_shape = wt_arena_array(own->arena, n_columns + 1, sizeof(*next));
	memcpy(own->first_shape, next, (n_columns + 1) * sizeof(*next));
	own->column_shapes = wt_arena_array(own->arena, next[n_columns], sizeof(uint16_t));
	for (int i = 0; i < own->n_shapes; i++)
	{
		const WtShape *shape = &own->shapes[i];

		for (int k = 0; k < shape->n_extras + shape->n_columns; k++)
			own->column_shapes[next[shape->extras[k]]++] = (uint16_t) i;
	}
	return true;
}

static bool
decode_shapes(WtChunk *chunk, const char *bytes, size_t length)
{
	WtChunkParts *own = chunk->own;
	WtCursor cursor = wt_cursor(bytes, length);
	size_t most = own->shapes_place.raw;
	WtCursor lists;
	const char *stream;
	int *subtree_end;
	uint16_t *numbers;
	uint16_t *row_shapes;
	const uint32_t *counts;

	if (!wt_chunk_afford(chunk, own->shapes_place.raw, 1 + 2 * sizeof(uint16_t)) ||
		!wt_chunk_afford(chunk, (size_t) own->n_shapes,
						 sizeof(*own->shapes) + WT_CODES_COUNT_BYTES))
		return false;
	stream = wt_stream_next(own->arena, &cursor, &most, &length);
	if (!stream)
		return false;
	lists = wt_cursor(stream, length);
	subtree_end =
		wt_arena_array(own->arena, (size_t) chunk->n_paths, sizeof(*subtree_end));
	for (int i = 0; i < chunk->n_paths; i++)
		subtree_end[i] = i + 1;
	for (int i = chunk->n_paths - 1; i > 0; i--)
		if (subtree_end[chunk->paths[i].parent] < subtree_end[i])
			subtree_end[chunk->paths[i].parent] = subtree_end[i];

	/* A number in a shape takes a byte at least. */
	numbers = wt_arena_array(own->arena, length + 1, sizeof(*numbers));
	own->shapes =
		wt_arena_zeroed(own->arena, (size_t) own->n_shapes, sizeof(*own->shapes));
	for (int i = 0; i < own->n_shapes; i++)
	{
		WtShape *shape = &own->shapes[i];
		WtCursor count = lists;

		if (wt_cursor_varint(&count) > wt_cursor_left(&count) ||
			!read_shape(chunk, &lists, subtree_end, numbers, shape))
			return false;
		numbers += shape->n_extras + shape->n_columns;
	}
	row_shapes = wt_arena_zeroed(own->arena, (size_t) chunk->n_rows, sizeof(*row_shapes));
	if (lists.bad || wt_cursor_left(&lists) > 0 ||
		(own->n_shapes > 1 && !wt_codes_next(own->arena, &cursor, &most, row_shapes,
											 chunk->n_rows, own->n_shapes)))
		return false;
	counts = wt_codes_count(own->arena, row_shapes, chunk->n_rows, own->n_shapes);
	for (int i = 0; i < own->n_shapes; i++)
		own->shapes[i].n_rows = (int) counts[i];
	own->row_shapes = row_shapes;
	own->shapes_place.is_there =
		!cursor.bad && wt_cursor_left(&cursor) == 0 && most == 0 && list_shapes(chunk);
	return own->shapes_place.is_there;
}

/* ------------------------------------------------------------------------------ parts */

static bool
decode(WtChunk *chunk, int column, WtBodyPlace *place, const char *bytes, size_t length)
{
	return column == WT_COLUMN_SHAPES
			   ? decode_shapes(chunk, bytes, length)
			   : wt_column_decode(chunk, &chunk->columns[column], place, bytes, length);
}

/* Where a body is not there: its part is wanted, or it is decoded from the directory. */
static bool
want_body(WtChunk *chunk, int column, WtBodyPlace *place, int *parts, int *n,
		  WtColumnError *error)
{
	if (place->is_there)
		return true;
	if (place->part > 0)
	{
		parts[(*n)++] = place->part;
		return true;
	}
	if (decode(chunk, column, place, place->in_place, place->stored))
		return true;
	return fail(error, "column %d, in part 0, is damaged", column);
}

int
wt_column_parts(WtChunk *chunk, int column, WtWant want, int parts[WT_PARTS_OF_COLUMN],
				WtColumnError *error)
{
	WtChunkParts *own = chunk->own;
	WtColumn *c = column == WT_COLUMN_SHAPES ? NULL : &chunk->columns[column];
	int n = 0;
	bool fine = true;

	if (c)
		c->data->wants_distinct = want == WT_WANT_DISTINCT && !c->data->body.is_there &&
								  (c->encoding == WT_ENCODING_CONSTANT ||
								   c->encoding == WT_ENCODING_DICTIONARY) &&
								  !wt_kind_is_integer(c->kind);
	if (c && c->data->wants_distinct)
	{
		if (!c->data->has_distinct)
			fine = want_body(chunk, column, &c->data->body, parts, &n, error);
		return fine ? n : -1;
	}
	if (!c || (c->n_values < chunk->n_rows && c->n_values > 0))
		fine = want_body(chunk, WT_COLUMN_SHAPES, &own->shapes_place, parts, &n, error);
	if (!c || want == WT_WANT_ROWS)
		return fine ? n : -1;
	fine = fine && want_body(chunk, column, &c->data->body, parts, &n, error);
	if (c->encoding == WT_ENCODING_TEMPLATE && want >= WT_WANT_FEW)
	{
		c->data->all_wanted |= want == WT_WANT_VALUES;
		/* Its templates come first. */
		if (fine && c->data->digits.part == 0 && c->data->body.part > 0 &&
			!c->data->body.is_there)
			return n;
		fine = fine && want_body(chunk, column, &c->data->digits, parts, &n, error);
		/* A few values were wanted before. */
		if (fine && want == WT_WANT_VALUES && c->data->digits.is_there &&
			!c->data->templates.runs && !wt_column_find_runs(chunk, c))
			fine = fail(error, "column %d is damaged", column);
	}
	/* Whether instants are relative is not known before they are there. */
	if (c->encoding == WT_ENCODING_INSTANT && want >= WT_WANT_FEW &&
		(!c->data->body.is_there || c->data->is_relative))
		fine =
			fine && want_body(chunk, 0, &chunk->columns[0].data->body, parts, &n, error);
	return fine ? n : -1;
}

size_t
wt_chunk_part_size(const WtChunk *chunk, int part)
{
	if (part < 1 || part > chunk->n_parts)
		return 0;
	return chunk->own->owners[part].place->stored + WT_CHECKSUM_SIZE;
}

bool
wt_chunk_add_part(WtChunk *chunk, int part, const char *bytes, size_t length,
				  WtColumnError *error)
{
	WtPartOwner *owner;

	if (part < 1 || part > chunk->n_parts)
		return fail(error, "it has no part %d", part);
	owner = &chunk->own->owners[part];
	if (owner->place->is_there)
		return true;
	if (!wt_part_is_sound(bytes, &length, chunk->number, part))
		return fail(error, "the checksum of part %d does not match", part);
	if (length != owner->place->stored)
		return fail(error, "part %d has %zu bytes instead of %zu", part, length,
					owner->place->stored);
	if (owner->column >= 0)
	{
		WtColumn *column = &chunk->columns[owner->column];
		WtColumnData *data = column->data;

		/* Digits are nothing without their templates, which may lie in the directory. */
		if (owner->place == &data->digits && !data->body.is_there &&
			(data->body.part > 0 || !decode(chunk, owner->column, &data->body,
											data->body.in_place, data->body.stored)))
			return fail(error, "part %d comes before the part that it belongs to", part);
	}
	if (!decode(chunk, owner->column, owner->place, bytes, length))
		return fail(error, "part %d is damaged", part);
	if (owner->column >= 0)
	{
		WtColumn *column = &chunk->columns[owner->column];
		WtBodyPlace *digits = &column->data->digits;

		/* Few digits lie in the directory, while their templates do not. */
		if (column->encoding == WT_ENCODING_TEMPLATE && digits->part == 0 &&
			!digits->is_there &&
			!decode(chunk, owner->column, digits, digits->in_place, digits->stored))
			return fail(error, "column %d, in part 0, is damaged", owner->column);
	}
	return true;
}

/* ---------------------------------------------------------------------------- finding */

int
wt_chunk_find_extra(const WtChunk *chunk, const char *name, size_t length)
{
	for (int i = 1; i <= chunk->n_extras; i++)
		if (chunk->columns[i].name_length == length &&
			memcmp(chunk->columns[i].name, name, length) == 0)
			return i;
	return -1;
}

int
wt_chunk_find_column(const WtChunk *chunk, int path, WtKind kind)
{
	for (int i = 1 + chunk->n_extras;
		 i < chunk->n_columns && chunk->columns[i].path <= path; i++)
		if (chunk->columns[i].path == path && chunk->columns[i].kind == kind)
			return i;
	return -1;
}

int
wt_chunk_find_path(const WtChunk *chunk, int parent, const char *key, size_t length)
{
	for (int i = parent + 1; i < chunk->n_paths && chunk->paths[i].parent >= parent; i++)
		if (chunk->paths[i].parent == parent && chunk->paths[i].key_length == length &&
			memcmp(chunk->paths[i].key, key, length) == 0)
			return i;
	return -1;
}
