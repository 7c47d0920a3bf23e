/*
 * store.c
 *		Events → rows of the log table, in one transaction.
 *
 * Words:
 *	target		the log table as it is now; the statements that insert into it: statement.c
 *	attempt		one transaction over all rows.  The first goes straight; where a row may be
 *				at fault the second goes by subtransactions, see halves.c, and commits the
 *				others together.  Whose fault it is is decided in fault.c
 *	stand-in	the row that is stored in quarantine for one that the table refuses
 *
 * The statement runs as the owner of the table, in a security-restricted operation, as
 * logical replication's apply does since PostgreSQL 16: the worker is a superuser, and a
 * trigger on the table must gain nothing from that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/identity.h"
#include "store/absence.h"
#include "store/fault.h"
#include "store/halves.h"
#include "store/idempotency.h"
#include "store/log_table.h"
#include "store/outbox.h"
#include "store/restoring.h"
#include "store/shards.h"
#include "base/settings.h"
#include "base/shared.h"
#include "base/transact.h"
#include "store/statement.h"
#include "store/store.h"

/* Waiting for a lock on the table, ms: others' requests wait for as long. */
#define LOCK_TIMEOUT "1s"

/* Looks for the table before it is too restless to be trusted. */
#define MAX_LOOK_UPS 20

/* Of these, those at which it is looked who plans its statement. */
#define MAX_PLANNINGS 5

/* What is left for the second attempt at least, ms. */
#define MIN_TIMEOUT 500

/*
 * Rows that are looked at where it may be that none passes; one where the batch before could
 * not be stored either, or where failing takes longer than this, ms.
 */
#define MAX_LOOKS 3
#define SLOW_FAILURE 500

static struct
{
	bool valid; /* false: look again before the next statement */
	Oid relation;
	char name[4 * NAMEDATALEN]; /* windtrap.table when it was looked up */
	bool durable;				/* false: look again whether all of its partitions are */
	Oid *partitions;			/* it and all beneath it, ascending */
	int n_partitions;
} target;

static char failure[256];
static bool callbacks_registered;
static bool inserting;	 /* what is raised is raised by the table */
static bool taking_keys; /* what is raised is raised by somebody who has the same keys */

/*
 * What changes a partition alone says nothing of the table: SET UNLOGGED does.  It may have
 * been a VACUUM, so the plan is kept.
 */
static void
forget_target(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == target.relation)
		target.valid = target.durable = false;
	else if (target.n_partitions > 0 &&
			 bsearch(&relation, target.partitions, (size_t) target.n_partitions,
					 sizeof(Oid), oid_cmp))
		target.durable = false;
}

/* A role that is dropped or renamed, a schema that is: whatever it is, look again. */
static void
forget_target_anyway(Datum arg, int cache, uint32 hash)
{
	target.valid = false;
}

/* Things that last as long as the process. */
static void
initialize(void)
{
	if (callbacks_registered)
		return;
	CacheRegisterRelcacheCallback(forget_target, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_target_anyway, (Datum) 0);
	callbacks_registered = true;
}

static Oid
database_owner(void)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}

/* The log table belongs to the database's owner: it is the user's table, not ours. */
static Oid
create_table(const RangeVar *name)
{
	Oid saved_role;
	int saved_context;
	int nest_level = NewGUCNestLevel();

	wt_become(database_owner(), &saved_role, &saved_context);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (wt_log_table_create(name, false))
		ereport(LOG,
				(errmsg("windtrap: created the table %s", wt_log_table_quote(name))));
	AtEOXact_GUC(false, nest_level);
	wt_restore(saved_role, saved_context);
	CommandCounterIncrement();
	return RangeVarGetRelid(name, NoLock, false);
}

/*
 * Every partition must be as durable as an acknowledgement says.  They are noted before they
 * are looked at, so that what changes in between is noticed.
 */
static void
check_partitions(void)
{
	List *partitions;
	ListCell *cell;
	int n = 0;

	target.n_partitions = 0;
	target.durable = true;
	if (get_rel_relkind(target.relation) != RELKIND_PARTITIONED_TABLE)
		return;
	partitions = find_all_inheritors(target.relation, NoLock, NULL);
	if (target.partitions)
		pfree(target.partitions);
	target.partitions = NULL;
	target.partitions = MemoryContextAlloc(TopMemoryContext,
										   sizeof(Oid) * (Size) list_length(partitions));
	list_sort(partitions, list_oid_cmp);
	foreach (cell, partitions)
		target.partitions[n++] = lfirst_oid(cell);
	target.n_partitions = n;
	wt_refuse_unlogged(partitions);
}

/*
 * Finds the table, locks it, and prepares the statements; needs wt_statement_begin.
 *
 * Whose rights the statement has is decided here, so this must not be about another table
 * than the statement is: who it belongs to is read after it is locked, and changes that
 * come meanwhile leave the target invalid, so that find_target looks again.  look: see
 * wt_statement_prepare.
 */
static void
look_up_target(bool look)
{
	RangeVar *name = wt_log_table_name(wt_table);
	const char *restoring = wt_restore_in_progress(true);
	Oid owner;

	/* Its partitions may be going one by one, with all that is put into them. */
	if (restoring)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg_internal("%s", restoring)));
	target.valid = true;
	target.relation = RangeVarGetRelid(name, RowExclusiveLock, true);
	if (!OidIsValid(target.relation))
	{
		wt_absence_begin();
		(void) create_table(name);
		target.valid = true;
		target.relation = RangeVarGetRelid(name, RowExclusiveLock, false);
	}
	owner = wt_log_table_owner(target.relation);
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table %s was just dropped", wt_log_table_quote(name))));
	wt_log_table_check(target.relation);
	check_partitions();
	wt_statement_prepare(target.relation, owner, name, look);
	wt_fault_of_table(target.relation, wt_statement_is_elsewhere());
	wt_fault_of_servers(wt_shards_look(target.relation));
	strlcpy(target.name, wt_table, sizeof(target.name));
	wt_absence_over();
}

/*
 * Makes sure that `target` is what windtrap.table names now, and locks it, so that it
 * stays that until the transaction ends.
 */
static void
find_target(void)
{
	for (int tries = 0; tries < MAX_LOOK_UPS; tries++)
	{
		if (target.valid && strcmp(target.name, wt_table) == 0)
		{
			/* Getting the lock brings the news of what has changed before. */
			LockRelationOid(target.relation, RowExclusiveLock);
			if (target.valid && wt_statement_is_valid())
			{
				if (!target.durable)
					check_partitions();
				return;
			}
		}
		/* What is changed may be what planning changes: a default can be a function. */
		look_up_target(tries < MAX_PLANNINGS);
	}
	ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("the log table is being changed all the time")));
}

/*
 * The statement and what it sets off, within a transaction.  judged: a row alone is, so that
 * what it raises must tell.
 */
static void
insert(WtRow *const *rows, int n_rows, bool judged)
{
	SPI_connect();
	wt_statement_begin(n_rows);
	find_target();
	inserting = true;
	if (judged && n_rows == 1 && wt_statement_is_elsewhere())
		wt_statement_run_alone(rows);
	else
		wt_statement_run(rows, n_rows);
	inserting = false;
	/* Where it waited for a partition's lock that may be another one now; from here on it stays. */
	if (!target.durable)
		check_partitions();
	SPI_finish();
}

static void
insert_judged(WtRow *const *rows, int n_rows)
{
	insert(rows, n_rows, true);
}

/*
 * An acknowledgement promises a flush.  Whatever synchronous_commit the system, the
 * database, the role or a trigger has chosen, this commit does not return before it;
 * a choice that asks for more than that stands.
 */
static void
force_durable_commit(void)
{
	ForceSyncCommit();
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		(void) set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Whether the synchronous standbys have what was just committed.  A wait for them can be
 * cancelled: then COMMIT returns with no more than a warning, and this is no
 * acknowledgement.
 */
static bool
standbys_have(XLogRecPtr lsn, int level)
{
	XLogRecPtr have;

	if (max_wal_senders == 0 || level <= SYNCHRONOUS_COMMIT_LOCAL_FLUSH ||
		!wt_sync_standbys_defined())
		return true;
	LWLockAcquire(SyncRepLock, LW_SHARED);
	have =
		WalSndCtl->lsn[level == SYNCHRONOUS_COMMIT_REMOTE_WRITE	  ? SYNC_REP_WAIT_WRITE
					   : level == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? SYNC_REP_WAIT_APPLY
																  : SYNC_REP_WAIT_FLUSH];
	LWLockRelease(SyncRepLock);
	return have >= lsn;
}

/* The end of a commit that synchronous standbys did not have in time; 0: they had all. */
static XLogRecPtr not_at_standbys;

/*
 * While the standbys do not even have what was committed before, nothing more is: each try
 * would be stored here, and be sent again.
 */
static void
refuse_without_standby(void)
{
	if (not_at_standbys == 0)
		return;
	if (!standbys_have(not_at_standbys, Max(synchronous_commit, SYNCHRONOUS_COMMIT_ON)))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no synchronous standby confirms what is committed")));
	not_at_standbys = 0;
}

/* Marks the pending rows. */
static void
set_results(WtRow *const *rows, int n_rows, WtStoreResult result, const char *error)
{
	const char *copy = error ? pstrdup(error) : NULL;

	for (int i = 0; i < n_rows; i++)
	{
		if (rows[i]->result != WT_STORE_PENDING)
			continue;
		rows[i]->result = result;
		rows[i]->error = copy;
	}
}

static void
undone(void)
{
	target.valid = false;
}

static void
breathe(const WtStoreCallbacks *callbacks)
{
	if (callbacks && callbacks->breathe)
		callbacks->breathe(callbacks->arg);
}

static void
insert_straight(WtRow *const *rows, int n_rows, const WtStoreCallbacks *callbacks)
{
	if (!wt_postgres)
		return;
	do
	{
		int n = Min(n_rows, wt_statement_max_rows());

		insert(rows, n, false);
		rows += n;
		n_rows -= n;
		if (n_rows > 0)
			breathe(callbacks);
	} while (n_rows > 0);
}

/* Whether any of rows has a key, or is of a request that has. */
static bool
have_keys(WtRow *const *rows, int n_rows)
{
	for (int i = 0; i < n_rows; i++)
		if (rows[i]->has_key || rows[i]->request)
			return true;
	return false;
}

/* Inserts rows, without those that are stored already. */
static void
insert_once(WtRow *const *rows, int n_rows, const WtStoreCallbacks *callbacks,
			const WtHalves *halves, WtFailure *error)
{
	WtRow **pending;
	int n;
	int n_pending = 0;

	taking_keys = true;
	n = wt_idempotency_take(rows, n_rows);
	taking_keys = false;
	pending = palloc(sizeof(WtRow *) * (Size) Max(n, 1));
	for (int i = 0; i < n_rows; i++)
		if (rows[i]->result == WT_STORE_PENDING)
			pending[n_pending++] = rows[i];
	if (n == 0 && n_rows > 0)
		; /* all of them are */
	else if (halves)
		wt_halves_insert(halves, pending, n, error);
	else
		insert_straight(pending, n, callbacks);
	wt_idempotency_settle(rows, n_rows);
}

/* What an attempt is given, and what has come out of it. */
typedef struct Attempt
{
	WtRow *const *rows;
	int n_rows;
	const WtStoreCallbacks *callbacks;
	const WtHalves *halves; /* NULL: straight */
	WtFailure *error;
	int level; /* of synchronous_commit, with which it was committed */
} Attempt;

static void
run_attempt(void *arg)
{
	Attempt *a = arg;

	initialize();
	refuse_without_standby();
	if (wt_outbox_is_used())
		wt_outbox_make_room();
	if (have_keys(a->rows, a->n_rows))
		insert_once(a->rows, a->n_rows, a->callbacks, a->halves, a->error);
	else if (a->halves)
		wt_halves_insert(a->halves, a->rows, a->n_rows, a->error);
	else
		insert_straight(a->rows, a->n_rows, a->callbacks);
	if (wt_outbox_is_used())
		wt_outbox_write(a->rows, a->n_rows);
	if (a->callbacks && a->callbacks->beside)
		a->callbacks->beside(a->callbacks->arg);
	force_durable_commit();
	a->level = synchronous_commit;
}

/*
 * One transaction over rows, all of them pending: straight, or, where that has just failed
 * for *error, by halves.  It writes the outbox too, since what is acknowledged must be durable
 * in every place that it is to go to from here.  False, and *error, where it failed as a
 * whole.
 */
static bool
attempt(WtRow *const *rows, int n_rows, const WtStoreCallbacks *callbacks, int timeout,
		const WtHalves *halves, WtFailure *error)
{
	const WtTransaction how = {.activity = "storing events",
							   .timeout = timeout,
							   .lock_timeout = LOCK_TIMEOUT,
							   /* Who waits for a key must see what has become of it. */
							   .read_committed = have_keys(rows, n_rows),
							   .watch = &wt_watch_with_grace};
	Attempt a = {rows, n_rows, callbacks, halves, error, 0};
	ErrorData *e;

	taking_keys = false;
	for (int i = 0; i < n_rows; i++)
		rows[i]->result = WT_STORE_PENDING;
	e = wt_transact_as(&how, run_attempt, &a);

	if (e)
	{
		/* Whatever it was, look at the table again before the next try. */
		target.valid = false;
		wt_failure_note(error, e);
		wt_absence_end(error->message);
		if (!inserting)
			error->blame = WT_BLAME_END;
		inserting = false;
		FreeErrorData(e);
		return false;
	}
	if (wt_outbox_is_used())
		wt_outbox_committed();
	wt_absence_end(NULL);
	if (standbys_have(XactLastCommitEnd, a.level))
		return true;
	not_at_standbys = XactLastCommitEnd;
	memset(error, 0, sizeof(*error));
	error->committed = true;
	error->sqlstate = ERRCODE_QUERY_CANCELED;
	strlcpy(error->message,
			"the event is committed here, but no synchronous standby has it yet",
			sizeof(error->message));
	return false;
}

static void
count_commit(int n_rows, const instr_time *begun)
{
	WtCounters *counters = wt_my_counters();
	instr_time passed;

	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, *begun);
	wt_histogram_add(&counters->commit_us, wt_time_bounds,
					 INSTR_TIME_GET_MICROSEC(passed));
	wt_histogram_add(&counters->batch_events, wt_size_bounds, (uint64) n_rows);
	wt_count_max(&counters->max_commit_us, INSTR_TIME_GET_MICROSEC(passed));
	wt_count_max(&counters->max_batch_events, (uint64) n_rows);
}

static int
ms_since(const instr_time *begun)
{
	instr_time passed;

	/* By a clock that nobody sets. */
	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, *begun);
	return (int) INSTR_TIME_GET_MILLISEC(passed);
}

/* What is left for another attempt, ms. */
static int
time_left(const instr_time *begun, int timeout)
{
	return Max(timeout - ms_since(begun), MIN_TIMEOUT);
}

/* Whether it can be that a row is at fault, or that others pass, once rows have failed. */
static bool
is_worth_halving(const WtFailure *error, int n)
{
	return wt_postgres && !error->committed && error->blame != WT_BLAME_END &&
		   (n > 1 || error->blame != WT_BLAME_MOMENT);
}

/* Why nothing of rows is stored, where one is to be sent again; NULL: it is not so. */
static const char *
find_failure(WtRow *const *rows, int n)
{
	const char *error = NULL;

	for (int i = 0; i < n; i++)
	{
		if (rows[i]->result == WT_STORE_COMMITTED ||
			rows[i]->result == WT_STORE_QUARANTINED ||
			rows[i]->result == WT_STORE_DUPLICATE)
			return NULL;
		if (rows[i]->result == WT_STORE_UNAVAILABLE)
			error = rows[i]->error;
	}
	return error;
}

static int
count_committed(WtRow *const *rows, int n)
{
	int n_committed = 0;

	for (int i = 0; i < n; i++)
		n_committed += (rows[i]->result == WT_STORE_COMMITTED);
	return n_committed;
}

/* Notes what is known of the table once rows have been committed, or refused. */
static void
note_results(WtRow *const *rows, int n)
{
	const char *error = find_failure(rows, n);

	wt_fault_accepted(count_committed(rows, n));
	if (error)
		strlcpy(failure, error, sizeof(failure));
}

/*
 * Somebody else has keys of these rows, and does not end: whose requests have keys wait for
 * another time, and nobody else.  Gives how many rows are left.
 */
static int
put_off_keyed(WtRow **rows, int n)
{
	int n_left = 0;
	int end;

	for (int i = 0; i < n; i = end)
	{
		bool keyed;

		for (end = i + 1; end < n && rows[end]->group == rows[i]->group;)
			end++;
		keyed = have_keys(rows + i, end - i);
		for (int k = i; k < end; k++)
		{
			if (keyed)
			{
				rows[k]->result = WT_STORE_UNAVAILABLE;
				rows[k]->error = "events with the same keys are just being stored";
			}
			else
				rows[n_left++] = rows[k];
		}
	}
	return n_left;
}

void
wt_store_rows(WtRow **rows, int n_rows, const WtStoreCallbacks *callbacks, int timeout)
{
	WtRow **pending = palloc(sizeof(WtRow *) * (Size) Max(n_rows, 1));
	int n = 0;
	instr_time begun;
	WtFailure error = {0};
	bool was_valid;
	bool ok;

	failure[0] = '\0';
	for (int i = 0; i < n_rows; i++)
		if (rows[i]->result == WT_STORE_PENDING)
			pending[n++] = rows[i];
	if (n == 0)
		return;

	INSTR_TIME_SET_CURRENT(begun);
	was_valid = target.valid;
	ok = attempt(pending, n, callbacks, timeout, NULL, &error);
	if (!ok && taking_keys && error.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		n = put_off_keyed(pending, n);
		if (n == 0)
			return;
		ok = attempt(pending, n, callbacks, time_left(&begun, timeout), NULL, &error);
	}
	/* A plan can be of a table that is gone or has changed: look at what there is now. */
	if (!ok && !error.committed &&
		(was_valid || error.sqlstate == ERRCODE_UNDEFINED_TABLE) &&
		(error.no_partition ||
		 ERRCODE_TO_CATEGORY(error.sqlstate) == ERRCODE_INVALID_SCHEMA_NAME ||
		 ERRCODE_TO_CATEGORY(error.sqlstate) ==
			 ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION))
		ok = attempt(pending, n, callbacks, time_left(&begun, timeout), NULL, &error);
	if (ok)
	{
		wt_absence_of_partition(false);
		set_results(pending, n, WT_STORE_COMMITTED, NULL);
		wt_fault_accepted(count_committed(pending, n));
	}
	else if (is_worth_halving(&error, n))
	{
		int passed = ms_since(&begun);
		int left = time_left(&begun, timeout);
		WtHalves halves = {insert_judged, undone,
						   callbacks,	  passed > SLOW_FAILURE ? 1 : MAX_LOOKS,
						   left / 2,	  wt_statement_is_elsewhere()};

		ok = attempt(pending, n, callbacks, left, &halves, &error);
		if (ok)
			note_results(pending, n);
	}
	if (ok)
		count_commit(n, &begun);
	else
	{
		if (error.no_partition)
			wt_absence_of_partition(true);
		strlcpy(failure, error.message, sizeof(failure));
		for (int i = 0; i < n; i++)
			pending[i]->result = WT_STORE_PENDING;
		set_results(pending, n,
					error.sqlstate == ERRCODE_QUERY_CANCELED && !error.committed
						? WT_STORE_CANCELLED
						: WT_STORE_UNAVAILABLE,
					error.message);
	}
}

void
wt_store_prepare(int timeout)
{
	WtFailure error;

	failure[0] = '\0';
	if (!attempt(NULL, 0, NULL, timeout, NULL, &error))
		strlcpy(failure, error.message, sizeof(failure));
}

const char *
wt_store_failure(void)
{
	return failure[0] ? failure : NULL;
}
