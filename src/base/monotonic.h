/*
 * monotonic.h
 *		The clock that only goes on, whatever is done to the calendar's: for all that is to last
 *		so long, or to be done again after so long.  Plain C.
 *
 * By the calendar's, one that is set back by hours would have what is to wait for a second wait for
 * hours.  PostgreSQL's functions of differences of times take these microseconds as well.
 */
#ifndef WT_MONOTONIC_H
#define WT_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline int64_t
wt_monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t
wt_monotonic_ms(void)
{
	return wt_monotonic_us() / 1000;
}

#endif
