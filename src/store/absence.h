/*
 * absence.h
 *		The log table is not there, or takes nothing: when it may be made.
 *
 * All of it is about this process's own tries.
 */
#ifndef WT_ABSENCE_H
#define WT_ABSENCE_H

/* The log table (windtrap.table) is there. */
extern void wt_absence_over(void);

/* The extension is absent: when it comes back, a table that has vanished is made at once. */
extern void wt_absence_forget(void);

/*
 * The log table is absent and about to be made.  Raises, with the reason, where it is not
 * to be made now: the database is being restored; this is no place to make it; it was there
 * until just now; making it has failed a moment ago.  Needs SPI connected.
 */
extern void wt_absence_begin(void);

/* The transaction ended in which it was about to be made: with an error, or NULL. */
extern void wt_absence_end(const char *error);

/* Whether it was for one of these reasons that the last try failed: look again soon. */
extern bool wt_absence_lasts(void);

/* No partition takes a row, or, again, all rows have been taken.  Wakes the upkeep. */
extern void wt_absence_of_partition(bool absent);

#endif
