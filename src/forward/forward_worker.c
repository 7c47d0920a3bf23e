/*
 * forward_worker.c
 *		The life of a process that forwards events to one target.
 *
 * Each target has a process of its own, so that one that hangs or refuses delays nobody
 * else.  It forwards what is there; then it sleeps until a worker that has committed a
 * batch wakes it.  While the target does not take events, it tries again after pauses that
 * grow and are drawn at random, so that those who wait for one server do not come back to
 * it all at once.
 *
 * A client library can hang where it lets nothing interrupt it; a hung target would then
 * keep the server from shutting down.  So a transaction is watched, and where it goes on
 * long after it has been cancelled, the process's own connections are shut: every library
 * can cope with a peer that has gone.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/identity.h"
#include "base/monotonic.h"
#include "base/process.h"
#include "base/transact.h"
#include "forward/forward.h"
#include "forward/forward_status.h"
#include "forward/forward_worker.h"
#include "forward/http_target.h"
#include "forward/step.h"

/* With nothing to forward, looking for what nobody wakes us for, ms: dead letters. */
#define IDLE_POLL 2000

/* After what was there has been forwarded, ms: events that come one by one go together. */
#define LINGER 50

/* Pauses while the target fails are drawn from 0 to a limit that doubles, ms. */
#define FIRST_PAUSE 500
#define LAST_PAUSE 60000
#define LEAST_PAUSE 20

/* What a target may ask to wait beside that, s. */
#define MAX_RETRY_AFTER 3600

/* While the extension is absent, ms. */
#define EXTENSION_POLL 2000

/* Descriptors that a connection may have. */
#define MAX_DESCRIPTORS 4096

static WtForwarderStatus *me;

/*
 * Shuts every connection of this process.  All that has a peer belongs to foreign servers:
 * PostgreSQL's own processes have none.  In a signal handler: system calls only.
 */
static void
shut_connections(void)
{
	int saved = errno;

	for (int fd = 3; fd < MAX_DESCRIPTORS; fd++)
	{
		struct sockaddr_storage peer;
		socklen_t length = sizeof(peer);

		if (getpeername(fd, (struct sockaddr *) &peer, &length) == 0)
			(void) shutdown(fd, SHUT_RDWR);
	}
	errno = saved;
}

static const WtWatch watch = {
	.looks_after_timeout = 10,
	.looks_after_stop = 3,
	.until_undone = true,
	.act = shut_connections,
};

/* Says once that the target fails, and once that it works again. */
static void
report(WtForwardState state, const char *error)
{
	WtForwardState before = me->state;

	wt_forwarder_set_state(state, error);
	if (state == WT_FORWARD_FAILING && before != WT_FORWARD_FAILING)
		ereport(LOG,
				(errmsg("windtrap: cannot forward events to %s: %s", me->target, error),
				 errhint("It will try again; events are kept in the outbox.")));
	else if (state == WT_FORWARD_WORKING && before == WT_FORWARD_FAILING)
		ereport(LOG, (errmsg("windtrap: forwarding events to %s again", me->target)));
}

/* Forwards once; gives ms until the next time. */
static long
work(void)
{
	static double pause_limit = 0;
	WtForwardFailure failure;
	long next = 0;

	switch (wt_forward(me, &failure))
	{
		case WT_FORWARD_NO_EXTENSION:
			report(WT_FORWARD_WAITING, NULL);
			return EXTENSION_POLL;
		case WT_FORWARD_AGAIN:
		case WT_FORWARD_CANCELLED:
			return 0;
		case WT_FORWARD_FAILED:
			report(WT_FORWARD_FAILING, failure.message);
			pause_limit =
				pause_limit == 0 ? FIRST_PAUSE : Min(pause_limit * 2, LAST_PAUSE);
			/* A target's own word comes first, but it cannot send us away for ever. */
			return Min(failure.retry_after, MAX_RETRY_AFTER) * 1000L + LEAST_PAUSE +
				   (long) (pg_prng_double(&pg_global_prng_state) * pause_limit);
		case WT_FORWARD_NOTHING:
			next = IDLE_POLL;
			break;
		case WT_FORWARD_SOME:
			next = LINGER;
			break;
		case WT_FORWARD_MORE:
			next = 0;
			break;
	}
	pause_limit = 0;
	report(WT_FORWARD_WORKING, NULL);
	return next;
}

/*
 * Sleeps; being woken for a batch does not end a pause that a failure has made.  By the clock that
 * only goes on: by the calendar's one that is set back by hours would be a pause of hours.
 */
static void
rest(long ms)
{
	bool woken = false;
	int64_t until = wt_monotonic_ms() + ms;

	while (!wt_stop_requested && !woken)
	{
		long left = (long) (until - wt_monotonic_ms());

		if (left <= 0)
			break;
		(void) wt_process_nap(left);
		woken = (me->state != WT_FORWARD_FAILING || wt_process_reloaded());
	}
}

void
windtrap_forward_main(Datum arg)
{
	MemoryContext context;
	WtWorkerArgs args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	wt_process_begin(wt_http_reload);
	me = wt_forwarder_begin(DatumGetInt32(arg));
	wt_connect(args.database);
	wt_forward_watch = &watch;
	context = AllocSetContextCreate(TopMemoryContext, "windtrap forwarder",
									ALLOCSET_DEFAULT_SIZES);

	while (!wt_stop_requested)
	{
		long next;

		MemoryContextSwitchTo(context);
		next = work();
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		/* Without this autovacuum never learns of the rows. */
		pgstat_report_stat(false);
		if (!wt_stop_requested)
			rest(next);
	}
	proc_exit(0);
}
