/*
 * missing.c
 *		What a column is in rows that were sealed before there was it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/missing.h"
#include "sealed/stored_columns.h"
#include "sealed/user_functions.h"
#include "store/scope.h"

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

/* What is said by the option `missing`; false: nothing is. */
static bool
missing_by_option(Relation foreign, Form_pg_attribute column, Datum *value)
{
	char *text = wt_column_option(RelationGetRelid(foreign), column->attnum, "missing");
	int32 modifier = column->atttypmod;
	Oid type, input, parameter;
	FmgrInfo function;

	if (text == NULL)
		return false;
	/* What is beneath a domain, whose checks are functions of anybody's. */
	type = getBaseTypeAndTypmod(column->atttypid, &modifier);
	getTypeInputInfo(type, &input, &parameter);
	fmgr_info(input, &function);
	*value = wt_input_as_owner(foreign, type, &function, text, parameter, modifier);
	return true;
}

static bool
is_noted_as_null(Oid foreign, AttrNumber column)
{
	return wt_column_option(foreign, column, "missing_null") != NULL;
}

bool
wt_missing_is_noted(Oid foreign, AttrNumber column)
{
	return wt_column_option(foreign, column, "missing") != NULL ||
		   is_noted_as_null(foreign, column);
}

/* A column's default, NULL: none, without a domain's checks: whoever added it has had it checked. */
static Node *
default_of(Relation foreign, AttrNumber column)
{
	Node *expression = TupleDescAttr(RelationGetDescr(foreign), column - 1)->atthasdef
						   ? build_column_default(foreign, column)
						   : NULL;

	while (expression != NULL && IsA(expression, CoerceToDomain))
		expression = (Node *) ((CoerceToDomain *) expression)->arg;
	return expression;
}

/* The value as it is known; false: it is not. */
static bool
find_value(Relation foreign, AttrNumber column, Datum *value, bool *is_null)
{
	Form_pg_attribute a = TupleDescAttr(RelationGetDescr(foreign), column - 1);
	Node *expression;

	*is_null = false;
	if (missing_by_option(foreign, a, value))
		return true;
	if (is_noted_as_null(RelationGetRelid(foreign), column))
	{
		*is_null = true;
		*value = (Datum) 0;
		return true;
	}
	if (missing_in_siblings(foreign, a, value, is_null))
		return true;
	expression = default_of(foreign, column);
	if (expression != NULL && !contain_mutable_functions(expression) &&
		!wt_calls_user_functions(expression))
		expression = eval_const_expressions(NULL, expression);
	if (expression != NULL && !IsA(expression, Const))
		return false;
	*is_null = expression == NULL || ((Const *) expression)->constisnull;
	*value = *is_null ? (Datum) 0 : ((Const *) expression)->constvalue;
	return true;
}

bool
wt_missing_of_new(Relation foreign, AttrNumber column, Datum *value, bool *is_null)
{
	Form_pg_attribute a = TupleDescAttr(RelationGetDescr(foreign), column - 1);
	MemoryContext context = CurrentMemoryContext;
	Node *expression = default_of(foreign, column);
	EState *estate;

	if (missing_in_siblings(foreign, a, value, is_null))
		return true;
	*is_null = expression == NULL;
	if (expression == NULL)
		return true;
	if (contain_volatile_functions(expression) || wt_calls_user_functions(expression))
		return false;
	estate = CreateExecutorState();
	MemoryContextSwitchTo(estate->es_query_cxt);
	*value = ExecEvalExpr(ExecPrepareExpr((Expr *) expression, estate),
						  GetPerTupleExprContext(estate), is_null);
	MemoryContextSwitchTo(context);
	if (!*is_null)
		*value = datumCopy(*value, a->attbyval, a->attlen);
	FreeExecutorState(estate);
	return true;
}

void
wt_missing_note(Relation foreign, AttrNumber column, Datum value, bool is_null)
{
	Oid output;
	bool is_varlena;

	getTypeOutputInfo(TupleDescAttr(RelationGetDescr(foreign), column - 1)->atttypid,
					  &output, &is_varlena);
	wt_column_add_option(RelationGetRelid(foreign), column,
						 is_null ? "missing_null" : "missing",
						 is_null ? "true" : OidOutputFunctionCall(output, value));
}

Datum
wt_missing_value(Relation foreign, AttrNumber column, bool *is_null)
{
	const char *name =
		NameStr(TupleDescAttr(RelationGetDescr(foreign), column - 1)->attname);
	Datum value;

	if (!find_value(foreign, column, &value, is_null))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("what column \"%s\" is in rows that were sealed before it "
							   "was added is not known",
							   name),
						errhint("Say it: ALTER FOREIGN TABLE \"%s\" ALTER COLUMN \"%s\" "
								"OPTIONS (ADD missing '...').",
								RelationGetRelationName(foreign), name)));
	return value;
}

bool
wt_missing_text(Relation foreign, AttrNumber column, char **text)
{
	Form_pg_attribute a = TupleDescAttr(RelationGetDescr(foreign), column - 1);
	Datum value;
	bool is_null;
	Oid output;
	bool varlena;

	if (!find_value(foreign, column, &value, &is_null))
		return false;
	getTypeOutputInfo(a->atttypid, &output, &varlena);
	*text = is_null ? NULL : OidOutputFunctionCall(output, value);
	return true;
}

/* The statement that notes a column's value; NULL: there is nothing to note. */
static char *
statement_for(const WtChunkScan *scan, AttrNumber column)
{
	Form_pg_attribute attribute = TupleDescAttr(scan->columns, column - 1);
	Oid partition = RelationGetRelid(scan->foreign);
	char *text;

	if (attribute->attisdropped || attribute->attgenerated != '\0' ||
		column == scan->time_column || column == scan->data_column ||
		wt_chunk_scan_extra(scan, column) >= 0 || wt_missing_is_noted(partition, column))
		return NULL;
	if (!wt_missing_text(scan->foreign, column, &text) || !text)
		return NULL;
	return psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s OPTIONS (ADD missing %s)",
					wt_scope_name(partition),
					quote_identifier(get_attname(partition, column, false)),
					quote_literal_cstr(text));
}

void
wt_missing_record(const WtLinks *links)
{
	Relation foreign = table_open(links->partition, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	WtChunkScan *scan = wt_chunk_scan_create(foreign, links->chunks, snapshot);
	List *statements = NIL;
	ListCell *cell;

	/* The first one is as old as any. */
	if (scan->n_numbers > 0 && wt_chunk_scan_open(scan, scan->numbers[0]))
		for (AttrNumber i = 1; i <= scan->columns->natts; i++)
		{
			char *statement = statement_for(scan, i);

			if (statement)
				statements = lappend(statements, statement);
		}
	wt_chunk_scan_destroy(scan);
	UnregisterSnapshot(snapshot);
	table_close(foreign, NoLock);
	foreach (cell, statements)
		wt_scope_run(lfirst(cell), 0, NULL, NULL);
}
