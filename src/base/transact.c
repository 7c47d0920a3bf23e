/*
 * transact.c
 *		Transactions, and parts of one, whose failure is a value.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/patience.h"
#include "base/process.h"
#include "base/sql.h"
#include "base/transact.h"

/* Between two looks at how long a transaction lasts, ms. */
#define WATCH_INTERVAL 500

volatile bool wt_transaction_in_progress = false;
volatile bool wt_transaction_has_grace = false;

static TimeoutId watch_timeout = MAX_TIMEOUTS; /* not registered yet */
static const WtWatch *watch;
static volatile int looks_left;
static volatile int looks_since_stop;

/*
 * A trigger or a policy can catch a cancelled statement and go on for ever, which would take the
 * process away from everybody, and from a shutdown.
 */
static void
end_process(void)
{
	ProcDiePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/* It gives way to others, who may leave it no CPU for a while: then it is late, and does not go on. */
const WtWatch wt_watch_that_ends = {
	.looks_after_timeout = 10, .looks_after_stop = 4, .act = end_process};

const WtWatch wt_watch_with_grace = {.looks_after_timeout = 4,
									 .looks_after_stop = 6,
									 .looks_before_cancel = 2,
									 .act = end_process};

static void
on_watch(void)
{
	looks_left--;
	/* After SIGTERM there is less time. */
	if (wt_stop_requested && looks_left > watch->looks_after_stop)
		looks_left = watch->looks_after_stop;
	if (wt_stop_requested && wt_transaction_has_grace &&
		++looks_since_stop == watch->looks_before_cancel)
	{
		InterruptPending = true;
		QueryCancelPending = true;
		SetLatch(MyLatch);
	}
	if (looks_left <= 0)
		watch->act();
}

static void
start_watch(const WtWatch *new_watch, int timeout)
{
	if (watch_timeout == MAX_TIMEOUTS)
		watch_timeout = RegisterTimeout(USER_TIMEOUT, on_watch);
	watch = new_watch;
	looks_left = timeout / WATCH_INTERVAL + watch->looks_after_timeout;
	looks_since_stop = 0;
	wt_transaction_has_grace = watch->looks_before_cancel > 0 && !wt_stop_requested;
	enable_timeout_every(
		watch_timeout, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), WATCH_INTERVAL),
		WATCH_INTERVAL);
}

static void
stop_watch(void)
{
	wt_transaction_has_grace = false;
	if (watch)
		disable_timeout(watch_timeout, false);
	watch = NULL;
}

ErrorData *
wt_transact_as(const WtTransaction *how, void (*what)(void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		wt_transaction_in_progress = true;
		SetCurrentStatementStartTimestamp();
		pgstat_report_activity(STATE_RUNNING, how->activity);
		StartTransactionCommand();
		enable_timeout_after(STATEMENT_TIMEOUT, how->timeout);
		if (how->watch)
			start_watch(how->watch, how->timeout);
		if (how->read_committed)
		{
			XactIsoLevel = XACT_READ_COMMITTED;
			XactReadOnly = false;
		}
		if (how->lock_timeout)
			wt_sql_set_local("lock_timeout", how->lock_timeout);
		if (how->may_be_lost)
			wt_sql_set_local("synchronous_commit", "off");
		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(context);
		what(arg);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (watch && !watch->until_undone)
			stop_watch();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	stop_watch();
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
	wt_transaction_in_progress = false;
	/* Those that a table owner's code has taken would last as long as this process. */
	LockReleaseSession(USER_LOCKMETHOD);
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	return error;
}

ErrorData *
wt_transact(void (*what)(void *arg), void *arg, const char *activity, int timeout)
{
	const WtTransaction how = {.activity = activity,
							   .timeout = WT_PATIENCE(timeout),
							   .lock_timeout = "1s",
							   .may_be_lost = true};

	return wt_transact_as(&how, what, arg);
}

/* Who cancels, or ends the session, means all of it. */
static bool
ends_more(int code)
{
	return code == ERRCODE_QUERY_CANCELED ||
		   ERRCODE_TO_CATEGORY(code) == ERRCODE_OPERATOR_INTERVENTION;
}

ErrorData *
wt_attempt(void (*what)(void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		what(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ends_more(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
