/*
 * missing.h
 *		What a column is in rows that were sealed before there was it.
 */
#ifndef WT_MISSING_H
#define WT_MISSING_H

#include "sealed/links.h"

/*
 * Notes in the foreign table, as the option `missing` of each column that its chunks lack, what
 * that column is in them, unless it is NULL: PostgreSQL forgets it when the tables are rewritten
 * that it is taken from.  As the partition's owner, within a scope with pinned texts.  Raises
 * where that is not known.
 */
extern void wt_missing_record(const WtLinks *links);

#endif
