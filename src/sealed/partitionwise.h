/*
 * partitionwise.h
 *		Aggregation by partition, which sealed ones need to be aggregated where their chunks are
 *		read: on while a query that reads one is planned, and for no other.
 */
#ifndef WT_PARTITIONWISE_H
#define WT_PARTITIONWISE_H

#include "nodes/pathnodes.h"

/* For _PG_init(). */
extern void wt_partitionwise_install(void);

/*
 * A sealed partition is about to be planned, and after it the aggregates of the same query: they
 * are aggregated by partition then, if windtrap.partitionwise_aggregate says so and sealed
 * partitions hold a fair share of the rows.  Does nothing in the statement that has loaded the
 * library: nobody would turn it off again.
 */
extern void wt_partitionwise_want(const PlannerInfo *root, const RelOptInfo *sealed);

#endif
