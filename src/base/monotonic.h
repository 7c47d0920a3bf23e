/*
 * monotonic.h
 *		The clock that only goes on, whatever is done to the calendar's.  Plain C.
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
