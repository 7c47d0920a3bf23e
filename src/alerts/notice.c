/*
 * notice.c
 *		What an alert tells: a notification in JSON, and the same as an event of the log.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "alerts/notice.h"
#include "base/collector.h"
#include "base/severities.h"
#include "base/unix_time.h"
#include "event/enrich.h"
#include "event/json.h"

/* What is told of why an alert cannot be evaluated, bytes. */
#define MAX_REASON 500

static const WtEndpoint endpoint = {.name = WT_ALERT_PROTOCOL};

/* Parses the event; what the parser has is kept, since it is used again and again. */
static WtJson json;

static void
put_string(StringInfo out, const char *name, const char *value)
{
	appendStringInfo(out, "\"%s\": ", name);
	if (value)
		escape_json(out, value);
	else
		appendStringInfoString(out, "null");
}

static void
put_time(StringInfo out, const char *name, TimestampTz time)
{
	char text[MAXDATELEN + 1];

	JsonEncodeDateTime(text, TimestampTzGetDatum(time), TIMESTAMPTZOID, NULL);
	put_string(out, name, text);
}

static const char *
cut_reason(const char *reason)
{
	if (!reason)
		return NULL;
	return pnstrdup(reason,
					(Size) pg_mbcliplen(reason, (int) strlen(reason), MAX_REASON));
}

static const char *
make_message(const WtAlertRule *rule, WtAlertState state, const WtAlertOutcome *outcome)
{
	const char *events;

	if (state == WT_ALERT_ERROR)
		return psprintf("alert \"%s\" cannot be evaluated: %s", rule->name,
						cut_reason(outcome->reason));
	events =
		psprintf(INT64_FORMAT " events in %s, and it fires at %s " INT64_FORMAT,
				 outcome->value, rule->window_text, rule->comparison, rule->threshold);
	return psprintf(state == WT_ALERT_FIRING ? "alert \"%s\" fires: %s"
											 : "alert \"%s\" is over: %s",
					rule->name, events);
}

/* The alert itself, which all that is told has in common. */
static const char *
make_alert(const WtAlertRule *rule, WtAlertState state, TimestampTz since,
		   const WtAlertOutcome *outcome, bool with_query)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	put_string(&out, "name", rule->name);
	appendStringInfoString(&out, ", ");
	put_string(&out, "state", wt_alert_states[state]);
	if (state != WT_ALERT_ERROR)
		appendStringInfo(&out, ", \"value\": " INT64_FORMAT, outcome->value);
	appendStringInfo(&out, ", \"comparison\": \"%s\", \"threshold\": " INT64_FORMAT,
					 rule->comparison, rule->threshold);
	appendStringInfo(&out, ", \"window_seconds\": %.15g, ", rule->window_seconds);
	if (with_query)
	{
		put_string(&out, "query", text_to_cstring(rule->query));
		appendStringInfoString(&out, ", ");
	}
	if (state == WT_ALERT_ERROR)
	{
		put_string(&out, "reason", cut_reason(outcome->reason));
		appendStringInfoString(&out, ", ");
	}
	put_time(&out, "since", since);
	appendStringInfoString(&out, ", ");
	put_time(&out, "evaluated", outcome->at);
	appendStringInfoChar(&out, '}');
	return out.data;
}

static const char *
make_body(const WtNotice *notice, const char *alert)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"id\": \"%s\", ", notice->id);
	put_string(&out, "text", notice->message);
	appendStringInfoString(&out, ", ");
	put_string(&out, "collector", wt_collector.name);
	appendStringInfo(&out, ", \"alert\": %s}", alert);
	return out.data;
}

static void
make_row(WtNotice *notice, WtAlertState state, const char *alert, TimestampTz now)
{
	WtRequest *request = palloc0(sizeof(*request));
	WtEnvelope *envelope;
	WtDecoded decoded = {0};
	WtJsonError error;
	StringInfoData event;

	initStringInfo(&event);
	appendStringInfoChar(&event, '{');
	put_string(&event, "message", notice->message);
	appendStringInfo(
		&event, ", \"severity\": \"%s\", \"alert\": %s}",
		wt_severity_names[state == WT_ALERT_OK ? WT_SEVERITY_INFO : WT_SEVERITY_ERROR],
		alert);
	request->endpoint = &endpoint;
	request->method = request->path = "";
	request->source = "windtrap";
	request->received_us = wt_unix_us(now);
	envelope = wt_enrich_request(request);
	wt_enrich_set_id(envelope, notice->id);
	/* Texts of a database whose encoding is none may be anything. */
	json.repair = true;
	if (wt_json_parse(&json, event.data, (size_t) event.len, &error) != WT_JSON_OK)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	notice->row.event_timestamp = wt_enrich_time(envelope, &decoded);
	notice->row.data = wt_enrich_event(envelope, &json, &decoded);
}

void
wt_notice_make(WtNotice *notice, const WtAlertRule *rule, WtAlertState state,
			   TimestampTz since, const WtAlertOutcome *outcome)
{
	TimestampTz now = GetCurrentTimestamp();
	const char *alert = make_alert(rule, state, since, outcome, true);

	memset(notice, 0, sizeof(*notice));
	wt_uuid_v7(wt_unix_us(now), notice->id);
	notice->message = make_message(rule, state, outcome);
	notice->body = notice->payload = make_body(notice, alert);
	if (strlen(notice->payload) >= WT_MAX_PAYLOAD)
		notice->payload =
			make_body(notice, make_alert(rule, state, since, outcome, false));
	make_row(notice, state, alert, now);
}
