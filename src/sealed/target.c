/*
 * target.c
 *		Scans of rows that are to be changed.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/plannodes.h"
#include "utils/snapmgr.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "sealed/overlay_store.h"
#include "sealed/stored_columns.h"
#include "sealed/target.h"

struct WtTarget
{
	Oid chunks;
	WtOverlayStore *store; /* NULL until something is to be locked */
	MemoryContext context;
	Snapshot snapshot;
	CommandId command;
	uint64 serial;	   /* of the chunk that is locked */
	WtChanges changes; /* of it, since the snapshot */

	/* What there is instead of a chunk that was rewritten, and a snapshot that sees it. */
	Snapshot now; /* NULL: no chunk was */
	int n_instead;
	int next;
	int32 *instead;
};

/* Whether a plan is the scan of a relation, with all conditions, or appends it to others. */
static bool
is_scan_of(const Plan *plan, Index varno)
{
	ListCell *lc;

	if (IsA(plan, ForeignScan))
		return ((const Scan *) plan)->scanrelid == varno && plan->qual == NIL;
	if (IsA(plan, Append))
		foreach (lc, ((const Append *) plan)->appendplans)
			if (is_scan_of(lfirst(lc), varno))
				return true;
	return false;
}

static bool
changes_directly(const Plan *plan, Index varno)
{
	return plan && IsA(plan, ModifyTable) &&
		   list_member_int(((const ModifyTable *) plan)->resultRelations, (int) varno) &&
		   is_scan_of(outerPlan(plan), varno);
}

bool
wt_target_is_direct(const PlannedStmt *statement, Index varno)
{
	ListCell *lc;

	if (changes_directly(statement->planTree, varno))
		return true;
	/* Those of WITH. */
	foreach (lc, statement->subplans)
		if (changes_directly(lfirst(lc), varno))
			return true;
	return false;
}

WtTarget *
wt_target_begin(ForeignScanState *node, Oid chunks)
{
	const EState *estate = node->ss.ps.state;
	const PlannedStmt *statement = estate->es_plannedstmt;
	Index varno = ((Scan *) node->ss.ps.plan)->scanrelid;
	WtTarget *target;

	/* A statement with data-modifying WITH is a SELECT, but has such relations. */
	if (statement == NULL || estate->es_epq_active != NULL ||
		!list_member_int(statement->resultRelations, (int) varno) ||
		!wt_target_is_direct(statement, varno))
		return NULL;
	target = palloc0(sizeof(*target));
	target->chunks = chunks;
	target->context = CurrentMemoryContext;
	target->snapshot = estate->es_snapshot;
	target->command = estate->es_output_cid;
	return target;
}

void
wt_target_end(WtTarget *target)
{
	if (target->store)
		wt_overlay_store_close(target->store);
	if (target->now)
		UnregisterSnapshot(target->now);
	pfree(target);
}

/* What was changed of the open chunk, as of now, instead of what the snapshot has seen. */
static void
look_again(WtTarget *target, WtChunkScan *scan)
{
	int n_rows = scan->chunk->n_rows;
	MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);
	WtChanges changes;

	wt_overlay_store_read(target->store, scan->chunk->number, n_rows, target->snapshot,
						  scan->arena, &changes);
	MemoryContextSwitchTo(old);
	/* What was changed stays so: nobody takes overlays back but with the whole chunk. */
	if (changes.deleted.n_deleted > 0)
	{
		scan->deleted = changes.deleted;
		scan->has_deleted = true;
	}
	if (changes.statuses.n_changed > 0)
	{
		scan->statuses = changes.statuses;
		scan->has_statuses = true;
	}
	target->changes = changes;
	for (int row = 0; scan->has_deleted && row < n_rows; row++)
		/* Those that have moved stay, until it is known whether they were meant. */
		if (wt_overlay_bit(scan->deleted.bits, row) &&
			!(changes.moved.n_deleted > 0 && wt_overlay_bit(changes.moved.bits, row)))
			scan->selected[row] = 0;
	scan->n_selected = -1;
	scan->serial++;
}

/* The chunk that is open was rewritten: finds what there is instead. */
static void
find_instead(WtTarget *target, const WtChunkScan *scan)
{
	int32 number = scan->chunk->number;
	int32 *later;
	int n;

	if (IsolationUsesXactSnapshot() || target->now != NULL ||
		wt_overlay_store_has_moved(target->store, number, target->snapshot))
		wt_overlay_store_conflict();
	/* They were given numbers below that of the next one. */
	n = wt_overlay_store_chunks(target->store, target->snapshot, number + 1, PG_INT32_MAX,
								&later);
	target->now = wt_overlay_store_now(target->snapshot);
	target->n_instead =
		wt_overlay_store_chunks(target->store, target->now, number,
								n > 0 ? later[0] : PG_INT32_MAX, &target->instead);
	target->next = 0;
	pfree(later);
}

WtLocked
wt_target_lock_chunk(WtTarget *target, WtChunkScan *scan)
{
	MemoryContext old;
	WtChunkLock result;

	if (target->serial == scan->serial)
		return WT_LOCKED;
	old = MemoryContextSwitchTo(target->context);
	if (target->store == NULL)
		target->store = wt_overlay_store_open(target->chunks);
	memset(&target->changes, 0, sizeof(target->changes));
	result = wt_overlay_store_lock(target->store, scan->chunk->number,
								   target->now ? target->now : target->snapshot,
								   target->command, LockTupleExclusive, LockWaitBlock);
	if (result == WT_CHUNK_REWRITTEN)
		find_instead(target, scan);
	MemoryContextSwitchTo(old);
	if (result == WT_CHUNK_REWRITTEN)
		return WT_LOCKED_GONE;
	if (result == WT_CHUNK_CHANGED)
	{
		if (IsolationUsesXactSnapshot())
			wt_overlay_store_conflict();
		look_again(target, scan);
	}
	target->serial = scan->serial;
	return result == WT_CHUNK_CHANGED ? WT_LOCKED_CHANGED : WT_LOCKED;
}

/* What there was instead of a chunk is read. */
static void
end_instead(WtTarget *target, WtChunkScan *scan)
{
	wt_chunk_scan_close_chunk(scan);
	wt_chunk_table_snapshot(scan->table, target->snapshot);
	UnregisterSnapshot(target->now);
	target->now = NULL;
	pfree(target->instead);
}

bool
wt_target_open_instead(WtTarget *target, WtChunkScan *scan, int direction)
{
	if (target->now == NULL)
		return false;
	wt_chunk_scan_close_chunk(scan);
	if (target->next == 0)
	{
		wt_chunk_table_snapshot(scan->table, target->now);
		wt_stored_columns_refresh(scan->foreign, scan->columns);
	}
	while (target->next < target->n_instead)
	{
		int i = target->next++;

		if (wt_chunk_scan_open(
				scan, target->instead[direction < 0 ? target->n_instead - 1 - i : i]))
			return true;
	}
	end_instead(target, scan);
	return false;
}

void
wt_target_rescan(WtTarget *target, WtChunkScan *scan)
{
	if (target->now)
		end_instead(target, scan);
}

bool
wt_target_has_moved(const WtTarget *target, int row, ItemPointer place)
{
	return wt_changes_find_moved(&target->changes, row, place);
}

WtLocked
wt_target_lock_moved(WtTarget *target, WtLateScan *late, const ItemPointerData *place,
					 TupleTableSlot *slot)
{
	TupleTableSlot *row = wt_late_scan_row(late);
	bool fixed = IsolationUsesXactSnapshot();
	ItemPointerData at = *place;
	TM_FailureData failure;
	TM_Result result =
		table_tuple_lock(wt_late_scan_relation(late), &at, target->snapshot, row,
						 target->command, LockTupleExclusive, LockWaitBlock,
						 fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);

	switch (result)
	{
		case TM_Ok:
			wt_late_scan_convert(late, slot);
			return failure.traversed ? WT_LOCKED_CHANGED : WT_LOCKED;
		case TM_SelfModified:
			/* By what this command has called, or by itself: who changes it will notice. */
			wt_late_scan_convert(late, slot);
			return WT_LOCKED;
		case TM_Deleted:
			if (!fixed)
				return WT_LOCKED_GONE;
			break;
		default:
			break;
	}
	wt_overlay_store_conflict();
	return WT_LOCKED_GONE; /* not reached */
}

WtLocked
wt_target_lock_late(WtTarget *target, WtLateScan *late, TupleTableSlot *slot)
{
	return wt_target_lock_moved(target, late, &wt_late_scan_row(late)->tts_tid, slot);
}
