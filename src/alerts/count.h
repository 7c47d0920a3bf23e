/*
 * count.h
 *		How many events an alert's query finds in its window.
 */
#ifndef WT_ALERT_COUNT_H
#define WT_ALERT_COUNT_H

#include "alerts/rule.h"

/* What has come out of an evaluation. */
typedef struct WtAlertOutcome
{
	TimestampTz at; /* the end of the window */
	const char
		*reason; /* why it could not be evaluated, a plain sentence; NULL: it was: */
	int64 value;
	double took; /* s */
} WtAlertOutcome;

/*
 * Counts within windtrap.alert_timeout, as the log table's owner, in a transaction of its own,
 * which only reads.  False: the process is to stop, and nothing is known.  Raises nothing but
 * FATAL; allocates in the current memory context.
 */
extern bool wt_alert_count(const WtAlertRule *rule, WtAlertOutcome *outcome);

#endif
