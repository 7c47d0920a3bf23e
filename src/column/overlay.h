/*
 * overlay.h
 *		What was changed of a chunk since it was written: rows that are deleted (part -1),
 *		statuses that were set (part -2), and which of the deleted rows live on elsewhere, since
 *		their document was changed (part -3), and where (part -5).  Each is a small part of its own, written anew as a
 *		whole at each change.  And one that is written with the chunk and stays: what some rows have
 *		come by (part -4).
 *
 * The former are bitmaps over the chunk's rows in memory: bit row % 8 of byte row / 8.  Memory is
 * the arena's.  They trust nothing of what they read, and end with a checksum as all parts do.
 */
#ifndef WT_COLUMN_OVERLAY_H
#define WT_COLUMN_OVERLAY_H

#include "column/arena.h"
#include "column/format.h"

typedef struct WtDeleted
{
	int n_rows; /* of the chunk */
	int n_deleted;
	uint8_t *bits;
} WtDeleted;

typedef struct WtStatuses
{
	int n_rows;
	int n_changed;
	uint8_t *changed; /* a bit a row */
	uint8_t *null;	  /* a bit a row: set to NULL */
	int64_t *values;  /* one a row; 0 where it is not changed, or NULL */
} WtStatuses;

/* A number for some of the rows, which are rising: what they have come by, where they are. */
typedef struct WtNumbers
{
	int n;
	int *rows;
	uint64_t *numbers;
} WtNumbers;

static inline bool
wt_overlay_bit(const uint8_t *bits, int row)
{
	return (bits[row >> 3] >> (row & 7) & 1) != 0;
}

/* With no row deleted; with no status changed. */
extern void wt_deleted_init(WtArena *arena, int n_rows, WtDeleted *deleted);
extern void wt_statuses_init(WtArena *arena, int n_rows, WtStatuses *statuses);

/* Deletes a row; false where it was already. */
extern bool wt_deleted_add(WtDeleted *deleted, int row);

/* Sets a row's status; null: to NULL. */
extern void wt_statuses_set(WtStatuses *statuses, int row, int64_t value, bool null);

/*
 * From the bytes of part -1, …, -5 of this chunk, which has n_rows rows.  false, with what
 * is wrong.
 */
extern bool wt_deleted_read(WtArena *arena, const char *bytes, size_t length,
							int32_t chunk, int n_rows, WtDeleted *deleted,
							WtColumnError *error);
extern bool wt_moved_read(WtArena *arena, const char *bytes, size_t length, int32_t chunk,
						  int n_rows, WtDeleted *moved, WtColumnError *error);
extern bool wt_statuses_read(WtArena *arena, const char *bytes, size_t length,
							 int32_t chunk, int n_rows, WtStatuses *statuses,
							 WtColumnError *error);
extern bool wt_origins_read(WtArena *arena, const char *bytes, size_t length,
							int32_t chunk, int n_rows, WtNumbers *origins,
							WtColumnError *error);
extern bool wt_places_read(WtArena *arena, const char *bytes, size_t length,
						   int32_t chunk, int n_rows, WtNumbers *places,
						   WtColumnError *error);

/* As the bytes of part -1, …, -5 of this chunk. */
extern const char *wt_deleted_write(WtArena *arena, const WtDeleted *deleted,
									int32_t chunk, size_t *length);
extern const char *wt_moved_write(WtArena *arena, const WtDeleted *moved, int32_t chunk,
								  size_t *length);
extern const char *wt_statuses_write(WtArena *arena, const WtStatuses *statuses,
									 int32_t chunk, size_t *length);
extern const char *wt_origins_write(WtArena *arena, const WtNumbers *origins, int n_rows,
									int32_t chunk, size_t *length);
extern const char *wt_places_write(WtArena *arena, const WtNumbers *places, int n_rows,
								   int32_t chunk, size_t *length);

#endif
