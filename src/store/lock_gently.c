/*
 * lock_gently.c
 *		Strong locks that keep nobody waiting.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "store/lock_gently.h"
#include "store/scope.h"

/* For so long, ms, they are tried for without queueing, so often. */
#define LOCK_PATIENCE 3000
#define LOCK_POLL 3

void
wt_lock_gently(const Oid *relations, int n, LOCKMODE mode)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCK_PATIENCE);
	bool last = false;

	for (;;)
	{
		int locked = 0;

		if (last)
		{
			int nest_level = NewGUCNestLevel();

			wt_scope_set("lock_timeout", WT_LOCK_QUEUE);
			LockRelationOid(relations[0], mode);
			AtEOXact_GUC(false, nest_level);
			locked = 1;
		}
		while (locked < n && ConditionalLockRelationOid(relations[locked], mode))
			locked++;
		if (locked == n)
			return;
		if (last)
			ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
							errmsg("could not lock %s", wt_scope_name(relations[locked])),
							errdetail("Somebody is using it.")));
		while (--locked >= 0)
			UnlockRelationOid(relations[locked], mode);
		last = GetCurrentTimestamp() >= until;
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_POLL,
						 PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
}
