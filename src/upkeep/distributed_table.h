/*
 * distributed_table.h
 *		What the upkeep does otherwise where Citus has distributed the log table.
 *
 * All of it is done on the coordinator, within a scope (store/scope.h), and raises.
 */
#ifndef WT_DISTRIBUTED_TABLE_H
#define WT_DISTRIBUTED_TABLE_H

#include "store/scope.h"
#include "upkeep/spans.h"
#include "upkeep/upkeep.h"

/* How many of a table's partitions hold rows, or, where it is given, whether that one does. */
extern int64 wt_distributed_count_filled(Oid parent, Oid partition);

/* Makes a partition for a task, with the default one's rows of its time. */
extern void wt_distributed_make(const WtSpans *table, WtTask *task, const WtScope *scope);

/*
 * Plans the deletion of the default partition's rows before oldest; unless plan->force, of one
 * in `share` of its rows, or of `fewest`.
 */
extern void wt_distributed_plan_deletes(WtPlan *plan, const WtSpans *table,
										TimestampTz oldest, MemoryContext caller,
										int64 fewest, int64 share);

/* Deletes the default partition's rows of a task's time. */
extern void wt_distributed_delete(const WtSpans *table, WtTask *task,
								  const WtScope *scope);

#endif
