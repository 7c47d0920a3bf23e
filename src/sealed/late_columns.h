/*
 * late_columns.h
 *		The late table's columns are kept like those of its partition.
 *
 * Nobody else does: what alters the parent alters its partitions, and that is the foreign table.
 */
#ifndef WT_LATE_COLUMNS_H
#define WT_LATE_COLUMNS_H

#include "access/attnum.h"
#include "utils/relcache.h"

/*
 * Where the late table's columns come from: by their numbers, from 0, those of the partition's;
 * 0: it does not have it.  NULL: it has some that the table lacks, or has of another type.
 */
extern AttrNumber *wt_late_columns_find(Relation foreign, Relation late);

/*
 * Alters the late table where that is so.  The caller's query must not have opened it.  Does
 * nothing where nothing can be written.  Raises as ALTER TABLE does.
 */
extern void wt_late_columns_adopt(Relation foreign, Oid late);

#endif
