/*
 * jsonpath_needs.c
 *		Which members of a document a jsonpath looks at: where each $ is followed by keys, those that
 *		these keys lead to.
 *
 * What such a chain of keys finds in a document that has just these members is what it finds in the
 * whole one.  Of objects on the way only other members are left out, or the object itself where
 * it does not have the next key: then there is none, and in strict mode an error, in both.
 * Arrays on the way, which lax mode looks into, and all else that is no object, are always kept as
 * they are, and so is all that is beneath the last key; so what follows there (filters, wildcards,
 * methods) does not matter.  But for .keyvalue(), whose ids are places in the document.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/value.h"

#include "base/compat.h"
#include "sealed/jsonpath_needs.h"

static bool find_members(JsonPathItem item, List **members);

/* Adds the chain of keys behind a $; goes on behind it.  False: there is no key. */
static bool
add_chain(JsonPathItem *root, List **members)
{
	List *keys = NIL;
	JsonPathItem next;

	while (jspGetNext(root, &next) && next.type == jpiKey)
	{
		int32 length;
		const char *key = jspGetString(&next, &length);

		keys = lappend(keys, makeString(pnstrdup(key, length)));
		*root = next;
	}
	if (keys != NIL)
		*members = list_append_unique(*members, keys);
	return keys != NIL;
}

/* Adds what is used within an item; false: not known. */
static bool
find_within(JsonPathItem *item, List **members)
{
	JsonPathItem part;
	JsonPathItem to;

	switch (item->type)
	{
		case jpiCurrent:
		case jpiNull:
		case jpiBool:
		case jpiNumeric:
		case jpiString:
		case jpiKey:
		case jpiAnyArray:
		case jpiAnyKey:
		case jpiAny:
		case jpiLast:
		case jpiType:
		case jpiSize:
		case jpiAbs:
		case jpiFloor:
		case jpiCeiling:
		case jpiDouble:
			return true;
		case jpiFilter:
		case jpiExists:
		case jpiNot:
		case jpiIsUnknown:
		case jpiPlus:
		case jpiMinus:
			jspGetArg(item, &part);
			return find_members(part, members);
		case jpiAnd:
		case jpiOr:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiAdd:
		case jpiSub:
		case jpiMul:
		case jpiDiv:
		case jpiMod:
		case jpiStartsWith:
			jspGetLeftArg(item, &part);
			if (!find_members(part, members))
				return false;
			jspGetRightArg(item, &part);
			return find_members(part, members);
		case jpiLikeRegex:
			jspInitByBuffer(&part, item->base, item->content.like_regex.expr);
			return find_members(part, members);
		case jpiIndexArray:
			for (int i = 0; i < (int) item->content.array.nelems; i++)
			{
				bool is_range = jspGetArraySubscript(item, &part, &to, i);

				if (!find_members(part, members) ||
					(is_range && !find_members(to, members)))
					return false;
			}
			return true;
		default:
			return false;
	}
}

/* Of an item, and of those that follow it. */
static bool
find_members(JsonPathItem item, List **members)
{
	JsonPathItem next;

	check_stack_depth();
	for (;;)
	{
		if (item.type == jpiRoot ? !add_chain(&item, members)
								 : !find_within(&item, members))
			return false;
		if (!jspGetNext(&item, &next))
			return true;
		item = next;
	}
}

List *
wt_jsonpath_members(JsonPath *path)
{
	List *members = NIL;
	JsonPathItem item;

	jspInit(&item, path);
	return find_members(item, &members) ? members : NIL;
}
