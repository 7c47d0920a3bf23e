/*
 * stored_types.c
 *		Whether what is stored of a sealed partition can be read as the types that its columns have.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/stored_columns.h"
#include "sealed/stored_types.h"

/* A type with its modifier. */
typedef struct Type
{
	Oid oid;
	int32 modifier;
} Type;

static bool
is_string(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

/* Whether PostgreSQL itself leaves a value as it is: as ALTER TABLE finds that nothing is to be rewritten. */
static bool
is_left_alone(Type from, Type to)
{
	Node *value =
		(Node *) makeVar(1, 1, from.oid, from.modifier, get_typcollation(from.oid), 0);

	value = coerce_to_target_type(NULL, value, from.oid, to.oid, to.modifier,
								  COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (value == NULL)
		return false;
	value = (Node *) expression_planner((Expr *) value);
	while (IsA(value, RelabelType))
		value = (Node *) ((RelabelType *) value)->arg;
	return IsA(value, Var);
}

/*
 * Whether the text of a value, read as another type, is what the cast makes of that value, whatever
 * the session's settings are.  Never both ways, but where nothing is changed at all: what has gone
 * there and back by casts has lost what its text has kept.
 */
static bool
reads_as_cast(Type from, Type to)
{
	if (from.oid == to.oid && from.modifier == to.modifier)
		return true;
	/* What it asks for nobody has asked of what is stored. */
	if (get_typtype(to.oid) == TYPTYPE_DOMAIN)
		return false;
	from.oid = getBaseTypeAndTypmod(from.oid, &from.modifier);
	if (from.oid == to.oid || (is_string(from.oid) && is_string(to.oid)))
		return is_left_alone(from, to);
	if (to.modifier != -1)
		return false;
	switch (from.oid)
	{
		case INT2OID:
			if (to.oid == INT4OID)
				return true;
			/* FALLTHROUGH */
		case INT4OID:
			if (to.oid == INT8OID)
				return true;
			/* FALLTHROUGH */
		case INT8OID:
			if (to.oid == NUMERICOID)
				return true;
			/* FALLTHROUGH */
		case NUMERICOID:
		case UUIDOID:
			return is_string(to.oid);
		default:
			return false;
	}
}

/* What is stored under a name; false: nothing is. */
static bool
stored_type(Oid late, const char *name, Type *type)
{
	HeapTuple tuple = SearchSysCacheAttName(late, name);

	if (!HeapTupleIsValid(tuple))
		return false;
	type->oid = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
	type->modifier = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypmod;
	ReleaseSysCache(tuple);
	return true;
}

const char *
wt_stored_types_misfit(Oid partition, Oid late)
{
	const char *misfit = NULL;
	HeapTuple tuple;

	for (AttrNumber i = 1;
		 misfit == NULL &&
		 HeapTupleIsValid(tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(partition),
												  Int16GetDatum(i)));
		 i++)
	{
		Form_pg_attribute column = (Form_pg_attribute) GETSTRUCT(tuple);
		Type type = {column->atttypid, column->atttypmod};
		const char *name = column->attisdropped || column->attgenerated != '\0'
							   ? NULL
							   : wt_stored_name(partition, i);
		Type stored;

		if (name && stored_type(late, name, &stored) && !reads_as_cast(stored, type))
			misfit = psprintf("its column \"%s\" is of type %s, and stored as %s",
							  NameStr(column->attname),
							  format_type_with_typemod(type.oid, type.modifier),
							  format_type_with_typemod(stored.oid, stored.modifier));
		ReleaseSysCache(tuple);
	}
	return misfit;
}
