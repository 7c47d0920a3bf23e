/*
 * scan.c
 *		Runs scans: opens a cursor, and reads its documents as rows.
 *
 * All that a scan needs lives in the query's memory context, and what one opening of the
 * cursor needs in a context beneath that, which a rescan resets.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "bson_writer.h"
#include "compat.h"
#include "connection.h"
#include "convert.h"
#include "error.h"
#include "filter.h"
#include "option.h"
#include "plan.h"
#include "scan.h"

typedef struct WmScan
{
	WmTableOptions table;
	WmColumns *columns;
	bool *wanted;	   /* by column */
	const char *label; /* the table's name */
	List *conditions;
	List *sort;
	List *limit;
	List *column_list;
	List *value_exprs;	/* Exprs */
	List *value_states; /* ExprStates */
	ExprContext *econtext;
	WmConnection *connection;
	mongoc_collection_t *collection;
	MemoryContext opening; /* of the cursor, and its query */
	WmCursor *cursor;	   /* NULL: not opened yet */
	bool at_end;
} WmScan;

/* What a conversion that fails was at. */
typedef struct WmPlace
{
	const char *table;
	const WmColumn *column; /* NULL: none yet */
	const bson_t *document;
} WmPlace;

static void
add_place(void *argument)
{
	WmPlace *place = argument;
	bson_iter_t id;
	const char *which = "with an _id of another kind";

	if (!bson_iter_init_find(&id, place->document, "_id"))
		which = "without _id";
	else if (BSON_ITER_HOLDS_OID(&id) || BSON_ITER_HOLDS_INT(&id))
		which = psprintf("with _id %s", wm_describe(&id));
	else if (BSON_ITER_HOLDS_UTF8(&id))
	{
		uint32 length;
		const char *text = bson_iter_utf8(&id, &length);

		/* It must not raise in its turn. */
		if (pg_verify_mbstr(PG_UTF8, text, (int) length, true))
			which = psprintf("with _id \"%s\"", wm_printable(text));
	}
	if (place->column != NULL)
		errcontext("column \"%s\" of foreign table \"%s\", document %s",
				   place->column->label, place->table, which);
	else
		errcontext("foreign table \"%s\", document %s", place->table, which);
}

void
wm_read_row(const bson_t *document, WmColumns *columns, const bool *wanted,
			const char *table, Datum *values, bool *nulls)
{
	WmPlace place = {.table = table, .document = document};
	ErrorContextCallback callback = {.callback = add_place, .arg = &place};
	bson_iter_t it;
	int next = 0;

	callback.previous = error_context_stack;
	error_context_stack = &callback;
	for (int i = 0; i < columns->n; i++)
	{
		values[i] = (Datum) 0;
		nulls[i] = true;
	}
	if (!bson_iter_init(&it, document))
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("MongoDB sent malformed BSON"));
	while (bson_iter_next(&it))
	{
		const char *name = bson_iter_key(&it);
		int length = (int) bson_iter_key_len(&it);

		/* Mostly a document's members come in the order of the columns. */
		for (int i = 0; i < columns->n; i++)
		{
			int at = next + i < columns->n ? next + i : next + i - columns->n;
			WmColumn *c = &columns->column[at];

			if (c->name == NULL || c->is_doc || c->name_length != length ||
				memcmp(c->name, name, length) != 0)
				continue;
			next = at + 1 < columns->n ? at + 1 : 0;
			if (wanted[at])
			{
				place.column = c;
				values[at] = wm_read_datum(c, &it, &nulls[at]);
			}
			break;
		}
	}
	place.column = columns->doc;
	if (it.err_off > 0)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("MongoDB sent malformed BSON"));
	if (columns->doc != NULL && wanted[columns->doc->number - 1])
	{
		int at = columns->doc->number - 1;
		Jsonb *jb = wm_read_document(document);

		nulls[at] = false;
		if (columns->doc->kind == WM_JSONB)
			values[at] = JsonbPGetDatum(jb);
		else
			values[at] =
				CStringGetTextDatum(JsonbToCString(NULL, &jb->root, VARSIZE(jb)));
	}
	error_context_stack = callback.previous;
}

void
wm_begin_scan(ForeignScanState *node, int flags)
{
	EState *estate = node->ss.ps.state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation relation = node->ss.ss_currentRelation;
	WmScan *s = palloc0(sizeof(WmScan));
	ListCell *cell;

	node->fdw_state = s;
	wm_table_options(RelationGetRelid(relation), &s->table);
	s->label = pstrdup(RelationGetRelationName(relation));
	s->columns = wm_columns(RelationGetDescr(relation));
	s->wanted = palloc0(sizeof(bool) * Max(s->columns->n, 1));
	s->conditions = list_nth(plan->fdw_private, WM_PLAN_CONDITIONS);
	s->sort = list_nth(plan->fdw_private, WM_PLAN_SORT);
	s->limit = list_nth(plan->fdw_private, WM_PLAN_LIMIT);
	s->column_list = list_nth(plan->fdw_private, WM_PLAN_COLUMNS);
	foreach (cell, s->column_list)
	{
		if (lfirst_int(cell) > 0)
			s->wanted[lfirst_int(cell) - 1] = true;
	}
	s->value_exprs = plan->fdw_exprs;
	s->value_states = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	s->econtext = node->ss.ps.ps_ExprContext;
	s->opening = AllocSetContextCreate(estate->es_query_cxt, "windtrap_mongo cursor",
									   ALLOCSET_DEFAULT_SIZES);
	if (flags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	s->connection = wm_connect(
		GetForeignTable(RelationGetRelid(relation))->serverid,
		OidIsValid(wm_scan_owner(node)) ? wm_scan_owner(node) : GetUserId(), false);
	s->collection = wm_collection(s->connection, s->table.database, s->table.collection);
}

/* The filter, with what is known of its values; gives its offset in out. */
static int
write_filter(WmScan *s, StringInfo out, bool evaluate)
{
	WmValue *values = palloc0(sizeof(WmValue) * Max(list_length(s->value_exprs), 1));
	int offset = out->len;

	for (int i = 0; i < list_length(s->value_exprs); i++)
	{
		Expr *e = list_nth(s->value_exprs, i);
		WmValue *v = &values[i];

		v->type = exprType((Node *) e);
		v->is_known = evaluate || IsA(e, Const);
		if (v->is_known)
			v->datum = ExecEvalExprSwitchContext(list_nth(s->value_states, i),
												 s->econtext, &v->isnull);
	}
	wm_filter_write(out, s->columns, s->conditions, values);
	return offset;
}

/* What find takes beside the filter; gives its offset in out. */
static int
write_options(WmScan *s, StringInfo out)
{
	int offset = wm_bson_begin(out);
	int member;
	ListCell *cell;

	if (!list_member_int(s->column_list, 0))
	{
		/* MongoDB sends the _id as well; messages name a document by it. */
		member = wm_bson_begin_document(out, "projection", 10);
		foreach (cell, s->column_list)
		{
			WmColumn *c = &s->columns->column[lfirst_int(cell) - 1];

			wm_bson_int32(out, c->name, c->name_length, 1);
		}
		if (s->column_list == NIL)
			wm_bson_int32(out, "_id", 3, 1);
		wm_bson_end(out, member);
	}
	if (s->sort != NIL)
	{
		member = wm_bson_begin_document(out, "sort", 4);
		foreach (cell, s->sort)
		{
			int number = lfirst_int(cell);
			WmColumn *c = &s->columns->column[(number < 0 ? -number : number) - 1];

			wm_bson_int32(out, c->name, c->name_length, number < 0 ? -1 : 1);
		}
		wm_bson_end(out, member);
		wm_bson_bool(out, "allowDiskUse", 12, true);
	}
	if (s->limit != NIL)
		wm_bson_int64(out, "limit", 5, linitial_int(s->limit));
	wm_bson_end(out, offset);
	return offset;
}

static void
open_cursor(WmScan *s)
{
	MemoryContext old = MemoryContextSwitchTo(s->opening);
	StringInfoData bson;
	int filter_at;
	int options_at;
	bson_t filter;
	bson_t options;

	initStringInfo(&bson);
	filter_at = write_filter(s, &bson, true);
	options_at = write_options(s, &bson);
	wm_bson_view(&filter, &bson, filter_at);
	wm_bson_view(&options, &bson, options_at);
	s->cursor = wm_cursor(s->connection, mongoc_collection_find_with_opts(
											 s->collection, &filter, &options, NULL));
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
wm_iterate_scan(ForeignScanState *node)
{
	WmScan *s = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	mongoc_cursor_t *cursor;
	const bson_t *document;
	bson_error_t error;

	ExecClearTuple(slot);
	if (s->at_end)
		return slot;
	if (s->cursor == NULL)
		open_cursor(s);
	cursor = wm_cursor_of(s->cursor);
	if (!mongoc_cursor_next(cursor, &document))
	{
		/* The end and a failure look the same until one asks. */
		if (mongoc_cursor_error(cursor, &error))
			wm_fail(s->connection, &error,
					psprintf("could not read from MongoDB collection \"%s.%s\"",
							 s->table.database, s->table.collection),
					NULL);
		wm_check_interrupted(s->connection);
		s->at_end = true;
		return slot;
	}
	CHECK_FOR_INTERRUPTS();
	wm_read_row(document, s->columns, s->wanted, s->label, slot->tts_values,
				slot->tts_isnull);
	return ExecStoreVirtualTuple(slot);
}

static void
close_cursor(WmScan *s)
{
	if (s->cursor != NULL)
		wm_cursor_close(s->cursor);
	s->cursor = NULL;
	s->at_end = false;
	MemoryContextReset(s->opening);
}

void
wm_rescan(ForeignScanState *node)
{
	close_cursor(node->fdw_state);
}

void
wm_end_scan(ForeignScanState *node)
{
	WmScan *s = node->fdw_state;

	if (s != NULL)
		close_cursor(s);
}

char *
wm_show(const StringInfoData *bson, int offset)
{
	bson_t view;
	char *json;
	char *copy;

	wm_bson_view(&view, bson, offset);
	json = bson_as_relaxed_extended_json(&view, NULL);
	copy = json != NULL ? pstrdup(json) : pstrdup("");
	bson_free(json);
	return copy;
}

void
wm_explain_scan(ForeignScanState *node, ExplainState *es)
{
	WmScan *s = node->fdw_state;
	StringInfoData bson;
	int filter_at;
	int options_at;

	if (!es->verbose)
		return;
	initStringInfo(&bson);
	filter_at = write_filter(s, &bson, false);
	options_at = write_options(s, &bson);
	ExplainPropertyText("MongoDB Collection",
						psprintf("%s.%s", s->table.database, s->table.collection), es);
	ExplainPropertyText("MongoDB Filter", wm_show(&bson, filter_at), es);
	ExplainPropertyText("MongoDB Options", wm_show(&bson, options_at), es);
}
