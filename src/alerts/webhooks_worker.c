/*
 * webhooks_worker.c
 *		The life of the process that posts what alerts tell.
 *
 * Several requests are under way at one time, and few to one receiver, so that one which hangs
 * keeps nobody waiting but itself.  No transaction is open meanwhile.  What has become of a request
 * is noted after its answer: where the process or the server ends between the two it is sent
 * again, with the same id, by which the receiver knows it.
 *
 * Outside of the transactions nothing raises but what ends the process.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "alerts/delivery.h"
#include "alerts/webhooks_worker.h"
#include "base/helper.h"
#include "base/identity.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/sql.h"
#include "base/transact.h"
#include "client/post.h"
#include "client/token.h"
#include "client/trouble.h"
#include "store/restoring.h"

/* Requests at one time, and to one receiver. */
#define MAX_POSTS 16
#define MAX_POSTS_OF_RECEIVER 2

/* What a request may take, ms. */
#define POST_TIMEOUT 10000

/* Pauses between two tries double, ms, and are drawn from half of that to all; after so long, s, it
 * is given up. */
#define FIRST_PAUSE 1000
#define LAST_PAUSE 60000
#define LAST_TRY 3600

/* What a receiver may ask to wait beside that, s. */
#define MAX_RETRY_AFTER 3600

/* Looking for what is to be posted, while there is something; while there is not, ms. */
#define POLL 500
#define IDLE_POLL 5000

/* How long a wait for an answer goes on before it is looked whether to stop, ms. */
#define WAIT 100

/* What a transaction may take, ms. */
#define TIMEOUT 10000

/* Between two sweeps of what is old, ms. */
#define SWEEP (3600 * 1000)

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_UNDER_WAY,
	SLOT_ENDED /* and what has become of it is to be noted */
} SlotState;

typedef struct Slot
{
	SlotState state;
	WtPost *post;
	WtDelivery delivery;
	WtDeliveryEnd end;
	char error[WT_ERROR_SIZE];
} Slot;

static WtPoster *poster;
static Slot slots[MAX_POSTS];

/* What a transaction reads, or writes. */
typedef struct Look
{
	bool has_extension;
	bool sweep;
	bool more;
	int n;
	WtDelivery found[MAX_POSTS * 2];
} Look;

static int
count_under_way(void)
{
	int n = 0;

	for (int i = 0; i < MAX_POSTS; i++)
		n += (slots[i].state == SLOT_UNDER_WAY);
	return n;
}

static Slot *
free_slot(void)
{
	for (int i = 0; i < MAX_POSTS; i++)
		if (slots[i].state == SLOT_FREE)
			return &slots[i];
	return NULL;
}

/* Whether it is not to be begun now: it is under way, or enough others of its receiver are. */
static bool
is_to_wait(const WtDelivery *delivery)
{
	int n = 0;

	for (int i = 0; i < MAX_POSTS; i++)
	{
		if (slots[i].state == SLOT_FREE)
			continue;
		if (strcmp(slots[i].delivery.id, delivery->id) == 0)
			return true;
		n += (strcmp(slots[i].delivery.receiver, delivery->receiver) == 0);
	}
	return n >= MAX_POSTS_OF_RECEIVER;
}

/* A try has failed, for the reason in slot->error; retry_after: s that the receiver asks for. */
static void
fail(Slot *slot, bool for_good, int retry_after)
{
	const WtDelivery *d = &slot->delivery;
	TimestampTz now = GetCurrentTimestamp();
	double pause = FIRST_PAUSE;

	for (int i = 0; i < d->tries && pause < LAST_PAUSE; i++)
		pause *= 2;
	pause = Min(pause, LAST_PAUSE) * (1 + pg_prng_double(&pg_global_prng_state)) / 2;
	slot->state = SLOT_ENDED;
	slot->end.error = slot->error;
	slot->end.pause = Max((long) pause, Min(retry_after, MAX_RETRY_AFTER) * 1000L);
	if (for_good || (d->first_try != 0 &&
					 TimestampDifferenceExceeds(d->first_try, now, LAST_TRY * 1000)))
		slot->end.pause = -1;
	if (slot->end.pause < 0 || d->tries == 0)
		ereport(LOG,
				(errmsg("windtrap: the webhook of alert \"%s\" at %s has not taken a "
						"notification: %s",
						d->alert, d->receiver, slot->error),
				 slot->end.pause < 0 ? errhint("It is not tried again.")
									 : errhint("It will try again.")));
}

/* Begins a request. */
static void
begin(Slot *slot)
{
	const WtDelivery *d = &slot->delivery;
	char token[WT_TOKEN_SIZE];
	char authorization[WT_TOKEN_SIZE + 32];
	char key[WT_UUID_TEXT_SIZE + 32];
	const char *headers[] = {"Content-Type: application/json", key, NULL, NULL};
	WtPostRequest request = {.url = d->url,
							 .ca_file = wt_webhook_ca_file,
							 .headers = headers,
							 .body = d->body,
							 .length = strlen(d->body),
							 .timeout = POST_TIMEOUT};
	WtFileError error;

	slot->state = SLOT_UNDER_WAY;
	if (!wt_http_token_read(wt_webhook_token_file, d->url, token, &error))
	{
		strlcpy(slot->error, error.message, sizeof(slot->error));
		fail(slot, false, 0);
		return;
	}
	snprintf(key, sizeof(key), "Idempotency-Key: %s", d->id);
	snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", token);
	if (token[0] != '\0')
		headers[2] = authorization;
	if (!poster)
		poster = wt_poster_new(MAX_POSTS);
	if (poster && !slot->post)
		slot->post = wt_post_new(poster);
	if (!slot->post || !wt_post_begin(slot->post, &request))
	{
		strlcpy(slot->error, "out of memory", sizeof(slot->error));
		fail(slot, false, 0);
	}
	explicit_bzero(authorization, sizeof(authorization));
	explicit_bzero(token, sizeof(token));
}

/* Goes by the answer to a request that has ended. */
static void
judge(Slot *slot)
{
	const WtPostAnswer *answer = wt_post_answer(slot->post);
	int status = answer->status;

	if (answer->end != WT_POST_ANSWERED)
	{
		wt_post_trouble(answer, "windtrap.webhook_ca_file", slot->error,
						sizeof(slot->error));
		fail(slot, false, 0);
		return;
	}
	if (status >= 200 && status <= 299)
	{
		slot->state = SLOT_ENDED;
		slot->end = (WtDeliveryEnd){.error = NULL, .pause = -1};
		return;
	}
	if (status >= 300 && status <= 399)
		snprintf(
			slot->error, sizeof(slot->error),
			"it redirects, which is not followed: name the URL that it leads to (%d)",
			status);
	else if (status == 401 || status == 403)
		snprintf(
			slot->error, sizeof(slot->error),
			"it does not let us in: does windtrap.webhook_token_file have its token? "
			"(%d)",
			status);
	else
		snprintf(slot->error, sizeof(slot->error), "it has answered %d", status);
	fail(slot, status < 500 && status != 408 && status != 429, answer->retry_after);
}

static bool
run(void (*what)(void *arg), void *arg, const char *activity)
{
	const WtTransaction how = {.activity = activity,
							   .timeout = TIMEOUT,
							   .lock_timeout = "1s",
							   /* What is lost is sent again, with the same id. */
							   .may_be_lost = true,
							   .read_committed = true};
	ErrorData *error = wt_transact_as(&how, what, arg);

	if (!error)
		return true;
	if (wt_stop_requested)
		return false;
	wt_helper_fail(error->sqlerrcode, "the notifications of alerts cannot be looked at",
				   error->message);
	return false;
}

static void
look(void *arg)
{
	Look *l = arg;

	l->has_extension = OidIsValid(get_extension_oid("windtrap", true));
	if (!l->has_extension)
		return;
	wt_sql_connect();
	if (l->sweep)
		wt_deliveries_forget();
	l->n =
		wt_deliveries_read(l->found, lengthof(l->found), MAX_POSTS_OF_RECEIVER, &l->more);
	SPI_finish();
}

static void
settle(void *arg)
{
	const Slot *slot = arg;

	wt_sql_connect();
	wt_delivery_settle(&slot->delivery, &slot->end);
	SPI_finish();
}

/* Begins what is due and has room; gives ms until it is to be looked again. */
static long
begin_some(void)
{
	static TimestampTz swept;
	TimestampTz now = GetCurrentTimestamp();
	Look l = {.sweep = swept == 0 || TimestampDifferenceExceeds(swept, now, SWEEP)};

	if (wt_restore_in_progress(false))
		return IDLE_POLL;
	if (!run(look, &l, "looking for notifications of alerts"))
		return POLL;
	if (!l.has_extension)
		return IDLE_POLL;
	if (l.sweep)
		swept = now;
	wt_helper_report(l.more ? WT_STATE_WORKING : WT_STATE_IDLE, NULL, false);
	for (int i = 0; i < l.n; i++)
	{
		Slot *slot = free_slot();

		if (!slot || is_to_wait(&l.found[i]))
		{
			wt_delivery_free(&l.found[i]);
			continue;
		}
		slot->delivery = l.found[i];
		begin(slot);
	}
	return l.more ? POLL : IDLE_POLL;
}

/* Has /metrics know what has become of a try. */
static void
count_try(const WtDeliveryEnd *end)
{
	WtPostOutcome outcome = !end->error		 ? WT_OUTCOME_DELIVERED
							: end->pause < 0 ? WT_OUTCOME_GIVEN_UP
											 : WT_OUTCOME_FAILED;

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->alerts.tries[outcome]++;
	LWLockRelease(&wt_shared->lock);
}

/* Notes what has become of those that have ended; whether any has. */
static bool
settle_some(void)
{
	bool any = false;

	for (int i = 0; i < MAX_POSTS; i++)
	{
		Slot *slot = &slots[i];

		if (slot->state == SLOT_UNDER_WAY && wt_post_run(slot->post, 0))
			judge(slot);
		/* What cannot be noted now is noted later: it is not sent again meanwhile. */
		if (slot->state != SLOT_ENDED ||
			!run(settle, slot, "noting what became of a notification"))
			continue;
		count_try(&slot->end);
		wt_delivery_free(&slot->delivery);
		slot->state = SLOT_FREE;
		any = true;
	}
	if (any)
		wt_helper_report(WT_STATE_WORKING, NULL, true);
	return any;
}

/* Waits for an answer, or for so many ms, or until it is woken. */
static void
rest(long ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	bool woken = false;

	while (!wt_stop_requested && !woken)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		int n = count_under_way();

		if (left <= 0)
			return;
		if (n == 0)
		{
			(void) wt_process_nap(left);
			return;
		}
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
		wt_poster_run(poster, (int) Min(left, WAIT));
		pgstat_report_wait_end();
		if (!PostmasterIsAlive())
			proc_exit(1);
		woken = MyLatch->is_set;
		ResetLatch(MyLatch);
		(void) wt_process_attend();
		if (settle_some())
			return;
	}
}

void
windtrap_webhooks_main(Datum arg)
{
	MemoryContext context;

	wt_process_begin(NULL);
	wt_helper_begin(WT_HELPER_WEBHOOKS);
	wt_connect(DatumGetObjectId(arg));
	context = AllocSetContextCreate(TopMemoryContext, "windtrap webhooks",
									ALLOCSET_DEFAULT_SIZES);

	while (!wt_stop_requested)
	{
		long next;

		MemoryContextSwitchTo(context);
		(void) settle_some();
		next = begin_some();
		/* Without this autovacuum never learns of the rows. */
		pgstat_report_stat(false);
		if (settle_some())
			next = 0;
		rest(next);
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		(void) wt_process_attend();
	}
	for (int i = 0; i < MAX_POSTS; i++)
		if (slots[i].state == SLOT_UNDER_WAY)
			wt_post_abort(slots[i].post);
	proc_exit(0);
}
