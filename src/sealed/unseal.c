/*
 * unseal.c
 *		A sealed partition becomes an ordinary one again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "sealed/changes.h"
#include "sealed/chunk_scan.h"
#include "sealed/gone.h"
#include "sealed/late_columns.h"
#include "sealed/links.h"
#include "sealed/own_indexes.h"
#include "sealed/packer.h"
#include "sealed/progress.h"
#include "sealed/projection.h"
#include "sealed/row_hash.h"
#include "sealed/row_store.h"
#include "sealed/stored_columns.h"
#include "sealed/swap.h"
#include "store/lock_gently.h"
#include "store/scope.h"

PG_FUNCTION_INFO_V1(windtrap_unseal);

#define EXCHANGE_PATIENCE 150

typedef struct Unsealing
{
	WtPlace place;
	WtLinks links;
	Relation foreign;
	Relation chunks;
	Relation late;
	Oid heap;
	List *indexes; /* the partition's own, of the heap */
	WtMoment moment;
	WtMoment late_moment;
	WtRowStore *rows;
	WtRowHash *hash; /* of late rows, as of the foreign table's */
	AttrNumber time; /* of late rows */
	WtGone *gone;	 /* late rows that are there no more */
	int64 n;		 /* rows that the heap has by now */
} Unsealing;

/* Copies the rows of all chunks. */
static void
copy_chunks(Unsealing *u)
{
	WtChunkScan *scan =
		wt_chunk_scan_create(u->foreign, u->links.chunks, u->moment.snapshot);
	WtNeeds needs = wt_needs_of_rows(scan->columns);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(scan->columns, &TTSOpsVirtual);
	WtProjection *projection;

	projection = wt_projection_create(scan, &needs);
	for (int i = 0; i < scan->n_numbers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (LockHasWaitersRelation(u->foreign, ShareUpdateExclusiveLock))
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("unsealing \"%s\" has given way to somebody who wants to "
							"lock it",
							u->place.name)));
		wt_progress("unsealing", u->place.name, i, scan->n_numbers);
		if (!wt_chunk_scan_open(scan, scan->numbers[i]))
			continue;
		for (int row = wt_chunk_scan_next(scan, -1); row >= 0;
			 row = wt_chunk_scan_next(scan, row))
		{
			ExecClearTuple(slot);
			wt_projection_fill(projection, row, slot->tts_values, slot->tts_isnull);
			ExecStoreVirtualTuple(slot);
			wt_row_store_put(u->rows, slot, wt_chunk_scan_origin(scan, row));
		}
	}
	wt_chunk_scan_destroy(scan);
	ExecDropSingleTupleTableSlot(slot);
}

static void
copy_late(Unsealing *u)
{
	u->n += wt_row_store_copy(u->heap, u->late, wt_late_columns_of(u->foreign, u->late),
							  u->late_moment.snapshot);
}

static void
refuse_change(void *arg, TupleTableSlot *slot, bool gone)
{
	const Unsealing *u = arg;

	ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("rows of \"%s\" were changed while it was being unsealed",
						   u->place.name),
					errhint("Try again.")));
}

/* What has become of the late rows is done to the new ones. */
typedef struct CatchUp
{
	Unsealing *u;
	WtRowStore *rows;
	MemoryContext row;
} CatchUp;

static void
take_change(void *arg, TupleTableSlot *slot, bool gone)
{
	CatchUp *c = arg;
	bool is_null;

	if (gone)
	{
		MemoryContext old = MemoryContextSwitchTo(c->row);

		slot_getallattrs(slot);
		wt_gone_add(c->u->gone,
					DatumGetTimestampTz(slot_getattr(slot, c->u->time, &is_null)),
					wt_row_hash(c->u->hash, slot->tts_values, slot->tts_isnull));
		MemoryContextSwitchTo(old);
		MemoryContextReset(c->row);
		c->u->n--;
	}
	else
	{
		wt_row_store_put(c->rows, slot, wt_origin_of(slot));
		c->u->n++;
	}
}

static void
catch_up_to(Unsealing *u, const WtMoment *late_moment)
{
	WtMoment before = u->late_moment;
	CatchUp c = {.u = u};

	u->late_moment = *late_moment;
	wt_changes_since(u->chunks, &u->moment, u->late_moment.snapshot, refuse_change, u);
	c.rows = wt_row_store_open(u->heap, wt_late_columns_of(u->foreign, u->late), true);
	c.row = AllocSetContextCreate(CurrentMemoryContext, "windtrap late row",
								  ALLOCSET_DEFAULT_SIZES);
	wt_changes_since(u->late, &before, u->late_moment.snapshot, take_change, &c);
	wt_row_store_close(c.rows);
	MemoryContextDelete(c.row);
	wt_gone_delete(u->gone, u->heap, RelationGetDescr(u->foreign));
	wt_moment_end(&before);
}

static bool
exchange(Unsealing *u)
{
	/* Who writes to a sealed partition writes to its tables; he has locked all of them. */
	Oid locks[] = {u->place.partition, u->links.chunks, u->links.late};
	WtMoment now;

	if (!wt_try_lock_gently(locks, lengthof(locks), ShareRowExclusiveLock,
							EXCHANGE_PATIENCE))
		return false;
	wt_moment_take(u->links.late, &now);
	catch_up_to(u, &now);
	if (!wt_swap_try_lock(&u->place, EXCHANGE_PATIENCE))
	{
		wt_unlock_gently(locks, lengthof(locks), ShareRowExclusiveLock);
		return false;
	}
	wt_moment_end(&u->late_moment);
	wt_moment_end(&u->moment);
	table_close(u->chunks, NoLock);
	table_close(u->late, NoLock);
	table_close(u->foreign, NoLock);
	wt_swap(&u->place, u->heap);
	wt_own_indexes_name(u->indexes);
	return true;
}

/*
 * The way back of wt_seal(), and like it: while it is read and written as ever, in the current
 * transaction, by the owner, within a scope.  Gives the number of rows.  Raises where rows that
 * are in chunks are changed meanwhile.
 */
static int64
unseal(Oid partition)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap unsealing", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Unsealing *u = palloc0(sizeof(*u));
	WtMoment now;
	int64 n;

	wt_scope_pin_texts();
	wt_lock_patiently(partition, ShareUpdateExclusiveLock);
	wt_links_read(partition, &u->links);
	if (!get_rel_relispartition(partition))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is no partition", get_rel_name(partition))));
	/* Neither are they vacuumed meanwhile. */
	wt_lock_patiently(u->links.chunks, ShareUpdateExclusiveLock);
	wt_lock_patiently(u->links.late, ShareUpdateExclusiveLock);
	/* Or they would stay when the partition goes: a dump has only their names. */
	if (!u->links.recorded)
		wt_links_record(&u->links);
	wt_place_read(partition, &u->place);
	u->place.tablespace = get_rel_tablespace(u->links.chunks);
	u->foreign = table_open(partition, AccessShareLock);
	wt_late_columns_adopt(u->foreign, u->links.late, NULL);
	u->chunks = table_open(u->links.chunks, AccessShareLock);
	u->late = table_open(u->links.late, AccessShareLock);
	wt_moment_take(u->links.chunks, &u->moment);
	wt_moment_take(u->links.late, &u->late_moment);
	u->heap = wt_swap_make_heap(&u->place);
	u->hash =
		wt_row_hash_create(RelationGetDescr(u->late), wt_stored_columns(u->foreign));
	u->time = get_attnum(u->links.late, WT_STORED_TIME);
	u->gone = wt_gone_create();
	u->rows = wt_row_store_open(u->heap, RelationGetDescr(u->foreign), true);
	copy_chunks(u);
	u->n = wt_row_store_count(u->rows);
	wt_row_store_close(u->rows);
	copy_late(u);
	u->indexes = wt_own_indexes_copy(u->links.late, u->heap);

	XLogFlush(XactLastRecEnd);
	/* What has come while all was copied, before anybody is kept waiting for what is left. */
	if (wt_moment_try(u->links.late, &now))
		catch_up_to(u, &now);
	for (int tries = 0; !exchange(u); tries++)
		wt_swap_wait(&u->place, u->place.name, tries);
	wt_progress_end();
	n = u->n;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return n;
}

/* windtrap.unseal(partition regclass) RETURNS bigint */
Datum
windtrap_unseal(PG_FUNCTION_ARGS)
{
	Oid partition = PG_GETARG_OID(0);
	WtScope scope;
	int64 n;

	wt_scope_enter_owned(partition, &scope);
	n = unseal(partition);
	wt_scope_leave(&scope);
	PG_RETURN_INT64(n);
}
