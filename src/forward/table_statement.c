/*
 * table_statement.c
 *		The statement by which events are inserted into a table.
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
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/settings.h"
#include "forward/table_statement.h"
#include "store/log_table.h"

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
conflict_clause(Relation relation, AttrNumber id, bool if_foreign)
{
	char kind = RelationGetForm(relation)->relkind;
	char *columns;

	if (kind == RELKIND_FOREIGN_TABLE)
		return if_foreign ? " ON CONFLICT DO NOTHING" : "";
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
refuse_log_table(Relation relation, const char *target)
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
					target)));
}

char *
wt_table_statement(const char *target, const char *from, bool with_conflict_clause,
				   Oid *found, Oid *owner)
{
	RangeVar *name = wt_log_table_name(target);
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
						errmsg("%s is not a table", target)));
	if (RelationGetForm(relation)->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s is not durable: it is unlogged or temporary", target)));
	refuse_log_table(relation, target);
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
						target)));
	initStringInfo(&statement);
	appendStringInfo(&statement, "INSERT INTO %s (%s) SELECT %s FROM %s%s",
					 wt_log_table_quote(name), columns.data, values.data, from,
					 conflict_clause(relation, id, with_conflict_clause));
	table_close(relation, NoLock);
	return statement.data;
}
