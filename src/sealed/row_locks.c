/*
 * row_locks.c
 *		SELECT … FOR UPDATE and the like: rows of sealed partitions are locked.
 *
 * PostgreSQL hands over the place of a row that a scan has found, and wants the row locked, and as
 * it is then.  Mostly nothing has changed, and nobody looks at the row again; so it is
 * made anew only where that may be.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/late.h"
#include "sealed/needs.h"
#include "sealed/overlay_store.h"
#include "sealed/projection.h"
#include "sealed/row_locks.h"

/* A chunk that a command has locked. */
typedef struct Known
{
	int32 chunk; /* key */
	bool changed;
} Known;

struct WtRowLocks
{
	ExecRowMark *mark; /* NULL: not PostgreSQL locks the rows, but who changes them */
	LockWaitPolicy policy;
	Relation foreign;
	WtLinks links;
	Snapshot snapshot;
	CommandId command;
	MemoryContext context;
	bool always_filled; /* others than this table are locked with it */

	WtOverlayStore *store; /* NULL: nothing was locked */

	/* The chunk that was locked last, and when; a lock ends with its subtransaction. */
	int32 locked;
	SubTransactionId locked_in; /* InvalidSubTransactionId: none */
	bool changed;				/* since the snapshot */
	HTAB *known; /* of all chunks that were locked; NULL: only the last is kept */

	/* Rows of chunks, if they are needed. */
	WtChunkScan *scan;
	WtNeeds needs;
	WtProjection *projection;
	bool has_now; /* of the open chunk, as of now: */
	WtChanges now;
	bool had_statuses; /* and as the snapshot has it */
	WtStatuses statuses_then;

	WtLateScan *late; /* NULL until a late row is locked */
	TupleTableSlot *row;
};

/* Whether rows of several tables are locked together, or looked at when one is. */
static bool
marks_several(const EState *estate, const ExecRowMark *mark)
{
	for (Index i = 0; i < estate->es_range_table_size; i++)
		if (estate->es_rowmarks[i] && estate->es_rowmarks[i]->prti != mark->prti)
			return true;
	return false;
}

WtRowLocks *
wt_row_locks_begin(ForeignScanState *node, const WtLinks *links)
{
	EState *estate = node->ss.ps.state;
	Index varno = ((Scan *) node->ss.ps.plan)->scanrelid;
	ExecRowMark *mark;
	WtRowLocks *locks;

	if (estate->es_rowmarks == NULL || estate->es_epq_active != NULL)
		return NULL;
	mark = estate->es_rowmarks[varno - 1];
	if (mark == NULL || mark->markType == ROW_MARK_COPY || mark->ermExtra != NULL)
		return NULL;
	locks = palloc0(sizeof(*locks));
	locks->mark = mark;
	locks->policy = mark->waitPolicy;
	locks->foreign = node->ss.ss_currentRelation;
	locks->links = *links;
	locks->snapshot = estate->es_snapshot;
	locks->command = estate->es_output_cid;
	locks->context = CurrentMemoryContext;
	locks->always_filled = marks_several(estate, mark);
	mark->ermExtra = locks;
	return locks;
}

WtRowLocks *
wt_row_locks_create(Relation foreign, const WtLinks *links, Snapshot snapshot,
					CommandId command)
{
	WtRowLocks *locks = palloc0(sizeof(*locks));
	HASHCTL control = {.keysize = sizeof(int32),
					   .entrysize = sizeof(Known),
					   .hcxt = CurrentMemoryContext};

	/* Rows come in any order, and all in the same subtransaction. */
	locks->known =
		hash_create("locked chunks", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	locks->policy = LockWaitBlock;
	locks->foreign = foreign;
	locks->links = *links;
	locks->snapshot = snapshot;
	locks->command = command;
	locks->context = CurrentMemoryContext;
	return locks;
}

void
wt_row_locks_end(WtRowLocks *locks)
{
	if (locks->mark)
		locks->mark->ermExtra = NULL;
	if (locks->store)
		wt_overlay_store_close(locks->store);
	if (locks->scan)
		wt_chunk_scan_destroy(locks->scan);
	if (locks->late)
		wt_late_scan_end(locks->late);
	if (locks->row)
		ExecDropSingleTupleTableSlot(locks->row);
	pfree(locks);
}

/* False: rows are only fetched. */
static bool
lock_mode(const ExecRowMark *mark, LockTupleMode *mode)
{
	*mode = LockTupleExclusive;
	if (mark == NULL)
		return true;
	switch (mark->markType)
	{
		case ROW_MARK_EXCLUSIVE:
			return true;
		case ROW_MARK_NOKEYEXCLUSIVE:
			*mode = LockTupleNoKeyExclusive;
			return true;
		case ROW_MARK_SHARE:
			*mode = LockTupleShare;
			return true;
		case ROW_MARK_KEYSHARE:
			*mode = LockTupleKeyShare;
			return true;
		default:
			return false;
	}
}

/* Puts a row of the partition, from a slot of its columns, into PostgreSQL's. */
static void
store_row(TupleTableSlot *slot, TupleTableSlot *row, ItemPointer place)
{
	MemoryContext old = MemoryContextSwitchTo(slot->tts_mcxt);
	HeapTuple tuple =
		heap_form_tuple(slot->tts_tupleDescriptor, row->tts_values, row->tts_isnull);

	MemoryContextSwitchTo(old);
	tuple->t_self = *place;
	tuple->t_tableOid = slot->tts_tableOid;
	ExecForceStoreHeapTuple(tuple, slot, true);
	slot->tts_tid = *place;
}

/* ---------------------------------------------------------------------- late ones */

/* Locks a late row, into the scan's slot of it; false: it is to be left out. */
static bool
lock_late(WtRowLocks *locks, ItemPointer place, LockTupleMode mode, bool *updated)
{
	bool fixed = IsolationUsesXactSnapshot();
	TM_FailureData failure;
	TM_Result result = table_tuple_lock(
		wt_late_scan_relation(locks->late), place, locks->snapshot,
		wt_late_scan_row(locks->late), locks->command, mode, locks->policy,
		fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);

	switch (result)
	{
		case TM_Ok:
			*updated = failure.traversed;
			return true;
		case TM_SelfModified:
			/* By this command, or by what it has called: who changes it will notice. */
			return locks->mark == NULL;
		case TM_WouldBlock:
			return false;
		case TM_Deleted:
			if (!fixed)
				return false;
			break;
		default:
			break;
	}
	wt_overlay_store_conflict();
	return false; /* not reached */
}

/* place: in the late table; then as the scan has it. */
static void
refetch_late(WtRowLocks *locks, ItemPointer place, TupleTableSlot *slot, bool *updated)
{
	LockTupleMode mode;

	if (locks->late == NULL)
		locks->late =
			wt_late_scan_begin(locks->foreign, locks->links.late, locks->snapshot, NULL,
							   0, PG_INT64_MIN, PG_INT64_MAX);
	if (lock_mode(locks->mark, &mode))
	{
		if (!lock_late(locks, place, mode, updated))
			return;
	}
	else if (!table_tuple_fetch_row_version(wt_late_scan_relation(locks->late), place,
											SnapshotAny, wt_late_scan_row(locks->late)))
		elog(ERROR, "a late row is there no more");
	wt_late_scan_convert(locks->late, locks->row);
	*place = locks->row->tts_tid;
	store_row(slot, locks->row, place);
}

/* ---------------------------------------------------------------------- of chunks */

/* Whether a chunk is locked already. */
static bool
is_locked(WtRowLocks *locks, int32 chunk)
{
	const Known *known;

	if (locks->locked_in != GetCurrentSubTransactionId())
		return false;
	if (locks->locked == chunk)
		return true;
	known = locks->known ? hash_search(locks->known, &chunk, HASH_FIND, NULL) : NULL;
	if (known == NULL)
		return false;
	locks->locked = chunk;
	locks->changed = known->changed;
	locks->has_now = false;
	return true;
}

/* Locks a chunk, unless it is; false: somebody else has it. */
static bool
lock_chunk(WtRowLocks *locks, int32 chunk, LockTupleMode mode, LockWaitPolicy policy)
{
	if (is_locked(locks, chunk))
		return true;
	locks->locked_in = InvalidSubTransactionId;
	locks->has_now = false;
	if (locks->store == NULL)
		locks->store = wt_overlay_store_open(locks->links.chunks);
	switch (wt_overlay_store_lock(locks->store, chunk, locks->snapshot, locks->command,
								  mode, policy))
	{
		case WT_CHUNK_SAME:
			locks->changed = false;
			break;
		case WT_CHUNK_CHANGED:
			locks->changed = true;
			if (IsolationUsesXactSnapshot())
				wt_overlay_store_conflict();
			break;
		case WT_CHUNK_REWRITTEN:
			wt_overlay_store_conflict();
			return false; /* not reached */
		case WT_CHUNK_BUSY:
			return false;
	}
	locks->locked = chunk;
	locks->locked_in = GetCurrentSubTransactionId();
	if (locks->known)
		((Known *) hash_search(locks->known, &chunk, HASH_ENTER, NULL))->changed =
			locks->changed;
	return true;
}

/* Opens a chunk, unless it is, to make rows of it. */
static void
open_chunk(WtRowLocks *locks, int32 chunk)
{
	if (locks->scan == NULL)
	{
		TupleDesc columns = RelationGetDescr(locks->foreign);

		locks->scan =
			wt_chunk_scan_create(locks->foreign, locks->links.chunks, locks->snapshot);
		locks->needs.whole = true;
		for (int i = 0; i < columns->natts; i++)
			if (!TupleDescAttr(columns, i)->attisdropped)
				locks->needs.columns = bms_add_member(locks->needs.columns, i + 1);
		locks->projection = wt_projection_create(locks->scan, &locks->needs);
	}
	if (locks->scan->chunk == NULL || locks->scan->chunk->number != chunk)
	{
		locks->has_now = false;
		if (!wt_chunk_scan_open(locks->scan, chunk))
			wt_overlay_store_conflict();
		locks->had_statuses = locks->scan->has_statuses;
		locks->statuses_then = locks->scan->statuses;
	}
}

/* What was changed of the open chunk since the snapshot, as of now. */
static void
look_again(WtRowLocks *locks)
{
	WtChunkScan *scan = locks->scan;
	MemoryContext old;

	if (locks->has_now)
		return;
	old = MemoryContextSwitchTo(scan->chunk_context);
	wt_overlay_store_read(locks->store, scan->chunk->number, scan->chunk->n_rows,
						  locks->snapshot, scan->arena, &locks->now);
	MemoryContextSwitchTo(old);
	locks->has_now = true;
	if (locks->now.statuses.n_changed > 0)
	{
		scan->statuses = locks->now.statuses;
		scan->has_statuses = true;
		scan->serial++;
	}
}

/* Whether a row has another status than the snapshot has seen. */
static bool
status_differs(const WtRowLocks *locks, int row)
{
	const WtStatuses *now = &locks->now.statuses;
	const WtStatuses *then = &locks->statuses_then;

	if (now->n_changed == 0 || !wt_overlay_bit(now->changed, row))
		return false;
	return !locks->had_statuses || !wt_overlay_bit(then->changed, row) ||
		   wt_overlay_bit(then->null, row) != wt_overlay_bit(now->null, row) ||
		   then->values[row] != now->values[row];
}

static void
refetch_of_chunk(WtRowLocks *locks, ItemPointer place, TupleTableSlot *slot,
				 bool *updated)
{
	int32 chunk = (int32) ItemPointerGetBlockNumberNoCheck(place);
	int row = ItemPointerGetOffsetNumberNoCheck(place) - 1;
	LockTupleMode mode;
	bool locked = lock_mode(locks->mark, &mode);

	if (locked && !lock_chunk(locks, chunk, mode, locks->policy))
		return;
	if (locked && !locks->changed && !locks->always_filled)
	{
		ExecStoreAllNullTuple(slot);
		return;
	}
	open_chunk(locks, chunk);
	if (row < 0 || row >= locks->scan->chunk->n_rows)
		elog(ERROR, "chunk %d has no row %d", chunk, row);
	if (locked && locks->changed)
	{
		look_again(locks);
		if (wt_changes_find_moved(&locks->now, row, place))
		{
			refetch_late(locks, place, slot, updated);
			*updated = true;
			return;
		}
		if (locks->now.deleted.n_deleted > 0 &&
			wt_overlay_bit(locks->now.deleted.bits, row))
			return;
		*updated = status_differs(locks, row);
	}
	wt_projection_fill(locks->projection, row, locks->row->tts_values,
					   locks->row->tts_isnull);
	store_row(slot, locks->row, place);
}

/* ---------------------------------------------------------------------- of both */

void
wt_row_locks_fetch(WtRowLocks *locks, ItemPointer place, TupleTableSlot *slot,
				   bool *updated)
{
	MemoryContext old = MemoryContextSwitchTo(locks->context);

	*updated = false;
	ExecClearTuple(slot);
	if (locks->row == NULL)
		locks->row =
			MakeSingleTupleTableSlot(RelationGetDescr(locks->foreign), &TTSOpsVirtual);
	if (ItemPointerGetBlockNumberNoCheck(place) & WT_LATE_BLOCK)
	{
		ItemPointerSet(place, ItemPointerGetBlockNumberNoCheck(place) & ~WT_LATE_BLOCK,
					   ItemPointerGetOffsetNumberNoCheck(place));
		refetch_late(locks, place, slot, updated);
	}
	else
		refetch_of_chunk(locks, place, slot, updated);
	MemoryContextSwitchTo(old);
}

static void
refetch(EState *estate, ExecRowMark *mark, Datum id, TupleTableSlot *slot, bool *updated)
{
	ItemPointerData place = *(ItemPointer) DatumGetPointer(id);

	if (mark->ermExtra == NULL)
		elog(ERROR, "the scan whose row is asked for is over");
	wt_row_locks_fetch(mark->ermExtra, &place, slot, updated);
}

static RowMarkType
row_mark_type(RangeTblEntry *rte, LockClauseStrength strength)
{
	switch (strength)
	{
		case LCS_NONE:
			return ROW_MARK_REFERENCE;
		case LCS_FORKEYSHARE:
			return ROW_MARK_KEYSHARE;
		case LCS_FORSHARE:
			return ROW_MARK_SHARE;
		case LCS_FORNOKEYUPDATE:
			return ROW_MARK_NOKEYEXCLUSIVE;
		case LCS_FORUPDATE:
			return ROW_MARK_EXCLUSIVE;
	}
	elog(ERROR, "unknown strength of a lock: %d", (int) strength);
}

void
wt_sealed_set_row_locks(FdwRoutine *routine)
{
	routine->GetForeignRowMarkType = row_mark_type;
	routine->RefetchForeignRow = refetch;
}
