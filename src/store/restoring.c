/*
 * restoring.c
 *		Whether the database is being restored from a dump.
 *
 * A dump makes the extension first, and the log table and its partitions later, one after
 * the other and each in a transaction of its own.  Whatever the collector makes meanwhile
 * stands in the way of what the dump is about to make, and is lost, or has it fail.
 *
 * How it is known: every script of pg_dump's, and pg_restore in each of its sessions, sets
 * row_security to off, and hardly anybody else does.  So a session that creates the
 * extension with that setting *restores*, until it ends; CREATE EXTENSION notes it in shared
 * memory before it commits, that is, before anybody can see the extension.  A session that
 * is called pg_restore does too: that are the further sessions of pg_restore -j, and those
 * that find the extension there.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/shared.h"
#include "store/restoring.h"

PG_FUNCTION_INFO_V1(windtrap_installed);

/* Looks at all sessions, ms. */
#define LOOK_INTERVAL 1000

/*
 * pg_restore -j ends its first session before it opens the next ones.  So long, ms, after it
 * was seen last it may be between two of them.
 */
#define GRACE 2000

/* A session that has been idle for so long, ms, is done with it, and kept for other things. */
#define IDLE_TIMEOUT 60000

#define RESTORE_NAME "pg_restore"

static const char reason[] =
	"the database is being restored: try again when that is over";

static bool
is_restore_name(const char *application)
{
	return application && strncmp(application, RESTORE_NAME, strlen(RESTORE_NAME)) == 0;
}

static TimestampTz
start_of(const PgBackendStatus *backend)
{
	return backend->st_proc_start_timestamp;
}

/* Notes that this session restores.  Of many at once the oldest is forgotten. */
static void
note_session(void)
{
	WtRestore *place = &wt_shared->restores[0];

	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < WT_MAX_RESTORES; i++)
	{
		WtRestore *r = &wt_shared->restores[i];

		if (!OidIsValid(r->database) || r->pid == MyProcPid)
		{
			place = r;
			break;
		}
		if (r->seen < place->seen)
			place = r;
	}
	place->database = MyDatabaseId;
	place->pid = MyProcPid;
	place->started = MyStartTimestamp;
	place->seen = GetCurrentTimestamp();
	LWLockRelease(&wt_shared->lock);
}

/* Whether a session goes on with what it was noted for. */
static bool
goes_on(const PgBackendStatus *backend, TimestampTz now)
{
	return backend->st_state != STATE_IDLE ||
		   !TimestampDifferenceExceeds(backend->st_state_start_timestamp, now,
									   IDLE_TIMEOUT);
}

/* Looks at the sessions of this database, and forgets those that are done. */
static bool
look(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int n;
	bool named = false;
	bool alive[WT_MAX_RESTORES] = {0};
	bool idle[WT_MAX_RESTORES] = {0};
	bool found = false;

	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *backend = &wt_local_backend_status(i)->backendStatus;

		if (backend->st_databaseid != MyDatabaseId ||
			backend->st_backendType != B_BACKEND)
			continue;
		if (is_restore_name(backend->st_appname) && goes_on(backend, now))
			named = true;
		for (int k = 0; k < WT_MAX_RESTORES; k++)
		{
			const WtRestore *r = &wt_shared->restores[k];

			if (r->pid != backend->st_procpid || r->started != start_of(backend))
				continue;
			alive[k] = true;
			idle[k] = !goes_on(backend, now);
		}
	}
	for (int k = 0; k < WT_MAX_RESTORES; k++)
	{
		WtRestore *r = &wt_shared->restores[k];

		if (r->database != MyDatabaseId)
			continue;
		if (alive[k] && !idle[k])
			r->seen = now;
		/* Who has set the clock back has ended it too. */
		if (idle[k] || r->seen > now || TimestampDifferenceExceeds(r->seen, now, GRACE))
			memset(r, 0, sizeof(*r));
		else
			found = true;
	}
	if (named)
	{
		wt_shared->restore_named = MyDatabaseId;
		wt_shared->restore_named_seen = now;
		found = true;
	}
	else if (wt_shared->restore_named == MyDatabaseId)
	{
		if (wt_shared->restore_named_seen > now ||
			TimestampDifferenceExceeds(wt_shared->restore_named_seen, now, GRACE))
			wt_shared->restore_named = InvalidOid;
		else
			found = true;
	}
	LWLockRelease(&wt_shared->lock);
	pgstat_clear_backend_activity_snapshot();
	return found;
}

const char *
wt_restore_in_progress(bool now)
{
	static bool restoring = false;
	static instr_time looked;
	static bool has_looked = false;
	instr_time passed;

	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, looked);
	if (now || !has_looked || INSTR_TIME_GET_MILLISEC(passed) >= LOOK_INTERVAL)
	{
		restoring = look();
		has_looked = true;
		INSTR_TIME_SET_CURRENT(looked);
	}
	return restoring ? reason : NULL;
}

/* windtrap.installed(), which the extension's script calls, and nobody else. */
Datum
windtrap_installed(PG_FUNCTION_ARGS)
{
	/* What row_security is in this function is what it was when the script was begun. */
	if (!row_security || is_restore_name(application_name))
	{
		wt_shared_attach();
		note_session();
	}
	PG_RETURN_VOID();
}
