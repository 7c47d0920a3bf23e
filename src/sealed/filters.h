/*
 * filters.h
 *		Which rows of a chunk pass a query's conditions.
 *
 * In two steps.  wt_filters_chunk() looks at whole columns, at what the directory says of them
 * first: it can neither raise nor tell anybody what it has seen, so that it may look at rows
 * that an earlier condition, or row security, keeps from a later one.  For each condition and row
 * it says true, false, null, or that it does not know.
 * wt_filters_row() has PostgreSQL evaluate, in order and as it would on a heap, those conditions
 * that are not decided for the row; where few combinations of values can occur, once for each.
 */
#ifndef WT_FILTERS_H
#define WT_FILTERS_H

#include "nodes/execnodes.h"

#include "sealed/chunk_scan.h"
#include "sealed/needs.h"

typedef struct WtFilters WtFilters;

/* Why a chunk is not read. */
typedef struct WtSkipped
{
	int64 by_time;	 /* all of its rows are out of the conditions' times */
	int64 by_range;	 /* a value that is wanted is beyond the smallest or largest */
	int64 by_values; /* it is not among the values of a dictionary or column */
} WtSkipped;

/*
 * Conditions (of a WHERE, all of which must hold, in the order in which they are to be
 * evaluated) over Vars of varno.  parent: whose Params they use; may be NULL.  context: to
 * evaluate them in, and nothing else: it is reset after each.  In the current memory context.
 */
extern WtFilters *wt_filters_create(WtChunkScan *scan, List *clauses, Index varno,
									PlanState *parent, ExprContext *econtext);

/* Before the first chunk, and again when parameters may have changed. */
extern void wt_filters_start(WtFilters *filters);

/* The times between which all rows lie that can pass; false: none can. */
extern bool wt_filters_times(const WtFilters *filters, int64 *first, int64 *last);

/*
 * Clears scan->selected of rows of the chunk that is open that do not pass.  False: none is
 * left.
 */
extern bool wt_filters_chunk(WtFilters *filters);

/* Whether a selected row passes what is left.  May raise as the conditions do. */
extern bool wt_filters_row(WtFilters *filters, int row);

/* Whether nothing is left for wt_filters_row() in this chunk: all selected rows pass. */
extern bool wt_filters_decided(const WtFilters *filters);

/* Whether a row that is in no chunk passes: of the table's columns. */
extern bool wt_filters_slot(WtFilters *filters, TupleTableSlot *slot);

extern const WtSkipped *wt_filters_skipped(const WtFilters *filters);

#endif
