/*
 * delivery.h
 *		Notifications of alerts that are to be posted, as the table has them.
 */
#ifndef WT_DELIVERY_H
#define WT_DELIVERY_H

#include "datatype/timestamp.h"

#include "base/uuid.h"

/* One of them; malloc'ed texts, since they last from one transaction to another. */
typedef struct WtDelivery
{
	char id[WT_UUID_TEXT_SIZE];
	char *alert;
	char *url;
	char *receiver; /* its scheme, host and port, in lower case */
	char *body;
	int tries;
	TimestampTz first_try; /* 0: none yet */
} WtDelivery;

/* What has become of a try. */
typedef struct WtDeliveryEnd
{
	const char *error; /* NULL: it is delivered */
	long pause;		   /* ms until the next try; -1: there is none */
} WtDeliveryEnd;

/*
 * Reads those whose time has come, at most `max` and at most `per_receiver` of a receiver, the
 * first of each alert, since notifications of one are posted in their order; gives how many.
 * *more: whether any are still to be posted.  Needs SPI; raises.
 */
extern int wt_deliveries_read(WtDelivery *deliveries, int max, int per_receiver,
							  bool *more);

/* Notes what has become of one.  Needs SPI; raises. */
extern void wt_delivery_settle(const WtDelivery *delivery, const WtDeliveryEnd *end);

/* Removes those that were dealt with a week ago.  Needs SPI; raises. */
extern void wt_deliveries_forget(void);

/* Frees what one holds, and empties it. */
extern void wt_delivery_free(WtDelivery *delivery);

#endif
