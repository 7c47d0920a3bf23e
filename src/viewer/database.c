/*
 * database.c
 *		What a job looks at in the database: transactions whose failure is its answer.
 *
 * The log table may be anybody's, and what is asked evaluates what its owner has made: views,
 * policies, operators, functions of indexes.  All of that has the owner's rights, in a
 * security-restricted operation, in a transaction that only reads; what it sets for the session
 * ends with it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/identity.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/transact.h"
#include "http/answer_stream.h"
#include "store/log_table.h"
#include "store/restoring.h"
#include "viewer/database.h"
#include "base/give_way.h"
#include "base/sql.h"

/* Between two looks whether the client is still there, ms. */
#define CLIENT_POLL 100

typedef struct Run
{
	WtViewerJob *job;
	void (*what)(WtViewerJob *job);
	WtRights rights;
} Run;

/* Settings for each transaction: cheap plans of one process, and texts that read the same always. */
static const char *const settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"work_mem", "4MB"},
	{"max_parallel_workers_per_gather", "0"},
	{"jit", "off"},
};

static bool reading_parameters;
static const char *table;

/* Whose client is watched; a signal handler reads it. */
static WtRequest *volatile watched;
static volatile sig_atomic_t client_has_left;

/* In a signal handler. */
static void
look_at_client(void)
{
	int saved = errno;

	if (watched && wt_client_has_left(watched))
	{
		client_has_left = true;
		InterruptPending = true;
		QueryCancelPending = true;
		SetLatch(MyLatch);
	}
	errno = saved;
}

static void
watch_client(WtRequest *request)
{
	static TimeoutId id = MAX_TIMEOUTS;

	if (id == MAX_TIMEOUTS)
		id = RegisterTimeout(USER_TIMEOUT, look_at_client);
	if (request)
	{
		client_has_left = false;
		watched = request;
		enable_timeout_every(
			id, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CLIENT_POLL),
			CLIENT_POLL);
		return;
	}
	disable_timeout(id, false);
	watched = NULL;
}

void
wt_viewer_reads_parameters(bool begins)
{
	reading_parameters = begins;
}

void
wt_viewer_is_in_time(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
}

void
wt_viewer_has_time(int timeout)
{
	enable_timeout_after(STATEMENT_TIMEOUT, timeout);
}

const char *
wt_viewer_table(void)
{
	return table;
}

/* The log table's owner. */
static Oid
find_owner(void)
{
	const RangeVar *name = wt_log_table_name(wt_table);
	Oid relation = RangeVarGetRelid(name, NoLock, true);
	Oid owner = OidIsValid(relation) ? wt_log_table_owner(relation) : InvalidOid;

	table = wt_log_table_quote(name);
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table %s: it is made when events come", table)));
	return owner;
}

static void
run(void *arg)
{
	const Run *r = arg;
	bool as_owner = r->rights != WT_PROCESS_READS;
	int64 temporary = wt_count_temporary();
	int nest_level = NewGUCNestLevel();
	Oid saved_role = InvalidOid;
	int saved_context = 0;

	XactReadOnly = r->rights != WT_OWNER_WRITES;
	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	wt_sql_connect();
	/* What is made lies where it lasts for the step. */
	MemoryContextSwitchTo(r->job->step_context);
	if (as_owner)
		wt_become(find_owner(), &saved_role, &saved_context);
	if (r->rights == WT_OWNER_WRITES)
	{
		ConstraintsSetStmt constraints = {.type = T_ConstraintsSetStmt,
										  .deferred = false};

		/* Deferred triggers would fire at COMMIT, not as the owner: see store/insert.c. */
		AfterTriggerSetState(&constraints);
	}
	r->what(r->job);
	if (as_owner)
		wt_restore(saved_role, saved_context);
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
	wt_refuse_temporary(temporary);
}

/* Says in the log what went wrong, once for as long as it is the same. */
static void
log_error(const ErrorData *error)
{
	static char said[256];

	if (strncmp(said, error->message, sizeof(said) - 1) == 0)
		return;
	strlcpy(said, error->message, sizeof(said));
	ereport(LOG, (errcode(error->sqlerrcode),
				  errmsg("windtrap: a query of the viewer failed: %s", error->message),
				  error->detail ? errdetail_internal("%s", error->detail) : 0,
				  error->context ? errcontext("%s", error->context) : 0));
}

/* Whether it is what a search says of a query, and no owner's code of its own. */
static bool
is_of_query(const ErrorData *error)
{
	return error->internalquery &&
		   (error->sqlerrcode == ERRCODE_SYNTAX_ERROR ||
			error->sqlerrcode == ERRCODE_INVALID_PARAMETER_VALUE) &&
		   (strncmp(error->message, "search, ", 8) == 0 ||
			strncmp(error->message, "field, ", 7) == 0);
}

static void
answer_error(WtViewerJob *job, const ErrorData *error, WtRights rights)
{
	bool is_search = strncmp(error->message, "search, ", 8) == 0;

	if (is_of_query(error))
	{
		wt_job_fail(job, 400, error->message, is_search ? error->internalpos : 0);
		return;
	}
	if (reading_parameters &&
		(ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION ||
		 error->sqlerrcode == ERRCODE_INVALID_REGULAR_EXPRESSION))
	{
		wt_job_fail(job, 400, error->message, 0);
		return;
	}
	switch (error->sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
			wt_job_fail(job, 503, "the log table is locked at the moment, try again", 0);
			return;
		case ERRCODE_QUERY_CANCELED:
			wt_job_fail(job, 503,
						wt_stop_requested ? "the server is stopping"
										  : "the query has been cancelled",
						0);
			return;
		case ERRCODE_UNDEFINED_TABLE:
			wt_job_fail(job, 503, error->message, 0);
			return;
		case ERRCODE_FEATURE_NOT_SUPPORTED: /* nor will it be, if it is tried again */
			wt_job_fail(job, 501, error->message, 0);
			return;
		default:
			break;
	}
	log_error(error);
	wt_job_fail(
		job, ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTERNAL_ERROR ? 500 : 503,
		psprintf("the events cannot be %s at the moment: %s",
				 rights == WT_OWNER_WRITES ? "changed" : "read", error->message),
		0);
}

WtEnd
wt_viewer_run(WtViewerJob *job, void (*what)(WtViewerJob *job), WtRights rights,
			  int timeout)
{
	Run r = {.job = job, .what = what, .rights = rights};
	const WtTransaction how = {.activity = job->call->activity,
							   .timeout = timeout,
							   .lock_timeout = "1s",
							   .read_committed = true,
							   .watch = &wt_watch_that_ends};
	const char *restoring = wt_restore_in_progress(false);
	ErrorData *error;
	size_t written = job->out.length;
	TimestampTz begun;

	if (restoring && rights != WT_PROCESS_READS)
	{
		wt_job_fail(job, 503, restoring, 0);
		return WT_END_FAILED;
	}
	reading_parameters = false;
	begun = GetCurrentTimestamp();
	watch_client(job->request);
	wt_give_way_in_step(true);
	error = wt_transact_as(&how, run, &r);
	wt_give_way_in_step(false);
	watch_client(NULL);
	/* One that was begun when the time was over is done. */
	QueryCancelPending = false;
	if (!error)
		return job->done ? WT_END_FAILED : WT_END_DONE;
	/* What it has begun to write is not to be seen. */
	job->out.length = Min(job->out.length, written);
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !client_has_left &&
		!wt_stop_requested &&
		GetCurrentTimestamp() >= TimestampTzPlusMilliseconds(begun, timeout))
		return WT_END_TIMEOUT;
	/* To who has left it is not said. */
	answer_error(job, error, rights);
	return WT_END_FAILED;
}

void
wt_viewer_took_too_long(WtViewerJob *job)
{
	wt_job_fail(
		job, 503,
		psprintf("the query took longer than windtrap.viewer_timeout (%s): ask for "
				 "a shorter time, or for more of what an index can find",
				 GetConfigOptionByName("windtrap.viewer_timeout", NULL, false)),
		0);
}

bool
wt_viewer_query(WtViewerJob *job, void (*what)(WtViewerJob *job), WtRights rights)
{
	switch (wt_viewer_run(job, what, rights, wt_viewer_timeout))
	{
		case WT_END_DONE:
			return true;
		case WT_END_TIMEOUT:
			wt_viewer_took_too_long(job);
			return false;
		case WT_END_FAILED:
			break;
	}
	return false;
}
