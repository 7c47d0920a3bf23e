/*
 * progress.h
 *		How far something long is, in pg_stat_activity.
 */
#ifndef WT_PROGRESS_H
#define WT_PROGRESS_H

/* What is done to a partition: "sealing log_20261126: 40 % of 1000000 rows". */
extern void wt_progress(const char *what, const char *name, int64 done, int64 all);

/* Back to what the session was doing. */
extern void wt_progress_end(void);

#endif
