/*
 * decoder.h
 *		What decodes a body, one event at a time, as the tokens of one JSON value; and what all
 *		decoders, WindTrap's own (decode.h) and those of protocols, say of an event.
 *
 * Plain C: bad input is a value, never an ERROR, and the decoders are fuzzed outside
 * the server.
 */
#ifndef WT_DECODER_H
#define WT_DECODER_H

#include "base/counters.h"
#include "base/messages.h"
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
	bool is_row;	   /* the event is the data of a row, and is stored as it is, with: */
	int32_t status;
	bool is_here;	 /* it was stored here before it came: it is not stored again */
	const char *key; /* who sends it again sends the same bytes; NULL: it has none */
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
	WtDecodeNext protocol;	  /* NULL: the body is what is said in decode.h */
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

/* Says why an event, or the body, cannot be stored: decoder->reason and decoder->error. */
extern void wt_decoder_error(WtDecoder *decoder, WtReason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Says so of an event that is larger than one may be. */
extern void wt_decoder_too_large(WtDecoder *decoder);

/*
 * The first refuses the body as a whole, with an answer of that HTTP status; the second says
 * that the event which was sent as these bytes cannot be stored.
 */
extern WtDecodeResult wt_decode_refuse(WtDecoder *decoder, int status, WtReason reason,
									   const char *format, ...)
	__attribute__((format(printf, 4, 5)));
extern WtDecodeResult wt_decode_bad(WtDecoder *decoder, const char *raw, size_t length,
									WtReason reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * The next of the messages that the body is made of (base/messages.h).  WT_DECODE_EVENT: *message is
 * it; WT_DECODE_END: there are no more; WT_DECODE_BAD: it was cut, for it is too large.
 */
extern WtDecodeResult wt_decode_next_message(WtDecoder *decoder, WtMessage *message);

/*
 * The event that was sent as these bytes is in json's tokens, whose strings may still be what
 * cannot be stored: makes them fit, or says that the event is bad.
 */
extern WtDecodeResult wt_decode_good(WtDecoder *decoder, WtJson *json, const char *raw,
									 size_t length);

#endif
