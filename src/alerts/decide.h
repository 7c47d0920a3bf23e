/*
 * decide.h
 *		An evaluation → how the alert stands, and what is told of that.
 */
#ifndef WT_ALERT_DECIDE_H
#define WT_ALERT_DECIDE_H

#include "alerts/count.h"

/*
 * Notes an outcome.  Where it is to be told, how the alert stands, the event in the log and what
 * is to be posted are committed together, by which the NOTIFY is sent.  Must be called outside
 * of a transaction; raises nothing but FATAL.  False, and *why, where nothing could be noted:
 * the alert is due still.
 */
extern bool wt_alert_decide(const WtAlertRule *rule, const WtAlertOutcome *outcome,
							const char **why);

#endif
