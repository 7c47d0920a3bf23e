/*
 * stats.c
 *		The counters: of all workers together for /metrics and windtrap.metrics, of each
 *		for windtrap.stats.
 *
 * A reset changes no counter, since each has one writer and that is not who resets:
 * it notes what they are, and from then on the difference is told.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "forward/forward_status.h"
#include "store/outbox.h"
#include "base/datum.h"
#include "base/shared.h"
#include "ring/ring.h"
#include "views/stats.h"
#include "views/status.h"

PG_FUNCTION_INFO_V1(windtrap_stats);
PG_FUNCTION_INFO_V1(windtrap_metrics);
PG_FUNCTION_INFO_V1(windtrap_intakes);
PG_FUNCTION_INFO_V1(windtrap_reset_stats);

typedef struct Visitor
{
	void (*visit)(const WtStat *stat, void *arg);
	void *arg;
} Visitor;

/* What a worker has counted since the last reset. */
static void
read_counters(int number, WtCounters *counters)
{
	const volatile uint64 *now = (const volatile uint64 *) &wt_shared->counters[number];
	uint64 *out = (uint64 *) counters;

	memcpy(counters, &wt_shared->counters[number], sizeof(WtCounters));
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (size_t k = 0; k < WT_N_COUNTERS; k++)
		out[k] = now[k] - wt_shared->baseline[number][k];
	LWLockRelease(&wt_shared->lock);
}

static void
visit_number(const Visitor *v, WtStatKind kind, const char *name, const char *help,
			 const char *label, const char *label_value, double value)
{
	WtStat stat = {name, help, kind, "", label, label_value, value};

	v->visit(&stat, v->arg);
}

/* A histogram as Prometheus has it: cumulative buckets, sum and count; unit divides. */
static void
visit_histogram(const Visitor *v, const char *name, const char *help,
				const WtHistogram *histogram, const uint64 *bounds, double unit)
{
	WtStat stat = {name, help, WT_STAT_HISTOGRAM, "_bucket", "le", NULL, 0};
	char bound[32];
	uint64 count = 0;

	for (int i = 0; bounds[i] != 0; i++)
	{
		count += histogram->buckets[i];
		snprintf(bound, sizeof(bound), "%g", (double) bounds[i] / unit);
		stat.label_value = bound;
		stat.value = (double) count;
		v->visit(&stat, v->arg);
	}
	for (int i = 0; i <= WT_MAX_BOUNDS; i++)
		if (i == WT_MAX_BOUNDS || bounds[i] == 0)
		{
			count += histogram->buckets[i];
			break;
		}
	stat.label_value = "+Inf";
	stat.value = (double) count;
	v->visit(&stat, v->arg);
	stat.label = NULL;
	stat.suffix = "_sum";
	stat.value = (double) histogram->sum / unit;
	v->visit(&stat, v->arg);
	stat.suffix = "_count";
	stat.value = (double) count;
	v->visit(&stat, v->arg);
}

static void
visit_counters(const Visitor *v, const WtCounters *c)
{
	for (int i = 0; i < WT_N_CODES; i++)
	{
		char code[16];

		snprintf(code, sizeof(code), "%d", wt_codes[i]);
		visit_number(v, WT_STAT_COUNTER, "requests_total", "Requests answered, by code.",
					 "code", wt_codes[i] ? code : "other", (double) c->requests[i]);
	}
	for (int i = WT_REASON_NONE + 1; i < WT_N_REASONS; i++)
		visit_number(v, WT_STAT_COUNTER, "requests_refused_total",
					 "Requests not answered with success, by reason.", "reason",
					 wt_reason_names[i], (double) c->requests_refused[i]);
	for (int i = WT_REASON_NONE + 1; i < WT_N_REASONS; i++)
		visit_number(
			v, WT_STAT_COUNTER, "events_refused_total",
			"Events of batches that could not be stored as they were, by reason.",
			"reason", wt_reason_names[i], (double) c->events_refused[i]);
	visit_number(v, WT_STAT_COUNTER, "events_accepted_total", "Events committed.", NULL,
				 NULL, (double) c->events_accepted);
	visit_number(v, WT_STAT_COUNTER, "events_quarantined_total",
				 "Events committed into quarantine.", NULL, NULL,
				 (double) c->events_quarantined);
	visit_number(v, WT_STAT_COUNTER, "duplicates_total",
				 "Events sent again that were stored already, by their keys.", NULL, NULL,
				 (double) c->duplicates);
	visit_number(v, WT_STAT_COUNTER, "received_bytes_total",
				 "Bytes of request bodies received.", NULL, NULL,
				 (double) c->bytes_received);
	visit_number(v, WT_STAT_COUNTER, "decoded_bytes_total",
				 "Bytes of request bodies decoded, after inflation.", NULL, NULL,
				 (double) c->bytes_decoded);
	for (int i = 0; i < WT_N_INTAKES; i++)
		visit_number(v, WT_STAT_COUNTER, "messages_received_total",
					 "Messages taken that came by no HTTP request, by their way.",
					 "intake", wt_intake_names[i], (double) c->messages_received[i]);
	for (int i = 0; i < WT_N_INTAKES; i++)
		visit_number(v, WT_STAT_COUNTER, "messages_stored_total",
					 "Those of them that were committed, by their way.", "intake",
					 wt_intake_names[i], (double) c->messages_stored[i]);
	for (int i = WT_REASON_NONE + 1; i < WT_N_REASONS; i++)
		visit_number(v, WT_STAT_COUNTER, "messages_dropped_total",
					 "Messages and connections of such senders dropped, by reason.",
					 "reason", wt_reason_names[i], (double) c->messages_dropped_by[i]);
	visit_number(v, WT_STAT_COUNTER, "stdout_written_total",
				 "Committed events written as lines to windtrap.stdout.", NULL, NULL,
				 (double) c->stdout_written);
	visit_number(v, WT_STAT_COUNTER, "stdout_dropped_total",
				 "Committed events not written to windtrap.stdout.", NULL, NULL,
				 (double) c->stdout_dropped);
	visit_histogram(v, "request_duration_seconds",
					"Time from a request's first line to its answer.", &c->request_us,
					wt_time_bounds, 1e6);
	visit_histogram(v, "commit_duration_seconds",
					"Time that storing a batch took, with its commit.", &c->commit_us,
					wt_time_bounds, 1e6);
	visit_histogram(v, "batch_events", "Events in each transaction.", &c->batch_events,
					wt_size_bounds, 1);
}

/* Which kinds of processes do what they are there for: of several, whether all do. */
static void
visit_processes(const Visitor *v)
{
	static const char help[] =
		"Whether all processes of a kind do what they are there for: 1, or 0.";
	WtProcessesUp up;

	wt_processes_up(&up);
	visit_number(v, WT_STAT_GAUGE, "process_up", help, "kind", "launcher", up.launcher);
	visit_number(v, WT_STAT_GAUGE, "process_up", help, "kind", "worker",
				 up.wanted_workers > 0 && up.workers >= up.wanted_workers);
	visit_number(v, WT_STAT_GAUGE, "process_up", help, "kind", "upkeep", up.upkeep);
	if (up.wanted_viewers > 0)
		visit_number(v, WT_STAT_GAUGE, "process_up", help, "kind", "viewer",
					 up.viewers >= up.wanted_viewers);
	if (up.wanted_forwarders > 0)
		visit_number(v, WT_STAT_GAUGE, "process_up", help, "kind", "forwarder",
					 up.forwarders >= up.wanted_forwarders);
	for (int i = 0; i < WT_N_HELPERS; i++)
		if (up.wanted_helpers[i])
			visit_number(v, WT_STAT_GAUGE, "process_up", help, "kind", wt_helper_names[i],
						 up.helpers[i]);
}

static void
visit_gauges(const Visitor *v)
{
	int workers = 0;
	uint64 connections = 0;
	uint64 bytes = 0;
	uint64 intake_connections[WT_N_INTAKES] = {0};
	uint64 intake_bytes = 0;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		workers += (wt_shared->workers[i].state == WT_STATE_LISTENING);
		connections += wt_shared->counters[i].connections;
		bytes += wt_shared->counters[i].bytes_in_flight;
		for (int k = 0; k < WT_N_INTAKES; k++)
			intake_connections[k] += wt_shared->counters[i].intake_connections[k];
		intake_bytes += wt_shared->counters[i].intake_bytes;
	}
	LWLockRelease(&wt_shared->lock);
	visit_number(v, WT_STAT_GAUGE, "workers", "Workers that listen.", NULL, NULL,
				 workers);
	visit_processes(v);
	visit_number(v, WT_STAT_GAUGE, "connections", "Connections that are open.", NULL,
				 NULL, (double) connections);
	visit_number(v, WT_STAT_GAUGE, "inflight_bytes",
				 "Bytes of request bodies that are in memory.", NULL, NULL,
				 (double) bytes);
	for (int k = 0; k < WT_N_INTAKES; k++)
		if (!wt_is_by_datagram(k))
			visit_number(v, WT_STAT_GAUGE, "intake_connections",
						 "Connections of senders that speak no HTTP, by their way.",
						 "intake", wt_intake_names[k], (double) intake_connections[k]);
	visit_number(v, WT_STAT_GAUGE, "intake_bytes",
				 "Bytes of their messages that are in memory.", NULL, NULL,
				 (double) intake_bytes);
}

/* One number of each forwarder. */
static void
visit_forwarders(const Visitor *v)
{
	WtForwarderStatus forwarders[WT_MAX_TARGETS];
	int64 lag[WT_MAX_TARGETS];
	double seconds[WT_MAX_TARGETS];
	int n = wt_forwarders_read(forwarders, lag, seconds);

	for (int i = 0; i < n; i++)
		visit_number(
			v, WT_STAT_GAUGE, "forward_working",
			"Whether events are forwarded to a target: 1, or 0 while that fails.",
			"target", forwarders[i].target,
			forwarders[i].pid != 0 && forwarders[i].state == WT_FORWARD_WORKING);
	for (int i = 0; i < n; i++)
		visit_number(v, WT_STAT_GAUGE, "forward_lag_events",
					 "Events that a target has not got yet.", "target",
					 forwarders[i].target, (double) lag[i]);
	for (int i = 0; i < n; i++)
		visit_number(v, WT_STAT_GAUGE, "forward_lag_seconds",
					 "How long the oldest of them has been waiting.", "target",
					 forwarders[i].target, seconds[i]);
	for (int i = 0; i < n; i++)
		visit_number(v, WT_STAT_COUNTER, "forward_delivered_total",
					 "Events that a target has got.", "target", forwarders[i].target,
					 (double) forwarders[i].delivered);
	for (int i = 0; i < n; i++)
		visit_number(v, WT_STAT_GAUGE, "forward_dead_letters",
					 "Events that a target refused too often to be tried again.",
					 "target", forwarders[i].target, (double) forwarders[i].dead);
	visit_number(v, WT_STAT_GAUGE, "outbox_bytes",
				 "Bytes of the events that wait to be forwarded.", NULL, NULL,
				 (double) Max(wt_outbox_size(), 0));
	visit_number(v, WT_STAT_COUNTER, "outbox_dropped_events_total",
				 "Events dropped from the outbox because it was full.", NULL, NULL,
				 (double) pg_atomic_read_u64(&wt_shared->outbox.events_dropped));
}

static void
visit_upkeep(const Visitor *v)
{
	int failures;
	TimestampTz last;
	bool waits;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	failures = wt_shared->upkeep_failures.n;
	last = wt_shared->upkeep.last_success;
	waits = wt_shared->clock.waits;
	LWLockRelease(&wt_shared->lock);
	visit_number(v, WT_STAT_GAUGE, "upkeep_failures",
				 "What the last round of the upkeep could not do; see "
				 "windtrap.upkeep_failures.",
				 NULL, NULL, failures);
	visit_number(v, WT_STAT_GAUGE, "upkeep_last_success_timestamp_seconds",
				 "When a round of the upkeep last did all that it had to do; 0: never.",
				 NULL, NULL,
				 last == 0 ? 0 : (double) (last - SetEpochTimestamp()) / USECS_PER_SEC);
	visit_number(v, WT_STAT_GAUGE, "clock_jump",
				 "Whether nothing is dropped because the clock is not believed.", NULL,
				 NULL, waits);
}

/* What the server's own processes have handed over. */
static void
visit_ring(const Visitor *v)
{
	static const char *const kinds[WT_RING_KINDS] = {
		[WT_RING_EMIT] = "emit", [WT_RING_SERVER_LOG] = "server_log"};
	WtRingStatus ring;

	wt_ring_read_status(&ring);
	for (int i = 0; i < WT_RING_KINDS; i++)
		visit_number(v, WT_STAT_COUNTER, "ring_written_total",
					 "Events that the server's own processes have handed over, by how.",
					 "kind", kinds[i], (double) ring.written[i]);
	for (int i = 0; i < WT_RING_KINDS; i++)
		visit_number(v, WT_STAT_COUNTER, "ring_no_room_total",
					 "Events that did not fit into windtrap.ring_size.", "kind", kinds[i],
					 (double) ring.no_room[i]);
	for (int i = 0; i < WT_RING_KINDS; i++)
		visit_number(v, WT_STAT_COUNTER, "ring_refused_total",
					 "Events dropped since they could not be stored at all.", "kind",
					 kinds[i], (double) ring.given_up[i]);
	visit_number(v, WT_STAT_GAUGE, "ring_bytes",
				 "Bytes of the events that wait there to be stored.", NULL, NULL,
				 (double) ring.used);
}

/* How alerts stand, and what has become of what they told. */
static void
visit_alerts(const Visitor *v)
{
	static const char *const stands[WT_N_STANDS] = {[WT_STAND_NEW] = "new",
													[WT_STAND_OK] = "ok",
													[WT_STAND_FIRING] = "firing",
													[WT_STAND_SILENCED] = "silenced",
													[WT_STAND_ERROR] = "error"};
	static const char *const outcomes[WT_N_OUTCOMES] = {
		[WT_OUTCOME_DELIVERED] = "delivered",
		[WT_OUTCOME_FAILED] = "failed",
		[WT_OUTCOME_GIVEN_UP] = "given_up"};
	WtAlertNumbers alerts;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	alerts = wt_shared->alerts;
	LWLockRelease(&wt_shared->lock);
	for (int i = 0; i < WT_N_STANDS; i++)
		visit_number(v, WT_STAT_GAUGE, "alerts", "Alerts, by how they stand.", "state",
					 stands[i], (double) alerts.standing[i]);
	for (int i = 0; i < WT_N_OUTCOMES; i++)
		visit_number(v, WT_STAT_COUNTER, "alert_posts_total",
					 "Tries to post notifications to webhooks, by what became of them; "
					 "those that failed are tried again.",
					 "result", outcomes[i], (double) alerts.tries[i]);
	visit_number(v, WT_STAT_GAUGE, "alert_posts_waiting",
				 "Notifications that are still to be posted.", NULL, NULL,
				 (double) alerts.waiting);
}

void
wt_stats_visit(void (*visit)(const WtStat *stat, void *arg), void *arg)
{
	Visitor v = {visit, arg};
	WtCounters sum = {0};

	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		WtCounters one;

		read_counters(i, &one);
		for (size_t k = 0; k < WT_N_COUNTERS; k++)
			((uint64 *) &sum)[k] += ((uint64 *) &one)[k];
	}
	visit_counters(&v, &sum);
	visit_gauges(&v);
	visit_upkeep(&v);
	visit_ring(&v);
	visit_forwarders(&v);
	visit_alerts(&v);
}

static void
put_metric(const WtStat *stat, void *arg)
{
	ReturnSetInfo *result = arg;
	Datum values[4];
	bool nulls[4] = {false};

	values[0] = CStringGetTextDatum(psprintf("%s%s", stat->name, stat->suffix));
	nulls[1] = nulls[2] = (stat->label == NULL);
	values[1] = stat->label ? CStringGetTextDatum(stat->label) : (Datum) 0;
	values[2] = stat->label ? CStringGetTextDatum(stat->label_value) : (Datum) 0;
	values[3] = Float8GetDatum(stat->value);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The rows of the view windtrap.metrics. */
Datum
windtrap_metrics(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	wt_stats_visit(put_metric, fcinfo->resultinfo);
	return (Datum) 0;
}

static uint64
histogram_count(const WtHistogram *histogram)
{
	uint64 count = 0;

	for (int i = 0; i <= WT_MAX_BOUNDS; i++)
		count += histogram->buckets[i];
	return count;
}

/* The numbers that are not 0, as an object by their names. */
static Datum
jsonb_by_name(const uint64 *numbers, int n, const char *(*name)(int i))
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < n; i++)
		if (numbers[i] > 0)
			appendStringInfo(&text, "%s\"%s\":" UINT64_FORMAT, text.len > 1 ? "," : "",
							 name(i), numbers[i]);
	appendStringInfoChar(&text, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

static const char *
code_name(int i)
{
	return wt_codes[i] ? psprintf("%d", wt_codes[i]) : "other";
}

static const char *
reason_name(int i)
{
	return wt_reason_names[i];
}

static Datum
ratio(uint64 sum, uint64 count, double unit, bool *is_null)
{
	*is_null = (count == 0);
	return Float8GetDatum(*is_null ? 0 : (double) sum / (double) count / unit);
}

/* The rows of the view windtrap.stats: one for each worker that has ever been. */
Datum
windtrap_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		WtCounters c;
		uint64 requests = 0;
		uint64 messages = 0;
		uint64 transactions;
		Datum values[23];
		bool nulls[23] = {false};
		int n = 0;

		read_counters(i, &c);
		for (int k = 0; k < WT_N_CODES; k++)
			requests += c.requests[k];
		transactions = histogram_count(&c.commit_us);
		for (int k = 0; k < WT_N_INTAKES; k++)
			messages += c.messages_received[k] + c.messages_dropped[k];
		if (wt_shared->workers[i].pid == 0 && requests + messages == 0)
			continue;
		values[n++] = Int32GetDatum(i + 1);
		values[n++] = TimestampTzGetDatum(wt_shared->counting_since);
		values[n++] = Int64GetDatum((int64) requests);
		values[n++] = jsonb_by_name(c.requests, WT_N_CODES, code_name);
		values[n++] = jsonb_by_name(c.requests_refused, WT_N_REASONS, reason_name);
		values[n++] = Int64GetDatum((int64) c.events_accepted);
		values[n++] = Int64GetDatum((int64) c.events_quarantined);
		values[n++] = Int64GetDatum((int64) c.duplicates);
		values[n++] = jsonb_by_name(c.events_refused, WT_N_REASONS, reason_name);
		values[n++] = Int64GetDatum((int64) c.bytes_received);
		values[n++] = Int64GetDatum((int64) c.bytes_decoded);
		values[n++] = Int64GetDatum((int64) transactions);
		values[n] = ratio(c.batch_events.sum, transactions, 1, &nulls[n]);
		n++;
		values[n++] = Int64GetDatum((int64) c.max_batch_events);
		values[n] = ratio(c.commit_us.sum, transactions, 1000, &nulls[n]);
		n++;
		values[n++] = Float8GetDatum((double) c.max_commit_us / 1000);
		values[n] =
			ratio(c.request_us.sum, histogram_count(&c.request_us), 1000, &nulls[n]);
		n++;
		values[n++] = Int64GetDatum((int64) c.connections);
		values[n++] = Int64GetDatum((int64) c.max_connections);
		values[n++] = Int64GetDatum((int64) c.bytes_in_flight);
		values[n++] = Int64GetDatum((int64) c.stdout_written);
		values[n++] = Int64GetDatum((int64) c.stdout_dropped);
		values[n++] = jsonb_by_name(c.messages_dropped_by, WT_N_REASONS, reason_name);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * The rows of the view windtrap.intakes: of each worker one for each way by which it listens, should
 * listen, or has counted something.
 */
Datum
windtrap_intakes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		WtCounters c;
		WtIntakeStatus status;

		read_counters(i, &c);
		LWLockAcquire(&wt_shared->lock, LW_SHARED);
		status = wt_shared->intakes[i];
		if (wt_shared->workers[i].pid == 0)
			memset(&status, 0, sizeof(status));
		LWLockRelease(&wt_shared->lock);
		for (int k = 0; k < WT_N_INTAKES; k++)
		{
			const char *addresses = status.addresses[k];
			const char *error = status.errors[k];
			Datum values[9];
			bool nulls[9] = {false};
			int n = 0;

			if (!addresses[0] && !error[0] &&
				c.messages_received[k] + c.messages_dropped[k] == 0)
				continue;
			values[n++] = Int32GetDatum(i + 1);
			values[n++] = CStringGetTextDatum(wt_intake_names[k]);
			values[n] = wt_text_or_null(addresses, &nulls[n]);
			n++;
			values[n++] = CStringGetTextDatum(error[0]		 ? "failed"
											  : addresses[0] ? "listening"
															 : "stopped");
			values[n] = wt_text_or_null(error, &nulls[n]);
			n++;
			nulls[n] = wt_is_by_datagram(k);
			values[n++] = Int64GetDatum((int64) c.intake_connections[k]);
			values[n++] = Int64GetDatum((int64) c.messages_received[k]);
			values[n++] = Int64GetDatum((int64) c.messages_stored[k]);
			values[n++] = Int64GetDatum((int64) c.messages_dropped[k]);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* windtrap.reset_stats() RETURNS void */
Datum
windtrap_reset_stats(PG_FUNCTION_ARGS)
{
	wt_shared_attach();
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
		memcpy(wt_shared->baseline[i], &wt_shared->counters[i],
			   sizeof(wt_shared->baseline[i]));
	memset(wt_shared->alerts.tries, 0, sizeof(wt_shared->alerts.tries));
	wt_shared->counting_since = GetCurrentTimestamp();
	wt_shared->generation++;
	LWLockRelease(&wt_shared->lock);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
		wt_wake(wt_shared->workers[i].pid);
	PG_RETURN_VOID();
}
