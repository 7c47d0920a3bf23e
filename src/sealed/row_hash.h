/*
 * row_hash.h
 *		A hash over all values of a row, by which rows are compared that are in different tables.
 *
 * Rows of one hash have the same values, byte for byte: a number 1.0 is another one than 1.  Only what
 * jsonb leaves free between its parts does not count.
 */
#ifndef WT_ROW_HASH_H
#define WT_ROW_HASH_H

#include "access/tupdesc.h"

typedef struct WtRowHash WtRowHash;

/*
 * How to hash a row with the columns of source so that it is the same as that of a row with
 * those of target: by their names, in target's order, but for what is generated.  In the current memory context.
 */
extern WtRowHash *wt_row_hash_create(TupleDesc source, TupleDesc target);

/* May detoast in the current memory context. */
extern uint64 wt_row_hash(const WtRowHash *hash, const Datum *values, const bool *nulls);

#endif
