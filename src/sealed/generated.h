/*
 * generated.h
 *		Generated columns that a log table was given after partitions of it were sealed: nothing is
 *		stored of them, they are computed of the row's other columns when it is read.
 */
#ifndef WT_GENERATED_H
#define WT_GENERATED_H

#include "utils/relcache.h"

#include "sealed/needs.h"

typedef struct WtGenerated WtGenerated;

/*
 * For those generated columns that are needed; what they are computed of is added to the needs.
 * NULL: there are none.  data: the partition's column of documents.  In the current memory
 * context.  Raises where one calls functions of users: who reads a table does not run its owner's.
 */
extern WtGenerated *wt_generated_create(Relation foreign, AttrNumber data,
										WtNeeds *needs);

/* Computes them; what they point to is valid until the next row. */
extern void wt_generated_fill(WtGenerated *generated, Datum *values, bool *nulls);

#endif
