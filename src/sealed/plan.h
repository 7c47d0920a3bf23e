/*
 * plan.h
 *		Planning to read a sealed partition: the wrapper's first three callbacks.
 */
#ifndef WT_SEALED_PLAN_H
#define WT_SEALED_PLAN_H

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

#include "sealed/estimate.h"
#include "sealed/needs.h"

/* Rows of a chunk, as sealing makes them. */
#define WT_PLANNED_CHUNK_ROWS 16384

/* Of a relation that is a sealed partition: its fdw_private. */
typedef struct WtSealedRelation
{
	WtTable *table; /* NULL: what is used of it cannot be told, so all is */
	double n_rows;
	double n_chunks;
	double n_pages; /* of the table of chunks, with what is out of line */
	AttrNumber time_column;
	WtEstimate estimate;
} WtSealedRelation;

/* What a plan carries: the members of ForeignScan's fdw_private, in this order. */
enum
{
	WT_PLAN_NEEDS, /* of wt_needs_to_list() */
	WT_PLAN_DIRECTION, /* a list of one integer: 0 in any order, 1 by time, -1 from the last */
	WT_PLAN_DISTINCT, /* a list of one integer: 1 where only different rows are asked for */
	WT_PLAN_MEMBERS
};

extern void wt_sealed_relation_size(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void wt_sealed_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *wt_sealed_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
								   ForeignPath *path, List *tlist, List *clauses,
								   Plan *outer);

/* Whether the scan can evaluate a condition by itself, in place of the executor. */
extern bool wt_sealed_can_evaluate(const WtSealedRelation *sealed,
								   RestrictInfo *condition);

#endif
