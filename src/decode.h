/*
 * decode.h
 *		A request's body → events, each as the tokens of one JSON value.
 *
 * Plain C: bad input is a value, never an ERROR, and the decoders are fuzzed outside
 * the server.
 */
#ifndef WT_DECODE_H
#define WT_DECODE_H

#include "json.h"

typedef enum WtDecodeResult
{
	WT_DECODE_EVENT,		/* json holds the next event */
	WT_DECODE_BAD,			/* status and error say what is wrong */
	WT_DECODE_END,			/* there are no more events */
	WT_DECODE_OUT_OF_MEMORY /* try again later */
} WtDecodeResult;

/* Fill the first part, zero the rest. */
typedef struct WtDecoder
{
	const char *content_type;	  /* NULL: none was sent */
	const char *content_encoding; /* likewise */
	const char *body;
	size_t length;
	size_t max_event_size; /* bytes */

	int status;		 /* of WT_DECODE_BAD: the answer's HTTP status */
	char error[256]; /* and a sentence for the sender */
	bool done;
} WtDecoder;

/* Decodes the next event of the body into json. */
extern WtDecodeResult wt_decode_next(WtDecoder *decoder, WtJson *json);

#endif
