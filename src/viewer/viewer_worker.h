/*
 * viewer_worker.h
 *		The life of a process that shows events; the launcher starts them.
 */
#ifndef WT_VIEWER_WORKER_H
#define WT_VIEWER_WORKER_H

extern PGDLLEXPORT void windtrap_viewer_main(Datum place);

#endif
