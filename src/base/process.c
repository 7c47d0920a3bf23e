/*
 * process.c
 *		What all processes with a database have in common: signals, reload, naps.
 */
#include "postgres.h"

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/guc.h"

#include "base/process.h"
#include "base/shared.h"
#include "base/transact.h"

volatile sig_atomic_t wt_stop_requested = false;
bool wt_process_is_own = false;

static void (*on_reload)(void);
static bool reloaded;

/*
 * A transaction that waits (for a lock, for a slow trigger, for a standby) is cancelled, because
 * a flag alone does not end its wait; one that has a moment's grace by who watches it.
 */
static void
on_sigterm(SIGNAL_ARGS)
{
	int saved = errno;

	wt_stop_requested = true;
	if (wt_transaction_in_progress && !wt_transaction_has_grace)
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = saved;
}

void
wt_process_begin(void (*reload)(void))
{
	wt_process_is_own = true;
	on_reload = reload;
	pqsignal(SIGTERM, on_sigterm);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	wt_shared_attach();
}

bool
wt_process_attend(void)
{
	/* A cancel that came between two transactions has nothing to cancel. */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	reloaded = ConfigReloadPending;
	if (reloaded)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		if (on_reload)
			on_reload();
	}
	return !wt_stop_requested;
}

bool
wt_process_nap(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	return wt_process_attend();
}

bool
wt_process_reloaded(void)
{
	return reloaded;
}
