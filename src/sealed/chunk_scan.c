/*
 * chunk_scan.c
 *		Opens chunks, fetches their columns, and knows which rows are left.
 *
 * Two kinds of memory: what column/ decodes is in an arena from malloc, which no ERROR frees;
 * so its end hangs on the scan's memory context.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/pending.h"

static void
no_memory(size_t bytes)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
			 errdetail("A chunk of a sealed partition needs %zu bytes more.", bytes)));
}

static void
destroy_arena(void *arena)
{
	wt_arena_destroy(arena);
}

static AttrNumber
column_named(TupleDesc columns, const char *name)
{
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(columns, i);

		if (!a->attisdropped && strcmp(NameStr(a->attname), name) == 0)
			return a->attnum;
	}
	return InvalidAttrNumber;
}

WtChunkScan *
wt_chunk_scan_create(Relation foreign, Oid chunks, Snapshot snapshot)
{
	WtChunkScan *scan = palloc0(sizeof(WtChunkScan));
	MemoryContextCallback *callback;

	scan->foreign = foreign;
	scan->columns = RelationGetDescr(foreign);
	scan->time_column = column_named(scan->columns, "event_timestamp");
	scan->data_column = column_named(scan->columns, "data");
	scan->status_column = column_named(scan->columns, "status");
	scan->context = CurrentMemoryContext;
	scan->chunk_context = AllocSetContextCreate(CurrentMemoryContext, "sealed chunk",
												ALLOCSET_DEFAULT_SIZES);
	/* A callback is called once only: so it is not chunk_context's, which is reset. */
	scan->arena_context = AllocSetContextCreate(CurrentMemoryContext, "sealed columns",
												ALLOCSET_SMALL_SIZES);
	callback = MemoryContextAllocZero(scan->arena_context, sizeof(*callback));
	scan->arena = wt_arena_create(no_memory);
	if (scan->arena == NULL)
		no_memory(1);
	callback->func = destroy_arena;
	callback->arg = scan->arena;
	MemoryContextRegisterResetCallback(scan->arena_context, callback);
	scan->table = wt_chunk_table_open(chunks, snapshot);
	scan->n_numbers = wt_chunk_table_numbers(scan->table, &scan->numbers);
	return scan;
}

void
wt_chunk_scan_destroy(WtChunkScan *scan)
{
	wt_chunk_table_close(scan->table);
	MemoryContextDelete(scan->chunk_context);
	MemoryContextDelete(scan->arena_context);
	pfree(scan->numbers);
	pfree(scan);
}

void
wt_chunk_scan_damaged(const WtChunkScan *scan, const char *how)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("chunk %d of \"%s\" is damaged: %s",
						   scan->chunk ? scan->chunk->number : -1,
						   wt_chunk_table_name(scan->table), how)));
}

void
wt_chunk_scan_close_chunk(WtChunkScan *scan)
{
	scan->chunk = NULL;
	scan->selected = NULL;
	scan->checked = NULL;
	scan->n_selected = 0;
	scan->has_deleted = scan->has_statuses = false;
	MemoryContextReset(scan->chunk_context);
	wt_arena_reset(scan->arena);
}

/* Raises: a chunk that could not be opened. */
static void
refuse(const WtChunkScan *scan, int32 number, const WtColumnError *error)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("chunk %d of \"%s\" is damaged: %s", number,
						   wt_chunk_table_name(scan->table), error->text)));
}

/* Reads a directory; false: there is no such chunk. */
static bool
open_directory(WtChunkScan *scan, int32 number, WtChunkHead *head)
{
	MemoryContext old;
	WtColumnError error;
	bool found;

	CHECK_FOR_INTERRUPTS();
	wt_chunk_scan_close_chunk(scan);
	scan->serial++;
	old = MemoryContextSwitchTo(scan->chunk_context);
	found = wt_chunk_table_head(scan->table, number, head);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	scan->chunk = wt_chunk_open(scan->arena, head->directory.bytes,
								head->directory.length, number, &error);
	if (scan->chunk == NULL)
		refuse(scan, number, &error);
	return true;
}

bool
wt_chunk_scan_open(WtChunkScan *scan, int32 number)
{
	WtChunkHead head;
	WtColumnError error;
	WtChunk *chunk;

	if (!open_directory(scan, number, &head))
		return false;
	chunk = scan->chunk;
	for (int i = 1; i < chunk->n_paths; i++)
		if (!pg_verifymbstr(chunk->paths[i].key, chunk->paths[i].key_length, true))
			wt_chunk_scan_damaged(scan, "a key is not in the database's encoding");
	scan->checked = MemoryContextAllocZero(scan->chunk_context, chunk->n_columns);
	scan->selected = MemoryContextAlloc(scan->chunk_context, chunk->n_rows);
	memset(scan->selected, 1, chunk->n_rows);
	scan->n_selected = chunk->n_rows;
	if (head.deleted.bytes != NULL)
	{
		scan->has_deleted = true;
		if (!wt_deleted_read(scan->arena, head.deleted.bytes, head.deleted.length, number,
							 chunk->n_rows, &scan->deleted, &error))
			refuse(scan, number, &error);
	}
	if (head.status.bytes != NULL)
	{
		scan->has_statuses = true;
		if (!wt_statuses_read(scan->arena, head.status.bytes, head.status.length, number,
							  chunk->n_rows, &scan->statuses, &error))
			refuse(scan, number, &error);
	}
	wt_pending_apply(scan);
	if (scan->has_deleted)
	{
		for (int row = 0; row < chunk->n_rows; row++)
			scan->selected[row] = !wt_overlay_bit(scan->deleted.bits, row);
		scan->n_selected = -1;
	}
	return wt_chunk_scan_count(scan) > 0;
}

int
wt_chunk_scan_seek(WtChunkScan *scan, int64 time)
{
	int low = 0, high = scan->n_numbers;

	while (low < high)
	{
		int middle = low + (high - low) / 2, at = middle;
		WtChunkHead head;

		/* Numbers that the snapshot does not see say nothing: the next that it sees does. */
		while (at < high && !open_directory(scan, scan->numbers[at], &head))
			at++;
		if (at == high)
			high = middle;
		else if (scan->chunk->last_time < time)
			low = at + 1;
		else
			high = middle;
	}
	wt_chunk_scan_close_chunk(scan);
	return low;
}

/* Raises unless texts, which are about to become texts of PostgreSQL's, are in its encoding. */
static void
check_texts(WtChunkScan *scan, WtKind kind, const WtTexts *texts)
{
	const char *p = texts->base;
	size_t n = texts->n > 0 ? texts->start[texts->n] : 0, i = 0;
	uint64 bits = 0;

	/* What is ASCII all over, which most is, needs no closer look; nor NULs but of other columns. */
	for (; i + sizeof(uint64) <= n; i += sizeof(uint64))
	{
		uint64 eight;

		memcpy(&eight, p + i, sizeof(eight));
		bits |= eight;
	}
	for (; i < n; i++)
		bits |= (unsigned char) p[i];
	if ((bits & UINT64CONST(0x8080808080808080)) == 0 && kind != WT_KIND_EXTRA)
		return;
	for (int v = 0; v < texts->n; v++)
	{
		WtText text = wt_texts_at(texts, v);

		if (!pg_verifymbstr(text.text, text.length, true))
			wt_chunk_scan_damaged(scan, "a text is not in the database's encoding");
	}
}

void
wt_chunk_scan_want(WtChunkScan *scan, int column, WtWant want)
{
	int parts[WT_PARTS_OF_COLUMN];
	WtColumnError error;
	int n = wt_column_parts(scan->chunk, column, want, parts, &error);
	WtColumn *c;

	if (n < 0)
		refuse(scan, scan->chunk->number, &error);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);
		WtPart part = wt_chunk_table_part(scan->table, scan->chunk->number, parts[i]);

		MemoryContextSwitchTo(old);
		if (!wt_chunk_add_part(scan->chunk, parts[i], part.bytes, part.length, &error))
			refuse(scan, scan->chunk->number, &error);
		pfree((char *) part.bytes - VARHDRSZ);
	}
	if (column < 0 || scan->checked[column] >= want)
		return;
	scan->checked[column] = want;
	c = &scan->chunk->columns[column];
	if (want == WT_WANT_ROWS || (c->kind != WT_KIND_STRING && c->kind != WT_KIND_JSON &&
								 c->kind != WT_KIND_WHOLE && c->kind != WT_KIND_EXTRA))
		return;
	switch (c->encoding)
	{
		case WT_ENCODING_CONSTANT:
		case WT_ENCODING_DICTIONARY:
		case WT_ENCODING_TEMPLATE:
		{
			WtTexts texts = wt_column_distinct(scan->chunk, column);

			check_texts(scan, c->kind, &texts);
		}
		break;
		case WT_ENCODING_TEXT:
			if (want == WT_WANT_VALUES)
			{
				WtTexts texts = wt_column_texts(scan->chunk, column);

				check_texts(scan, c->kind, &texts);
			}
			break;
		default:
			break; /* made of digits and letters */
	}
}

const int64 *
wt_chunk_scan_integers(WtChunkScan *scan, int column)
{
	const uint8_t *decimals;

	wt_chunk_scan_want(scan, column, WT_WANT_VALUES);
	return (const int64 *) wt_column_integers(scan->chunk, column, &decimals);
}

int
wt_chunk_scan_previous(const WtChunkScan *scan, int row)
{
	const uint8 *previous;

	if (row <= 0)
		return -1;
	if (scan->selected[row - 1])
		return row - 1;
	previous = memrchr(scan->selected, 1, row - 1);
	return previous ? previous - scan->selected : -1;
}

int
wt_chunk_scan_count(WtChunkScan *scan)
{
	if (scan->n_selected < 0)
	{
		int n = 0;

		for (int row = 0; row < scan->chunk->n_rows; row++)
			n += scan->selected[row];
		scan->n_selected = n;
	}
	return scan->n_selected;
}

int
wt_chunk_scan_extra(const WtChunkScan *scan, AttrNumber column)
{
	const char *name = NameStr(TupleDescAttr(scan->columns, column - 1)->attname);

	return wt_chunk_find_extra(scan->chunk, name, strlen(name));
}

/* Whether a function is somebody's own: what it does, and as whom, is not ours to try. */
static bool
is_foreign_function(Oid function, void *context)
{
	return function >= FirstGenbkiObjectId;
}

static bool
calls_functions_of_users(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_foreign_function, context) ||
		   expression_tree_walker(node, calls_functions_of_users, context);
}

/* Whether a table still has the file that it was made with: a new one notes no missing values. */
static bool
was_never_rewritten(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool is_first;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_first = ((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_RELATION &&
			   ((Form_pg_class) GETSTRUCT(tuple))->relfilenode == relation;
	ReleaseSysCache(tuple);
	return is_first;
}

/*
 * What PostgreSQL has noted in the ordinary partitions when the column was added: there its default
 * is no part of the old rows, either, and a later default is another matter.  A rewrite forgets
 * it.  False: there is none that knows.
 */
static bool
missing_in_siblings(Relation foreign, Form_pg_attribute column, Datum *value,
					bool *is_null)
{
	Oid parent = foreign->rd_rel->relispartition
					 ? get_partition_parent(RelationGetRelid(foreign), true)
					 : InvalidOid;
	Oid catch_all = OidIsValid(parent) ? get_default_partition_oid(parent) : InvalidOid;
	bool is_known = false;
	ListCell *lc;

	if (!OidIsValid(parent))
		return false;
	foreach (lc, find_inheritance_children(parent, NoLock))
	{
		HeapTuple tuple = SearchSysCacheAttName(lfirst_oid(lc), NameStr(column->attname));
		Form_pg_attribute a;

		if (tuple == NULL)
			continue;
		a = (Form_pg_attribute) GETSTRUCT(tuple);
		if (a->atthasmissing && a->atttypid == column->atttypid)
		{
			int first = 1;
			bool has_none;
			Datum values = SysCacheGetAttr(ATTNAME, tuple,
										   Anum_pg_attribute_attmissingval, &has_none);

			if (!has_none)
			{
				Datum element = array_get_element(values, 1, &first, -1, a->attlen,
												  a->attbyval, a->attalign, is_null);

				*value =
					*is_null ? (Datum) 0 : datumCopy(element, a->attbyval, a->attlen);
				ReleaseSysCache(tuple);
				return true;
			}
		}
		/* The default partition has been there from the beginning: so there was no default. */
		if (lfirst_oid(lc) == catch_all && was_never_rewritten(catch_all))
			is_known = true;
		ReleaseSysCache(tuple);
	}
	*is_null = true;
	*value = (Datum) 0;
	return is_known;
}

Datum
wt_missing_value(Relation foreign, AttrNumber column, bool *is_null)
{
	Form_pg_attribute a = TupleDescAttr(RelationGetDescr(foreign), column - 1);
	Node *expression;
	Datum value;
	ListCell *lc;

	*is_null = false;
	foreach (lc, GetForeignColumnOptions(RelationGetRelid(foreign), column))
	{
		DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "missing") == 0)
		{
			Oid input, parameter;

			int32 modifier = a->atttypmod;

			/* What is beneath a domain, whose checks are functions of anybody's. */
			getTypeInputInfo(getBaseTypeAndTypmod(a->atttypid, &modifier), &input,
							 &parameter);
			return OidInputFunctionCall(input, defGetString(option), parameter, modifier);
		}
	}
	if (a->attgenerated != '\0')
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" is generated, and was added after \"%s\" was sealed",
					NameStr(a->attname), RelationGetRelationName(foreign)),
			 errhint("Unseal the partition before you add a generated column.")));
	if (missing_in_siblings(foreign, a, &value, is_null))
		return value;
	expression = a->atthasdef ? build_column_default(foreign, column) : NULL;
	if (expression != NULL && !contain_mutable_functions(expression) &&
		!calls_functions_of_users(expression, NULL))
		expression = eval_const_expressions(NULL, expression);
	/* Whoever added the column has had it checked. */
	while (expression != NULL && IsA(expression, CoerceToDomain))
		expression = (Node *) ((CoerceToDomain *) expression)->arg;
	if (expression != NULL && !IsA(expression, Const))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("what column \"%s\" is in rows that were sealed before it "
							   "was added is not known",
							   NameStr(a->attname)),
						errhint("Say it: ALTER FOREIGN TABLE \"%s\" ALTER COLUMN \"%s\" "
								"OPTIONS (ADD missing '...').",
								RelationGetRelationName(foreign), NameStr(a->attname))));
	*is_null = expression == NULL || ((Const *) expression)->constisnull;
	return *is_null ? (Datum) 0 : ((Const *) expression)->constvalue;
}
