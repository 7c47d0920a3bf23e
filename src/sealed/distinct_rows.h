/*
 * distinct_rows.h
 *		Leaves out rows of a chunk that are as others are, where only different ones are asked for.
 */
#ifndef WT_DISTINCT_ROWS_H
#define WT_DISTINCT_ROWS_H

#include "nodes/pathnodes.h"

#include "sealed/needs.h"
#include "sealed/projection.h"

/* Whether an aggregate comes out the same of a value that comes once and that comes several times. */
extern bool wt_ignores_repeats(Oid aggregate);

/* Whether a query asks for different rows, be it to aggregate them. */
extern bool wt_asks_distinct(PlannerInfo *root);

/*
 * Whether a query asks for a relation's different rows, as far as they are needed, and all
 * conditions are evaluated by its scan.
 */
extern bool wt_only_distinct(PlannerInfo *root, RelOptInfo *rel, const WtNeeds *needs);

/* Of a chunk. */
typedef struct WtDistinctRows
{
	const int32 *numbers; /* by row; NULL: its combinations are not numbered */
	bool *given;		  /* by number */
} WtDistinctRows;

/*
 * Begins with the chunk that is open.  decided: no condition is left; then all selected rows are left
 * out that are as one before them.  in_order: rows are to be given by their times.
 */
extern void wt_distinct_rows_begin(WtDistinctRows *rows, WtChunkScan *chunks,
								   WtProjection *projection, bool decided, bool in_order);

/* Whether a row is as one that was given. */
static inline bool
wt_distinct_row_was_given(const WtDistinctRows *rows, int row)
{
	return rows->numbers != NULL && rows->numbers[row] >= 0 &&
		   rows->given[rows->numbers[row]];
}

/* A row is given. */
static inline void
wt_distinct_row_give(const WtDistinctRows *rows, int row)
{
	if (rows->numbers != NULL && rows->numbers[row] >= 0)
		rows->given[rows->numbers[row]] = true;
}

#endif
