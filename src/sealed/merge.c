/*
 * merge.c
 *		Sealed partitions of parts of a day become one.
 *
 * Their chunks are copied as they are: their numbers follow one another, see packer.h.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "sealed/changes.h"
#include "sealed/chunk_store.h"
#include "sealed/gone.h"
#include "sealed/late_columns.h"
#include "sealed/likeness.h"
#include "sealed/links.h"
#include "sealed/merge.h"
#include "sealed/own_indexes.h"
#include "sealed/progress.h"
#include "sealed/row_hash.h"
#include "sealed/row_store.h"
#include "sealed/stored_union.h"
#include "sealed/swap.h"
#include "store/lock_gently.h"
#include "store/log_table.h"
#include "store/scope.h"

#define EXCHANGE_PATIENCE 150

/* One of those that are merged. */
typedef struct Part
{
	Oid partition;
	bool is_sealed;
	WtLinks links;
	Relation chunks;
	Relation late;
	WtMoment chunks_moment;
	WtMoment late_moment;
} Part;

typedef struct Merging
{
	WtPlace place; /* of the first one that is sealed */
	int n;
	Part *parts;
	WtStoredUnion stored;
	Oid chunks;
	Oid late;
	Oid foreign;
	List *indexes;	   /* of the parts' own, see own_indexes.h */
	TupleDesc columns; /* of that, as they are stored */
	WtGone *gone;
	MemoryContext row;

	/* While changes are taken. */
	const Part *part;
	WtRowHash *hash;
	WtChunkStore *store;
	WtRowStore *late_rows;
	int32 last; /* the largest number of a chunk of those before */
	int32 largest;
} Merging;

static void
put_part(Merging *m, WtChunkStore *store, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(m->row);
	int32 chunk;
	bytea *body;

	slot_getallattrs(slot);
	chunk = DatumGetInt32(slot->tts_values[0]);
	if (chunk <= m->last)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("chunks of %s cannot be put behind those before it",
						wt_scope_name(m->part->partition)),
				 errhint("windtrap.unseal() and windtrap.seal() number them anew.")));
	if (slot->tts_isnull[2])
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("chunk %d of \"%s\" is damaged: a part is NULL", chunk,
							   RelationGetRelationName(m->part->chunks))));
	m->largest = Max(m->largest, chunk);
	body = DatumGetByteaPP(slot->tts_values[2]);
	wt_chunk_store_put(store, chunk, DatumGetInt32(slot->tts_values[1]),
					   VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	MemoryContextSwitchTo(old);
	MemoryContextReset(m->row);
}

/* Late rows of a part, without what is no column any more. */
static TupleDesc
late_columns(const Merging *m, const Part *part)
{
	TupleDesc columns = CreateTupleDescCopy(RelationGetDescr(part->late));

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!AttributeNumberIsValid(
				wt_column_named(m->columns, NameStr(column->attname))))
			namestrcpy(&column->attname, "");
	}
	return columns;
}

static void
copy_part(Merging *m, Part *part)
{
	WtChunkStore *store = wt_chunk_store_open(m->chunks, true);
	TupleTableSlot *slot = table_slot_create(part->chunks, NULL);
	TableScanDesc scan =
		table_beginscan(part->chunks, part->chunks_moment.snapshot, 0, NULL);

	m->part = part;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		put_part(m, store, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	wt_chunk_store_close(store);

	wt_row_store_copy(m->late, part->late, late_columns(m, part),
					  part->late_moment.snapshot);
}

static void
delete_part(void *arg, TupleTableSlot *slot, bool gone)
{
	Merging *m = arg;
	bool is_null;

	if (gone)
		wt_chunk_store_delete_part(m->store,
								   DatumGetInt32(slot_getattr(slot, 1, &is_null)),
								   DatumGetInt32(slot_getattr(slot, 2, &is_null)));
}

static void
take_part(void *arg, TupleTableSlot *slot, bool gone)
{
	Merging *m = arg;

	if (!gone)
		put_part(m, m->store, slot);
}

static void
take_late(void *arg, TupleTableSlot *slot, bool gone)
{
	Merging *m = arg;
	MemoryContext old;
	bool is_null;
	AttrNumber time = get_attnum(m->part->links.late, WT_STORED_TIME);

	if (!gone)
	{
		wt_row_store_put(m->late_rows, slot, wt_origin_of(slot));
		return;
	}
	old = MemoryContextSwitchTo(m->row);
	slot_getallattrs(slot);
	wt_gone_add(m->gone, DatumGetTimestampTz(slot_getattr(slot, time, &is_null)),
				wt_row_hash(m->hash, slot->tts_values, slot->tts_isnull));
	MemoryContextSwitchTo(old);
	MemoryContextReset(m->row);
}

/*
 * What has become of a partition's tables between the last moments and others, which become the
 * last.  All fits together only when nobody has written to it between the two of them.
 */
static void
catch_up_to(Merging *m, Part *part, const WtMoment *chunks_moment,
			const WtMoment *late_moment)
{
	WtMoment chunks_before = part->chunks_moment;
	WtMoment late_before = part->late_moment;

	m->part = part;
	part->chunks_moment = *chunks_moment;
	part->late_moment = *late_moment;
	/* Not frozen: who has an older snapshot goes on with what was copied first. */
	m->store = wt_chunk_store_open(m->chunks, false);
	/* Before its new one is there: that may be on an earlier page than the old one. */
	wt_changes_since(part->chunks, &chunks_before, part->chunks_moment.snapshot,
					 delete_part, m);
	wt_changes_since(part->chunks, &chunks_before, part->chunks_moment.snapshot,
					 take_part, m);
	wt_chunk_store_close(m->store);
	m->late_rows = wt_row_store_open(m->late, late_columns(m, part), true);
	m->hash = wt_row_hash_create(RelationGetDescr(part->late), m->columns);
	wt_changes_since(part->late, &late_before, part->late_moment.snapshot, take_late, m);
	wt_row_store_close(m->late_rows);
	wt_gone_delete(m->gone, m->late, m->columns);
	wt_moment_end(&chunks_before);
	wt_moment_end(&late_before);
}

/* Takes a moment of each; may_fail: false where there is none soon. */
static bool
take_moments(const Part *part, bool may_fail, WtMoment *chunks, WtMoment *late)
{
	if (!may_fail)
	{
		wt_moment_take(part->links.chunks, chunks);
		wt_moment_take(part->links.late, late);
		return true;
	}
	if (!wt_moment_try(part->links.chunks, chunks))
		return false;
	if (wt_moment_try(part->links.late, late))
		return true;
	wt_moment_end(chunks);
	return false;
}

/* may_skip: those that are being written to are left for the next time. */
static void
catch_up(Merging *m, bool may_skip)
{
	m->last = m->largest = PG_INT32_MIN;
	for (int i = 0; i < m->n; i++)
	{
		Part *part = &m->parts[i];
		WtMoment chunks;
		WtMoment late;

		if (part->is_sealed && take_moments(part, may_skip, &chunks, &late))
			catch_up_to(m, part, &chunks, &late);
	}
}

/* Locks the partitions and their tables so that nobody writes to them. */
static bool
lock_writers_out(Merging *m, Oid *locks, int *n_locks)
{
	*n_locks = 0;
	for (int i = 0; i < m->n; i++)
	{
		locks[(*n_locks)++] = m->parts[i].partition;
		if (m->parts[i].is_sealed)
		{
			locks[(*n_locks)++] = m->parts[i].links.chunks;
			locks[(*n_locks)++] = m->parts[i].links.late;
		}
	}
	return wt_try_lock_gently(locks, *n_locks, ShareRowExclusiveLock, EXCHANGE_PATIENCE);
}

/* The exchange's own locks: the table first, then its partitions, and the default one. */
static bool
lock_all(const Merging *m)
{
	Oid *locks = palloc(sizeof(Oid) * (size_t) (m->n + 2));
	int n = 0;
	bool locked;

	locks[n++] = m->place.parent;
	for (int i = 0; i < m->n; i++)
		locks[n++] = m->parts[i].partition;
	if (OidIsValid(m->place.default_partition))
		locks[n++] = m->place.default_partition;
	locked = wt_try_lock_gently(locks, n, AccessExclusiveLock, EXCHANGE_PATIENCE);
	if (locked)
		wt_swap_check_default(&m->place);
	pfree(locks);
	return locked;
}

static void
refuse_filled(const Part *part)
{
	wt_scope_run(psprintf("SELECT EXISTS (SELECT FROM %s)::int::bigint",
						  wt_scope_name(part->partition)),
				 0, NULL, NULL);
	if (wt_scope_int64(0, 1) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("events have come into %s meanwhile",
							   wt_scope_name(part->partition))));
}

static bool
exchange(Merging *m, const char *name, TimestampTz from, TimestampTz to)
{
	Oid *locks = palloc(sizeof(Oid) * (size_t) (3 * m->n));
	int n_locks;

	if (!lock_writers_out(m, locks, &n_locks))
		return false;
	catch_up(m, false);
	if (!lock_all(m))
	{
		wt_unlock_gently(locks, n_locks, ShareRowExclusiveLock);
		return false;
	}
	for (int i = 0; i < m->n; i++)
	{
		Part *part = &m->parts[i];

		if (!part->is_sealed)
		{
			refuse_filled(part);
			continue;
		}
		wt_moment_end(&part->late_moment);
		wt_moment_end(&part->chunks_moment);
		table_close(part->late, NoLock);
		table_close(part->chunks, NoLock);
	}
	wt_likeness_copy_privileges(m->place.partition, m->foreign);
	for (int i = 0; i < m->n; i++)
		wt_scope_run(psprintf("DROP %sTABLE %s", m->parts[i].is_sealed ? "FOREIGN " : "",
							  wt_scope_name(m->parts[i].partition)),
					 0, NULL, NULL);
	wt_scope_run(psprintf("ALTER FOREIGN TABLE %s RENAME TO %s",
						  wt_scope_name(m->foreign), quote_identifier(name)),
				 0, NULL, NULL);
	wt_own_indexes_name(m->indexes);
	wt_scope_run(
		psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
				 wt_scope_name(m->place.parent), wt_scope_name(m->foreign),
				 wt_bound(from), wt_bound(to)),
		0, NULL, NULL);
	pfree(locks);
	return true;
}

/* The tables of a partition, if it is sealed. */
static void
find_part(Part *part, Oid partition)
{
	part->partition = partition;
	part->is_sealed = wt_is_sealed(part->partition);
	if (part->is_sealed)
		wt_links_read(part->partition, &part->links);
}

/* Finds the names under which the columns of all of them are stored. */
static const char *
unite(const Part *parts, int n, WtStoredUnion *stored)
{
	WtLinks *links = palloc(sizeof(WtLinks) * (size_t) n);
	int n_sealed = 0;

	for (int i = 0; i < n; i++)
		if (parts[i].is_sealed)
			links[n_sealed++] = parts[i].links;
	return wt_stored_unite(links, n_sealed, stored);
}

static void
unite_parts(Merging *m, const char *name)
{
	const char *reason = unite(m->parts, m->n, &m->stored);

	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partitions cannot be merged into \"%s\": %s", name, reason)));
}

static void
open_part(Part *part, const WtStoredNames *names)
{
	Relation foreign;

	/* Or they would stay when it goes. */
	if (!part->links.recorded)
		wt_links_record(&part->links);
	wt_lock_patiently(part->links.chunks, ShareUpdateExclusiveLock);
	wt_lock_patiently(part->links.late, ShareUpdateExclusiveLock);
	foreign = table_open(part->partition, AccessShareLock);
	wt_late_columns_adopt(foreign, part->links.late, names);
	table_close(foreign, NoLock);
	part->chunks = table_open(part->links.chunks, AccessShareLock);
	part->late = table_open(part->links.late, AccessShareLock);
	wt_moment_take(part->links.chunks, &part->chunks_moment);
	wt_moment_take(part->links.late, &part->late_moment);
}

/* The tables that all rows are to be in; they are called after the new partition. */
static void
make_tables(Merging *m, const char *name)
{
	WtPlace place = m->place;
	Relation foreign;

	place.name = pstrdup(name);
	m->chunks = wt_chunk_store_create(
		place.schema, wt_place_name_beside(&place, WT_CHUNKS_SUFFIX), place.tablespace);
	m->late = wt_swap_make_late(&place, m->stored.late);
	m->foreign = wt_swap_make_foreign(&place, &m->stored.names, m->chunks, m->late);
	for (int i = 0; i < m->n; i++)
	{
		if (!m->parts[i].is_sealed)
			continue;
		wt_swap_copy_missing(m->parts[i].partition, m->foreign);
		m->indexes =
			list_concat(m->indexes, wt_own_indexes_copy(m->parts[i].links.late, m->late));
	}
	foreign = table_open(m->foreign, AccessShareLock);
	m->columns = wt_stored_columns(foreign);
	table_close(foreign, NoLock);
}

/* What was noted of all of them. */
static void
note(const Merging *m)
{
	int64 rows = 0;
	int64 heap_bytes = 0;

	for (int i = 0; i < m->n; i++)
	{
		Oid types[] = {OIDOID};
		Datum values[] = {ObjectIdGetDatum(m->parts[i].partition)};

		wt_scope_run(
			"SELECT sum(option_value::bigint) FILTER (WHERE option_name = 'rows')"
			"::bigint, sum(option_value::bigint) FILTER (WHERE option_name = "
			"'heap_bytes')::bigint FROM pg_foreign_table, "
			"pg_options_to_table(ftoptions) WHERE ftrelid = $1 "
			"AND option_name IN ('rows', 'heap_bytes')",
			1, types, values);
		rows += wt_scope_int64(0, 1);
		heap_bytes += wt_scope_int64(0, 2);
	}
	wt_swap_note(m->foreign, rows, heap_bytes);
}

const char *
wt_merge_refuses(const Oid *partitions, int n)
{
	Part *parts = palloc0(sizeof(Part) * (size_t) n);
	WtStoredUnion stored;

	for (int i = 0; i < n; i++)
		find_part(&parts[i], partitions[i]);
	return unite(parts, n, &stored);
}

void
wt_merge(const Oid *partitions, int n, const char *name, TimestampTz from, TimestampTz to)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap merging", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Merging *m = palloc0(sizeof(*m));

	m->n = n;
	m->parts = palloc0(sizeof(Part) * (size_t) n);
	m->row =
		AllocSetContextCreate(context, "windtrap merged part", ALLOCSET_DEFAULT_SIZES);
	m->gone = wt_gone_create();
	for (int i = 0; i < n; i++)
	{
		/* Nobody else seals or merges it from now on. */
		wt_lock_patiently(partitions[i], ShareUpdateExclusiveLock);
		find_part(&m->parts[i], partitions[i]);
	}
	unite_parts(m, name);
	for (int i = 0; i < n; i++)
	{
		if (m->parts[i].is_sealed)
			open_part(&m->parts[i], &m->stored.names);
		if (m->parts[i].is_sealed && !OidIsValid(m->place.partition))
		{
			wt_place_read(partitions[i], &m->place);
			m->place.tablespace = get_rel_tablespace(m->parts[i].links.chunks);
		}
	}
	/* Again: somebody may have written to one of them before it was given these names. */
	unite_parts(m, name);
	make_tables(m, name);
	m->last = m->largest = PG_INT32_MIN;
	for (int i = 0; i < n; i++)
	{
		wt_progress("merging", name, i, n);
		if (m->parts[i].is_sealed)
			copy_part(m, &m->parts[i]);
		m->last = m->largest;
	}
	note(m);
	XLogFlush(XactLastRecEnd);
	/* What has come while all was copied, before anybody is kept waiting for what is left. */
	catch_up(m, true);
	for (int tries = 0; !exchange(m, name, from, to); tries++)
		wt_swap_wait(&m->place, NULL, tries);
	wt_progress_end();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
