/*
 * worker.h
 *		A worker's life; launcher.c starts them.
 */
#ifndef WT_WORKER_H
#define WT_WORKER_H

#include "postmaster/bgworker.h"

/* What a worker is told in bgw_extra; its number is in bgw_main_arg. */
typedef struct WtWorkerArgs
{
	Oid database;
} WtWorkerArgs;

extern PGDLLEXPORT void windtrap_worker_main(Datum number);

#endif
