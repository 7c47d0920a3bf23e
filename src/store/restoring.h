/*
 * restoring.h
 *		Whether the database is being restored from a dump.
 */
#ifndef WT_RESTORING_H
#define WT_RESTORING_H

/*
 * A reason, a plain sentence, why nothing may be made or stored in this process's database
 * just now: it is being restored; NULL: it is not.  Looks at most once a second, otherwise
 * gives what it saw last; with `now` it looks in any case.  Raises nothing; takes locks of
 * shared memory for a moment.
 */
extern const char *wt_restore_in_progress(bool now);

#endif
