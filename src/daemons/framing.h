/*
 * framing.h
 *		Where a message ends that comes by TCP, RFC 6587: by its length in front of it, or by the
 *		end of its line.
 *
 * Plain C, and nothing is kept but how far it is: the bytes are the caller's.
 */
#ifndef WT_FRAMING_MESSAGES_H
#define WT_FRAMING_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum WtFramingForm
{
	WT_FRAMING_SYSLOG, /* counted, or up to a line feed or a NUL; each message as it likes */
	WT_FRAMING_NUL	   /* up to a NUL, as GELF has it */
} WtFramingForm;

/* Zero it, but for the form. */
typedef struct WtFraming
{
	WtFramingForm form;
	size_t scanned;	   /* bytes at hand in which there is no end */
	size_t discard;	   /* bytes that still come of a counted message that has been cut */
	bool discard_line; /* likewise, up to its end */
} WtFraming;

typedef struct WtFrame
{
	const char *text; /* in the bytes */
	size_t length;
	bool cut;  /* it was longer than it may be: this is its beginning */
	bool line; /* a line feed ended it: what follows may belong to it still */
} WtFrame;

typedef enum WtFrameResult
{
	WT_FRAME_MORE,		 /* it does not end in these bytes */
	WT_FRAME_MESSAGE,	 /* *frame */
	WT_FRAME_INCOMPLETE, /* the connection has ended within a counted message */
	WT_FRAME_MALFORMED	 /* where it would end cannot be known */
} WtFrameResult;

/*
 * The next message of the bytes that have come and were not used yet; max: bytes that one may
 * have; ended: no more will come.  *used: so many of them are done with, whatever the result.
 */
extern WtFrameResult wt_framing_next(WtFraming *framing, const char *bytes, size_t length,
									 size_t max, bool ended, size_t *used,
									 WtFrame *frame);

/* Whether text begins as a message of syslog does, with its priority: <0> to <191>. */
extern bool wt_framing_has_priority(const char *text, size_t length);

#endif
