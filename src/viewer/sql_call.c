/*
 * sql_call.c
 *		/api/sql: what a search is in SQL, to go on with.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "search/search_sql.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/event_json.h"
#include "viewer/times.h"

static void
add_bound(StringInfo sql, const char *operator, TimestampTz time)
{
	appendStringInfo(sql, "event_timestamp %s '%s'", operator, timestamptz_to_str(time));
}

static void
write_sql(WtViewerJob *job)
{
	WtBuffer *out = &job->out;
	const text *query = wt_job_query(job);
	const char *condition = "true";
	StringInfoData sql;
	TimestampTz since;
	TimestampTz until;

	wt_viewer_reads_parameters(true);
	wt_viewer_span(job, &since, &until);
	if (query)
		condition = wt_search_condition(query);
	wt_viewer_reads_parameters(false);
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT event_timestamp, severity, app, host, message, "
								 "data, status\n  FROM windtrap.events\n WHERE ");
	add_bound(&sql, ">=", since);
	appendStringInfoString(&sql, "\n   AND ");
	add_bound(&sql, "<", until);
	if (strcmp(condition, "true") != 0)
		appendStringInfo(&sql, "\n   AND (%s)", condition);
	appendStringInfoString(&sql, "\n ORDER BY event_timestamp DESC\n LIMIT 1000;");
	wt_buffer_text(out, "{\"condition\":");
	wt_buffer_string(out, condition);
	wt_buffer_text(out, ",\"statement\":");
	wt_buffer_json(out, sql.data, (size_t) sql.len);
	wt_buffer_text(out, "}\n");
}

void
wt_step_sql(WtViewerJob *job)
{
	/* It looks at no table: that there is none is no reason to say nothing. */
	if (wt_viewer_query(job, write_sql, WT_PROCESS_READS))
		wt_job_finish(job);
}
