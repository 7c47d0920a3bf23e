/*
 * modify.h
 *		INSERT, UPDATE, DELETE, COPY FROM and TRUNCATE of sealed partitions: the wrapper's callbacks.
 *
 * What is inserted goes to the late table.  A row of a chunk is deleted, or gets another
 * status, in the chunk's overlays; where anything else of it is changed it is deleted there and
 * inserted as a late row.
 */
#ifndef WT_SEALED_MODIFY_H
#define WT_SEALED_MODIFY_H

#include "foreign/fdwapi.h"

/* Sets the callbacks. */
extern void wt_sealed_set_modify(FdwRoutine *routine);

#endif
