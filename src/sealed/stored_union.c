/*
 * stored_union.c
 *		The names of columns of several sealed partitions are made one.
 *
 * Chunks are taken as they are; so a column must be stored under one name in all of them, or in some
 * of them not at all, and nothing else may be stored under that name in any.
 */
#include "postgres.h"

#include "access/table.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "sealed/stored_union.h"

typedef struct Member
{
	Relation foreign;
	Relation late;
	TupleDesc columns; /* the foreign table's, as they are stored */
} Member;

typedef struct Uniting
{
	int n;
	Member *members;
	WtStoredNames *names;
} Uniting;

/* The name of a column of the log table in a member; NULL: it has none, or no such column. */
static const char *
name_in(const Member *member, const char *own)
{
	AttrNumber number = wt_column_named(RelationGetDescr(member->foreign), own);
	Form_pg_attribute column = AttributeNumberIsValid(number)
								   ? TupleDescAttr(member->columns, number - 1)
								   : NULL;

	return column && wt_is_stored(column) ? NameStr(column->attname) : NULL;
}

static bool
is_taken(const Uniting *u, const char *name)
{
	for (int i = 0; i < u->names->n; i++)
		if (u->names->stored[i] && strcmp(u->names->stored[i], name) == 0)
			return true;
	for (int i = 0; i < u->n; i++)
		if (AttributeNumberIsValid(
				wt_column_named(RelationGetDescr(u->members[i].late), name)))
			return true;
	return false;
}

/* Finds the name that some of them have for a column; gives why it is not that of all. */
static const char *
unite_column(Uniting *u, int column)
{
	const char *own = u->names->own[column];
	const char *name = NULL;

	for (int i = 0; i < u->n; i++)
	{
		const char *other = name_in(&u->members[i], own);

		if (name && other && strcmp(name, other) != 0)
			return psprintf("column \"%s\" is stored as \"%s\" and as \"%s\"", own, name,
							other);
		name = other ? other : name;
	}
	for (int i = 0; i < u->n && name; i++)
		if (!name_in(&u->members[i], own) &&
			AttributeNumberIsValid(
				wt_column_named(RelationGetDescr(u->members[i].late), name)))
			return psprintf("column \"%s\" is stored under a name that \"%s\" has for "
							"another one",
							own, RelationGetRelationName(u->members[i].foreign));
	u->names->stored[column] = name ? pstrdup(name) : NULL;
	return NULL;
}

static const char *
unite(Uniting *u)
{
	WtStoredNames *names = u->names;
	TupleDesc first = RelationGetDescr(u->members[0].foreign);

	names->own = palloc(sizeof(char *) * (size_t) Max(first->natts, 1));
	names->stored = palloc0(sizeof(char *) * (size_t) Max(first->natts, 1));
	for (int i = 0; i < first->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(first, i);

		if (!column->attisdropped && column->attgenerated == '\0')
			names->own[names->n++] = pstrdup(NameStr(column->attname));
	}
	for (int i = 0; i < names->n; i++)
	{
		const char *reason = unite_column(u, i);

		if (reason)
			return reason;
	}
	for (int i = 0; i < names->n; i++)
	{
		const char *name = names->own[i];

		if (names->stored[i])
			continue;
		for (int k = 2; is_taken(u, name); k++)
			name = wt_stored_name_like(names->own[i], k);
		names->stored[i] = name;
	}
	return NULL;
}

static void
add_column(StringInfo list, const char *name, Form_pg_attribute column)
{
	appendStringInfo(
		list, "%s%s %s", list->len > 0 ? ", " : "", quote_identifier(name),
		format_type_extended(column->atttypid, column->atttypmod,
							 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	if (OidIsValid(column->attcollation) &&
		column->attcollation != get_typcollation(column->atttypid))
		appendStringInfo(list, " COLLATE %s",
						 generate_collation_name(column->attcollation));
}

/* All columns, and those of late tables that no column is stored in any more: their names are taken. */
static char *
columns_of_late(const Uniting *u)
{
	TupleDesc first = RelationGetDescr(u->members[0].foreign);
	List *added = NIL;
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < u->names->n; i++)
	{
		added = lappend(added, makeString(unconstify(char *, u->names->stored[i])));
		add_column(&list, u->names->stored[i],
				   TupleDescAttr(first, wt_column_named(first, u->names->own[i]) - 1));
	}
	for (int i = 0; i < u->n; i++)
	{
		TupleDesc late = RelationGetDescr(u->members[i].late);

		for (int k = 0; k < late->natts; k++)
		{
			Form_pg_attribute column = TupleDescAttr(late, k);
			String *name;

			if (column->attisdropped)
				continue;
			name = makeString(pstrdup(NameStr(column->attname)));
			if (list_member(added, name))
				continue;
			added = lappend(added, name);
			add_column(&list, NameStr(column->attname), column);
		}
	}
	return list.data;
}

const char *
wt_stored_unite(const WtLinks *partitions, int n, WtStoredUnion *result)
{
	Uniting u = {
		.n = n, .members = palloc(sizeof(Member) * (size_t) n), .names = &result->names};
	const char *reason;

	memset(result, 0, sizeof(*result));
	for (int i = 0; i < n; i++)
	{
		u.members[i].foreign = table_open(partitions[i].partition, AccessShareLock);
		u.members[i].late = table_open(partitions[i].late, AccessShareLock);
		u.members[i].columns = wt_stored_columns(u.members[i].foreign);
	}
	reason = unite(&u);
	if (!reason)
		result->late = columns_of_late(&u);
	for (int i = 0; i < n; i++)
	{
		table_close(u.members[i].late, NoLock);
		table_close(u.members[i].foreign, NoLock);
	}
	return reason;
}
