/*
 * alerts_worker.c
 *		The life of the process that evaluates alerts.
 *
 * It is one of its own, since the upkeep's seals partitions for hours, and a query that takes
 * long must not keep partitions from being made.  It is there while there are alerts: the upkeep, or a
 * trigger of the alerts' table, says that there is one, and where it finds none the launcher ends it.
 *
 * Words: an alert is *due* when windtrap.alert_interval has passed since it was evaluated.  Each
 * is evaluated by itself: counted in one transaction (count.c), and noted in another (decide.c).
 */
#include "postgres.h"

#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alerts/alerts_worker.h"
#include "alerts/decide.h"
#include "base/helper.h"
#include "base/identity.h"
#include "base/process.h"
#include "base/sql.h"
#include "base/transact.h"
#include "output/stdout.h"
#include "store/restoring.h"

/* Looking what is due may take so long, ms. */
#define LOOK_TIMEOUT 10000

/* After what could not be done, ms. */
#define RETRY 2000

/* While the extension is absent, or the database is being restored, ms. */
#define POLL 2000

/* Nobody wants it: until the launcher ends it, ms. */
#define REST 1000

/* What a transaction finds. */
typedef struct Look
{
	bool has_extension;
	WtAlertsDue due;
} Look;

/* The alert whose query was running when the process before ended; "": none was. */
static char leftover[WT_MAX_ALERT_NAME + 1];

static void
look(void *arg)
{
	Look *l = arg;
	MemoryContext context = CurrentMemoryContext;

	l->has_extension = OidIsValid(get_extension_oid("windtrap", true));
	if (!l->has_extension)
		return;
	wt_sql_connect();
	MemoryContextSwitchTo(context);
	wt_alerts_look(&l->due);
	SPI_finish();
}

/* Has /metrics know of them. */
static void
publish(const WtAlertsDue *due)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	memcpy(wt_shared->alerts.standing, due->standing, sizeof(due->standing));
	wt_shared->alerts.waiting = due->waiting;
	LWLockRelease(&wt_shared->lock);
}

typedef struct Leftover
{
	bool exists;
	WtAlertRule rule;
} Leftover;

static void
read_leftover(void *arg)
{
	Leftover *l = arg;
	MemoryContext context = CurrentMemoryContext;

	if (!OidIsValid(get_extension_oid("windtrap", true)))
		return;
	wt_sql_connect();
	MemoryContextSwitchTo(context);
	l->exists = wt_alert_lock(leftover, &l->rule);
	SPI_finish();
}

/* Something cannot be done now; gives ms until it is tried again. */
static long
fail(const char *what, const char *error)
{
	if (wt_stop_requested)
		return 0;
	wt_helper_fail(0, what, error);
	return RETRY;
}

/*
 * The query of an alert has ended the process that ran it: the alert says so.  It is tried once, since
 * the others wait meanwhile.
 */
static void
settle_leftover(void)
{
	Leftover l = {0};
	WtAlertOutcome outcome = {
		.at = GetCurrentTimestamp(),
		.reason = "the process that ran the query has ended: nothing could cancel it",
		.took = PG_INT32_MAX};
	ErrorData *error =
		wt_transact(read_leftover, &l, "looking at an alert", LOOK_TIMEOUT);
	const char *why = error ? error->message : NULL;

	if (!error && l.exists)
		(void) wt_alert_decide(&l.rule, &outcome, &why);
	if (why)
		ereport(LOG,
				(errmsg("windtrap: the query of alert \"%s\" has ended the process that "
						"ran it, which could not be noted: %s",
						leftover, why)));
	leftover[0] = '\0';
}

/* Evaluates one alert, if one is due; gives ms until the next time. */
static long
work(void)
{
	const WtTransaction how = {.activity = "looking what alerts are due",
							   .timeout = LOOK_TIMEOUT,
							   .lock_timeout = "1s",
							   .may_be_lost = true,
							   .read_committed = true};
	Look l = {0};
	WtAlertOutcome outcome;
	const char *why;
	ErrorData *error;

	if (wt_restore_in_progress(true))
		return POLL;
	if (leftover[0] != '\0')
		settle_leftover();
	error = wt_transact_as(&how, look, &l);
	if (error)
		return fail("cannot look at the alerts", error->message);
	publish(&l.due);
	/* What comes while the last is looked for says so itself. */
	if (!l.has_extension || !l.due.has_rules)
	{
		wt_helper_want(WT_HELPER_WEBHOOKS, false);
		if (wt_helper_is_wanted(WT_HELPER_ALERTS))
		{
			wt_helper_want(WT_HELPER_ALERTS, false);
			return 0;
		}
		return REST;
	}
	wt_helper_want(WT_HELPER_ALERTS, true);
	wt_helper_want(WT_HELPER_WEBHOOKS, l.due.has_webhooks);
	if (!l.due.is_due)
		return l.due.wait;
	if (!wt_alert_count(&l.due.rule, &outcome))
		return 0;
	if (!wt_alert_decide(&l.due.rule, &outcome, &why))
		return fail("cannot note how an alert stands", why);
	wt_helper_report(WT_STATE_WORKING, NULL, true);
	return 0;
}

static void
on_reload(void)
{
	wt_stdout_configure();
}

void
windtrap_alerts_main(Datum arg)
{
	MemoryContext context;

	wt_process_begin(on_reload);
	wt_helper_begin(WT_HELPER_ALERTS);
	wt_connect(DatumGetObjectId(arg));
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	strlcpy(leftover, wt_shared->alert_counted, sizeof(leftover));
	wt_shared->alert_counted[0] = '\0';
	LWLockRelease(&wt_shared->lock);
	wt_stdout_configure();
	context = AllocSetContextCreate(TopMemoryContext, "windtrap alerts",
									ALLOCSET_DEFAULT_SIZES);

	while (!wt_stop_requested)
	{
		long next;

		MemoryContextSwitchTo(context);
		next = work();
		if (next > 0 && next != RETRY)
			wt_helper_report(WT_STATE_IDLE, NULL, false);
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		wt_stdout_attend();
		/* Without this autovacuum never learns of the rows. */
		pgstat_report_stat(false);
		if (next > 0)
			(void) wt_process_nap(next);
		else
			(void) wt_process_attend();
	}
	wt_stdout_finish();
	proc_exit(0);
}
