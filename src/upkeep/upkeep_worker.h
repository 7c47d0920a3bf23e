/*
 * upkeep_worker.h
 *		The life of the process that keeps up the log table; launcher.c starts it.
 */
#ifndef WT_UPKEEP_WORKER_H
#define WT_UPKEEP_WORKER_H

#include "postmaster/bgworker.h"

/* Its database is in bgw_main_arg. */
extern PGDLLEXPORT void windtrap_upkeep_main(Datum database);

#endif
