/*
 * webhooks_worker.h
 *		The life of the process that posts what alerts tell; launcher.c starts it.
 */
#ifndef WT_WEBHOOKS_WORKER_H
#define WT_WEBHOOKS_WORKER_H

#include "postmaster/bgworker.h"

/* Its database is in bgw_main_arg. */
extern PGDLLEXPORT void windtrap_webhooks_main(Datum database);

#endif
