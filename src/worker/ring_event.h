/*
 * ring_event.h
 *		A record of the ring → an event as a row of the log table.
 */
#ifndef WT_RING_EVENT_H
#define WT_RING_EVENT_H

#include "event/enrich.h"
#include "event/row.h"
#include "ring/ring.h"

typedef struct WtRingEvent
{
	WtRow row; /* must be first */
	WtRingRecord *record;
	WtRequest request; /* what an event that came by HTTP would have come with */
	WtEnvelope *envelope;
	bool quarantined; /* row is a stand-in */
} WtRingEvent;

/*
 * The event of a record, in the current memory context; one that is none is its own stand-in.  json is
 * the parser's memory.  Raises where memory runs out.
 */
extern WtRingEvent *wt_ring_event(WtRingRecord *record, WtJson *json);

/* For wt_store_rows: the table refuses this row of a WtRingEvent, which becomes its stand-in. */
extern bool wt_ring_event_quarantine(WtRow *row);

#endif
