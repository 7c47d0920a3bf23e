/*
 * lock_gently.c
 *		Strong locks that keep nobody waiting.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/transact.h"
#include "store/lock_gently.h"
#include "store/scope.h"

/* For so long, ms, they are tried for without queueing, so often. */
#define LOCK_PATIENCE 3000
#define LOCK_POLL 3

/* For so long, ms, weak ones are queued for after autovacuum has been told to go. */
#define WEAK_PATIENCE 30000

typedef struct Wanted
{
	Oid relation;
	LOCKMODE mode;
} Wanted;

bool
wt_queue_for_lock(void (*lock)(void *arg), void *arg, const char *timeout)
{
	int nest_level = NewGUCNestLevel();
	MemoryContext context = CurrentMemoryContext;
	ErrorData *error;

	wt_scope_set("lock_timeout", timeout);
	error = wt_attempt(lock, arg);
	AtEOXact_GUC(false, nest_level);
	MemoryContextSwitchTo(context);
	if (!error)
		return true;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ThrowErrorData(error);
	FreeErrorData(error);
	return false;
}

static void
lock_wanted(void *arg)
{
	const Wanted *wanted = arg;

	LockRelationOid(wanted->relation, wanted->mode);
}

/*
 * Locks are the transaction's, not the running statement's: what a subtransaction has taken is,
 * and only its owner can give a lock back.
 */
static ResourceOwner
become_transaction(void)
{
	ResourceOwner owner = CurrentResourceOwner;

	CurrentResourceOwner = CurTransactionResourceOwner;
	return owner;
}

void
wt_unlock_gently(const Oid *relations, int n, LOCKMODE mode)
{
	ResourceOwner owner = become_transaction();

	while (--n >= 0)
		UnlockRelationOid(relations[n], mode);
	CurrentResourceOwner = owner;
}

/* Locks as many of them, in their order, as can be had at once; gives how many. */
static int
lock_free_ones(const Oid *relations, int n, LOCKMODE mode)
{
	ResourceOwner owner = become_transaction();
	int locked = 0;

	while (locked < n && ConditionalLockRelationOid(relations[locked], mode))
		locked++;
	CurrentResourceOwner = owner;
	return locked;
}

/* The relation that somebody else has locked; InvalidOid: all are ours. */
static Oid
try_to_lock(const Oid *relations, int n, LOCKMODE mode, int patience)
{
	TimestampTz until = TimestampTzPlusMilliseconds(wt_monotonic_us(), patience);
	bool last = false;

	for (;;)
	{
		Wanted first = {relations[0], mode};
		int locked =
			last && wt_queue_for_lock(lock_wanted, &first, WT_LOCK_QUEUE) ? 1 : 0;

		locked += lock_free_ones(relations + locked, n - locked, mode);
		if (locked == n)
			return InvalidOid;
		wt_unlock_gently(relations, locked, mode);
		if (last)
			return relations[locked];
		last = wt_monotonic_us() >= until;
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_POLL,
						 PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
}

bool
wt_try_lock_gently(const Oid *relations, int n, LOCKMODE mode, int patience)
{
	return !OidIsValid(try_to_lock(relations, n, mode, patience));
}

static void
refuse_busy(Oid relation)
{
	ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("could not lock %s", wt_scope_name(relation)),
					errdetail("Somebody is using it.")));
}

void
wt_lock_gently(const Oid *relations, int n, LOCKMODE mode)
{
	Oid busy = try_to_lock(relations, n, mode, LOCK_PATIENCE);

	if (OidIsValid(busy))
		refuse_busy(busy);
}

void
wt_lock_patiently(Oid relation, LOCKMODE mode)
{
	Wanted wanted = {relation, mode};

	if (!wt_queue_for_lock(lock_wanted, &wanted,
						   psprintf("%dms", DeadlockTimeout + WEAK_PATIENCE)))
		refuse_busy(relation);
}
