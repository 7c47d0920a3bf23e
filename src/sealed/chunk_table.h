/*
 * chunk_table.h
 *		The table that a sealed partition's chunks are in: (chunk, part, body).
 *
 * Chunks are numbered in order of time.  Part 0 is a chunk's directory, 1 and on its columns,
 * -1 which rows are deleted, -2 the statuses that were changed, -4 what rows have come by.  What
 * is read here is bytes; whether they are sound is for column/ to say.
 */
#ifndef WT_CHUNK_TABLE_H
#define WT_CHUNK_TABLE_H

#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "column/format.h"

typedef struct WtChunkTable WtChunkTable;

/* A part's bytes; NULL: there is no such part. */
typedef struct WtPart
{
	const char *bytes;
	size_t length;
} WtPart;

/* What is to be known of a chunk before its columns are read. */
typedef struct WtChunkHead
{
	WtPart directory;
	WtPart deleted;
	WtPart status;
	WtPart origins;
} WtChunkHead;

/*
 * Opens it for reading, with a lock that lasts to the end of the transaction; in the current
 * memory context, which must live until it is closed.  Raises where it is no chunk table.
 */
extern WtChunkTable *wt_chunk_table_open(Oid table, Snapshot snapshot);
extern void wt_chunk_table_close(WtChunkTable *table);

/* Another snapshot from now on. */
extern void wt_chunk_table_snapshot(WtChunkTable *table, Snapshot snapshot);

/* The one that it has. */
extern Snapshot wt_chunk_table_snapshot_of(const WtChunkTable *table);

extern Relation wt_chunk_table_relation(const WtChunkTable *table);

/* For messages: its name. */
extern const char *wt_chunk_table_name(const WtChunkTable *table);

/*
 * The numbers of its chunks, ascending, in the current memory context.  The snapshot may
 * not see some of them.
 */
extern int wt_chunk_table_numbers(WtChunkTable *table, int32 **numbers);

/*
 * Reads a chunk's directory and what was changed of it, into the current memory context.
 * False: the snapshot sees no such chunk.
 */
extern bool wt_chunk_table_head(WtChunkTable *table, int32 chunk, WtChunkHead *head);

/* Reads a part into the current memory context.  Raises where it is missing. */
extern WtPart wt_chunk_table_part(WtChunkTable *table, int32 chunk, int32 part);

/* Bytes of parts that were read. */
extern uint64 wt_chunk_table_bytes_read(const WtChunkTable *table);

#endif
