/*
 * outbox.c
 *		windtrap.outbox: the batches of events that are still to be forwarded.
 *
 * The transaction that stores a batch also writes it to the outbox, events included, so
 * that a row that is deleted or changed in the log table is forwarded nevertheless.
 *
 * Batches are numbered, and a forwarder remembers how far it is by a number alone.  But
 * batches are not committed in the order of their numbers, and who goes by the largest
 * number in sight skips what is committed later with a smaller one.  So who inserts a batch
 * takes a lock, shared and until its transaction ends, before the number is drawn; and who
 * reads looks first which number was drawn last, then waits until all those have ended who
 * hold the lock at that moment.  Up to that number nothing is missing then.  (To go by the
 * oldest transaction that runs would not do: a report that runs for an hour would stop
 * forwarding for as long.)
 *
 * A batch's events are packed by zstd.  Packed are, for each event: when it was received and
 * its status, then its data as jsonb's binary form, filled up to a multiple of 8.
 */
#include "postgres.h"

#include <zstd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "store/outbox.h"
#include "base/settings.h"
#include "base/shared.h"
#include "base/sql.h"

PG_FUNCTION_INFO_V1(windtrap_number_batch);

/* How a batch begins: this form of it, as machines of this byte order write it. */
#define MAGIC 0x31425457

/* Of all the levels this costs the worker least, and repetition is found by any. */
#define COMPRESSION_LEVEL 1

/* A batch in memory may be so large; what says that it is larger is damaged. */
#define MAX_DECODED_SIZE ((uint64) 2 * 1024 * 1024 * 1024)

/* What a row takes beside its events, about, bytes. */
#define ROW_OVERHEAD 100

/* Batches deleted by one statement. */
#define MAX_DELETED 5000

/* What is dropped beyond what is needed: this part of the outbox, and so many batches at most. */
#define DROP_PART 64
#define MAX_DROPPED 2000

/* The log says that events are dropped, and how many, at most every so many ms. */
#define DROP_REPORT_INTERVAL 60000

typedef struct EventHeader
{
	int64 event_timestamp;
	int32 status;
	uint32 size; /* of the data that follows, with its varlena header */
} EventHeader;

static ZSTD_CCtx *compressor;
static ZSTD_DCtx *decompressor;
static SPIPlanPtr write_plan;

/* What this process's transaction has removed; counted when it is committed. */
static uint64 bytes_removed;
static uint64 events_dropped;

bool
wt_outbox_is_used(void)
{
	return wt_forward_targets()->n > 0;
}

static Oid
relation_oid(const char *name)
{
	return RangeVarGetRelid(makeRangeVar(pstrdup("windtrap"), pstrdup(name), -1), NoLock,
							false);
}

/* The trigger on windtrap.outbox. */
Datum
windtrap_number_batch(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	int column = 1;
	Datum id;
	bool is_null = false;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("windtrap.number_batch() is a trigger of windtrap.outbox "
							   "alone")));
	LockDatabaseObject(RelationRelationId, RelationGetRelid(trigger->tg_relation), 0,
					   ShareLock);
	id = Int64GetDatum(nextval_internal(relation_oid("outbox_id"), false));
	return PointerGetDatum(heap_modify_tuple_by_cols(
		trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation), 1, &column, &id,
		&is_null));
}

/*
 * Writing
 */

static void
compress_piece(ZSTD_outBuffer *out, const void *piece, size_t size, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {piece, size, 0};
	size_t left;

	do
	{
		left = ZSTD_compressStream2(compressor, out, &in, end);
		if (ZSTD_isError(left))
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY),
							errmsg("could not compress a batch for the outbox: %s",
								   ZSTD_getErrorName(left))));
	} while (in.pos < in.size || (end == ZSTD_e_end && left > 0));
}

static bool
is_stored(const WtRow *row)
{
	return row->result == WT_STORE_PENDING || row->result == WT_STORE_COMMITTED ||
		   row->result == WT_STORE_QUARANTINED;
}

/* Gives the rows, without those that are not stored, as windtrap.outbox.events has them. */
static bytea *
pack(WtRow *const *rows, int n_rows)
{
	static const char filling[8] = {0};
	const uint32 magic = MAGIC;
	size_t size = 0;
	bytea *packed;
	ZSTD_outBuffer out = {0};

	for (int i = 0; i < n_rows; i++)
		if (is_stored(rows[i]))
			size += sizeof(EventHeader) + TYPEALIGN(8, VARSIZE(rows[i]->data));
	if (!compressor)
		compressor = ZSTD_createCCtx();
	if (!compressor ||
		ZSTD_isError(ZSTD_CCtx_reset(compressor, ZSTD_reset_session_and_parameters)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel,
											COMPRESSION_LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1)) ||
		ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(compressor, size)))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));

	out.size = ZSTD_compressBound(size);
	packed =
		MemoryContextAllocHuge(CurrentMemoryContext, VARHDRSZ + sizeof(magic) + out.size);
	memcpy(VARDATA(packed), &magic, sizeof(magic));
	out.dst = VARDATA(packed) + sizeof(magic);
	for (int i = 0; i < n_rows; i++)
	{
		const WtRow *row = rows[i];
		EventHeader header;

		if (!is_stored(row))
			continue;
		header.event_timestamp = row->event_timestamp;
		header.status = row->status;
		header.size = VARSIZE(row->data);
		compress_piece(&out, &header, sizeof(header), ZSTD_e_continue);
		compress_piece(&out, row->data, header.size, ZSTD_e_continue);
		compress_piece(&out, filling, TYPEALIGN(8, header.size) - header.size,
					   ZSTD_e_continue);
	}
	compress_piece(&out, NULL, 0, ZSTD_e_end);
	if (out.pos > MaxAllocSize - 1024)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a batch is too large for the outbox")));
	SET_VARSIZE(packed, VARHDRSZ + sizeof(magic) + out.pos);
	return packed;
}

void
wt_outbox_write(WtRow *const *rows, int n_rows)
{
	MemoryContext old = CurrentMemoryContext;
	bytea *packed;
	Datum values[3];
	int n = 0;
	int rc;

	for (int i = 0; i < n_rows; i++)
		n += is_stored(rows[i]);
	if (n == 0)
		return;
	packed = pack(rows, n_rows);
	SPI_connect();
	if (!write_plan)
	{
		Oid types[3] = {INT4OID, INT4OID, BYTEAOID};

		write_plan = SPI_prepare("INSERT INTO windtrap.outbox (n_events, bytes, events) "
								 "VALUES ($1, $2, $3)",
								 3, types);
		if (!write_plan)
			elog(ERROR, "could not prepare the insertion into the outbox: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(write_plan);
	}
	values[0] = Int32GetDatum(n);
	values[1] = Int32GetDatum((int32) VARSIZE(packed));
	values[2] = PointerGetDatum(packed);
	rc = SPI_execute_plan(write_plan, values, NULL, false, 0);
	if (rc < 0)
		elog(ERROR, "could not insert into the outbox: %s", SPI_result_code_string(rc));
	SPI_finish();
	MemoryContextSwitchTo(old);

	/* Before the commit: to count an event too many for a while is better than one too few. */
	pg_atomic_fetch_add_u64(&wt_shared->outbox.events_written, (uint64) n);
	pg_atomic_fetch_add_u64(&wt_shared->outbox.bytes_written,
							VARSIZE(packed) + ROW_OVERHEAD);
	pfree(packed);
}

/* Says how much has been dropped, now and then. */
static void
report_dropped(void)
{
	static TimestampTz reported = 0;
	static uint64 not_reported = 0;
	TimestampTz now = GetCurrentTimestamp();

	not_reported += events_dropped;
	if (not_reported == 0 ||
		!TimestampDifferenceExceeds(reported, now, DROP_REPORT_INTERVAL))
		return;
	ereport(LOG, (errmsg("windtrap: the outbox is full: dropped its oldest " UINT64_FORMAT
						 " events, which not all of windtrap.forward_to have got",
						 not_reported)));
	reported = now;
	not_reported = 0;
}

void
wt_outbox_committed(void)
{
	pg_atomic_fetch_add_u64(&wt_shared->outbox.bytes_removed, bytes_removed);
	pg_atomic_fetch_add_u64(&wt_shared->outbox.events_dropped, events_dropped);
	report_dropped();
	bytes_removed = events_dropped = 0;

	pg_memory_barrier();
	for (int i = 0; i < WT_MAX_TARGETS; i++)
	{
		WtForwarderStatus *f = &wt_shared->forwarders[i];

		if (!f->wants_wake)
			continue;
		f->wants_wake = false;
		wt_wake(f->pid);
	}
}

/*
 * Its size
 */

void
wt_outbox_measure(void)
{
	WtOutboxStatus *outbox = &wt_shared->outbox;
	uint64 written = pg_atomic_read_u64(&outbox->bytes_written);
	uint64 removed = pg_atomic_read_u64(&outbox->bytes_removed);
	int64 bytes;

	wt_sql_run(
		psprintf("SELECT pg_catalog.sum(bytes::pg_catalog.int8 + %d)::pg_catalog.int8 "
				 "FROM windtrap.outbox",
				 ROW_OVERHEAD),
		0, NULL, NULL, NULL);
	bytes = wt_sql_int64(0, 1);
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	outbox->measured = true;
	outbox->measured_bytes = bytes;
	outbox->measured_at_written = written;
	outbox->measured_at_removed = removed;
	LWLockRelease(&wt_shared->lock);
}

int64
wt_outbox_size(void)
{
	WtOutboxStatus *outbox = &wt_shared->outbox;
	int64 size = -1;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	if (outbox->measured)
	{
		size = outbox->measured_bytes +
			   (int64) (pg_atomic_read_u64(&outbox->bytes_written) -
						outbox->measured_at_written) -
			   (int64) (pg_atomic_read_u64(&outbox->bytes_removed) -
						outbox->measured_at_removed);
		size = Max(size, 0);
	}
	LWLockRelease(&wt_shared->lock);
	return size;
}

/* Deletes the oldest batches, so many bytes of them. */
static void
drop_oldest(int64 bytes)
{
	Oid types[2] = {INT8OID, INT4OID};
	Datum values[2];

	values[0] = Int64GetDatum(bytes);
	values[1] = Int32GetDatum(MAX_DROPPED);
	/* Another worker may be dropping, and a forwarder deleting, the same ones. */
	wt_sql_run(
		psprintf(
			"WITH oldest AS MATERIALIZED ("
			"SELECT id, bytes FROM windtrap.outbox ORDER BY id LIMIT $2 "
			"FOR UPDATE SKIP LOCKED), "
			"dropped AS (DELETE FROM windtrap.outbox WHERE id IN ("
			"SELECT id FROM (SELECT id, pg_catalog.sum(bytes + %d) OVER (ORDER BY id) - "
			"bytes AS before FROM oldest) AS o WHERE before OPERATOR(pg_catalog.<=) $1) "
			"RETURNING n_events, bytes) "
			"SELECT pg_catalog.sum(n_events)::pg_catalog.int8, "
			"pg_catalog.sum(bytes::pg_catalog.int8 + %d)::pg_catalog.int8 FROM dropped",
			ROW_OVERHEAD, ROW_OVERHEAD),
		2, types, values, NULL);
	events_dropped = (uint64) wt_sql_int64(0, 1);
	bytes_removed = (uint64) wt_sql_int64(0, 2);
}

void
wt_outbox_make_room(void)
{
	int64 max = (int64) wt_outbox_max_size * 1024 * 1024;
	int64 size = wt_outbox_size();

	bytes_removed = events_dropped = 0;
	if (size < 0)
	{
		SPI_connect();
		wt_outbox_measure();
		SPI_finish();
		size = wt_outbox_size();
	}
	if (max == 0 || size < max)
		return;
	if (wt_outbox_full == WT_OUTBOX_REFUSE)
		ereport(
			ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("the outbox is full, because a target of windtrap.forward_to does "
					"not take its events: it holds windtrap.outbox_max_size, %d MB",
					wt_outbox_max_size)));
	SPI_connect();
	drop_oldest(size - max + max / DROP_PART);
	SPI_finish();
}

/*
 * Reading
 */

int64
wt_outbox_complete(void)
{
	int64 last;
	LOCKTAG tag;

	wt_sql_run("SELECT last_value FROM windtrap.outbox_id", 0, NULL, NULL, NULL);
	last = wt_sql_int64(0, 1);
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, relation_oid("outbox"), 0);
	WaitForLockers(tag, ExclusiveLock, false);
	return last;
}

static void
raise_damaged(int64 id)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("batch " INT64_FORMAT " of windtrap.outbox cannot be read: it is "
					"damaged, or was written by another machine or version",
					id)));
}

size_t
wt_outbox_decoded_size(const bytea *events)
{
	uint32 magic;
	unsigned long long size;

	if (VARSIZE_ANY_EXHDR(events) < sizeof(magic))
		return 0;
	memcpy(&magic, VARDATA_ANY(events), sizeof(magic));
	size = ZSTD_getFrameContentSize(VARDATA_ANY(events) + sizeof(magic),
									VARSIZE_ANY_EXHDR(events) - sizeof(magic));
	return magic == MAGIC && size <= MAX_DECODED_SIZE ? (size_t) size : 0;
}

int
wt_outbox_decode(int64 id, const bytea *events, WtOutboxEvent **decoded)
{
	size_t size = wt_outbox_decoded_size(events);
	size_t left = size;
	size_t got;
	char *p;
	int n = 0;
	int max = 16;

	if (size == 0)
		raise_damaged(id);
	if (!decompressor && !(decompressor = ZSTD_createDCtx()))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	p = MemoryContextAllocHuge(CurrentMemoryContext, size);
	got = ZSTD_decompressDCtx(decompressor, p, size, VARDATA_ANY(events) + sizeof(uint32),
							  VARSIZE_ANY_EXHDR(events) - sizeof(uint32));
	if (ZSTD_isError(got) || got != size)
		raise_damaged(id);

	*decoded = palloc(sizeof(WtOutboxEvent) * (Size) max);
	while (left > 0)
	{
		EventHeader header;
		WtOutboxEvent *event;
		size_t filled;

		if (left < sizeof(header))
			raise_damaged(id);
		memcpy(&header, p, sizeof(header));
		filled = TYPEALIGN(8, (size_t) header.size);
		if (header.size < VARHDRSZ + sizeof(JsonbContainer) ||
			filled > left - sizeof(header) || VARSIZE(p + sizeof(header)) != header.size)
			raise_damaged(id);
		if (n == max)
		{
			max *= 2;
			*decoded = repalloc_huge(*decoded, sizeof(WtOutboxEvent) * (Size) max);
		}
		event = &(*decoded)[n++];
		event->event_timestamp = header.event_timestamp;
		event->status = header.status;
		event->data = (Jsonb *) (p + sizeof(header));
		p += sizeof(header) + filled;
		left -= sizeof(header) + filled;
	}
	return n;
}

/*
 * Trimming
 */

bool
wt_outbox_trim(int64 *deleted)
{
	Oid types[3] = {TEXTARRAYOID, INT8OID, INT4OID};
	char copies[WT_MAX_TARGETS][WT_TARGET_SIZE];
	Datum names[WT_MAX_TARGETS];
	Datum values[3];
	int n = 0;

	/*
	 * The places, and not the setting: this process may not have read yet that a target has
	 * been added to it, which then would not get what is deleted here.
	 */
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < WT_MAX_TARGETS; i++)
		if (wt_shared->forwarders[i].target[0] != '\0')
			strlcpy(copies[n++], wt_shared->forwarders[i].target, WT_TARGET_SIZE);
	LWLockRelease(&wt_shared->lock);
	for (int i = 0; i < n; i++)
		names[i] = CStringGetTextDatum(copies[i]);
	values[0] = PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, 'i'));
	values[1] = Int64GetDatum(*deleted);
	values[2] = Int32GetDatum(MAX_DELETED);
	wt_sql_run(
		psprintf("WITH passed AS MATERIALIZED ("
				 "SELECT pg_catalog.min(coalesce(p.id - (p.part IS NOT "
				 "NULL)::pg_catalog.int4, 0))"
				 " AS id FROM pg_catalog.unnest($1) AS t (name) "
				 "LEFT JOIN windtrap.outbox_position AS p ON p.target = t.name), "
				 "gone AS (DELETE FROM windtrap.outbox WHERE id IN ("
				 "SELECT id FROM windtrap.outbox WHERE id > $2 AND id <= (SELECT id FROM "
				 "passed) "
				 "ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING id, bytes) "
				 "SELECT pg_catalog.count(*), pg_catalog.max(id), "
				 "pg_catalog.sum(bytes::pg_catalog.int8 + %d)::pg_catalog.int8 FROM gone",
				 ROW_OVERHEAD),
		3, types, values, NULL);
	bytes_removed = (uint64) wt_sql_int64(0, 3);
	if (wt_sql_int64(0, 1) == 0)
		return false;
	*deleted = wt_sql_int64(0, 2);
	return wt_sql_int64(0, 1) == MAX_DELETED;
}

void
wt_outbox_trimmed(void)
{
	pg_atomic_fetch_add_u64(&wt_shared->outbox.bytes_removed, bytes_removed);
	bytes_removed = 0;
}
