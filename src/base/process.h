/*
 * process.h
 *		What all processes with a database have in common: signals, reload, naps.
 */
#ifndef WT_PROCESS_H
#define WT_PROCESS_H

#include <signal.h>

/* SIGTERM has come: answer or finish what is there, and leave. */
extern volatile sig_atomic_t wt_stop_requested;

/*
 * What differs between processes; each may be NULL.  on_stop and is_busy are called by the
 * handler of SIGTERM, so they may look at flags and set them, and no more.
 */
typedef struct WtProcess
{
	void (*on_stop)(void); /* SIGTERM has come */
	bool (*is_busy)(
		void); /* a transaction is under way that is to be cancelled, beside wt_transact's */
	void (*on_reload)(void); /* the settings have been read anew */
} WtProcess;

/*
 * Begins a background process's life: its signals, and wt_shared.  The connection to a database
 * is for the caller to make afterwards.  process must last as long as the process.
 */
extern void wt_process_begin(const WtProcess *process);

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
