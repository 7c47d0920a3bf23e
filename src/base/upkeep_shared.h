/*
 * upkeep_shared.h
 *		What others see of the upkeep beside its status: what it could not do, and whether it
 *		believes the clock.
 */
#ifndef WT_UPKEEP_SHARED_H
#define WT_UPKEEP_SHARED_H

#include "datatype/timestamp.h"

/* What the view has room for; further failures are in the log alone. */
#define WT_MAX_UPKEEP_FAILURES 16

/* Something that the last round could not do; texts are cut to what has room. */
typedef struct WtUpkeepFailure
{
	char action[16];
	char partition[160]; /* "": none yet */
	TimestampTz from;
	TimestampTz to;
	char error[256];
	char hint[192]; /* the remedy; "": none is known */
	TimestampTz first_time;
	TimestampTz last_time;
	int64 times; /* in so many rounds, one after another */
} WtUpkeepFailure;

typedef struct WtUpkeepFailures
{
	int n;
	WtUpkeepFailure failures[WT_MAX_UPKEEP_FAILURES];
} WtUpkeepFailures;

/*
 * The wall clock against one that nobody sets, both in microseconds; see upkeep/clock.c.
 * Written by the upkeep's process, and by who confirms the time by hand.
 */
typedef struct WtClock
{
	bool has_believed;
	int64 believed; /* how far the wall clock was ahead, when it was believed last */
	TimestampTz doubted_since; /* what it showed when the doubt began; 0: no doubt */
	int64 doubted;			   /* how far it is ahead, while in doubt */
	bool jumped;			   /* it was believed, and then went ahead by itself */
	bool waits; /* something would be dropped if it were believed, or it has jumped */
} WtClock;

#endif
