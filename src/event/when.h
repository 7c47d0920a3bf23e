/*
 * when.h
 *		When an event happened, as senders write it.  Plain C.
 */
#ifndef WT_WHEN_H
#define WT_WHEN_H

#include "event/json_tokens.h"

/*
 * Reads a time: RFC 3339 and its relatives (`T` or a blank between date and time, a decimal
 * point or comma, `Z`, `+01:00`, `+0100`, `+01` or no zone, which is UTC), or a number, as
 * such or in a string, of seconds, ms, µs or ns since 1970, told apart by its magnitude.
 * Sets *time_us, µs since 1970-01-01 UTC; what is finer is cut off.  False: it is no time.
 */
extern bool wt_when_read(const WtJsonToken *t, int64_t *time_us);

/* The same, of text. */
extern bool wt_when_read_text(const char *text, size_t length, int64_t *time_us);

#endif
