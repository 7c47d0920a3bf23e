/*
 * transact.c
 *		Transactions, and parts of one, whose failure is a value.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "base/sql.h"
#include "base/transact.h"

volatile bool wt_transaction_in_progress = false;

ErrorData *
wt_transact(void (*what)(void *arg), void *arg, const char *activity, int timeout)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		wt_transaction_in_progress = true;
		SetCurrentStatementStartTimestamp();
		pgstat_report_activity(STATE_RUNNING, activity);
		StartTransactionCommand();
		enable_timeout_after(STATEMENT_TIMEOUT, timeout);
		wt_sql_set_local("lock_timeout", "1s");
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
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
	wt_transaction_in_progress = false;
	/* Those that a table owner's code has taken would last as long as this process. */
	LockReleaseSession(USER_LOCKMETHOD);
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	return error;
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
