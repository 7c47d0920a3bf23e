/*
 * rule.h
 *		Alerts as the table has them.
 */
#ifndef WT_ALERT_RULE_H
#define WT_ALERT_RULE_H

#include "datatype/timestamp.h"

#include "base/shared.h"

/* How an alert stands, and what of that was told; in the order of the table's words for it. */
typedef enum WtAlertState
{
	WT_ALERT_NEW, /* null: not evaluated yet */
	WT_ALERT_OK,
	WT_ALERT_FIRING,
	WT_ALERT_ERROR,
	WT_N_ALERT_STATES
} WtAlertState;

extern const char *const wt_alert_states[WT_N_ALERT_STATES];

/* One alert; what it points to is palloc'ed. */
typedef struct WtAlertRule
{
	char *name;
	text *query;
	Interval window;
	char *window_text;
	double window_seconds;
	char *comparison;
	int64 threshold;
	char *channel; /* NULL: none */
	bool has_webhook;
	TimestampTz changed;
	bool is_silenced;
	WtAlertState state;
	TimestampTz since;
	int failures; /* one after the other */
	WtAlertState told;
} WtAlertRule;

/* Whether a number of events is what it fires at. */
extern bool wt_alert_is_met(const WtAlertRule *rule, int64 value);

/* Reads an alert, and locks its row until the transaction ends; false: there is none.  Needs SPI; raises. */
extern bool wt_alert_lock(const char *name, WtAlertRule *rule);

/* What there is to do. */
typedef struct WtAlertsDue
{
	bool has_rules;
	bool has_webhooks; /* or what is still to be posted */
	long wait;		   /* ms until one is due */
	/* All of them, by how they stand; and notifications that are still to be posted. */
	int64 standing[WT_N_STANDS];
	int64 waiting;
	bool is_due; /* this one is: */
	WtAlertRule rule;
} WtAlertsDue;

/*
 * Looks what is due; of several the one that took least time the last time, so that those which
 * take long keep the others waiting for one of them at most, but first what is long overdue.  What
 * somebody else has locked is not due.  Needs SPI; allocates in the current memory context; raises.
 */
extern void wt_alerts_look(WtAlertsDue *due);

#endif
