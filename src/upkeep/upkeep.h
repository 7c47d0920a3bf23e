/*
 * upkeep.h
 *		The log table's partitions: made ahead, filled, dropped.
 */
#ifndef WT_UPKEEP_H
#define WT_UPKEEP_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/block.h"

typedef enum WtTaskKind
{
	WT_TASK_MAKE,	/* a partition for from..to, with the default's rows of that time */
	WT_TASK_DELETE, /* the default's rows before to, in the blocks from block on */
	WT_TASK_DROP	/* the partition that covers from..to */
} WtTaskKind;

/* What is to be done, and in done what was. */
typedef struct WtTask
{
	WtTaskKind kind;
	TimestampTz from; /* DT_NOBEGIN, DT_NOEND: no bound */
	TimestampTz to;
	Oid partition; /* WT_TASK_DROP */
	BlockNumber block;

	char *done_to; /* the partition's quoted name; NULL: nothing was left to do */
	int64 rows;	   /* moved or deleted; dropped: PostgreSQL's estimate, -1: it has none */
	int64 bytes;   /* WT_TASK_DROP */
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

/*
 * What is to be done to the log table at the time as_of, as a list of WtTask: first what
 * events need, then what frees space.  Empty with *reason set where it is a table that
 * the upkeep leaves alone.
 *
 * The default partition's rows are looked at only when it does not look as at the last
 * time, which glance, where there is one, remembers.
 *
 * Needs a transaction with an active snapshot, as the next one does; allocates in the
 * current memory context.  Raises.
 */
extern List *wt_upkeep_plan(Oid relation, TimestampTz as_of, WtGlance *glance,
							const char **reason);

/*
 * Does one task, unless it has been done meanwhile.  Holds its locks until the
 * transaction ends, which therefore should be soon.
 */
extern void wt_upkeep_do(Oid relation, WtTask *task);

/* What a task is called: "created", "deleted", "dropped". */
extern const char *wt_upkeep_action(WtTaskKind kind);

/*
 * Runs what(arg) as the log table's owner, with SPI connected, safe from what the owner has
 * put into it and from odd settings; false: there is no such table.  The caller has seen to
 * it that who asks for it may act as the owner.  Raises.
 */
extern bool wt_upkeep_as_owner(Oid relation, void (*what)(void *arg), void *arg);

#endif
