/*
 * tail.c
 *		windtrap.tail(): the events that have become visible since the last look.
 *
 * What comes last by its time is not what has come last: transactions commit in another order
 * than events arrive.  So a cursor is no time, but a snapshot, and an event is new where the
 * transaction that has written its row (xmin) is committed now and was not then.  That is exact,
 * whoever commits when.  What else is to be known:
 *
 *	- Where to look.  The index is on the time alone.  A row that is new was written by a
 *	  transaction that was running at the cursor or began later; and its time is that of the
 *	  transaction, or a bit before.  So rows are read from the beginning of the oldest of those
 *	  transactions on, less a margin for events that have waited before they were stored or bring
 *	  a time of their own.  The margin is longer where few events come: MIN_MARGIN to MAX_MARGIN.
 *	  Events that are older than that when they come are not seen here, and a transaction that
 *	  lasts for hours counts for MAX_WINDOW.
 *
 *	- What is no event.  An UPDATE makes a new version of a row, with its own xmin.  That a
 *	  version is one PostgreSQL notes in the row's header, though not in SQL.  When the first one
 *	  was inserted is gone.  If its time is older than the transactions that were running at the
 *	  cursor, or than MAX_UNSEEN, it had been seen then.  Otherwise it can be an event that has
 *	  come and been changed between two looks: it is shown, unless this tail has shown it already.
 *	  An UPDATE that moves a row to another partition, as the upkeep does with those of the
 *	  default one, inserts it.
 *
 * Everything is read as the caller would, with his rights and his row security.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "search/cursor.h"
#include "search/in_flight.h"
#include "search/rows.h"
#include "search/search.h"
#include "search/search_sql.h"
#include "search/tail.h"
#include "sealed/links.h"

PG_FUNCTION_INFO_V1(windtrap_tail);
PG_FUNCTION_INFO_V1(windtrap_tail_row);

/* Of events' own times, s: with how many rows read in a look the margin is doubled, and halved. */
#define MIN_MARGIN 10
#define MAX_MARGIN 600
#define FIRST_MARGIN 60
#define FEW_ROWS 15000
#define MANY_ROWS 40000

/* So long before the cursor, µs, a transaction may have begun. */
#define MAX_WINDOW USECS_PER_HOUR

/* An event is stored at most so long after its time, µs, where it has waited for nothing. */
#define STORED_WITHIN (2 * USECS_PER_SEC)

/*
 * An event that is older than this at the cursor, µs, and has been changed since, was seen before:
 * where a transaction lasts for long, changes of all that has come meanwhile would be shown.
 */
#define MAX_UNSEEN (10 * USECS_PER_SEC)

/* Events that are remembered, in case that they are changed at once. */
#define MAX_SHOWN 100000

/* An ident of our own for an event. */
typedef struct Shown
{
	TimestampTz time;
	uint64 id;
} Shown;

struct WtTail
{
	MemoryContext context;
	const char *condition;
	const char *output;
	bool has_cursor;
	WtCursor cursor;
	char text[WT_CURSOR_SIZE];
	HTAB *shown; /* those that an UPDATE may bring again; NULL: none */
};

/* A look that is under way, for windtrap.tail_row(). */
typedef struct Look
{
	const WtCursor *from;
	const WtCursor *to;
	uint64 next;
	TimestampTz seen_before; /* what is older, and has been changed, had been seen */
	int64 rows;
} Look;

static Look *under_way = NULL;

/*
 * The newest of them; how many there are in all, and the oldest one's time, come last.  What the
 * innermost subquery names is what windtrap.events has.
 */
static const char statement[] =
	"SELECT event_timestamp, id, %s, n, first"
	" FROM (SELECT " WT_EVENT_COLUMNS ", n, "
	"first"
	" FROM (SELECT event_timestamp, data, status, count(*) OVER () AS n,"
	" min(event_timestamp) OVER () AS first"
	" FROM (SELECT " WT_EVENT_COLUMNS " FROM %s WHERE event_timestamp >= $1"
	" AND windtrap.tail_row(xmin, tableoid, ctid, event_timestamp)) AS events"
	" WHERE (%s)"
	" ORDER BY event_timestamp DESC, coalesce(id, '') COLLATE \"C\" DESC LIMIT $2) AS "
	"found)"
	" AS shown ORDER BY event_timestamp, coalesce(id, '') COLLATE \"C\"";

/*
 * Rows
 */

/*
 * Whether a version of a row, which is visible, is the work of an UPDATE.  Both can be made up by
 * what the table's owner has written, a policy of it say.
 */
static bool
is_updated(Oid relation, ItemPointer tid)
{
	Relation rel = table_open(relation, AccessShareLock);
	HeapTupleData tuple = {.t_self = *tid};
	Buffer buffer;
	bool result = false;

	/* A block of no number would be added. */
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID && ItemPointerIsValid(tid) &&
		ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(rel) &&
		heap_fetch(rel, SnapshotAny, &tuple, &buffer, false))
	{
		result = (tuple.t_data->t_infomask & HEAP_UPDATED) != 0;
		ReleaseBuffer(buffer);
	}
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * windtrap.tail_row(xmin xid, tableoid oid, ctid tid, event_timestamp timestamptz) → bool: whether
 * a row has become visible between the two cursors of the look that is under way
 */
Datum
windtrap_tail_row(PG_FUNCTION_ARGS)
{
	Look *look = under_way;
	uint64 xid;

	if (!look)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("windtrap.tail_row() is for windtrap.tail() alone")));
	look->rows++;
	xid = wt_cursor_widen(PG_GETARG_TRANSACTIONID(0), look->next);
	if (wt_cursor_is_unseen(look->to, xid) || !wt_cursor_is_unseen(look->from, xid))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(PG_GETARG_TIMESTAMPTZ(3) >= look->seen_before ||
				   !is_updated(PG_GETARG_OID(1), (ItemPointer) PG_GETARG_POINTER(2)));
}

/*
 * The table
 */

static void
check_heap(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	char kind;
	Oid method;

	if (!HeapTupleIsValid(tuple))
		return;
	kind = ((Form_pg_class) GETSTRUCT(tuple))->relkind;
	method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	/* A sealed partition says of late rows when they came; of all others that they are old. */
	if (kind == RELKIND_PARTITIONED_TABLE ||
		(kind == RELKIND_RELATION && method == HEAP_TABLE_AM_OID) ||
		wt_is_sealed(relation))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("what is new in \"%s\" cannot be told, since it is no table of "
					"PostgreSQL's own kind (heap)",
					get_rel_name(relation)),
			 errhint("Ask windtrap.search() for the last minutes instead.")));
}

/* The log table's name for use in a statement; NULL: there is none. */
static const char *
table_name(void)
{
	bool is_null;
	Oid relation;
	char *name;
	char *schema;

	(void) wt_search_run("SELECT windtrap.log_table()::oid", 0, NULL, NULL);
	relation = DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	SPI_freetuptable(SPI_tuptable);
	if (is_null)
		return NULL;
	check_heap(relation);
	if (get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE)
	{
		ListCell *cell;

		foreach (cell, find_all_inheritors(relation, NoLock, NULL))
			check_heap(lfirst_oid(cell));
	}
	name = get_rel_name(relation);
	schema = get_namespace_name(get_rel_namespace(relation));
	/* It may have just been dropped. */
	return name && schema ? quote_qualified_identifier(schema, name) : NULL;
}

/*
 * What has been shown
 */

static HTAB *
make_shown(MemoryContext context)
{
	HASHCTL control = {
		.keysize = sizeof(Shown), .entrysize = sizeof(Shown), .hcxt = context};

	return hash_create("windtrap tail", 256, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* False: it has no id. */
static bool
ident_of(int64 row, Shown *ident)
{
	bool is_null;
	HeapTuple tuple = SPI_tuptable->vals[row];
	Datum id;

	memset(ident, 0, sizeof(*ident));
	ident->time =
		DatumGetTimestampTz(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &is_null));
	id = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &is_null);
	if (is_null)
		return false;
	ident->id = DatumGetUInt64(
		hash_any_extended((unsigned char *) VARDATA_ANY(DatumGetPointer(id)),
						  (int) VARSIZE_ANY_EXHDR(DatumGetPointer(id)), 0));
	return true;
}

/*
 * Leaves out the rows that have been shown, and remembers those that an UPDATE might bring once
 * more; how many are left.
 */
static int64
leave_out_shown(WtTail *tail, int64 n, TimestampTz since)
{
	HTAB *shown = make_shown(tail->context);
	Shown ident;
	int64 left = 0;

	for (int64 i = 0; i < n; i++)
	{
		bool has_id = ident_of(i, &ident);

		if (has_id && tail->shown && hash_search(tail->shown, &ident, HASH_FIND, NULL))
			continue;
		SPI_tuptable->vals[left++] = SPI_tuptable->vals[i];
		if (has_id && ident.time >= since && hash_get_num_entries(shown) < MAX_SHOWN)
			(void) hash_search(shown, &ident, HASH_ENTER, NULL);
	}
	if (tail->shown)
	{
		HASH_SEQ_STATUS it;
		const Shown *old;

		hash_seq_init(&it, tail->shown);
		while ((old = hash_seq_search(&it)))
			if (old->time >= since && hash_get_num_entries(shown) < MAX_SHOWN)
				(void) hash_search(shown, old, HASH_ENTER, NULL);
		hash_destroy(tail->shown);
	}
	tail->shown = shown;
	return left;
}

/*
 * Looks
 */

WtTail *
wt_tail_open(const text *query, const char *after, const char *output)
{
	WtTail *tail = palloc0(sizeof(*tail));

	tail->context = CurrentMemoryContext;
	tail->condition = query ? wt_search_condition(query) : "true";
	tail->output = output ? output : wt_search_output;
	if (after && !wt_cursor_read(after, &tail->cursor))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("what is given as \"after\" is no cursor of "
							   "windtrap.tail()")));
	tail->has_cursor = after != NULL;
	return tail;
}

/* Ids of a cursor come to mean something else after 2 billion transactions. */
static void
check_cursor(const WtCursor *cursor, uint64 next)
{
	uint64 oldest = cursor->n_ranges > 0 ? cursor->ranges[0].first : cursor->xmax;

	if (cursor->xmax > next)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the cursor is of another server, or of a time that this one "
						"has been taken back before")));
	if (next - oldest > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the cursor is too old")));
}

/* Runs the statement; how many rows there are. */
static int64
run(const WtTail *tail, const char *table, Look *look, int max_rows)
{
	Oid types[] = {TIMESTAMPTZOID, INT8OID};
	Datum values[] = {
		TimestampTzGetDatum(look->from->floor - look->from->margin * USECS_PER_SEC),
		Int64GetDatum(max_rows)};
	Look *outer = under_way;
	int64 n = 0;

	PG_TRY();
	{
		under_way = look;
		n = wt_search_run(psprintf(statement, tail->output, table, tail->condition), 2,
						  types, values);
	}
	PG_FINALLY();
	{
		under_way = outer;
	}
	PG_END_TRY();
	return n;
}

/* Says what there was no room for: rows that are older than those that there are. */
static void
note_skipped(WtTailLook *result, int64 n)
{
	TupleDesc desc = SPI_tuptable->tupdesc;
	HeapTuple row = SPI_tuptable->vals[0];
	bool is_null;

	result->skipped =
		DatumGetInt64(SPI_getbinval(row, desc, desc->natts - 1, &is_null)) - n;
	result->since = DatumGetTimestampTz(SPI_getbinval(row, desc, desc->natts, &is_null));
	result->until = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &is_null));
	if (!TIMESTAMP_NOT_FINITE(result->until))
		result->until++;
}

static int
next_margin(int margin, int64 rows)
{
	if (rows > MANY_ROWS)
		margin /= 2;
	else if (rows < FEW_ROWS)
		margin *= 2;
	return Min(Max(margin, MIN_MARGIN), MAX_MARGIN);
}

/* What is older than this, and has been changed since, had been seen at the cursor. */
static TimestampTz
seen_before(const WtCursor *cursor)
{
	return Max(cursor->floor, cursor->time - MAX_UNSEEN) - STORED_WITHIN;
}

void
wt_tail_look(WtTail *tail, int max_rows, WtTailLook *result)
{
	WtCursor to = {.margin = FIRST_MARGIN};
	WtCursor earlier;
	const WtCursor *from = tail->has_cursor ? &tail->cursor : NULL;
	Look look = {.from = from, .to = &to};
	const char *table;

	memset(result, 0, sizeof(*result));
	to.time = GetCurrentTimestamp();
	/* By a clock that has been set back since, events are older than the cursor. */
	if (from && from->time > to.time)
	{
		earlier = *from;
		earlier.time = to.time;
		earlier.floor = Min(from->floor, to.time - MAX_WINDOW);
		from = look.from = &earlier;
	}
	to.floor = Max(wt_in_flight_since(to.time, from ? from->floor : DT_NOEND),
				   to.time - MAX_WINDOW);
	PushActiveSnapshot(GetLatestSnapshot());
	look.next = U64FromFullTransactionId(ReadNextFullTransactionId());
	if (from)
		check_cursor(from, look.next);
	wt_cursor_take(&to, GetActiveSnapshot(), from);
	table = table_name();
	if (from && table)
	{
		look.seen_before = seen_before(from);
		result->n = run(tail, table, &look, max_rows);
		if (result->n > 0)
			note_skipped(result, result->n);
		result->n = leave_out_shown(tail, result->n, seen_before(&to));
		to.margin = next_margin(from->margin, look.rows);
	}
	PopActiveSnapshot();
	tail->cursor = to;
	tail->has_cursor = true;
	wt_cursor_write(&to, tail->text);
	result->cursor = tail->text;
}

/*
 * windtrap.tail(query text, after text, max_rows int) → rows of windtrap.events, oldest first, and
 * a last row that is none: it has the cursor, and what there was no room for
 */
Datum
windtrap_tail(PG_FUNCTION_ARGS)
{
	enum
	{
		EVENT = 9, /* columns of windtrap.events */
		ALL = 13
	};
	ReturnSetInfo *result_info = (ReturnSetInfo *) fcinfo->resultinfo;
	int max_rows = PG_ARGISNULL(2) ? 1000 : PG_GETARG_INT32(2);
	Datum values[ALL] = {0};
	bool nulls[ALL];
	WtTail *tail;
	WtTailLook look;

	if (max_rows < 1 || max_rows > WT_SEARCH_MAX_ROWS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows is a number from 1 to %d, not %d",
							   WT_SEARCH_MAX_ROWS, max_rows)));
	tail = wt_tail_open(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0),
						PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
						NULL);
	wt_search_begin(fcinfo);
	wt_tail_look(tail, max_rows, &look);
	memset(nulls, true, sizeof(nulls));
	for (int64 i = 0; i < look.n; i++)
	{
		for (int column = 0; column < EVENT; column++)
			values[column] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
										   column + 1, &nulls[column]);
		tuplestore_putvalues(result_info->setResult, result_info->setDesc, values, nulls);
	}
	memset(nulls, true, sizeof(nulls));
	values[EVENT] = CStringGetTextDatum(look.cursor);
	values[EVENT + 1] = Int64GetDatum(look.skipped);
	nulls[EVENT] = nulls[EVENT + 1] = false;
	if (look.skipped > 0)
	{
		values[EVENT + 2] = TimestampTzGetDatum(look.since);
		values[EVENT + 3] = TimestampTzGetDatum(look.until);
		nulls[EVENT + 2] = nulls[EVENT + 3] = false;
	}
	tuplestore_putvalues(result_info->setResult, result_info->setDesc, values, nulls);
	wt_search_end();
	return (Datum) 0;
}
