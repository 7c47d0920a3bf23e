/*
 * tail_call.c
 *		/api/tail: events as they come.
 *
 * Whoever follows looks a few times a second, and only where a transaction has been completed
 * since the last look: who watches a log in which nothing happens costs next to nothing.  Where other
 * servers write to the table (Citus) he always looks, and rests the longer, as looks take longer.
 */
#include "postgres.h"

#include "access/transam.h"
#include "executor/spi.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "search/tail.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/event_json.h"
#include "viewer/times.h"

/* Between two looks, µs. */
#define INTERVAL (300 * 1000)

/* A look is followed by a rest so many times as long, up to this, µs, so that many can follow. */
#define REST_FACTOR 10
#define LONGEST_REST (2 * USECS_PER_SEC)

/* Events a second: unless told, and at most. */
#define DEFAULT_RATE 500
#define MAX_RATE 1000

/* A sign of life comes so often, µs; and the client goes on by itself after so long. */
#define LIFE_INTERVAL (5 * USECS_PER_SEC)
#define LONGEST (10 * USECS_PER_MINUTE)

/* While so much waits to be sent, bytes, nobody looks: what comes meanwhile is looked at then. */
#define MAX_BACKLOG (256 * 1024)

typedef struct Tail
{
	int rate;
	WtColumns columns;
	WtTail *tail;		/* NULL: not begun */
	TimestampTz second; /* which has begun then, and how many came in it */
	int in_second;
	uint64 completed; /* transactions, before the last look */
	bool looked;
	bool others_write; /* other servers; so what is completed here does not count */
	bool found;		   /* something, by the last look */
	char *cursor;	   /* in the job's context; NULL: none yet */
	TimestampTz told;  /* the cursor */
} Tail;

/* How many transactions that have written something were completed since the server's start. */
static uint64
completed_transactions(void)
{
	uint64 n;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
	n = wt_transam_variables->xactCompletionCount;
	LWLockRelease(ProcArrayLock);
	return n;
}

static void
begin_tail(WtViewerJob *job)
{
	Tail *tail = job->state;
	MemoryContext before = MemoryContextSwitchTo(job->context);

	wt_viewer_reads_parameters(true);
	tail->columns = wt_viewer_columns(job);
	tail->tail = wt_tail_open(wt_job_query(job), wt_job_parameter(job, "after"),
							  wt_viewer_output(&tail->columns));
	wt_viewer_reads_parameters(false);
	MemoryContextSwitchTo(before);
}

static void
look(WtViewerJob *job)
{
	Tail *tail = job->state;
	WtBuffer *out = &job->out;
	WtTailLook found;

	if (!tail->tail)
		begin_tail(job);
	wt_tail_look(tail->tail, tail->rate - tail->in_second, &found);
	wt_viewer_is_in_time();
	if (found.skipped > 0)
	{
		wt_buffer_print(
			out, "{\"skipped\":{\"count\":" INT64_FORMAT ",\"since\":", found.skipped);
		wt_viewer_write_time(out, found.since);
		wt_buffer_text(out, ",\"until\":");
		wt_viewer_write_time(out, found.until);
		wt_buffer_text(out, "}}\n");
	}
	for (int64 i = 0; i < found.n; i++)
	{
		wt_buffer_text(out, "{\"event\":");
		wt_viewer_write_event(out, (uint64) i, &tail->columns, WT_DATA_IF_SHORT);
		wt_buffer_text(out, "}\n");
	}
	tail->in_second += (int) found.n;
	tail->found = found.n > 0 || found.skipped > 0;
	tail->others_write = found.others_write;
	if (tail->cursor)
		pfree(tail->cursor);
	tail->cursor = MemoryContextStrdup(job->context, found.cursor);
}

static void
tell_cursor(WtViewerJob *job)
{
	Tail *tail = job->state;

	wt_buffer_text(&job->out, "{\"cursor\":");
	wt_buffer_string(&job->out, tail->cursor);
	wt_buffer_text(&job->out, "}\n");
	tail->told = GetCurrentTimestamp();
}

void
wt_step_tail(WtViewerJob *job)
{
	Tail *tail = job->state;
	TimestampTz now = GetCurrentTimestamp();
	uint64 completed;

	if (!tail)
	{
		job->type = "application/x-ndjson";
		job->state = tail = MemoryContextAllocZero(job->context, sizeof(Tail));
		if (!wt_job_number(job, "n", 1, MAX_RATE, DEFAULT_RATE, &tail->rate))
			return;
	}
	job->rests_until = now + INTERVAL;
	if (wt_job_backlog(job) > MAX_BACKLOG)
		return;
	if (now - tail->second >= USECS_PER_SEC || now < tail->second)
	{
		tail->second = now;
		tail->in_second = 0;
	}
	/* Before the look: what is completed meanwhile is for the next one. */
	completed = completed_transactions();
	tail->found = false;
	if (tail->in_second < tail->rate &&
		(!tail->looked || tail->others_write || completed != tail->completed))
	{
		if (!wt_viewer_query(job, look, WT_OWNER_READS))
			return;
		tail->looked = true;
		tail->completed = completed;
		job->rests_until +=
			Min((GetCurrentTimestamp() - now) * REST_FACTOR, LONGEST_REST);
	}
	if (tail->found || now - tail->told >= LIFE_INTERVAL || now < tail->told)
		tell_cursor(job);
	if (job->out.length > 0 && !wt_job_send(job))
		return;
	if (now - job->now >= LONGEST)
		wt_job_end_stream(job);
}
