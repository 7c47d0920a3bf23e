/*
 * modify.c
 *		INSERT, UPDATE, DELETE, COPY FROM and TRUNCATE of sealed partitions.
 *
 * For a foreign table PostgreSQL leaves it to the wrapper to check constraints, policies of row
 * security and the partition's bound, as it must before it writes a row.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "parser/parsetree.h"
#include "tcop/pquery.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/late.h"
#include "sealed/late_columns.h"
#include "sealed/late_store.h"
#include "sealed/links.h"
#include "sealed/modify.h"
#include "sealed/overlay_store.h"
#include "sealed/pending.h"
#include "sealed/row_locks.h"
#include "sealed/stored_columns.h"
#include "sealed/target.h"

/* Late rows that are inserted at once. */
#define BATCH_ROWS 64

/* What the plan's rows carry besides. */
#define ROW_ID "ctid"
#define WHOLE_ROW "wholerow"

typedef struct WtModify
{
	Relation relation;
	WtLinks links;
	MemoryContext context;
	CommandId command;
	bool moves_rows;			/* inserts are the second half of an UPDATE */
	AttrNumber row_id, old_row; /* columns of the plan's rows; 0: not there */
	AttrNumber status;			/* column, if its values are what overlays hold; else 0 */
	WtPending *pending;			/* NULL until a chunk is changed */
	EPQState *recheck; /* how a row's conditions are looked at again; NULL: by the scan */
	WtRowLocks *locks; /* then: of the rows that are changed; NULL: of none yet */
	WtLateStore *late; /* NULL until a late row is */
	TupleTableSlot *fresh; /* a row as it is by now */
	HeapTupleData old;	   /* the old row, of the plan's row */
	Datum *old_values;
	bool *old_nulls;
} WtModify;

/* ---------------------------------------------------------------------- planning */

static void
add_targets(PlannerInfo *root, Index varno, RangeTblEntry *rte, Relation relation)
{
	add_row_identity_var(
		root, makeVar(varno, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0),
		varno, ROW_ID);
	/* Of an UPDATE PostgreSQL asks for the whole old row itself. */
	if (root->parse->commandType == CMD_DELETE && root->parse->returningList != NIL)
		add_row_identity_var(
			root, makeVar(varno, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0), varno,
			WHOLE_ROW);
}

/* The status, if it is a number that an overlay can hold. */
static AttrNumber
status_column(Relation foreign)
{
	AttrNumber column = wt_stored_column(RelationGetRelid(foreign), WT_STORED_STATUS);
	Oid type = AttributeNumberIsValid(column)
				   ? TupleDescAttr(RelationGetDescr(foreign), column - 1)->atttypid
				   : InvalidOid;

	return type == INT2OID || type == INT4OID || type == INT8OID ? column
																 : InvalidAttrNumber;
}

/* Whether an UPDATE sets more than what overlays hold: then there will be late rows. */
static bool
sets_others(const List *columns, AttrNumber status)
{
	ListCell *lc;

	foreach (lc, columns)
		if (lfirst_int(lc) != status)
			return true;
	return false;
}

/* Whether something that this session has begun reads a table: it cannot be altered then. */
static bool
is_in_use(Oid table)
{
	Relation relation = table_open(table, AccessShareLock);
	bool in_use = relation->rd_refcnt > 1;

	table_close(relation, NoLock);
	return in_use;
}

/* Whether a statement is planned to be explained alone. */
static bool
is_explained(void)
{
	const PlannedStmt *statement = ActivePortal && list_length(ActivePortal->stmts) == 1
									   ? linitial_node(PlannedStmt, ActivePortal->stmts)
									   : NULL;
	ListCell *lc;

	if (statement == NULL || statement->utilityStmt == NULL ||
		!IsA(statement->utilityStmt, ExplainStmt))
		return false;
	foreach (lc, ((const ExplainStmt *) statement->utilityStmt)->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "analyze") == 0)
			return !defGetBoolean(option);
	}
	return true;
}

static List *
plan_modify(PlannerInfo *root, ModifyTable *plan, Index varno, int subplan)
{
	Relation relation;
	WtLinks links;

	/*
	 * Before the statement opens the late table to read it: then it cannot be altered.  And
	 * before its snapshot is taken, which would not see rows that are written anew for that.
	 */
	if (plan->operation != CMD_UPDATE || is_explained())
		return NIL;
	relation = table_open(planner_rt_fetch(varno, root)->relid, NoLock);
	wt_links_read(RelationGetRelid(relation), &links);
	if (sets_others(list_nth(plan->updateColnosLists, subplan),
					status_column(relation)) ||
		!is_in_use(links.late))
		wt_late_columns_adopt(relation, links.late, NULL);
	table_close(relation, NoLock);
	return NIL;
}

static int
is_updatable(Relation relation)
{
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

/* ---------------------------------------------------------------------- beginning, ending */

static WtModify *
begin(ResultRelInfo *target, CommandId command)
{
	WtModify *m = palloc0(sizeof(*m));
	TupleDesc columns = RelationGetDescr(target->ri_RelationDesc);

	m->relation = target->ri_RelationDesc;
	m->context = CurrentMemoryContext;
	m->command = command;
	m->status = status_column(m->relation);
	m->old_values = palloc(sizeof(Datum) * (size_t) columns->natts);
	m->old_nulls = palloc(sizeof(bool) * (size_t) columns->natts);
	wt_links_read(RelationGetRelid(m->relation), &m->links);
	target->ri_FdwState = m;
	return m;
}

static void
begin_modify(ModifyTableState *state, ResultRelInfo *target, List *private, int subplan,
			 int flags)
{
	List *targets = outerPlanState(state)->plan->targetlist;
	WtModify *m;

	if (flags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	m = begin(target, state->ps.state->es_output_cid);
	if (state->operation == CMD_INSERT)
		return;
	m->row_id = ExecFindJunkAttributeInTlist(targets, ROW_ID);
	m->old_row = ExecFindJunkAttributeInTlist(targets, WHOLE_ROW);
	if (!AttributeNumberIsValid(m->row_id))
		elog(ERROR, "the plan's rows do not say which rows to change");
	if (!wt_target_is_direct(state->ps.state->es_plannedstmt, target->ri_RangeTableIndex))
		m->recheck = &state->mt_epqstate;
}

static void
begin_insert(ModifyTableState *state, ResultRelInfo *target)
{
	WtModify *m = target->ri_FdwState;

	/* What is updated itself may be what rows are moved to as well. */
	if (m == NULL)
		/* COPY has no plan, and its state no command. */
		m = begin(target, state->ps.plan ? state->ps.state->es_output_cid
										 : GetCurrentCommandId(true));
	m->moves_rows = state->operation == CMD_UPDATE;
}

static void
end(EState *estate, ResultRelInfo *target)
{
	WtModify *m = target->ri_FdwState;

	if (m == NULL)
		return;
	target->ri_FdwState = NULL;
	if (m->pending)
		wt_pending_end(m->pending);
	if (m->late)
		wt_late_store_close(m->late);
	if (m->locks)
	{
		wt_row_locks_end(m->locks);
		ExecDropSingleTupleTableSlot(m->fresh);
	}
}

static WtLateStore *
late_of(WtModify *m)
{
	if (m->late == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(m->context);

		m->late = wt_late_store_open(m->relation, m->links.late);
		MemoryContextSwitchTo(old);
	}
	return m->late;
}

static WtPending *
pending_of(WtModify *m)
{
	if (m->pending == NULL)
		m->pending = wt_pending_begin(m->links.chunks, m->command);
	return m->pending;
}

/* ---------------------------------------------------------------------- inserting */

static void
check_new_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot, WCOKind policy)
{
	slot->tts_tableOid = RelationGetRelid(target->ri_RelationDesc);
	if (target->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(policy, target, slot, estate);
	if (target->ri_RelationDesc->rd_att->constr)
		ExecConstraints(target, slot, estate);
}

static void
check_inserted(WtModify *m, EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	const Relation relation = target->ri_RelationDesc;

	check_new_row(estate, target, slot,
				  m->moves_rows ? WCO_RLS_UPDATE_CHECK : WCO_RLS_INSERT_CHECK);
	/* What came through the parent was routed by the bound. */
	if (relation->rd_rel->relispartition &&
		(target->ri_RootResultRelInfo == NULL ||
		 (target->ri_TrigDesc && target->ri_TrigDesc->trig_insert_before_row)))
		ExecPartitionCheck(target, slot, estate, true);
}

static TupleTableSlot **
insert_batch(EState *estate, ResultRelInfo *target, TupleTableSlot **slots,
			 TupleTableSlot **plan_slots, int *n)
{
	WtModify *m = target->ri_FdwState;

	for (int i = 0; i < *n; i++)
		check_inserted(m, estate, target, slots[i]);
	wt_late_store_insert(late_of(m), slots, *n, false, m->command);
	return slots;
}

static TupleTableSlot *
insert_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
		   TupleTableSlot *plan_slot)
{
	int n = 1;

	(void) insert_batch(estate, target, &slot, &plan_slot, &n);
	return slot;
}

static int
batch_size(ResultRelInfo *target)
{
	const TriggerDesc *triggers = target->ri_TrigDesc;

	/* What looks at each row must not wait for others. */
	if (target->ri_projectReturning != NULL || target->ri_WithCheckOptions != NIL ||
		(triggers &&
		 (triggers->trig_insert_before_row || triggers->trig_insert_after_row)))
		return 1;
	return BATCH_ROWS;
}

/* ---------------------------------------------------------------------- changing */

/* Which row a row of the plan is of. */
static void
find_place(const WtModify *m, TupleTableSlot *plan_slot, ItemPointer place)
{
	bool is_null;
	Datum value = ExecGetJunkAttribute(plan_slot, m->row_id, &is_null);

	if (is_null)
		elog(ERROR, "the plan's row does not say which row to change");
	*place = *(ItemPointer) DatumGetPointer(value);
}

/* Whether it is a late one; then its place in the late table. */
static bool
is_late(ItemPointer place)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(place);

	if (!(block & WT_LATE_BLOCK))
		return false;
	ItemPointerSet(place, block & ~WT_LATE_BLOCK,
				   ItemPointerGetOffsetNumberNoCheck(place));
	return true;
}

/* Finds the old row, m->old, in a row of the plan; false: the plan does not have it. */
static bool
find_old_row(WtModify *m, TupleTableSlot *plan_slot)
{
	bool is_null = true;
	Datum value = (Datum) 0;

	if (AttributeNumberIsValid(m->old_row))
		value = ExecGetJunkAttribute(plan_slot, m->old_row, &is_null);
	if (is_null)
		return false;
	m->old.t_data = DatumGetHeapTupleHeader(value);
	m->old.t_len = HeapTupleHeaderGetDatumLength(m->old.t_data);
	ItemPointerSetInvalid(&m->old.t_self);
	m->old.t_tableOid = RelationGetRelid(m->relation);
	return true;
}

typedef enum Difference
{
	NOTHING,
	STATUS,
	OTHERS
} Difference;

/* What of the new row is other than of the old one. */
static Difference
compare_rows(WtModify *m, TupleTableSlot *plan_slot, TupleTableSlot *slot)
{
	TupleDesc columns = RelationGetDescr(m->relation);
	Difference difference = NOTHING;

	if (!find_old_row(m, plan_slot))
		elog(ERROR, "the plan's row lacks the old row");
	heap_deform_tuple(&m->old, columns, m->old_values, m->old_nulls);
	slot_getallattrs(slot);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(columns, i);

		if (a->attisdropped ||
			(m->old_nulls[i] == slot->tts_isnull[i] &&
			 (m->old_nulls[i] || datum_image_eq(m->old_values[i], slot->tts_values[i],
												a->attbyval, a->attlen))))
			continue;
		if (a->attnum != m->status)
			return OTHERS;
		difference = STATUS;
	}
	return difference;
}

static int64
integer_of(Oid type, Datum value)
{
	return type == INT2OID	 ? DatumGetInt16(value)
		   : type == INT4OID ? DatumGetInt32(value)
							 : DatumGetInt64(value);
}

/* Gives a row of a chunk another status.  False: the command has changed it already. */
static bool
set_status(WtModify *m, ItemPointer place, TupleTableSlot *slot)
{
	bool is_null = slot->tts_isnull[m->status - 1];
	Oid type = TupleDescAttr(RelationGetDescr(m->relation), m->status - 1)->atttypid;
	int64 value = is_null ? 0 : integer_of(type, slot->tts_values[m->status - 1]);

	return wt_pending_set_status(
		pending_of(m), (int32) ItemPointerGetBlockNumberNoCheck(place),
		ItemPointerGetOffsetNumberNoCheck(place) - 1, value, is_null);
}

static bool
delete_in_chunk(WtModify *m, ItemPointer place, bool moved)
{
	return wt_pending_delete(pending_of(m),
							 (int32) ItemPointerGetBlockNumberNoCheck(place),
							 ItemPointerGetOffsetNumberNoCheck(place) - 1, moved);
}

/* Raises where an UPDATE would put a row where it does not belong. */
static void
check_bound(EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	const Relation relation = target->ri_RelationDesc;

	if (!relation->rd_rel->relispartition ||
		ExecPartitionCheck(target, slot, estate, false))
		return;
	ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
					errmsg("a row of sealed partition \"%s\" cannot be moved to another "
						   "partition by UPDATE",
						   RelationGetRelationName(relation)),
					errhint("Delete it, and insert it anew.")));
}

/*
 * Locks the row that is to be changed, unless the scan has; false: it is not to be changed any
 * more.  fresh: the row as it is by now, if it was changed since it was found: then the plan's row
 * is made anew from it.
 */
static bool
lock_row(WtModify *m, EState *estate, ResultRelInfo *target, bool has_triggers,
		 ItemPointer place, TupleTableSlot **plan_slot, TupleTableSlot **fresh)
{
	TupleTableSlot *slot;
	bool updated;

	find_place(m, *plan_slot, place);
	*fresh = NULL;
	if (m->recheck == NULL)
		return true;
	if (m->locks == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(m->context);

		m->locks =
			wt_row_locks_create(m->relation, &m->links, estate->es_snapshot, m->command);
		m->fresh =
			MakeSingleTupleTableSlot(RelationGetDescr(m->relation), &TTSOpsHeapTuple);
		MemoryContextSwitchTo(old);
	}
	slot = EvalPlanQualSlot(m->recheck, m->relation, target->ri_RangeTableIndex);
	wt_row_locks_fetch(m->locks, place, slot, &updated);
	if (TupIsNull(slot))
		return false;
	if (!updated)
		return true;
	/* They have seen the row as it was. */
	if (has_triggers)
		wt_overlay_store_conflict();
	/* What looks at it clears its slot. */
	ExecCopySlot(m->fresh, slot);
	*fresh = m->fresh;
	*plan_slot = EvalPlanQual(m->recheck, m->relation, target->ri_RangeTableIndex, slot);
	return !TupIsNull(*plan_slot);
}

static TupleTableSlot *
update_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
		   TupleTableSlot *plan_slot)
{
	WtModify *m = target->ri_FdwState;
	const TriggerDesc *triggers = target->ri_TrigDesc;
	TupleTableSlot *fresh;
	ItemPointerData place;
	Difference difference;
	bool late;
	bool done;

	if (!lock_row(m, estate, target, triggers && triggers->trig_update_before_row, &place,
				  &plan_slot, &fresh))
		return NULL;
	if (fresh)
	{
		ExecCopySlot(target->ri_oldTupleSlot, fresh);
		slot = ExecGetUpdateNewTuple(target, plan_slot, target->ri_oldTupleSlot);
	}
	late = is_late(&place);
	difference = compare_rows(m, plan_slot, slot);
	check_new_row(estate, target, slot, WCO_RLS_UPDATE_CHECK);
	if (difference == OTHERS)
		check_bound(estate, target, slot);
	if (late)
		done = wt_late_store_update(late_of(m), &place, slot, m->command);
	else if (difference == OTHERS || m->status == InvalidAttrNumber)
	{
		done = delete_in_chunk(m, &place, true);
		if (done)
		{
			wt_late_store_insert(late_of(m), &slot, 1, true, m->command);
			wt_pending_moved(m->pending, (int32) ItemPointerGetBlockNumberNoCheck(&place),
							 ItemPointerGetOffsetNumberNoCheck(&place) - 1,
							 wt_late_store_place(m->late));
		}
	}
	else
		done = set_status(m, &place, slot);
	return done ? slot : NULL;
}

static TupleTableSlot *
delete_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
		   TupleTableSlot *plan_slot)
{
	WtModify *m = target->ri_FdwState;
	const TriggerDesc *triggers = target->ri_TrigDesc;
	TupleTableSlot *fresh;
	ItemPointerData place;
	bool done;

	if (!lock_row(m, estate, target, triggers && triggers->trig_delete_before_row, &place,
				  &plan_slot, &fresh))
		return NULL;
	if (is_late(&place))
		done = wt_late_store_delete(late_of(m), &place, m->command);
	else
		done = delete_in_chunk(m, &place, false);
	if (!done)
		return NULL;
	/* For RETURNING; where there is none, nobody looks at what the slot holds. */
	if (fresh)
		ExecCopySlot(slot, fresh);
	else if (find_old_row(m, plan_slot))
		ExecForceStoreHeapTuple(&m->old, slot, false);
	else
		ExecStoreAllNullTuple(slot);
	return slot;
}

/* ---------------------------------------------------------------------- truncating */

static void
truncate_tables(List *relations, DropBehavior behavior, bool restart)
{
	List *tables = NIL;
	List *oids = NIL;
	ListCell *lc;

	foreach (lc, relations)
	{
		WtLinks links;

		wt_links_read(RelationGetRelid((Relation) lfirst(lc)), &links);
		oids = lappend_oid(oids, links.chunks);
		oids = lappend_oid(oids, links.late);
	}
	foreach (lc, oids)
		tables = lappend(tables, table_open(lfirst_oid(lc), AccessExclusiveLock));
	wt_truncate_tables(tables, oids);
	foreach (lc, tables)
		table_close((Relation) lfirst(lc), NoLock);
}

void
wt_sealed_set_modify(FdwRoutine *routine)
{
	routine->AddForeignUpdateTargets = add_targets;
	routine->PlanForeignModify = plan_modify;
	routine->BeginForeignModify = begin_modify;
	routine->ExecForeignInsert = insert_row;
	routine->ExecForeignBatchInsert = insert_batch;
	routine->GetForeignModifyBatchSize = batch_size;
	routine->ExecForeignUpdate = update_row;
	routine->ExecForeignDelete = delete_row;
	routine->EndForeignModify = end;
	routine->BeginForeignInsert = begin_insert;
	routine->EndForeignInsert = end;
	routine->IsForeignRelUpdatable = is_updatable;
	routine->ExecForeignTruncate = truncate_tables;
}
