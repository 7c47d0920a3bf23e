/*
 * merge.h
 *		Sealed partitions of parts of a day become one.
 */
#ifndef WT_MERGE_H
#define WT_MERGE_H

#include "datatype/timestamp.h"

/* Why partitions cannot be merged, a sentence; NULL: nothing is known to be in the way. */
extern const char *wt_merge_refuses(const Oid *partitions, int n);

/*
 * Puts the chunks of these partitions, in the order of time, which share a parent and an owner
 * and are sealed or empty, into one that covers from..to, of this name.  As wt_seal(): while
 * they are read and written as ever, in the current transaction, within a scope.  Raises.
 */
extern void wt_merge(const Oid *partitions, int n, const char *name, TimestampTz from,
					 TimestampTz to);

#endif
