/*
 * batch.c
 *		Requests → answers: takes what is complete through all the stages at once.
 *
 * All that a batch allocates is in one memory context, which is reset at its end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "answer.h"
#include "batch.h"
#include "decode.h"
#include "enrich.h"
#include "settings.h"
#include "shared.h"
#include "store.h"

/* One batch: requests, and bytes of their bodies. */
#define MAX_BATCH 1024
#define MAX_BATCH_BYTES (8 * 1024 * 1024)

/* The second try of a batch when the worker is stopping, ms. */
#define RETRY_TIMEOUT 2000

/* What the context of a batch keeps from batch to batch, bytes. */
#define KEPT_MEMORY (256 * 1024)

/* One request of a batch. */
typedef struct BatchItem
{
	WtRequest *request;
	int row;			 /* in the rows; -1: none, the answer is known */
	int status;			 /* of the answer, where row is -1 */
	const char *message; /* likewise */
} BatchItem;

static MemoryContext batch_context;
static WtJson json; /* the parser's memory, kept between events */

static void
set_answer(BatchItem *item, int status, const char *message)
{
	item->row = -1;
	item->status = status;
	item->message = message;
}

/* Decodes and enriches the event of a request: a row more, or an answer. */
static void
decode_request(BatchItem *item, WtRow *rows, int *n_rows)
{
	const WtRequest *request = item->request;
	WtDecoder decoder = {0};
	WtEnvelope *envelope;
	WtRow *row;

	decoder.content_type = request->content_type;
	decoder.content_encoding = request->content_encoding;
	decoder.body = request->body;
	decoder.length = request->body_length;
	decoder.max_event_size = (size_t) wt_max_event_size;
	switch (wt_decode_next(&decoder, &json))
	{
		case WT_DECODE_EVENT:
			break;
		case WT_DECODE_BAD:
			set_answer(item, decoder.status, pstrdup(decoder.error));
			return;
		case WT_DECODE_END:
		case WT_DECODE_OUT_OF_MEMORY:
			set_answer(item, 503, "out of memory, try again");
			return;
	}
	envelope = wt_enrich_request(request);
	row = &rows[*n_rows];
	row->event_timestamp = wt_enrich_time(envelope);
	row->data = wt_enrich_event(envelope, &json);
	row->status = 0;
	row->result = WT_STORE_PENDING;
	row->error = NULL;
	item->row = (*n_rows)++;
}

static void
answer_item(WtListener *listener, const BatchItem *item, const WtRow *rows)
{
	char body[WT_ANSWER_SIZE];
	char message[512];
	int status = item->status;
	const char *sentence = item->message;

	if (item->row >= 0)
	{
		const WtRow *row = &rows[item->row];

		switch (row->result)
		{
			case WT_STORE_COMMITTED:
				wt_listener_accept(listener, item->request);
				return;
			case WT_STORE_REFUSED:
				status = 422;
				snprintf(message, sizeof(message), "the log table refuses this event: %s",
						 row->error);
				break;
			case WT_STORE_UNAVAILABLE:
			case WT_STORE_CANCELLED:
			case WT_STORE_PENDING:
				status = 503;
				snprintf(message, sizeof(message),
						 "the event could not be stored, try again: %s",
						 row->error ? row->error : "it was not tried");
				break;
		}
		sentence = message;
	}
	wt_listener_answer(listener, item->request, status, body,
					   wt_answer_error(body, sentence));
}

/* Says in the log, once each, that storing fails and that it works again. */
static void
report_failure(WtListener *listener, const char *reason)
{
	static char reported[WT_ERROR_SIZE];

	if (reason)
	{
		if (strcmp(reason, reported) == 0)
			return;
		strlcpy(reported, reason, sizeof(reported));
		ereport(LOG, (errmsg("windtrap: could not store events: %s", reason)));
	}
	else
	{
		if (reported[0] == '\0')
			return;
		reported[0] = '\0';
		ereport(LOG, (errmsg("windtrap: storing events again")));
	}
	wt_status_set_error(reason);
	wt_listener_set_health(listener, reason);
}

static void
count_answers(const BatchItem *items, int n_items, const WtRow *rows)
{
	int accepted = 0;
	int refused = 0;
	int failed = 0;

	for (int i = 0; i < n_items; i++)
	{
		if (items[i].row < 0)
		{
			if (items[i].status == 503)
				failed++;
			else
				refused++;
		}
		else if (rows[items[i].row].result == WT_STORE_COMMITTED)
			accepted++;
		else if (rows[items[i].row].result == WT_STORE_REFUSED)
			refused++;
		else
			failed++;
	}
	wt_status_count(accepted, refused, failed);
}

/* SIGTERM cancels a transaction that may have been about to end: one more try. */
static void
retry(WtRow *rows, int n_rows)
{
	for (int i = 0; i < n_rows; i++)
		if (rows[i].result == WT_STORE_CANCELLED)
			rows[i].result = WT_STORE_PENDING;
	wt_store_rows(rows, n_rows, RETRY_TIMEOUT);
}

bool
wt_batch_process(WtListener *listener, const char *unavailable, int timeout,
				 const volatile sig_atomic_t *stopping)
{
	MemoryContext old;
	BatchItem *items;
	WtRow *rows;
	volatile int n_items = 0;
	volatile int n_rows = 0;
	size_t bytes = 0;
	WtRequest *request = wt_listener_next(listener);

	if (!request)
		return false;
	if (!batch_context)
		batch_context = AllocSetContextCreate(TopMemoryContext, "windtrap batch", 0,
											  KEPT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
	old = MemoryContextSwitchTo(batch_context);
	items = palloc(sizeof(BatchItem) * MAX_BATCH);
	rows = palloc(sizeof(WtRow) * MAX_BATCH);
	while (request)
	{
		/* Until it is known better, the answer is that it was not stored. */
		items[n_items].request = request;
		set_answer(&items[n_items], 503, "the event could not be stored, try again");
		n_items++;
		bytes += request->body_length;
		if (n_items == MAX_BATCH || bytes > MAX_BATCH_BYTES)
			break;
		request = wt_listener_next(listener);
	}

	PG_TRY();
	{
		if (unavailable)
		{
			for (int i = 0; i < n_items; i++)
				set_answer(&items[i], 503, unavailable);
		}
		else
		{
			for (int i = 0; i < n_items; i++)
			{
				int n = n_rows;

				decode_request(&items[i], rows, &n);
				n_rows = n;
			}
		}
		if (n_rows > 0)
		{
			wt_store_rows(rows, n_rows, timeout);
			if (*stopping && wt_store_failure())
				retry(rows, n_rows);
			report_failure(listener, wt_store_failure());
		}
	}
	PG_CATCH();
	{
		/* Out of memory, most likely: nothing but this batch is the worse for it. */
		MemoryContextSwitchTo(batch_context);
		EmitErrorReport();
		FlushErrorState();
		if (IsTransactionState())
			AbortCurrentTransaction();
		MemoryContextSwitchTo(batch_context);
	}
	PG_END_TRY();

	for (int i = 0; i < n_items; i++)
		answer_item(listener, &items[i], rows);
	count_answers(items, n_items, rows);
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch_context);
	return true;
}

void
wt_batch_shrink(size_t keep)
{
	wt_json_shrink(&json, keep);
}
