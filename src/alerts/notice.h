/*
 * notice.h
 *		What an alert tells: a notification in JSON, and the same as an event of the log;
 *		docs/alerts.md has both.
 */
#ifndef WT_ALERT_NOTICE_H
#define WT_ALERT_NOTICE_H

#include "alerts/count.h"
#include "base/uuid.h"
#include "event/row.h"

/* data->>'protocol' of these events. */
#define WT_ALERT_PROTOCOL "alert"

/* What NOTIFY can carry, bytes: NOTIFY_PAYLOAD_MAX_LENGTH of its own, which no header has. */
#define WT_MAX_PAYLOAD 8000

typedef struct WtNotice
{
	char id[WT_UUID_TEXT_SIZE]; /* of both, in all that tells it */
	const char *message;		/* a sentence */
	const char *body;			/* JSON */
	const char *payload; /* the same, without the query where NOTIFY could not carry it */
	WtRow row;
} WtNotice;

/*
 * Makes what is told of an alert that is in a state since then, by an evaluation.  Allocates in
 * the current memory context; raises where memory runs out.
 */
extern void wt_notice_make(WtNotice *notice, const WtAlertRule *rule, WtAlertState state,
						   TimestampTz since, const WtAlertOutcome *outcome);

#endif
