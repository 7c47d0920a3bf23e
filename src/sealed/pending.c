/*
 * pending.c
 *		What commands that run are changing of chunks.
 *
 * Commands nest: a trigger of one runs another.  The inner one has the higher number, and what it
 * changes is later than what the outer one has changed until then; so before it writes a chunk,
 * that of the outer ones is written.  If it does so in a subtransaction that fails, that was
 * in vain, and what was written counts as pending again.
 *
 * What a command has written before its end, since it had become too much, it forgets, but for
 * which rows it has touched: a row that it comes by twice it changes once.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "sealed/overlay_store.h"
#include "sealed/pending.h"

/* More than this is not kept, but written. */
#define MAX_BYTES (8 * 1024 * 1024)

typedef struct Status
{
	int row;
	bool null;
	int64 value;
} Status;

/* Where a row has moved to. */
typedef struct Place
{
	int row;
	uint64 number;
} Place;

/* Bits of rows, as many as were needed. */
typedef struct Bits
{
	int size; /* bytes */
	uint8 *bytes;
} Bits;

/* What is changed of a chunk. */
typedef struct Chunk
{
	int32 number; /* key */
	Bits touched; /* by this command */
	Bits inner;	  /* by commands that it called */
	Bits deleted, moved;
	int n_statuses, room;
	Status *statuses;
	int n_places, places_room;
	Place *places;
	SubTransactionId written; /* where it was; InvalidSubTransactionId: it is to be */
	bool dirty;				  /* there is something that is to be written */
} Chunk;

struct WtPending
{
	struct WtPending *outer; /* begun before */
	Oid chunks;
	CommandId command;
	SubTransactionId subtransaction;
	int users;
	MemoryContext context;
	WtOverlayStore *store;
	MemoryContext arena_context;
	WtArena *arena;
	HTAB *by_number;
	Chunk *last; /* that was asked for */
	size_t bytes;
};

/* The one that was begun last. */
static WtPending *newest;

static void
bits_set(WtPending *p, Bits *bits, int row)
{
	int byte = row / 8;

	if (byte >= bits->size)
	{
		int size = Max(byte + 1, Max(256, bits->size * 2));

		bits->bytes = bits->bytes ? repalloc(bits->bytes, size)
								  : MemoryContextAlloc(p->context, size);
		memset(bits->bytes + bits->size, 0, size - bits->size);
		p->bytes += size - bits->size;
		bits->size = size;
	}
	bits->bytes[byte] |= 1 << (row % 8);
}

static bool
bits_has(const Bits *bits, int row)
{
	return row / 8 < bits->size && (bits->bytes[row / 8] & 1 << (row % 8)) != 0;
}

static void
bits_free(WtPending *p, Bits *bits)
{
	if (bits->bytes)
		pfree(bits->bytes);
	p->bytes -= bits->size;
	*bits = (Bits){0};
}

/* Forgets what is to be written, or has been. */
static void
forget(WtPending *p, Chunk *chunk)
{
	bits_free(p, &chunk->deleted);
	bits_free(p, &chunk->moved);
	if (chunk->statuses)
		pfree(chunk->statuses);
	p->bytes -= (size_t) chunk->room * sizeof(Status);
	chunk->statuses = NULL;
	chunk->n_statuses = chunk->room = 0;
	if (chunk->places)
		pfree(chunk->places);
	p->bytes -= (size_t) chunk->places_room * sizeof(Place);
	chunk->places = NULL;
	chunk->n_places = chunk->places_room = 0;
	chunk->written = InvalidSubTransactionId;
	chunk->dirty = false;
}

static void
unlink_pending(WtPending *p)
{
	for (WtPending **at = &newest; *at; at = &(*at)->outer)
		if (*at == p)
		{
			*at = p->outer;
			return;
		}
}

/* What a subtransaction's end does to what is pending. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
				   void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	for (WtPending *p = newest, *outer; p; p = outer)
	{
		HASH_SEQ_STATUS status;
		Chunk *chunk;

		outer = p->outer;
		if (p->subtransaction == mine && event == SUBXACT_EVENT_ABORT_SUB)
		{
			/* The tables that it has opened are closed already. */
			unlink_pending(p);
			MemoryContextDelete(p->context);
			continue;
		}
		if (p->subtransaction == mine)
			p->subtransaction = parent;
		hash_seq_init(&status, p->by_number);
		while ((chunk = hash_seq_search(&status)) != NULL)
			if (chunk->written == mine)
			{
				if (event == SUBXACT_EVENT_ABORT_SUB)
					chunk->written = InvalidSubTransactionId;
				else if (parent == p->subtransaction)
					forget(p, chunk);
				else
					chunk->written = parent;
			}
	}
}

/* Nothing is pending between transactions; memory goes with the transaction's. */
static void
end_transaction(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && newest)
		elog(ERROR, "changes to a sealed partition were not written");
	if (event == XACT_EVENT_ABORT)
		newest = NULL;
}

WtPending *
wt_pending_begin(Oid chunks, CommandId command)
{
	static bool registered;
	MemoryContext context;
	MemoryContext old;
	HASHCTL control = {0};
	WtPending *p;

	for (p = newest; p; p = p->outer)
		if (p->chunks == chunks && p->command == command &&
			p->subtransaction == GetCurrentSubTransactionId())
		{
			p->users++;
			return p;
		}
	if (!registered)
	{
		RegisterSubXactCallback(end_subtransaction, NULL);
		RegisterXactCallback(end_transaction, NULL);
		registered = true;
	}
	context = AllocSetContextCreate(TopTransactionContext, "pending changes of chunks",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	p = palloc0(sizeof(*p));
	p->context = context;
	p->chunks = chunks;
	p->command = command;
	p->subtransaction = GetCurrentSubTransactionId();
	p->users = 1;
	p->store = wt_overlay_store_open(chunks);
	p->arena_context =
		AllocSetContextCreate(context, "arena of pending changes", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(p->arena_context);
	p->arena = wt_overlay_arena();
	MemoryContextSwitchTo(old);
	control.keysize = sizeof(int32);
	control.entrysize = sizeof(Chunk);
	control.hcxt = context;
	p->by_number = hash_create("pending changes of chunks", 64, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	p->outer = newest;
	newest = p;
	return p;
}

/* ---------------------------------------------------------------------- writing */

static int
compare_places(const void *left, const void *right)
{
	const Place *a = left;
	const Place *b = right;

	return a->row < b->row ? -1 : a->row > b->row;
}

/* Those that are pending among those that are written, by their rows. */
static void
merge_places(const Chunk *chunk, WtArena *arena, WtNumbers *places)
{
	WtNumbers all = {.n = places->n + chunk->n_places};
	int old = 0;
	int new = 0;

	if (chunk->n_places == 0)
		return;
	all.rows = wt_arena_zeroed(arena, (size_t) all.n, sizeof(*all.rows));
	all.numbers = wt_arena_zeroed(arena, (size_t) all.n, sizeof(*all.numbers));
	qsort(chunk->places, (size_t) chunk->n_places, sizeof(Place), compare_places);
	for (int i = 0; i < all.n; i++)
		if (new == chunk->n_places ||
			(old < places->n && places->rows[old] < chunk->places[new].row))
		{
			all.rows[i] = places->rows[old];
			all.numbers[i] = places->numbers[old++];
		}
		else
		{
			all.rows[i] = chunk->places[new].row;
			all.numbers[i] = chunk->places[new ++].number;
		}
	*places = all;
}

/* Puts what is pending of a chunk on what is written. */
static void
merge(const Chunk *chunk, int n_rows, WtArena *arena, WtChanges *changes)
{
	if (chunk->deleted.size > 0 && changes->deleted.bits == NULL)
		wt_deleted_init(arena, n_rows, &changes->deleted);
	if (chunk->moved.size > 0 && changes->moved.bits == NULL)
		wt_deleted_init(arena, n_rows, &changes->moved);
	if (chunk->n_statuses > 0 && changes->statuses.changed == NULL)
		wt_statuses_init(arena, n_rows, &changes->statuses);
	for (int row = 0; row < n_rows; row++)
	{
		if (bits_has(&chunk->deleted, row))
			wt_deleted_add(&changes->deleted, row);
		if (bits_has(&chunk->moved, row))
			wt_deleted_add(&changes->moved, row);
	}
	merge_places(chunk, arena, &changes->places);
	for (int i = 0; i < chunk->n_statuses; i++)
	{
		const Status *status = &chunk->statuses[i];

		if (status->row < n_rows)
			wt_statuses_set(&changes->statuses, status->row, status->value, status->null);
	}
}

/* Writes what a command is changing of a chunk. */
static void
write_one(WtPending *p, Chunk *chunk)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "writing of changes",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	WtChanges changes;
	int n_rows;

	wt_arena_reset(p->arena);
	n_rows = wt_overlay_store_rows(p->store, chunk->number, p->arena);
	wt_overlay_store_read_all(p->store, chunk->number, n_rows, p->arena, &changes);
	merge(chunk, n_rows, p->arena, &changes);
	wt_overlay_store_write(p->store, chunk->number, &changes, p->arena, p->command);
	wt_arena_reset(p->arena);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	if (p->subtransaction == GetCurrentSubTransactionId())
		forget(p, chunk);
	else
		chunk->written = GetCurrentSubTransactionId();
}

/* Writes a chunk's changes, those of outer commands first. */
static void
write_chunk(WtPending *p, Oid chunks, int32 number)
{
	Chunk *chunk;

	if (p == NULL)
		return;
	write_chunk(p->outer, chunks, number);
	if (p->chunks != chunks)
		return;
	chunk = hash_search(p->by_number, &number, HASH_FIND, NULL);
	if (chunk && chunk->dirty && chunk->written == InvalidSubTransactionId)
		write_one(p, chunk);
}

/* In order of chunks: so do others, and the table is written from its beginning to its end. */
static int
compare_chunks(const void *left, const void *right)
{
	const Chunk *const *a = left;
	const Chunk *const *b = right;

	return (*a)->number < (*b)->number ? -1 : (*a)->number > (*b)->number;
}

static void
write_all(WtPending *p)
{
	long n = hash_get_num_entries(p->by_number);
	Chunk **list = palloc(sizeof(Chunk *) * (size_t) Max(n, 1));
	HASH_SEQ_STATUS status;
	Chunk *chunk;
	int found = 0;

	hash_seq_init(&status, p->by_number);
	while ((chunk = hash_seq_search(&status)) != NULL)
		if (chunk->dirty)
			list[found++] = chunk;
	qsort(list, found, sizeof(Chunk *), compare_chunks);
	for (int i = 0; i < found; i++)
		write_chunk(p, p->chunks, list[i]->number);
	pfree(list);
}

/* Tells the outer commands which rows are changed that they have not come by yet. */
static void
tell_outer(WtPending *p)
{
	for (WtPending *outer = p->outer; outer; outer = outer->outer)
	{
		HASH_SEQ_STATUS status;
		Chunk *chunk;

		if (outer->chunks != p->chunks)
			continue;
		hash_seq_init(&status, p->by_number);
		while ((chunk = hash_seq_search(&status)) != NULL)
		{
			bool found;
			Chunk *theirs =
				hash_search(outer->by_number, &chunk->number, HASH_ENTER, &found);

			if (!found)
				memset((char *) theirs + sizeof(int32), 0, sizeof(Chunk) - sizeof(int32));
			for (int row = 0; row < chunk->touched.size * 8; row++)
				if (bits_has(&chunk->touched, row))
					bits_set(outer, &theirs->inner, row);
		}
	}
}

void
wt_pending_end(WtPending *p)
{
	if (--p->users > 0)
		return;
	write_all(p);
	tell_outer(p);
	wt_overlay_store_close(p->store);
	unlink_pending(p);
	MemoryContextDelete(p->context);
}

/* ---------------------------------------------------------------------- changing */

static Chunk *
chunk_of(WtPending *p, int32 number)
{
	bool found;
	Chunk *chunk;

	if (p->last && p->last->number == number)
		return p->last;
	if (p->bytes > MAX_BYTES)
		write_all(p);
	chunk = hash_search(p->by_number, &number, HASH_ENTER, &found);
	if (!found)
		memset((char *) chunk + sizeof(int32), 0, sizeof(Chunk) - sizeof(int32));
	/* The scan has done so, and looked at what was changed. */
	if (chunk->touched.size == 0)
		wt_overlay_store_lock_now(p->store, number, p->command);
	p->last = chunk;
	return chunk;
}

/* Whether a row is to be changed; then it counts as changed. */
static bool
touch(WtPending *p, Chunk *chunk, int row)
{
	if (bits_has(&chunk->inner, row))
		ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
						errmsg("a row to be changed was already modified by an operation "
							   "triggered by the current command"),
						errhint("Consider using an AFTER trigger instead of a BEFORE "
								"trigger to propagate changes to other rows.")));
	if (bits_has(&chunk->touched, row))
		return false;
	bits_set(p, &chunk->touched, row);
	chunk->dirty = true;
	return true;
}

bool
wt_pending_delete(WtPending *p, int32 number, int row, bool moved)
{
	Chunk *chunk = chunk_of(p, number);

	if (!touch(p, chunk, row))
		return false;
	bits_set(p, &chunk->deleted, row);
	if (moved)
		bits_set(p, &chunk->moved, row);
	return true;
}

void
wt_pending_moved(WtPending *p, int32 number, int row, const ItemPointerData *place)
{
	Chunk *chunk = chunk_of(p, number);

	if (chunk->n_places == chunk->places_room)
	{
		int room = Max(32, chunk->places_room * 2);

		chunk->places =
			chunk->places ? repalloc(chunk->places, sizeof(Place) * (size_t) room)
						  : MemoryContextAlloc(p->context, sizeof(Place) * (size_t) room);
		p->bytes += sizeof(Place) * (size_t) (room - chunk->places_room);
		chunk->places_room = room;
	}
	chunk->places[chunk->n_places++] =
		(Place){.row = row, .number = wt_place_number(place)};
	chunk->dirty = true;
}

bool
wt_pending_set_status(WtPending *p, int32 number, int row, int64 value, bool null)
{
	Chunk *chunk = chunk_of(p, number);

	if (!touch(p, chunk, row))
		return false;
	if (chunk->n_statuses == chunk->room)
	{
		int room = Max(32, chunk->room * 2);

		chunk->statuses =
			chunk->statuses
				? repalloc(chunk->statuses, sizeof(Status) * (size_t) room)
				: MemoryContextAlloc(p->context, sizeof(Status) * (size_t) room);
		p->bytes += sizeof(Status) * (size_t) (room - chunk->room);
		chunk->room = room;
	}
	chunk->statuses[chunk->n_statuses++] =
		(Status){.row = row, .null = null, .value = null ? 0 : value};
	return true;
}

/* ---------------------------------------------------------------------- reading */

/* The inverse order of newest: outer commands first, whose changes are earlier. */
static void
apply(const WtPending *p, WtChunkScan *scan, Oid chunks, CommandId before,
	  WtChanges *changes)
{
	const Chunk *chunk;

	if (p == NULL)
		return;
	apply(p->outer, scan, chunks, before, changes);
	if (p->chunks != chunks || p->command >= before)
		return;
	chunk = hash_search(p->by_number, &scan->chunk->number, HASH_FIND, NULL);
	if (chunk && chunk->dirty && chunk->written == InvalidSubTransactionId)
		merge(chunk, scan->chunk->n_rows, scan->arena, changes);
}

void
wt_pending_apply(WtChunkScan *scan)
{
	Snapshot snapshot = wt_chunk_table_snapshot_of(scan->table);
	WtChanges changes = {0};

	if (newest == NULL || !IsMVCCSnapshot(snapshot))
		return;
	if (scan->has_deleted)
		changes.deleted = scan->deleted;
	if (scan->has_statuses)
		changes.statuses = scan->statuses;
	apply(newest, scan, RelationGetRelid(wt_chunk_table_relation(scan->table)),
		  snapshot->curcid, &changes);
	if (changes.deleted.n_deleted > 0)
	{
		scan->has_deleted = true;
		scan->deleted = changes.deleted;
	}
	if (changes.statuses.n_changed > 0)
	{
		scan->has_statuses = true;
		scan->statuses = changes.statuses;
	}
}

bool
wt_pending_any(void)
{
	return newest != NULL;
}

void
wt_pending_keep_serial(EState *estate)
{
	/* A plan that is kept is then as one that would be made now. */
	if (newest != NULL && estate->es_plannedstmt != NULL && !IsParallelWorker())
		estate->es_plannedstmt->parallelModeNeeded = false;
}
