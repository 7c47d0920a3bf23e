/*
 * combinations.h
 *		How many combinations of values there are, of what is needed of rows: estimated while a query
 *		is planned, by what a chunk's directory says, for statistics know nothing of what is in
 *		documents.
 */
#ifndef WT_COMBINATIONS_H
#define WT_COMBINATIONS_H

#include "sealed/needs.h"

/* Of a chunk in the middle of a partition. */
typedef struct WtCombinations
{
	double n; /* at most as many as it has rows */
	double n_rows;
	int n_differ;	 /* columns that have several values */
	double duration; /* from its first to its last row, µs */
} WtCombinations;

/* data: the column of documents.  False: there is no chunk to look at. */
extern bool wt_combinations_estimate(Oid partition, AttrNumber data, const WtNeeds *needs,
									 WtCombinations *combinations);

#endif
