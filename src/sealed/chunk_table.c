/*
 * chunk_table.c
 *		Reads parts of chunks by the table's primary key, under one snapshot.
 *
 * Hazard: a B-tree scan allocates in the context that it is called in (for what it finds dead),
 * and keeps that until the next rescan.  So it is called in the context that the scan itself
 * lives in, and never in a chunk's, which is reset meanwhile.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "storage/lockdefs.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/chunk_table.h"

/* Columns of a chunk table. */
enum
{
	A_CHUNK = 1,
	A_PART,
	A_BODY
};

/* So many entries of a chunk in the index are passed before it is asked for the next chunk. */
#define PARTS_TO_PASS 256

struct WtChunkTable
{
	Relation relation;
	Relation index;
	Snapshot snapshot;
	IndexScanDesc parts;   /* of whole rows */
	IndexScanDesc numbers; /* of keys alone; NULL until asked for */
	TupleTableSlot *slot;
	MemoryContext context;
	uint64 bytes_read;
};

WtChunkTable *
wt_chunk_table_open(Oid table, Snapshot snapshot)
{
	WtChunkTable *t = palloc0(sizeof(WtChunkTable));
	TupleDesc columns;
	Oid index;

	t->relation = table_open(table, AccessShareLock);
	columns = RelationGetDescr(t->relation);
	index = wt_primary_key_index(t->relation);
	if (t->relation->rd_rel->relkind != RELKIND_RELATION || columns->natts < A_BODY ||
		TupleDescAttr(columns, A_CHUNK - 1)->atttypid != INT4OID ||
		TupleDescAttr(columns, A_PART - 1)->atttypid != INT4OID ||
		TupleDescAttr(columns, A_BODY - 1)->atttypid != BYTEAOID || !OidIsValid(index))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is no table of chunks",
							   RelationGetRelationName(t->relation))));
	t->index = index_open(index, AccessShareLock);
	if (t->index->rd_rel->relam != BTREE_AM_OID ||
		IndexRelationGetNumberOfKeyAttributes(t->index) != 2 ||
		t->index->rd_index->indkey.values[0] != A_CHUNK ||
		t->index->rd_index->indkey.values[1] != A_PART)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("the primary key of \"%s\" is not (chunk, part)",
							   RelationGetRelationName(t->relation))));
	t->snapshot = snapshot;
	t->context = CurrentMemoryContext;
	t->slot = table_slot_create(t->relation, NULL);
	t->parts = wt_index_beginscan(t->relation, t->index, snapshot, 2);
	return t;
}

void
wt_chunk_table_close(WtChunkTable *t)
{
	index_endscan(t->parts);
	if (t->numbers)
		index_endscan(t->numbers);
	ExecDropSingleTupleTableSlot(t->slot);
	index_close(t->index, NoLock);
	table_close(t->relation, NoLock);
	pfree(t);
}

void
wt_chunk_table_snapshot(WtChunkTable *t, Snapshot snapshot)
{
	MemoryContext old = MemoryContextSwitchTo(t->context);

	index_endscan(t->parts);
	if (t->numbers)
		index_endscan(t->numbers);
	t->numbers = NULL;
	t->snapshot = snapshot;
	t->parts = wt_index_beginscan(t->relation, t->index, snapshot, 2);
	MemoryContextSwitchTo(old);
}

Snapshot
wt_chunk_table_snapshot_of(const WtChunkTable *t)
{
	return t->snapshot;
}

Relation
wt_chunk_table_relation(const WtChunkTable *t)
{
	return t->relation;
}

const char *
wt_chunk_table_name(const WtChunkTable *t)
{
	return RelationGetRelationName(t->relation);
}

uint64
wt_chunk_table_bytes_read(const WtChunkTable *t)
{
	return t->bytes_read;
}

int
wt_chunk_table_numbers(WtChunkTable *t, int32 **numbers)
{
	MemoryContext ours = CurrentMemoryContext;
	int n = 0, room = 64, n_parts = 0;
	int32 *list = palloc(room * sizeof(int32));
	ScanKeyData key;

	MemoryContextSwitchTo(t->context);
	if (t->numbers == NULL)
	{
		t->numbers = wt_index_beginscan(t->relation, t->index, t->snapshot, 1);
		t->numbers->xs_want_itup = true;
	}
	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(PG_INT32_MIN));
	index_rescan(t->numbers, &key, 1, NULL, 0);
	while (index_getnext_tid(t->numbers, ForwardScanDirection) != NULL)
	{
		bool is_null;
		int32 chunk = DatumGetInt32(
			index_getattr(t->numbers->xs_itup, 1, t->numbers->xs_itupdesc, &is_null));

		if (n > 0 && chunk == list[n - 1])
		{
			/* Of a chunk of many parts the index is asked for the next one. */
			if (++n_parts % PARTS_TO_PASS == 0)
			{
				key.sk_argument = Int32GetDatum(chunk);
				index_rescan(t->numbers, &key, 1, NULL, 0);
			}
			continue;
		}
		n_parts = 0;
		if (n == room)
		{
			room *= 2;
			list = repalloc_huge(list, room * sizeof(int32));
		}
		/* A row's place has its chunk's number, without the bit that tells late rows. */
		if (chunk < 0)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("\"%s\" has a chunk of a negative number",
								   wt_chunk_table_name(t))));
		list[n++] = chunk;
	}
	MemoryContextSwitchTo(ours);
	*numbers = list;
	return n;
}

/* Copies the body of the row that the scan stands on to the current context. */
static WtPart
body_of(WtChunkTable *t)
{
	bool is_null;
	Datum value = slot_getattr(t->slot, A_BODY, &is_null);
	WtPart part = {"", 0};

	if (!is_null)
	{
		bytea *body = DatumGetByteaPCopy(value);

		part.bytes = VARDATA(body);
		part.length = VARSIZE(body) - VARHDRSZ;
		t->bytes_read += part.length;
	}
	return part;
}

/* Goes to the next row of the scan, in the context that is the scan's. */
static bool
next_row(WtChunkTable *t)
{
	MemoryContext old = MemoryContextSwitchTo(t->context);
	bool found = index_getnext_slot(t->parts, ForwardScanDirection, t->slot);

	MemoryContextSwitchTo(old);
	return found;
}

static void
look_for(WtChunkTable *t, int32 chunk, StrategyNumber strategy, RegProcedure procedure,
		 int32 part)
{
	ScanKeyData keys[2];
	MemoryContext old = MemoryContextSwitchTo(t->context);

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chunk));
	ScanKeyInit(&keys[1], 2, strategy, procedure, Int32GetDatum(part));
	index_rescan(t->parts, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

bool
wt_chunk_table_head(WtChunkTable *t, int32 chunk, WtChunkHead *head)
{
	memset(head, 0, sizeof(*head));
	look_for(t, chunk, BTLessEqualStrategyNumber, F_INT4LE, WT_PART_DIRECTORY);
	while (next_row(t))
	{
		bool is_null;

		switch (DatumGetInt32(slot_getattr(t->slot, A_PART, &is_null)))
		{
			case WT_PART_DIRECTORY:
				head->directory = body_of(t);
				break;
			case WT_PART_DELETED:
				head->deleted = body_of(t);
				break;
			case WT_PART_STATUSES:
				head->status = body_of(t);
				break;
			case WT_PART_ORIGINS:
				head->origins = body_of(t);
				break;
			default:
				break;
		}
	}
	ExecClearTuple(t->slot);
	return head->directory.bytes != NULL;
}

WtPart
wt_chunk_table_part(WtChunkTable *t, int32 chunk, int32 part)
{
	WtPart result;

	look_for(t, chunk, BTEqualStrategyNumber, F_INT4EQ, part);
	if (!next_row(t))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("part %d of chunk %d of \"%s\" is missing", part, chunk,
							   wt_chunk_table_name(t))));
	result = body_of(t);
	ExecClearTuple(t->slot);
	return result;
}
