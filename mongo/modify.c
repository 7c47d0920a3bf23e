/*
 * modify.c
 *		INSERT, COPY, UPDATE, DELETE and TRUNCATE.
 *
 * Nothing of this is undone by a ROLLBACK: what MongoDB has acknowledged is there.  A row
 * that has its own _id can be sent again, and is then a duplicate, not a double.
 *
 * Words:
 *	chunk		the documents of one call of libmongoc's, which sends them in one message
 *				or several; bounded by count and by bytes
 *	ignored		a duplicate that was asked to be taken as delivered
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "bson_writer.h"
#include "column.h"
#include "compat.h"
#include "connection.h"
#include "convert.h"
#include "error.h"
#include "modify.h"
#include "number.h"
#include "option.h"
#include "scan.h"

/* A chunk is sent when it has grown beyond this. */
#define CHUNK_SIZE (8 * 1024 * 1024)

#define MONGO_DUPLICATE_KEY 11000

typedef struct WmModify
{
	WmTableOptions table;
	WmColumns *columns;
	List *targets;		   /* UPDATE: column numbers */
	AttrNumber id_junk;	   /* UPDATE, DELETE: where the plan has the _id */
	bool ignore_conflicts; /* ON CONFLICT DO NOTHING */
	bool is_copy;		   /* rows are gathered here, because COPY gives one at a time */
	WmConnection *connection;
	mongoc_collection_t *collection;
	const char *doing; /* of messages */

	MemoryContext chunk; /* of all that follows; reset when it has been sent */
	StringInfoData bson;
	int *offsets; /* of the documents in bson */
	int n;
	int room;
} WmModify;

/* What wm_write_members is to leave out. */
typedef struct WmSkip
{
	WmColumns *columns;
	const bool *written; /* by column */
	bool id;			 /* whether _id was written */
	bool id_seen;		 /* out: whether the document has an _id of its own */
} WmSkip;

int
wm_is_updatable(Relation relation)
{
	TupleDesc tupdesc = RelationGetDescr(relation);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(tupdesc, i);

		if (!a->attisdropped && strcmp(NameStr(a->attname), "_id") == 0)
			return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
	}
	return 1 << CMD_INSERT;
}

/* Tables of an inheritance tree share such a name only with those of one type. */
static char *
junk_name(Oid type)
{
	return psprintf("windtrap_mongo_id_%u", type);
}

void
wm_add_update_targets(PlannerInfo *root, Index rtindex, RangeTblEntry *rte,
					  Relation relation)
{
	TupleDesc tupdesc = RelationGetDescr(relation);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(tupdesc, i);

		if (!a->attisdropped && strcmp(NameStr(a->attname), "_id") == 0)
		{
			add_row_identity_var(root,
								 makeVar(rtindex, a->attnum, a->atttypid, a->atttypmod,
										 a->attcollation, 0),
								 rtindex, junk_name(a->atttypid));
			return;
		}
	}
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("foreign table \"%s\" has no column \"_id\"",
				   RelationGetRelationName(relation)),
			errdetail("UPDATE and DELETE find documents by it."));
}

List *
wm_plan_modify(PlannerInfo *root, ModifyTable *plan, Index index, int subplan)
{
	RangeTblEntry *rte = planner_rt_fetch(index, root);
	List *targets = NIL;

	if (plan->onConflictAction != ONCONFLICT_NONE &&
		plan->onConflictAction != ONCONFLICT_NOTHING)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("ON CONFLICT DO UPDATE is not supported on foreign tables"));
	if (plan->operation == CMD_UPDATE)
	{
		Relation relation = table_open(rte->relid, NoLock);
		WmColumns *columns = wm_columns(RelationGetDescr(relation));
		Bitmapset *updated = get_rel_all_updated_cols(root, find_base_rel(root, index));
		bool all =
			relation->trigdesc != NULL && relation->trigdesc->trig_update_before_row;

		for (int i = 0; i < columns->n; i++)
		{
			WmColumn *c = &columns->column[i];
			bool is_named =
				bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, updated);

			if (c->name == NULL || !(is_named || (all && !c->is_doc)))
				continue;
			if (c->is_id)
			{
				if (is_named)
					ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("column \"_id\" of foreign table \"%s\" cannot be "
								   "changed",
								   RelationGetRelationName(relation)),
							errdetail("In MongoDB a document keeps its _id."));
				continue;
			}
			if (!c->can_be_path)
				ereport(
					ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("column \"%s\" of foreign table \"%s\" cannot be changed",
						   c->label, RelationGetRelationName(relation)),
					errdetail("In MongoDB's updates such a name means something else."));
			targets = lappend_int(targets, c->number);
		}
		table_close(relation, NoLock);
	}
	return list_make2(targets,
					  list_make1_int(plan->onConflictAction == ONCONFLICT_NOTHING));
}

static WmModify *
begin(EState *estate, ResultRelInfo *rel, const char *verb)
{
	Relation relation = rel->ri_RelationDesc;
	WmModify *m = palloc0(sizeof(WmModify));
	Oid owner = wm_modify_owner(rel, estate);

	wm_table_options(RelationGetRelid(relation), &m->table);
	m->columns = wm_columns(RelationGetDescr(relation));
	m->doing = psprintf("could not %s MongoDB collection \"%s.%s\"", verb,
						m->table.database, m->table.collection);
	m->connection = wm_connect(GetForeignTable(RelationGetRelid(relation))->serverid,
							   OidIsValid(owner) ? owner : GetUserId(), true);
	m->collection = wm_collection(m->connection, m->table.database, m->table.collection);
	m->chunk = AllocSetContextCreate(estate->es_query_cxt, "windtrap_mongo chunk",
									 ALLOCSET_DEFAULT_SIZES);
	m->room = 0;
	rel->ri_FdwState = m;
	return m;
}

void
wm_begin_modify(ModifyTableState *state, ResultRelInfo *rel, List *private, int subplan,
				int flags)
{
	WmModify *m;
	CmdType operation = state->operation;

	if (flags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	m = begin(state->ps.state, rel,
			  operation == CMD_INSERT	? "insert into"
			  : operation == CMD_UPDATE ? "update"
										: "delete from");
	m->targets = linitial(private);
	m->ignore_conflicts = linitial_int((List *) lsecond(private)) != 0;
	if (operation != CMD_INSERT)
	{
		m->id_junk = ExecFindJunkAttributeInTlist(outerPlanState(state)->plan->targetlist,
												  junk_name(m->columns->id->type));
		if (!AttributeNumberIsValid(m->id_junk))
			elog(ERROR, "the plan has no _id");
	}
}

/* Rows that are routed here: by COPY, or to a partition. */
void
wm_begin_insert(ModifyTableState *state, ResultRelInfo *rel)
{
	ModifyTable *plan = castNode(ModifyTable, state->ps.plan);
	EState *estate = state->ps.state;
	MemoryContext old;
	WmModify *m;

	if (plan != NULL && plan->onConflictAction != ONCONFLICT_NONE &&
		plan->onConflictAction != ONCONFLICT_NOTHING)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("ON CONFLICT DO UPDATE is not supported on foreign tables"));
	if (plan != NULL && plan->operation == CMD_UPDATE && rel->ri_RangeTableIndex != 0)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot route tuples into foreign table to be updated \"%s\"",
					   RelationGetRelationName(rel->ri_RelationDesc)));
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	m = begin(estate, rel, "insert into");
	m->ignore_conflicts = plan != NULL && plan->onConflictAction == ONCONFLICT_NOTHING;
	m->is_copy = WM_COPY_COMES_IN_ROWS && plan == NULL &&
				 rel->ri_WithCheckOptions == NIL &&
				 (rel->ri_TrigDesc == NULL || !rel->ri_TrigDesc->trig_insert_after_row);
	MemoryContextSwitchTo(old);
}

int
wm_batch_size(ResultRelInfo *rel)
{
	WmTableOptions table;

	/* What needs each row's fate at once. */
	if (rel->ri_projectReturning != NULL || rel->ri_WithCheckOptions != NIL ||
		(rel->ri_TrigDesc != NULL && (rel->ri_TrigDesc->trig_insert_before_row ||
									  rel->ri_TrigDesc->trig_insert_after_row)))
		return 1;
	if (rel->ri_FdwState != NULL)
		return ((WmModify *) rel->ri_FdwState)->table.batch_size;
	wm_table_options(RelationGetRelid(rel->ri_RelationDesc), &table);
	return table.batch_size;
}

static bool
is_to_be_skipped(void *argument, const char *name, int length)
{
	WmSkip *skip = argument;

	if (length == 3 && memcmp(name, "_id", 3) == 0)
	{
		skip->id_seen = true;
		return skip->id;
	}
	for (int i = 0; i < skip->columns->n; i++)
	{
		WmColumn *c = &skip->columns->column[i];

		if (skip->written[i] && c->name_length == length &&
			memcmp(c->name, name, length) == 0)
			return true;
	}
	return false;
}

static Jsonb *
jsonb_of(WmColumn *c, Datum value)
{
	if (c->kind == WM_JSONB)
		return DatumGetJsonbP(value);
	return DatumGetJsonbP(
		DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(value))));
}

/* A new ObjectId in the form of the column. */
static Datum
oid_datum(WmColumn *c, const bson_oid_t *oid)
{
	char text[25];

	bson_oid_to_string(oid, text);
	switch (c->kind)
	{
		case WM_TEXT:
			return InputFunctionCall(&c->input, text, c->input_parameter, c->typmod);
		case WM_JSONB:
		case WM_JSON:
			return InputFunctionCall(&c->input, psprintf("{\"$oid\": \"%s\"}", text),
									 c->input_parameter, c->typmod);
		default:
			ereport(ERROR, errcode(ERRCODE_NOT_NULL_VIOLATION),
					errmsg("null value in column \"_id\""),
					errdetail("MongoDB makes ObjectIds, which are no %s.",
							  format_type_be(c->base)));
	}
	return (Datum) 0;
}

/*
 * Appends the slot's row as a document; gives its offset.  Where it has no _id, it gets an
 * ObjectId, and *new_id is it as a value of the column, if there is one.
 */
static int
write_document(WmModify *m, StringInfo out, TupleTableSlot *slot, Datum *new_id,
			   bool *has_new_id)
{
	WmColumns *columns = m->columns;
	bool *written = palloc0(sizeof(bool) * Max(columns->n, 1));
	WmSkip skip = {.columns = columns, .written = written};
	int begun = wm_bson_begin(out);

	*has_new_id = false;
	slot_getallattrs(slot);
	if (columns->id != NULL && !slot->tts_isnull[columns->id->number - 1])
	{
		wm_write_datum(out, columns->id, "_id", 3,
					   slot->tts_values[columns->id->number - 1]);
		skip.id = true;
	}
	for (int i = 0; i < columns->n; i++)
	{
		WmColumn *c = &columns->column[i];

		if (c->name == NULL || c->is_id || c->is_doc || slot->tts_isnull[i])
			continue;
		wm_write_datum(out, c, c->name, c->name_length, slot->tts_values[i]);
		written[i] = true;
	}
	if (columns->doc != NULL && !slot->tts_isnull[columns->doc->number - 1])
		wm_write_members(
			out, jsonb_of(columns->doc, slot->tts_values[columns->doc->number - 1]),
			is_to_be_skipped, &skip);
	if (!skip.id && !skip.id_seen)
	{
		bson_oid_t oid;

		bson_oid_init(&oid, NULL);
		wm_bson_oid(out, "_id", 3, &oid);
		if (columns->id != NULL)
		{
			*new_id = oid_datum(columns->id, &oid);
			*has_new_id = true;
		}
	}
	wm_bson_end(out, begun);
	pfree(written);
	if (out->len - begun > WM_MAX_DOCUMENT_SIZE)
	{
		bson_t view;
		bson_iter_t id;

		wm_bson_view(&view, out, begun);
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the document is larger than the %d MB that MongoDB takes",
					   WM_MAX_DOCUMENT_SIZE / 1024 / 1024),
				bson_iter_init_find(&id, &view, "_id") && !BSON_ITER_HOLDS_DOCUMENT(&id)
					? errdetail("It has _id %s and %d bytes.", wm_describe(&id),
								out->len - begun)
					: errdetail("It has %d bytes.", out->len - begun));
	}
	return begun;
}

static void
add_document(WmModify *m, TupleTableSlot *slot, Datum *new_id, bool *has_new_id)
{
	MemoryContext old = MemoryContextSwitchTo(m->chunk);

	if (m->n == 0)
	{
		initStringInfo(&m->bson);
		m->room = Min(m->table.batch_size, 1000);
		m->offsets = palloc(sizeof(int) * m->room);
	}
	else if (m->n == m->room)
	{
		m->room *= 2;
		m->offsets = repalloc(m->offsets, sizeof(int) * m->room);
	}
	m->offsets[m->n] = write_document(m, &m->bson, slot, new_id, has_new_id);
	m->n++;
	MemoryContextSwitchTo(old);
}

/* Whether a duplicate is of the _id, and not of another unique index. */
static bool
is_duplicate_id(bson_iter_t *write_error)
{
	bson_iter_t it;
	bson_iter_t key;

	if (bson_iter_recurse(write_error, &it) && bson_iter_find(&it, "keyPattern") &&
		BSON_ITER_HOLDS_DOCUMENT(&it) && bson_iter_recurse(&it, &key))
		return bson_iter_next(&key) && strcmp(bson_iter_key(&key), "_id") == 0 &&
			   !bson_iter_next(&key);
	/* Servers before 4.4 only tell in words. */
	return bson_iter_recurse(write_error, &it) && bson_iter_find(&it, "errmsg") &&
		   BSON_ITER_HOLDS_UTF8(&it) &&
		   strstr(bson_iter_utf8(&it, NULL), " index: _id_ ") != NULL;
}

static char *
describe_document(WmModify *m, int i)
{
	bson_t view;
	bson_iter_t id;

	wm_bson_view(&view, &m->bson, m->offsets[i]);
	if (!bson_iter_init_find(&id, &view, "_id"))
		return NULL;
	return psprintf("The document has _id %s.", wm_describe(&id));
}

/* Raises the first of write errors that is not ignored; gives how many there are. */
static int
judge_write_errors(WmModify *m, const bson_t *reply, bool *inserted)
{
	bson_iter_t it;
	bson_iter_t all;
	int n = 0;

	if (!bson_iter_init_find(&it, reply, "writeErrors") || !bson_iter_recurse(&it, &all))
		return 0;
	while (bson_iter_next(&all))
	{
		bson_iter_t member;
		bson_error_t error = {.domain = MONGOC_ERROR_SERVER};
		int index = -1;

		if (!bson_iter_recurse(&all, &member))
			continue;
		while (bson_iter_next(&member))
		{
			const char *key = bson_iter_key(&member);

			if (strcmp(key, "index") == 0)
				index = (int) bson_iter_as_int64(&member);
			else if (strcmp(key, "code") == 0)
				error.code = (uint32) bson_iter_as_int64(&member);
			else if (strcmp(key, "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&member))
				strlcpy(error.message, bson_iter_utf8(&member, NULL),
						sizeof(error.message));
		}
		n++;
		if (index < 0 || index >= m->n)
			wm_fail(m->connection, &error, m->doing, NULL);
		if (error.code == MONGO_DUPLICATE_KEY &&
			(m->ignore_conflicts ||
			 (m->table.ignore_duplicates && is_duplicate_id(&all))))
		{
			inserted[index] = false;
			continue;
		}
		wm_fail(m->connection, &error, m->doing, describe_document(m, index));
	}
	return n;
}

/*
 * Sends the chunk; inserted has a place for each document: whether it was inserted, and
 * not ignored.  The chunk must be ended after that.
 */
static void
send_chunk(WmModify *m, bool *inserted)
{
	MemoryContext old = MemoryContextSwitchTo(m->chunk);
	bson_t *views = wm_bson_array(m->n);
	const bson_t **documents = palloc(sizeof(bson_t *) * m->n);
	StringInfoData text;
	bson_t options;
	bson_t *reply = wm_reply();
	bson_error_t error = {0};
	bson_iter_t it;
	int64 n_inserted = 0;

	for (int i = 0; i < m->n; i++)
	{
		wm_bson_view(&views[i], &m->bson, m->offsets[i]);
		documents[i] = &views[i];
		inserted[i] = true;
	}
	initStringInfo(&text);
	wm_bson_begin(&text);
	/* One that fails does not keep the ones behind it back. */
	wm_bson_bool(&text, "ordered", 7, false);
	/* libmongoc would refuse all because of one that has an empty name. */
	wm_bson_bool(&text, "validate", 8, false);
	wm_bson_end(&text, 0);
	wm_bson_view(&options, &text, 0);
	if (!mongoc_collection_insert_many(m->collection, documents, m->n, &options, reply,
									   &error))
	{
		int n_errors;

		wm_check_interrupted(m->connection);
		n_errors = judge_write_errors(m, reply, inserted);
		if (bson_iter_init_find(&it, reply, "insertedCount"))
			n_inserted = bson_iter_as_int64(&it);
		if (n_errors == 0 || n_inserted + n_errors != m->n ||
			(bson_iter_init_find(&it, reply, "writeConcernErrors")))
			wm_fail(m->connection, &error, m->doing,
					error.domain == MONGOC_ERROR_WRITE_CONCERN
						? "The documents may be stored nevertheless."
						: NULL);
	}
	MemoryContextSwitchTo(old);
}

static void
end_chunk(WmModify *m)
{
	m->n = 0;
	MemoryContextReset(m->chunk);
}

static void
send_gathered(WmModify *m)
{
	if (m->n > 0)
		send_chunk(m, MemoryContextAlloc(m->chunk, sizeof(bool) * m->n));
	end_chunk(m);
}

TupleTableSlot *
wm_insert(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot,
		  TupleTableSlot *plan_slot)
{
	WmModify *m = rel->ri_FdwState;
	Datum new_id;
	bool has_new_id;
	bool inserted;

	add_document(m, slot, &new_id, &has_new_id);
	if (m->is_copy)
	{
		if (m->n >= m->table.batch_size || m->bson.len >= CHUNK_SIZE)
			send_gathered(m);
		return slot;
	}
	send_chunk(m, &inserted);
	if (inserted && has_new_id && rel->ri_projectReturning != NULL)
	{
		TupleDesc tupdesc = slot->tts_tupleDescriptor;
		int at = m->columns->id->number - 1;
		Datum *values = palloc(sizeof(Datum) * tupdesc->natts);
		bool *nulls = palloc(sizeof(bool) * tupdesc->natts);

		memcpy(values, slot->tts_values, sizeof(Datum) * tupdesc->natts);
		memcpy(nulls, slot->tts_isnull, sizeof(bool) * tupdesc->natts);
		values[at] = new_id;
		nulls[at] = false;
		ExecForceStoreHeapTuple(heap_form_tuple(tupdesc, values, nulls), slot, false);
	}
	end_chunk(m);
	return inserted ? slot : NULL;
}

TupleTableSlot **
wm_insert_batch(EState *estate, ResultRelInfo *rel, TupleTableSlot **slots,
				TupleTableSlot **plan_slots, int *n)
{
	WmModify *m = rel->ri_FdwState;
	bool *inserted = palloc(sizeof(bool) * *n);
	TupleTableSlot **result = palloc(sizeof(TupleTableSlot *) * *n);
	int first = 0;
	int n_inserted = 0;

	for (int i = 0; i < *n; i++)
	{
		Datum new_id;
		bool has_new_id;

		add_document(m, slots[i], &new_id, &has_new_id);
		if (m->bson.len >= CHUNK_SIZE || i == *n - 1)
		{
			send_chunk(m, inserted + first);
			end_chunk(m);
			first = i + 1;
		}
	}
	for (int i = 0; i < *n; i++)
	{
		if (inserted[i])
			result[n_inserted++] = slots[i];
	}
	pfree(inserted);
	*n = n_inserted;
	return result;
}

/* {_id: …} of the row; gives its offset. */
static int
write_key(WmModify *m, StringInfo out, TupleTableSlot *plan_slot)
{
	WmColumn *c = m->columns->id;
	bool isnull;
	Datum id = ExecGetJunkAttribute(plan_slot, m->id_junk, &isnull);
	int key;
	int test;
	int in;

	if (isnull)
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("a document without _id cannot be found again"));
	key = wm_bson_begin(out);
	test = wm_bson_begin_document(out, "_id", 3);
	if (c->kind == WM_TEXT)
	{
		char *text = OutputFunctionCall(&c->output, id);

		/* What was read may be an ObjectId or its digits. */
		in = wm_bson_begin_array(out, "$in", 3);
		wm_write_datum(out, c, "0", 1, id);
		wm_write_oid_text(out, "1", 1, text, (int) strlen(text));
		wm_bson_end(out, in);
	}
	else if (c->kind == WM_NUMERIC)
	{
		/* MongoDB's 0.1 as a double is not its 0.1 as a decimal. */
		in = wm_bson_begin_array(out, "$in", 3);
		wm_write_number(out, "0", 1, DatumGetNumeric(id));
		wm_write_decimal128(out, "1", 1, DatumGetNumeric(id));
		wm_bson_end(out, in);
	}
	else
		wm_write_datum(out, c, "$eq", 3, id);
	wm_bson_end(out, test);
	wm_bson_end(out, key);
	return key;
}

/* {"$set": …, "$unset": …}; gives its offset, or -1 where there is nothing to change. */
static int
write_changes(WmModify *m, StringInfo out, TupleTableSlot *slot)
{
	int begun = wm_bson_begin(out);
	ListCell *cell;
	bool any = false;

	for (int pass = 0; pass < 2; pass++)
	{
		int member = -1;

		foreach (cell, m->targets)
		{
			WmColumn *c = &m->columns->column[lfirst_int(cell) - 1];
			bool isnull = slot->tts_isnull[c->number - 1];

			if (isnull != (pass == 1))
				continue;
			if (member < 0)
				member = wm_bson_begin_document(out, pass == 0 ? "$set" : "$unset",
												pass == 0 ? 4 : 6);
			if (isnull)
				wm_bson_bool(out, c->name, c->name_length, true);
			else
				wm_write_datum(out, c, c->name, c->name_length,
							   slot->tts_values[c->number - 1]);
			any = true;
		}
		if (member >= 0)
			wm_bson_end(out, member);
	}
	wm_bson_end(out, begun);
	return any ? begun : -1;
}

/* A whole document in place of the old one, which keeps its _id. */
static int
write_replacement(WmModify *m, StringInfo out, TupleTableSlot *slot)
{
	bool *written = palloc0(sizeof(bool) * Max(m->columns->n, 1));
	WmSkip skip = {.columns = m->columns, .written = written};
	int begun = wm_bson_begin(out);
	ListCell *cell;

	foreach (cell, m->targets)
	{
		WmColumn *c = &m->columns->column[lfirst_int(cell) - 1];

		if (c->is_doc)
			continue;
		written[c->number - 1] = true;
		if (!slot->tts_isnull[c->number - 1])
			wm_write_datum(out, c, c->name, c->name_length,
						   slot->tts_values[c->number - 1]);
	}
	wm_write_members(
		out, jsonb_of(m->columns->doc, slot->tts_values[m->columns->doc->number - 1]),
		is_to_be_skipped, &skip);
	wm_bson_end(out, begun);
	return begun;
}

/* How many documents a reply says that there were; raises where the call has failed. */
static int64
count_of(WmModify *m, bool ok, const bson_error_t *error, const bson_t *reply,
		 const char *member)
{
	bson_iter_t it;

	if (!ok)
		wm_fail(m->connection, error, m->doing,
				error->domain == MONGOC_ERROR_WRITE_CONCERN
					? "The change may be stored nevertheless."
					: NULL);
	return bson_iter_init_find(&it, reply, member) ? bson_iter_as_int64(&it) : 0;
}

TupleTableSlot *
wm_update(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot,
		  TupleTableSlot *plan_slot)
{
	WmModify *m = rel->ri_FdwState;
	MemoryContext old = MemoryContextSwitchTo(m->chunk);
	WmColumn *doc = m->columns->doc;
	StringInfoData bson;
	bson_t *reply = wm_reply();
	bson_error_t error = {0};
	bson_t key;
	bson_t change;
	bson_t options;
	int key_at;
	int change_at;
	int options_at;
	int64 n = 1;

	initStringInfo(&bson);
	slot_getallattrs(slot);
	options_at = wm_bson_begin(&bson);
	wm_bson_bool(&bson, "validate", 8, false);
	wm_bson_end(&bson, options_at);
	key_at = write_key(m, &bson, plan_slot);
	if (doc != NULL && list_member_int(m->targets, doc->number))
	{
		if (slot->tts_isnull[doc->number - 1])
			ereport(ERROR, errcode(ERRCODE_NOT_NULL_VIOLATION),
					errmsg("null value in column \"__doc\""));
		change_at = write_replacement(m, &bson, slot);
		wm_bson_view(&options, &bson, options_at);
		wm_bson_view(&key, &bson, key_at);
		wm_bson_view(&change, &bson, change_at);
		n = count_of(m,
					 mongoc_collection_replace_one(m->collection, &key, &change, &options,
												   reply, &error),
					 &error, reply, "matchedCount");
	}
	else if ((change_at = write_changes(m, &bson, slot)) >= 0)
	{
		wm_bson_view(&options, &bson, options_at);
		wm_bson_view(&key, &bson, key_at);
		wm_bson_view(&change, &bson, change_at);
		n = count_of(m,
					 mongoc_collection_update_one(m->collection, &key, &change, &options,
												  reply, &error),
					 &error, reply, "matchedCount");
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(m->chunk);
	return n > 0 ? slot : NULL;
}

/*
 * Deletes a document and puts what it was into the slot; gives whether there was one.
 */
static bool
delete_returning(WmModify *m, const bson_t *key, TupleTableSlot *slot, const char *label)
{
	mongoc_find_and_modify_opts_t *options = mongoc_find_and_modify_opts_new();
	bson_t *reply = wm_reply();
	bson_error_t error = {0};
	bson_iter_t it;
	bson_t document;
	uint32 size;
	const uint8 *data;
	bool *wanted;
	bool ok;

	mongoc_find_and_modify_opts_set_flags(options, MONGOC_FIND_AND_MODIFY_REMOVE);
	ok = mongoc_collection_find_and_modify_with_opts(m->collection, key, options, reply,
													 &error);
	mongoc_find_and_modify_opts_destroy(options);
	if (!ok)
		wm_fail(m->connection, &error, m->doing, NULL);
	if (!bson_iter_init_find(&it, reply, "value") || !BSON_ITER_HOLDS_DOCUMENT(&it))
		return false;
	bson_iter_document(&it, &size, &data);
	if (!bson_init_static(&document, data, size))
		return false;
	wanted = palloc(sizeof(bool) * Max(m->columns->n, 1));
	memset(wanted, true, sizeof(bool) * m->columns->n);
	ExecClearTuple(slot);
	wm_read_row(&document, m->columns, wanted, label, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	/* What it points to goes with the reply. */
	ExecMaterializeSlot(slot);
	return true;
}

TupleTableSlot *
wm_delete(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot,
		  TupleTableSlot *plan_slot)
{
	WmModify *m = rel->ri_FdwState;
	MemoryContext old = MemoryContextSwitchTo(m->chunk);
	StringInfoData bson;
	bson_error_t error = {0};
	bson_t key;
	int key_at;
	bool found;

	initStringInfo(&bson);
	key_at = write_key(m, &bson, plan_slot);
	wm_bson_view(&key, &bson, key_at);
	if (rel->ri_projectReturning != NULL)
		found = delete_returning(m, &key, slot,
								 RelationGetRelationName(rel->ri_RelationDesc));
	else
	{
		bson_t *reply = wm_reply();
		bool ok = mongoc_collection_delete_one(m->collection, &key, NULL, reply, &error);

		found = count_of(m, ok, &error, reply, "deletedCount") > 0;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(m->chunk);
	return found ? slot : NULL;
}

void
wm_end_modify(EState *estate, ResultRelInfo *rel)
{
}

void
wm_end_insert(EState *estate, ResultRelInfo *rel)
{
	WmModify *m = rel->ri_FdwState;

	if (m != NULL && m->is_copy)
		send_gathered(m);
}

void
wm_truncate(List *relations, DropBehavior behavior, bool restart_sequences)
{
	ListCell *cell;

	foreach (cell, relations)
	{
		Relation relation = lfirst(cell);
		MemoryContext context = AllocSetContextCreate(
			CurrentMemoryContext, "windtrap_mongo truncate", ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);
		WmTableOptions table;
		WmConnection *connection;
		bson_t everything = BSON_INITIALIZER;
		bson_error_t error = {0};

		wm_table_options(RelationGetRelid(relation), &table);
		connection = wm_connect(GetForeignTable(RelationGetRelid(relation))->serverid,
								GetUserId(), true);
		/* Not by dropping the collection, which would take its indexes along. */
		if (!mongoc_collection_delete_many(
				wm_collection(connection, table.database, table.collection), &everything,
				NULL, wm_reply(), &error))
			wm_fail(connection, &error,
					psprintf("could not empty MongoDB collection \"%s.%s\"",
							 table.database, table.collection),
					NULL);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
}

void
wm_explain_modify(ModifyTableState *state, ResultRelInfo *rel, List *private, int subplan,
				  ExplainState *es)
{
	WmTableOptions table;

	if (!es->verbose)
		return;
	wm_table_options(RelationGetRelid(rel->ri_RelationDesc), &table);
	ExplainPropertyText("MongoDB Collection",
						psprintf("%s.%s", table.database, table.collection), es);
	if (state->operation == CMD_INSERT)
		ExplainPropertyInteger("Batch Size", NULL, wm_batch_size(rel), es);
}
