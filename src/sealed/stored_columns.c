/*
 * stored_columns.c
 *		What the columns of a sealed partition are called where its rows are stored.
 *
 * Names are read by PostgreSQL's caches, as of now: a transaction with an older snapshot may find
 * a name that its chunks do not have, and takes the column for missing there, which it is.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/missing.h"
#include "sealed/stored_columns.h"

char *
wt_column_option(Oid foreign, AttrNumber column, const char *name)
{
	ListCell *lc;

	foreach (lc, GetForeignColumnOptions(foreign, column))
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return defGetString(lfirst(lc));
	return NULL;
}

static int
count_columns(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int n = 0;

	if (HeapTupleIsValid(tuple))
	{
		n = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
		ReleaseSysCache(tuple);
	}
	return n;
}

/* Whether no column has a name of its own. */
static bool
has_no_names(Oid foreign, int natts)
{
	for (AttrNumber i = 1; i <= natts; i++)
		if (wt_column_option(foreign, i, "column_name"))
			return false;
	return true;
}

bool
wt_has_no_stored_names(Relation foreign)
{
	return has_no_names(RelationGetRelid(foreign), RelationGetDescr(foreign)->natts);
}

char *
wt_stored_name(Oid foreign, AttrNumber column)
{
	char *name = wt_column_option(foreign, column, "column_name");

	if (name == NULL && has_no_names(foreign, count_columns(foreign)))
		name = get_attname(foreign, column, true);
	return name;
}

void
wt_stored_columns_refresh(Relation foreign, TupleDesc columns)
{
	Oid oid = RelationGetRelid(foreign);
	TupleDesc ours = RelationGetDescr(foreign);
	bool own;

	AcceptInvalidationMessages();
	own = has_no_names(oid, ours->natts);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);
		const char *name =
			own ? NameStr(TupleDescAttr(ours, i)->attname)
				: wt_column_option(oid, (AttrNumber) (i + 1), "column_name");

		if (!column->attisdropped)
			namestrcpy(&column->attname,
					   name && column->attgenerated == '\0' ? name : "");
	}
}

TupleDesc
wt_stored_columns(Relation foreign)
{
	TupleDesc columns = CreateTupleDescCopyConstr(RelationGetDescr(foreign));

	wt_stored_columns_refresh(foreign, columns);
	return columns;
}

bool
wt_is_stored(Form_pg_attribute column)
{
	return !column->attisdropped && NameStr(column->attname)[0] != '\0';
}

AttrNumber
wt_column_named(TupleDesc columns, const char *name)
{
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
			return column->attnum;
	}
	return InvalidAttrNumber;
}

AttrNumber
wt_stored_column(Oid foreign, const char *name)
{
	AttrNumber same = get_attnum(foreign, name);
	int natts = count_columns(foreign);
	char *stored = AttributeNumberIsValid(same)
					   ? wt_column_option(foreign, same, "column_name")
					   : NULL;

	/* Mostly it was never renamed. */
	if (stored && strcmp(stored, name) == 0)
		return same;
	if (!stored && has_no_names(foreign, natts))
		return same;
	for (AttrNumber i = 1; i <= natts; i++)
	{
		/* One that was dropped keeps its options, and has no type. */
		stored = OidIsValid(get_atttype(foreign, i))
					 ? wt_column_option(foreign, i, "column_name")
					 : NULL;
		if (stored && strcmp(stored, name) == 0)
			return i;
	}
	return InvalidAttrNumber;
}

/* Adds an option to a list of them. */
static List *
add_option(List *options, const char *name, const char *value)
{
	return lappend(options, makeDefElemExtended(NULL, pstrdup(name),
												(Node *) makeString(pstrdup(value)),
												DEFELEM_ADD, -1));
}

/*
 * As ALTER FOREIGN TABLE … ALTER COLUMN … OPTIONS, which is the owner's, waits for all who read
 * the table, and cannot be done by a command that writes to it.
 */
static void
add_options(Oid foreign, AttrNumber column, List *options)
{
	Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple old =
		SearchSysCache2(ATTNUM, ObjectIdGetDatum(foreign), Int16GetDatum(column));
	Datum values[Natts_pg_attribute] = {0};
	bool nulls[Natts_pg_attribute] = {0};
	bool replaces[Natts_pg_attribute] = {0};
	HeapTuple new;
	Datum before;
	bool is_null;

	if (!HeapTupleIsValid(old))
		elog(ERROR, "column %d of relation %u has vanished", column, foreign);
	before = SysCacheGetAttr(ATTNUM, old, Anum_pg_attribute_attfdwoptions, &is_null);
	values[Anum_pg_attribute_attfdwoptions - 1] = transformGenericOptions(
		AttributeRelationId, is_null ? PointerGetDatum(NULL) : before, options,
		InvalidOid);
	replaces[Anum_pg_attribute_attfdwoptions - 1] = true;
	new = heap_modify_tuple(old, RelationGetDescr(attributes), values, nulls, replaces);
	CatalogTupleUpdate(attributes, &new->t_self, new);
	ReleaseSysCache(old);
	heap_freetuple(new);
	table_close(attributes, RowExclusiveLock);
}

void
wt_column_add_option(Oid foreign, AttrNumber column, const char *name, const char *value)
{
	add_options(foreign, column, add_option(NIL, name, value));
	CommandCounterIncrement();
}

char *
wt_stored_name_like(const char *name, int number)
{
	return makeObjectName(name, NULL, psprintf("%d", number));
}

/* A name for a column that nothing is stored under: the one that is wanted, or one like its own. */
static const char *
new_name(const char *own, TupleDesc late, TupleDesc columns, const WtStoredNames *names)
{
	const char *name = own;

	for (int i = 0; names && i < names->n; i++)
		if (strcmp(names->own[i], own) == 0)
			name = names->stored[i];
	for (int i = 2; AttributeNumberIsValid(wt_column_named(late, name)) ||
					AttributeNumberIsValid(wt_column_named(columns, name));
		 i++)
		name = wt_stored_name_like(own, i);
	return name;
}

void
wt_stored_columns_name(Relation foreign, Relation late, const WtStoredNames *names)
{
	Oid oid = RelationGetRelid(foreign);
	TupleDesc ours = RelationGetDescr(foreign);
	TupleDesc columns = wt_stored_columns(foreign);
	bool own = has_no_names(oid, ours->natts);

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);
		const char *name = NameStr(TupleDescAttr(ours, i)->attname);
		List *options = NIL;
		char *missing;

		if (column->attisdropped || column->attgenerated != '\0' ||
			(!own && wt_is_stored(column)))
			continue;
		if (!own)
			name = new_name(name, RelationGetDescr(late), columns, names);
		namestrcpy(&column->attname, name);
		options = add_option(options, "column_name", name);
		if (!own && !wt_missing_is_noted(oid, column->attnum) &&
			wt_missing_text(foreign, column->attnum, &missing))
			options = missing ? add_option(options, "missing", missing)
							  : add_option(options, "missing_null", "true");
		add_options(oid, column->attnum, options);
	}
	CommandCounterIncrement();
}
