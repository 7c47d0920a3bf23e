/*
 * process.h
 *		What all processes with a database have in common: signals, reload, naps.
 */
#ifndef WT_PROCESS_H
#define WT_PROCESS_H

#include <signal.h>

/* SIGTERM has come: answer or finish what is there, and leave. */
extern volatile sig_atomic_t wt_stop_requested;

/* Whether this process is one of WindTrap's own. */
extern bool wt_process_is_own;

/*
 * Begins a background process's life: its signals, and wt_shared.  The connection to a database
 * is for the caller to make afterwards.  on_reload is called once the settings have been read
 * anew; it may be NULL.
 */
extern void wt_process_begin(void (*on_reload)(void));

/*
 * What every turn of every loop looks at: interrupts, and a reload; false: it is time to stop.
 * Raises FATAL, where the process is to die.
 */
extern bool wt_process_attend(void);

/* Sleeps for some ms, or until the latch is set, then attends. */
extern bool wt_process_nap(long ms);

/* Whether the last call of the two has seen a reload. */
extern bool wt_process_reloaded(void);

#endif
