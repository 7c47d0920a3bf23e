/*
 * stats.c
 *		The counters of all workers together, and windtrap.stats.
 *
 * A reset changes no counter, since each has one writer and that is not who resets:
 * it notes what they are, and from then on the difference is told.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "shared.h"
#include "stats.h"

PG_FUNCTION_INFO_V1(windtrap_stats);
PG_FUNCTION_INFO_V1(windtrap_reset_stats);

typedef struct Visitor
{
	void (*visit)(const WtStat *stat, void *arg);
	void *arg;
} Visitor;

/* The sum of what all workers have counted since the server started. */
static void
sum_counters(uint64 sum[WT_N_COUNTERS])
{
	memset(sum, 0, sizeof(uint64) * WT_N_COUNTERS);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		const volatile uint64 *counters =
			(const volatile uint64 *) &wt_shared->counters[i];

		for (size_t k = 0; k < WT_N_COUNTERS; k++)
			sum[k] += counters[k];
	}
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
	visit_number(v, WT_STAT_COUNTER, "received_bytes_total",
				 "Bytes of request bodies received.", NULL, NULL,
				 (double) c->bytes_received);
	visit_number(v, WT_STAT_COUNTER, "decoded_bytes_total",
				 "Bytes of request bodies decoded, after inflation.", NULL, NULL,
				 (double) c->bytes_decoded);
	visit_histogram(v, "request_duration_seconds",
					"Time from a request's first line to its answer.", &c->request_us,
					wt_time_bounds, 1e6);
	visit_histogram(v, "commit_duration_seconds",
					"Time that storing a batch took, with its commit.", &c->commit_us,
					wt_time_bounds, 1e6);
	visit_histogram(v, "batch_events", "Events in each transaction.", &c->batch_events,
					wt_size_bounds, 1);
}

static void
visit_gauges(const Visitor *v)
{
	int workers = 0;
	uint64 connections = 0;
	uint64 bytes = 0;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		workers += (wt_shared->workers[i].state == WT_STATE_LISTENING);
		connections += wt_shared->counters[i].connections;
		bytes += wt_shared->counters[i].bytes_in_flight;
	}
	LWLockRelease(&wt_shared->lock);
	visit_number(v, WT_STAT_GAUGE, "workers", "Workers that listen.", NULL, NULL,
				 workers);
	visit_number(v, WT_STAT_GAUGE, "connections", "Connections that are open.", NULL,
				 NULL, (double) connections);
	visit_number(v, WT_STAT_GAUGE, "inflight_bytes",
				 "Bytes of request bodies that are in memory.", NULL, NULL,
				 (double) bytes);
}

void
wt_stats_visit(void (*visit)(const WtStat *stat, void *arg), void *arg)
{
	Visitor v = {visit, arg};
	WtCounters counters = {0};
	uint64 sum[WT_N_COUNTERS];

	sum_counters(sum);
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (size_t k = 0; k < WT_N_COUNTERS; k++)
		sum[k] -= wt_shared->baseline[k];
	LWLockRelease(&wt_shared->lock);
	memcpy(&counters, sum, sizeof(sum));
	visit_counters(&v, &counters);
	visit_gauges(&v);
}

static void
put_row(const WtStat *stat, void *arg)
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

/* The rows of the view windtrap.stats. */
Datum
windtrap_stats(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	wt_stats_visit(put_row, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
windtrap_reset_stats(PG_FUNCTION_ARGS)
{
	uint64 sum[WT_N_COUNTERS];

	wt_shared_attach();
	sum_counters(sum);
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	memcpy(wt_shared->baseline, sum, sizeof(sum));
	wt_shared->reset_at = GetCurrentTimestamp();
	LWLockRelease(&wt_shared->lock);
	PG_RETURN_VOID();
}
