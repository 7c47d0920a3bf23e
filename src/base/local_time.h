/*
 * local_time.h
 *		The collector's zone, for times that come without one.
 *
 * Plain C: who knows PostgreSQL's zones says here how to ask.
 */
#ifndef WT_LOCAL_TIME_H
#define WT_LOCAL_TIME_H

#include <stdint.h>

/* By how many s the collector's clock on the wall is ahead of UTC, so many s since 1970. */
extern int32_t (*wt_utc_offset)(int64_t second);

#endif
