/*
 * helper.c
 *		Processes that are there only as long as there is something for them to do.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "base/helper.h"

static WtHelperStatus *me;

void
wt_helper_want(WtHelper helper, bool wanted)
{
	WtHelperStatus *h = &wt_shared->helpers[helper];
	bool changed;
	int launcher;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	changed = (h->wanted != wanted);
	h->wanted = wanted;
	launcher = wt_shared->launcher_pid;
	LWLockRelease(&wt_shared->lock);
	if (!changed)
		return;
	wt_wake(launcher);
	wt_helper_wake(helper);
}

bool
wt_helper_is_wanted(WtHelper helper)
{
	bool wanted;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	wanted = wt_shared->helpers[helper].wanted;
	LWLockRelease(&wt_shared->lock);
	return wanted;
}

void
wt_helper_wake(WtHelper helper)
{
	int pid;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	pid = wt_shared->helpers[helper].pid;
	LWLockRelease(&wt_shared->lock);
	wt_wake(pid);
}

static void
end_helper(int code, Datum arg)
{
	int launcher;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (me->pid == MyProcPid)
	{
		me->pid = 0;
		me->state = WT_STATE_NONE;
	}
	launcher = wt_shared->launcher_pid;
	LWLockRelease(&wt_shared->lock);
	/* One that has adopted us is not told by the server. */
	wt_wake(launcher);
}

void
wt_helper_begin(WtHelper helper)
{
	me = &wt_shared->helpers[helper];
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	me->pid = MyProcPid;
	me->state = WT_STATE_STARTING;
	me->since = GetCurrentTimestamp();
	me->error[0] = '\0';
	LWLockRelease(&wt_shared->lock);
	before_shmem_exit(end_helper, 0);
}

void
wt_helper_report(WtState state, const char *error, bool ran)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (me->state != state)
	{
		me->state = state;
		me->since = GetCurrentTimestamp();
	}
	if (ran)
		me->last_run = GetCurrentTimestamp();
	strlcpy(me->error, error ? error : "", sizeof(me->error));
	LWLockRelease(&wt_shared->lock);
}

void
wt_helper_fail(int sqlerrcode, const char *what, const char *error)
{
	static char said[WT_ERROR_SIZE];

	wt_helper_report(WT_STATE_FAILED, error, false);
	if (strncmp(said, error, sizeof(said) - 1) != 0)
		ereport(LOG, (errcode(sqlerrcode), errmsg("windtrap: %s: %s", what, error),
					  errhint("It will try again.")));
	strlcpy(said, error, sizeof(said));
}
