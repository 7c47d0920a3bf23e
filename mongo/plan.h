/*
 * plan.h
 *		What planning hands over to the execution of a scan.
 */
#ifndef WM_PLAN_H
#define WM_PLAN_H

#include "foreign/fdwapi.h"

/* The members of a ForeignScan's fdw_private; fdw_exprs holds the conditions' values. */
typedef enum WmPlanMember
{
	WM_PLAN_CONDITIONS, /* see wm_filter_write */
	WM_PLAN_SORT,		/* integers: column numbers, negative where descending */
	WM_PLAN_LIMIT,		/* integers: one, or none */
	WM_PLAN_COLUMNS		/* integers: column numbers that are read; 0: whole documents */
} WmPlanMember;

extern void wm_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relation);
extern void wm_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relation);
extern ForeignScan *wm_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relation,
								ForeignPath *path, List *tlist, List *clauses,
								Plan *outer_plan);

#endif
