/*
 * slices.h
 *		The time that is searched, read backwards in slices that take no long.
 *
 * The slices of a search are disjoint in time, and each one can have a transaction of its own:
 * what has been found by one stays true, and nothing is kept between two but how far it is.
 */
#ifndef WT_SLICES_H
#define WT_SLICES_H

#include "datatype/timestamp.h"

/* How far something that is done in slices is. */
typedef struct WtSearched
{
	/* From the end of the time down to here all is searched; here is not. */
	TimestampTz searched_to;

	/* There is nothing left to do. */
	bool over;
} WtSearched;

/* A slice: from <= event_timestamp < to. */
typedef struct WtSlice
{
	TimestampTz from;
	TimestampTz to;
} WtSlice;

/*
 * A walk through the time.  Its first slice holds, by the planner's estimate, about `events`
 * events.  As long as slices are quick each one is longer than the one before; one after a slow
 * one, which is one of more than a quarter of a second, is shorter; and none is meant to hold
 * more events, by the planner's estimate, than can be read in that time.  What lies after the
 * beginning of the transaction in which it began is one slice.
 */
typedef struct WtSlices
{
	WtSearched progress;
	TimestampTz since;
	TimestampTz now;
	double events;
	int64 width;		 /* of the next slice, µs; 0: not known yet */
	double rows_in_time; /* estimated ones that a slice may hold */
	WtSlice slice;
	TimestampTz begun;
	double estimated; /* rows of the slice; 0: not known */
} WtSlices;

/* since <= event_timestamp < until; DT_NOBEGIN and DT_NOEND: no limit. */
extern void wt_slices_begin(WtSlices *slices, TimestampTz since, TimestampTz until,
							double events);

/*
 * The next slice, which ends where the last one began; its clock runs from here on.  Unless
 * wt_slices_done() is called it is given again.  Needs SPI and an active snapshot; raises.
 */
extern WtSlice wt_slices_next(WtSlices *slices);

/* The slice is to begin at this time, which lies within it; gives it. */
extern WtSlice wt_slices_cut(WtSlices *slices, TimestampTz from);

/* The slice has been searched.  With `enough` nothing of the rest is wanted. */
extern void wt_slices_done(WtSlices *slices, bool enough);

/*
 * The slice has been given up since it took too long: the next one is a part of it.  False:
 * none can be.
 */
extern bool wt_slices_gave_up(WtSlices *slices);

#endif
