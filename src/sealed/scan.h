/*
 * scan.h
 *		Executing the scan of a sealed partition: the wrapper's callbacks while a query runs.
 */
#ifndef WT_SEALED_SCAN_H
#define WT_SEALED_SCAN_H

#include "access/parallel.h"
#include "nodes/execnodes.h"

#include "sealed/chunk_scan.h"
#include "sealed/distinct_rows.h"
#include "sealed/filters.h"
#include "sealed/late.h"
#include "sealed/needs.h"
#include "sealed/projection.h"
#include "sealed/row_locks.h"
#include "sealed/target.h"

/* What was read, for EXPLAIN. */
typedef struct WtScanCounts
{
	uint64 read; /* chunks of which rows were looked at */
	uint64 by_time, by_range, by_values;
	uint64 late;  /* rows */
	uint64 bytes; /* as they are stored */
} WtScanCounts;

/* What processes share that scan one partition together. */
typedef struct WtSharedScan
{
	pg_atomic_uint32 next; /* unit of work: a chunk; behind the last, the late rows */
	pg_atomic_uint64 counts[sizeof(WtScanCounts) / sizeof(uint64)];
	int32 n_numbers;
	int32 numbers[FLEXIBLE_ARRAY_MEMBER];
} WtSharedScan;

/* A scan's fdw_state. */
typedef struct WtScan
{
	WtNeeds *needs;
	int direction; /* 0 in any order, 1 by time, -1 by time from the last */
	bool distinct; /* only different rows are asked for */
	List *clauses; /* that the scan evaluates */

	/* What follows is not there while a plan is only explained. */
	WtChunkScan *chunks; /* NULL: nothing is open */
	WtFilters *filters;
	WtProjection *projection;
	bool no_columns; /* rows are only counted */
	WtLateScan *late;
	Oid late_table;
	WtTarget *target;  /* NULL: its rows are not to be changed */
	WtRowLocks *locks; /* NULL: and not to be locked */
	Snapshot snapshot;
	TupleTableSlot *late_slot; /* a row of the partition */
	WtLateScan *moved;		   /* reads what has moved meanwhile; NULL: nothing has */
	TupleTableSlot *moved_slot;
	ExprContext *conditions; /* that they are evaluated in */

	bool started;
	bool nothing;	   /* no row can pass */
	int64 first, last; /* times */
	int from,
		to; /* of chunks->numbers, those that may hold such times; to is not among them */
	WtDistinctRows rows_given; /* where only different ones are */
	bool is_distinct;		   /* all selected rows of the chunk that is open differ */
	uint32 own_next;		   /* unit of work, where nothing is shared */
	WtSharedScan *shared;
	const int64 *times; /* of the chunk that is open, where rows come by time */
	int row;			/* of it, that was found last; -1: none is open */
	bool is_plain;		/* of it all selected rows are returned, as they lie */
	bool row_waits;		/* it is to be returned */
	bool row_has_moved; /* it is in moved_slot */
	bool late_waits;	/* and so the row in late_slot */
	bool late_ended;
	WtScanCounts counts;
	WtScanCounts reported; /* of them, what the shared counts have */
	bool is_shown;
	WtScanCounts shown; /* of all processes, once they have ended */
	Bitmapset *columns; /* of late rows, that are needed; NULL: all */
} WtScan;

extern void wt_sealed_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *wt_sealed_iterate(ForeignScanState *node);
extern void wt_sealed_rescan(ForeignScanState *node);
extern void wt_sealed_end(ForeignScanState *node);
extern void wt_sealed_shutdown(ForeignScanState *node);

extern bool wt_sealed_parallel_safe(PlannerInfo *root, RelOptInfo *rel,
									RangeTblEntry *rte);
extern Size wt_sealed_shared_size(ForeignScanState *node, ParallelContext *context);
extern void wt_sealed_share(ForeignScanState *node, ParallelContext *context,
							void *shared);
extern void wt_sealed_share_again(ForeignScanState *node, ParallelContext *context,
								  void *shared);
extern void wt_sealed_join(ForeignScanState *node, shm_toc *toc, void *shared);

/* explain.c */
struct ExplainState;
extern void wt_sealed_explain(ForeignScanState *node, struct ExplainState *es);

/* analyze.c */
#include "foreign/fdwapi.h"
extern bool wt_sealed_analyze(Relation relation, AcquireSampleRowsFunc *function,
							  BlockNumber *pages);

#endif
