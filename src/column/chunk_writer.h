/*
 * chunk_writer.h
 *		Rows become a chunk: taken apart by who calls, collected by column, encoded, and
 *		handed over as parts.
 *
 * The order of calls, for each chunk:
 *
 *		for each row:
 *			wt_chunk_writer_begin_row()
 *			wt_chunk_writer_path(), wt_chunk_writer_value() for each leaf of the document, in
 *				jsonb's order of keys, or wt_chunk_writer_keep_whole()
 *			wt_chunk_writer_extra() or _extra_int() for each extra column that is not NULL
 *			wt_chunk_writer_end_row()
 *		wt_chunk_writer_finish()
 *
 * Memory is the writer's own, from malloc: as much as the chunk's rows as text, and about
 * as much again while it is encoded.  Who raises between these calls destroys the writer
 * (in the server: by a callback of a memory context).
 */
#ifndef WT_COLUMN_CHUNK_WRITER_H
#define WT_COLUMN_CHUNK_WRITER_H

#include "column/arena.h"
#include "column/format.h"

typedef struct WtChunkWriter WtChunkWriter;

/*
 * A writer of chunks of at most max_rows rows (1 to WT_CHUNK_MAX_ROWS), compressed by zstd
 * at this level (1 to 19; 3 is meant; 0: not at all).  NULL where there is no memory; what lacks memory
 * later calls failed, which must not return.
 */
extern WtChunkWriter *wt_chunk_writer_create(int max_rows, int level,
											 WtOutOfMemory failed);
extern void wt_chunk_writer_destroy(WtChunkWriter *writer);

/*
 * Declares an extra column, for all chunks to come; before the first row.  Its number, from
 * 0.  -1: there are WT_CHUNK_MAX_EXTRAS.  A chunk's directory names it also where it has no
 * value, so that a reader can tell a column that was NULL from one that did not exist yet.
 */
extern int wt_chunk_writer_declare(WtChunkWriter *writer, const char *name, size_t length,
								   bool integers);

/* The next row, of this time in µs since 2000-01-01 UTC (the infinities too). */
extern void wt_chunk_writer_begin_row(WtChunkWriter *writer, int64_t time);

/*
 * The number of the path that a key below parent is (WT_PATH_ROOT: of the document itself);
 * it is valid until the chunk is finished.  Keys are any bytes.  Cheap where keys come in the
 * order in which they came in the row before: then nothing is hashed.
 *
 * -1: too many paths, too deep, or a key with a NUL; the row must be kept whole.
 */
extern int wt_chunk_writer_path(WtChunkWriter *writer, int parent, const char *key,
								size_t length);

/*
 * A leaf of the row: its kind (string to JSON of WtKind), its bytes as WtKind says, copied.
 * Leaves come in jsonb's order, depth first.  What is no object, on top, is a leaf at
 * WT_PATH_ROOT.  An object with members is no leaf.
 *
 * false: there are too many columns; the row must be kept whole.
 */
extern bool wt_chunk_writer_value(WtChunkWriter *writer, int path, WtKind kind,
								  const char *bytes, size_t length);

/* Takes back the leaves that the row has so far; it is this text (as jsonb prints it). */
extern void wt_chunk_writer_keep_whole(WtChunkWriter *writer, const char *json,
									   size_t length);

/* The row's value in an extra column that was declared; not called where it is NULL. */
extern void wt_chunk_writer_extra(WtChunkWriter *writer, int extra, const char *bytes,
								  size_t length);
extern void wt_chunk_writer_extra_int(WtChunkWriter *writer, int extra, int64_t value);

extern void wt_chunk_writer_end_row(WtChunkWriter *writer);

/* Takes back the row that was begun and not ended, or the last one that was ended. */
extern void wt_chunk_writer_forget_row(WtChunkWriter *writer);

/*
 * Rows that have been ended, and the bytes of their values, each counted as 8 more: who calls
 * bounds chunks by both.  Beyond half of WT_CHUNK_MAX_BYTES they do not fit one chunk.
 */
extern int wt_chunk_writer_rows(const WtChunkWriter *writer);
extern size_t wt_chunk_writer_bytes(const WtChunkWriter *writer);

/*
 * Takes a part: its number, and its bytes with the checksum at the end, which are the
 * writer's and gone when this returns.  false stops the writer; it may raise.
 */
typedef bool (*WtPutPart)(void *arg, int part, const char *bytes, size_t length);

/*
 * Encodes the rows as a chunk of this number and hands its parts to put: the columns' in
 * ascending order of their numbers, from 1, and the directory (part 0) last, which is the
 * first that needs to know of all others.  Then the writer is ready for the next chunk.
 *
 * false, with what is wrong: there are no rows, more bytes than a reader would take, zstd
 * fails, or put returned false (then the text is empty).  The writer is ready all the same,
 * and the rows are gone.
 */
extern bool wt_chunk_writer_finish(WtChunkWriter *writer, int32_t chunk, WtPutPart put,
								   void *arg, WtColumnError *error);

#endif
