/*
 * seal.c
 *		A partition whose time is over becomes a sealed one.
 *
 * The steps, of which only the last two keep anybody waiting:
 *
 *	1. A moment is taken at which nobody changes the partition, and its rows as of then are
 *	   written as chunks, in order of time.
 *	2. They are read back, and compared.
 *	3. Who writes to the partition is kept away; what has come since goes into the table of
 *	   late rows, what is gone is marked as deleted.  Where step 4 fails all go on, and this is
 *	   done again, for what has come since then.
 *	4. The table and the partition are locked for an instant, and the foreign table takes its
 *	   place.
 *
 * What is written is frozen: a transaction whose snapshot is older would otherwise find the
 * partition empty once it is exchanged.  Therefore nothing here is undone by itself: there are
 * no subtransactions around what writes, and what fails fails as a whole.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/give_way.h"
#include "sealed/changes.h"
#include "sealed/chunk_store.h"
#include "sealed/gone.h"
#include "sealed/own_indexes.h"
#include "sealed/packer.h"
#include "sealed/progress.h"
#include "sealed/row_order.h"
#include "sealed/row_store.h"
#include "sealed/row_hash.h"
#include "sealed/seal.h"
#include "sealed/sealable.h"
#include "sealed/size.h"
#include "sealed/swap.h"
#include "sealed/verify.h"
#include "store/lock_gently.h"
#include "store/scope.h"

PG_FUNCTION_INFO_V1(windtrap_seal);

/* The exchange is tried so often quietly. */
#define QUIET_TRIES 3

/* Passes over what has come meanwhile: so many, or until one takes less than this, ms. */
#define MAX_PASSES 5
#define SHORT_PASS 100

/* For so long, ms, locks are tried for, while nobody can write to the partition. */
#define EXCHANGE_PATIENCE 150

/* Progress is shown every so many rows. */
#define PROGRESS_ROWS WT_PACKER_ROWS

/* Of what is older than this, µs, when it is sealed is not kept what it has come by. */
#define ORIGINS_FOR (10 * USECS_PER_MINUTE)

/* Rows that chunks do not keep exactly: more of them than this mean that something is wrong. */
#define MAX_MISFITS 10000

typedef struct Misfit
{
	uint64 hash;
	bool kept;
} Misfit;

/* What is being sealed. */
typedef struct Sealing
{
	WtPlace place;
	Relation heap;
	Relation foreign; /* that is to take its place */
	Oid chunks;
	Oid late;
	List *indexes;	 /* the heap's own, of the late table */
	AttrNumber time; /* of the heap */
	WtMoment moment;
	WtRowHash *hash;   /* of the heap's rows */
	MemoryContext row; /* reset with each row that is hashed */
	WtVerifier *verifier;
	WtChunkStore *store;
	WtOriginList *origins; /* of the chunk that is being written */
	TimestampTz recent;	   /* older rows' origins are forgotten */
	WtRowStore *late_rows;
	WtGone *gone;
	int n_misfits;
	Misfit misfits[MAX_MISFITS];
} Sealing;

/* Gives way to who waits for the partition, as VACUUM does: sealing can be done later. */
static void
give_way(const Sealing *s)
{
	/*
	 * Who waits for the other lock, AccessShareLock, waits for this one as well; and of one that
	 * was had by the fast path the question itself would crash.
	 */
	if (LockHasWaitersRelation(s->heap, ShareUpdateExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("sealing \"%s\" has given way to somebody who wants to lock it",
						s->place.name)));
}

/* Step 2, a chunk at a time. */
static void
check_chunk(void *arg, int32 chunk, int n_rows, const uint64 *hashes)
{
	Sealing *s = arg;
	const int *wrong;
	int n_wrong = wt_verifier_check(s->verifier, chunk, n_rows, hashes, &wrong);

	wt_origin_list_write(s->origins, s->store, chunk, n_rows);
	if (s->n_misfits + n_wrong > MAX_MISFITS)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("\"%s\" cannot be sealed: too many of its rows do not come "
						"back as they were",
						s->place.name)));
	for (int i = 0; i < n_wrong; i++)
	{
		s->misfits[s->n_misfits++] = (Misfit){.hash = hashes[wrong[i]]};
		wt_gone_mark(s->gone, chunk, n_rows, wrong[i]);
	}
	give_way(s);
}

static uint64
hash_of(const Sealing *s, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(s->row);
	uint64 hash;

	slot_getallattrs(slot);
	hash = wt_row_hash(s->hash, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	MemoryContextReset(s->row);
	return hash;
}

static Misfit *
find_misfit(Sealing *s, uint64 hash)
{
	for (int i = 0; i < s->n_misfits; i++)
		if (s->misfits[i].hash == hash && !s->misfits[i].kept)
			return &s->misfits[i];
	return NULL;
}

/* Rows that chunks do not keep exactly are kept as rows. */
static void
keep_misfits(Sealing *s)
{
	TupleTableSlot *slot;
	TableScanDesc scan;
	int n = 0;

	if (s->n_misfits == 0)
		return;
	slot = table_slot_create(s->heap, NULL);
	scan = table_beginscan(s->heap, s->moment.snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Misfit *misfit = find_misfit(s, hash_of(s, slot));

		CHECK_FOR_INTERRUPTS();
		if (!misfit)
			continue;
		misfit->kept = true;
		wt_row_store_put(s->late_rows, slot, wt_origin_of(slot));
		n++;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	if (n != s->n_misfits)
		elog(ERROR, "rows of \"%s\" have vanished", s->place.name);
}

/* Whether it is new, windtrap.tail() may have to know of a row that has just come. */
static void
note_origin(const Sealing *s, TupleTableSlot *row)
{
	bool is_null;
	TimestampTz time = DatumGetTimestampTz(slot_getattr(row, s->time, &is_null));

	wt_origin_list_add(s->origins, time >= s->recent
									   ? wt_origin_of(row)
									   : (WtOrigin){.xmin = FrozenTransactionId});
}

/* Steps 1 and 2.  Gives the number of rows, also of those that are kept as rows. */
static int64
write_chunks(Sealing *s)
{
	WtChunkStore *store = wt_chunk_store_open(s->chunks, true);
	WtPacking packing = {.max_rows = WT_PACKER_ROWS,
						 .first = wt_packer_first(s->place.partition),
						 .step = WT_CHUNK_STEP,
						 .limit = PG_INT32_MAX};
	WtPacker *packer = wt_packer_create(RelationGetDescr(s->heap), s->hash, store,
										&packing, check_chunk, s);
	WtRowOrder *order = wt_row_order_begin(s->heap, s->moment.snapshot);
	int64 all = wt_row_order_count(order);
	int64 n = 0;
	TupleTableSlot *row;

	s->store = store;
	s->origins = wt_origin_list_create();
	s->recent = GetCurrentTimestamp() - ORIGINS_FOR;
	while ((row = wt_row_order_next(order)))
	{
		if (n++ % PROGRESS_ROWS == 0)
			wt_progress("sealing", s->place.name, n, all);
		if (!wt_packer_takes(packer, row))
		{
			wt_row_store_put(s->late_rows, row, wt_origin_of(row));
			continue;
		}
		note_origin(s, row);
		(void) wt_packer_add(packer, row);
	}
	(void) wt_packer_finish(packer);
	wt_row_order_end(order);
	wt_packer_destroy(packer);
	wt_chunk_store_close(store);
	if (n != all)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("\"%s\" had " INT64_FORMAT " rows, and " INT64_FORMAT
							   " of them were read",
							   s->place.name, all, n)));
	keep_misfits(s);
	return n;
}

static void
take_change(void *arg, TupleTableSlot *slot, bool gone)
{
	Sealing *s = arg;
	bool is_null;

	if (gone)
		wt_gone_add(s->gone, DatumGetTimestampTz(slot_getattr(slot, s->time, &is_null)),
					hash_of(s, slot));
	else
		wt_row_store_put(s->late_rows, slot, wt_origin_of(slot));
}

/* Step 3, for what has come between the last moment and another one, which becomes the last. */
static void
catch_up_to(Sealing *s, const WtMoment *moment)
{
	WtMoment before = s->moment;

	s->moment = *moment;
	wt_changes_since(s->heap, &before, s->moment.snapshot, take_change, s);
	wt_moment_end(&before);
	if (wt_gone_sought(s->gone))
	{
		WtChunkScan *scan =
			wt_chunk_scan_create(s->foreign, s->chunks, s->moment.snapshot);
		WtRowHash *hash = wt_row_hash_create(RelationGetDescr(s->foreign),
											 RelationGetDescr(s->foreign));

		wt_gone_find(s->gone, scan, hash, s->late);
		wt_chunk_scan_destroy(scan);
	}
}

static void
refuse(Oid partition)
{
	const char *reason = wt_sealable_reason(partition);

	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" cannot be sealed: %s", get_rel_name(partition), reason)));
}

static void
catch_up(Sealing *s)
{
	WtMoment now;

	wt_moment_take(s->place.partition, &now);
	catch_up_to(s, &now);
}

/* The same while all go on, until as little is left as can be. */
static void
catch_up_ahead(Sealing *s)
{
	for (int i = 0; i < MAX_PASSES; i++)
	{
		TimestampTz begin;
		WtMoment now;

		if (!wt_moment_try(s->place.partition, &now))
			break;
		begin = GetCurrentTimestamp();
		catch_up_to(s, &now);
		if (!TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), SHORT_PASS))
			break;
	}
}

/* The foreign table takes the partition's place; all is locked, and all caught up with. */
static void
take_place(Sealing *s)
{
	WtChunkStore *store = wt_chunk_store_open(s->chunks, true);
	Oid foreign = RelationGetRelid(s->foreign);

	wt_gone_write(s->gone, store);
	wt_chunk_store_close(store);
	wt_moment_end(&s->moment);
	wt_row_store_close(s->late_rows);
	table_close(s->foreign, NoLock);
	table_close(s->heap, NoLock);
	/* What lets nobody wait for us may have been made meanwhile. */
	refuse(s->place.partition);
	wt_swap(&s->place, foreign);
	wt_own_indexes_name(s->indexes);
}

/*
 * Steps 3 and 4, in the way that nobody notices who does not write to the partition itself; false:
 * others are using what is to be locked.
 */
static bool
exchange_quietly(Sealing *s)
{
	Oid partition = s->place.partition;

	if (!wt_try_lock_gently(&partition, 1, ShareRowExclusiveLock, EXCHANGE_PATIENCE))
		return false;
	catch_up(s);
	if (!wt_swap_try_lock(&s->place, EXCHANGE_PATIENCE))
	{
		wt_unlock_gently(&partition, 1, ShareRowExclusiveLock);
		return false;
	}
	take_place(s);
	return true;
}

/*
 * The same where somebody writes to the partition all the time: he would hold the table while he
 * waits for the partition, and we the other way round.  So the table is locked first, when as
 * little as possible is left to catch up with.
 */
static bool
exchange_anyway(Sealing *s)
{
	catch_up(s);
	if (!wt_swap_try_lock(&s->place, EXCHANGE_PATIENCE))
		return false;
	catch_up(s);
	take_place(s);
	return true;
}

static void
exchange_patiently(Sealing *s)
{
	/* Or the commit would write all of it to disk while it holds its locks. */
	XLogFlush(XactLastRecEnd);
	/* Most of what has come meanwhile, before anybody is kept waiting for what is left. */
	catch_up_ahead(s);
	for (int tries = 0; !(tries < QUIET_TRIES ? exchange_quietly(s) : exchange_anyway(s));
		 tries++)
	{
		wt_swap_wait(&s->place, s->place.name, tries);
		give_way(s);
	}
}

/* Makes the tables that its rows are to be in. */
static void
prepare(Sealing *s)
{
	const WtPlace *place = &s->place;
	TupleDesc desc = RelationGetDescr(s->heap);

	s->chunks = wt_chunk_store_create(
		place->schema, wt_place_name_beside(place, WT_CHUNKS_SUFFIX), place->tablespace);
	s->late = wt_swap_make_late(place, NULL);
	s->indexes = wt_own_indexes_put_by(place->partition, s->late);
	s->foreign =
		table_open(wt_swap_make_foreign(place, NULL, s->chunks, s->late), NoLock);
	s->late_rows = wt_row_store_open(s->late, desc, true);
	s->hash = wt_row_hash_create(desc, RelationGetDescr(s->foreign));
	s->time = get_attnum(place->partition, "event_timestamp");
	s->row = AllocSetContextCreate(CurrentMemoryContext, "windtrap hashed row",
								   ALLOCSET_DEFAULT_SIZES);
	s->gone = wt_gone_create();
}

void
wt_seal(Oid partition, WtSealed *sealed)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap sealing", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Sealing *s = palloc0(sizeof(*s));
	Oid foreign;

	wt_scope_pin_texts();
	/* Against other sealings, and VACUUM; nobody else minds. */
	wt_lock_patiently(partition, ShareUpdateExclusiveLock);
	refuse(partition);
	wt_place_read(partition, &s->place);
	sealed->bytes_before = wt_partition_size(partition);
	wt_moment_take(partition, &s->moment);
	s->heap = table_open(partition, AccessShareLock);
	prepare(s);
	s->verifier = wt_verifier_create(s->foreign, s->chunks, s->moment.snapshot);
	wt_give_way_in_step(true);
	PG_TRY();
	{
		sealed->rows = write_chunks(s);
	}
	PG_FINALLY();
	{
		wt_give_way_in_step(false);
	}
	PG_END_TRY();
	wt_verifier_destroy(s->verifier);
	foreign = RelationGetRelid(s->foreign);
	/* Nothing can be altered that is open. */
	table_close(s->foreign, NoLock);
	wt_swap_note(foreign, sealed->rows, sealed->bytes_before);
	s->foreign = table_open(foreign, NoLock);
	exchange_patiently(s);
	sealed->bytes_after = wt_partition_size(foreign);
	wt_progress_end();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* windtrap.seal(partition regclass) RETURNS bigint */
Datum
windtrap_seal(PG_FUNCTION_ARGS)
{
	Oid partition = PG_GETARG_OID(0);
	WtSealed sealed = {0};
	WtScope scope;

	wt_scope_enter_owned(partition, &scope);
	wt_seal(partition, &sealed);
	wt_scope_leave(&scope);
	PG_RETURN_INT64(sealed.rows);
}
