/*
 * late_columns.h
 *		The late table's columns are kept like those of its partition.
 *
 * PostgreSQL does not: what alters the parent alters its partitions, and that is the foreign table.
 * It is done with that (altered.c), and where that was not so when the table is written to.
 */
#ifndef WT_LATE_COLUMNS_H
#define WT_LATE_COLUMNS_H

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"

#include "sealed/stored_columns.h"

/*
 * Where the late table's columns come from: by their numbers, from 0, those of the partition's;
 * 0: it does not have it.  NULL: it has some that the table lacks, or has of another type.
 */
extern AttrNumber *wt_late_columns_find(Relation foreign, Relation late);

/*
 * The late table's columns, called as those of the partition are that are stored in them; the others
 * have no name.  In the current memory context.
 */
extern TupleDesc wt_late_columns_of(Relation foreign, Relation late);

/* Whether all columns have names, and the late table has them; that stays unlocked. */
extern bool wt_late_columns_fit(Relation foreign, Oid late);

/*
 * Gives names to the partition's columns that have none (stored_columns.h), and alters the late
 * table, where that is so.  names: those that columns are to be given; NULL: any.  The caller's query must not have opened it.  Does
 * nothing where nothing can be written.  Raises as ALTER TABLE does.
 */
extern void wt_late_columns_adopt(Relation foreign, Oid late, const WtStoredNames *names);

#endif
