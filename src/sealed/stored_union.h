/*
 * stored_union.h
 *		Several sealed partitions of a table are to be one: their columns under the same names.
 */
#ifndef WT_STORED_UNION_H
#define WT_STORED_UNION_H

#include "access/tupdesc.h"

#include "sealed/links.h"
#include "sealed/stored_columns.h"

typedef struct WtStoredUnion
{
	WtStoredNames names;
	char *
		late; /* the columns of a late table that has all of theirs, as CREATE TABLE takes them */
} WtStoredUnion;

/*
 * Finds the names under which all columns can be stored for all of them; of the first one's
 * columns.  Gives the reason why there are none, a sentence about a partition's column; NULL: there are.  In the
 * current memory context.
 */
extern const char *wt_stored_unite(const WtLinks *partitions, int n,
								   WtStoredUnion *result);

#endif
