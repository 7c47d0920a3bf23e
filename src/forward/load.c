/*
 * load.c
 *		What goes to a target together: read from the outbox or from the dead letters, and noted
 *		as gone.
 *
 * A load is read in a transaction of its own, so that no snapshot is held while a target
 * hangs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/sql.h"
#include "forward/forward_status.h"
#include "forward/load.h"

/* Dead letters of one load. */
#define MAX_LETTERS 500

/* How often an event is tried before it is left alone. */
#define MAX_TRIES 3

/* Counting what the outbox holds, ms. */
#define MEASURE_INTERVAL 60000

static bool lag_is_known;

/*
 * Reading
 */

static void
add_event(WtLoad *load, const WtOutboxEvent *event)
{
	if (load->n == load->max)
	{
		load->max = load->max ? load->max * 2 : 256;
		load->events =
			load->events
				? repalloc_huge(load->events, sizeof(WtLoadEvent) * (Size) load->max)
				: palloc(sizeof(WtLoadEvent) * (Size) load->max);
	}
	memset(&load->events[load->n], 0, sizeof(WtLoadEvent));
	load->events[load->n++].event = *event;
	load->bytes += VARSIZE(event->data);
}

/* Looks how many events are dead for good. */
static void
count_dead(WtForwarderStatus *me)
{
	Oid type = TEXTOID;
	Datum target = CStringGetTextDatum(me->target);

	wt_sql_run("SELECT count(*) FROM windtrap.dead_letter "
			   "WHERE target = $1 AND next_try IS NULL",
			   1, &type, &target, NULL);
	me->dead = (uint64) wt_sql_int64(0, 1);
}

/* Reads the position, making it where there is none: at the beginning of the outbox. */
static void
read_position(WtForwarderStatus *me, int64 *id, int32 *part)
{
	Oid type = TEXTOID;
	Datum target = CStringGetTextDatum(me->target);

	*id = 0;
	*part = -1;
	if (wt_sql_run("SELECT id, coalesce(part, -1)::int8, delivered "
				   "FROM windtrap.outbox_position WHERE target = $1",
				   1, &type, &target, NULL) > 0)
	{
		*id = wt_sql_int64(0, 1);
		*part = (int32) wt_sql_int64(0, 2);
		me->delivered = (uint64) wt_sql_int64(0, 3);
	}
	else
		wt_sql_run("INSERT INTO windtrap.outbox_position (target) VALUES ($1)", 1, &type,
				   &target, NULL);
}

/*
 * Reads dead letters whose time has come; one that is farther away than any pause was set before
 * the clock was set back.
 */
static void
read_letters(WtLoad *load)
{
	Oid types[2] = {TEXTOID, INT4OID};
	Datum values[2];
	uint64 n;

	values[0] = CStringGetTextDatum(load->forwarder->target);
	values[1] = Int32GetDatum(Min(load->limit, MAX_LETTERS));
	n = wt_sql_run("SELECT event_timestamp, data, status, id, error "
				   "FROM windtrap.dead_letter "
				   "WHERE target = $1 AND (next_try <= now() OR next_try > now() + "
				   "interval '1 minute') ORDER BY next_try LIMIT $2",
				   2, types, values, NULL);
	for (uint64 i = 0; i < n && load->bytes < load->max_bytes; i++)
	{
		WtOutboxEvent event;
		bool is_null;

		event.event_timestamp = DatumGetTimestampTz(wt_sql_value(i, 1, &is_null));
		MemoryContextSwitchTo(load->context);
		event.data = DatumGetJsonbPCopy(wt_sql_value(i, 2, &is_null));
		event.status = DatumGetInt32(wt_sql_value(i, 3, &is_null));
		add_event(load, &event);
		load->events[load->n - 1].letter =
			TextDatumGetCString(wt_sql_value(i, 4, &is_null));
		load->events[load->n - 1].error =
			TextDatumGetCString(wt_sql_value(i, 5, &is_null));
	}
	load->letters = (n > 0);
	load->more = true;
}

/* Adds a batch to the load, or what there is room for; false: that was not all of it. */
static bool
add_batch(WtLoad *load, int64 id, const bytea *packed, int skip)
{
	WtOutboxEvent *events;
	int n;

	if (load->n > 0 && load->bytes + wt_outbox_decoded_size(packed) > load->max_bytes)
		return false;
	n = wt_outbox_decode(id, packed, &events);
	for (int i = skip; i < n; i++)
	{
		if (load->n >= load->limit || load->bytes >= load->max_bytes)
		{
			load->id = id;
			load->part = i;
			return false;
		}
		add_event(load, &events[i]);
	}
	load->id = id;
	load->part = -1;
	return true;
}

/* Reads the next batches, as many as make a load. */
static void
read_batches(WtLoad *load, int64 id, int32 part)
{
	Oid types[2] = {INT8OID, INT8OID};
	Datum values[2];
	int nest_level = NewGUCNestLevel();
	Portal cursor;

	/* What is read once is not worth a sort. */
	wt_sql_set_local("enable_sort", "off");
	values[0] = Int64GetDatum(part >= 0 ? id - 1 : id);
	values[1] = Int64GetDatum(load->complete);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	cursor = SPI_cursor_open_with_args(NULL,
									   "SELECT id, created, events FROM windtrap.outbox "
									   "WHERE id > $1 AND id <= $2 ORDER BY id",
									   2, types, values, NULL, false, 0);
	for (;;)
	{
		bool full = false;
		bool is_null;

		SPI_cursor_fetch(cursor, true, 50);
		for (uint64 i = 0; i < SPI_processed && !full; i++)
		{
			int64 batch = wt_sql_int64(i, 1);
			bytea *packed = DatumGetByteaPP(wt_sql_value(i, 3, &is_null));

			if (load->oldest == 0)
				load->oldest = DatumGetTimestampTz(wt_sql_value(i, 2, &is_null));
			MemoryContextSwitchTo(load->context);
			full = load->n >= load->limit ||
				   !add_batch(load, batch, packed,
							  part >= 0 && batch == id ? (int) part : 0);
		}
		if (SPI_processed == 0)
			break;
		SPI_freetuptable(SPI_tuptable);
		load->more = full;
		if (full)
			break;
	}
	SPI_cursor_close(cursor);
	AtEOXact_GUC(false, nest_level);
}

/* Counts what is pending: at the start by looking, later by what is known. */
static void
measure_lag(const WtLoad *load, int64 id, int32 part, uint64 written)
{
	WtForwarderStatus *me = load->forwarder;
	Oid types[2] = {INT8OID, INT8OID};
	Datum values[2];

	if (load->letters)
		return;
	if (load->oldest == 0)
	{
		wt_forwarder_set_lag(0, written, GetCurrentTimestamp());
		lag_is_known = true;
		return;
	}
	if (lag_is_known)
	{
		wt_forwarder_set_lag(me->pending, me->written, load->oldest);
		return;
	}
	values[0] = Int64GetDatum(part >= 0 ? id - 1 : id);
	values[1] = Int64GetDatum(load->complete);
	wt_sql_run(
		"SELECT sum(n_events)::int8 FROM windtrap.outbox WHERE id > $1 AND id <= $2", 2,
		types, values, NULL);
	wt_forwarder_set_lag(wt_sql_int64(0, 1) - Max(part, 0), written, load->oldest);
	lag_is_known = true;
}

void
wt_load_read(WtLoad *load)
{
	static int64_t measured = 0;
	int64_t now = wt_monotonic_ms();
	WtForwarderStatus *me = load->forwarder;
	int64 id;
	int32 part;
	uint64 written;

	load->no_extension = !OidIsValid(get_extension_oid("windtrap", true));
	if (load->no_extension)
		return;
	read_position(me, &id, &part);
	if (measured == 0 || now - measured > MEASURE_INTERVAL)
	{
		wt_outbox_measure();
		count_dead(me);
		measured = now;
	}
	read_letters(load);
	if (load->n > 0)
		return;

	/* Whoever commits from here on wakes us. */
	me->wants_wake = true;
	pg_memory_barrier();
	written = pg_atomic_read_u64(&wt_shared->outbox.events_written);
	load->complete = wt_outbox_complete();
	read_batches(load, id, part);
	measure_lag(load, id, part, written);
}

void
wt_load_read_after(WtLoad *load, const WtLoad *before)
{
	load->complete = before->complete;
	read_batches(load, before->id, before->part);
}

void
wt_load_begin(const WtLoad *load)
{
	wt_forwarder_set_lag(load->forwarder->pending, load->forwarder->written,
						 load->oldest);
}

void
wt_load_forget_lag(void)
{
	lag_is_known = false;
}

/*
 * Moving on
 */

const char *
wt_load_event_id(const WtLoadEvent *event)
{
	JsonbValue value;

	if (event->letter)
		return event->letter;
	if (getKeyJsonValueFromContainer(&event->event.data->root, "id", 2, &value) &&
		value.type == jbvString)
		return pnstrdup(value.val.string.val, (Size) value.val.string.len);
	return "";
}

bool
wt_load_refuses_all(WtLoad *load)
{
	return load->n_refused >= 0 && ++load->n_refused >= WT_ALL_REFUSED &&
		   !load->letters && !load->refusal_is_believed;
}

/* Makes a dead letter of an event, or notes in it that it has been tried once more. */
static void
set_aside(WtLoad *load, const WtLoadEvent *event)
{
	Oid types[7] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, JSONBOID,
					INT4OID, TEXTOID, INT4OID};
	Datum values[7];

	values[0] = CStringGetTextDatum(load->forwarder->target);
	values[1] = CStringGetTextDatum(wt_load_event_id(event));
	values[2] = TimestampTzGetDatum(event->event.event_timestamp);
	values[3] = JsonbPGetDatum(event->event.data);
	values[4] = Int32GetDatum(event->event.status);
	values[5] = CStringGetTextDatum(event->error ? event->error : "");
	values[6] = Int32GetDatum(MAX_TRIES);
	/* Pauses that grow, and differ, so that what failed together does not come together. */
	wt_sql_run("INSERT INTO windtrap.dead_letter AS d "
			   "(target, id, event_timestamp, data, status, error, tries, next_try) "
			   "VALUES ($1, $2, $3, $4, $5, $6, 1, now() + random() * interval '2 s') "
			   "ON CONFLICT (target, id) DO UPDATE SET "
			   "error = excluded.error, tries = d.tries + 1, last_try = now(), "
			   "next_try = CASE WHEN d.tries + 1 < $7 "
			   "THEN now() + random() * interval '2 s' * power(4, d.tries) END "
			   "RETURNING next_try IS NULL",
			   7, types, values, NULL);
	load->n_dead += wt_sql_bool(0, 1);
}

/* Removes the dead letters that have been accepted. */
static void
remove_letters(const WtLoad *load)
{
	Oid types[2] = {TEXTOID, TEXTARRAYOID};
	Datum values[2];
	Datum *ids = palloc(sizeof(Datum) * (Size) load->n);
	int n = 0;

	for (int i = 0; i < load->n; i++)
		if (load->events[i].result == WT_LOAD_ACCEPTED)
			ids[n++] = CStringGetTextDatum(wt_load_event_id(&load->events[i]));
	values[0] = CStringGetTextDatum(load->forwarder->target);
	values[1] = PointerGetDatum(construct_array(ids, n, TEXTOID, -1, false, 'i'));
	wt_sql_run("DELETE FROM windtrap.dead_letter WHERE target = $1 AND id = ANY ($2)", 2,
			   types, values, NULL);
}

void
wt_load_move_on(WtLoad *load)
{
	Oid types[4] = {TEXTOID, INT8OID, INT8OID, INT4OID};
	Datum values[4];
	int64 accepted = 0;

	load->n_dead = 0;
	for (int i = 0; i < load->n; i++)
	{
		if (load->events[i].result == WT_LOAD_REFUSED)
			set_aside(load, &load->events[i]);
		else
			accepted++;
	}
	values[0] = CStringGetTextDatum(load->forwarder->target);
	values[1] = Int64GetDatum(accepted);
	if (load->letters)
	{
		remove_letters(load);
		wt_sql_run("UPDATE windtrap.outbox_position SET delivered = delivered + $2, "
				   "changed = now() WHERE target = $1",
				   2, types, values, NULL);
	}
	else
	{
		values[2] = Int64GetDatum(load->id);
		values[3] = Int32GetDatum(load->part);
		wt_sql_run("INSERT INTO windtrap.outbox_position AS p "
				   "(target, delivered, id, part) VALUES ($1, $2, $3, nullif($4, -1)) "
				   "ON CONFLICT (target) DO UPDATE SET id = excluded.id, "
				   "part = excluded.part, changed = now(), "
				   "delivered = p.delivered + excluded.delivered",
				   4, types, values, NULL);
	}
	if (load->letters || load->n_dead > 0)
		count_dead(load->forwarder);
}
