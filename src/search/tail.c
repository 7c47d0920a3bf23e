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
 * Of a table that Citus has distributed each node knows its own rows' transactions: see nodes.h.
 *
 * Everything is read as the caller would, with his rights and his row security.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "search/cursor.h"
#include "search/nodes.h"
#include "search/position.h"
#include "search/rows.h"
#include "search/search.h"
#include "search/search_sql.h"
#include "search/tail.h"
#include "sealed/links.h"
#include "store/distributed.h"

PG_FUNCTION_INFO_V1(windtrap_tail);
PG_FUNCTION_INFO_V1(windtrap_tail_row);

/* Of events' own times, s: with how many rows read in a look the margin is doubled, and halved. */
#define MIN_MARGIN 10
#define MAX_MARGIN 600
#define FIRST_MARGIN 60
#define FEW_ROWS 15000
#define MANY_ROWS 40000

/* Of distributed tables: a look that has taken so long, µs, doubles the margin, or halves it. */
#define SHORT_LOOK (100 * 1000)
#define LONG_LOOK (400 * 1000)

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
	bool has_cursor; /* of this server */
	WtCursor cursor;
	WtNodes *nodes; /* a cursor over the nodes of Citus; NULL: there is none */
	char *text;		/* of the one or the other */
	HTAB *shown;	/* those that an UPDATE may bring again; NULL: none */
};

/* A look that is under way, for windtrap.tail_row(). */
typedef struct Look
{
	const WtCursor *from;
	const WtCursor *to;
	uint64 next;
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
	" AND %s) AS events"
	" WHERE (%s)"
	" ORDER BY event_timestamp DESC, coalesce(id, '') COLLATE \"C\" DESC LIMIT $2) AS "
	"found)"
	" AS shown ORDER BY event_timestamp, coalesce(id, '') COLLATE \"C\"";

static const char is_new_here[] =
	"windtrap.tail_row(xmin, tableoid, ctid, event_timestamp)";
static const char is_new_there[] =
	"windtrap.tail_shard_row(xmin, tableoid, ctid, event_timestamp, $3, $4)";

/*
 * Rows
 */

/*
 * windtrap.tail_row(xmin xid, tableoid oid, ctid tid, event_timestamp timestamptz) → bool: whether
 * a row has become visible between the two cursors of the look that is under way
 */
Datum
windtrap_tail_row(PG_FUNCTION_ARGS)
{
	Look *look = under_way;

	if (!look)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("windtrap.tail_row() is for windtrap.tail() alone")));
	look->rows++;
	PG_RETURN_BOOL(wt_position_is_new(
		look->from, look->to, look->next, PG_GETARG_TRANSACTIONID(0), PG_GETARG_OID(1),
		(ItemPointer) PG_GETARG_POINTER(2), PG_GETARG_TIMESTAMPTZ(3)));
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
	/* A sealed partition says of rows that came lately by which transaction, of others that they are old. */
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

/* Those of its partitions, too. */
static void
check_table(Oid relation)
{
	ListCell *cell;

	check_heap(relation);
	if (get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE)
		foreach (cell, find_all_inheritors(relation, NoLock, NULL))
			check_heap(lfirst_oid(cell));
}

/* On which node a row is read that several have, nobody knows; nor where it is new then. */
static void
check_distributed(Oid relation)
{
	if (wt_has_replicas(relation))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("what is new in \"%s\" cannot be told, since its rows are "
							   "kept by several nodes of Citus each",
							   get_rel_name(relation)),
						errhint("Ask windtrap.search() for the last minutes instead.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("what is new in \"%s\", which is distributed by Citus, cannot be "
						"told in a transaction that sees nothing new",
						get_rel_name(relation)),
				 errhint("Use the isolation level READ COMMITTED.")));
}

/* The log table, and its name for use in a statement; NULL: there is none. */
static const char *
find_table(Oid *relation)
{
	bool is_null;
	char *name;
	char *schema;

	(void) wt_search_run("SELECT windtrap.log_table()::oid", 0, NULL, NULL);
	*relation = DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	SPI_freetuptable(SPI_tuptable);
	if (is_null)
	{
		*relation = InvalidOid;
		return NULL;
	}
	check_table(*relation);
	name = get_rel_name(*relation);
	schema = get_namespace_name(get_rel_namespace(*relation));
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
	if (!after)
		return tail;
	tail->has_cursor = wt_cursor_read(after, &tail->cursor);
	if (!tail->has_cursor)
		tail->nodes = wt_nodes_read(after);
	if (!tail->has_cursor && !tail->nodes)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("what is given as \"after\" is no cursor of "
							   "windtrap.tail()")));
	return tail;
}

/* Runs the statement, of the rows from some time on; how many there are. */
static int64
run(const WtTail *tail, const char *table, const char *is_new, TimestampTz since,
	int max_rows, const char *from, const char *to)
{
	Oid types[] = {TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID};
	Datum values[] = {TimestampTzGetDatum(since), Int64GetDatum(max_rows),
					  from ? CStringGetTextDatum(from) : 0,
					  to ? CStringGetTextDatum(to) : 0};

	return wt_search_run(
		psprintf(statement, tail->output, table, is_new, tail->condition), from ? 4 : 2,
		types, values);
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

/* By what a look has cost. */
static int
next_margin(int margin, int64 cost, int64 little, int64 much)
{
	if (cost > much)
		margin /= 2;
	else if (cost < little)
		margin *= 2;
	return Min(Max(margin, MIN_MARGIN), MAX_MARGIN);
}

static TimestampTz
read_since(const WtCursor *from)
{
	return from->floor - from->margin * USECS_PER_SEC;
}

/* Leaves out of what has been found what is not to be given. */
static void
note_found(WtTail *tail, WtTailLook *result, int64 n, TimestampTz seen_before)
{
	if (n > 0)
		note_skipped(result, n);
	result->n = leave_out_shown(tail, n, seen_before);
}

static void
keep_text(WtTail *tail, const char *text)
{
	if (tail->text)
		pfree(tail->text);
	tail->text = MemoryContextStrdup(tail->context, text);
}

/* A table of this server alone; NULL: there is none. */
static void
look_here(WtTail *tail, const char *table, int max_rows, WtTailLook *result)
{
	WtCursor to = {.margin = FIRST_MARGIN};
	WtCursor from = tail->cursor;
	Look look = {.from = &from, .to = &to};
	Look *outer = under_way;
	int64 n = 0;
	char text[WT_CURSOR_SIZE];

	look.next = wt_position_take(&to, tail->has_cursor ? &from : NULL);
	if (tail->has_cursor && table)
	{
		PG_TRY();
		{
			under_way = &look;
			n = run(tail, table, is_new_here, read_since(&from), max_rows, NULL, NULL);
		}
		PG_FINALLY();
		{
			under_way = outer;
		}
		PG_END_TRY();
		note_found(tail, result, n, wt_position_seen_before(&to));
		to.margin = next_margin(from.margin, look.rows, FEW_ROWS, MANY_ROWS);
	}
	PopActiveSnapshot();
	tail->cursor = to;
	tail->has_cursor = true;
	wt_cursor_write(&to, text);
	keep_text(tail, text);
}

/* A table that Citus has distributed. */
static void
look_at_nodes(WtTail *tail, const char *table, int max_rows, WtTailLook *result)
{
	const WtNodes *from = tail->nodes;
	WtNodes *to = wt_nodes_ask(from);
	WtNodes *kept;
	int margin = FIRST_MARGIN;
	TimestampTz since = DT_NOEND;
	TimestampTz seen_before = DT_NOEND;
	TimestampTz begun = GetCurrentTimestamp();
	char *text = wt_nodes_write(to);

	for (int i = 0; from && i < from->n; i++)
		since = Min(since, read_since(&from->nodes[i].position));
	for (int i = 0; i < to->n; i++)
		seen_before = Min(seen_before, wt_position_seen_before(&to->nodes[i].position));
	if (from)
	{
		int64 n =
			run(tail, table, is_new_there, since, max_rows, wt_nodes_write(from), text);

		note_found(tail, result, n, seen_before);
		margin = next_margin(from->nodes[0].position.margin,
							 GetCurrentTimestamp() - begun, SHORT_LOOK, LONG_LOOK);
	}
	for (int i = 0; i < to->n; i++)
		to->nodes[i].position.margin = margin;
	kept = MemoryContextAlloc(tail->context, WT_NODES_SIZE(to->n));
	memcpy(kept, to, WT_NODES_SIZE(to->n));
	if (tail->nodes)
		pfree(tail->nodes);
	tail->nodes = kept;
	keep_text(tail, wt_nodes_write(to));
	result->others_write = true;
}

void
wt_tail_look(WtTail *tail, int max_rows, WtTailLook *result)
{
	Oid relation;
	const char *table = find_table(&relation);
	bool is_distributed = table && wt_is_distributed(relation);

	memset(result, 0, sizeof(*result));
	if (is_distributed ? tail->has_cursor : tail->nodes != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg(is_distributed
							? "the cursor is of a time before Citus distributed \"%s\""
							: "the cursor is of nodes of Citus, which has not "
							  "distributed \"%s\"",
						table ? get_rel_name(relation) : "")));
	if (is_distributed)
	{
		check_distributed(relation);
		look_at_nodes(tail, table, max_rows, result);
	}
	else
		look_here(tail, table, max_rows, result);
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
