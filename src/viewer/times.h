/*
 * times.h
 *		Times in requests and in answers.
 */
#ifndef WT_VIEWER_TIMES_H
#define WT_VIEWER_TIMES_H

#include "viewer/job.h"

/*
 * A parameter as a time: one that PostgreSQL reads, in UTC unless it says otherwise, or an
 * interval before the request.  Where it was not sent: `otherwise`.  Raises, in a transaction.
 */
extern TimestampTz wt_viewer_time(const WtViewerJob *job, const char *name,
								  TimestampTz otherwise);

/* The time that is asked for: since and until, unless told a day ago and now. */
extern void wt_viewer_span(const WtViewerJob *job, TimestampTz *since,
						   TimestampTz *until);

/* Appends a time as a JSON string: "2026-11-26T12:00:00.123456Z", "infinity", "-infinity". */
extern void wt_viewer_write_time(WtBuffer *out, TimestampTz time);

/* The same without quotation marks. */
extern void wt_viewer_write_bare_time(WtBuffer *out, TimestampTz time);

/* Appends the line that says how far a search is. */
extern void wt_viewer_write_progress(WtBuffer *out, TimestampTz searched_to);

#endif
