/*
 * lock_gently.h
 *		Strong locks that keep nobody waiting.
 */
#ifndef WT_LOCK_GENTLY_H
#define WT_LOCK_GENTLY_H

#include "postgres_ext.h"
#include "storage/lockdefs.h"

/* What a strong lock may be queued for, as a setting has it, while others wait behind us. */
#define WT_LOCK_QUEUE "100ms"

/*
 * Locks relations in a mode, all or none, the first of them being the one that everybody
 * else locks first.  Who waits for such a lock makes all who come later wait behind him; so
 * does who has one and waits for the next.  Therefore we do not wait, but try, for so long
 * (ms); only then, since under heavy load a lock may never be free when one looks, is the first
 * one queued for, briefly.  Gives whether they are locked; needs a scope.
 */
extern bool wt_try_lock_gently(const Oid *relations, int n, LOCKMODE mode, int patience);

/*
 * Queues for what lock(arg) locks, for so long as a lock_timeout says, in a subtransaction; false:
 * others have it.  Needs a scope.
 */
extern bool wt_queue_for_lock(void (*lock)(void *arg), void *arg, const char *timeout);

/* Gives such locks back before the transaction ends. */
extern void wt_unlock_gently(const Oid *relations, int n, LOCKMODE mode);

/* The same for some seconds; raises where that was in vain. */
extern void wt_lock_gently(const Oid *relations, int n, LOCKMODE mode);

/*
 * Queues for a lock that keeps neither readers nor writers waiting behind it, SHARE UPDATE
 * EXCLUSIVE or a weaker one: for longer than deadlock_timeout, after which PostgreSQL has an
 * autovacuum give way, and than a round of the upkeep's rewriting takes.  Needs a scope; raises
 * where it was in vain.
 */
extern void wt_lock_patiently(Oid relation, LOCKMODE mode);

#endif
