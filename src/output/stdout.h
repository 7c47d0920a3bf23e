/*
 * stdout.h
 *		Committed rows → lines on the server's standard output, or in a fifo or file.
 *
 * Nothing here waits or raises, and where events have another destination it has no say in
 * what becomes of them.
 */
#ifndef WT_STDOUT_H
#define WT_STDOUT_H

#include "event/row.h"

/* Does what windtrap.stdout says now; called at the start and after each reload. */
extern void wt_stdout_configure(void);

/*
 * Writes those of rows that are durable, as far as they can be written.  Where there is no
 * other destination, a row whose line is dropped becomes WT_STORE_UNAVAILABLE.
 */
extern void wt_stdout_write(WtRow *const *rows, int n_rows);

/* Goes on writing what could not be written at once; reports nothing. */
extern void wt_stdout_flush(void);

/* The same, and says in the log and in windtrap.status whether lines are dropped. */
extern void wt_stdout_attend(void);

/* Writes what is left, for a short time at most. */
extern void wt_stdout_finish(void);

/* Is readable when there is something to attend to; PGINVALID_SOCKET: windtrap.stdout is off. */
extern pgsocket wt_stdout_descriptor(void);

/* When to attend anyway, in ms from now; -1: never. */
extern long wt_stdout_timeout(void);

#endif
