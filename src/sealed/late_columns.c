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
#include "sealed/late_columns.h"
#include "sealed/missing.h"
#include "sealed/stored_columns.h"
#include "store/scope.h"

static Form_pg_attribute
column_named(TupleDesc columns, const char *name)
{
	AttrNumber number = wt_column_named(columns, name);

	return AttributeNumberIsValid(number) ? TupleDescAttr(columns, number - 1) : NULL;
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
	TupleDesc ours = wt_stored_columns(foreign);
	AttrNumber *sources = palloc0(sizeof(AttrNumber) * (size_t) Max(theirs->natts, 1));

	for (int i = 0; i < ours->natts && sources; i++)
	{
		Form_pg_attribute our = TupleDescAttr(ours, i);
		Form_pg_attribute their;

		if (our->attisdropped || our->attgenerated != '\0')
			continue;
		their = wt_is_stored(our) ? column_named(theirs, NameStr(our->attname)) : NULL;
		if (their && same_type(our, their))
			sources[their->attnum - 1] = our->attnum;
		else
		{
			pfree(sources);
			sources = NULL;
		}
	}
	FreeTupleDesc(ours);
	return sources;
}

TupleDesc
wt_late_columns_of(Relation foreign, Relation late)
{
	TupleDesc columns = CreateTupleDescCopy(RelationGetDescr(late));
	TupleDesc ours = wt_stored_columns(foreign);

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute their = TupleDescAttr(columns, i);
		AttrNumber our = wt_column_named(ours, NameStr(their->attname));

		namestrcpy(
			&their->attname,
			AttributeNumberIsValid(our)
				? NameStr(TupleDescAttr(RelationGetDescr(foreign), our - 1)->attname)
				: "");
	}
	FreeTupleDesc(ours);
	return columns;
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
	TupleDesc ours = wt_stored_columns(foreign);
	List *changes = NIL;

	for (int i = 0; i < ours->natts; i++)
	{
		Form_pg_attribute our = TupleDescAttr(ours, i);
		Form_pg_attribute their;
		const char *name;
		const char *type;

		if (!wt_is_stored(our))
			continue;
		their = column_named(RelationGetDescr(late), NameStr(our->attname));
		if (their && same_type(our, their))
			continue;
		name = quote_identifier(NameStr(our->attname));
		type =
			format_type_extended(our->atttypid, our->atttypmod,
								 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		if (their)
			changes =
				lappend(changes, psprintf("ALTER COLUMN %s TYPE %s USING %s::text::%s",
										  name, type, name, type));
		else
			changes = add_column(changes, foreign, late, our, name, type);
	}
	return changes;
}

bool
wt_late_columns_fit(Relation foreign, Oid late)
{
	Relation relation = table_open(late, AccessShareLock);
	AttrNumber *sources = wt_late_columns_find(foreign, relation);

	/* Who waits for a stronger lock must not keep others from it. */
	table_close(relation, AccessShareLock);
	if (!sources || wt_has_no_stored_names(foreign))
		return false;
	pfree(sources);
	return true;
}

void
wt_late_columns_adopt(Relation foreign, Oid late, const WtStoredNames *names)
{
	Relation relation;
	List *changes;
	ListCell *lc;
	WtScope scope;

	if (RecoveryInProgress() || XactReadOnly || wt_late_columns_fit(foreign, late) ||
		!wt_scope_enter(late, &scope))
		return;
	wt_scope_pin_texts();
	/* Others that find the same wait here, and then find it done. */
	relation = table_open(late, AccessExclusiveLock);
	wt_stored_columns_name(foreign, relation, names);
	changes = find_changes(foreign, relation);
	table_close(relation, NoLock);
	foreach (lc, changes)
		wt_scope_run(
			psprintf("ALTER TABLE %s %s", wt_scope_name(late), (const char *) lfirst(lc)),
			0, NULL, NULL);
	wt_scope_leave(&scope);
}
