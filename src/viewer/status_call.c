/*
 * status_call.c
 *		/api/status: sets the column `status` of some events; the one thing that is written.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "http/request.h"
#include "viewer/calls.h"
#include "viewer/database.h"

/* Events of one request. */
#define MAX_EVENTS 1000

/* Bytes of its body. */
#define MAX_BODY (1024 * 1024)

/* What is read from the body, which is $1; sorted, and with its number for each group of those
 * that are close in time: each is one statement, which reads the partitions and pages of that
 * time alone. */
static const char events[] =
	"SELECT min(time), max(time), array_agg(time), array_agg(id)"
	" FROM (SELECT time, id, sum(is_far::int) OVER (ORDER BY time) AS n"
	"  FROM (SELECT time, id, time - lag(time) OVER (ORDER BY time) > interval '10 s' AS "
	"is_far"
	"   FROM (SELECT (e->>'time')::timestamptz AS time, coalesce(e->>'id', '') AS id"
	"    FROM jsonb_array_elements($1::jsonb->'events') AS e) AS read) AS sorted) AS "
	"numbered"
	" GROUP BY n";

static const char shape[] =
	"SELECT jsonb_typeof(b) = 'object' AND jsonb_typeof(b->'status') = 'number'"
	" AND jsonb_typeof(b->'events') = 'array'"
	" AND NOT jsonb_path_exists(b, '$.events[*] ? (@.type() != \"object\""
	" || !exists(@.time) || @.time.type() != \"string\""
	" || exists(@.id) && @.id.type() != \"string\" && @.id.type() != \"null\")'),"
	" CASE jsonb_typeof(b->'events') WHEN 'array' THEN jsonb_array_length(b->'events') "
	"END,"
	" CASE jsonb_typeof(b->'status') WHEN 'number' THEN (b->'status')::int END,"
	" CASE jsonb_typeof(b->'status') WHEN 'number' THEN (b->'status')::numeric % 1 = 0 "
	"END"
	" FROM (SELECT $1::jsonb AS b) AS body";

static const char expected[] =
	"expected {\"status\":1,\"events\":[{\"time\":\"…\",\"id\":\"…\"},…]}";

static Datum
column(uint64 row, int number)
{
	bool is_null;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number,
						 &is_null);
}

static void
run(const char *statement, int n, Oid *types, Datum *values, bool read_only)
{
	if (SPI_execute_with_args(statement, n, types, values, NULL, read_only, 0) < 0)
		elog(ERROR, "could not run \"%s\"", statement);
}

static void
set_status(WtViewerJob *job)
{
	Oid body_type[] = {TEXTOID};
	Datum body = PointerGetDatum(
		cstring_to_text_with_len(job->request->body, (int) job->request->body_length));
	Oid types[] = {INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZARRAYOID,
				   TEXTARRAYOID};
	Datum values[5];
	SPITupleTable *groups;
	uint64 n_groups;
	int64 updated = 0;
	const char *update;

	wt_viewer_reads_parameters(true);
	/* jsonb's input does not ask for it. */
	(void) pg_verifymbstr(job->request->body, (int) job->request->body_length, false);
	run(shape, 1, body_type, &body, true);
	if (!DatumGetBool(column(0, 1)) || !DatumGetBool(column(0, 4)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", expected)));
	if (DatumGetInt32(column(0, 2)) > MAX_EVENTS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("events are at most %d", MAX_EVENTS)));
	values[0] = column(0, 3);
	run(events, 1, body_type, &body, true);
	wt_viewer_reads_parameters(false);
	groups = SPI_tuptable;
	n_groups = SPI_processed;
	update =
		psprintf("UPDATE %s SET status = $1 WHERE event_timestamp >= $2"
				 " AND event_timestamp <= $3 AND (event_timestamp, coalesce(data->>'id',"
				 " '')) IN (SELECT * FROM unnest($4, $5))",
				 wt_viewer_table());
	for (uint64 i = 0; i < n_groups; i++)
	{
		bool is_null;

		for (int k = 1; k < 5; k++)
			values[k] = SPI_getbinval(groups->vals[i], groups->tupdesc, k, &is_null);
		run(update, 5, types, values, false);
		updated += (int64) SPI_processed;
	}
	wt_buffer_print(&job->out, "{\"updated\":" INT64_FORMAT "}\n", updated);
}

void
wt_step_status(WtViewerJob *job)
{
	if (job->request->body_length > MAX_BODY)
		wt_job_fail(job, 413, psprintf("a body has at most %d bytes here", MAX_BODY), 0);
	else if (wt_viewer_query(job, set_status, WT_OWNER_WRITES))
		wt_job_finish(job);
}
