/*
 * shared.c
 *		What the processes of WindTrap know of each other.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/shared.h"

WtShared *wt_shared;
bool wt_is_preloaded = false;

/* What this process reports about itself. */
static WtWorkerStatus *my_status;

static shmem_request_hook_type previous_shmem_request_hook;

static void
request_memory(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(WtShared)));
}

void
wt_shared_request(void)
{
	wt_is_preloaded = true;
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
}

void
wt_shared_attach(void)
{
	bool found;

	if (wt_shared)
		return;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	wt_shared = ShmemInitStruct("windtrap", sizeof(WtShared), &found);
	if (!found)
	{
		memset(wt_shared, 0, sizeof(WtShared));
		wt_shared->refused = DSM_HANDLE_INVALID;
		wt_shared->ring = DSM_HANDLE_INVALID;
		wt_shared->counting_since = GetCurrentTimestamp();
		pg_atomic_init_u64(&wt_shared->outbox.events_written, 0);
		pg_atomic_init_u64(&wt_shared->outbox.bytes_written, 0);
		pg_atomic_init_u64(&wt_shared->outbox.bytes_removed, 0);
		pg_atomic_init_u64(&wt_shared->outbox.events_dropped, 0);
		LWLockInitialize(&wt_shared->lock, LWLockNewTrancheId());
	}
	LWLockRelease(AddinShmemInitLock);
	LWLockRegisterTranche(wt_shared->lock.tranche, "windtrap");
}

WtCounters *
wt_my_counters(void)
{
	static WtCounters own;
	ptrdiff_t place = my_status ? my_status - wt_shared->workers : WT_MAX_WORKERS;

	return place < WT_MAX_WORKERS ? &wt_shared->counters[place] : &own;
}

void
wt_counters_attend(void)
{
	WtCounters *counters = wt_my_counters();

	if (counters->generation == wt_shared->generation)
		return;
	counters->generation = wt_shared->generation;
	counters->max_connections = counters->connections;
	counters->max_commit_us = 0;
	counters->max_batch_events = 0;
}

static void
end_status(int code, Datum arg)
{
	int launcher_pid;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	/* The launcher may have given the place to a successor. */
	if (my_status->pid == MyProcPid)
	{
		wt_my_counters()->connections = 0;
		wt_my_counters()->bytes_in_flight = 0;
		my_status->pid = 0;
		if (my_status->state != WT_STATE_FAILED)
		{
			/* The launcher clears it where there is to be none any more. */
			my_status->state = WT_STATE_RESTARTING;
			my_status->since = GetCurrentTimestamp();
		}
	}
	launcher_pid = wt_shared->launcher_pid;
	LWLockRelease(&wt_shared->lock);
	/* One that has adopted us is not told by the server. */
	wt_wake(launcher_pid);
}

void
wt_status_begin(int place, Oid database)
{
	my_status = &wt_shared->workers[place];
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	my_status->pid = MyProcPid;
	my_status->database = database;
	my_status->port = 0;
	my_status->tls = false;
	my_status->has_served = false;
	my_status->addresses[0] = '\0';
	my_status->stdout_error[0] = '\0';
	my_status->state = WT_STATE_STARTING;
	my_status->since = GetCurrentTimestamp();
	LWLockRelease(&wt_shared->lock);
	before_shmem_exit(end_status, 0);
}

void
wt_status_set_state(WtState state)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	if (my_status->state != state)
	{
		my_status->state = state;
		my_status->since = GetCurrentTimestamp();
	}
	if (state == WT_STATE_LISTENING)
		my_status->has_served = true;
	LWLockRelease(&wt_shared->lock);
}

void
wt_status_set_error(const char *error)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	strlcpy(my_status->error, error ? error : "", WT_ERROR_SIZE);
	LWLockRelease(&wt_shared->lock);
}

void
wt_status_set_stdout_error(const char *error)
{
	if (!my_status)
		return;
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	strlcpy(my_status->stdout_error, error ? error : "", WT_ERROR_SIZE);
	LWLockRelease(&wt_shared->lock);
}

void
wt_status_set_address(const char *addresses, int port)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	strlcpy(my_status->addresses, addresses, WT_ADDRESSES_SIZE);
	my_status->port = port;
	LWLockRelease(&wt_shared->lock);
}

void
wt_status_set_tls(bool tls)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	my_status->tls = tls;
	LWLockRelease(&wt_shared->lock);
}

void
wt_wake(int pid)
{
	PGPROC *proc = pid > 0 ? BackendPidGetProc(pid) : NULL;

	if (proc)
		SetLatch(&proc->procLatch);
}
