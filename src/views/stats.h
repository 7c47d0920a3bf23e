/*
 * stats.h
 *		The counters of all workers together, as a list of named numbers.
 */
#ifndef WT_STATS_H
#define WT_STATS_H

#include "base/counters.h"

/* What is counted, and how it is written: the same for SQL and for Prometheus. */
typedef enum WtStatKind
{
	WT_STAT_COUNTER,
	WT_STAT_GAUGE,
	WT_STAT_HISTOGRAM
} WtStatKind;

/* One number.  Those of one name follow each other. */
typedef struct WtStat
{
	const char *name; /* without prefix */
	const char *help;
	WtStatKind kind;
	const char *suffix; /* of a histogram's number: _bucket, _sum, _count; else "" */
	const char *label;	/* NULL: none */
	const char *label_value;
	double value;
} WtStat;

/* Calls visit for each number, as of now, since the last reset. */
extern void wt_stats_visit(void (*visit)(const WtStat *stat, void *arg), void *arg);

#endif
