/*
 * rewrite.c
 *		Chunks of a sealed partition are written anew.
 *
 * A chunk is changed under a lock on the row of its directory, as by everybody who changes
 * one: what he has read of it is read again once he has that lock, and finds that it is another.
 * One that somebody has locked is left for later, and nobody waited for: he may be waiting for one
 * that was written before.
 * Statements that are to change rows are kept away while that goes on, see chunk_use.h; they
 * would look for rows where these are no more.
 * All of its parts are deleted and new ones inserted, so that who has an older snapshot goes
 * on reading the old ones.  Late rows are deleted before they are taken in; one that somebody
 * changes meanwhile is left for the next time.
 *
 * What is deleted here is gone from the disk when VACUUM has been there, which comes soon:
 * see chunk_store.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/chunk_store.h"
#include "sealed/chunk_use.h"
#include "sealed/gone.h"
#include "sealed/late.h"
#include "sealed/late_columns.h"
#include "sealed/links.h"
#include "sealed/origin.h"
#include "sealed/packer.h"
#include "sealed/progress.h"
#include "sealed/projection.h"
#include "sealed/rewrite.h"
#include "sealed/row_hash.h"
#include "sealed/row_store.h"
#include "sealed/stored_columns.h"
#include "sealed/swap.h"
#include "sealed/verify.h"
#include "store/lock_gently.h"
#include "store/scope.h"

PG_FUNCTION_INFO_V1(windtrap_erase);

/* Late rows that do not come back from a chunk as they were: more mean that something is wrong. */
#define MAX_MISFITS 1000

/* By hand, chunks that others are changing are come back to for so long, ms, so often. */
#define ERASE_PATIENCE 3000
#define ERASE_POLL 50

/* What there is of a chunk. */
typedef struct OldChunk
{
	int32 number;
	TimestampTz first_time;
	bool has_deleted;
} OldChunk;

typedef struct Rewriting
{
	WtLinks links;
	Relation foreign;
	Relation late;
	Snapshot snapshot; /* that chooses what is to be done */
	TupleDesc columns; /* of the foreign table, as they are stored */
	AttrNumber time;   /* one of them */
	WtNeeds needs;
	WtRowHash *hash; /* of the foreign table's rows */
	WtChunkStore *store;
	WtOriginList *origins; /* of the chunk that is being written */
	int n_old;
	OldChunk *old;
	WtLateScan *late_scan;	  /* NULL: late rows are not taken in */
	TupleTableSlot *late_row; /* the next one, in the foreign table's columns */
	bool has_late;
	WtGone *gone; /* misfits of what is being written */
	int n_misfits;
	uint64 misfits[MAX_MISFITS];
	WtRewritten *result;
} Rewriting;

static TimestampTz
time_of(const Rewriting *r, TupleTableSlot *slot)
{
	bool is_null;

	return DatumGetTimestampTz(slot_getattr(slot, r->time, &is_null));
}

static void
next_late(Rewriting *r)
{
	r->has_late = r->late_scan && wt_late_scan_next(r->late_scan, r->late_row);
}

/* The time before which late rows belong to a chunk: the next one's first. */
static TimestampTz
end_of(const Rewriting *r, int i)
{
	return i + 1 < r->n_old ? r->old[i + 1].first_time : DT_NOEND;
}

/* Looks at all chunks' directories. */
static void
list_chunks(Rewriting *r)
{
	WtChunkScan *scan = wt_chunk_scan_create(r->foreign, r->links.chunks, r->snapshot);

	r->old = palloc(sizeof(OldChunk) * (size_t) Max(scan->n_numbers, 1));
	for (int i = 0; i < scan->n_numbers; i++)
	{
		OldChunk *old = &r->old[r->n_old++];

		CHECK_FOR_INTERRUPTS();
		old->number = scan->numbers[i];
		/* One without a row left cannot be opened: it is to be erased all the more. */
		old->has_deleted = true;
		old->first_time = i > 0 ? old[-1].first_time : DT_NOBEGIN;
		if (wt_chunk_scan_open(scan, old->number))
		{
			old->has_deleted = scan->has_deleted;
			old->first_time = scan->chunk->first_time;
		}
	}
	wt_chunk_scan_destroy(scan);
}

/* A chunk was written: it is read back. */
static void
check_chunk(void *arg, int32 chunk, int n_rows, const uint64 *hashes)
{
	Rewriting *r = arg;
	Snapshot snapshot;
	WtVerifier *verifier;
	const int *wrong;
	int n_wrong;

	wt_origin_list_write(r->origins, r->store, chunk, n_rows);
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	verifier = wt_verifier_create(r->foreign, r->links.chunks, snapshot);
	n_wrong = wt_verifier_check(verifier, chunk, n_rows, hashes, &wrong);
	if (r->n_misfits + n_wrong > MAX_MISFITS)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("too many rows of \"%s\" do not come back as they were",
							   RelationGetRelationName(r->foreign))));
	for (int i = 0; i < n_wrong; i++)
	{
		r->misfits[r->n_misfits++] = hashes[wrong[i]];
		wt_gone_mark(r->gone, chunk, n_rows, wrong[i]);
	}
	wt_verifier_destroy(verifier);
	UnregisterSnapshot(snapshot);
}

/* Misfits go back to the late rows, where they came from. */
static void
give_back(Rewriting *r)
{
	TupleTableSlot *slot = table_slot_create(r->late, NULL);
	WtRowHash *hash = wt_row_hash_create(RelationGetDescr(r->late), r->columns);
	WtRowStore *rows = wt_row_store_open(r->links.late, RelationGetDescr(r->late), false);
	TableScanDesc scan = table_beginscan(r->late, r->snapshot, 0, NULL);

	while (r->n_misfits > 0 && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		uint64 value;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		value = wt_row_hash(hash, slot->tts_values, slot->tts_isnull);
		for (int i = 0; i < r->n_misfits; i++)
			if (r->misfits[i] == value)
			{
				wt_row_store_put(rows, slot, wt_origin_of(slot));
				r->misfits[i] = r->misfits[--r->n_misfits];
				r->result->taken_in--;
				r->result->left++;
				break;
			}
	}
	table_endscan(scan);
	wt_row_store_close(rows);
	ExecDropSingleTupleTableSlot(slot);
	if (r->n_misfits > 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("rows of \"%s\" do not come back as they were",
							   RelationGetRelationName(r->foreign))));
}

/*
 * Takes the next late row away from its table; false: somebody else is changing it.  Who wants to
 * change it now is told that it was moved, not that it is gone.
 */
static bool
delete_late(Rewriting *r)
{
	TM_FailureData failure;
	TupleTableSlot *row = wt_late_scan_row(r->late_scan);

	return table_tuple_delete(r->late, &row->tts_tid, GetCurrentCommandId(true),
							  r->snapshot, InvalidSnapshot, false, &failure,
							  true) == TM_Ok;
}

/* Adds the late rows that come before a time. */
static void
add_late(Rewriting *r, WtPacker *packer, TimestampTz before)
{
	for (; r->has_late && time_of(r, r->late_row) < before; next_late(r))
	{
		CHECK_FOR_INTERRUPTS();
		if (!wt_packer_takes(packer, r->late_row))
		{
			r->result->left++;
			continue;
		}
		/* It is there the next time. */
		if (!delete_late(r))
			continue;
		wt_origin_list_add(r->origins, wt_origin_of(wt_late_scan_row(r->late_scan)));
		(void) wt_packer_add(packer, r->late_row);
		r->result->taken_in++;
	}
}

/* Leaves those where they are. */
static void
pass_late(Rewriting *r, TimestampTz before)
{
	while (r->has_late && time_of(r, r->late_row) < before)
		next_late(r);
}

/* What a chunk of so many rows, with the late ones of its time, is to become: chunks of one size. */
static WtPacking
packing_for(Rewriting *r, int i, int64 n_rows)
{
	Oid types[] = {TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(end_of(r, i))};
	WtPacking packing = {.first = r->old[i].number,
						 .step = WT_CHUNK_STEP,
						 .limit = i + 1 < r->n_old ? r->old[i + 1].number : PG_INT32_MAX};
	int64 n_chunks;

	if (r->has_late)
	{
		wt_scope_run(psprintf("SELECT count(*) FROM %s WHERE event_timestamp < $1",
							  wt_scope_name(r->links.late)),
					 1, types, values);
		n_rows += wt_scope_int64(0, 1);
	}
	n_chunks = Max((n_rows + WT_PACKER_ROWS / 2) / WT_PACKER_ROWS, 1);
	packing.max_rows = (int) Max((n_rows + n_chunks - 1) / n_chunks, 1);
	/* There are more of them where documents are long. */
	if (packing.limit != PG_INT32_MAX)
		packing.step = (int32) Max((packing.limit - packing.first) / (4 * n_chunks), 1);
	return packing;
}

/* Adds the rows that a chunk has, and the late ones of its time. */
static void
add_rows(Rewriting *r, WtPacker *packer, WtChunkScan *scan, bool is_open,
		 TimestampTz before)
{
	WtProjection *projection;
	TupleTableSlot *slot;
	const int64 *times;

	if (is_open)
	{
		projection = wt_projection_create(scan, &r->needs);
		slot = MakeSingleTupleTableSlot(RelationGetDescr(r->foreign), &TTSOpsVirtual);
		times = wt_chunk_scan_integers(scan, 0);
		for (int row = wt_chunk_scan_next(scan, -1); row >= 0;
			 row = wt_chunk_scan_next(scan, row))
		{
			add_late(r, packer, times[row]);
			ExecClearTuple(slot);
			wt_projection_fill(projection, row, slot->tts_values, slot->tts_isnull);
			ExecStoreVirtualTuple(slot);
			wt_origin_list_add(r->origins, wt_chunk_scan_origin(scan, row));
			(void) wt_packer_add(packer, slot);
		}
		ExecDropSingleTupleTableSlot(slot);
	}
	add_late(r, packer, before);
}

/* Writes a chunk anew; false: somebody is at it. */
static bool
rewrite_chunk(Rewriting *r, int i)
{
	int32 number = r->old[i].number;
	Snapshot snapshot;
	WtChunkScan *scan;
	WtPacking packing;
	WtPacker *packer;
	bool is_open;

	if (!wt_chunk_store_lock(r->store, number, r->snapshot))
		return false;
	/* What it is like now that it is locked. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = wt_chunk_scan_create(r->foreign, r->links.chunks, snapshot);
	is_open = wt_chunk_scan_open(scan, number);
	packing = packing_for(r, i, is_open ? scan->chunk->n_rows : 0);
	packer = wt_packer_create(r->columns, r->hash, r->store, &packing, check_chunk, r);
	if (is_open && scan->has_deleted)
		r->result->erased += scan->deleted.n_deleted;
	/* The scan has read no part of it yet that its snapshot would not go on seeing. */
	wt_chunk_store_delete(r->store, number, snapshot);
	add_rows(r, packer, scan, is_open, end_of(r, i));
	(void) wt_packer_finish(packer);
	wt_packer_destroy(packer);
	wt_chunk_scan_destroy(scan);
	UnregisterSnapshot(snapshot);
	r->result->chunks++;
	return true;
}

static void
open_tables(Rewriting *r, Oid partition, bool take_in)
{
	r->foreign = table_open(partition, AccessShareLock);
	wt_late_columns_adopt(r->foreign, r->links.late, NULL);
	r->late = table_open(r->links.late, RowExclusiveLock);
	r->snapshot = RegisterSnapshot(GetLatestSnapshot());
	r->time = wt_stored_column(partition, WT_STORED_TIME);
	r->columns = wt_stored_columns(r->foreign);
	r->needs = wt_needs_of_rows(r->columns);
	r->hash =
		wt_row_hash_create(RelationGetDescr(r->foreign), RelationGetDescr(r->foreign));
	r->store = wt_chunk_store_open(r->links.chunks, false);
	r->origins = wt_origin_list_create();
	r->gone = wt_gone_create();
	r->late_row = MakeSingleTupleTableSlot(RelationGetDescr(r->foreign), &TTSOpsVirtual);
	if (take_in)
		r->late_scan =
			wt_late_scan_begin(r->foreign, r->links.late, r->snapshot, r->needs.columns,
							   1, PG_INT64_MIN, PG_INT64_MAX);
	next_late(r);
}

static void
close_tables(Rewriting *r)
{
	if (r->late_scan)
		wt_late_scan_end(r->late_scan);
	if (r->n_misfits > 0)
		give_back(r);
	wt_gone_write(r->gone, r->store);
	wt_chunk_store_close(r->store);
	ExecDropSingleTupleTableSlot(r->late_row);
	UnregisterSnapshot(r->snapshot);
	table_close(r->late, NoLock);
	table_close(r->foreign, NoLock);
}

/* Late rows of a partition that has no chunk become its first ones. */
static void
begin_chunks(Rewriting *r)
{
	WtPacking packing = {.max_rows = WT_PACKER_ROWS,
						 .first = wt_packer_first(r->links.partition),
						 .step = WT_CHUNK_STEP,
						 .limit = PG_INT32_MAX};
	WtPacker *packer =
		wt_packer_create(r->columns, r->hash, r->store, &packing, check_chunk, r);

	add_late(r, packer, DT_NOEND);
	r->result->chunks += wt_packer_finish(packer);
	wt_packer_destroy(packer);
}

void
wt_rewrite(Oid partition, bool take_in, int max_chunks, WtRewritten *result)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap rewriting", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Rewriting *r = palloc0(sizeof(*r));

	memset(result, 0, sizeof(*result));
	r->result = result;
	wt_scope_pin_texts();
	/* Against sealing, unsealing, and others like this one. */
	wt_lock_patiently(partition, ShareUpdateExclusiveLock);
	wt_links_read(partition, &r->links);
	/* For nobody is waited long: who is changing rows may come to wait for what we have locked. */
	if (!wt_chunk_use_exclude(r->links.chunks))
	{
		result->busy = 1;
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return;
	}
	open_tables(r, partition, take_in);
	list_chunks(r);
	if (r->n_old == 0 && r->has_late)
		begin_chunks(r);
	for (int i = 0; i < r->n_old; i++)
	{
		bool has_late = r->has_late && time_of(r, r->late_row) < end_of(r, i);

		if (!r->old[i].has_deleted && !has_late)
			continue;
		if (result->chunks == max_chunks)
		{
			result->more = true;
			break;
		}
		if (!rewrite_chunk(r, i))
		{
			result->busy++;
			pass_late(r, end_of(r, i));
		}
	}
	close_tables(r);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* windtrap.erase(partition regclass) RETURNS bigint */
Datum
windtrap_erase(PG_FUNCTION_ARGS)
{
	Oid partition = PG_GETARG_OID(0);
	TimestampTz until =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ERASE_PATIENCE);
	WtRewritten rewritten;
	WtScope scope;
	int64 erased = 0;

	wt_scope_enter_owned(partition, &scope);
	for (;;)
	{
		wt_rewrite(partition, false, PG_INT32_MAX, &rewritten);
		erased += rewritten.erased;
		if (rewritten.busy == 0)
			break;
		if (GetCurrentTimestamp() >= until)
			ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
							errmsg("somebody is changing rows of \"%s\"",
								   get_rel_name(partition)),
							errhint("Try again.")));
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ERASE_POLL,
						 PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
	wt_scope_leave(&scope);
	PG_RETURN_INT64(erased);
}
