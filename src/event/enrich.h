/*
 * enrich.h
 *		Event + request → data, the jsonb of a row.
 */
#ifndef WT_ENRICH_H
#define WT_ENRICH_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "event/json.h"
#include "http/request.h"

/* What all events of one request have in common; made once a request. */
typedef struct WtEnvelope WtEnvelope;

/*
 * The envelope of a request, in the current memory context.  The request must outlive
 * it.  Raises where memory runs out.
 */
extern WtEnvelope *wt_enrich_request(const WtRequest *request);

/* When the request was received. */
extern TimestampTz wt_enrich_time(const WtEnvelope *envelope);

/*
 * What stands in for an event that cannot be stored: its envelope with "error" and "raw",
 * or, where raw is not text, "raw" in base64 and "encoding".
 */
extern Jsonb *wt_enrich_quarantined(const WtEnvelope *envelope, const char *error,
									const char *raw, size_t raw_length);

/* The event in json's tokens with its envelope, in the current memory context. */
extern Jsonb *wt_enrich_event(const WtEnvelope *envelope, const WtJson *json);

#endif
