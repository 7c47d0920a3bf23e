/*
 * clock.h
 *		Whether the clock is to be believed, before what it makes old is dropped.
 */
#ifndef WT_CLOCK_H
#define WT_CLOCK_H

#include "base/upkeep_shared.h"
#include "upkeep/spans.h"

/*
 * Looks at the clock, which shows now, and gives whether it is believed; *clock is what was
 * known of it and becomes what is.  Needs a scope of the table, whose events vouch for the
 * time.  Raises.
 */
extern bool wt_clock_look(WtClock *clock, const WtSpans *table, TimestampTz now);

/* What is known of the clock, and to have others know it. */
extern WtClock wt_clock_get(void);
extern void wt_clock_set(const WtClock *clock);

/* Has the clock, as it goes now, be believed from this transaction's commit on. */
extern void wt_clock_confirm(void);

/* Why nothing is dropped, a sentence for users, in the current memory context; and what then. */
extern const char *wt_clock_doubt(const WtClock *clock);
extern const char *wt_clock_remedy(void);

#endif
