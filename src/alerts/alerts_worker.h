/*
 * alerts_worker.h
 *		The life of the process that evaluates alerts; launcher.c starts it.
 */
#ifndef WT_ALERTS_WORKER_H
#define WT_ALERTS_WORKER_H

#include "postmaster/bgworker.h"

/* Its database is in bgw_main_arg. */
extern PGDLLEXPORT void windtrap_alerts_main(Datum database);

#endif
