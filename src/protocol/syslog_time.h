/*
 * syslog_time.h
 *		The times of RFC 3164, which have no year and no zone, and their many relatives.  Plain C.
 */
#ifndef WT_SYSLOG_TIME_H
#define WT_SYSLOG_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the time that text begins with, of a message that was received then (µs since 1970-01-01
 * UTC): "Nov 26 10:16:23", the same with a year before or behind the day, with a fraction, a zone
 * (UTC, GMT), a * or . before it and a colon behind it, as Cisco's devices write it; RFC 3339
 * with a T or a blank.  Without a year it is in the one that brings it closest to the receipt;
 * without a zone in the collector's (base/local_time.h).  Gives where the time ends, NULL where
 * text begins with none.
 */
extern const char *wt_syslog_time_read(const char *text, size_t length,
									   int64_t received_us, int64_t *time_us);

#endif
