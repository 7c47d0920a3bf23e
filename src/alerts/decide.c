/*
 * decide.c
 *		An evaluation → how the alert stands, and what is told of that.
 *
 * An alert tells when it stands otherwise than it told last, so whatever happens between two
 * evaluations (a restart, a failover, a silence) it tells once that it fires, and once that it
 * is over.  That it cannot be evaluated it tells when that lasts.
 *
 * What can go wrong with the event (a table that is locked, or refuses it) or with the NOTIFY (its
 * queue is full) must not keep the rest from being told: then it is done without that, and the
 * alert says so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "alerts/decide.h"
#include "alerts/notice.h"
#include "base/helper.h"
#include "base/process.h"
#include "base/settings.h"
#include "base/sql.h"
#include "base/transact.h"
#include "output/stdout.h"
#include "store/store.h"

/* An evaluation that fails so often in a row is told. */
#define FAILURES_TOLD 3

/* What a transaction may take, ms. */
#define TIMEOUT 4000

/* How an alert stands after an evaluation. */
typedef struct Stand
{
	WtAlertState state;
	TimestampTz since;
	int failures;
	bool tells;
} Stand;

/* A way to note an outcome. */
typedef struct Note
{
	const WtAlertRule *rule;
	const WtAlertOutcome *outcome;
	const WtNotice *notice; /* NULL: nothing is told */
	bool by_channel;
	const char *undone; /* what is not told, and why; NULL: all is */

	bool is_stale;	 /* the alert has been changed since it was read: nothing is noted */
	bool is_written; /* all but the commit is done */
} Note;

static Stand
stand_of(const WtAlertRule *rule, const WtAlertOutcome *outcome)
{
	Stand stand = {.state = WT_ALERT_ERROR, .since = outcome->at};

	if (!outcome->reason)
		stand.state =
			wt_alert_is_met(rule, outcome->value) ? WT_ALERT_FIRING : WT_ALERT_OK;
	else
		stand.failures = rule->failures + 1;
	if (stand.state == rule->state)
		stand.since = rule->since;
	stand.tells = !rule->is_silenced && stand.state != rule->told &&
				  (!outcome->reason || stand.failures >= FAILURES_TOLD);
	return stand;
}

static void
update(const Note *note, const Stand *stand)
{
	const WtAlertOutcome *outcome = note->outcome;
	Oid types[] = {TEXTOID,	  TEXTOID,		  TIMESTAMPTZOID, TEXTOID, INT4OID, INT8OID,
				   FLOAT8OID, TIMESTAMPTZOID, FLOAT8OID,	  BOOLOID, TEXTOID};
	Datum values[lengthof(types)];
	char nulls[lengthof(types) + 1];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(note->rule->name);
	values[1] = CStringGetTextDatum(wt_alert_states[stand->state]);
	values[2] = TimestampTzGetDatum(stand->since);
	values[3] = CStringGetTextDatum(outcome->reason ? outcome->reason : "");
	values[4] = Int32GetDatum(stand->failures);
	values[5] = Int64GetDatum(outcome->value);
	values[6] = Float8GetDatum(wt_alert_interval / 1000.0);
	values[7] = TimestampTzGetDatum(outcome->at);
	values[8] = Float8GetDatum(outcome->took);
	values[9] = BoolGetDatum(note->notice != NULL);
	values[10] = CStringGetTextDatum(note->undone ? note->undone : "");
	nulls[5] = outcome->reason ? 'n' : ' ';
	wt_sql_run("UPDATE windtrap.alert_rule SET state = $2, since = $3, "
			   "reason = nullif($4, ''), failures = $5, value = coalesce($6, value), "
			   "due = $8 + make_interval(secs => $7), evaluated = $8, took = $9, "
			   "told = CASE WHEN $10 THEN $2 ELSE told END, "
			   "notified = CASE WHEN $10 THEN clock_timestamp() ELSE notified END, "
			   "notify_error = CASE WHEN $10 THEN nullif($11, '') ELSE notify_error END "
			   "WHERE name = $1",
			   lengthof(types), types, values, nulls);
}

static void
write_delivery(const Note *note)
{
	Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(note->notice->id),
					  CStringGetTextDatum(note->rule->name),
					  CStringGetTextDatum(note->notice->body)};

	wt_sql_run("INSERT INTO windtrap.alert_delivery (id, alert, body) "
			   "VALUES ($1::uuid, $2, $3)",
			   3, types, values, NULL);
}

/* In a transaction; of what was decided nothing may have changed since. */
static void
write_note(void *arg)
{
	Note *note = arg;
	WtAlertRule now;
	Stand stand;

	note->is_written = false;
	wt_sql_connect();
	note->is_stale =
		!wt_alert_lock(note->rule->name, &now) || now.changed != note->rule->changed;
	if (!note->is_stale)
	{
		stand = stand_of(&now, note->outcome);
		note->is_stale = stand.tells != (note->notice != NULL);
	}
	/* Its event must not be stored either. */
	if (note->is_stale)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the alert has been changed meanwhile")));
	update(note, &stand);
	if (note->notice && now.has_webhook)
		write_delivery(note);
	if (note->notice && note->by_channel)
		Async_Notify(note->rule->channel, note->notice->payload);
	SPI_finish();
	note->is_written = true;
}

/* Without an event; false, and *why. */
static bool
note_alone(Note *note, const char **why)
{
	const WtTransaction how = {.activity = "noting how an alert stands",
							   .timeout = TIMEOUT,
							   .lock_timeout = "1s",
							   /* What is told must be decided for good. */
							   .may_be_lost = note->notice == NULL,
							   .read_committed = true};
	ErrorData *error = wt_transact_as(&how, write_note, note);

	if (!error)
		return true;
	*why = pstrdup(error->message);
	FreeErrorData(error);
	return false;
}

/* With its event; false, and *why, where nothing is noted. */
static bool
note_with_event(Note *note, WtNotice *notice, const char **why)
{
	WtStoreCallbacks callbacks = {.beside = write_note, .arg = note};
	WtRow *row = &notice->row;

	row->result = WT_STORE_PENDING;
	row->error = NULL;
	wt_store_rows(&row, 1, &callbacks, TIMEOUT);
	switch (row->result)
	{
		case WT_STORE_COMMITTED:
			wt_stdout_write(&row, 1);
			return true;
		case WT_STORE_REFUSED:
			/* By the table alone. */
		case WT_STORE_PENDING:
		case WT_STORE_QUARANTINED:
		case WT_STORE_DUPLICATE:
		case WT_STORE_CONFLICT:
		case WT_STORE_UNAVAILABLE:
		case WT_STORE_CANCELLED:
			break;
	}
	*why = row->error ? row->error : "it does not say why";
	return row->result == WT_STORE_REFUSED;
}

static void
add_undone(Note *note, const char *what, const char *why)
{
	note->undone = psprintf("%s%s%s: %s", note->undone ? note->undone : "",
							note->undone ? "; " : "", what, why);
}

static void
write_undone(void *arg)
{
	const Note *note = arg;
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(note->rule->name),
					  CStringGetTextDatum(note->undone)};

	wt_sql_connect();
	wt_sql_run("UPDATE windtrap.alert_rule SET notify_error = $2 WHERE name = $1", 2,
			   types, values, NULL);
	SPI_finish();
}

/* Tells in whatever way there is; false, and *why, where it could not be told at all. */
static bool
tell(Note *note, WtNotice *notice, const char **why)
{
	bool with_event = true;

	note->notice = notice;
	note->by_channel = note->rule->channel != NULL;
	for (;;)
	{
		bool done;

		/* What fails before it comes to that says nothing of it. */
		note->is_written = note->is_stale = false;
		done = with_event ? note_with_event(note, notice, why) : note_alone(note, why);
		if (done && with_event && notice->row.result == WT_STORE_REFUSED)
		{
			add_undone(note, "no event, which the log table refuses", *why);
			/* What cannot be noted is in the server's log. */
			(void) wt_transact(write_undone, note, "noting how an alert stands", TIMEOUT);
		}
		if (done || note->is_stale || wt_stop_requested)
			return done;
		/* What fails at the end, when all is written, is the NOTIFY; else it is the event. */
		if (note->is_written && note->by_channel)
		{
			add_undone(note, "no NOTIFY", *why);
			note->by_channel = false;
		}
		else if (with_event)
		{
			add_undone(note, "no event", *why);
			with_event = false;
		}
		else
			return false;
	}
}

bool
wt_alert_decide(const WtAlertRule *rule, const WtAlertOutcome *outcome, const char **why)
{
	Note note = {.rule = rule, .outcome = outcome};
	Stand stand = stand_of(rule, outcome);
	WtNotice notice;
	bool done;

	*why = NULL;
	if (!stand.tells)
		done = note_alone(&note, why);
	else
	{
		wt_notice_make(&notice, rule, stand.state, stand.since, outcome);
		done = tell(&note, &notice, why);
		if (done)
		{
			ereport(LOG, (errmsg("windtrap: %s", notice.message),
						  note.undone ? errdetail_internal("%s", note.undone) : 0));
			if (rule->has_webhook)
			{
				wt_helper_want(WT_HELPER_WEBHOOKS, true);
				wt_helper_wake(WT_HELPER_WEBHOOKS);
			}
		}
	}
	/* It is looked at again at once. */
	return done || note.is_stale || wt_stop_requested;
}
