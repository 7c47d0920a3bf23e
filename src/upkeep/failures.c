/*
 * failures.c
 *		What the upkeep's last round could not do, for others to see.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "base/datum.h"
#include "base/shared.h"
#include "store/fault.h"
#include "upkeep/failures.h"

PG_FUNCTION_INFO_V1(windtrap_upkeep_failures);

const char *
wt_failure_text(const ErrorData *error)
{
	return error->detail ? psprintf("%s: %s", error->message, error->detail)
						 : error->message;
}

const char *
wt_failure_remedy(const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST:
			/* PostgreSQL's own hint is CASCADE. */
			return "Drop what depends on the partition, or have it depend on the log "
				   "table "
				   "instead; or detach the partition to keep it.";
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			return "Delete the rows that refer to its events, or detach the partition to "
				   "keep it.";
		case ERRCODE_LOCK_NOT_AVAILABLE:
			return "It is tried again; if it never works, look in pg_stat_activity for "
				   "who "
				   "keeps a transaction open.";
		case ERRCODE_DISK_FULL:
			return "Make room on that disk.";
		case ERRCODE_UNDEFINED_FILE:
		case ERRCODE_IO_ERROR:
			return "Bring back the disk of that tablespace; or, for partitions to come, "
				   "give "
				   "the log table another one by ALTER TABLE ... SET TABLESPACE.";
	}
	if (error->hint)
		return error->hint;
	/* Its context begins with the function that has raised it. */
	if (wt_is_raised_by_hand(error) && error->context)
		return psprintf(
			"Have the trigger or event trigger let the log's partitions pass, or "
			"disable it: it is raised by %.*s.",
			(int) strcspn(error->context, "\n"), error->context);
	return NULL;
}

static void
set_text(char *to, size_t size, const char *text)
{
	int length = text ? (int) strlen(text) : 0;

	if (length >= (int) size)
		length = pg_mbcliplen(text, length, (int) size - 1);
	memcpy(to, text ? text : "", length);
	to[length] = '\0';
}

static WtUpkeepFailure *
find(WtUpkeepFailures *failures, const WtUpkeepFailure *like)
{
	for (int i = 0; i < failures->n; i++)
	{
		WtUpkeepFailure *failure = &failures->failures[i];

		if (failure->from == like->from && failure->to == like->to &&
			strcmp(failure->action, like->action) == 0 &&
			strcmp(failure->partition, like->partition) == 0)
			return failure;
	}
	return NULL;
}

static bool
has_text(const WtUpkeepFailures *failures, const char *text)
{
	for (int i = 0; i < failures->n; i++)
		if (strcmp(failures->failures[i].error, text) == 0)
			return true;
	return false;
}

bool
wt_failures_are_news(const WtUpkeepFailures *failures, const ErrorData *error)
{
	char text[sizeof(failures->failures[0].error)];
	bool known;

	set_text(text, sizeof(text), wt_failure_text(error));
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	known = has_text(&wt_shared->upkeep_failures, text);
	LWLockRelease(&wt_shared->lock);
	return !known && !has_text(failures, text);
}

void
wt_failures_note(WtUpkeepFailures *failures, const WtTask *task, const ErrorData *error)
{
	WtUpkeepFailure failure = {0};

	set_text(failure.action, sizeof(failure.action), wt_upkeep_verb(task->kind));
	set_text(failure.partition, sizeof(failure.partition), task->name);
	failure.from = task->from;
	failure.to = task->to;
	if (failures->n == WT_MAX_UPKEEP_FAILURES || find(failures, &failure))
		return;
	set_text(failure.error, sizeof(failure.error), wt_failure_text(error));
	set_text(failure.hint, sizeof(failure.hint), wt_failure_remedy(error));
	failure.first_time = failure.last_time = GetCurrentTimestamp();
	failure.times = 1;
	failures->failures[failures->n++] = failure;
}

void
wt_failures_publish(WtUpkeepFailures *failures)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < failures->n; i++)
	{
		WtUpkeepFailure *failure = &failures->failures[i];
		const WtUpkeepFailure *before = find(&wt_shared->upkeep_failures, failure);

		if (!before)
			continue;
		failure->first_time = before->first_time;
		failure->times = before->times + 1;
	}
	wt_shared->upkeep_failures = *failures;
	LWLockRelease(&wt_shared->lock);
}

/* The rows of the view windtrap.upkeep_failures. */
Datum
windtrap_upkeep_failures(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WtUpkeepFailures failures;

	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	failures = wt_shared->upkeep_failures;
	LWLockRelease(&wt_shared->lock);

	for (int i = 0; i < failures.n; i++)
	{
		const WtUpkeepFailure *f = &failures.failures[i];
		Datum values[9];
		bool nulls[9] = {0};
		int n = 0;

		values[n++] = CStringGetTextDatum(f->action);
		values[n] = wt_text_or_null(f->partition, &nulls[n]);
		n++;
		/* A look is at all times. */
		nulls[n] = nulls[n + 1] = (f->from == f->to);
		values[n++] = TimestampTzGetDatum(f->from);
		values[n++] = TimestampTzGetDatum(f->to);
		values[n++] = CStringGetTextDatum(f->error);
		values[n] = wt_text_or_null(f->hint, &nulls[n]);
		n++;
		values[n++] = TimestampTzGetDatum(f->first_time);
		values[n++] = TimestampTzGetDatum(f->last_time);
		values[n++] = Int64GetDatum(f->times);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
