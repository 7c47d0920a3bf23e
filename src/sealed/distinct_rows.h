/*
 * distinct_rows.h
 *		Leaves out rows of a chunk that are as others are, where only different ones are asked for.
 */
#ifndef WT_DISTINCT_ROWS_H
#define WT_DISTINCT_ROWS_H

#include "nodes/pathnodes.h"

#include "sealed/needs.h"
#include "sealed/projection.h"

/*
 * Whether a query asks for a relation's different rows, as far as they are needed, and all
 * conditions are evaluated by its scan.
 */
extern bool wt_only_distinct(PlannerInfo *root, RelOptInfo *rel, const WtNeeds *needs);

/* Of a scan; zeroed before the first row. */
typedef struct WtDistinctRows
{
	uint64 serial; /* of the chunk that the rest is of */
	const int32 *numbers;
	bool *given; /* by number */
} WtDistinctRows;

/* Whether a row of the chunk that is open differs from those that were asked for before. */
extern bool wt_distinct_row_is_new(WtDistinctRows *rows, WtChunkScan *chunks,
								   WtProjection *projection, int row);

#endif
