/*
 * step.c
 *		The transactions of a forwarder, and why one has failed.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "base/process.h"
#include "forward/step.h"

/* A transaction may take this long, ms. */
#define TIMEOUT (30 * 1000)

const WtWatch *wt_forward_watch;

void
wt_forward_note(WtForwardFailure *failure, const ErrorData *error)
{
	const char *message = error->message ? error->message : "unknown error";
	WtFailure known;

	memset(failure, 0, sizeof(*failure));
	wt_failure_note(&known, error);
	failure->blame = known.blame;
	failure->sqlstate = error->sqlerrcode;
	/* Other details may quote the row, which is nobody's who reads the log. */
	if (error->detail &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_CONNECTION_EXCEPTION)
		failure->message = psprintf("%s: %s", message, error->detail);
	else
		failure->message = pstrdup(message);
}

/* What a transaction does. */
typedef struct Step
{
	void (*what)(void *arg);
	void *arg;
} Step;

static void
run_step(void *arg)
{
	const Step *step = arg;
	MemoryContext context = CurrentMemoryContext;

	if (wt_stop_requested)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("stopping")));
	SPI_connect();
	MemoryContextSwitchTo(context);
	step->what(step->arg);
	SPI_finish();
}

/*
 * Each statement has to see what was committed before it.  What is lost when the machine stops
 * is forwarded again; what is deleted from the outbox comes after it in the log, and so cannot
 * be lost alone.
 */
bool
wt_forward_step(void (*what)(void *arg), void *arg, const char *activity,
				WtForwardFailure *failure)
{
	const WtTransaction how = {.activity = activity,
							   .timeout = TIMEOUT,
							   .may_be_lost = true,
							   .read_committed = true,
							   .watch = wt_forward_watch};
	Step step = {what, arg};
	ErrorData *error = wt_transact_as(&how, run_step, &step);

	if (!error)
		return true;
	wt_forward_note(failure, error);
	FreeErrorData(error);
	return false;
}
