/*
 * http_target.c
 *		A load → another WindTrap, by HTTP.
 *
 * The other one keeps each event once by its id, so what is sent again, since its answer was
 * lost or this server has crashed before it had noted it, is not there twice.  The position
 * moves on after the answer, in a transaction of its own.
 *
 * While a request is under way the load that follows is read and made into a body, and it is
 * sent as soon as the answer has come: so both servers work at one time.  The position moves
 * on in the order of the loads all the same.  What goes wrong with one load ends the request
 * of the next, which is read again when its turn has come.
 *
 * Outside of the steps nothing raises but what ends the process.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "base/collector.h"
#include "base/process.h"
#include "base/url.h"
#include "forward/http_body.h"
#include "client/post.h"
#include "forward/http_target.h"
#include "client/token.h"
#include "forward/http_verdict.h"

/* What a request may take, ms. */
#define TIMEOUT 30000

/* How long a wait goes on before it is looked whether to stop, ms; signals end it too. */
#define POLL 100

/* The path of a URL that has none. */
#define DEFAULT_PATH "/log"

/* So many loads are read ahead one after the other; then dead letters have a turn. */
#define MAX_AHEAD 20

static WtPost *client;
static bool settings_are_stale = true;
static bool is_probed; /* it takes requests, as far as is known */
static char token[WT_TOKEN_SIZE];
static char message[WT_VERDICT_MESSAGE];

/* What is, or was last, sent. */
static WtHttpBody body;

/* The load that follows, read while the one before is under way. */
static struct
{
	MemoryContext contexts[2]; /* of its memory, and of the load's before */
	int turn;
	bool is_read;
	bool
		is_under_way; /* it has been begun to be sent: of the load whose turn it is, too */
	int n;			  /* loads that were read so, one after the other */
	WtLoad load;
	WtHttpBody body;
} ahead;

/*
 * Requests
 */

static bool
fail(WtForwardFailure *failure, const char *why)
{
	*failure = (WtForwardFailure){
		.blame = WT_BLAME_MOMENT, .sqlstate = ERRCODE_CONNECTION_FAILURE, .message = why};
	return false;
}

void
wt_http_reload(void)
{
	settings_are_stale = true;
	is_probed = false;
}

/* Reads the token where it may have changed; false, and *failure, where it cannot be. */
static bool
read_token(const WtLoad *load, WtForwardFailure *failure)
{
	WtFileError error;

	if (!settings_are_stale)
		return true;
	if (!wt_http_token_read(wt_forward_token_file, load->forwarder->target, token,
							&error))
	{
		strlcpy(message, error.message, sizeof(message));
		return fail(failure, message);
	}
	settings_are_stale = false;
	return true;
}

/* Begins to send a body; false, and *failure, where it cannot. */
static bool
begin(const WtLoad *load, const WtHttpBody *what, WtForwardFailure *failure)
{
	char url[WT_TARGET_SIZE + sizeof(DEFAULT_PATH)];
	char authorization[WT_TOKEN_SIZE + 32];
	char collector[sizeof(WT_COLLECTOR_HEADER ": ") + WT_COLLECTOR_HEADER_SIZE] =
		WT_COLLECTOR_HEADER ": ";
	const char *headers[] = {"Content-Type: " WT_HTTP_BODY_TYPE,
							 "Content-Encoding: " WT_HTTP_BODY_ENCODING, collector,
							 token[0] != '\0' ? authorization : NULL, NULL};
	const char *path = wt_url_path(load->forwarder->target);
	WtPostRequest request = {.url = url,
							 .ca_file = wt_forward_ca_file,
							 .headers = headers,
							 .body = what->bytes,
							 .length = what->length,
							 .timeout = TIMEOUT};
	bool ok;

	wt_collector_write(collector + strlen(collector));
	snprintf(url, sizeof(url), "%.*s%s", (int) (path - load->forwarder->target),
			 load->forwarder->target,
			 path[0] == '\0' || path[1] == '\0' ? DEFAULT_PATH : path);
	snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", token);
	if (!client)
	{
		WtPoster *poster = wt_poster_new(1);

		client = poster ? wt_post_new(poster) : NULL;
	}
	ok = client && wt_post_begin(client, &request);
	explicit_bzero(authorization, sizeof(authorization));
	return ok || fail(failure, "out of memory");
}

/* Goes on with the request for some ms at most; false: it is time to stop. */
static bool
go_on(int ms)
{
	(void) wt_post_run(client, ms);
	if (!PostmasterIsAlive())
		proc_exit(1);
	if (wt_process_attend())
		return true;
	wt_post_abort(client);
	return false;
}

/* Waits for the answer to a request with n events; false, and *failure, where they stay here. */
static WtVerdict
await(int n, WtForwardFailure *failure)
{
	WtVerdict verdict;

	pgstat_report_activity(STATE_RUNNING, "waiting for the target");
	pgstat_report_wait_start(PG_WAIT_EXTENSION);
	while (!wt_post_run(client, 0) && go_on(POLL))
		;
	pgstat_report_wait_end();
	pgstat_report_activity(STATE_IDLE, NULL);
	if (wt_stop_requested)
	{
		fail(failure, "stopping");
		return WT_VERDICT_FAILED;
	}
	verdict = wt_verdict(wt_post_answer(client), n, token, message);
	fail(failure, message);
	failure->retry_after = wt_post_answer(client)->retry_after;
	failure->too_large = (verdict == WT_VERDICT_TOO_LARGE);
	if (verdict == WT_VERDICT_SLOW)
		failure->sqlstate = ERRCODE_QUERY_CANCELED;
	return verdict;
}

/*
 * The same, once more where the request was sent with what does not hold any more: a token that
 * has been replaced, or settings that have been read anew since.
 */
static WtVerdict
finish(const WtLoad *load, int n, WtForwardFailure *failure)
{
	WtVerdict verdict = await(n, failure);
	char used[WT_TOKEN_SIZE];
	bool changed = settings_are_stale;

	if (wt_stop_requested || verdict == WT_VERDICT_TAKEN ||
		verdict == WT_VERDICT_SOME_REFUSED || verdict == WT_VERDICT_TOO_LARGE)
		return verdict;
	if (!changed && verdict != WT_VERDICT_NO_TOKEN)
		return verdict;
	memcpy(used, token, sizeof(used));
	settings_are_stale = true;
	if (!read_token(load, failure))
		return WT_VERDICT_FAILED;
	changed = changed || strcmp(used, token) != 0;
	explicit_bzero(used, sizeof(used));
	if (!changed)
		return verdict;
	return begin(load, &body, failure) ? await(n, failure) : WT_VERDICT_FAILED;
}

/* Some events of a load. */
typedef struct Part
{
	WtLoad *load;
	int first;
	int n;
	WtHttpBody *body; /* what is made of them */
} Part;

static void
make_body(void *arg)
{
	const Part *part = arg;
	MemoryContext old = MemoryContextSwitchTo(part->load->context);

	wt_http_body_make(part->body, part->load->events + part->first, part->n);
	MemoryContextSwitchTo(old);
}

static bool
begin_part(WtLoad *load, int first, int n, WtForwardFailure *failure)
{
	Part part = {load, first, n, &body};

	return read_token(load, failure) &&
		   wt_forward_step(make_body, &part, "preparing events", failure) &&
		   begin(load, &body, failure);
}

/*
 * Reading ahead
 */

static void
drop_ahead(void)
{
	if (ahead.is_under_way)
		wt_post_abort(client);
	ahead.is_under_way = false;
	ahead.is_read = false;
	ahead.n = 0;
}

static void
prepare_ahead(void *arg)
{
	Part part = {.load = &ahead.load, .body = &ahead.body};

	wt_load_read_after(&ahead.load, arg);
	part.n = ahead.load.n;
	if (part.n > 0)
		make_body(&part);
}

/* Reads the load after this one, while this one is under way. */
static void
read_ahead(WtLoad *load)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context;
	WtForwardFailure failure;

	if (!load->more || load->letters || ++ahead.n >= MAX_AHEAD)
	{
		ahead.n = 0;
		return;
	}
	/* So that the other one has something to do meanwhile. */
	(void) wt_post_run(client, 0);
	while (!wt_post_is_sent(client))
		if (!go_on(POLL))
			return;
	ahead.turn = 1 - ahead.turn;
	if (!ahead.contexts[ahead.turn])
		ahead.contexts[ahead.turn] = AllocSetContextCreate(
			TopMemoryContext, "windtrap load ahead", ALLOCSET_DEFAULT_SIZES);
	context = ahead.contexts[ahead.turn];
	MemoryContextReset(context);
	ahead.load = (WtLoad){.forwarder = load->forwarder,
						  .context = context,
						  .limit = load->limit,
						  .max_bytes = load->max_bytes,
						  .part = -1};
	MemoryContextSwitchTo(context);
	ahead.is_read =
		wt_forward_step(prepare_ahead, load, "reading the outbox", &failure) &&
		ahead.load.n > 0;
	MemoryContextSwitchTo(old);
}

bool
wt_http_next_load(WtLoad *load)
{
	if (!ahead.is_read)
		return false;
	ahead.is_read = false;
	*load = ahead.load;
	body = ahead.body;
	return true;
}

/*
 * Delivery
 */

/* An event is refused, for the reason that has just been given. */
static void
refuse(const WtLoad *load, WtLoadEvent *event)
{
	char *copy =
		MemoryContextAllocExtended(load->context, strlen(message) + 1, MCXT_ALLOC_NO_OOM);

	if (copy)
		strcpy(copy, message);
	event->result = WT_LOAD_REFUSED;
	event->error = copy ? copy : "out of memory";
}

/*
 * Goes by what an answer has said of some events: where some are refused they are sent again by
 * halves, until those are alone.  False, and *failure, where the load stays here.
 */
static bool
settle(WtLoad *load, int first, int n, WtVerdict verdict, WtForwardFailure *failure)
{
	static char all_refused[WT_VERDICT_MESSAGE + 64];

	if (verdict == WT_VERDICT_TAKEN)
	{
		load->n_refused = -1;
		for (int i = first; i < first + n; i++)
			load->events[i].result = WT_LOAD_ACCEPTED;
		return true;
	}
	if (verdict == WT_VERDICT_TOO_LARGE && n > 1)
		return false;
	if (verdict != WT_VERDICT_SOME_REFUSED && verdict != WT_VERDICT_TOO_LARGE)
		return false;
	if (n > 1)
	{
		int half = n / 2;

		return begin_part(load, first, half, failure) &&
			   settle(load, first, half, finish(load, half, failure), failure) &&
			   begin_part(load, first + half, n - half, failure) &&
			   settle(load, first + half, n - half, finish(load, n - half, failure),
					  failure);
	}
	refuse(load, &load->events[first]);
	if (!wt_load_refuses_all(load))
		return true;
	snprintf(all_refused, sizeof(all_refused),
			 "it refuses every event, the last one because: %s", message);
	return fail(failure, all_refused);
}

static void
move_on(void *arg)
{
	wt_load_move_on(arg);
}

bool
wt_http_deliver(WtLoad *load, WtForwardFailure *failure)
{
	bool is_begun = ahead.is_under_way;
	WtForwardFailure none;
	WtVerdict verdict;
	bool ok;

	ahead.is_under_way = false;
	if (!is_begun && !begin_part(load, 0, load->n, failure))
		return false;
	read_ahead(load);
	verdict = finish(load, load->n, failure);
	is_probed = (verdict == WT_VERDICT_TAKEN);
	if (verdict != WT_VERDICT_TAKEN)
		drop_ahead();
	else if (ahead.is_read && read_token(load, &none))
		ahead.is_under_way = begin(load, &ahead.body, &none);
	ok = settle(load, 0, load->n, verdict, failure) &&
		 wt_forward_step(move_on, load, "noting what is forwarded", failure);
	if (!ok)
		drop_ahead();
	return ok;
}

bool
wt_http_check(WtLoad *load, WtForwardFailure *failure)
{
	if (is_probed)
		return read_token(load, failure);
	if (!begin_part(load, 0, 0, failure))
		return false;
	is_probed = finish(load, 0, failure) == WT_VERDICT_TAKEN;
	return is_probed;
}
