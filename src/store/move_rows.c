/*
 * move_rows.c
 *		Rows of one table → another, as if nothing happened to them.
 *
 * SQL could do that where session_replication_role is "replica".  But that is a superuser's
 * to set, and would hold for all that the owner's functions do meanwhile, in whatever
 * tables: others' triggers and references would not count.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "store/move_rows.h"

/* Deletes the row in a slot; false: somebody else has changed it, or does. */
static bool
delete_row(Relation relation, TupleTableSlot *slot, Snapshot snapshot)
{
	TM_FailureData failure;

	switch (table_tuple_delete(relation, &slot->tts_tid, GetCurrentCommandId(true),
							   snapshot, InvalidSnapshot, true, &failure, false))
	{
		case TM_Ok:
			return true;
		case TM_SelfModified:
		case TM_Updated:
		case TM_Deleted:
			return false;
		default:
			break;
	}
	elog(ERROR, "could not delete a row of \"%s\"", RelationGetRelationName(relation));
}

/*
 * Raises unless the current user may read and delete rows of a table, and its publications
 * let anybody.  Asked when there is a row to move: where there is none, none of it is needed.
 */
static void
check_may_delete(Relation relation)
{
	Oid oid = RelationGetRelid(relation);

	if (pg_class_aclcheck(oid, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
		pg_class_aclcheck(oid, GetUserId(), ACL_DELETE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(relation));
	CheckCmdReplicaIdentity(relation, CMD_DELETE);
}

static void
insert_row(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
{
	slot->tts_tableOid = RelationGetRelid(target->ri_RelationDesc);
	if (target->ri_RelationDesc->rd_att->constr)
		ExecConstraints(target, slot, estate);
	table_tuple_insert(target->ri_RelationDesc, slot, GetCurrentCommandId(true), 0, NULL);
	if (target->ri_NumIndices > 0)
		list_free(wt_insert_index_tuples(target, slot, estate));
}

int64
wt_move_rows(Oid source_oid, Oid target_oid, TimestampTz from, TimestampTz to)
{
	Relation source = table_open(source_oid, NoLock);
	Relation target = table_open(target_oid, NoLock);
	AttrNumber time = get_attnum(source_oid, "event_timestamp");
	AttrMap *map = wt_build_attrmap(RelationGetDescr(source), RelationGetDescr(target));
	EState *estate = CreateExecutorState();
	ResultRelInfo *target_info = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(source, NULL);
	TupleTableSlot *target_slot = table_slot_create(target, NULL);
	Snapshot snapshot;
	TableScanDesc scan;
	int64 rows = 0;

	InitResultRelInfo(target_info, target, 0, NULL, 0);
	ExecOpenIndices(target_info, false);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	/* For what functions in indexes and checks look up. */
	PushActiveSnapshot(snapshot);
	scan = table_beginscan(source, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool is_null;
		TimestampTz t = DatumGetTimestampTz(slot_getattr(slot, time, &is_null));
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		if (is_null || t < from || t >= to)
			continue;
		if (rows == 0)
			check_may_delete(source);
		if (!delete_row(source, slot, snapshot))
			continue;
		old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		if (map)
			(void) execute_attr_map_slot(map, slot, target_slot);
		else
			ExecCopySlot(target_slot, slot);
		insert_row(target_info, target_slot, estate);
		MemoryContextSwitchTo(old);
		ExecClearTuple(target_slot);
		ResetPerTupleExprContext(estate);
		rows++;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);

	ExecCloseIndices(target_info);
	ExecDropSingleTupleTableSlot(target_slot);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	if (map)
		free_attrmap(map);
	table_close(target, NoLock);
	table_close(source, NoLock);
	CommandCounterIncrement();
	return rows;
}
