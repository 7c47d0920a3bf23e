/*
 * enrich.h
 *		Event + request → data, the jsonb of a row.
 */
#ifndef WT_ENRICH_H
#define WT_ENRICH_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "event/decoder.h"
#include "http/endpoint.h"
#include "http/request.h"

/* What all events of one request have in common; made once a request. */
typedef struct WtEnvelope WtEnvelope;

/*
 * The envelope of a request, in the current memory context.  The request must outlive
 * it.  Raises where memory runs out.
 */
extern WtEnvelope *wt_enrich_request(const WtRequest *request);

/* The id of the request's one event, which lasts as long as the envelope; else each gets a new one. */
extern void wt_enrich_set_id(WtEnvelope *envelope, const char *id);

/*
 * When an event of a request happened: what it says itself, where that can be true, else when
 * the request was received; then decoded->note says so.
 */
extern TimestampTz wt_enrich_time(const WtEnvelope *envelope, WtDecoded *decoded);

/*
 * Takes over what surrounds the event that has just been decoded, good or bad.  To be called
 * for each of a protocol's, in the memory context of the envelope, before what is below.
 */
extern void wt_enrich_context(WtEnvelope *envelope, const WtJson *json,
							  const WtDecoded *decoded);

/*
 * What stands in for an event that cannot be stored: its envelope with "error" and "raw",
 * or, where raw is not text, "raw" in base64 and "encoding".  data is what was made of it;
 * NULL: it is the last that was decoded, and could not be.
 */
extern Jsonb *wt_enrich_quarantined(const WtEnvelope *envelope, const Jsonb *data,
									const char *error, const char *raw,
									size_t raw_length);

/* The event in json's tokens with its envelope, in the current memory context. */
extern Jsonb *wt_enrich_event(const WtEnvelope *envelope, const WtJson *json,
							  const WtDecoded *decoded);

#endif
