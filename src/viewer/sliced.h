/*
 * sliced.h
 *		Searches of which a step does one slice, within the time that a request may take.
 *
 * A slice that takes too long is given up, and a part of it tried, as long as that helps.
 */
#ifndef WT_SLICED_H
#define WT_SLICED_H

#include "viewer/job.h"

/* Begins as zeros. */
typedef struct WtSliced
{
	int64 spent;		/* in slices, µs */
	TimestampTz trying; /* since when one is being tried; 0: none */
	int timeout;		/* of a slice, ms; 0: not begun yet */
	bool done;			/* at least one */
} WtSliced;

typedef enum WtSlicedEnd
{
	WT_SLICED_DONE,	  /* one more, or its time is up */
	WT_SLICED_AGAIN,  /* it was given up: to be tried again with the next step */
	WT_SLICED_FAILED, /* the job has been answered */
} WtSlicedEnd;

/*
 * Does one slice: what(job), with the owner's rights.  gave_up(job) is told where it took too
 * long, and gives whether a part of it can be tried; else all of it has more time.
 */
extern WtSlicedEnd wt_sliced_step(WtViewerJob *job, WtSliced *sliced,
								  void (*what)(WtViewerJob *job),
								  bool (*gave_up)(WtViewerJob *job));

/*
 * Whether a request has had its time, be it that it waited for its turns meanwhile, and the next one
 * is to go on.
 */
extern bool wt_sliced_time_is_up(const WtViewerJob *job, const WtSliced *sliced);

#endif
