/*
 * metrics.h
 *		The counters in Prometheus's text format.
 */
#ifndef WT_METRICS_H
#define WT_METRICS_H

#include "lib/stringinfo.h"

/* The Content-Type of what wt_metrics_write writes. */
#define WT_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends all metrics to out.  Raises where memory runs out. */
extern void wt_metrics_write(StringInfo out);

#endif
