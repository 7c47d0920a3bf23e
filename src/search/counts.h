/*
 * counts.h
 *		How many events a query finds, over time and by the values of a field, a slice of time at
 *		a call; see search.h for how.
 */
#ifndef WT_COUNTS_H
#define WT_COUNTS_H

#include "search/slices.h"

/* Values that have lines of their own; all others are one. */
#define WT_HISTOGRAM_VALUES 20
#define WT_HISTOGRAM_MAX_BUCKETS 10000
#define WT_TOP_MAX_VALUES 10000

/* What is counted of. */
typedef struct WtCountFor
{
	const text *query; /* NULL: everything */
	TimestampTz since; /* since <= event_timestamp < until */
	TimestampTz until;
	const text *field; /* NULL: all events alike, which a histogram can do */
} WtCountFor;

/* Some events that have a value in common.  It is cut to 1,000 characters. */
typedef struct WtCount
{
	int bucket;		   /* from 0, the oldest, on; of a histogram */
	const char *value; /* NULL: they have no such field */
	bool is_others;	   /* the values that have no line of their own */
	int64 count;
} WtCount;

typedef struct WtTimeHistogram WtTimeHistogram;

/* As wt_search_open(): checks all, raises as windtrap.histogram() does. */
extern WtTimeHistogram *wt_histogram_open(const WtCountFor *what, int buckets);

/* How long a bucket is, µs; the last one may end behind `until`. */
extern int64 wt_histogram_width(const WtTimeHistogram *histogram);

/*
 * Counts in the next slice; gives how many counts are final now, which are in *counts until the
 * next call: those of whole buckets, newest buckets first, each (bucket, value) once in all, and
 * no zeros.  A slice can be a part of a bucket, and then make nothing final.  Needs what
 * wt_search_slice() needs.
 *
 * With a field the 20 values that have lines of their own are the most frequent ones of the
 * newest slice that has any, and what is free then is filled by later ones.
 */
extern int wt_histogram_slice(WtTimeHistogram *histogram, const WtCount **counts);
extern bool wt_histogram_gave_up(WtTimeHistogram *histogram);

/*
 * searched_to may be within a bucket; final_to is the beginning of the oldest bucket that is
 * final, or the end of the time.
 */
extern const WtSearched *wt_histogram_progress(const WtTimeHistogram *histogram);
extern TimestampTz wt_histogram_final_to(const WtTimeHistogram *histogram);

typedef struct WtTop WtTop;

/* As windtrap.top_values(); the field is needed. */
extern WtTop *wt_top_open(const WtCountFor *what);

/*
 * Counts in the next slice.  It is over, and not complete, when there are too many different
 * values to be remembered: what has been counted is exact for the time down to searched_to.
 */
extern void wt_top_slice(WtTop *top);
extern bool wt_top_gave_up(WtTop *top);
extern const WtSearched *wt_top_progress(const WtTop *top);

/* All of the time was searched. */
extern bool wt_top_is_complete(const WtTop *top);

/*
 * The n most frequent values, most frequent first, into counts; how many there are.  *total is
 * how many events were found, with and without the field.  At any time.
 */
extern int wt_top_values(const WtTop *top, WtCount *counts, int n, int64 *total);

#endif
