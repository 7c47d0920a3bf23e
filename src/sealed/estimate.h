/*
 * estimate.h
 *		How many rows of a sealed partition pass a query's conditions: found by trying them on a
 *		chunk, for members of documents have no statistics unless somebody makes some.
 */
#ifndef WT_ESTIMATE_H
#define WT_ESTIMATE_H

#include "nodes/pathnodes.h"

#include "sealed/needs.h"

typedef struct WtEstimate
{
	double looked_at; /* fraction of the rows, whose times are those that are asked for */
	double passing;	  /* fraction of all rows */
	bool skips;		  /* most chunks are skipped by what their directories say */
	double
		looks; /* at a row, for all conditions: one is at a text or number of its own */
	Cost of_a_row; /* to evaluate the conditions that columns cannot decide */
} WtEstimate;

/* Of all conditions on a relation that is a sealed partition. */
extern void wt_estimate(PlannerInfo *root, RelOptInfo *rel, Oid relid, Oid chunks,
						const WtTable *table, WtEstimate *estimate);

#endif
