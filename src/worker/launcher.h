/*
 * launcher.h
 *		The process that starts the workers and keeps them going.
 */
#ifndef WT_LAUNCHER_H
#define WT_LAUNCHER_H

#include "postmaster/bgworker.h"

/* Under preload: registers the launcher, which starts with the server. */
extern void wt_launcher_register(void);

/*
 * Registers a launcher for a database now; gives false where there is no free slot for
 * a background worker.
 */
extern bool wt_launcher_start(Oid database, BackgroundWorkerHandle **handle);

extern PGDLLEXPORT void windtrap_launcher_main(Datum database);

#endif
