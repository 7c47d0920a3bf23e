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
 * Mends what ties a sealed partition to its tables, where a dump could not keep it.  Where the plan
 * is to seal, adds its tasks: partitions whose time is over for windtrap.seal_after are sealed,
 * and sealed ones of parts of a day merged when all of the day's are, both not while the clock is
 * doubted; chunks with deleted rows are rewritten, and late rows taken in once no more come.
 * What cannot be sealed is said in the log, once.
 */
extern void wt_plan_sealed(WtPlan *plan, const WtSpans *table, const WtScope *scope);

/* Notes how many late rows there are that chunks do not take, so that they are left alone. */
extern void wt_plan_late_rejected(Oid late, int64 rows);

#endif
