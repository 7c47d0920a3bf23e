/*
 * late.c
 *		Reads the late rows of a sealed partition, as rows of the partition.
 *
 * The late table is like the partition, but nobody alters it along with its parent: its columns
 * are found by the names under which those of the partition are stored, what it lacks is missing
 * as in chunks, and what has another type by now goes through its text.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "sealed/generated.h"
#include "sealed/late.h"
#include "sealed/missing.h"
#include "sealed/stored_columns.h"

/* Where a column of the partition comes from. */
typedef struct From
{
	AttrNumber column; /* of the late table; 0: it has none */
	bool other_type;
	FmgrInfo output, input;
	Oid input_parameter;
	int32 modifier;
	bool missing_is_null;
	Datum missing;
} From;

/* A row, where no index has them in order. */
typedef struct Place
{
	int64 time;
	ItemPointerData tid;
} Place;

struct WtLateScan
{
	Relation relation;
	Relation index; /* NULL: it is not read by an index */
	Snapshot snapshot;
	MemoryContext context, row_context;
	AttrNumber time;
	int direction;
	int64 first, last;
	IndexScanDesc by_index;
	TableScanDesc by_table;
	Place *places; /* sorted; NULL: it has an index, or any order will do */
	int64 n_places, next;
	TupleTableSlot *row;
	int n_columns;
	From *columns;
	WtGenerated *generated; /* NULL: there are none */
};

static void
find_columns(WtLateScan *scan, Relation foreign, const Bitmapset *needed)
{
	TupleDesc theirs = RelationGetDescr(scan->relation);
	TupleDesc ours = wt_stored_columns(foreign);
	AttrNumber data = wt_column_named(ours, WT_STORED_DATA);
	WtNeeds needs = {.columns = bms_copy(needed), .system = needed == NULL};

	scan->generated = wt_generated_create(foreign, data, &needs);
	scan->n_columns = ours->natts;
	scan->columns = palloc0(ours->natts * sizeof(From));
	for (int i = 0; i < ours->natts; i++)
	{
		Form_pg_attribute our = TupleDescAttr(ours, i);
		From *from = &scan->columns[i];

		from->missing_is_null = true;
		if (our->attisdropped || our->attgenerated != '\0')
			continue;
		for (int k = 0; k < theirs->natts && from->column == 0; k++)
		{
			Form_pg_attribute their = TupleDescAttr(theirs, k);
			Oid function;
			bool is_varlena;

			if (their->attisdropped ||
				strcmp(NameStr(their->attname), NameStr(our->attname)) != 0)
				continue;
			from->column = k + 1;
			if (their->atttypid == our->atttypid)
				continue;
			from->other_type = true;
			getTypeOutputInfo(their->atttypid, &function, &is_varlena);
			fmgr_info(function, &from->output);
			from->modifier = our->atttypmod;
			getTypeInputInfo(getBaseTypeAndTypmod(our->atttypid, &from->modifier),
							 &function, &from->input_parameter);
			fmgr_info(function, &from->input);
		}
		if (from->column == 0 && (needed == NULL || bms_is_member(i + 1, needs.columns)))
			from->missing = wt_missing_value(foreign, i + 1, &from->missing_is_null);
		else if (strcmp(NameStr(our->attname), WT_STORED_TIME) == 0)
			scan->time = from->column;
	}
}

/* A B-tree of all rows that begins with the time; NULL: there is none. */
static Relation
time_index(Relation relation, AttrNumber time)
{
	List *indexes = RelationGetIndexList(relation);
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
			index->rd_index->indkey.values[0] == time &&
			index->rd_opcintype[0] == TIMESTAMPTZOID &&
			RelationGetIndexPredicate(index) == NIL &&
			(index->rd_indoption[0] & INDOPTION_DESC) == 0)
			return index;
		index_close(index, NoLock);
	}
	return NULL;
}

static int
compare_places(const void *left, const void *right)
{
	const Place *a = left, *b = right;

	return a->time < b->time ? -1 : a->time > b->time;
}

/* Without an index: where the rows are is read at once, and sorted. */
static void
sort_places(WtLateScan *scan)
{
	TableScanDesc table = table_beginscan(scan->relation, scan->snapshot, 0, NULL);
	int64 room = 1024;

	scan->places = palloc(room * sizeof(Place));
	while (table_scan_getnextslot(table, ForwardScanDirection, scan->row))
	{
		bool is_null;
		int64 time = DatumGetInt64(slot_getattr(scan->row, scan->time, &is_null));

		CHECK_FOR_INTERRUPTS();
		if (is_null || time < scan->first || time > scan->last)
			continue;
		if (scan->n_places == room)
		{
			room *= 2;
			scan->places = repalloc_huge(scan->places, room * sizeof(Place));
		}
		scan->places[scan->n_places].time = time;
		scan->places[scan->n_places++].tid = scan->row->tts_tid;
	}
	ExecClearTuple(scan->row);
	table_endscan(table);
	qsort(scan->places, scan->n_places, sizeof(Place), compare_places);
}

static void
begin_index(WtLateScan *scan)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				Int64GetDatum(scan->first));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				Int64GetDatum(scan->last));
	scan->by_index = wt_index_beginscan(scan->relation, scan->index, scan->snapshot, 2);
	index_rescan(scan->by_index, keys, 2, NULL, 0);
}

WtLateScan *
wt_late_scan_begin(Relation foreign, Oid late, Snapshot snapshot, const Bitmapset *needed,
				   int direction, int64 first, int64 last)
{
	WtLateScan *scan = palloc0(sizeof(WtLateScan));
	bool bounded = first > PG_INT64_MIN || last < PG_INT64_MAX;

	scan->relation = table_open(late, AccessShareLock);
	scan->snapshot = snapshot;
	scan->context = CurrentMemoryContext;
	scan->direction = direction;
	scan->first = first;
	scan->last = last;
	if (first > last)
		return scan;
	/* Most have none, and then nothing more is asked; a serializable transaction has read that. */
	if (RelationGetNumberOfBlocks(scan->relation) == 0)
	{
		PredicateLockRelation(scan->relation, snapshot);
		return scan;
	}
	scan->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "late row", ALLOCSET_SMALL_SIZES);
	scan->row = table_slot_create(scan->relation, NULL);
	find_columns(scan, foreign, needed);
	if (scan->time == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("\"%s\" has no column event_timestamp",
							   RelationGetRelationName(scan->relation))));
	if (direction != 0 || bounded)
		scan->index = time_index(scan->relation, scan->time);
	if (scan->index != NULL)
		begin_index(scan);
	else if (direction != 0)
		sort_places(scan);
	else
		scan->by_table = table_beginscan(scan->relation, snapshot, 0, NULL);
	return scan;
}

void
wt_late_scan_end(WtLateScan *scan)
{
	if (scan->by_index)
		index_endscan(scan->by_index);
	if (scan->by_table)
		table_endscan(scan->by_table);
	if (scan->places)
		pfree(scan->places);
	if (scan->row)
		ExecDropSingleTupleTableSlot(scan->row);
	if (scan->index)
		index_close(scan->index, NoLock);
	if (scan->row_context)
		MemoryContextDelete(scan->row_context);
	table_close(scan->relation, NoLock);
	pfree(scan);
}

/* Goes to the next row of the late table.  In the scan's context: see chunk_table.c. */
static bool
next_row(WtLateScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	bool found = false;

	if (scan->by_index)
		found = index_getnext_slot(scan->by_index,
								   scan->direction < 0 ? BackwardScanDirection
													   : ForwardScanDirection,
								   scan->row);
	else if (scan->by_table)
		found = table_scan_getnextslot(scan->by_table, ForwardScanDirection, scan->row);
	else
		while (scan->next < scan->n_places && !found)
		{
			int64 i = scan->direction < 0 ? scan->n_places - 1 - scan->next : scan->next;

			scan->next++;
			found = table_tuple_fetch_row_version(scan->relation, &scan->places[i].tid,
												  scan->snapshot, scan->row);
		}
	MemoryContextSwitchTo(old);
	return found;
}

bool
wt_late_scan_next(WtLateScan *scan, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	if (scan->row == NULL)
		return false;
	CHECK_FOR_INTERRUPTS();
	if (!next_row(scan))
		return false;
	wt_late_scan_convert(scan, slot);
	return true;
}

void
wt_late_scan_convert(WtLateScan *scan, TupleTableSlot *slot)
{
	MemoryContext old;

	ExecClearTuple(slot);
	MemoryContextReset(scan->row_context);
	old = MemoryContextSwitchTo(scan->row_context);
	slot_getallattrs(scan->row);
	for (int i = 0; i < scan->n_columns; i++)
	{
		From *from = &scan->columns[i];

		slot->tts_isnull[i] = from->column ? scan->row->tts_isnull[from->column - 1]
										   : from->missing_is_null;
		slot->tts_values[i] =
			from->column ? scan->row->tts_values[from->column - 1] : from->missing;
		if (from->other_type && !slot->tts_isnull[i])
			slot->tts_values[i] = InputFunctionCall(
				&from->input, OutputFunctionCall(&from->output, slot->tts_values[i]),
				from->input_parameter, from->modifier);
	}
	MemoryContextSwitchTo(old);
	if (scan->generated)
		wt_generated_fill(scan->generated, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	ItemPointerSet(&slot->tts_tid,
				   ItemPointerGetBlockNumberNoCheck(&scan->row->tts_tid) | WT_LATE_BLOCK,
				   ItemPointerGetOffsetNumberNoCheck(&scan->row->tts_tid));
}

Relation
wt_late_scan_relation(const WtLateScan *scan)
{
	return scan->relation;
}

TupleTableSlot *
wt_late_scan_row(const WtLateScan *scan)
{
	return scan->row;
}
