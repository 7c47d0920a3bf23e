/*
 * own_time.h
 *		The time that an event itself says it happened at: for WtDecoded.time_us.
 */
#ifndef WT_OWN_TIME_H
#define WT_OWN_TIME_H

#include "event/decoder.h"

/*
 * Takes the member of the event at a path, of names with dots between them, for its own time;
 * a name may have dots itself.
 */
extern void wt_decode_time_field(WtDecoder *decoder, const WtJson *json,
								 const char *path);

/* Takes a token for the event's own time, or notes that it cannot be read. */
extern void wt_decode_time(WtDecoder *decoder, const WtJsonToken *t);

#endif
