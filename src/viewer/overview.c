/*
 * overview.c
 *		/api/overview: how the collector does.
 *
 * Much of it is for administrators, and not for the log table's owner: who may read events
 * sees it, too.  So it is fixed statements on what is the extension's, with the rights of this
 * process; what they read of the log table are sizes and estimates.  Nothing is counted that has
 * to be read for that.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/guc.h"

#include "base/settings.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/rows_json.h"
#include "viewer/times.h"

/* The counters of all workers together; averages weighed, histograms not told. */
static const char stats[] =
	"WITH s AS MATERIALIZED (SELECT * FROM windtrap.stats)"
	" SELECT min(since) AS since, sum(requests)::bigint AS requests,"
	" (SELECT coalesce(jsonb_object_agg(key, n), '{}') FROM (SELECT key, "
	"sum(value::bigint)"
	" AS n FROM s, jsonb_each_text(requests_by_code) GROUP BY key) AS c)"
	" AS requests_by_code,"
	" (SELECT coalesce(jsonb_object_agg(key, n), '{}') FROM (SELECT key, "
	"sum(value::bigint)"
	" AS n FROM s, jsonb_each_text(requests_refused) GROUP BY key) AS c)"
	" AS requests_refused,"
	" (SELECT coalesce(jsonb_object_agg(key, n), '{}') FROM (SELECT key, "
	"sum(value::bigint)"
	" AS n FROM s, jsonb_each_text(events_refused) GROUP BY key) AS c)"
	" AS events_refused,"
	" sum(events_accepted)::bigint AS events_accepted,"
	" sum(events_quarantined)::bigint AS events_quarantined,"
	" sum(duplicates)::bigint AS duplicates,"
	" sum(bytes_received)::bigint AS bytes_received,"
	" sum(bytes_decoded)::bigint AS bytes_decoded,"
	" sum(transactions)::bigint AS transactions,"
	" sum(batch_events_avg * transactions) / nullif(sum(transactions), 0)::float8"
	" AS batch_events_avg,"
	" max(batch_events_max) AS batch_events_max,"
	" sum(commit_ms_avg * transactions) / nullif(sum(transactions), 0)::float8"
	" AS commit_ms_avg,"
	" max(commit_ms_max) AS commit_ms_max,"
	" sum(request_ms_avg * requests) / nullif(sum(requests), 0)::float8 AS "
	"request_ms_avg,"
	" sum(connections)::bigint AS connections,"
	" sum(connections_max)::bigint AS connections_max,"
	" sum(bytes_in_flight)::bigint AS bytes_in_flight,"
	" sum(stdout_written)::bigint AS stdout_written,"
	" sum(stdout_dropped)::bigint AS stdout_dropped FROM s";

/* What has rows of the log table: its partitions, or itself where it has none. */
#define TABLES                                                                           \
	"(SELECT relid FROM pg_partition_tree(windtrap.log_table()) WHERE isleaf UNION"      \
	" SELECT oid FROM pg_class WHERE oid = windtrap.log_table() AND relkind IN ('r', "   \
	"'m'))"

/* Bounds that are no two times are null. */
static const char partitions[] =
	"SELECT c.relname AS name,"
	" substring(b.bound FROM $$FROM \\('(\\d{4,}-\\d\\d-\\d\\d[^']*)'\\) "
	"TO$$)::timestamptz AS \"from\","
	" substring(b.bound FROM $$TO \\('(\\d{4,}-\\d\\d-\\d\\d[^']*)'\\)$$)::timestamptz "
	"AS \"to\","
	" CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS rows_estimate,"
	" pg_total_relation_size(c.oid) AS bytes"
	" FROM " TABLES " AS t JOIN pg_class AS c ON c.oid = t.relid"
	" CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS b"
	" ORDER BY 2, 1";

static const char totals[] =
	"SELECT (SELECT sum(pg_total_relation_size(relid))::bigint"
	" FROM " TABLES " AS t) AS size, (SELECT "
	"coalesce(sum(value), 0)::bigint FROM windtrap.metrics WHERE name ="
	" 'requests_refused_total') AS refused_total";

static void
select_into(WtBuffer *out, const char *name, const char *statement,
			void (*write)(WtBuffer *out))
{
	if (SPI_execute(statement, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s", name);
	if (write != wt_viewer_write_members)
		wt_buffer_print(out, ",\"%s\":", name);
	write(out);
	SPI_freetuptable(SPI_tuptable);
}

/* The counters, and beside them those that a page shows first. */
static void
write_stats(WtBuffer *out)
{
	static const char *const first[][2] = {{"events_total", "events_accepted"},
										   {"quarantined", "events_quarantined"}};

	wt_viewer_write_row(out);
	for (int i = 0; i < (int) lengthof(first); i++)
	{
		const char *count = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
										 SPI_fnumber(SPI_tuptable->tupdesc, first[i][1]));

		wt_buffer_print(out, ",\"%s\":%s", first[i][0], count ? count : "0");
	}
}

static void
write_overview(WtViewerJob *job)
{
	WtBuffer *out = &job->out;

	wt_buffer_text(out, "{\"now\":");
	wt_viewer_write_time(out, job->now);
	select_into(out, "workers", "SELECT * FROM windtrap.status", wt_viewer_write_rows);
	select_into(out, "stats", stats, write_stats);
	select_into(out, "forwarding", "SELECT * FROM windtrap.forwarding",
				wt_viewer_write_rows);
	select_into(
		out, "outbox",
		"SELECT max(value) FILTER (WHERE name = 'outbox_bytes')::bigint AS bytes,"
		" nullif(pg_size_bytes(current_setting('windtrap.outbox_max_size')), 0)"
		" AS max_bytes, max(value) FILTER (WHERE name ="
		" 'outbox_dropped_events_total')::bigint AS dropped FROM windtrap.metrics",
		wt_viewer_write_row);
	select_into(out, "upkeep_failures", "SELECT * FROM windtrap.upkeep_failures",
				wt_viewer_write_rows);
	select_into(out, "refused", "SELECT * FROM windtrap.refused LIMIT 50",
				wt_viewer_write_rows);
	select_into(out, "totals", totals, wt_viewer_write_members);
	select_into(out, "partitions", partitions, wt_viewer_write_rows);
	wt_buffer_text(out, ",\"retention\":");
	wt_buffer_string(
		out, wt_retention() ? GetConfigOption("windtrap.retention", false, false) : NULL);
	if (wt_retention_size > 0)
		wt_buffer_print(out, ",\"retention_size\":" INT64_FORMAT "}\n",
						(int64) wt_retention_size * 1024 * 1024);
	else
		wt_buffer_text(out, ",\"retention_size\":null}\n");
}

void
wt_step_overview(WtViewerJob *job)
{
	if (wt_viewer_query(job, write_overview, WT_PROCESS_READS))
		wt_job_finish(job);
}
