/*
 * plan_sealed.h
 *		What is to be sealed, and what sealed partitions need.
 */
#ifndef WT_PLAN_SEALED_H
#define WT_PLAN_SEALED_H

#include "store/scope.h"
#include "upkeep/spans.h"
#include "upkeep/upkeep.h"

/*
 * Adds tasks to the plan: partitions whose time is over for windtrap.seal_after are sealed, a few
 * in a round, and not while the clock is doubted; sealed ones of parts of a day are merged when
 * all of the day's are; chunks with deleted rows are rewritten, and late rows taken in once no more
 * come; all that where the plan is to seal.  In any case mends what ties a sealed partition to its tables, where a dump could not keep
 * it.  What cannot be sealed is said in the log, once.
 */
extern void wt_plan_sealed(WtPlan *plan, const WtSpans *table, const WtScope *scope);

/* Notes how many late rows there are that chunks do not take, so that they are left alone. */
extern void wt_plan_late_rejected(Oid late, int64 rows);

#endif
