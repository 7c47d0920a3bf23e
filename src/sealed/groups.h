/*
 * groups.h
 *		The groups of an aggregation, found by their keys.
 *
 * Equal is what PostgreSQL says: by the operators and collations of the query's GROUP BY.
 */
#ifndef WT_GROUPS_H
#define WT_GROUPS_H

#include "nodes/pg_list.h"

/* An aggregate's value so far. */
typedef struct WtGroupValue
{
	Datum value;
	bool is_null;
} WtGroupValue;

typedef struct WtGroup
{
	uint32 hash;
	Datum *keys;
	bool *nulls;
	WtGroupValue *values; /* NULLs when the group is made */
} WtGroup;

typedef struct WtGroups WtGroups;

/*
 * For groups by these expressions, with these operators of equality, and n_values of values
 * each; in the current memory context, which must outlive it.
 */
extern WtGroups *wt_groups_create(List *keys, List *equals, int n_values);

/* The group with these keys, which are copied where it is new. */
extern WtGroup *wt_groups_find(WtGroups *groups, const Datum *keys, const bool *nulls);

/* Where what their values point to belongs. */
extern MemoryContext wt_groups_context(const WtGroups *groups);

/* Whether they take more memory than a hash table may have. */
extern bool wt_groups_are_many(const WtGroups *groups);

/* One after another, in no order; NULL: no more.  Adding some in between is not allowed. */
extern WtGroup *wt_groups_next(WtGroups *groups);

/* Forgets all of them. */
extern void wt_groups_clear(WtGroups *groups);

#endif
