/*
 * jsonpath_needs.h
 *		Which members of a document a jsonpath looks at.
 */
#ifndef WT_JSONPATH_NEEDS_H
#define WT_JSONPATH_NEEDS_H

#include "nodes/pg_list.h"
#include "utils/jsonpath.h"

/*
 * The members, as in WtNeeds: a document that has them is as good as the whole one for what the
 * operators @? and @@ say, which pass over errors.  NIL: it cannot be told, or is the whole.  In
 * the current memory context.
 */
extern List *wt_jsonpath_members(JsonPath *path);

#endif
