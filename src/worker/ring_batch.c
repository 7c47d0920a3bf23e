/*
 * ring_batch.c
 *		The ring → rows: stores what the server's own processes have put there.
 *
 * A record leaves the ring when its batch is committed.  Where a worker ends between the two the next
 * one stores it again, with the same id if it was emitted.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "worker/batch.h"
#include "worker/ring_batch.h"
#include "worker/ring_event.h"
#include "base/monotonic.h"
#include "base/patience.h"
#include "base/shared.h"
#include "output/stdout.h"
#include "ring/ring.h"
#include "store/store.h"

/* One batch: rows, and bytes of their data. */
#define MAX_ROWS 2000
#define MAX_BYTES (1024 * 1024)

/* What storing a batch may take, ms: who sends by HTTP waits for as long. */
#define MAX_TIMEOUT WT_PATIENCE(2000)

/* Before it is tried again what could not be stored, ms: the first pause and the longest. */
#define FIRST_PAUSE 250
#define LAST_PAUSE 4000

/* Looking whether events are taken again, ms. */
#define POLL 1000

/* What the parser keeps between batches, bytes. */
#define KEPT_MEMORY (64 * 1024)

static bool reading;
static MemoryContext batch_context;
static WtJson json;
static int64 not_before; /* of the next try, by wt_monotonic_ms */
static long back_off;	 /* the last one, ms; 0: the last batch was stored */

void
wt_ring_batch_begin(void)
{
	MemoryContext context = CurrentMemoryContext;

	batch_context = AllocSetContextCreate(TopMemoryContext, "windtrap ring batch",
										  ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		StartTransactionCommand();
		wt_ring_attach();
		CommitTransactionCommand();
		wt_ring_read_begin();
		reading = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

static void
try_again_later(void)
{
	back_off = back_off == 0 ? FIRST_PAUSE : Min(back_off * 2, LAST_PAUSE);
	not_before = wt_monotonic_ms() + back_off;
}

/* One that was emitted in a database that is not served any more is not this one's to see. */
static bool
is_of_elsewhere(const WtRingRecord *record)
{
	return record->head.kind == WT_RING_EMIT && record->head.database != MyDatabaseId;
}

/* Makes events of what is in the ring; gives how many. */
static int
take_records(WtRow **rows)
{
	WtRingRecord *record;
	uint64 cursor = 0;
	size_t bytes = 0;
	int n = 0;

	while (n < MAX_ROWS && bytes < MAX_BYTES && (record = wt_ring_next(&cursor)) != NULL)
	{
		WtRingEvent *event;

		if (is_of_elsewhere(record))
		{
			ereport(LOG, (errmsg("windtrap: dropped event %s, which was emitted in a "
								 "database that is not served any more",
								 record->head.id)));
			wt_ring_done(record, WT_RING_REFUSED);
			continue;
		}
		event = wt_ring_event(record, &json);
		bytes += VARSIZE(event->row.data);
		rows[n++] = &event->row;
	}
	return n;
}

/* What became of a row; false: it is to be tried again. */
static bool
settle(const WtRow *row)
{
	const WtRingEvent *event = (const WtRingEvent *) row;
	WtCounters *counters = wt_my_counters();

	switch (row->result)
	{
		case WT_STORE_COMMITTED:
		case WT_STORE_DUPLICATE:
			if (event->quarantined)
				counters->events_quarantined++;
			else
				counters->events_accepted++;
			wt_ring_done(event->record,
						 event->quarantined ? WT_RING_QUARANTINED : WT_RING_COMMITTED);
			return true;
		case WT_STORE_QUARANTINED:
			counters->events_quarantined++;
			wt_ring_done(event->record, WT_RING_QUARANTINED);
			return true;
		case WT_STORE_REFUSED:
		case WT_STORE_CONFLICT:
			ereport(LOG, (errmsg("windtrap: dropped an event of the ring, which the log "
								 "table refuses: %s",
								 row->error ? row->error : "it does not say why")));
			wt_ring_done(event->record, WT_RING_REFUSED);
			return true;
		case WT_STORE_PENDING:
		case WT_STORE_UNAVAILABLE:
		case WT_STORE_CANCELLED:
			break;
	}
	return false;
}

static void
store_batch(const WtSenders *senders, int timeout)
{
	WtStoreCallbacks callbacks = {.quarantine = wt_ring_event_quarantine,
								  .breathe = wt_batch_attend,
								  .arg = (void *) senders};
	WtRow **rows = palloc(sizeof(WtRow *) * MAX_ROWS);
	int n = take_records(rows);
	bool all = true;

	if (n > 0)
	{
		wt_store_rows(rows, n, &callbacks, Min(timeout, MAX_TIMEOUT));
		wt_batch_report(wt_store_failure());
		wt_stdout_write(rows, n);
	}
	for (int i = 0; i < n; i++)
		all = settle(rows[i]) && all;
	wt_ring_release();
	if (all)
		back_off = 0;
	else
		try_again_later();
}

bool
wt_ring_batch_process(const WtSenders *senders, const char *unavailable, int timeout)
{
	MemoryContext old;

	if (!reading || !wt_ring_has_records())
		return false;
	if (unavailable)
	{
		not_before = wt_monotonic_ms() + POLL;
		return false;
	}
	if (back_off > 0 && wt_monotonic_ms() < not_before)
		return false;
	not_before = 0;
	old = MemoryContextSwitchTo(batch_context);
	PG_TRY();
	{
		store_batch(senders, timeout);
	}
	PG_CATCH();
	{
		/* Memory ran out, most likely: nothing has left the ring that is not stored. */
		MemoryContextSwitchTo(batch_context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		try_again_later();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch_context);
	wt_json_shrink(&json, KEPT_MEMORY);
	return true;
}

long
wt_ring_batch_timeout(void)
{
	if (!reading || !wt_ring_has_records())
		return -1;
	return (long) Max(not_before - wt_monotonic_ms(), 0);
}

void
wt_ring_batch_finish(const WtSenders *senders, const char *unavailable, int ms)
{
	int64 until = wt_monotonic_ms() + ms;

	back_off = 0;
	while (wt_monotonic_ms() < until && back_off == 0 &&
		   wt_ring_batch_process(senders, unavailable,
								 (int) Max(until - wt_monotonic_ms(), 100)))
		;
}
