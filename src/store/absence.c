/*
 * absence.c
 *		The log table is not there, or takes nothing: when it may be made.
 *
 * An absent table is made when there is something to store.  Not so
 *
 *	- while the database is being restored, see restoring.c;
 *	- on a node of Citus that is not its coordinator: the table comes from there when it is
 *	  distributed, and one of the node's own would be in its way;
 *	- for a moment after it has vanished: who drops it in a script is about to make
 *	  another one (pg_dump --clean, where it makes no extension);
 *	- for a while after making it has failed.  It is a dozen tables with their indexes,
 *	  which are rolled back then, and leave as many dead rows in the catalogs, at each
 *	  event.  The while grows; it is cut short where something has changed that could have
 *	  been the reason.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "base/settings.h"
#include "base/shared.h"
#include "store/absence.h"
#include "store/distributed.h"
#include "store/restoring.h"

/* A table that vanished is not made again for so long, ms. */
#define VANISHED 3000

/* After making it has failed, ms: the first pause, the longest, and one that is cut short. */
#define FIRST_PAUSE 1000
#define LAST_PAUSE 60000
#define SHORT_PAUSE 2000

/* Between two times that the upkeep is woken, ms: the first and the longest. */
#define FIRST_WAKE 1000
#define LAST_WAKE 60000

static char known[4 * NAMEDATALEN]; /* windtrap.table when it was there last; "": never */
static bool vanished;
static instr_time vanished_at;

static bool making; /* in this transaction */
static char failure[WT_ERROR_SIZE];
static char failed_table[4 * NAMEDATALEN];
static instr_time failed_at;
static long making_pause = 0; /* ms, the last one; 0: it has not failed */
static bool changed = false;  /* something, since it has failed */

static bool lasts = false;

static long
ms_since(instr_time begun)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, begun);
	return (long) INSTR_TIME_GET_MILLISEC(now);
}

static void
on_change(Datum arg, int cache, uint32 hash)
{
	changed = true;
}

static void
watch_changes(void)
{
	static bool registered = false;
	static const int caches[] = {TYPEOID, NAMESPACEOID, RELOID, EVENTTRIGGEROID, AUTHOID};

	if (registered)
		return;
	for (int i = 0; i < (int) lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], on_change, (Datum) 0);
	registered = true;
}

void
wt_absence_over(void)
{
	strlcpy(known, wt_table, sizeof(known));
	vanished = false;
	lasts = false;
	making_pause = 0;
}

void
wt_absence_forget(void)
{
	known[0] = '\0';
	vanished = false;
}

void
wt_absence_begin(void)
{
	const char *reason = wt_restore_in_progress(true);

	lasts = true;
	if (reason)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg_internal("%s", reason)));
	if (wt_is_worker_node())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table %s is not distributed yet: this node of Citus waits "
						"for its coordinator to do that",
						wt_table)));
	if (strcmp(known, wt_table) == 0)
	{
		if (!vanished)
			INSTR_TIME_SET_CURRENT(vanished_at);
		vanished = true;
		if (ms_since(vanished_at) < VANISHED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the table %s has just been dropped: try again", wt_table)));
	}
	if (making_pause > 0 && strcmp(failed_table, wt_table) == 0 &&
		ms_since(failed_at) < (changed ? Min(making_pause, SHORT_PAUSE) : making_pause))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg_internal("%s", failure)));
	making = true;
}

void
wt_absence_end(const char *error)
{
	if (!making)
		return;
	making = false;
	if (!error)
		return;
	watch_changes();
	making_pause = making_pause == 0 ? FIRST_PAUSE : Min(making_pause * 2, LAST_PAUSE);
	if (strcmp(failed_table, wt_table) != 0)
		making_pause = FIRST_PAUSE;
	snprintf(failure, sizeof(failure), "the table %s cannot be made: %s", wt_table,
			 error);
	strlcpy(failed_table, wt_table, sizeof(failed_table));
	INSTR_TIME_SET_CURRENT(failed_at);
	changed = false;
	lasts = true;
}

bool
wt_absence_lasts(void)
{
	return lasts;
}

void
wt_absence_of_partition(bool absent)
{
	static long between = 0; /* ms; 0: it has not been woken */
	static instr_time woken;
	int pid;

	if (!absent)
	{
		between = 0;
		return;
	}
	if (between > 0 && ms_since(woken) < between)
		return;
	between = between == 0 ? FIRST_WAKE : Min(between * 2, LAST_WAKE);
	INSTR_TIME_SET_CURRENT(woken);
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	pid = wt_shared->upkeep.pid;
	LWLockRelease(&wt_shared->lock);
	wt_wake(pid);
}
