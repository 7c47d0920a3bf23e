/*
 * overlay.c
 *		What was changed of a chunk since it was written.
 *
 * All parts begin with the version, the chunk's rows, and how many of them are meant.
 * Deleted and moved rows: LIST, and the distances from one to the next; or BITS, and the bitmap;
 * whichever is shorter.  Statuses: runs of rows, each at the same distance from the one
 * before it and with the same status: the run's length, the distance, whether it is NULL, and
 * if not, the status.  Origins and places: of each row the distance from the one before, and the difference of
 * their numbers.
 */
#include <stdio.h>

#include "column/bytes.h"
#include "column/crc.h"
#include "column/overlay.h"

enum
{
	LIST,
	BITS
};

static size_t
bitmap_size(int n_rows)
{
	return ((size_t) n_rows + 7) / 8;
}

static void
set_bit(uint8_t *bits, int row)
{
	bits[row >> 3] = (uint8_t) (bits[row >> 3] | 1 << (row & 7));
}

static void
clear_bit(uint8_t *bits, int row)
{
	bits[row >> 3] = (uint8_t) (bits[row >> 3] & ~(1 << (row & 7)));
}

void
wt_deleted_init(WtArena *arena, int n_rows, WtDeleted *deleted)
{
	deleted->n_rows = n_rows;
	deleted->n_deleted = 0;
	deleted->bits = wt_arena_zeroed(arena, bitmap_size(n_rows), 1);
}

void
wt_statuses_init(WtArena *arena, int n_rows, WtStatuses *statuses)
{
	statuses->n_rows = n_rows;
	statuses->n_changed = 0;
	statuses->changed = wt_arena_zeroed(arena, bitmap_size(n_rows), 1);
	statuses->null = wt_arena_zeroed(arena, bitmap_size(n_rows), 1);
	statuses->values = wt_arena_zeroed(arena, (size_t) n_rows, sizeof(*statuses->values));
}

bool
wt_deleted_add(WtDeleted *deleted, int row)
{
	if (wt_overlay_bit(deleted->bits, row))
		return false;
	set_bit(deleted->bits, row);
	deleted->n_deleted++;
	return true;
}

void
wt_statuses_set(WtStatuses *statuses, int row, int64_t value, bool null)
{
	if (!wt_overlay_bit(statuses->changed, row))
	{
		set_bit(statuses->changed, row);
		statuses->n_changed++;
	}
	if (null)
		set_bit(statuses->null, row);
	else
		clear_bit(statuses->null, row);
	statuses->values[row] = null ? 0 : value;
}

/* Bytes that are written into a piece of the arena of known size. */
typedef struct Writer
{
	char *begin;
	char *p;
} Writer;

static Writer
writer_of(WtArena *arena, size_t most)
{
	char *begin = wt_arena_alloc(arena, most + WT_CHECKSUM_SIZE);

	return (Writer){begin, begin};
}

static void
put_varint(Writer *to, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*to->p++ = (char) (value | 0x80);
	*to->p++ = (char) value;
}

static const char *
end_part(Writer *to, int32_t chunk, int part, size_t *length)
{
	size_t without = (size_t) (to->p - to->begin);

	wt_store32(to->p, wt_part_checksum(to->begin, without, chunk, part));
	*length = without + WT_CHECKSUM_SIZE;
	return to->begin;
}

static bool
fail(WtColumnError *error, int part, const char *what)
{
	snprintf(error->text, sizeof(error->text), "part %d %s", part, what);
	return false;
}

/* What they begin with; how many rows are meant. */
static bool
begin_reading(const char *bytes, size_t length, int32_t chunk, int part, int n_rows,
			  WtCursor *cursor, int *n, WtColumnError *error)
{
	if (!wt_part_is_sound(bytes, &length, chunk, part))
		return fail(error, part, "has a checksum that does not match");
	*cursor = wt_cursor(bytes, length);
	if (wt_cursor_byte(cursor) != WT_COLUMN_FORMAT_VERSION)
		return fail(error, part, "has a format whose version is not known");
	if (wt_cursor_varint(cursor) != (uint64_t) n_rows)
		return fail(error, part, "is of a chunk with another count of rows");
	*n = (int) wt_cursor_count(cursor, (uint64_t) n_rows);
	return true;
}

static bool
read_rows(WtArena *arena, const char *bytes, size_t length, int32_t chunk, int part,
		  int n_rows, WtDeleted *deleted, WtColumnError *error)
{
	WtCursor cursor;
	int n;
	int form;

	wt_deleted_init(arena, n_rows, deleted);
	if (!begin_reading(bytes, length, chunk, part, n_rows, &cursor, &n, error))
		return false;
	form = wt_cursor_byte(&cursor);
	if (form == BITS)
	{
		const char *bits = wt_cursor_bytes(&cursor, bitmap_size(n_rows));

		for (int row = 0; bits && row < n_rows; row++)
			if (wt_overlay_bit((const uint8_t *) bits, row))
				wt_deleted_add(deleted, row);
	}
	else if (form == LIST)
	{
		uint64_t row = 0;

		for (int i = 0; i < n && !cursor.bad; i++)
		{
			row += wt_cursor_count(&cursor, (uint64_t) n_rows);
			if (row >= (uint64_t) n_rows)
				cursor.bad = true;
			else
				wt_deleted_add(deleted, (int) row);
		}
	}
	else
		cursor.bad = true;
	if (cursor.bad || deleted->n_deleted != n || wt_cursor_left(&cursor) > 0)
		return fail(error, part, "is damaged");
	return true;
}

bool
wt_deleted_read(WtArena *arena, const char *bytes, size_t length, int32_t chunk,
				int n_rows, WtDeleted *deleted, WtColumnError *error)
{
	return read_rows(arena, bytes, length, chunk, WT_PART_DELETED, n_rows, deleted,
					 error);
}

bool
wt_moved_read(WtArena *arena, const char *bytes, size_t length, int32_t chunk, int n_rows,
			  WtDeleted *moved, WtColumnError *error)
{
	return read_rows(arena, bytes, length, chunk, WT_PART_MOVED, n_rows, moved, error);
}

static const char *
write_rows(WtArena *arena, const WtDeleted *deleted, int32_t chunk, int part,
		   size_t *length)
{
	size_t size = bitmap_size(deleted->n_rows);
	Writer to = writer_of(arena, 1 + 2 * WT_VARINT_MAX + 1 + size + WT_VARINT_MAX);
	char *form;
	int last = 0;

	*to.p++ = WT_COLUMN_FORMAT_VERSION;
	put_varint(&to, (uint64_t) deleted->n_rows);
	put_varint(&to, (uint64_t) deleted->n_deleted);
	form = to.p++;
	*form = LIST;
	for (int row = 0; row < deleted->n_rows; row++)
	{
		if (!wt_overlay_bit(deleted->bits, row))
			continue;
		if ((size_t) (to.p - form) > size)
		{
			*form = BITS;
			to.p = form + 1;
			memcpy(to.p, deleted->bits, size);
			to.p += size;
			break;
		}
		put_varint(&to, (uint64_t) (row - last));
		last = row;
	}
	return end_part(&to, chunk, part, length);
}

const char *
wt_deleted_write(WtArena *arena, const WtDeleted *deleted, int32_t chunk, size_t *length)
{
	return write_rows(arena, deleted, chunk, WT_PART_DELETED, length);
}

const char *
wt_moved_write(WtArena *arena, const WtDeleted *moved, int32_t chunk, size_t *length)
{
	return write_rows(arena, moved, chunk, WT_PART_MOVED, length);
}

/* A run of rows at one distance from each other, which have the same status. */
typedef struct Run
{
	int length;
	int distance;
	int64_t value;
	bool null;
} Run;

bool
wt_statuses_read(WtArena *arena, const char *bytes, size_t length, int32_t chunk,
				 int n_rows, WtStatuses *statuses, WtColumnError *error)
{
	WtCursor cursor;
	int n;
	uint64_t row = 0;

	wt_statuses_init(arena, n_rows, statuses);
	if (!begin_reading(bytes, length, chunk, WT_PART_STATUSES, n_rows, &cursor, &n,
					   error))
		return false;
	while (statuses->n_changed < n && !cursor.bad)
	{
		uint64_t run = wt_cursor_count(&cursor, (uint64_t) (n - statuses->n_changed));
		uint64_t distance = wt_cursor_count(&cursor, (uint64_t) n_rows);
		bool null = wt_cursor_byte(&cursor) != 0;
		int64_t value = null ? 0 : wt_cursor_zigzag(&cursor);

		if (run == 0)
			cursor.bad = true;
		for (; run > 0 && !cursor.bad; run--)
		{
			row += distance;
			/* The first may be row 0; no other is where the one before it was. */
			if (row >= (uint64_t) n_rows || wt_overlay_bit(statuses->changed, (int) row))
				cursor.bad = true;
			else
				wt_statuses_set(statuses, (int) row, value, null);
		}
	}
	if (cursor.bad || wt_cursor_left(&cursor) > 0)
		return fail(error, WT_PART_STATUSES, "is damaged");
	return true;
}

static void
put_run(Writer *to, const Run *run)
{
	if (run->length == 0)
		return;
	put_varint(to, (uint64_t) run->length);
	put_varint(to, (uint64_t) run->distance);
	*to->p++ = (char) run->null;
	if (!run->null)
		put_varint(to, wt_zigzag(run->value));
}

const char *
wt_statuses_write(WtArena *arena, const WtStatuses *statuses, int32_t chunk,
				  size_t *length)
{
	Writer to = writer_of(arena, 1 + 2 * WT_VARINT_MAX +
									 ((size_t) statuses->n_changed + 1) *
										 (3 * WT_VARINT_MAX + 1));
	Run run = {0};
	int last = 0;

	*to.p++ = WT_COLUMN_FORMAT_VERSION;
	put_varint(&to, (uint64_t) statuses->n_rows);
	put_varint(&to, (uint64_t) statuses->n_changed);
	for (int row = 0; row < statuses->n_rows; row++)
	{
		bool null;

		if (!wt_overlay_bit(statuses->changed, row))
			continue;
		null = wt_overlay_bit(statuses->null, row);
		if (run.length == 0 || run.distance != row - last || run.null != null ||
			run.value != statuses->values[row])
		{
			put_run(&to, &run);
			run = (Run){0, row - last, statuses->values[row], null};
		}
		run.length++;
		last = row;
	}
	put_run(&to, &run);
	return end_part(&to, chunk, WT_PART_STATUSES, length);
}

static bool
read_numbers(WtArena *arena, const char *bytes, size_t length, int32_t chunk, int part,
			 int n_rows, WtNumbers *numbers, WtColumnError *error)
{
	WtCursor cursor;
	uint64_t row = 0;
	uint64_t number = 0;

	if (!begin_reading(bytes, length, chunk, part, n_rows, &cursor, &numbers->n, error))
		return false;
	numbers->rows = wt_arena_zeroed(arena, (size_t) numbers->n, sizeof(int));
	numbers->numbers = wt_arena_zeroed(arena, (size_t) numbers->n, sizeof(uint64_t));
	for (int i = 0; i < numbers->n && !cursor.bad; i++)
	{
		uint64_t distance = wt_cursor_count(&cursor, (uint64_t) n_rows);

		row += distance;
		number += (uint64_t) wt_cursor_zigzag(&cursor);
		if (row >= (uint64_t) n_rows || (i > 0 && distance == 0))
			cursor.bad = true;
		numbers->rows[i] = (int) row;
		numbers->numbers[i] = number;
	}
	if (cursor.bad || wt_cursor_left(&cursor) > 0)
		return fail(error, part, "is damaged");
	return true;
}

static const char *
write_numbers(WtArena *arena, const WtNumbers *numbers, int n_rows, int32_t chunk,
			  int part, size_t *length)
{
	Writer to =
		writer_of(arena, 1 + 2 * WT_VARINT_MAX + (size_t) numbers->n * 2 * WT_VARINT_MAX);
	int row = 0;
	uint64_t number = 0;

	*to.p++ = WT_COLUMN_FORMAT_VERSION;
	put_varint(&to, (uint64_t) n_rows);
	put_varint(&to, (uint64_t) numbers->n);
	for (int i = 0; i < numbers->n; i++)
	{
		put_varint(&to, (uint64_t) (numbers->rows[i] - row));
		put_varint(&to, wt_zigzag((int64_t) (numbers->numbers[i] - number)));
		row = numbers->rows[i];
		number = numbers->numbers[i];
	}
	return end_part(&to, chunk, part, length);
}

bool
wt_origins_read(WtArena *arena, const char *bytes, size_t length, int32_t chunk,
				int n_rows, WtNumbers *origins, WtColumnError *error)
{
	return read_numbers(arena, bytes, length, chunk, WT_PART_ORIGINS, n_rows, origins,
						error);
}

bool
wt_places_read(WtArena *arena, const char *bytes, size_t length, int32_t chunk,
			   int n_rows, WtNumbers *places, WtColumnError *error)
{
	return read_numbers(arena, bytes, length, chunk, WT_PART_PLACES, n_rows, places,
						error);
}

const char *
wt_origins_write(WtArena *arena, const WtNumbers *origins, int n_rows, int32_t chunk,
				 size_t *length)
{
	return write_numbers(arena, origins, n_rows, chunk, WT_PART_ORIGINS, length);
}

const char *
wt_places_write(WtArena *arena, const WtNumbers *places, int n_rows, int32_t chunk,
				size_t *length)
{
	return write_numbers(arena, places, n_rows, chunk, WT_PART_PLACES, length);
}
