/*
 * batch.c
 *		Requests → answers: takes what is complete through all the stages at once.
 *
 * Words:
 *	job			a request on its way through the stages
 *	turn		one call of wt_batch_process: a slice of decoding, and one transaction
 *	small job	one that is decoded at once
 *	large job	one that may take several turns to decode, in the order of arrival; small
 *				ones pass it
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
#include "mb/pg_wchar.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "http/answer.h"
#include "worker/batch.h"
#include "worker/condition.h"
#include "event/charset.h"
#include "event/decode.h"
#include "event/enrich.h"
#include "event/inflate.h"
#include "protocol/protocol.h"
#include "views/metrics.h"
#include "base/settings.h"
#include "base/shared.h"
#include "output/stdout.h"
#include "store/idempotency.h"
#include "store/store.h"
#include "worker/tokens.h"

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
#define LONGEST_WAIT 4000
#define LEAST_STORING 500

/* The second try of a batch when the worker is stopping, ms. */
#define RETRY_TIMEOUT 2000

/* Of the path in ?time_field=…, bytes. */
#define TIME_FIELD_SIZE 128

/* Errors that are listed in an answer. */
#define MAX_LISTED 10

/* What contexts keep from turn to turn, bytes. */
#define KEPT_MEMORY (256 * 1024)

typedef struct Job Job;

/* An event that has been decoded. */
typedef struct Event
{
	WtRow row; /* must be first */
	Job *job;
	const char *raw; /* as it was sent; in the body */
	uint32 raw_length;
	bool quarantined; /* row is a stand-in: the event could not be decoded, or stored */
} Event;

typedef struct ListedError
{
	int64 index;
	const char *message;
} ListedError;

struct Job
{
	dlist_node node; /* among the large ones */
	MemoryContext context;
	MemoryContext piece; /* of the events that are not committed yet */
	WtRequest *request;
	WtEnvelope *envelope;
	WtDecoder decoder;
	WtInflated inflated;
	WtInflated converted;  /* to UTF-8 */
	WtKeyedRequest *keyed; /* NULL: it came without a key */
	Event **events;		   /* those that are not committed yet */
	int n_events;
	int max_events;
	size_t bytes; /* of their data */
	size_t used;  /* of the body, bytes: what is behind it waits for the next piece */
	int64 n_decoded;
	int64 n_accepted;
	int64 n_rejected;
	int64 n_refused; /* of these: they are not in quarantine either */
	int64
		n_duplicates; /* of the accepted and the rejected: they had been there already */
	ListedError listed[MAX_LISTED];
	int n_listed;
	bool queued; /* in large_jobs */
	bool taken;	 /* in this turn's jobs */
	bool begun;
	WtDecoder check; /* looks ahead, see check_job */
	bool checking;
	bool checked; /* it is well-formed to its end, and not too long */
	int64 n_checked;
	bool decoded;					  /* all of it */
	char time_field[TIME_FIELD_SIZE]; /* the path to each event's own time; "": none */
	int status; /* of the answer, where that is known already; 0: it is not */
	WtReason reason;
	const char *message;
};

/* What has been taken in this turn. */
typedef struct Turn
{
	Job **jobs; /* whose events are to be stored, or whose answer is known */
	int n_jobs;
	int n_rows;
	size_t bytes;
	instr_time begun;
} Turn;

static MemoryContext turn_context;
static MemoryContext small_context; /* of all small jobs of a turn */
static dlist_head large_jobs = DLIST_STATIC_INIT(large_jobs);
static WtJson json;		 /* the parser's memory, kept between events */
static int64 turn_clock; /* wt_listener_clock, as of this turn or its storing */

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

/* Whether there are pieces of its body before or behind this one. */
static bool
is_piece(const WtRequest *request)
{
	return request->more || request->progress.n_pieces > 0;
}

static void
set_answer(Job *job, int status, WtReason reason, const char *message)
{
	job->status = status;
	job->reason = reason;
	job->message = MemoryContextStrdup(job->context, message);
	job->decoded = true;
	job->n_events = 0;
}

/* How long a job may still take, ms. */
static int
time_left(const Job *job)
{
	/* What is stored in part goes on: to break it off would be of use to nobody. */
	if (job->request->route != WT_ROUTE_EVENTS || job->n_accepted + job->n_rejected > 0)
		return LONGEST_WAIT;
	return LONGEST_WAIT - (int) Min(turn_clock - job->request->waits_since, LONGEST_WAIT);
}

/* Answers a job for which it is too late to be stored; false: it is not. */
static bool
refuse_if_late(Job *job)
{
	if (time_left(job) >= LEAST_STORING)
		return false;
	if (job->status == 0)
		set_answer(job, 503, WT_REASON_OVERLOAD,
				   "too many events are waiting to be stored, try again");
	return true;
}

/*
 * Decode and enrich
 */

static Event *
add_event(Job *job)
{
	Event *event = palloc0(sizeof(Event));

	if (job->n_events == job->max_events)
	{
		job->max_events = job->max_events ? job->max_events * 2 : 1;
		if (job->events)
			job->events =
				repalloc_huge(job->events, sizeof(Event *) * (Size) job->max_events);
		else
			job->events = palloc(sizeof(Event *) * (Size) job->max_events);
	}
	job->events[job->n_events++] = event;
	event->job = job;
	event->row.index = (uint32) job->n_decoded++;
	event->raw = job->decoder.raw;
	event->raw_length = (uint32) job->decoder.raw_length;
	event->row.event_timestamp = wt_enrich_time(job->envelope, &job->decoder.decoded);
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

/* Notes an error of an event for the answer, and counts it. */
static void
list_error(Job *job, int64 index, WtReason reason, const char *message)
{
	if (job->decoder.batch)
		wt_my_counters()->events_refused[reason]++;
	else
		job->reason = reason;
	if (job->n_listed == MAX_LISTED)
		return;
	job->listed[job->n_listed].index = index;
	job->listed[job->n_listed].message = MemoryContextStrdup(job->context, message);
	job->n_listed++;
}

/* Makes an event's row a stand-in for it. */
static void
make_stand_in(Event *event, WtReason reason, const char *error)
{
	MemoryContext old = MemoryContextSwitchTo(event->job->piece);

	event->row.data = wt_enrich_quarantined(event->job->envelope, event->row.data, error,
											event->raw, event->raw_length);
	event->row.status = 422;
	event->quarantined = true;
	list_error(event->job, event->row.index, reason, error);
	MemoryContextSwitchTo(old);
}

/*
 * What stands in for a form or a text has the JSON that was made of it as its raw, so that
 * it can be parsed again.
 */
static void
set_raw_from_data(Event *event)
{
	JsonbValue value;
	Jsonb *json_of_event;

	if (!getKeyJsonValueFromContainer(&event->row.data->root, "json", 4, &value))
		return;
	json_of_event = JsonbValueToJsonb(&value);
	event->raw = JsonbToCString(NULL, &json_of_event->root, VARSIZE(json_of_event));
	event->raw_length = (uint32) strlen(event->raw);
}

/* For wt_store_rows: the table refuses this row. */
static bool
quarantine_row(WtRow *row)
{
	Event *event = (Event *) row;

	if (event->quarantined || !(event->job->decoder.batch || wt_quarantine_single))
		return false;
	if (!event->job->decoder.is_json)
		set_raw_from_data(event);
	make_stand_in(event, WT_REASON_TABLE,
				  psprintf("the log table refuses this event: %s", row->error));
	return true;
}

/* Converts the body to UTF-8, where it has to be; false: the answer is known. */
static bool
convert_body(Job *job)
{
	WtDecoder *decoder = &job->decoder;

	switch (wt_charset_convert(decoder->content_type, decoder->body, decoder->length,
							   (size_t) wt_max_body_size, &job->converted))
	{
		case WT_CHARSET_UTF8:
			return true;
		case WT_CHARSET_OK:
			decoder->body = job->converted.data;
			decoder->length = job->converted.length;
			return true;
		case WT_CHARSET_UNKNOWN:
			set_answer(job, 415, WT_REASON_ENCODING,
					   "the charset of this Content-Type is not known: send UTF-8");
			return false;
		case WT_CHARSET_TOO_LARGE:
			set_answer(
				job, 413, WT_REASON_BODY_TOO_LARGE,
				psprintf("in UTF-8 the body is larger than windtrap.max_body_size, %d "
						 "bytes",
						 wt_max_body_size));
			return false;
		case WT_CHARSET_OUT_OF_MEMORY:
			set_answer(job, 503, WT_REASON_MEMORY, "out of memory, try again");
			return false;
	}
	return false;
}

/* Takes what has come out of a compressed body; false: the answer is known. */
static bool
take_inflated(Job *job, WtInflateResult result, const WtInflated *inflated)
{
	switch (result)
	{
		case WT_INFLATE_PLAIN:
			return true;
		case WT_INFLATE_OK:
			job->decoder.body = inflated->data;
			job->decoder.length = inflated->length;
			return true;
		case WT_INFLATE_UNSUPPORTED:
			set_answer(
				job, 415, WT_REASON_ENCODING,
				"this Content-Encoding is not supported: send gzip, deflate, zstd, "
				"snappy, or the body as it is");
			return false;
		case WT_INFLATE_CORRUPT:
			set_answer(job, 400, WT_REASON_CORRUPT,
					   "the compressed body is corrupt or not complete");
			return false;
		case WT_INFLATE_TOO_LARGE:
			set_answer(
				job, 413, WT_REASON_BODY_TOO_LARGE,
				psprintf("the inflated body is larger than windtrap.max_body_size, %d "
						 "bytes",
						 wt_max_body_size));
			return false;
		case WT_INFLATE_OUT_OF_MEMORY:
			set_answer(job, 503, WT_REASON_MEMORY, "out of memory, try again");
			return false;
	}
	return false;
}

/* Undoes what packing the request's protocol has of its own; false: the answer is known. */
static bool
unpack_body(Job *job)
{
	const WtProtocol *protocol = wt_protocol_of(job->request);

	job->decoder.protocol = protocol->next;
	if (!protocol->unpack)
		return true;
	return take_inflated(job,
						 protocol->unpack(job->request, job->decoder.body,
										  job->decoder.length, (size_t) wt_max_body_size,
										  &job->converted),
						 &job->converted);
}

/* Looks for a key of the request's; false: the answer is known. */
static bool
take_key(Job *job)
{
	const WtRequest *request = job->request;
	const char *key =
		wt_header_find(request->headers, request->n_headers, "Idempotency-Key");
	size_t length = key ? strlen(key) : 0;

	if (!key || !wt_idempotency_is_on())
		return true;
	if (length == 0 || length > WT_MAX_KEY)
	{
		set_answer(job, 400, WT_REASON_KEY,
				   psprintf("Idempotency-Key has %zu bytes: it must have 1 to %d", length,
							WT_MAX_KEY));
		return false;
	}
	job->keyed = palloc0(sizeof(WtKeyedRequest));
	job->keyed->key = wt_idempotency_key(request->source, NULL, key, length);
	job->keyed->fingerprint = wt_idempotency_fingerprint(
		request->content_type, job->decoder.body, job->decoder.length);
	return true;
}

/* Inflates and converts the body, where it has to be; false: the answer is known. */
static bool
begin_job(Job *job)
{
	const WtRequest *request = job->request;
	WtDecoder *decoder = &job->decoder;
	WtInflateResult inflated;

	job->begun = true;
	if (request->route != WT_ROUTE_EVENTS)
	{
		job->decoded = true;
		return false;
	}
	decoder->content_type = request->content_type;
	decoder->body = request->body;
	decoder->length = request->body_length;
	decoder->max_event_size = (size_t) wt_max_event_size;
	decoder->request = request;
	decoder->more = request->more;
	inflated = WT_INFLATE_PLAIN;
	if (!is_piece(request))
		inflated =
			wt_inflate(request->content_encoding, request->body, request->body_length,
					   (size_t) wt_max_body_size, &job->inflated);
	else if (request->progress.n_pieces == 0 &&
			 wt_is_compressed(NULL, request->body, request->body_length))
	{
		/* It seems to be, as a whole, and cannot be inflated in pieces. */
		set_answer(job, 415, WT_REASON_ENCODING,
				   "the body seems to be compressed: say so in Content-Encoding");
		return false;
	}
	/* What a protocol packs in its own way may begin as gzip or zlib by chance. */
	if (request->endpoint && wt_protocol_of(request)->unpack &&
		inflated == WT_INFLATE_CORRUPT && !request->content_encoding)
		inflated = WT_INFLATE_PLAIN;
	if (!take_inflated(job, inflated, &job->inflated))
		return false;
	if (request->endpoint)
	{
		if (!unpack_body(job))
			return false;
	}
	else if (!convert_body(job) || !take_key(job))
		return false;
	if (!request->endpoint && request->query)
		(void) wt_query_value(request, "time_field", job->time_field,
							  sizeof(job->time_field));
	wt_my_counters()->bytes_decoded += decoder->length;
	job->envelope = wt_enrich_request(request);
	return true;
}

/* Takes over what surrounds a protocol's event. */
static void
take_context(Job *job)
{
	MemoryContext old;

	if (!job->request->endpoint)
		return;
	old = MemoryContextSwitchTo(job->context);
	wt_enrich_context(job->envelope, &json, &job->decoder.decoded);
	MemoryContextSwitchTo(old);
}

/* Decodes the next event of a job; false where there is none. */
static bool
decode_event(Job *job)
{
	WtDecoder *decoder = &job->decoder;
	WtDecodeResult result = wt_decode_next(decoder, &json);
	Event *event;

	if (result == WT_DECODE_EVENT || result == WT_DECODE_BAD)
		take_context(job);
	if (result == WT_DECODE_EVENT && job->time_field[0] != '\0')
		wt_decode_time_field(decoder, &json, job->time_field);
	switch (result)
	{
		case WT_DECODE_EVENT:
			event = add_event(job);
			event->row.data = wt_enrich_event(job->envelope, &json, &decoder->decoded);
			job->bytes += VARSIZE(event->row.data);
			return true;
		case WT_DECODE_BAD:
			if (!decoder->batch && !wt_quarantine_single)
			{
				set_answer(job, decoder->status, decoder->reason, decoder->error);
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
			set_answer(job, decoder->status, decoder->reason, decoder->error);
			return false;
		case WT_DECODE_OUT_OF_MEMORY:
			set_answer(job, 503, WT_REASON_MEMORY, "out of memory, try again");
			return false;
	}
	return false;
}

/*
 * Whether a request may have so many events; where not, its answer is known.  What comes in
 * pieces may have any number.
 */
static bool
check_count(Job *job, int64 n_events)
{
	if (n_events <= wt_max_batch_events || is_piece(job->request))
		return true;
	set_answer(
		job, 413, WT_REASON_BODY_TOO_LARGE,
		psprintf("the request holds more than windtrap.max_batch_events, %d events",
				 wt_max_batch_events));
	return false;
}

static bool
piece_is_full(const Job *job)
{
	return job->n_events >= MAX_TURN_ROWS || job->bytes >= MAX_TURN_BYTES;
}

/* Decodes a job, as much of it as this turn has room for. */
static void
decode_job(Job *job, Turn *turn)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);

	if (job->begun || begin_job(job))
	{
		MemoryContextSwitchTo(job->piece);
		while (decode_event(job))
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
take_job(Turn *turn, Job *job)
{
	if (!job->taken)
		turn->jobs[turn->n_jobs++] = job;
	job->taken = true;
	turn->n_rows += job->n_events;
	turn->bytes += job->bytes;
}

/* Goes on where the piece before ended. */
static void
take_progress(Job *job)
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

static void
keep_progress(const Job *job)
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

/*
 * Makes a job of the next request.  From here on there is a job to be answered for it,
 * whatever is raised.
 */
static Job *
new_job(WtListener *listener, Turn *turn, const WtRequest *request)
{
	bool large =
		request->body_length > SMALL_BODY ||
		wt_is_compressed(request->content_encoding, request->body, request->body_length);
	MemoryContext context = small_context;
	Job *job;

	if (large)
		context = AllocSetContextCreate(TopMemoryContext, "windtrap job",
										ALLOCSET_DEFAULT_SIZES);
	job = MemoryContextAllocZero(context, sizeof(Job));
	job->context = context;
	job->piece = context;
	if (large)
		job->piece =
			AllocSetContextCreate(context, "windtrap piece", ALLOCSET_DEFAULT_SIZES);
	job->request = wt_listener_next(listener);
	if (is_piece(request))
		take_progress(job);
	if (large)
	{
		job->queued = true;
		dlist_push_tail(&large_jobs, &job->node);
	}
	else
		take_job(turn, job);
	return job;
}

/* Takes what has arrived: small jobs into this turn, large ones into their queue. */
static void
take_requests(WtListener *listener, Turn *turn)
{
	const WtRequest *request;

	while (!turn_is_full(turn) && (request = wt_listener_peek(listener)) != NULL)
	{
		Job *job = new_job(listener, turn, request);

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
check_job(Job *job, Turn *turn)
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
				set_answer(job, job->check.status, job->check.reason, job->check.error);
				return;
			case WT_DECODE_OUT_OF_MEMORY:
				set_answer(job, 503, WT_REASON_MEMORY, "out of memory, try again");
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
		Job *job = dlist_container(Job, node, iter.cur);

		if (turn_is_full(turn))
			break;
		if (refuse_if_late(job))
			take_job(turn, job);
	}
	dlist_foreach_modify(iter, &large_jobs)
	{
		Job *job = dlist_container(Job, node, iter.cur);

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
static void
run_listener(void *listener)
{
	if (!wt_tokens_are_stale())
		wt_listener_run(listener);
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
		const Job *job = dlist_container(Job, node, iter.cur);

		timeout = Min(timeout, time_left(job));
	}
	timeout = Min(timeout, LONGEST_WAIT - (int) Min(wt_listener_longest_wait(listener),
													LONGEST_WAIT));
	return Max(timeout, LEAST_STORING);
}

static void
store_turn(WtListener *listener, Turn *turn, int timeout,
		   const volatile sig_atomic_t *stopping)
{
	WtRow **rows = palloc(sizeof(WtRow *) * (Size) Max(turn->n_rows, 1));
	WtStoreCallbacks callbacks = {quarantine_row, run_listener, listener};
	int n = 0;

	for (int i = 0; i < turn->n_jobs; i++)
		for (int k = 0; k < turn->jobs[i]->n_events; k++)
			rows[n++] = &turn->jobs[i]->events[k]->row;
	if (n == 0)
		return;
	wt_store_rows(rows, n, &callbacks, time_to_store(listener, turn, timeout));
	if (*stopping && wt_store_failure())
	{
		turn_clock = wt_listener_clock();
		/* SIGTERM cancels a transaction that may have been about to end: one more try. */
		for (int i = 0; i < n; i++)
			if (rows[i]->result == WT_STORE_CANCELLED)
				rows[i]->result = WT_STORE_PENDING;
		wt_store_rows(rows, n, &callbacks, time_to_store(listener, turn, RETRY_TIMEOUT));
	}
	wt_stdout_write(rows, n);
}

/*
 * Answers
 */

/* Counts what has become of a job's events; they are done with then. */
static void
count_events(Job *job)
{
	WtCounters *counters = wt_my_counters();

	for (int i = 0; i < job->n_events; i++)
	{
		const Event *event = job->events[i];

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
				set_answer(job, 422, WT_REASON_KEY,
						   "this Idempotency-Key came with another body before: use "
						   "another key");
				break;
			case WT_STORE_REFUSED:
				job->n_rejected++;
				job->n_refused++;
				if (!event->quarantined)
					list_error(job, event->row.index, WT_REASON_TABLE,
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

/* {"accepted":N,"rejected":M,"errors":[{"index":17,"error":"…"}]} */
static void
format_batch_answer(const Job *job, StringInfo body)
{
	appendStringInfo(body, "{\"accepted\":" INT64_FORMAT, job->n_accepted);
	if (job->n_duplicates > 0)
		appendStringInfo(body, ",\"duplicate\":" INT64_FORMAT, job->n_duplicates);
	if (job->n_rejected > 0)
	{
		appendStringInfo(body, ",\"rejected\":" INT64_FORMAT ",\"errors\":[",
						 job->n_rejected);
		for (int i = 0; i < job->n_listed; i++)
		{
			appendStringInfo(body, "%s{\"index\":" INT64_FORMAT ",\"error\":\"",
							 i > 0 ? "," : "", job->listed[i].index);
			enlargeStringInfo(body, WT_ANSWER_SIZE);
			body->len += (int) wt_answer_escape(body->data + body->len, WT_ANSWER_SIZE,
												job->listed[i].message);
			appendStringInfoString(body, "\"}");
		}
		appendStringInfoChar(body, ']');
	}
	appendStringInfoString(body, "}\n");
}

/*
 * Where a body is wrong, for windtrap.refused: of the sentence for its sender nothing but the
 * numbers, for the rest may quote the body.
 */
static void
set_position(WtAnswer *answer, const char *message)
{
	const char *place = message ? strstr(message, "at line ") : NULL;

	if ((answer->reason != WT_REASON_BAD_JSON && answer->reason != WT_REASON_UNFIT) ||
		!place ||
		sscanf(place, "at line %d, column %d:", &answer->line, &answer->column) != 2)
		answer->line = answer->column = 0;
}

static void
answer_in_words(WtListener *listener, const Job *job, WtWords *words, WtAnswer *answer)
{
	/* What is stored is not to be said to be lost: without an answer it is sent again. */
	answer->status = words->body.failed ? 0 : words->status;
	answer->type = words->type;
	answer->body = words->body.data ? words->body.data : "";
	answer->length = words->body.length;
	wt_listener_answer(listener, job->request, answer);
	wt_buffer_free(&words->body);
}

/* What has become of the events of another protocol's request, in its words. */
static void
answer_protocol(WtListener *listener, const Job *job)
{
	WtOutcome outcome = {.request = job->request,
						 .decoder = &job->decoder,
						 .n_events = job->n_decoded,
						 .n_stored = job->n_accepted,
						 .n_quarantined = job->n_rejected - job->n_refused,
						 .n_duplicates = job->n_duplicates,
						 .n_refused = job->n_refused,
						 .first_error =
							 job->n_listed > 0 ? job->listed[0].message : NULL};
	WtWords words = {.status = 200};
	WtAnswer answer = {0};

	wt_protocol_of(job->request)->answer(&outcome, &words);
	if (words.status >= 400)
		answer.reason = WT_REASON_TABLE;
	answer_in_words(listener, job, &words, &answer);
}

static void
answer_with_error(WtListener *listener, const Job *job, int status, const char *message)
{
	char body[WT_ANSWER_SIZE];
	WtAnswer answer = {.status = status, .reason = job->reason, .body = body};

	set_position(&answer, message);
	/* Only what is committed in pieces can be stored in part: say where to go on. */
	if (job->n_accepted + job->n_rejected > 0 && job->decoder.batch)
		message = psprintf("%s; the first " INT64_FORMAT
						   " events of this request are stored, those after them are not",
						   message, job->n_accepted + job->n_rejected);
	if (job->request->endpoint)
	{
		WtWords words = {.status = status};

		job->request->endpoint->refuse(job->request, job->reason, message, &words);
		answer_in_words(listener, job, &words, &answer);
		return;
	}
	answer.length = wt_answer_error(body, message);
	wt_listener_answer(listener, job->request, &answer);
}

static void
answer_duplicate(WtListener *listener, const Job *job)
{
	static const char body[] = "{\"accepted\":1,\"duplicate\":1}\n";
	WtAnswer answer = {.status = 200, .body = body, .length = sizeof(body) - 1};

	wt_listener_answer(listener, job->request, &answer);
}

static void
answer_job(WtListener *listener, const Job *job)
{
	StringInfoData body;
	WtAnswer answer = {.status = 200};

	if (job->status != 0)
	{
		answer_with_error(listener, job, job->status, job->message);
		return;
	}
	if (job->request->route == WT_ROUTE_PROBE || job->request->route == WT_ROUTE_CHECK)
	{
		wt_listener_answer_probe(listener, job->request);
		return;
	}
	if (job->request->endpoint)
	{
		answer_protocol(listener, job);
		return;
	}
	if (!job->decoder.batch && job->request->route == WT_ROUTE_EVENTS)
	{
		if (job->n_accepted == 1 && job->n_duplicates == 0)
			wt_listener_accept(listener, job->request);
		else if (job->n_accepted == 1)
			answer_duplicate(listener, job);
		else /* it was refused, and is perhaps in quarantine */
			answer_with_error(listener, job,
							  job->decoder.status ? job->decoder.status : 422,
							  job->n_listed > 0 ? job->listed[0].message
												: "the log table refuses this event");
		return;
	}
	initStringInfo(&body);
	if (job->request->route == WT_ROUTE_METRICS)
	{
		answer.type = WT_METRICS_TYPE;
		wt_metrics_write(&body);
	}
	else
	{
		if (job->n_accepted == 0 && job->n_rejected > 0)
		{
			/* Of which nothing could be stored as it is: senders must not think so. */
			answer.status = 422;
			answer.reason = job->decoder.reason ? job->decoder.reason : WT_REASON_TABLE;
			if (job->n_listed > 0)
				set_position(&answer, job->listed[0].message);
		}
		format_batch_answer(job, &body);
	}
	answer.body = body.data;
	answer.length = (size_t) body.len;
	wt_listener_answer(listener, job->request, &answer);
}

static void
end_job(WtListener *listener, Job *job)
{
	if (job->request->more && job->status == 0)
	{
		keep_progress(job);
		wt_listener_continue(listener, job->request, job->used);
	}
	else
		answer_job(listener, job);
	wt_inflate_shrink(&job->inflated, 0);
	wt_inflate_shrink(&job->converted, 0);
	if (job->queued)
		dlist_delete(&job->node);
	if (job->context != small_context)
		MemoryContextDelete(job->context);
}

/* Says, and in the log once each, that storing fails and that it works again. */
static void
report_failure(const char *reason)
{
	if (!wt_condition_set(WT_CONDITION_STORE, reason))
		return;
	if (reason)
		ereport(LOG, (errmsg("windtrap: could not store events: %s", reason)));
	else
		ereport(LOG, (errmsg("windtrap: storing events again")));
}

static void
run_turn(WtListener *listener, Turn *turn, const char *unavailable, int timeout,
		 const volatile sig_atomic_t *stopping)
{
	INSTR_TIME_SET_CURRENT(turn->begun);
	json.repair = wt_repair;
	turn_clock = wt_listener_clock();
	take_requests(listener, turn);
	take_large_jobs(turn);
	turn_clock = wt_listener_clock();
	refuse_late_ones(turn);
	if (unavailable)
	{
		for (int i = 0; i < turn->n_jobs; i++)
			if (turn->jobs[i]->request->route == WT_ROUTE_EVENTS)
				set_answer(turn->jobs[i], 503, WT_REASON_UNAVAILABLE, unavailable);
	}
	else if (turn->n_rows > 0)
	{
		store_turn(listener, turn, timeout, stopping);
		report_failure(wt_store_failure());
	}
}

static void
fail_job(Job *job)
{
	job->status = 503;
	job->reason = WT_REASON_MEMORY;
	job->message = "the event could not be stored, try again";
	job->decoded = true;
	job->n_events = 0;
}

/* Something was raised where nothing should be: memory ran out, most likely. */
static void
fail_turn(WtListener *listener, Turn *turn)
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
		Job *job = dlist_container(Job, node, iter.cur);

		if (job->taken)
			continue;
		fail_job(job);
		end_job(listener, job);
	}
}

void
wt_batch_prepare(int timeout)
{
	wt_store_prepare(timeout);
	report_failure(wt_store_failure());
}

bool
wt_batch_is_pending(void)
{
	return !dlist_is_empty(&large_jobs);
}

bool
wt_batch_process(WtListener *listener, const char *unavailable, int timeout,
				 const volatile sig_atomic_t *stopping)
{
	MemoryContext old = CurrentMemoryContext;
	Turn turn = {0};

	if (!wt_listener_peek(listener) && !wt_batch_is_pending())
		return false;
	if (!turn_context)
	{
		turn_context = AllocSetContextCreate(TopMemoryContext, "windtrap turn", 0,
											 KEPT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
		small_context = AllocSetContextCreate(TopMemoryContext, "windtrap small jobs", 0,
											  KEPT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
	}
	MemoryContextSwitchTo(turn_context);
	turn.jobs = palloc(sizeof(Job *) * (MAX_TURN_JOBS + 1));
	PG_TRY();
	{
		run_turn(listener, &turn, unavailable, timeout, stopping);
	}
	PG_CATCH();
	{
		fail_turn(listener, &turn);
	}
	PG_END_TRY();

	for (int i = 0; i < turn.n_jobs; i++)
	{
		Job *job = turn.jobs[i];

		job->taken = false;
		count_events(job);
		/* What may go on and on does not, from its last committed piece on. */
		if (job->decoded && job->request->more && *stopping && job->status == 0)
			set_answer(job, 503, WT_REASON_UNAVAILABLE,
					   "the collector is stopping, try again");
		if (job->decoded)
			end_job(listener, job);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(small_context);
	MemoryContextReset(turn_context);
	return true;
}

void
wt_batch_abandon(WtListener *listener)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &large_jobs)
	{
		Job *job = dlist_container(Job, node, iter.cur);

		fail_job(job);
		job->reason = WT_REASON_UNAVAILABLE;
		job->message = "the collector is stopping, try again";
		end_job(listener, job);
	}
}

void
wt_batch_shrink(size_t keep)
{
	wt_json_shrink(&json, keep);
}
