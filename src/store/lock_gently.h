/*
 * lock_gently.h
 *		Strong locks that keep nobody waiting.
 */
#ifndef WT_LOCK_GENTLY_H
#define WT_LOCK_GENTLY_H

#include "storage/lockdefs.h"

/* What a strong lock may be queued for, as a setting has it, while others wait behind us. */
#define WT_LOCK_QUEUE "100ms"

/*
 * Locks relations in a mode, all or none, the first of them being the one that everybody
 * else locks first.  Who waits for such a lock makes all who come later wait behind him; so
 * does who has one and waits for the next.  Therefore we do not wait, but try, for some
 * seconds; only then, since under heavy load a lock may never be free when one looks, is the
 * first one queued for, briefly.  Raises where that was in vain.  Needs a scope.
 */
extern void wt_lock_gently(const Oid *relations, int n, LOCKMODE mode);

#endif
