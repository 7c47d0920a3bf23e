/*
 * uuid.h
 *		UUIDs of version 7 (RFC 9562): their order is the order of time.
 */
#ifndef WT_UUID_H
#define WT_UUID_H

#define WT_UUID_TEXT_SIZE 37

/*
 * Writes a new id as text, with its terminating NUL, to text.  now_us is the time, in
 * µs since 1970-01-01 UTC.  The ids of one process ascend strictly, whatever the clock
 * does.  Raises where the system has no random numbers.
 */
extern void wt_uuid_v7(int64 now_us, char text[WT_UUID_TEXT_SIZE]);

#endif
