/*
 * upkeep.h
 *		The log table's partitions: made ahead, filled, dropped.
 */
#ifndef WT_UPKEEP_H
#define WT_UPKEEP_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/block.h"

#include "base/upkeep_shared.h"

typedef enum WtTaskKind
{
	WT_TASK_LOOK,	/* never planned: what a failed part of the plan is called */
	WT_TASK_MAKE,	/* a partition for from..to, with the default's rows of that time */
	WT_TASK_DELETE, /* the default's rows before to, in the blocks from block on, or some */
	WT_TASK_DROP,	/* the partition that covers from..to */
	WT_TASK_SEAL,	/* the same */
	WT_TASK_REWRITE, /* chunks of a sealed one: deleted rows go, late ones are taken in */
	WT_TASK_MERGE	 /* the sealed partitions of from..to become one */
} WtTaskKind;

/* What is to be done, and in done what was. */
typedef struct WtTask
{
	WtTaskKind kind;
	TimestampTz from; /* DT_NOBEGIN, DT_NOEND: no bound */
	TimestampTz to;
	Oid partition; /* WT_TASK_DROP */
	char *name;	   /* its name, or the default one's; NULL: WT_TASK_MAKE */
	BlockNumber block;
	int64 max_rows; /* WT_TASK_DELETE */
	bool if_empty;	/* WT_TASK_DROP: only where it holds nothing */
	bool spare;		/* WT_TASK_DROP: beyond the share, see wt_upkeep_is_due */

	bool more;	   /* WT_TASK_REWRITE: do it again, in another transaction */
	char *done_to; /* the partition's quoted name; NULL: nothing was left to do */
	int64
		rows; /* moved, deleted, sealed; dropped: PostgreSQL's estimate, -1: it has none */
	int64 bytes;	   /* before; WT_TASK_DROP and WT_TASK_SEAL */
	int64 bytes_after; /* WT_TASK_SEAL */
} WtTask;

/* What the default partition looked like; for wt_upkeep_plan. */
typedef struct WtGlance
{
	Oid partition;
	int64 inserted;
	BlockNumber blocks;
	TimestampTz day;
	TimestampTz oldest;
} WtGlance;

/* A plan is made in parts, in this order, so that one that fails does not stop the others. */
typedef enum WtPlanPart
{
	WT_PLAN_AHEAD,	 /* partitions for today and the days to come */
	WT_PLAN_CLOCK,	 /* whether time may make anything old */
	WT_PLAN_DEFAULT, /* what the default partition's rows need */
	WT_PLAN_OLD,	 /* what is to be dropped */
	WT_PLAN_SEALED,	 /* what sealed partitions need, and what is to be sealed */
	WT_N_PLAN_PARTS
} WtPlanPart;

typedef struct WtPlan
{
	Oid relation;
	TimestampTz as_of;
	bool by_clock;	  /* as_of is what the clock says, which may be wrong */
	bool seal;		  /* partitions are sealed and merged, chunks rewritten, too */
	bool force;		  /* all that is old may go, whatever the clock, at once */
	WtGlance *glance; /* NULL: the default partition is looked at in any case */
	WtClock clock;	  /* what is known of the clock; WT_PLAN_CLOCK adds to it */

	List *tasks;		/* of WtTask */
	const char *reason; /* why the table is left alone; NULL: it is not */
	bool believed;		/* as_of is, so that things may be dropped */
	int held;		 /* partitions that would be dropped if it were, and rows: one more */
	int left;		 /* partitions for the next rounds, since too many are old */
	int64 left_rows; /* the same of the default partition's rows */
	bool more;		 /* there is more to seal than one round does */
	int vacant;		 /* of the share, since their drops have failed */
} WtPlan;

/* Raises unless a plan can be made as of that time. */
extern void wt_upkeep_check_time(TimestampTz as_of);

/*
 * Adds a part of what is to be done to the log table: tasks in the order in which they are
 * to be done.  The default partition's rows are looked at only when it does not look as at
 * the last time, which glance remembers.
 *
 * Of the partitions that hold data at most a quarter, or two, are planned to be dropped at
 * once, and of the default partition's rows a quarter, or a thousand, to be deleted, unless
 * force: what was told wrongly then leaves somebody time to see it.
 *
 * Needs a transaction with an active snapshot, as the next one does; allocates in the
 * current memory context.  Raises.
 */
extern void wt_upkeep_plan(WtPlan *plan, WtPlanPart part);

/*
 * Does one task, unless it has been done meanwhile.  Holds its locks until the
 * transaction ends, which therefore should be soon.
 */
extern void wt_upkeep_do(Oid relation, WtTask *task);

/*
 * Whether a task of the plan is to be done now: those beyond the share are only in the place
 * of drops that have failed, or what is never dropped would keep the others for ever.  One
 * that is not is counted in left.
 */
extern bool wt_upkeep_is_due(WtPlan *plan, const WtTask *task);

/* Notes that a task has failed. */
extern void wt_upkeep_failed(WtPlan *plan, const WtTask *task, int sqlstate);

/* What a task is called when it is done ("created", "deleted", "dropped"), and to be done. */
extern const char *wt_upkeep_action(WtTaskKind kind);
extern const char *wt_upkeep_verb(WtTaskKind kind);

#endif
