/*
 * decode.h
 *		A request's body → events, each as the tokens of one JSON value.
 *
 * Plain C: bad input is a value, never an ERROR, and the decoders are fuzzed outside
 * the server.
 *
 * A body holds one event (JSON, a form, text) or a batch: the elements of a JSON array,
 * the lines of NDJSON, the records of RFC 7464, JSON values one after the other.  Of a
 * batch, an event that cannot be stored, or a line that is not JSON, costs its neighbours
 * nothing.
 *
 * What a body is, is found by its type and by itself:
 *
 *	- An object of nothing but `logs`, an array of objects, is a batch of these, as
 *	  pino-http-send sends it.
 *	- application/x-ndjson and application/json-seq are a batch, line by line and record by
 *	  record; multipart/form-data is a form.
 *	- application/json is JSON.  Objects and arrays one after the other are a batch where the
 *	  second begins on a line of its own.
 *	- No type, or a form's, which is curl's default, says nothing of a body that begins with
 *	  {, [ or ": it is JSON, and a batch if values follow each other in whatever way.  What
 *	  begins otherwise and is JSON is JSON too.  Else a form is what is declared as one, has
 *	  an = and neither blanks nor control characters; the rest is text.
 *	- Any other type, as text/plain, which beacons of web pages have, is text, but for
 *		- one JSON object, array or string, which is all of the body;
 *		- NDJSON: the first line begins with {, so does the second, and one of these two is an
 *		  object by itself;
 *		- objects and arrays one after the other, all JSON to the last, the second on a line of
 *		  its own.
 *	  To see the last, and an array, all of the body has to be read twice; a body that is
 *	  longer than an event may be, and can be no text for that reason, is not.
 */
#ifndef WT_DECODE_H
#define WT_DECODE_H

#include "base/counters.h"
#include "event/json.h"
#include "http/request.h"

typedef enum WtDecodeResult
{
	WT_DECODE_EVENT,		/* json holds the next event */
	WT_DECODE_BAD,			/* the next event cannot be stored: error, raw */
	WT_DECODE_END,			/* there are no more events */
	WT_DECODE_MORE,			/* the next event, at decoder->next, ends in the next piece */
	WT_DECODE_REFUSED,		/* the body as a whole is no good: status, error */
	WT_DECODE_OUT_OF_MEMORY /* nothing is wrong with it: try again later */
} WtDecodeResult;

typedef enum WtDecodeForm
{
	WT_FORM_UNKNOWN, /* nothing has been decoded yet */
	WT_FORM_SINGLE,	 /* one event */
	WT_FORM_ARRAY,	 /* the elements of an array */
	WT_FORM_LINES,	 /* lines, or records: what lies between separators */
	WT_FORM_VALUES	 /* values one after the other */
} WtDecodeForm;

/* What a decoder may say of an event beside its tokens; it is emptied before each. */
typedef struct WtDecoded
{
	uint32_t event;	  /* the token that is the event */
	uint32_t context; /* the token of an object: what surrounds it, where there is one */
	bool has_context;
	bool same_context; /* what surrounds it is what surrounded the one before */
	bool has_time;	   /* the event says when it happened: */
	int64_t time_us;   /* µs since 1970-01-01 UTC */
	const char *key;   /* who sends it again sends the same bytes; NULL: it has none */
	size_t key_length;
	char note[200]; /* for who reads the row; empty: none; the last member */
} WtDecoded;

/* Words that a protocol's decoder has for itself. */
#define WT_DECODER_STATE 24

typedef struct WtDecoder WtDecoder;

/* Decodes the next event of a protocol's body; as wt_decode_next. */
typedef WtDecodeResult (*WtDecodeNext)(WtDecoder *decoder, WtJson *json);

/* Fill the first part, zero the rest. */
struct WtDecoder
{
	const char *content_type; /* NULL: none was sent */
	const char *body;		  /* inflated */
	size_t length;
	size_t max_event_size;	  /* bytes */
	const WtRequest *request; /* what else came with it; NULL: nothing */
	WtDecodeNext protocol;	  /* NULL: the body is what is said above */
	bool more; /* the body is a piece, and not the last: see WtEndpoint.streams */

	WtDecoded decoded;

	WtDecodeForm form;
	bool batch;	  /* there is, or could have been, more than one event */
	bool is_json; /* raw is JSON, not a form or text */
	int status;	  /* of WT_DECODE_REFUSED, and of WT_DECODE_BAD where there is no batch:
					  * the answer's HTTP status */
	WtReason reason; /* of WT_DECODE_REFUSED and WT_DECODE_BAD */
	char error[256]; /* likewise, a sentence for the sender */
	const char *raw; /* the event, good or bad, as it was sent */
	size_t raw_length;

	const char *first; /* where the first value begins */
	const char *next;  /* where decoding goes on */
	const char *end;
	size_t overrun; /* bytes read in vain beyond the ends of bad lines */
	char separator; /* of WT_FORM_LINES */
	bool own_line;	/* what follows the first value must begin a line */
	bool done;
	/* A protocol's own, all zeros before the first event.  A copy of the decoder reads on
	 * by itself, so that nothing in here may be what only one of them can have. */
	union
	{
		uint64_t words[WT_DECODER_STATE];
		const char *texts[WT_DECODER_STATE];
		size_t sizes[WT_DECODER_STATE];
	} state;
};

/* Decodes the next event of the body into json. */
extern WtDecodeResult wt_decode_next(WtDecoder *decoder, WtJson *json);

/*
 * For protocols' decoders.  The first refuses the body as a whole, with an answer of that HTTP
 * status; the second says that the event which was sent as these bytes cannot be stored.
 */
extern WtDecodeResult wt_decode_refuse(WtDecoder *decoder, int status, WtReason reason,
									   const char *format, ...)
	__attribute__((format(printf, 4, 5)));
extern WtDecodeResult wt_decode_bad(WtDecoder *decoder, const char *raw, size_t length,
									WtReason reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * The event that was sent as these bytes is in json's tokens, whose strings may still be what
 * cannot be stored: makes them fit, or says that the event is bad.
 */
extern WtDecodeResult wt_decode_good(WtDecoder *decoder, WtJson *json, const char *raw,
									 size_t length);

/*
 * For a protocol whose events are JSON: decodes the next event of a body that holds one, an
 * array of them, or one after the other, whatever its type says.  Where it is JSON no more
 * after some events, the rest of it is a bad one.
 */
extern WtDecodeResult wt_decode_json(WtDecoder *decoder, WtJson *json);

/*
 * Takes the member of the event at a path, of names with dots between them, for its own time;
 * a name may have dots itself.
 */
extern void wt_decode_time_field(WtDecoder *decoder, const WtJson *json,
								 const char *path);

/* Takes a token for the event's own time, or notes that it cannot be read. */
extern void wt_decode_time(WtDecoder *decoder, const WtJsonToken *t);

#endif
