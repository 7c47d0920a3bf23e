/*
 * in_flight.h
 *		When the transactions began that may still write events.
 */
#ifndef WT_IN_FLIGHT_H
#define WT_IN_FLIGHT_H

#include "datatype/timestamp.h"

/*
 * When the oldest transaction began that is running now in this database, or the time now, if
 * there is none.  To be asked before the snapshot is taken that it is to belong to.  Needs SPI.
 *
 * One that has written nothing yet counts for its first minute: else each long report would.
 * Of a prepared one the beginning is not known: `known` is then the oldest that it can be, the
 * answer to the same question when it had been running already; DT_NOEND: nobody has asked.
 */
extern TimestampTz wt_in_flight_since(TimestampTz now, TimestampTz known);

#endif
