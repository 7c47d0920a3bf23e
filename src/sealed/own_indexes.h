/*
 * own_indexes.h
 *		The indexes that a partition has beside those of its table.
 *
 * A foreign table has none.  While a partition is sealed, those of its own are on its table of late
 * rows, which has the same columns, and are a dump's and the catalog's to keep.
 */
#ifndef WT_OWN_INDEXES_H
#define WT_OWN_INDEXES_H

#include "nodes/pg_list.h"
#include "postgres_ext.h"

/*
 * Makes a partition's own indexes on a table with its columns, too: all that are valid and not
 * its part of one of the log table's.  Gives a list of what was made, for
 * wt_own_indexes_name().  Needs a scope, of the owner of both; raises.
 */
extern List *wt_own_indexes_put_by(Oid partition, Oid late);

/*
 * Makes those that were put by on another table, beside what it has, unless it has the like.  The
 * index on the time that each table of late rows has is none of them.
 */
extern List *wt_own_indexes_copy(Oid late, Oid to);

/* Calls what was made as the original, which is gone by now, where that name is free. */
extern void wt_own_indexes_name(const List *made);

#endif
