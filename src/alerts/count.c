/*
 * count.c
 *		How many events an alert's query finds in its window.
 *
 * The log table may be anybody's: what its owner has made of views, policies and functions runs with
 * his rights, in a security-restricted operation, in a transaction that only reads.  One that
 * lets nothing cancel it ends the process (wt_watch_that_ends); which alert that was stands in
 * shared memory, so that the next process does not begin with it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alerts/count.h"
#include "alerts/notice.h"
#include "base/give_way.h"
#include "base/identity.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/shared.h"
#include "base/sql.h"
#include "base/transact.h"
#include "search/rows.h"
#include "search/search_sql.h"
#include "store/log_table.h"

/*
 * What alerts have told is not counted: one that asks for errors would keep itself firing, and
 * one that waits for silence would end it.
 */
static const char statement[] =
	"SELECT count(*) FROM windtrap.events WHERE (%s)"
	" AND event_timestamp >= $1 AND event_timestamp <= $2"
	" AND data->>'protocol' IS DISTINCT FROM '" WT_ALERT_PROTOCOL "'";

typedef struct Count
{
	const WtAlertRule *rule;
	WtAlertOutcome *outcome;
} Count;

static Oid
find_owner(void)
{
	const RangeVar *name = wt_log_table_name(wt_table);
	Oid relation = RangeVarGetRelid(name, NoLock, true);
	Oid owner = OidIsValid(relation) ? wt_log_table_owner(relation) : InvalidOid;

	if (!wt_postgres)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no events are kept here: windtrap.postgres is off")));
	if (!OidIsValid(owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("there is no table %s: it is made when events come",
							   wt_log_table_quote(name))));
	return owner;
}

static void
count(void *arg)
{
	const Count *c = arg;
	const WtAlertRule *rule = c->rule;
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[2];
	MemoryContext context = CurrentMemoryContext;
	int64 temporary = wt_count_temporary();
	Oid saved_role;
	int saved_context;

	XactReadOnly = true;
	wt_sql_set_local("max_parallel_workers_per_gather", "0");
	values[1] = TimestampTzGetDatum(c->outcome->at);
	values[0] = DirectFunctionCall2(timestamptz_mi_interval, values[1],
									IntervalPGetDatum(&rule->window));
	wt_sql_connect();
	MemoryContextSwitchTo(context);
	wt_become(find_owner(), &saved_role, &saved_context);
	(void) wt_search_run(psprintf(statement, wt_search_condition(rule->query)), 2, types,
						 values);
	c->outcome->value = wt_sql_int64(0, 1);
	wt_restore(saved_role, saved_context);
	SPI_finish();
	wt_refuse_temporary(temporary);
}

static void
note_counted(const char *name)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	strlcpy(wt_shared->alert_counted, name, sizeof(wt_shared->alert_counted));
	LWLockRelease(&wt_shared->lock);
}

bool
wt_alert_count(const WtAlertRule *rule, WtAlertOutcome *outcome)
{
	const WtTransaction how = {.activity = "counting events of an alert",
							   .timeout = wt_alert_timeout,
							   .lock_timeout = "1s",
							   .read_committed = true,
							   .watch = &wt_watch_that_ends};
	Count c = {rule, outcome};
	ErrorData *error;
	TimestampTz end;

	memset(outcome, 0, sizeof(*outcome));
	outcome->at = GetCurrentTimestamp();
	note_counted(rule->name);
	wt_give_way_in_step(true);
	error = wt_transact_as(&how, count, &c);
	wt_give_way_in_step(false);
	note_counted("");
	end = GetCurrentTimestamp();
	outcome->took = Max((double) (end - outcome->at) / USECS_PER_SEC, 0);
	if (!error)
		return true;
	if (wt_stop_requested)
		return false;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		end >= TimestampTzPlusMilliseconds(outcome->at, wt_alert_timeout))
		outcome->reason =
			psprintf("the query took longer than windtrap.alert_timeout (%s)",
					 GetConfigOptionByName("windtrap.alert_timeout", NULL, false));
	else if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		outcome->reason = "the log table is locked";
	else
		outcome->reason = pstrdup(error->message);
	FreeErrorData(error);
	return true;
}
