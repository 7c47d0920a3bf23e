/*
 * sink.h
 *		Lines → a descriptor that others read, or do not read: never waits for them.
 *
 * Words:
 *	target		standard output, or a path of a fifo or file
 *	torn line	one of which only the beginning has been written
 *
 * What a target does not take at once is kept in memory, up to a bound; beyond it, and while
 * there is nobody to write to, lines are dropped and counted.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_SINK_H
#define WT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/shared_parts.h"

typedef struct WtSink WtSink;

/* A sink without target, which counts in counters; NULL where memory or descriptors run out. */
extern WtSink *wt_sink_create(WtSinkShared *shared, WtCounters *counters);

/* Drops what is left, and lets others write. */
extern void wt_sink_destroy(WtSink *sink);

/*
 * Sets the target: an absolute path, or NULL for standard output.  Of the same target as
 * before: opens it again, for it may be another file now.  collector: standard output and
 * error are the pipe of PostgreSQL's logging collector, which must not be written to.
 */
extern void wt_sink_aim(WtSink *sink, const char *path, bool collector);

/* Whether lines can be written or kept; opens the target where it is time to try. */
extern bool wt_sink_is_open(WtSink *sink);

/* Takes a line, with its line feed at the end and none before; false: drops it. */
extern bool wt_sink_put(WtSink *sink, const char *line, size_t length);

/* Counts lines as dropped that have not even been made. */
extern void wt_sink_drop(WtSink *sink, size_t n_lines);

/* Writes what the target takes now. */
extern void wt_sink_flush(WtSink *sink);

/* The same for at most timeout ms, until all is written. */
extern void wt_sink_finish(WtSink *sink, int timeout);

/* Is readable while wt_sink_flush has something to do. */
extern int wt_sink_descriptor(const WtSink *sink);

/* When wt_sink_flush should be called anyway, in ms from now; -1: it need not. */
extern int wt_sink_timeout(const WtSink *sink);

/* Why lines are dropped, a plain sentence without a full stop; NULL: they are not. */
extern const char *wt_sink_error(const WtSink *sink);

#endif
