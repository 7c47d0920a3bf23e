/*
 * late_columns.c
 *		The late table's columns are kept like those of its partition.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/late_columns.h"
#include "store/scope.h"

/* The column of this name; NULL: there is none. */
static Form_pg_attribute
column_named(TupleDesc columns, const char *name)
{
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(columns, i);

		if (!a->attisdropped && strcmp(NameStr(a->attname), name) == 0)
			return a;
	}
	return NULL;
}

static bool
same_type(Form_pg_attribute a, Form_pg_attribute b)
{
	return a->atttypid == b->atttypid && a->atttypmod == b->atttypmod;
}

AttrNumber *
wt_late_columns_find(Relation foreign, Relation late)
{
	TupleDesc theirs = RelationGetDescr(late);
	TupleDesc ours = RelationGetDescr(foreign);
	AttrNumber *sources = palloc0(sizeof(AttrNumber) * (size_t) Max(theirs->natts, 1));

	for (int i = 0; i < ours->natts; i++)
	{
		Form_pg_attribute our = TupleDescAttr(ours, i);
		Form_pg_attribute their;

		if (our->attisdropped || our->attgenerated)
			continue;
		their = column_named(theirs, NameStr(our->attname));
		if (!their || !same_type(our, their))
		{
			pfree(sources);
			return NULL;
		}
		sources[their->attnum - 1] = our->attnum;
	}
	return sources;
}

/*
 * The name that a column of the partition had; NULL: it is a new one.  Both tables were made with
 * the same columns, so one in its place that the partition does not have by now is the same.
 */
static const char *
old_name(Relation foreign, Relation late, Form_pg_attribute our)
{
	TupleDesc theirs = RelationGetDescr(late);
	Form_pg_attribute their;

	if (our->attnum > theirs->natts)
		return NULL;
	their = TupleDescAttr(theirs, our->attnum - 1);
	if (their->attisdropped || !same_type(our, their) ||
		column_named(RelationGetDescr(foreign), NameStr(their->attname)))
		return NULL;
	return NameStr(their->attname);
}

/* How a column is added, and what is done then. */
static List *
add_column(List *changes, Relation foreign, Relation late, Form_pg_attribute our,
		   const char *name, const char *type)
{
	const char *collation = "";
	Datum missing = (Datum) 0;
	bool is_null = true;
	Oid output;
	bool is_varlena;

	if (OidIsValid(our->attcollation) &&
		our->attcollation != get_typcollation(our->atttypid))
		collation = psprintf(" COLLATE %s", generate_collation_name(our->attcollation));
	/* What late rows have in it: as those that were sealed before there was it. */
	if (RelationGetNumberOfBlocks(late) > 0)
		missing = wt_missing_value(foreign, our->attnum, &is_null);
	if (is_null)
		return lappend(changes, psprintf("ADD COLUMN %s %s%s", name, type, collation));
	getTypeOutputInfo(our->atttypid, &output, &is_varlena);
	changes = lappend(
		changes, psprintf("ADD COLUMN %s %s%s DEFAULT %s", name, type, collation,
						  quote_literal_cstr(OidOutputFunctionCall(output, missing))));
	return lappend(changes, psprintf("ALTER COLUMN %s DROP DEFAULT", name));
}

/* What the late table must be altered by. */
static List *
find_changes(Relation foreign, Relation late)
{
	TupleDesc ours = RelationGetDescr(foreign);
	List *changes = NIL;

	for (int i = 0; i < ours->natts; i++)
	{
		Form_pg_attribute our = TupleDescAttr(ours, i);
		Form_pg_attribute their;
		const char *name;
		const char *old;
		const char *type;

		if (our->attisdropped || our->attgenerated)
			continue;
		their = column_named(RelationGetDescr(late), NameStr(our->attname));
		if (their && same_type(our, their))
			continue;
		name = quote_identifier(NameStr(our->attname));
		type =
			format_type_extended(our->atttypid, our->atttypmod,
								 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		old = their ? NULL : old_name(foreign, late, our);
		if (their)
			changes =
				lappend(changes, psprintf("ALTER COLUMN %s TYPE %s USING %s::text::%s",
										  name, type, name, type));
		else if (old)
			changes = lappend(
				changes, psprintf("RENAME COLUMN %s TO %s", quote_identifier(old), name));
		else
			changes = add_column(changes, foreign, late, our, name, type);
	}
	return changes;
}

void
wt_late_columns_adopt(Relation foreign, Oid late)
{
	Relation relation;
	List *changes;
	ListCell *lc;
	WtScope scope;

	if (RecoveryInProgress() || XactReadOnly)
		return;
	relation = table_open(late, RowExclusiveLock);
	if (wt_late_columns_find(foreign, relation) || !wt_scope_enter(late, &scope))
	{
		table_close(relation, NoLock);
		return;
	}
	changes = find_changes(foreign, relation);
	table_close(relation, NoLock);
	foreach (lc, changes)
		wt_scope_run(
			psprintf("ALTER TABLE %s %s", wt_scope_name(late), (const char *) lfirst(lc)),
			0, NULL, NULL);
	wt_scope_leave(&scope);
}
