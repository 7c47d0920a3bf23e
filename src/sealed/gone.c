/*
 * gone.c
 *		Rows of chunks that are there no more.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "column/overlay.h"
#include "sealed/gone.h"
#include "sealed/projection.h"

/* A chunk with rows that are gone. */
typedef struct GoneChunk
{
	int32 chunk;
	WtDeleted deleted;
} GoneChunk;

/* A row that is looked for. */
typedef struct Sought
{
	TimestampTz time;
	uint64 hash;
	bool found;
} Sought;

struct WtGone
{
	MemoryContext context;
	int n_chunks;
	int room;
	GoneChunk *chunks;
	int n_sought;
	Sought *sought; /* WT_MAX_GONE of them; NULL: none yet */
};

static void
out_of_memory(size_t bytes)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("A chunk's deleted rows need %zu bytes more.", bytes)));
}

WtGone *
wt_gone_create(void)
{
	WtGone *gone = palloc0(sizeof(*gone));

	gone->context = CurrentMemoryContext;
	return gone;
}

/* The rows that are gone of a chunk. */
static WtDeleted *
find_chunk(WtGone *gone, int32 chunk, int n_rows)
{
	GoneChunk *found;

	for (int i = gone->n_chunks - 1; i >= 0; i--)
		if (gone->chunks[i].chunk == chunk)
			return &gone->chunks[i].deleted;
	if (gone->n_chunks == gone->room)
	{
		gone->room = Max(16, gone->room * 2);
		gone->chunks =
			gone->chunks ? repalloc(gone->chunks, sizeof(GoneChunk) * (size_t) gone->room)
						 : MemoryContextAlloc(gone->context,
											  sizeof(GoneChunk) * (size_t) gone->room);
	}
	found = &gone->chunks[gone->n_chunks++];
	found->chunk = chunk;
	found->deleted.n_rows = n_rows;
	found->deleted.n_deleted = 0;
	found->deleted.bits = MemoryContextAllocZero(gone->context, (size_t) n_rows / 8 + 1);
	return &found->deleted;
}

void
wt_gone_mark(WtGone *gone, int32 chunk, int n_rows, int row)
{
	(void) wt_deleted_add(find_chunk(gone, chunk, n_rows), row);
}

void
wt_gone_add(WtGone *gone, TimestampTz time, uint64 hash)
{
	if (!gone->sought)
		gone->sought = MemoryContextAlloc(gone->context, sizeof(Sought) * WT_MAX_GONE);
	if (gone->n_sought == WT_MAX_GONE)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("too many rows were changed while they were being sealed"),
						errhint("Seal it when less of it is changed.")));
	gone->sought[gone->n_sought++] = (Sought){.time = time, .hash = hash};
}

bool
wt_gone_sought(const WtGone *gone)
{
	return gone->n_sought > 0;
}

static int
compare_sought(const void *a, const void *b)
{
	const Sought *x = a;
	const Sought *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

/* The first row of this time or later. */
static int
first_of(const int64 *times, int n, TimestampTz time)
{
	int low = 0;

	while (n > 0)
	{
		int half = n / 2;

		if (times[low + half] < time)
		{
			low += half + 1;
			n -= half + 1;
		}
		else
			n = half;
	}
	return low;
}

/* Looks for a row in the chunk that is open. */
static bool
find_in_chunk(WtGone *gone, WtChunkScan *scan, WtProjection *projection,
			  const WtRowHash *hash, const Sought *sought, TupleTableSlot *slot)
{
	const int64 *times = wt_chunk_scan_integers(scan, 0);
	int n_rows = scan->chunk->n_rows;
	WtDeleted *deleted = NULL;

	for (int row = first_of(times, n_rows, sought->time);
		 row < n_rows && times[row] == sought->time; row++)
	{
		wt_projection_fill(projection, row, slot->tts_values, slot->tts_isnull);
		if (wt_row_hash(hash, slot->tts_values, slot->tts_isnull) != sought->hash)
			continue;
		if (!deleted)
			deleted = find_chunk(gone, scan->chunk->number, n_rows);
		if (wt_deleted_add(deleted, row))
			return true;
	}
	return false;
}

/* Deletes those that are rows of a table, whose columns are those of desc; gives how many. */
static int
delete_from(WtGone *gone, Oid late, TupleDesc desc)
{
	Relation relation = table_open(late, RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	WtRowHash *hash = wt_row_hash_create(RelationGetDescr(relation), desc);
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "windtrap sought row",
											  ALLOCSET_DEFAULT_SIZES);
	Snapshot snapshot;
	TableScanDesc scan;
	int n = 0;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan(relation, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(row);
		uint64 value;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		value = wt_row_hash(hash, slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row);
		for (int i = 0; i < gone->n_sought; i++)
			if (!gone->sought[i].found && gone->sought[i].hash == value)
			{
				gone->sought[i].found = true;
				simple_heap_delete(relation, &slot->tts_tid);
				n++;
				break;
			}
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(row);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
	return n;
}

/* All must have been found. */
static void
forget_sought(WtGone *gone, int left)
{
	if (left > 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("a row that was changed meanwhile is not among those that "
							   "were copied")));
	gone->n_sought = 0;
}

void
wt_gone_find(WtGone *gone, WtChunkScan *scan, const WtRowHash *hash, Oid late)
{
	WtNeeds needs = wt_needs_of_rows(scan->columns);
	TupleTableSlot *slot;
	WtProjection *projection;
	int left = gone->n_sought;
	int first = 0;

	if (gone->n_sought == 0)
		return;
	qsort(gone->sought, (size_t) gone->n_sought, sizeof(Sought), compare_sought);
	slot = MakeSingleTupleTableSlot(scan->columns, &TTSOpsVirtual);
	projection = wt_projection_create(scan, &needs);
	for (int i = 0; i < scan->n_numbers && first < gone->n_sought; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!wt_chunk_scan_open(scan, scan->numbers[i]))
			continue;
		/* Chunks are in order of time, but for rows of one time at their ends. */
		while (first < gone->n_sought &&
			   gone->sought[first].time < scan->chunk->first_time)
			first++;
		for (int k = first;
			 k < gone->n_sought && gone->sought[k].time <= scan->chunk->last_time; k++)
			if (!gone->sought[k].found &&
				find_in_chunk(gone, scan, projection, hash, &gone->sought[k], slot))
			{
				gone->sought[k].found = true;
				left--;
			}
	}
	wt_chunk_scan_close_chunk(scan);
	ExecDropSingleTupleTableSlot(slot);
	if (left > 0)
		left -= delete_from(gone, late, scan->columns);
	forget_sought(gone, left);
}

void
wt_gone_delete(WtGone *gone, Oid table, TupleDesc desc)
{
	if (gone->n_sought > 0)
		forget_sought(gone, gone->n_sought - delete_from(gone, table, desc));
}

void
wt_gone_write(const WtGone *gone, WtChunkStore *store)
{
	WtArena *arena = wt_arena_create(out_of_memory);

	for (int i = 0; i < gone->n_chunks; i++)
	{
		size_t length;
		const char *bytes;

		if (gone->chunks[i].deleted.n_deleted == 0)
			continue;
		bytes = wt_deleted_write(arena, &gone->chunks[i].deleted, gone->chunks[i].chunk,
								 &length);
		wt_chunk_store_put(store, gone->chunks[i].chunk, WT_PART_DELETED, bytes, length);
	}
	wt_arena_destroy(arena);
}
