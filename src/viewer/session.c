/*
 * session.c
 *		/api/session: what a page needs to know before it asks for anything.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "pgtime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/shared.h"
#include "http/request.h"
#include "viewer/calls.h"
#include "viewer/database.h"
#include "viewer/event_json.h"
#include "viewer/times.h"

typedef struct Session
{
	char *version;
	bool empty;
} Session;

static void
read_version(WtViewerJob *job)
{
	Session *session = job->state;

	if (SPI_execute("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = "
					"'windtrap'",
					true, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
		session->version = MemoryContextStrdup(
			job->context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	if (SPI_execute("SELECT windtrap.log_table() IS NULL", true, 1) == SPI_OK_SELECT)
	{
		bool is_null;

		session->empty = DatumGetBool(
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	}
}

static void
look_for_events(WtViewerJob *job)
{
	Session *session = job->state;

	if (SPI_execute("SELECT 1 FROM windtrap.events LIMIT 1", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for events");
	session->empty = SPI_processed == 0;
}

void
wt_step_session(WtViewerJob *job)
{
	Session *session = MemoryContextAllocZero(job->context, sizeof(Session));
	WtBuffer *out = &job->out;
	WtWorkerStatus worker;

	job->state = session;
	if (!wt_viewer_query(job, read_version, WT_PROCESS_READS) ||
		(!session->empty && !wt_viewer_query(job, look_for_events, WT_OWNER_READS)))
		return;
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	worker = wt_shared->workers[0];
	LWLockRelease(&wt_shared->lock);

	wt_buffer_text(out, "{\"version\":");
	wt_buffer_string(out, session->version ? session->version : "");
	wt_buffer_print(out, ",\"may_resolve\":%s",
					job->request->may_change ? "true" : "false");
	wt_buffer_text(out, ",\"time_zone\":");
	wt_buffer_string(out, pg_get_timezone_name(session_timezone));
	wt_buffer_text(out, ",\"now\":");
	wt_viewer_write_time(out, job->now);
	wt_buffer_print(out, ",\"empty\":%s", session->empty ? "true" : "false");
	wt_buffer_print(out,
					",\"collector\":{\"port\":%d,\"tls\":%s,\"addresses\":", worker.port,
					worker.tls ? "true" : "false");
	wt_buffer_string(out, worker.addresses);
	wt_buffer_text(out, "},\"retention\":");
	wt_buffer_string(
		out, wt_retention() ? GetConfigOption("windtrap.retention", false, false) : NULL);
	wt_buffer_text(out, "}\n");
	wt_job_finish(job);
}
