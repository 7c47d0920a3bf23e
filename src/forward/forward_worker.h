/*
 * forward_worker.h
 *		The life of a process that forwards events to one table; launcher.c starts it.
 */
#ifndef WT_FORWARD_WORKER_H
#define WT_FORWARD_WORKER_H

#include "postmaster/bgworker.h"

/* Its place among the forwarders is in bgw_main_arg, its database in bgw_extra. */
extern PGDLLEXPORT void windtrap_forward_main(Datum number);

#endif
