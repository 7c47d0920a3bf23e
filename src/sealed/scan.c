/*
 * scan.c
 *		Scans a sealed partition: its chunks, one after another, and its late rows.
 *
 * Rows that are to come by time are merged of both.  Processes that scan together take a chunk at a
 * time, and one of them the late rows; they share the list of chunks, too: an index may show
 * one process a number that it did not show another, and their places must be the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "sealed/chunk_use.h"
#include "sealed/links.h"
#include "sealed/overlay_store.h"
#include "sealed/pending.h"
#include "sealed/plan.h"
#include "sealed/scan.h"

/* The columns that rows must have: for what is above, and for the conditions; NULL: all. */
static Bitmapset *
columns_used(const WtScan *s, Index varno)
{
	Bitmapset *all = bms_copy(s->needs->columns), *used = NULL;

	if (s->needs->system)
		return NULL;
	pull_varattnos((Node *) s->clauses, varno, &used);
	for (int i = -1; (i = bms_next_member(used, i)) >= 0;)
		if (i + FirstLowInvalidHeapAttributeNumber > 0)
			all = bms_add_member(all, i + FirstLowInvalidHeapAttributeNumber);
	/* The time is what they are merged by. */
	return bms_add_member(all, s->chunks->time_column);
}

/* Whether the statement changes, or locks, rows of the table. */
static bool
is_to_change(const ForeignScanState *node)
{
	const EState *estate = node->ss.ps.state;
	Index varno = ((Scan *) node->ss.ps.plan)->scanrelid;
	const ExecRowMark *mark;

	if (estate->es_epq_active != NULL || estate->es_plannedstmt == NULL)
		return false;
	if (list_member_int(estate->es_plannedstmt->resultRelations, (int) varno))
		return true;
	mark = estate->es_rowmarks ? estate->es_rowmarks[varno - 1] : NULL;
	return mark != NULL && RowMarkRequiresRowShareLock(mark->markType);
}

/*
 * Chunks were written anew while we waited to be let in: the statement begins now.  Who has
 * the old snapshot already can go on with it: the query keeps it to its end.
 */
static void
begin_anew(EState *estate)
{
	Snapshot old = estate->es_snapshot;

	if (IsolationUsesXactSnapshot())
		return;
	estate->es_snapshot = wt_overlay_store_now(old);
	UnregisterSnapshot(old);
}

void
wt_sealed_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	WtScan *s = palloc0(sizeof(WtScan));
	Relation relation = node->ss.ss_currentRelation;
	WtLinks links;

	node->fdw_state = s;
	s->needs = wt_needs_of_list(list_nth(plan->fdw_private, WT_PLAN_NEEDS));
	s->direction = linitial_int(list_nth(plan->fdw_private, WT_PLAN_DIRECTION));
	s->distinct = linitial_int(list_nth(plan->fdw_private, WT_PLAN_DISTINCT)) != 0;
	s->clauses = plan->fdw_exprs;
	s->row = -1;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	wt_pending_keep_serial(node->ss.ps.state);
	wt_links_read(RelationGetRelid(relation), &links);
	if (is_to_change(node) && wt_chunk_use_begin(links.chunks))
		begin_anew(node->ss.ps.state);
	s->late_table = links.late;
	s->snapshot = node->ss.ps.state->es_snapshot;
	s->chunks = wt_chunk_scan_create(relation, links.chunks, s->snapshot);
	s->conditions = CreateExprContext(node->ss.ps.state);
	s->filters = wt_filters_create(s->chunks, s->clauses, plan->scan.scanrelid,
								   &node->ss.ps, s->conditions);
	s->projection = wt_projection_create(s->chunks, s->needs);
	s->no_columns = bms_is_empty(s->needs->columns) && !s->needs->system;
	memset(node->ss.ss_ScanTupleSlot->tts_isnull, true,
		   RelationGetDescr(relation)->natts);
	s->columns = columns_used(s, plan->scan.scanrelid);
	s->target = wt_target_begin(node, links.chunks);
	s->locks = wt_row_locks_begin(node, &links);
	s->late_slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
}

/* Now that parameters are known: which times, and so which chunks, there are to read. */
static void
start(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);

	s->started = true;
	wt_filters_start(s->filters);
	s->nothing = !wt_filters_times(s->filters, &s->first, &s->last);
	s->from = 0;
	s->to = s->chunks->n_numbers;
	if (!s->nothing)
	{
		/* At the end where the scan begins it is looked for; at the other it is noticed. */
		if (s->first > PG_INT64_MIN && (s->direction >= 0 || s->shared))
			s->from = wt_chunk_scan_seek(s->chunks, s->first);
		if (s->last < PG_INT64_MAX && (s->direction < 0 || s->shared))
		{
			s->to = wt_chunk_scan_seek(s->chunks, s->last + 1);
			/* The first that has later rows may begin with earlier ones. */
			s->to = Min(s->to + 1, s->chunks->n_numbers);
		}
		s->to = Max(s->to, s->from);
		if (s->shared == NULL || s->direction != 0)
			s->late = wt_late_scan_begin(node->ss.ss_currentRelation, s->late_table,
										 s->snapshot, s->columns, s->direction, s->first,
										 s->last);
	}
	s->late_ended = s->nothing || s->late == NULL;
	if (!IsParallelWorker())
		s->counts.by_time += s->chunks->n_numbers - (s->nothing ? 0 : s->to - s->from);
	MemoryContextSwitchTo(old);
}

/* Whether the chunk that has been opened may have rows to return; then it is begun with. */
static bool
begin_chunk(WtScan *s)
{
	if (!wt_filters_chunk(s->filters))
		return false;
	s->counts.read++;
	s->times = s->direction != 0 ? wt_chunk_scan_integers(s->chunks, 0) : NULL;
	s->row = s->direction < 0 ? s->chunks->chunk->n_rows : -1;
	s->is_distinct = false;
	if (s->distinct)
	{
		s->is_distinct = wt_filters_decided(s->filters);
		wt_distinct_rows_begin(&s->rows_given, s->chunks, s->projection, s->is_distinct,
							   s->direction != 0);
	}
	s->is_plain = s->direction == 0 && s->target == NULL && !s->needs->system &&
				  wt_filters_decided(s->filters) && s->is_distinct == s->distinct;
	return true;
}

/* The next chunk that may have rows to return; false: there are no more. */
static bool
next_chunk(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;
	WtChunkScan *chunks = s->chunks;

	while (s->target && wt_target_open_instead(s->target, chunks, s->direction))
		if (begin_chunk(s))
			return true;
	for (;;)
	{
		uint32 n =
			s->shared ? pg_atomic_fetch_add_u32(&s->shared->next, 1) : s->own_next++;
		uint32 units = s->to - s->from;

		CHECK_FOR_INTERRUPTS();
		if (n >= units)
		{
			/* The late rows are the last unit of what processes share. */
			if (s->shared && n == units)
			{
				MemoryContext old =
					MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);

				s->late =
					wt_late_scan_begin(node->ss.ss_currentRelation, s->late_table,
									   s->snapshot, s->columns, 0, s->first, s->last);
				s->late_ended = false;
				MemoryContextSwitchTo(old);
			}
			if (!s->shared)
				s->own_next = units;
			wt_chunk_scan_close_chunk(chunks);
			s->row = -1;
			return false;
		}
		if (!wt_chunk_scan_open(
				chunks, chunks->numbers[s->direction < 0 ? s->to - 1 - n : s->from + n]))
			continue;
		/* Chunks are in order of time: those behind it have none of these times, too. */
		if (!s->shared && (s->direction < 0 ? chunks->chunk->last_time < s->first
											: chunks->chunk->first_time > s->last))
		{
			s->counts.by_time += units - n;
			s->own_next = units;
			continue;
		}
		if (begin_chunk(s))
			return true;
	}
}

/*
 * What has become of a row that another transaction has moved to the late table: it is locked, and
 * put into s->moved_slot.  False: it is gone, or is none of ours any more.
 */
static bool
find_moved(ForeignScanState *node, const ItemPointerData *place)
{
	WtScan *s = node->fdw_state;
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
	Relation relation = node->ss.ss_currentRelation;
	WtLocked locked;

	if (s->moved == NULL)
	{
		s->moved = wt_late_scan_begin(relation, s->late_table, s->snapshot, s->columns, 0,
									  PG_INT64_MIN, PG_INT64_MAX);
		s->moved_slot =
			MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	}
	locked = wt_target_lock_moved(s->target, s->moved, place, s->moved_slot);
	MemoryContextSwitchTo(old);
	return locked != WT_LOCKED_GONE && wt_filters_slot(s->filters, s->moved_slot);
}

/* Finds the next row of a chunk: s->row.  False: there are no more. */
static bool
find_row(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;

	for (;;)
	{
		if (s->chunks->chunk == NULL && !next_chunk(node))
			return false;
		for (;;)
		{
			WtLocked locked;

			s->row = s->direction < 0 ? wt_chunk_scan_previous(s->chunks, s->row)
									  : wt_chunk_scan_next(s->chunks, s->row);
			if (s->row < 0)
				break;
			CHECK_FOR_INTERRUPTS();
			/* What a condition would say of such a row does not matter. */
			if (s->distinct && !s->is_distinct &&
				wt_distinct_row_was_given(&s->rows_given, s->row))
				continue;
			if (!wt_filters_row(s->filters, s->row))
				continue;
			if (s->distinct && !s->is_distinct)
				wt_distinct_row_give(&s->rows_given, s->row);
			locked = s->target ? wt_target_lock_chunk(s->target, s->chunks) : WT_LOCKED;
			if (locked == WT_LOCKED)
			{
				ItemPointerData place;

				s->row_has_moved =
					s->target && wt_target_has_moved(s->target, s->row, &place);
				if (s->row_has_moved && !find_moved(node, &place))
					continue;
				return true;
			}
			/* Changed meanwhile, this row, and the others, are looked at once more. */
			if (locked == WT_LOCKED_GONE || !wt_filters_chunk(s->filters))
				break;
			s->row += s->direction < 0 ? 1 : -1;
		}
		wt_chunk_scan_close_chunk(s->chunks);
	}
}

/* Whether the row in s->late_slot passes; what is to be changed is locked then. */
static bool
late_row_passes(WtScan *s)
{
	if (!wt_filters_slot(s->filters, s->late_slot))
		return false;
	if (s->target == NULL)
		return true;
	switch (wt_target_lock_late(s->target, s->late, s->late_slot))
	{
		case WT_LOCKED:
			return true;
		case WT_LOCKED_CHANGED:
			return wt_filters_slot(s->filters, s->late_slot);
		case WT_LOCKED_GONE:
			break;
	}
	return false;
}

/* Finds the next late row: in s->late_slot. */
static bool
find_late_row(WtScan *s)
{
	while (!s->late_ended)
	{
		if (!wt_late_scan_next(s->late, s->late_slot))
			s->late_ended = true;
		else
		{
			s->counts.late++;
			if (late_row_passes(s))
				return true;
		}
	}
	return false;
}

/* Whether the late row that waits comes before the row of a chunk that waits. */
static bool
late_is_first(const WtScan *s)
{
	int64 late, row;

	if (s->direction == 0 || !s->row_waits)
		return !s->row_waits;
	late = DatumGetInt64(s->late_slot->tts_values[s->chunks->time_column - 1]);
	row = s->times[s->row];
	return s->direction < 0 ? late > row : late < row;
}

/*
 * Gives a row the system columns that only a heap's row has: who inserted it, which of most of a
 * chunk's rows is forgotten.
 */
static void
add_system_columns(TupleTableSlot *slot, TransactionId xmin)
{
	HeapTuple tuple;
	bool should_free;

	ExecMaterializeSlot(slot);
	tuple = ExecFetchSlotHeapTuple(slot, true, &should_free);
	Assert(!should_free);
	tuple->t_tableOid = slot->tts_tableOid;
	HeapTupleHeaderSetXmin(tuple->t_data, xmin);
	HeapTupleHeaderSetXmax(tuple->t_data, InvalidTransactionId);
	HeapTupleHeaderSetCmin(tuple->t_data, FirstCommandId);
}

/* A late row, in a slot that has room for system columns. */
static TupleTableSlot *
late_row_with_system_columns(WtLateScan *late, TupleTableSlot *row, TupleTableSlot *slot)
{
	bool is_null;
	TransactionId xmin = DatumGetTransactionId(slot_getsysattr(
		wt_late_scan_row(late), MinTransactionIdAttributeNumber, &is_null));
	int n = slot->tts_tupleDescriptor->natts;

	memcpy(slot->tts_values, row->tts_values, n * sizeof(Datum));
	memcpy(slot->tts_isnull, row->tts_isnull, n * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	slot->tts_tid = row->tts_tid;
	add_system_columns(slot, xmin);
	return slot;
}

/* Gives the row of the chunk that was found. */
static inline TupleTableSlot *
give_row(WtScan *s, TupleTableSlot *slot)
{
	if (!s->no_columns)
		wt_projection_fill(s->projection, s->row, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	ItemPointerSet(&slot->tts_tid, s->chunks->chunk->number, s->row + 1);
	return slot;
}

TupleTableSlot *
wt_sealed_iterate(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (!s->started)
		start(node);
	/* As ExecClearTuple() does, which is called for each row, where it has nothing to free. */
	if (TTS_SHOULDFREE(slot))
		ExecClearTuple(slot);
	else
	{
		slot->tts_flags |= TTS_FLAG_EMPTY;
		slot->tts_nvalid = 0;
	}
	if (s->nothing)
		return slot;
	if (s->chunks->chunk != NULL && s->is_plain)
	{
		int row = wt_chunk_scan_next(s->chunks, s->row);

		if (row >= 0)
		{
			s->row = row;
			return give_row(s, slot);
		}
	}
	if (!s->row_waits)
		s->row_waits = find_row(node);
	if (!s->late_waits && (s->direction != 0 || !s->row_waits))
		s->late_waits = find_late_row(s);
	if (s->late_waits && late_is_first(s))
	{
		s->late_waits = false;
		return s->needs->system
				   ? late_row_with_system_columns(s->late, s->late_slot, slot)
				   : s->late_slot;
	}
	if (!s->row_waits)
		return slot;
	s->row_waits = false;
	if (s->row_has_moved)
		return s->needs->system
				   ? late_row_with_system_columns(s->moved, s->moved_slot, slot)
				   : s->moved_slot;
	give_row(s, slot);
	if (s->needs->system)
		add_system_columns(slot, wt_chunk_scan_origin(s->chunks, s->row).xmin);
	return slot;
}

static void
end_late(WtScan *s)
{
	if (s->late != NULL)
	{
		ExecClearTuple(s->late_slot);
		wt_late_scan_end(s->late);
		s->late = NULL;
	}
	s->late_ended = true;
	s->late_waits = false;
}

void
wt_sealed_rescan(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;

	if (s->chunks == NULL)
		return;
	end_late(s);
	wt_chunk_scan_close_chunk(s->chunks);
	if (s->target)
		wt_target_rescan(s->target, s->chunks);
	s->started = false;
	s->row_waits = false;
	s->row = -1;
	s->own_next = 0;
}

void
wt_sealed_end(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;

	if (s == NULL || s->chunks == NULL)
		return;
	end_late(s);
	if (s->target)
		wt_target_end(s->target);
	if (s->locks)
		wt_row_locks_end(s->locks);
	if (s->moved)
	{
		ExecDropSingleTupleTableSlot(s->moved_slot);
		wt_late_scan_end(s->moved);
	}
	ExecDropSingleTupleTableSlot(s->late_slot);
	wt_chunk_scan_destroy(s->chunks);
	s->chunks = NULL;
}

/* ---------------------------------------------------------------------- parallel scans */

bool
wt_sealed_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return !wt_pending_any();
}

Size
wt_sealed_shared_size(ForeignScanState *node, ParallelContext *context)
{
	WtScan *s = node->fdw_state;

	return add_size(offsetof(WtSharedScan, numbers),
					mul_size(s->chunks->n_numbers, sizeof(int32)));
}

void
wt_sealed_share(ForeignScanState *node, ParallelContext *context, void *shared)
{
	WtScan *s = node->fdw_state;

	/* A plan that was made before: the other processes would not see it. */
	if (wt_pending_any())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" cannot be read in parallel by what a command calls "
						"that changes a sealed partition",
						RelationGetRelationName(node->ss.ss_currentRelation))));
	s->shared = shared;
	pg_atomic_init_u32(&s->shared->next, 0);
	for (int i = 0; i < (int) lengthof(s->shared->counts); i++)
		pg_atomic_init_u64(&s->shared->counts[i], 0);
	s->shared->n_numbers = s->chunks->n_numbers;
	memcpy(s->shared->numbers, s->chunks->numbers, s->chunks->n_numbers * sizeof(int32));
}

void
wt_sealed_share_again(ForeignScanState *node, ParallelContext *context, void *shared)
{
	WtScan *s = node->fdw_state;

	s->shared = shared;
	pg_atomic_write_u32(&s->shared->next, 0);
}

void
wt_sealed_join(ForeignScanState *node, shm_toc *toc, void *shared)
{
	WtScan *s = node->fdw_state;

	s->shared = shared;
	s->chunks->n_numbers = s->shared->n_numbers;
	if (s->shared->n_numbers > 0)
	{
		s->chunks->numbers =
			repalloc_huge(s->chunks->numbers, s->shared->n_numbers * sizeof(int32));
		memcpy(s->chunks->numbers, s->shared->numbers,
			   s->shared->n_numbers * sizeof(int32));
	}
}

/* Collects what was read where EXPLAIN can see it: in the process that leads. */
void
wt_sealed_shutdown(ForeignScanState *node)
{
	WtScan *s = node->fdw_state;
	const WtSkipped *skipped;
	uint64 *mine, *reported;

	if (s == NULL || s->chunks == NULL)
		return;
	skipped = wt_filters_skipped(s->filters);
	s->counts.by_range = skipped->by_range;
	s->counts.by_values = skipped->by_values;
	s->counts.bytes = wt_chunk_table_bytes_read(s->chunks->table);
	if (s->shared == NULL)
		return;
	mine = (uint64 *) &s->counts;
	reported = (uint64 *) &s->reported;
	for (int i = 0; i < (int) lengthof(s->shared->counts); i++)
	{
		uint64 all =
			pg_atomic_add_fetch_u64(&s->shared->counts[i], mine[i] - reported[i]);

		reported[i] = mine[i];
		((uint64 *) &s->shown)[i] = all;
	}
	s->is_shown = true;
	if (!IsParallelWorker())
		s->shared = NULL;
}
