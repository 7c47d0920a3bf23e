/*
 * stored_types.h
 *		Whether what is stored of a sealed partition can be read as the types that its columns have.
 *
 * Chunks keep texts, and integers.  Where a column is given another type, PostgreSQL casts the rows
 * of ordinary partitions; sealed ones stay as they are, and are read as the new type.  Where a
 * cast would make something else of a value than that, they must not be read at all.
 */
#ifndef WT_STORED_TYPES_H
#define WT_STORED_TYPES_H

#include "postgres_ext.h"

/*
 * The first column of a sealed partition whose type does not fit what is stored, and why, a
 * sentence; NULL: all fit.  late: its late table, whose columns' types are those of all that is
 * stored: they are changed only along with the partition's (late_columns.h).
 */
extern const char *wt_stored_types_misfit(Oid partition, Oid late);

#endif
