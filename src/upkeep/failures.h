/*
 * failures.h
 *		What the upkeep's last round could not do, for others to see.
 */
#ifndef WT_FAILURES_H
#define WT_FAILURES_H

#include "utils/elog.h"

#include "base/upkeep_shared.h"
#include "upkeep/upkeep.h"

/* What an error says, and its detail, as one text in the current memory context. */
extern const char *wt_failure_text(const ErrorData *error);

/* What to do about it: a sentence; NULL: nothing is known but to try again. */
extern const char *wt_failure_remedy(const ErrorData *error);

/* Notes that a task failed, once for all that are told apart by nothing that is shown. */
extern void wt_failures_note(WtUpkeepFailures *failures, const WtTask *task,
							 const ErrorData *error);

/*
 * Whether neither the round before nor this one so far has failed in that way, that is, with
 * that text.
 */
extern bool wt_failures_are_news(const WtUpkeepFailures *failures,
								 const ErrorData *error);

/* Has others see the failures of a round that is over, in place of the last one's. */
extern void wt_failures_publish(WtUpkeepFailures *failures);

#endif
