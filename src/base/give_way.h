/*
 * give_way.h
 *		How whatever else runs leaves the CPUs to those who store events: viewers, and sealing.
 *
 * A priority alone does not do: who stores events sleeps and wakes thousands of times a second, and
 * each time waits for as long as the kernel lets go on what runs.  So these rest as well, and
 * the longer the more those who store events had to wait.
 */
#ifndef WT_GIVE_WAY_H
#define WT_GIVE_WAY_H

#include "datatype/timestamp.h"

/* The priority of this process from now on.  Where it cannot be had there is no harm. */
extern void wt_give_way_begin(void);

/*
 * As something begins that takes long and holds nothing that those who store events wait for, and once
 * it has ended, be it by an ERROR: within it there are short rests.
 */
extern void wt_give_way_in_step(bool begins);

/* After each step: until when to rest; at most `now` where there is no need. */
extern TimestampTz wt_give_way(TimestampTz now);

#endif
