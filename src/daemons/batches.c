/*
 * batches.c
 *		Messages → requests, and what becomes of these.
 */
#include <stdlib.h>
#include <string.h>

#include "base/messages.h"
#include "daemons/daemons_state.h"

/* Between two tries to store a batch, ms: the first pause and the longest. */
#define FIRST_PAUSE 50
#define LAST_PAUSE 1000

#define MIN_BODY 512

static int64_t
wall_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
account(WtDaemons *daemons, const Batch *batch, size_t more, size_t less)
{
	daemons->bytes += more - less;
	if (wt_is_by_datagram(batch->intake))
		daemons->datagram_bytes += more - less;
}

static bool
make_room(WtDaemons *daemons, Batch *batch, size_t length)
{
	size_t size = batch->size ? batch->size : MIN_BODY;
	char *body;

	while (size - batch->public.body_length < length)
		size *= 2;
	if (size == batch->size)
		return true;
	body = realloc(batch->body, size);
	if (!body)
		return false;
	account(daemons, batch, size, batch->size);
	batch->body = body;
	batch->size = size;
	batch->public.body = body;
	return true;
}

static int
max_messages(const WtDaemons *daemons)
{
	return daemons->settings.max_batch < BATCH_MESSAGES ? daemons->settings.max_batch
														: BATCH_MESSAGES;
}

bool
wt_batch_has_room(const WtDaemons *daemons, const Batch *batch, size_t length)
{
	size_t after = batch->public.body_length + WT_MESSAGE_HEAD + length;

	if (batch->n == 0)
		return true;
	if (batch->n >= max_messages(daemons) || after > BATCH_BYTES)
		return false;
	return after <= ASSURED || daemons->bytes < daemons->settings.max_bytes;
}

Batch *
wt_batch_new(WtDaemons *daemons, WtIntake intake, const WtAddress *from, Stream *stream)
{
	Batch *batch = calloc(1, sizeof(Batch));

	if (!batch)
		return NULL;
	batch->intake = intake;
	batch->stream = stream;
	batch->from = *from;
	wt_address_format(from, batch->ip, sizeof(batch->ip));
	batch->public = (WtRequest){.route = WT_ROUTE_EVENTS,
								.endpoint = daemons->endpoints[intake],
								.path = "",
								.ip = batch->ip,
								.is_messages = true};
	if (stream && stream->source[0] != '\0')
	{
		memcpy(batch->source, stream->source, sizeof(batch->source));
		batch->public.source = batch->source;
	}
	daemons->n_batches++;
	return batch;
}

bool
wt_batch_add(WtDaemons *daemons, Batch *batch, const char *text, size_t length, bool cut,
			 uint32_t number)
{
	char *head;

	if (!make_room(daemons, batch, WT_MESSAGE_HEAD + length))
		return false;
	if (batch->intake == WT_INTAKE_RELP)
	{
		if (batch->n == batch->max_numbers)
		{
			int max = batch->max_numbers ? batch->max_numbers * 2 : 16;
			uint32_t *numbers = realloc(batch->numbers, sizeof(uint32_t) * (size_t) max);

			if (!numbers)
				return false;
			batch->numbers = numbers;
			batch->max_numbers = max;
		}
		batch->numbers[batch->n] = number;
	}
	batch->last = batch->public.body_length;
	head = batch->body + batch->last;
	wt_message_write_head(head, length, cut);
	memcpy(head + WT_MESSAGE_HEAD, text, length);
	batch->public.body_length += WT_MESSAGE_HEAD + length;
	batch->n++;
	batch->public.received_us = wall_clock_us();
	daemons->counters->messages_received[batch->intake]++;
	daemons->counters->bytes_received += length;
	if (batch->queued)
		daemons->n_waiting++;
	return true;
}

bool
wt_batch_add_line(WtDaemons *daemons, Batch *batch, const char *text, size_t length)
{
	char *end;

	if (!make_room(daemons, batch, length + 1))
		return false;
	end = batch->body + batch->public.body_length;
	*end = '\n';
	memcpy(end + 1, text, length);
	batch->public.body_length += length + 1;
	daemons->counters->bytes_received += length + 1;
	wt_message_write_head(batch->body + batch->last,
						  batch->public.body_length - batch->last - WT_MESSAGE_HEAD,
						  false);
	return true;
}

void
wt_batch_queue(WtDaemons *daemons, Batch *batch)
{
	batch->next = NULL;
	batch->queued = true;
	daemons->n_waiting += batch->n;
	if (daemons->queue_last)
		daemons->queue_last->next = batch;
	else
		daemons->queue_first = batch;
	daemons->queue_last = batch;
}

static void
free_batch(WtDaemons *daemons, Batch *batch)
{
	account(daemons, batch, 0, batch->size);
	daemons->n_batches--;
	free(batch->body);
	free(batch->numbers);
	free(batch->refused);
	free(batch);
}

const WtRequest *
wt_daemons_peek(const WtDaemons *daemons)
{
	return daemons->queue_first ? &daemons->queue_first->public : NULL;
}

WtRequest *
wt_daemons_next(WtDaemons *daemons)
{
	Batch *batch = daemons->queue_first;

	if (!batch)
		return NULL;
	daemons->queue_first = batch->next;
	if (!batch->next)
		daemons->queue_last = NULL;
	batch->next = NULL;
	daemons->n_waiting -= batch->n;
	if (batch->stream && batch->stream->filling == batch)
	{
		batch->stream->filling = NULL;
		batch->stream->storing = batch;
	}
	for (int i = 0; !batch->stream && i < N_OPEN; i++)
		if (daemons->open[i] == batch)
			daemons->open[i] = NULL;
	batch->queued = false;
	batch->taken = true;
	if (!batch->refused)
		batch->refused = calloc((size_t) batch->n, 1);
	batch->public.refused = batch->refused;
	batch->public.waits_since = wt_monotonic_ms();
	return &batch->public;
}

int
wt_daemons_waiting(const WtDaemons *daemons)
{
	return daemons->n_waiting;
}

/* Where there was no memory to note which ones the table refuses, all count as stored. */
static void
count_stored(WtDaemons *daemons, const Batch *batch)
{
	int refused = 0;

	for (int i = 0; batch->refused && i < batch->n; i++)
		refused += batch->refused[i];
	count_dropped(daemons, batch->intake, WT_REASON_TABLE, (uint64_t) refused);
	daemons->counters->messages_stored[batch->intake] += (uint64_t) (batch->n - refused);
}

void
wt_daemons_done(WtDaemons *daemons, WtRequest *request, bool stored)
{
	Batch *batch = (Batch *) request;

	if (!stored)
	{
		batch->pause = batch->pause ? batch->pause * 2 : FIRST_PAUSE;
		if (batch->pause > LAST_PAUSE)
			batch->pause = LAST_PAUSE;
		batch->due = wt_monotonic_ms() + batch->pause;
		if (batch->refused)
			memset(batch->refused, 0, (size_t) batch->n);
		batch->next = daemons->retrying;
		daemons->retrying = batch;
		return;
	}
	count_stored(daemons, batch);
	if (batch->stream)
		wt_stream_stored(batch->stream, batch);
	free_batch(daemons, batch);
}

void
wt_batches_retry(WtDaemons *daemons)
{
	Batch **p = &daemons->retrying;

	while (*p)
	{
		Batch *batch = *p;

		/* Stopping, there is no time for pauses. */
		if (batch->due > daemons->now && !daemons->leaving)
		{
			p = &batch->next;
			continue;
		}
		*p = batch->next;
		wt_batch_queue(daemons, batch);
	}
}

int64_t
wt_batches_next(const WtDaemons *daemons)
{
	int64_t next = INT64_MAX;

	for (const Batch *batch = daemons->retrying; batch; batch = batch->next)
		if (batch->due < next)
			next = batch->due;
	return next;
}

static void
free_list(WtDaemons *daemons, Batch *batch)
{
	Batch *next;

	for (; batch; batch = next)
	{
		next = batch->next;
		/* Who is not answered sends them again. */
		if (batch->intake != WT_INTAKE_RELP)
			count_dropped(daemons, batch->intake, WT_REASON_UNAVAILABLE,
						  (uint64_t) batch->n);
		free_batch(daemons, batch);
	}
}

void
wt_batches_end(WtDaemons *daemons)
{
	free_list(daemons, daemons->queue_first);
	free_list(daemons, daemons->retrying);
	daemons->queue_first = daemons->queue_last = daemons->retrying = NULL;
}
