/*
 * job_events.c
 *		The events of a job: decoded, enriched, and what stands in for those that cannot be
 *		stored.
 */
#include "postgres.h"

#include "worker/job_events.h"
#include "base/settings.h"
#include "base/shared.h"
#include "event/decode.h"
#include "event/own_time.h"
#include "store/idempotency.h"

static WtJobEvent *
add_event(WtJob *job)
{
	WtJobEvent *event = palloc0(sizeof(WtJobEvent));

	if (job->n_events == job->max_events)
	{
		job->max_events = job->max_events ? job->max_events * 2 : 1;
		if (job->events)
			job->events =
				repalloc_huge(job->events, sizeof(WtJobEvent *) * (Size) job->max_events);
		else
			job->events = palloc(sizeof(WtJobEvent *) * (Size) job->max_events);
	}
	job->events[job->n_events++] = event;
	event->job = job;
	event->row.index = (uint32) job->n_decoded++;
	event->raw = job->decoder.raw;
	event->raw_length = (uint32) job->decoder.raw_length;
	event->row.event_timestamp = wt_enrich_time(job->envelope, &job->decoder.decoded);
	event->row.status = job->decoder.decoded.status;
	event->row.group = job;
	event->row.request = job->keyed;
	if (job->decoder.decoded.key && wt_idempotency_is_on())
	{
		event->row.has_key = true;
		event->row.key =
			wt_idempotency_key(job->request->source, job->request->endpoint->name,
							   job->decoder.decoded.key, job->decoder.decoded.key_length);
	}
	return event;
}

/* Makes an event's row a stand-in for it. */
static void
make_stand_in(WtJobEvent *event, WtReason reason, const char *error)
{
	MemoryContext old = MemoryContextSwitchTo(event->job->piece);

	event->row.data = wt_enrich_quarantined(event->job->envelope, event->row.data, error,
											event->raw, event->raw_length);
	event->row.status = 422;
	event->quarantined = true;
	wt_job_list_error(event->job, event->row.index, reason, error);
	MemoryContextSwitchTo(old);
}

/*
 * What stands in for a form or a text has the JSON that was made of it as its raw, so that
 * it can be parsed again.
 */
static void
set_raw_from_data(WtJobEvent *event)
{
	JsonbValue value;
	Jsonb *json_of_event;

	if (!getKeyJsonValueFromContainer(&event->row.data->root, "json", 4, &value))
		return;
	json_of_event = JsonbValueToJsonb(&value);
	event->raw = JsonbToCString(NULL, &json_of_event->root, VARSIZE(json_of_event));
	event->raw_length = (uint32) strlen(event->raw);
}

bool
wt_job_quarantine_row(WtRow *row)
{
	WtJobEvent *event = (WtJobEvent *) row;

	if (event->quarantined || !(event->job->decoder.batch || wt_quarantine_single))
		return false;
	if (!event->job->decoder.is_json)
		set_raw_from_data(event);
	make_stand_in(event, WT_REASON_TABLE,
				  psprintf("the log table refuses this event: %s", row->error));
	return true;
}

/* Takes over what surrounds a protocol's event. */
static void
take_context(WtJob *job, WtJson *json)
{
	MemoryContext old;

	if (!job->request->endpoint)
		return;
	old = MemoryContextSwitchTo(job->context);
	wt_enrich_context(job->envelope, json, &job->decoder.decoded);
	MemoryContextSwitchTo(old);
}

bool
wt_job_decode_event(WtJob *job, WtJson *json)
{
	WtDecoder *decoder = &job->decoder;
	WtDecodeResult result = wt_decode_next(decoder, json);
	WtJobEvent *event;

	if (result == WT_DECODE_EVENT || result == WT_DECODE_BAD)
		take_context(job, json);
	if (result == WT_DECODE_EVENT && job->time_field[0] != '\0')
		wt_decode_time_field(decoder, json, job->time_field);
	switch (result)
	{
		case WT_DECODE_EVENT:
			if (decoder->decoded.is_here)
			{
				job->n_decoded++;
				job->n_accepted++;
				job->n_duplicates++;
				wt_my_counters()->duplicates++;
				return true;
			}
			event = add_event(job);
			event->row.data = wt_enrich_event(job->envelope, json, &decoder->decoded);
			job->bytes += VARSIZE(event->row.data);
			return true;
		case WT_DECODE_BAD:
			if (!decoder->batch && !wt_quarantine_single)
			{
				wt_job_refuse(job, decoder->status, decoder->reason, decoder->error);
				return false;
			}
			event = add_event(job);
			make_stand_in(event, decoder->reason, decoder->error);
			job->bytes += VARSIZE(event->row.data);
			return true;
		case WT_DECODE_END:
			job->used = decoder->length;
			job->decoded = true;
			return false;
		case WT_DECODE_MORE:
			job->used = (size_t) (decoder->next - decoder->body);
			job->decoded = true;
			return false;
		case WT_DECODE_REFUSED:
			wt_job_refuse(job, decoder->status, decoder->reason, decoder->error);
			return false;
		case WT_DECODE_OUT_OF_MEMORY:
			wt_job_refuse(job, 503, WT_REASON_MEMORY, "out of memory, try again");
			return false;
	}
	return false;
}
