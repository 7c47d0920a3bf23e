/*
 * batch.c
 *		Requests → answers: takes what is complete through all the stages at once.  What the
 *		stages do with one request is in the files that job.h lists.
 *
 * Words:
 *	job			a request on its way through the stages
 *	turn		one call of wt_batch_process: a slice of decoding, and one transaction
 *	small job	one that is decoded at once
 *	large job	one that may take several turns to decode, in the order of arrival, but that
 *				requests and messages take turns; small ones pass it
 *
 * A job's rows are committed together, in the turn in which the last of them is decoded.
 * Only a job of more than MAX_TURN_ROWS or MAX_TURN_BYTES, whose one transaction would keep
 * everybody else waiting, is committed in *pieces*.
 *
 * Of a body that comes in pieces itself (http/streaming.c) each is a job, which takes its place
 * behind the others; the request's progress goes from one to the next.
 *
 * What a job allocates is in a memory context of its own, what a turn allocates in
 * another; each has one end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "worker/batch.h"
#include "serving/condition.h"
#include "worker/job.h"
#include "worker/job_answer.h"
#include "worker/job_body.h"
#include "worker/job_events.h"
#include "serving/tokens.h"
#include "base/monotonic.h"
#include "base/patience.h"
#include "base/settings.h"
#include "event/decode.h"
#include "output/stdout.h"
#include "store/store.h"

/* One turn: small jobs, rows, bytes of rows, and decoding in ms. */
#define MAX_TURN_JOBS 1024
#define MAX_TURN_ROWS 5000
#define MAX_TURN_BYTES (4 * 1024 * 1024)
#define MAX_TURN_DECODING 8

/* A body up to here, bytes, that is not compressed makes a small job. */
#define SMALL_BODY (4 * 1024)

/*
 * From the last byte of a request to its answer, and of that at least for storing, ms.  From 5 s
 * on senders give up, and send again what is committed after that.
 */
#define LONGEST_WAIT WT_PATIENCE(4000)
#define LEAST_STORING 500

/* The second try of a batch when the worker is stopping, ms. */
#define RETRY_TIMEOUT WT_PATIENCE(1000)

/* What contexts keep from turn to turn, bytes. */
#define KEPT_MEMORY (256 * 1024)

/* What has been taken in this turn. */
typedef struct Turn
{
	WtJob **jobs; /* whose events are to be stored, or whose answer is known */
	int n_jobs;
	int n_rows;
	size_t bytes;
	instr_time begun;
} Turn;

static MemoryContext turn_context;
static MemoryContext small_context; /* of all small jobs of a turn */
static dlist_head large_jobs = DLIST_STATIC_INIT(large_jobs);
static WtJson json;		 /* the parser's memory, kept between events */
static int64 turn_clock; /* wt_monotonic_ms, as of this turn or its storing */

static double
decoding_ms(const Turn *turn)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, turn->begun);
	return INSTR_TIME_GET_MILLISEC(now);
}

static bool
turn_is_full(const Turn *turn)
{
	return turn->n_jobs >= MAX_TURN_JOBS || turn->n_rows >= MAX_TURN_ROWS ||
		   turn->bytes >= MAX_TURN_BYTES;
}

/* How long a job may still take, ms. */
static int
time_left(const WtJob *job)
{
	/* What is stored in part goes on: to break it off would be of use to nobody. */
	if (job->request->is_messages || job->request->route != WT_ROUTE_EVENTS ||
		job->n_accepted + job->n_rejected > 0)
		return LONGEST_WAIT;
	return LONGEST_WAIT - (int) Min(turn_clock - job->request->waits_since, LONGEST_WAIT);
}

/* Answers a job for which it is too late to be stored; false: it is not. */
static bool
refuse_if_late(WtJob *job)
{
	if (time_left(job) >= LEAST_STORING)
		return false;
	if (job->status == 0)
		wt_job_refuse(job, 503, WT_REASON_OVERLOAD,
					  "too many events are waiting to be stored, try again");
	return true;
}

/*
 * Whether a request may have so many events; where not, its answer is known.  What comes in
 * pieces may have any number.
 */
static bool
check_count(WtJob *job, int64 n_events)
{
	if (n_events <= wt_max_batch_events || wt_job_is_piece(job->request) ||
		job->request->is_messages)
		return true;
	wt_job_refuse(
		job, 413, WT_REASON_BODY_TOO_LARGE,
		psprintf("the request holds more than windtrap.max_batch_events, %d events",
				 wt_max_batch_events));
	return false;
}

static bool
piece_is_full(const WtJob *job)
{
	return job->n_events >= MAX_TURN_ROWS || job->bytes >= MAX_TURN_BYTES;
}

/* Decodes a job, as much of it as this turn has room for. */
static void
decode_job(WtJob *job, Turn *turn)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);

	if (job->begun || wt_job_open_body(job))
	{
		MemoryContextSwitchTo(job->piece);
		while (wt_job_decode_event(job, &json))
		{
			if (piece_is_full(job) || !check_count(job, job->n_decoded))
				break;
			/* The clock costs less than an event, but not nothing. */
			if ((job->n_decoded % 16 == 0 || job->bytes > SMALL_BODY) &&
				decoding_ms(turn) >= MAX_TURN_DECODING)
				break;
		}
	}
	MemoryContextSwitchTo(old);
}

/*
 * A turn
 */

static void
take_job(Turn *turn, WtJob *job)
{
	if (!job->taken)
		turn->jobs[turn->n_jobs++] = job;
	job->taken = true;
	turn->n_rows += job->n_events;
	turn->bytes += job->bytes;
}

static WtJob *
large_job_of(dlist_node *node)
{
	return dlist_container(WtJob, node, node);
}

/*
 * Queues a large job behind the last one of its kind, request or messages, and one of the other:
 * where there are many of one kind those of the other take turns with them.
 */
static void
queue_large_job(WtJob *job)
{
	bool is_messages = job->request->is_messages;
	dlist_node *at;

	if (dlist_is_empty(&large_jobs))
	{
		dlist_push_tail(&large_jobs, &job->node);
		return;
	}
	at = dlist_tail_node(&large_jobs);
	while (large_job_of(at)->request->is_messages != is_messages &&
		   dlist_has_prev(&large_jobs, at))
		at = dlist_prev_node(&large_jobs, at);
	if (large_job_of(at)->request->is_messages == is_messages &&
		dlist_has_next(&large_jobs, at))
		at = dlist_next_node(&large_jobs, at);
	dlist_insert_after(at, &job->node);
}

/*
 * Makes a job of the next request.  From here on there is a job to be answered for it,
 * whatever is raised.
 */
static WtJob *
new_job(const WtSenders *senders, Turn *turn, const WtRequest *request)
{
	bool large =
		request->body_length > SMALL_BODY ||
		(!request->is_messages && wt_is_compressed(request->content_encoding,
												   request->body, request->body_length));
	MemoryContext context = small_context;
	WtJob *job;

	if (large)
		context = AllocSetContextCreate(TopMemoryContext, "windtrap job",
										ALLOCSET_DEFAULT_SIZES);
	job = MemoryContextAllocZero(context, sizeof(WtJob));
	job->context = context;
	job->piece = context;
	if (large)
		job->piece =
			AllocSetContextCreate(context, "windtrap piece", ALLOCSET_DEFAULT_SIZES);
	job->request = request->is_messages ? wt_daemons_next(senders->daemons)
										: wt_listener_next(senders->listener);
	if (wt_job_is_piece(request))
		wt_job_take_progress(job);
	if (large)
	{
		job->queued = true;
		queue_large_job(job);
	}
	else
		take_job(turn, job);
	return job;
}

/* The next request of the one, or, where it has none, of the other: they take turns. */
static const WtRequest *
next_request(const WtSenders *senders, bool of_daemons)
{
	const WtRequest *request = of_daemons ? wt_daemons_peek(senders->daemons)
										  : wt_listener_peek(senders->listener);

	if (request)
		return request;
	return of_daemons ? wt_listener_peek(senders->listener)
					  : wt_daemons_peek(senders->daemons);
}

/* Takes what has arrived: small jobs into this turn, large ones into their queue. */
static void
take_requests(const WtSenders *senders, Turn *turn)
{
	const WtRequest *request;
	bool of_daemons = false;

	while (!turn_is_full(turn) && (request = next_request(senders, of_daemons)) != NULL)
	{
		WtJob *job = new_job(senders, turn, request);

		of_daemons = !job->request->is_messages;
		if (job->queued)
			continue;
		(void) refuse_if_late(job);
		/* A body of many tiny events may be small and not done yet: go on with it. */
		while (!job->decoded)
			decode_job(job, turn);
		take_job(turn, job);
	}
}

/*
 * Looks ahead before the first piece of a job is stored: a body that is refused as a whole,
 * as an array is that is not JSON, must not be found so when part of it is stored.  Lines
 * are never refused as a whole.
 */
static void
check_job(WtJob *job, Turn *turn)
{
	if (job->checked)
		return;
	if (!job->checking)
	{
		job->check = job->decoder;
		job->n_checked = job->n_decoded;
	}
	job->checking = true;
	if (job->check.form == WT_FORM_LINES)
	{
		const char *p = job->check.next;

		while (p < job->check.end && (p = memchr(p, job->check.separator,
												 (size_t) (job->check.end - p))) != NULL)
		{
			p++;
			job->n_checked++;
		}
		(void) check_count(job, job->n_checked);
	}
	while (job->check.form != WT_FORM_LINES)
	{
		switch (wt_decode_next(&job->check, &json))
		{
			case WT_DECODE_EVENT:
			case WT_DECODE_BAD:
				if (!check_count(job, ++job->n_checked))
					return;
				if (decoding_ms(turn) >= MAX_TURN_DECODING)
					return;
				continue;
			case WT_DECODE_REFUSED:
				wt_job_refuse(job, job->check.status, job->check.reason,
							  job->check.error);
				return;
			case WT_DECODE_OUT_OF_MEMORY:
				wt_job_refuse(job, 503, WT_REASON_MEMORY, "out of memory, try again");
				return;
			case WT_DECODE_END:
			case WT_DECODE_MORE:
				break;
		}
		break;
	}
	job->checked = true;
}

/* Goes on with the large jobs, in the order of their arrival. */
static void
take_large_jobs(Turn *turn)
{
	dlist_mutable_iter iter;

	/* Those for which it is too late do not wait for the ones before them. */
	dlist_foreach_modify(iter, &large_jobs)
	{
		WtJob *job = dlist_container(WtJob, node, iter.cur);

		if (turn_is_full(turn))
			break;
		if (refuse_if_late(job))
			take_job(turn, job);
	}
	dlist_foreach_modify(iter, &large_jobs)
	{
		WtJob *job = dlist_container(WtJob, node, iter.cur);

		if (turn_is_full(turn))
			break;
		if (job->taken)
			continue;
		if (!piece_is_full(job))
			decode_job(job, turn);
		/* One that is too long for one transaction is stored in pieces. */
		if (piece_is_full(job) && !job->decoded)
			check_job(job, turn);
		if (job->decoded || (piece_is_full(job) && job->checked))
			take_job(turn, job);
		if (!job->decoded || decoding_ms(turn) >= MAX_TURN_DECODING)
			break;
	}
}

/*
 * For wt_store_rows: lets the listener answer what needs no storing, and goes on with the lines
 * of the batch before.  In the transaction no tokens can be read, so where they have changed
 * nobody is let in, or turned away, until it is over.
 */
void
wt_batch_attend(void *arg)
{
	const WtSenders *senders = arg;

	if (senders->listener)
	{
		if (!wt_tokens_are_stale())
			wt_listener_run(senders->listener);
		wt_daemons_run(senders->daemons);
	}
	wt_stdout_flush();
}

static void
refuse_late_ones(Turn *turn)
{
	turn->n_rows = 0;
	for (int i = 0; i < turn->n_jobs; i++)
		if (turn->jobs[i]->n_events > 0 && !refuse_if_late(turn->jobs[i]))
			turn->n_rows += turn->jobs[i]->n_events;
}

/* What storing may take, ms, so that nobody waits too long, nor those behind. */
static int
time_to_store(const WtListener *listener, const Turn *turn, int timeout)
{
	dlist_iter iter;

	for (int i = 0; i < turn->n_jobs; i++)
		if (turn->jobs[i]->n_events > 0)
			timeout = Min(timeout, time_left(turn->jobs[i]));
	dlist_foreach(iter, &large_jobs)
	{
		const WtJob *job = dlist_container(WtJob, node, iter.cur);

		timeout = Min(timeout, time_left(job));
	}
	timeout = Min(timeout, LONGEST_WAIT - (int) Min(wt_listener_longest_wait(listener),
													LONGEST_WAIT));
	return Max(timeout, LEAST_STORING);
}

static void
store_turn(const WtSenders *senders, Turn *turn, int timeout,
		   const volatile sig_atomic_t *stopping)
{
	WtRow **rows = palloc(sizeof(WtRow *) * (Size) Max(turn->n_rows, 1));
	WtStoreCallbacks callbacks = {.quarantine = wt_job_quarantine_row,
								  .breathe = wt_batch_attend,
								  .arg = (void *) senders};
	int n = 0;

	for (int i = 0; i < turn->n_jobs; i++)
		for (int k = 0; k < turn->jobs[i]->n_events; k++)
			rows[n++] = &turn->jobs[i]->events[k]->row;
	if (n == 0)
		return;
	wt_store_rows(rows, n, &callbacks, time_to_store(senders->listener, turn, timeout));
	if (*stopping && wt_store_failure())
	{
		turn_clock = wt_monotonic_ms();
		/* SIGTERM cancels a transaction that may have been about to end: one more try. */
		for (int i = 0; i < n; i++)
			if (rows[i]->result == WT_STORE_CANCELLED)
				rows[i]->result = WT_STORE_PENDING;
		wt_store_rows(rows, n, &callbacks,
					  time_to_store(senders->listener, turn, RETRY_TIMEOUT));
	}
	wt_stdout_write(rows, n);
}

static void
end_job(const WtSenders *senders, WtJob *job)
{
	WtListener *listener = senders->listener;

	if (job->request->is_messages)
		wt_daemons_done(senders->daemons, job->request, job->status == 0);
	else if (job->request->more && job->status == 0)
	{
		wt_job_keep_progress(job);
		wt_listener_continue(listener, job->request, job->used);
	}
	else
		wt_job_answer(listener, job);
	wt_inflate_shrink(&job->inflated, 0);
	wt_inflate_shrink(&job->converted, 0);
	if (job->queued)
		dlist_delete(&job->node);
	if (job->context != small_context)
		MemoryContextDelete(job->context);
}

void
wt_batch_report(const char *reason)
{
	if (!wt_condition_set(WT_CONDITION_STORE, reason))
		return;
	if (reason)
		ereport(LOG, (errmsg("windtrap: could not store events: %s", reason)));
	else
		ereport(LOG, (errmsg("windtrap: storing events again")));
}

static void
run_turn(const WtSenders *senders, Turn *turn, const char *unavailable, int timeout,
		 const volatile sig_atomic_t *stopping)
{
	INSTR_TIME_SET_CURRENT(turn->begun);
	json.repair = wt_repair;
	turn_clock = wt_monotonic_ms();
	take_requests(senders, turn);
	take_large_jobs(turn);
	turn_clock = wt_monotonic_ms();
	refuse_late_ones(turn);
	if (unavailable)
	{
		for (int i = 0; i < turn->n_jobs; i++)
			if (turn->jobs[i]->request->route == WT_ROUTE_EVENTS)
				wt_job_refuse(turn->jobs[i], 503, WT_REASON_UNAVAILABLE, unavailable);
	}
	else if (turn->n_rows > 0)
	{
		store_turn(senders, turn, timeout, stopping);
		wt_batch_report(wt_store_failure());
	}
}

static void
fail_job(WtJob *job)
{
	job->status = 503;
	job->reason = WT_REASON_MEMORY;
	job->message = "the event could not be stored, try again";
	job->decoded = true;
	job->n_events = 0;
}

/* Something was raised where nothing should be: memory ran out, most likely. */
static void
fail_turn(const WtSenders *senders, Turn *turn)
{
	dlist_mutable_iter iter;

	MemoryContextSwitchTo(turn_context);
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(turn_context);

	/* Whoever was being worked on is not known: nobody is left without an answer. */
	for (int i = 0; i < turn->n_jobs; i++)
		fail_job(turn->jobs[i]);
	dlist_foreach_modify(iter, &large_jobs)
	{
		WtJob *job = dlist_container(WtJob, node, iter.cur);

		if (job->taken)
			continue;
		fail_job(job);
		end_job(senders, job);
	}
}

void
wt_batch_prepare(int timeout)
{
	wt_store_prepare(timeout);
	wt_batch_report(wt_store_failure());
}

bool
wt_batch_is_pending(void)
{
	return !dlist_is_empty(&large_jobs);
}

bool
wt_batch_process(const WtSenders *senders, const char *unavailable, int timeout,
				 const volatile sig_atomic_t *stopping)
{
	MemoryContext old = CurrentMemoryContext;
	Turn turn = {0};

	if (!next_request(senders, false) && !wt_batch_is_pending())
		return false;
	if (!turn_context)
	{
		turn_context = AllocSetContextCreate(TopMemoryContext, "windtrap turn", 0,
											 KEPT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
		small_context = AllocSetContextCreate(TopMemoryContext, "windtrap small jobs", 0,
											  KEPT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
	}
	MemoryContextSwitchTo(turn_context);
	turn.jobs = palloc(sizeof(WtJob *) * (MAX_TURN_JOBS + 1));
	PG_TRY();
	{
		run_turn(senders, &turn, unavailable, timeout, stopping);
	}
	PG_CATCH();
	{
		fail_turn(senders, &turn);
	}
	PG_END_TRY();

	for (int i = 0; i < turn.n_jobs; i++)
	{
		WtJob *job = turn.jobs[i];

		job->taken = false;
		wt_job_count_events(job);
		/* What may go on and on does not, from its last committed piece on. */
		if (job->decoded && job->request->more && *stopping && job->status == 0)
			wt_job_refuse(job, 503, WT_REASON_UNAVAILABLE,
						  "the collector is stopping, try again");
		if (job->decoded)
			end_job(senders, job);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(small_context);
	MemoryContextReset(turn_context);
	return true;
}

void
wt_batch_abandon(const WtSenders *senders)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &large_jobs)
	{
		WtJob *job = dlist_container(WtJob, node, iter.cur);

		fail_job(job);
		job->reason = WT_REASON_UNAVAILABLE;
		job->message = "the collector is stopping, try again";
		end_job(senders, job);
	}
}

void
wt_batch_shrink(size_t keep)
{
	wt_json_shrink(&json, keep);
}
