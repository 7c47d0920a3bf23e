/*
 * decode.h
 *		A request's body → events, each as the tokens of one JSON value.
 *
 * Plain C: bad input is a value, never an ERROR, and the decoders are fuzzed outside
 * the server.
 *
 * A body holds one event (JSON, a form, text) or a batch: the elements of a JSON array,
 * the lines of NDJSON, JSON values one after the other.  Of a batch, an event that cannot
 * be stored, or a line that is not JSON, costs its neighbours nothing.
 */
#ifndef WT_DECODE_H
#define WT_DECODE_H

#include "base/counters.h"
#include "event/json.h"

typedef enum WtDecodeResult
{
	WT_DECODE_EVENT,		/* json holds the next event */
	WT_DECODE_BAD,			/* the next event cannot be stored: error, raw */
	WT_DECODE_END,			/* there are no more events */
	WT_DECODE_REFUSED,		/* the body as a whole is no good: status, error */
	WT_DECODE_OUT_OF_MEMORY /* nothing is wrong with it: try again later */
} WtDecodeResult;

typedef enum WtDecodeForm
{
	WT_FORM_UNKNOWN, /* nothing has been decoded yet */
	WT_FORM_SINGLE,	 /* one event */
	WT_FORM_ARRAY,	 /* the elements of an array */
	WT_FORM_LINES,	 /* lines */
	WT_FORM_VALUES	 /* values one after the other */
} WtDecodeForm;

/* Fill the first part, zero the rest. */
typedef struct WtDecoder
{
	const char *content_type; /* NULL: none was sent */
	const char *body;		  /* inflated */
	size_t length;
	size_t max_event_size; /* bytes */

	WtDecodeForm form;
	bool batch;	  /* there is, or could have been, more than one event */
	bool is_json; /* raw is JSON, not a form or text */
	int status;	  /* of WT_DECODE_REFUSED, and of WT_DECODE_BAD where there is no batch:
					  * the answer's HTTP status */
	WtReason reason; /* of WT_DECODE_REFUSED and WT_DECODE_BAD */
	char error[256]; /* likewise, a sentence for the sender */
	const char *raw; /* the event, good or bad, as it was sent */
	size_t raw_length;

	const char *next; /* where decoding goes on */
	const char *end;
	size_t overrun; /* bytes read in vain beyond the ends of bad lines */
	bool done;
} WtDecoder;

/* Decodes the next event of the body into json. */
extern WtDecodeResult wt_decode_next(WtDecoder *decoder, WtJson *json);

#endif
