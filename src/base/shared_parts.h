/*
 * shared_parts.h
 *		The parts of shared memory that plain C writes, without a lock.
 */
#ifndef WT_SHARED_PARTS_H
#define WT_SHARED_PARTS_H

#include <stdint.h>

/* Places for tokens' rates; tokens whose ids are so far apart share one. */
#define WT_RATE_PLACES 1024

/* What the processes that write lines to one target share; begins as zeros. */
typedef struct WtSinkShared
{
	uint32_t holder; /* who writes, or has torn a line: its pid; 0: nobody */
	uint32_t torn;	 /* somebody has left with a torn line */
} WtSinkShared;

#endif
