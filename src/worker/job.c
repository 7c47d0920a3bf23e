/*
 * job.c
 *		What is known of a job: how far it is, what has become of its events, and why it is
 *		refused where it is.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "worker/job.h"
#include "base/shared.h"

bool
wt_job_is_piece(const WtRequest *request)
{
	return request->more || request->progress.n_pieces > 0;
}

void
wt_job_refuse(WtJob *job, int status, WtReason reason, const char *message)
{
	job->status = status;
	job->reason = reason;
	job->message = MemoryContextStrdup(job->context, message);
	job->decoded = true;
	job->n_events = 0;
}

void
wt_job_list_error(WtJob *job, int64 index, WtReason reason, const char *message)
{
	if (job->decoder.batch)
		wt_my_counters()->events_refused[reason]++;
	else
		job->reason = reason;
	if (job->n_listed == WT_MAX_LISTED)
		return;
	job->listed[job->n_listed].index = index;
	job->listed[job->n_listed].message = MemoryContextStrdup(job->context, message);
	job->n_listed++;
}

void
wt_job_take_progress(WtJob *job)
{
	const WtProgress *progress = &job->request->progress;

	job->n_decoded = progress->n_events;
	job->n_accepted = progress->n_accepted;
	job->n_rejected = progress->n_rejected;
	job->n_refused = progress->n_refused;
	job->n_duplicates = progress->n_duplicates;
	if (progress->first_error[0] == '\0')
		return;
	job->listed[0].message = progress->first_error;
	job->n_listed = 1;
}

void
wt_job_keep_progress(const WtJob *job)
{
	WtProgress *progress = &job->request->progress;

	progress->n_pieces++;
	progress->n_events = job->n_decoded;
	progress->n_accepted = job->n_accepted;
	progress->n_rejected = job->n_rejected;
	progress->n_refused = job->n_refused;
	progress->n_duplicates = job->n_duplicates;
	if (job->n_listed > 0 && progress->first_error[0] == '\0')
	{
		const char *message = job->listed[0].message;
		int length = pg_mbcliplen(message, (int) strlen(message),
								  sizeof(progress->first_error) - 1);

		strlcpy(progress->first_error, message, (size_t) length + 1);
	}
}

void
wt_job_count_events(WtJob *job)
{
	WtCounters *counters = wt_my_counters();

	for (int i = 0; i < job->n_events; i++)
	{
		const WtJobEvent *event = job->events[i];

		switch (event->row.result)
		{
			case WT_STORE_COMMITTED:
				if (event->quarantined)
				{
					counters->events_quarantined++;
					job->n_rejected++;
				}
				else
				{
					counters->events_accepted++;
					job->n_accepted++;
				}
				break;
			case WT_STORE_QUARANTINED:
				counters->events_quarantined++;
				job->n_rejected++;
				break;
			case WT_STORE_DUPLICATE:
				counters->duplicates++;
				job->n_duplicates++;
				if (event->quarantined)
					job->n_rejected++;
				else
					job->n_accepted++;
				break;
			case WT_STORE_CONFLICT:
				wt_job_refuse(job, 422, WT_REASON_KEY,
							  "this Idempotency-Key came with another body before: use "
							  "another key");
				break;
			case WT_STORE_REFUSED:
				job->n_rejected++;
				job->n_refused++;
				if (job->request->refused)
					job->request->refused[event->row.index] = 1;
				if (!event->quarantined)
					wt_job_list_error(job, event->row.index, WT_REASON_TABLE,
									  psprintf("the log table refuses this event: %s",
											   event->row.error));
				break;
			default:
				/* Whatever else became of the job: this much is not stored. */
				job->status = 503;
				job->reason = WT_REASON_UNAVAILABLE;
				job->message = MemoryContextStrdup(
					job->context,
					psprintf("the events could not be stored, try again: %s",
							 event->row.error ? event->row.error
											  : "they were not tried"));
				job->decoded = true;
				break;
		}
		if (job->status == 503)
			break;
	}
	if (job->keyed && job->n_events > 0 && job->status == 0)
	{
		job->keyed->stored = job->keyed->next_stored;
		job->keyed->rejected = job->keyed->next_rejected;
		/* Of what was stored before only their number is known. */
		if (job->n_duplicates > 0)
		{
			job->n_rejected = job->keyed->rejected;
			job->n_accepted = job->n_decoded - job->n_rejected;
		}
	}
	job->n_events = 0;
	job->bytes = 0;
	if (job->piece != job->context)
	{
		job->events = NULL;
		job->max_events = 0;
		MemoryContextReset(job->piece);
	}
}
