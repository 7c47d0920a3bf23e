/*
 * forward.c
 *		The outbox → one of the tables of windtrap.forward_to.
 *
 * Words:
 *	target		the table that events are inserted into; any, mostly a foreign one
 *	load		the events of one transaction: those of some batches of the outbox, or of
 *				part of one, or dead letters whose time has come
 *	position	how far the target has got in the outbox
 *	dead letter	an event that the target refuses; it is tried some times more, by itself, and
 *				is in nobody's way meanwhile
 *
 * A load is read in a transaction of its own, so that no snapshot is held while a target
 * hangs.  The transaction that inserts it also moves the position on.  Where the target is
 * a table of this database the two are one; where it is not, a crash between them makes the
 * load be inserted again, which is what ON CONFLICT DO NOTHING is for.
 *
 * The statement runs as the owner of the target, in a security-restricted operation, for
 * the reason that store.c gives.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "forward/forward.h"
#include "forward/forward_status.h"
#include "store/fault.h"
#include "store/insert.h"
#include "store/log_table.h"
#include "store/outbox.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/sql.h"

/* The name under which the statement sees the load. */
static char load_name[] = "windtrap_load";

/* A load: events, and bytes of them in memory. */
#define MAX_LOAD_EVENTS 5000
#define MAX_LOAD_BYTES (8 * 1024 * 1024)

/* A load that takes longer than this, ms, makes the next one smaller; see adapt. */
#define SLOW_LOAD 5000

/* A transaction may take this long, ms. */
#define TIMEOUT (30 * 1000)

/* Waiting for a lock on the target. */
#define LOCK_TIMEOUT "5s"

/* The load's tuplestore stays in memory up to here, kB. */
#define LOAD_MEMORY (64 * 1024)

/* Dead letters of one load. */
#define MAX_LETTERS 500

/* How often an event is tried before it is left alone. */
#define MAX_TRIES 3

/* Where the target has refused so many events and accepted none, it refuses all ... */
#define ALL_REFUSED 32
/* ... and that is taken for its failure so many times before it is for the events'. */
#define MAX_REFUSALS 5

/* Events that are tried alone where it may be that the target takes none. */
#define MAX_LOOKS 3

/* Counting what the outbox holds, ms. */
#define MEASURE_INTERVAL 60000

const WtWatch *wt_forward_watch;

typedef enum EventResult
{
	PENDING,
	ACCEPTED,
	REFUSED
} EventResult;

typedef struct Event
{
	WtOutboxEvent event;
	EventResult result;
	const char *error; /* why it is refused; of a dead letter, why it was the last time */
	const char *letter; /* of a dead letter: its id, whatever its data has become */
} Event;

typedef struct Load
{
	MemoryContext context; /* of what outlives a transaction */
	Event *events;
	int n;
	int max;
	size_t bytes;
	bool letters; /* these are dead letters; otherwise the position is moved on: */
	int64 id;
	int32 part; /* -1: the whole batch */
	TimestampTz oldest;
	bool more; /* there is more where this comes from */
	bool no_extension;
	bool unclear; /* it failed as a whole, and it may be that no event of it passes */
	int n_dead;	  /* events that have just been tried for the last time */
} Load;

/* Why a transaction failed. */
typedef struct Failure
{
	WtBlame blame;
	int sqlstate;
	const char *message;
} Failure;

static WtForwarderStatus *me;
static int64 deleted;					 /* batches up to here are */
static int load_limit = MAX_LOAD_EVENTS; /* events; what the target can take in time */
static bool with_conflict_clause = true; /* the target's wrapper knows ON CONFLICT */
static bool lag_is_known;
static int refusals;  /* of all events, one after the other */
static int n_refused; /* in this transaction, while none was accepted; -1: one was */

/*
 * Transactions
 */

static void
note_failure(Failure *failure, const ErrorData *error)
{
	const char *message = error->message ? error->message : "unknown error";
	WtFailure known;

	wt_failure_note(&known, error);
	failure->blame = known.blame;
	failure->sqlstate = error->sqlerrcode;
	/* Other details may quote the row, which is nobody's who reads the log. */
	if (error->detail &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_CONNECTION_EXCEPTION)
		failure->message = psprintf("%s: %s", message, error->detail);
	else
		failure->message = pstrdup(message);
}

/* What a transaction does, and with which load. */
typedef struct Step
{
	void (*what)(Load *load);
	Load *load;
} Step;

static void
run_step(void *arg)
{
	const Step *step = arg;
	MemoryContext context = CurrentMemoryContext;

	if (wt_stop_requested)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("stopping")));
	SPI_connect();
	MemoryContextSwitchTo(context);
	step->what(step->load);
	SPI_finish();
}

/*
 * Runs something in a transaction with SPI connected; false, and *failure, where it failed.
 * What is allocated by it stays in the current memory context.
 *
 * Each statement has to see what was committed before it.  What is lost when the machine stops
 * is forwarded again; what is deleted from the outbox comes after it in the log, and so cannot
 * be lost alone.
 */
static bool
transact(void (*what)(Load *), Load *load, const char *activity, Failure *failure)
{
	const WtTransaction how = {.activity = activity,
							   .timeout = TIMEOUT,
							   .may_be_lost = true,
							   .read_committed = true,
							   .watch = wt_forward_watch};
	Step step = {what, load};
	ErrorData *error = wt_transact_as(&how, run_step, &step);

	if (!error)
		return true;
	note_failure(failure, error);
	FreeErrorData(error);
	return false;
}

/*
 * Reading
 */

static void
add_event(Load *load, const WtOutboxEvent *event)
{
	if (load->n == load->max)
	{
		load->max = load->max ? load->max * 2 : 256;
		load->events = load->events
						   ? repalloc_huge(load->events, sizeof(Event) * (Size) load->max)
						   : palloc(sizeof(Event) * (Size) load->max);
	}
	memset(&load->events[load->n], 0, sizeof(Event));
	load->events[load->n++].event = *event;
	load->bytes += VARSIZE(event->data);
}

/* Looks how many events are dead for good. */
static void
count_dead(void)
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
read_position(int64 *id, int32 *part)
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

/* Reads dead letters whose time has come. */
static void
read_letters(Load *load)
{
	Oid types[2] = {TEXTOID, INT4OID};
	Datum values[2];
	uint64 n;

	values[0] = CStringGetTextDatum(me->target);
	values[1] = Int32GetDatum(Min(load_limit, MAX_LETTERS));
	n = wt_sql_run("SELECT event_timestamp, data, status, id, error "
				   "FROM windtrap.dead_letter "
				   "WHERE target = $1 AND next_try <= now() ORDER BY next_try LIMIT $2",
				   2, types, values, NULL);
	for (uint64 i = 0; i < n && load->bytes < MAX_LOAD_BYTES; i++)
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
add_batch(Load *load, int64 id, const bytea *packed, int skip)
{
	WtOutboxEvent *events;
	int n;

	if (load->n > 0 && load->bytes + wt_outbox_decoded_size(packed) > MAX_LOAD_BYTES)
		return false;
	n = wt_outbox_decode(id, packed, &events);
	for (int i = skip; i < n; i++)
	{
		if (load->n >= load_limit || load->bytes >= MAX_LOAD_BYTES)
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
read_batches(Load *load, int64 id, int32 part, int64 complete)
{
	Oid types[2] = {INT8OID, INT8OID};
	Datum values[2];
	int nest_level = NewGUCNestLevel();
	Portal cursor;

	/* What is read once is not worth a sort. */
	wt_sql_set_local("enable_sort", "off");
	values[0] = Int64GetDatum(part >= 0 ? id - 1 : id);
	values[1] = Int64GetDatum(complete);
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
			full = load->n >= load_limit ||
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
measure_lag(const Load *load, int64 id, int32 part, int64 complete, uint64 written)
{
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
	values[1] = Int64GetDatum(complete);
	wt_sql_run(
		"SELECT sum(n_events)::int8 FROM windtrap.outbox WHERE id > $1 AND id <= $2", 2,
		types, values, NULL);
	wt_forwarder_set_lag(wt_sql_int64(0, 1) - Max(part, 0), written, load->oldest);
	lag_is_known = true;
}

static void
read_load(Load *load)
{
	static TimestampTz measured = 0;
	int64 id;
	int32 part;
	int64 complete;
	uint64 written;

	load->no_extension = !OidIsValid(get_extension_oid("windtrap", true));
	if (load->no_extension)
		return;
	read_position(&id, &part);
	if (measured == 0 ||
		TimestampDifferenceExceeds(measured, GetCurrentTimestamp(), MEASURE_INTERVAL))
	{
		wt_outbox_measure();
		count_dead();
		measured = GetCurrentTimestamp();
	}
	read_letters(load);
	if (load->n > 0)
		return;

	/* Whoever commits from here on wakes us. */
	me->wants_wake = true;
	pg_memory_barrier();
	written = pg_atomic_read_u64(&wt_shared->outbox.events_written);
	complete = wt_outbox_complete();
	read_batches(load, id, part, complete);
	measure_lag(load, id, part, complete, written);
}

/*
 * The statement
 */

static bool
is_textual(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == NAMEOID;
}

static bool
is_id(const char *name)
{
	return strcmp(name, "_id") == 0 || strcmp(name, "id") == 0;
}

/* What a column is filled with; NULL: it is none of ours. */
static const char *
column_value(const char *name, Oid type)
{
	if (is_id(name))
	{
		if (is_textual(type))
			return "data OPERATOR(pg_catalog.->>) 'id'";
		if (type == UUIDOID)
			return "(data OPERATOR(pg_catalog.->>) 'id')::pg_catalog.uuid";
		return NULL; /* a number of the table's own */
	}
	if (strcmp(name, "event_timestamp") == 0 || strcmp(name, "data") == 0 ||
		strcmp(name, "status") == 0)
		return quote_identifier(name);
	if (strcmp(name, "__doc") == 0)
		return "data OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object("
			   "'_id', data OPERATOR(pg_catalog.->) 'id', "
			   "'event_timestamp', pg_catalog.jsonb_build_object('$date', "
			   "pg_catalog.to_char(pg_catalog.timezone('UTC', event_timestamp), "
			   "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')), "
			   "'status', status)";
	return NULL;
}

/*
 * Whether a unique index says no to a second event of the same id: its columns are the id
 * and perhaps event_timestamp.  Gives them as a list.
 */
static char *
unique_columns(Relation relation, AttrNumber id)
{
	List *indexes = RelationGetIndexList(relation);
	ListCell *cell;
	char *columns = NULL;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		const Form_pg_index form = index->rd_index;
		StringInfoData list;
		bool has_id = false;
		/*
		 * By the catalog, not by RelationGetIndexPredicate: that evaluates functions of the
		 * owner's, and here they would run as the superuser.
		 */
		bool fits = form->indisunique && form->indimmediate && form->indisvalid &&
					heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);

		initStringInfo(&list);
		for (int i = 0; fits && i < form->indnkeyatts; i++)
		{
			AttrNumber number = form->indkey.values[i];
			const char *name;

			if (number <= 0)
			{
				fits = false;
				break;
			}
			name =
				NameStr(TupleDescAttr(RelationGetDescr(relation), number - 1)->attname);
			has_id |= (number == id);
			if (number != id && strcmp(name, "event_timestamp") != 0)
				fits = false;
			appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", quote_identifier(name));
		}
		index_close(index, AccessShareLock);
		if (fits && has_id)
		{
			columns = list.data;
			break;
		}
	}
	list_free(indexes);
	return columns;
}

/*
 * A second event of the same id is none.  Where the unique index can be named, what others
 * say is an error; a foreign table has none that could be.
 */
static const char *
conflict_clause(Relation relation, AttrNumber id)
{
	char kind = RelationGetForm(relation)->relkind;
	char *columns;

	if (kind == RELKIND_FOREIGN_TABLE)
		return with_conflict_clause ? " ON CONFLICT DO NOTHING" : "";
	if (kind != RELKIND_VIEW && id != InvalidAttrNumber &&
		(columns = unique_columns(relation, id)) != NULL)
		return psprintf(" ON CONFLICT (%s) DO NOTHING", columns);
	return "";
}

/* Whether what is inserted into a relation is inserted into the log table. */
static bool
is_log_table(Relation relation, Oid log)
{
	Oid oid = RelationGetRelid(relation);

	if (oid == log)
		return true;
	if (RelationGetForm(relation)->relkind == RELKIND_VIEW)
	{
		ListCell *cell;

		foreach (cell, get_view_query(relation)->rtable)
		{
			const RangeTblEntry *entry = lfirst(cell);
			Relation base;
			bool is_log;

			/* Before 16 a view refers to itself as OLD and NEW, too. */
			if (entry->rtekind != RTE_RELATION || entry->relid == oid)
				continue;
			base = table_open(entry->relid, AccessShareLock);
			is_log = is_log_table(base, log);
			table_close(base, NoLock);
			if (is_log)
				return true;
		}
		return false;
	}
	return list_member_oid(find_all_inheritors(log, NoLock, NULL), oid) ||
		   list_member_oid(find_all_inheritors(oid, NoLock, NULL), log);
}

/* Raises where events that are forwarded would be beside those that are stored. */
static void
refuse_log_table(Relation relation)
{
	Oid log;

	if (!wt_postgres)
		return;
	log = RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true);
	if (OidIsValid(log) && is_log_table(relation, log))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s is the log table, or a part or a view of it: each event would "
					"be there twice",
					me->target)));
}

/* Finds the target and locks it; gives the statement for it, what it is, and whose. */
static char *
make_statement(Oid *found, Oid *owner)
{
	RangeVar *name = wt_log_table_name(me->target);
	Oid oid = RangeVarGetRelid(name, RowExclusiveLock, false);
	Relation relation = table_open(oid, NoLock);
	TupleDesc desc = RelationGetDescr(relation);
	char kind = RelationGetForm(relation)->relkind;
	AttrNumber id = InvalidAttrNumber;
	StringInfoData columns;
	StringInfoData values;
	StringInfoData statement;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE &&
		kind != RELKIND_FOREIGN_TABLE && kind != RELKIND_VIEW)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is not a table", me->target)));
	if (RelationGetForm(relation)->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s is not durable: it is unlogged or temporary", me->target)));
	refuse_log_table(relation);
	*found = oid;
	*owner = RelationGetForm(relation)->relowner;
	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);
		const char *value;

		if (column->attisdropped || column->attgenerated != '\0')
			continue;
		value = column_value(NameStr(column->attname), getBaseType(column->atttypid));
		if (!value)
			continue;
		if (is_id(NameStr(column->attname)))
			id = column->attnum;
		appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "",
						 quote_identifier(NameStr(column->attname)));
		appendStringInfo(&values, "%s%s", values.len > 0 ? ", " : "", value);
	}
	if (columns.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has none of the columns _id, id, event_timestamp, data, "
						"status and __doc",
						me->target)));
	initStringInfo(&statement);
	appendStringInfo(&statement, "INSERT INTO %s (%s) SELECT %s FROM %s%s",
					 wt_log_table_quote(name), columns.data, values.data, load_name,
					 conflict_clause(relation, id));
	table_close(relation, NoLock);
	return statement.data;
}

/* Inserts events into the target, and what that sets off. */
static void
insert_events(const Event *events, int n)
{
	Tuplestorestate *rows;
	SPIPlanPtr plan;
	char *statement;
	Oid relation;
	Oid owner;

	SPI_connect();
	rows = tuplestore_begin_heap(false, false, LOAD_MEMORY);
	for (int i = 0; i < n; i++)
		if (events[i].result == PENDING)
			wt_insert_put(rows, events[i].event.event_timestamp, events[i].event.data,
						  events[i].event.status);
	wt_insert_register(load_name, rows, n);
	statement = make_statement(&relation, &owner);
	plan = wt_insert_prepare(statement, &relation, owner);
	wt_insert_execute(plan, owner);
	/* What has gone there is deleted here. */
	if (get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE)
		wt_refuse_unlogged(find_all_inheritors(relation, NoLock, NULL));
	tuplestore_end(rows);
	SPI_finish();
}

/*
 * Delivery
 */

static const char *
event_id(const Event *event)
{
	JsonbValue value;

	if (event->letter)
		return event->letter;
	if (getKeyJsonValueFromContainer(&event->event.data->root, "id", 2, &value) &&
		value.type == jbvString)
		return pnstrdup(value.val.string.val, (Size) value.val.string.len);
	return "";
}

/*
 * Inserts events in a subtransaction; false, and *failure, where one may be at fault.  Other
 * errors are raised again.
 */
static bool
insert_in_subtransaction(const Event *events, int n, Failure *failure)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		insert_events(events, n);
		ReleaseCurrentSubTransaction();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		note_failure(failure, error);
		if (failure->blame != WT_BLAME_ROW && failure->blame != WT_BLAME_UNCLEAR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/* Inserts events by subtransactions, halving them where one is at fault. */
static void
insert_by_halves(Load *load, Event *events, int n)
{
	Failure failure;

	CHECK_FOR_INTERRUPTS();
	if (insert_in_subtransaction(events, n, &failure))
	{
		n_refused = -1;
		for (int i = 0; i < n; i++)
			events[i].result = ACCEPTED;
		return;
	}
	if (n > 1)
	{
		insert_by_halves(load, events, n / 2);
		insert_by_halves(load, events + n / 2, n - n / 2);
		return;
	}
	/* Unclear is whose fault it is until another has passed; a dead letter's is known. */
	if (failure.blame == WT_BLAME_UNCLEAR && n_refused >= 0 &&
		!(load->letters && strcmp(events[0].error, failure.message) == 0))
		ereport(ERROR,
				(errcode(failure.sqlstate), errmsg_internal("%s", failure.message)));
	events[0].result = REFUSED;
	events[0].error = failure.message;
	if (n_refused >= 0 && ++n_refused >= ALL_REFUSED && !load->letters &&
		refusals < MAX_REFUSALS)
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("it refuses every event, the last one because: %s",
							   failure.message)));
}

/* Makes a dead letter of an event, or notes in it that it has been tried once more. */
static void
set_aside(Load *load, const Event *event)
{
	Oid types[7] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, JSONBOID,
					INT4OID, TEXTOID, INT4OID};
	Datum values[7];
	bool is_null;

	values[0] = CStringGetTextDatum(me->target);
	values[1] = CStringGetTextDatum(event_id(event));
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
	load->n_dead += DatumGetBool(wt_sql_value(0, 1, &is_null));
}

/* Removes the dead letters that have been accepted. */
static void
remove_letters(const Load *load)
{
	Oid types[2] = {TEXTOID, TEXTARRAYOID};
	Datum values[2];
	Datum *ids = palloc(sizeof(Datum) * (Size) load->n);
	int n = 0;

	for (int i = 0; i < load->n; i++)
		if (load->events[i].result == ACCEPTED)
			ids[n++] = CStringGetTextDatum(event_id(&load->events[i]));
	values[0] = CStringGetTextDatum(me->target);
	values[1] = PointerGetDatum(construct_array(ids, n, TEXTOID, -1, false, 'i'));
	wt_sql_run("DELETE FROM windtrap.dead_letter WHERE target = $1 AND id = ANY ($2)", 2,
			   types, values, NULL);
}

/* Notes what has become of the load, in the transaction that has inserted it. */
static void
move_on(Load *load)
{
	Oid types[4] = {TEXTOID, INT8OID, INT8OID, INT4OID};
	Datum values[4];
	int64 accepted = 0;

	load->n_dead = 0;
	for (int i = 0; i < load->n; i++)
	{
		if (load->events[i].result == REFUSED)
			set_aside(load, &load->events[i]);
		else
			accepted++;
	}
	values[0] = CStringGetTextDatum(me->target);
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
		count_dead();
}

static void
deliver_straight(Load *load)
{
	wt_sql_set_local("lock_timeout", LOCK_TIMEOUT);
	for (int i = 0; i < load->n; i++)
		load->events[i].result = PENDING;
	insert_events(load->events, load->n);
	for (int i = 0; i < load->n; i++)
		load->events[i].result = ACCEPTED;
	move_on(load);
}

/*
 * Tries some events alone.  Where one passes, those that do not are at fault; they are drawn,
 * so that a few bad ones are not met each time.
 */
static void
look(Load *load)
{
	Failure failure;

	for (int i = 0; i < MAX_LOOKS && load->n > 1 && n_refused >= 0; i++)
	{
		Event *event =
			&load->events[pg_prng_uint64(&pg_global_prng_state) % (uint64) load->n];

		if (!insert_in_subtransaction(event, 1, &failure))
			continue;
		event->result = ACCEPTED;
		n_refused = -1;
	}
}

static void
deliver_by_halves(Load *load)
{
	wt_sql_set_local("lock_timeout", LOCK_TIMEOUT);
	/* What an attempt that was undone has made of them does not count. */
	for (int i = 0; i < load->n; i++)
		load->events[i].result = PENDING;
	if (load->unclear)
		look(load);
	insert_by_halves(load, load->events, load->n);
	move_on(load);
}

/* The target takes this event neither alone nor with others, and says so at the commit. */
static void
give_up(Load *load)
{
	load->events[0].result = REFUSED;
	move_on(load);
}

/* Fits the size of loads to what the target does in time. */
static void
adapt(const Load *load, double ms)
{
	if (ms > SLOW_LOAD)
		load_limit = Max(load->n / 2, 1);
	else if (ms < SLOW_LOAD / 4 && load->n >= load_limit)
		load_limit = Min(load_limit * 2, MAX_LOAD_EVENTS);
}

/* Inserts the load; false, and *failure, where the target does not take it. */
static bool
deliver(Load *load, Failure *failure)
{
	bool ok;

	n_refused = 0;
	ok = transact(deliver_straight, load, "forwarding events", failure);

	if (!ok && with_conflict_clause &&
		ERRCODE_TO_CATEGORY(failure->sqlstate) == ERRCODE_FEATURE_NOT_SUPPORTED)
	{
		/* Its wrapper may not know ON CONFLICT; then it sees to doubles, or nobody does. */
		with_conflict_clause = false;
		ok = transact(deliver_straight, load, "forwarding events", failure);
	}
	if (ok || wt_stop_requested || failure->blame == WT_BLAME_MOMENT ||
		failure->blame == WT_BLAME_END)
		return ok;
	load->unclear = (failure->blame == WT_BLAME_UNCLEAR);
	ok = transact(deliver_by_halves, load, "forwarding events", failure);
	if (ok || wt_stop_requested || failure->blame != WT_BLAME_ROW)
		return ok;
	/* Only at the commit it turns out that one is at fault: halve the loads themselves. */
	if (load->n > 1)
	{
		load_limit = Max(load->n / 2, 1);
		return false;
	}
	load->events[0].error = failure->message;
	return transact(give_up, load, "setting an event aside", failure);
}

static void
report_refused(const Load *load)
{
	for (int i = 0; i < load->n && load->n_dead > 0; i++)
	{
		const Event *event = &load->events[i];

		if (event->result != REFUSED)
			continue;
		ereport(LOG, (errmsg("windtrap: %s has refused %d events, which stay in "
							 "windtrap.dead_letter; one of them is %s: %s",
							 me->target, load->n_dead, event_id(event), event->error),
					  errhint("Use windtrap.redeliver() to send them again.")));
		return;
	}
}

/* Looks whether the target can be inserted into, as far as is seen from here. */
static void
check_target(Load *load)
{
	Oid relation;
	Oid owner;

	(void) make_statement(&relation, &owner);
}

static void
trim(Load *load)
{
	load->more = wt_outbox_trim(&deleted);
}

WtForwardResult
wt_forward(WtForwarderStatus *forwarder, const char **error)
{
	Load load = {.context = CurrentMemoryContext, .part = -1};
	Load trimming = {0};
	Failure failure = {0};
	TimestampTz begun;
	double ms;

	me = forwarder;
	if (!transact(read_load, &load, "reading the outbox", &failure))
	{
		*error = failure.message;
		return wt_stop_requested ? WT_FORWARD_CANCELLED : WT_FORWARD_FAILED;
	}
	if (load.no_extension)
	{
		lag_is_known = false;
		deleted = 0;
		return WT_FORWARD_NO_EXTENSION;
	}

	begun = GetCurrentTimestamp();
	if (load.n > 0)
	{
		me->wants_wake = false;
		if (!deliver(&load, &failure))
		{
			*error = failure.message;
			if (wt_stop_requested)
				return WT_FORWARD_CANCELLED;
			if (failure.sqlstate == ERRCODE_QUERY_CANCELED)
				load_limit = Max(load.n / 4, 1);
			refusals += (n_refused >= ALL_REFUSED);
			return failure.blame == WT_BLAME_ROW ? WT_FORWARD_AGAIN : WT_FORWARD_FAILED;
		}
		ms = (double) (GetCurrentTimestamp() - begun) / 1000;
		adapt(&load, ms);
		refusals = 0;
		report_refused(&load);
		LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
		for (int i = 0; i < load.n; i++)
			me->delivered += (load.events[i].result == ACCEPTED);
		if (!load.letters)
			me->pending -= load.n;
		LWLockRelease(&wt_shared->lock);
	}
	else
	{
		deleted = 0; /* others may have left something behind */
		if (!transact(check_target, &load, "looking at the target", &failure) &&
			failure.blame == WT_BLAME_UNCLEAR && !wt_stop_requested)
		{
			*error = failure.message;
			return WT_FORWARD_FAILED;
		}
	}

	do
	{
		if (!transact(trim, &trimming, "deleting what is forwarded", &failure))
			break; /* next time */
		wt_outbox_trimmed();
	} while (trimming.more && !wt_stop_requested);
	if (load.n == 0)
		return WT_FORWARD_NOTHING;
	return load.more ? WT_FORWARD_MORE : WT_FORWARD_SOME;
}
