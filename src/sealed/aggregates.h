/*
 * aggregates.h
 *		Groups and aggregates of a sealed partition, computed where its chunks are read: rows of
 *		one combination of values are counted, not made.
 *
 * What the scan gives are partial aggregates (AGGSPLIT_INITIAL_SERIAL), a group once or
 * several times; PostgreSQL combines them, with those of other partitions.
 */
#ifndef WT_AGGREGATES_H
#define WT_AGGREGATES_H

#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/* How a key depends on the row. */
typedef enum WtKeyKind
{
	WT_KEY_VALUES, /* on columns other than the time */
	WT_KEY_TIME	   /* on the time alone: of two rows the later one's is not smaller */
} WtKeyKind;

/* What an aggregate does, as far as it is known here. */
typedef enum WtAggregateKind
{
	WT_AGGREGATE_ROWS,	 /* count(*) */
	WT_AGGREGATE_VALUES, /* count(x) */
	WT_AGGREGATE_FIRST,	 /* min(event_timestamp) */
	WT_AGGREGATE_LAST,	 /* max(event_timestamp) */
	WT_AGGREGATE_BEST,	 /* min, max and others that equal values do not change */
	WT_AGGREGATE_ANY	 /* no aggregate: a column, of any row of the group */
} WtAggregateKind;

/* What a plan carries: the members of ForeignScan's fdw_private, in this order. */
enum
{
	WT_AGGREGATES_TABLE, /* integers: the Var number of the partition, while it was planned */
	WT_AGGREGATES_RELATION, /* an Oid: the partition */
	WT_AGGREGATES_NEEDS, /* of wt_needs_to_list(): of all but conditions, without the time */
	WT_AGGREGATES_CONDITIONS, /* in the order in which they are to be evaluated */
	WT_AGGREGATES_KEYS,		  /* expressions */
	WT_AGGREGATES_KEY_KINDS,  /* integers */
	WT_AGGREGATES_KEY_EQUALS, /* Oids: operators */
	WT_AGGREGATES_CALLS, /* of lists: kind, argument or NULL, FILTER or NULL, WtCallOids */
	WT_AGGREGATES_OUTPUT, /* integers, by column: a key, or -1 - a call */
	WT_AGGREGATES_MEMBERS
};

/* GetForeignUpperPaths. */
extern void wt_sealed_upper_paths(PlannerInfo *root, UpperRelationKind stage,
								  RelOptInfo *input, RelOptInfo *output, void *extra);

/* GetForeignPlan of its paths. */
extern ForeignScan *wt_aggregates_plan(PlannerInfo *root, RelOptInfo *rel,
									   ForeignPath *path, List *tlist);

/* How long the buckets of a key are that are all of one length, in µs; 0: unknown, or they are not. */
extern int64 wt_bucket_width(Expr *key);

/* The callbacks while a query runs, of scans that are aggregates. */
#define wt_is_aggregates(node) (((ForeignScan *) (node)->ss.ps.plan)->scan.scanrelid == 0)

struct ExplainState;
extern void wt_aggregates_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *wt_aggregates_iterate(ForeignScanState *node);
extern void wt_aggregates_rescan(ForeignScanState *node);
extern void wt_aggregates_end(ForeignScanState *node);
extern void wt_aggregates_explain(ForeignScanState *node, struct ExplainState *es);

#endif
