/*
 * unix_time.h
 *		Between PostgreSQL's times and µs since 1970-01-01 UTC.
 */
#ifndef WT_UNIX_TIME_H
#define WT_UNIX_TIME_H

#include "datatype/timestamp.h"

#define WT_EPOCH_SHIFT ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static inline int64
wt_unix_us(TimestampTz time)
{
	return time + WT_EPOCH_SHIFT;
}

static inline TimestampTz
wt_timestamp_of_unix_us(int64 us)
{
	return us - WT_EPOCH_SHIFT;
}

#endif
