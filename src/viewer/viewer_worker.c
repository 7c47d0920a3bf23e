/*
 * viewer_worker.c
 *		The life of a process that shows events: start, the loop, stop.
 *
 * It is one of its own, so that who searches keeps no event waiting.  The loop: let the listener
 * read and write; take the requests that are complete; then one job has one step: the one
 * that has had least.  So a search of a second keeps nobody waiting for longer than a
 * slice of it, and a page that follows what comes needs no process of its own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/identity.h"
#include "base/monotonic.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/shared.h"
#include "http/request.h"
#include "serving/condition.h"
#include "serving/serving.h"
#include "serving/tokens.h"
#include "store/restoring.h"
#include "viewer/calls.h"
#include "base/give_way.h"
#include "viewer/job.h"
#include "viewer/viewer_worker.h"

/* Looking again while its sockets are not open, or there is no extension, ms. */
#define RETRY 1000

/* Stopping: until the last answer must be sent, ms. */
#define STOP_TIMEOUT 1500

/* What a job has waited makes up for the part 1/WAITING_COUNTS of it that its steps took. */
#define WAITING_COUNTS 8

/* More than that, µs, does not put a job further behind. */
#define MOST_SPENT (2 * USECS_PER_SEC)

/* Jobs at a time; beyond it requests wait in the listener. */
#define MAX_JOBS 200

/* What would rest for longer than this, µs, has been kept from its end by a clock set back. */
#define LONGEST_REST (10 * USECS_PER_SEC)

static WtServing serving;
static WaitEventSet *wait_events;

/* Those that go on, in the order of their last steps. */
static WtViewerJob *first_job;
static WtViewerJob *last_job;
static int n_jobs;

static void
on_reload(void)
{
	/* Without a port the launcher is about to end us. */
	if (wt_viewer_port != 0)
		wt_serving_reload(&serving);
}

static bool
nap(long ms)
{
	return wt_process_nap(ms);
}

static void
make_wait_events(void)
{
	wait_events = wt_create_wait_event_set(TopMemoryContext, 3);
	AddWaitEventToSet(wait_events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_events, WL_SOCKET_READABLE,
					  wt_listener_descriptor(serving.listener), NULL, NULL);
}

/* Lets the listener work, with the tokens that there are now. */
static void
run_listener(void)
{
	AcceptInvalidationMessages();
	wt_serving_attend_auth(&serving, false);
	wt_listener_run(serving.listener);
}

static void
append_job(WtViewerJob *job)
{
	job->next = NULL;
	if (last_job)
		last_job->next = job;
	else
		first_job = job;
	last_job = job;
}

/* Takes the job out of the list that follows `previous`; NULL: the first one. */
static WtViewerJob *
take_job(WtViewerJob *previous)
{
	WtViewerJob *job = previous ? previous->next : first_job;

	if (previous)
		previous->next = job->next;
	else
		first_job = job->next;
	if (last_job == job)
		last_job = previous;
	return job;
}

static void
free_job(WtViewerJob *job)
{
	wt_job_free(job);
	n_jobs--;
}

static void
refuse(WtRequest *request, const char *sentence)
{
	char body[WT_ANSWER_SIZE];
	WtAnswer answer = {.status = 503, .reason = WT_REASON_UNAVAILABLE, .body = body};

	answer.length = wt_answer_error(body, sentence);
	wt_listener_answer(serving.listener, request, &answer);
}

/* Whether as many of a call go on as may, which would keep others from their turn. */
static bool
are_too_many(const WtCall *call)
{
	int n = 0;

	for (const WtViewerJob *job = first_job; job && call->most > 0; job = job->next)
		n += job->call == call;
	return call->most > 0 && n >= call->most;
}

/* Takes the requests that are complete. */
static void
take_requests(void)
{
	while (n_jobs < MAX_JOBS)
	{
		WtRequest *request = wt_listener_next(serving.listener);
		const WtCall *call;

		if (!request)
			return;
		if (!wt_extension_is_present())
		{
			refuse(request, wt_extension_missing);
			continue;
		}
		call = wt_viewer_call(request->verb);
		if (are_too_many(call))
		{
			refuse(request,
				   "too many clients follow, or export, already: try again later");
			continue;
		}
		append_job(wt_job_begin(serving.listener, request, call));
		n_jobs++;
	}
}

/*
 * How far behind others a job's next step is, µs: what its steps have taken, less a part of how
 * long it has waited.  So what is new, and soon done, does not stand behind searches that take
 * long, as it would in turns; with many of these none would show anything.
 */
static int64
rank(const WtViewerJob *job, TimestampTz now)
{
	/* It ends with what it has, which takes no time. */
	if (wt_job_is_late(job))
		return PG_INT64_MIN;
	return job->spent - (now - Max(job->waits_since, job->rests_until)) / WAITING_COUNTS;
}

/*
 * Has one job do one step.  Gives ms until there is something to do; 0: there may be now;
 * -1: there is nothing.
 */
static long
do_step(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = 0;
	WtViewerJob *previous = NULL;
	WtViewerJob *before_best = NULL;
	WtViewerJob *best = NULL;

	for (WtViewerJob *job = first_job; job; previous = job, job = job->next)
	{
		if (job->rests_until > now && job->rests_until <= now + LONGEST_REST)
		{
			if (next == 0 || job->rests_until < next)
				next = job->rests_until;
		}
		else if (!best || rank(job, now) < rank(best, now))
		{
			before_best = previous;
			best = job;
		}
	}
	if (!best)
		return next == 0 ? -1 : Max(TimestampDifferenceMilliseconds(now, next), 1);
	(void) take_job(before_best);
	wt_job_step(best);
	if (best->done)
		free_job(best);
	else
	{
		int64 took;

		best->waits_since = GetCurrentTimestamp();
		took = Max(best->waits_since - now, 0);
		/* What rests by itself takes no more than its part. */
		best->spent = best->rests_until > 0 ? took : Min(best->spent + took, MOST_SPENT);
		append_job(best);
	}
	return 0;
}

/* Waits for the latch or the listener, at most timeout ms. */
static void
wait_for_work(long timeout)
{
	WaitEvent events[3];
	int n = WaitEventSetWait(wait_events, timeout, events, lengthof(events),
							 PG_WAIT_EXTENSION);

	for (int i = 0; i < n; i++)
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
}

/* Answers what is there, within limits of time, and closes everything. */
static void
stop_serving(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(wt_monotonic_us(), STOP_TIMEOUT);

	wt_status_set_state(WT_STATE_STOPPING);
	wt_listener_close_sockets(serving.listener);
	for (;;)
	{
		long left = TimestampDifferenceMilliseconds(wt_monotonic_us(), until);
		WtRequest *request;

		while (first_job)
		{
			WtViewerJob *job = take_job(NULL);

			wt_job_abandon(job);
			free_job(job);
		}
		wt_listener_run(serving.listener);
		while ((request = wt_listener_next(serving.listener)) != NULL)
			refuse(request, "the server is stopping");
		wt_listener_run(serving.listener);
		if (wt_listener_unanswered(serving.listener) == 0 || left <= 0)
			break;
		wait_for_work(wt_shorter(left, wt_listener_timeout(serving.listener)));
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
	}
	FreeWaitEventSet(wait_events);
	wait_events = NULL;
	wt_serving_end(&serving);
}

static bool
start_serving(int place)
{
	const WtListeningPlace here = {.place = place,
								   .first = WT_PLACE_VIEWERS,
								   .n = WT_MAX_VIEWERS,
								   .port = &wt_viewer_port,
								   .name = "windtrap.viewer_port"};

	wt_viewer_use_paths();
	if (!wt_serving_start(&serving, &here, nap))
		return false;
	make_wait_events();
	(void) wt_condition_set(WT_CONDITION_DATABASE, NULL);
	wt_status_set_state(WT_STATE_LISTENING);
	return true;
}

/* Answers until it is time to stop, or the extension has been dropped. */
static void
serve(void)
{
	TimestampTz rests_until = 0;

	while (wt_process_attend())
	{
		TimestampTz now = GetCurrentTimestamp();
		bool impatient;
		long next;

		run_listener();
		wt_serving_check_tokens(&serving);
		if (!wt_serving_check_extension(&serving))
			return;
		wt_listening_try_again();
		take_requests();
		if (rests_until > now && rests_until <= now + LONGEST_REST)
			next = Max(TimestampDifferenceMilliseconds(now, rests_until), 1);
		else
		{
			next = do_step();
			(void) pgstat_report_stat(false);
			rests_until = wt_give_way(GetCurrentTimestamp());
			if (next == 0)
				continue;
		}
		impatient = serving.missing_since != 0 || wt_listening_is_otherwise();
		wait_for_work(
			wt_shorter(wt_shorter(next, wt_listener_timeout(serving.listener)),
					   wt_shorter(wt_tokens_timeout(), impatient ? RETRY : -1)));
		wt_listener_rested(serving.listener);
	}
}

void
windtrap_viewer_main(Datum arg)
{
	static const WtServed served = {
		.nap = nap, .start = start_serving, .serve = serve, .stop = stop_serving};
	int place = DatumGetInt32(arg);
	WtWorkerArgs args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	wt_process_begin(on_reload);
	wt_status_begin(place, args.database);
	wt_connect(args.database);
	wt_serving_begin();
	wt_give_way_begin();
	wt_serving_live(place, &served);
}
