/*
 * worker.h
 *		A worker's life; launcher.c starts them.
 */
#ifndef WT_WORKER_H
#define WT_WORKER_H

extern PGDLLEXPORT void windtrap_worker_main(Datum number);

#endif
