/*
 * overlay_store.c
 *		The parts of chunks that say what was changed of them.
 *
 * Each is one row, which is updated as a whole.  A row can be updated once by a command; who must
 * write it twice begins a new command for that.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "column/chunk_reader.h"
#include "sealed/chunk_store.h"
#include "sealed/overlay_store.h"

struct WtOverlayStore
{
	Relation relation;
	Relation index;
	ResultRelInfo *target;
	EState *estate;
	TupleTableSlot *found; /* a row as it was found */
	TupleTableSlot *made;  /* one that is to be written */
};

/* A row of a chunk's: where it lies, and its body. */
typedef struct Row
{
	bool exists;
	ItemPointerData place;
	bool is_ours;	   /* this transaction has written it */
	CommandId command; /* then: which of its commands */
	bytea *body;	   /* NULL: not asked for */
} Row;

/* Rows by the number of their part: directory, deleted, statuses, moved, origins, places. */
#define N_ROWS 6
#define ROW_OF(rows, part) (&(rows)[-(part)])

WtOverlayStore *
wt_overlay_store_open(Oid chunks)
{
	WtOverlayStore *store = palloc0(sizeof(*store));

	store->relation = table_open(chunks, RowExclusiveLock);
	store->index = index_open(wt_primary_key_index(store->relation), RowExclusiveLock);
	store->estate = CreateExecutorState();
	store->target = makeNode(ResultRelInfo);
	InitResultRelInfo(store->target, store->relation, 0, NULL, 0);
	ExecOpenIndices(store->target, false);
	store->found = table_slot_create(store->relation, NULL);
	store->made =
		MakeSingleTupleTableSlot(RelationGetDescr(store->relation), &TTSOpsVirtual);
	return store;
}

void
wt_overlay_store_close(WtOverlayStore *store)
{
	ExecDropSingleTupleTableSlot(store->made);
	ExecDropSingleTupleTableSlot(store->found);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	index_close(store->index, NoLock);
	table_close(store->relation, NoLock);
	pfree(store);
}

void
wt_overlay_store_conflict(void)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not serialize access due to concurrent update")));
}

static void
no_memory(size_t bytes)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
			 errdetail("What was changed of a chunk needs %zu bytes more.", bytes)));
}

static void
destroy_arena(void *arena)
{
	wt_arena_destroy(arena);
}

WtArena *
wt_overlay_arena(void)
{
	MemoryContextCallback *callback = palloc0(sizeof(*callback));

	callback->func = destroy_arena;
	callback->arg = wt_arena_create(no_memory);
	if (callback->arg == NULL)
		no_memory(1);
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return callback->arg;
}

/* A copy of the body of a row; whose table's owner may have allowed that it has none. */
static bytea *
copy_body(WtOverlayStore *store, TupleTableSlot *slot)
{
	bool is_null;
	Datum body = slot_getattr(slot, 3, &is_null);

	if (is_null)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("chunk %d of \"%s\" is damaged: a part is NULL",
							   DatumGetInt32(slot_getattr(slot, 1, &is_null)),
							   RelationGetRelationName(store->relation))));
	return DatumGetByteaPCopy(body);
}

/* Notes a row that was found. */
static void
note_row(WtOverlayStore *store, TupleTableSlot *slot, Row *row, bool with_body)
{
	bool free_it;
	HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &free_it);

	row->exists = true;
	row->place = slot->tts_tid;
	row->is_ours =
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	row->command =
		row->is_ours ? HeapTupleHeaderGetCmin(tuple->t_data) : InvalidCommandId;
	if (with_body)
		row->body = copy_body(store, slot);
}

/* Finds a chunk's rows under a snapshot; bodies: of the parts, not of the directory. */
static void
find_rows(WtOverlayStore *store, int32 chunk, Snapshot snapshot, bool bodies,
		  Row rows[N_ROWS])
{
	IndexScanDesc scan = wt_index_beginscan(store->relation, store->index, snapshot, 2);
	ScanKeyData keys[2];

	memset(rows, 0, sizeof(Row) * N_ROWS);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chunk));
	ScanKeyInit(&keys[1], 2, BTLessEqualStrategyNumber, F_INT4LE,
				Int32GetDatum(WT_PART_DIRECTORY));
	index_rescan(scan, keys, 2, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, store->found))
	{
		bool is_null;
		int32 part = DatumGetInt32(slot_getattr(store->found, 2, &is_null));

		if (part > -N_ROWS)
			note_row(store, store->found, ROW_OF(rows, part),
					 bodies && part != WT_PART_DIRECTORY);
	}
	ExecClearTuple(store->found);
	index_endscan(scan);
}

Snapshot
wt_overlay_store_now(Snapshot snapshot)
{
	Snapshot now = RegisterSnapshot(GetLatestSnapshot());

	now->curcid = snapshot->curcid;
	return now;
}

static bool
same_rows(const Row *a, const Row *b)
{
	for (int i = 1; i < N_ROWS; i++)
		if (a[i].exists != b[i].exists ||
			(a[i].exists &&
			 !ItemPointerEquals((ItemPointer) &a[i].place, (ItemPointer) &b[i].place)))
			return false;
	return true;
}

/* Locks the row of a directory. */
static TM_Result
lock_directory(WtOverlayStore *store, const Row *directory, Snapshot snapshot,
			   CommandId command, LockTupleMode mode, LockWaitPolicy policy)
{
	ItemPointerData place = directory->place;
	TM_FailureData failure;
	TM_Result result = table_tuple_lock(store->relation, &place, snapshot, store->found,
										command, mode, policy, 0, &failure);

	ExecClearTuple(store->found);
	return result;
}

WtChunkLock
wt_overlay_store_lock(WtOverlayStore *store, int32 chunk, Snapshot snapshot,
					  CommandId command, LockTupleMode mode, LockWaitPolicy policy)
{
	Row then[N_ROWS];
	Row now[N_ROWS];
	Snapshot latest;

	find_rows(store, chunk, snapshot, false, then);
	if (!ROW_OF(then, WT_PART_DIRECTORY)->exists)
		wt_overlay_store_conflict();
	switch (lock_directory(store, ROW_OF(then, WT_PART_DIRECTORY), snapshot, command,
						   mode, policy))
	{
		case TM_Ok:
			break;
		case TM_WouldBlock:
			return WT_CHUNK_BUSY;
		case TM_Deleted:
			return WT_CHUNK_REWRITTEN;
		default:
			wt_overlay_store_conflict();
	}
	latest = wt_overlay_store_now(snapshot);
	find_rows(store, chunk, latest, false, now);
	UnregisterSnapshot(latest);
	return same_rows(then, now) ? WT_CHUNK_SAME : WT_CHUNK_CHANGED;
}

void
wt_overlay_store_lock_now(WtOverlayStore *store, int32 chunk, CommandId command)
{
	Snapshot latest = RegisterSnapshot(GetLatestSnapshot());
	Row rows[N_ROWS];

	find_rows(store, chunk, latest, false, rows);
	if (!ROW_OF(rows, WT_PART_DIRECTORY)->exists ||
		lock_directory(store, ROW_OF(rows, WT_PART_DIRECTORY), latest, command,
					   LockTupleExclusive, LockWaitBlock) != TM_Ok)
		wt_overlay_store_conflict();
	UnregisterSnapshot(latest);
}

int
wt_overlay_store_chunks(WtOverlayStore *store, Snapshot snapshot, int32 from, int32 to,
						int32 **numbers)
{
	IndexScanDesc scan = wt_index_beginscan(store->relation, store->index, snapshot, 3);
	ScanKeyData keys[3];
	int n = 0;
	int room = 16;

	*numbers = palloc(sizeof(int32) * (size_t) room);
	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(from));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_INT4LT, Int32GetDatum(to));
	ScanKeyInit(&keys[2], 2, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(WT_PART_DIRECTORY));
	index_rescan(scan, keys, 3, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, store->found))
	{
		bool is_null;

		if (n == room)
		{
			room *= 2;
			*numbers = repalloc(*numbers, sizeof(int32) * (size_t) room);
		}
		(*numbers)[n++] = DatumGetInt32(slot_getattr(store->found, 1, &is_null));
	}
	ExecClearTuple(store->found);
	index_endscan(scan);
	return n;
}

bool
wt_overlay_store_has_moved(WtOverlayStore *store, int32 chunk, Snapshot snapshot)
{
	IndexScanDesc scan =
		wt_index_beginscan(store->relation, store->index, SnapshotAny, 2);
	ScanKeyData keys[2];
	Row then[N_ROWS];
	const Row *seen = ROW_OF(then, WT_PART_MOVED);
	bool found = false;

	/* What was written since the snapshot is still there, if it is dead: the snapshot keeps it. */
	find_rows(store, chunk, snapshot, false, then);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chunk));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(WT_PART_MOVED));
	index_rescan(scan, keys, 2, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, store->found))
		found = !seen->exists ||
				!ItemPointerEquals((ItemPointer) &seen->place, &store->found->tts_tid);
	ExecClearTuple(store->found);
	index_endscan(scan);
	return found;
}

uint64
wt_place_number(const ItemPointerData *place)
{
	return (uint64) ItemPointerGetBlockNumber(place) << 16 |
		   ItemPointerGetOffsetNumber(place);
}

void
wt_place_of_number(uint64 number, ItemPointer place)
{
	ItemPointerSet(place, (BlockNumber) (number >> 16), (OffsetNumber) (number & 0xFFFF));
}

bool
wt_changes_find_moved(const WtChanges *changes, int row, ItemPointer place)
{
	if (changes->moved.n_deleted == 0 || !wt_overlay_bit(changes->moved.bits, row))
		return false;
	for (int i = 0; i < changes->places.n; i++)
		if (changes->places.rows[i] == row)
		{
			wt_place_of_number(changes->places.numbers[i], place);
			return true;
		}
	wt_overlay_store_conflict();
	return false; /* not reached */
}

static void
refuse(WtOverlayStore *store, int32 chunk, const WtColumnError *error)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("chunk %d of \"%s\" is damaged: %s", chunk,
						   RelationGetRelationName(store->relation), error->text)));
}

static void
read_changes(WtOverlayStore *store, int32 chunk, int n_rows, const Row *rows,
			 WtArena *arena, WtChanges *changes)
{
	const bytea *deleted = ROW_OF(rows, WT_PART_DELETED)->body;
	const bytea *moved = ROW_OF(rows, WT_PART_MOVED)->body;
	const bytea *statuses = ROW_OF(rows, WT_PART_STATUSES)->body;
	const bytea *places = ROW_OF(rows, WT_PART_PLACES)->body;
	WtColumnError error;

	memset(changes, 0, sizeof(*changes));
	if (deleted && !wt_deleted_read(arena, VARDATA(deleted), VARSIZE(deleted) - VARHDRSZ,
									chunk, n_rows, &changes->deleted, &error))
		refuse(store, chunk, &error);
	if (moved && !wt_moved_read(arena, VARDATA(moved), VARSIZE(moved) - VARHDRSZ, chunk,
								n_rows, &changes->moved, &error))
		refuse(store, chunk, &error);
	if (places && !wt_places_read(arena, VARDATA(places), VARSIZE(places) - VARHDRSZ,
								  chunk, n_rows, &changes->places, &error))
		refuse(store, chunk, &error);
	if (statuses &&
		!wt_statuses_read(arena, VARDATA(statuses), VARSIZE(statuses) - VARHDRSZ, chunk,
						  n_rows, &changes->statuses, &error))
		refuse(store, chunk, &error);
	for (int i = 1; i < N_ROWS; i++)
		if (rows[i].body)
			pfree(rows[i].body);
}

void
wt_overlay_store_read(WtOverlayStore *store, int32 chunk, int n_rows, Snapshot snapshot,
					  WtArena *arena, WtChanges *changes)
{
	Snapshot latest = wt_overlay_store_now(snapshot);
	Row rows[N_ROWS];

	find_rows(store, chunk, latest, true, rows);
	UnregisterSnapshot(latest);
	read_changes(store, chunk, n_rows, rows, arena, changes);
}

void
wt_overlay_store_read_all(WtOverlayStore *store, int32 chunk, int n_rows, WtArena *arena,
						  WtChanges *changes)
{
	Row rows[N_ROWS];

	find_rows(store, chunk, SnapshotSelf, true, rows);
	read_changes(store, chunk, n_rows, rows, arena, changes);
}

int
wt_overlay_store_rows(WtOverlayStore *store, int32 chunk, WtArena *arena)
{
	IndexScanDesc scan =
		wt_index_beginscan(store->relation, store->index, SnapshotSelf, 2);
	ScanKeyData keys[2];
	WtColumnError error;
	WtChunk *opened;
	bytea *body;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chunk));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(WT_PART_DIRECTORY));
	index_rescan(scan, keys, 2, NULL, 0);
	if (!index_getnext_slot(scan, ForwardScanDirection, store->found))
		wt_overlay_store_conflict();
	body = copy_body(store, store->found);
	ExecClearTuple(store->found);
	index_endscan(scan);
	opened = wt_chunk_open(arena, VARDATA(body), VARSIZE(body) - VARHDRSZ, chunk, &error);
	if (opened == NULL)
		refuse(store, chunk, &error);
	pfree(body);
	return opened->n_rows;
}

/* Writes a part, in place of the row that is there. */
static void
write_part(WtOverlayStore *store, int32 chunk, int part, const Row *old,
		   const char *bytes, size_t length, CommandId command)
{
	TupleTableSlot *slot = store->made;
	MemoryContext context =
		MemoryContextSwitchTo(GetPerTupleMemoryContext(store->estate));
	WtNewEntries new_entries = WT_ALL_NEW_ENTRIES;

	wt_chunk_store_fill(slot, store->relation, chunk, part, bytes, length);
	/*
	 * A command cannot change what it has written itself; what of it is out of line has the
	 * number of the command that was the current one then, and goes as that of the current one.
	 */
	if (old->exists && old->is_ours)
	{
		CommandCounterIncrement();
		if (old->command >= command)
			command = GetCurrentCommandId(true);
	}
	if (old->exists)
	{
		ItemPointerData place = old->place;
		TM_FailureData failure;
		LockTupleMode mode;
		TM_Result result = wt_table_tuple_update(store->relation, &place, slot, command,
												 &failure, &mode, &new_entries);

		if (result != TM_Ok)
			elog(ERROR, "part %d of chunk %d was changed by another", part, chunk);
	}
	else
		table_tuple_insert(store->relation, slot, command, 0, NULL);
	list_free(wt_insert_new_entries(store->target, slot, store->estate, new_entries));
	ExecClearTuple(slot);
	MemoryContextSwitchTo(context);
	ResetPerTupleExprContext(store->estate);
}

void
wt_overlay_store_write(WtOverlayStore *store, int32 chunk, const WtChanges *changes,
					   WtArena *arena, CommandId command)
{
	Row rows[N_ROWS];
	const char *bytes;
	size_t length;

	find_rows(store, chunk, SnapshotSelf, false, rows);
	if (changes->deleted.n_deleted > 0)
	{
		bytes = wt_deleted_write(arena, &changes->deleted, chunk, &length);
		write_part(store, chunk, WT_PART_DELETED, ROW_OF(rows, WT_PART_DELETED), bytes,
				   length, command);
	}
	if (changes->moved.n_deleted > 0)
	{
		bytes = wt_moved_write(arena, &changes->moved, chunk, &length);
		write_part(store, chunk, WT_PART_MOVED, ROW_OF(rows, WT_PART_MOVED), bytes,
				   length, command);
	}
	if (changes->places.n > 0)
	{
		bytes = wt_places_write(arena, &changes->places, changes->moved.n_rows, chunk,
								&length);
		write_part(store, chunk, WT_PART_PLACES, ROW_OF(rows, WT_PART_PLACES), bytes,
				   length, command);
	}
	if (changes->statuses.n_changed > 0)
	{
		bytes = wt_statuses_write(arena, &changes->statuses, chunk, &length);
		write_part(store, chunk, WT_PART_STATUSES, ROW_OF(rows, WT_PART_STATUSES), bytes,
				   length, command);
	}
}
