/*
 * table_target.c
 *		A load → a table of windtrap.forward_to; any, mostly a foreign one.
 *
 * The transaction that inserts a load also moves the position on.  Where the target is
 * a table of this database the two are one; where it is not, a crash between them makes the
 * load be inserted again, which is what ON CONFLICT DO NOTHING is for.
 *
 * The statement runs as the owner of the target, in a security-restricted operation, for
 * the reason that store.c gives.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/process.h"
#include "base/sql.h"
#include "forward/table_statement.h"
#include "forward/table_target.h"
#include "store/insert.h"
#include "store/log_table.h"

/* The name under which the statement sees the load. */
static char load_name[] = "windtrap_load";

/* Waiting for a lock on the target. */
#define LOCK_TIMEOUT "5s"

/* The load's tuplestore stays in memory up to here, kB. */
#define LOAD_MEMORY (64 * 1024)

/* Events that are tried alone where it may be that the target takes none. */
#define MAX_LOOKS 3

static bool with_conflict_clause = true; /* the target's wrapper knows ON CONFLICT */
static bool
	unclear; /* the load failed as a whole, and it may be that no event of it passes */

/* Inserts events into the target, and what that sets off. */
static void
insert_events(const WtLoad *load, const WtLoadEvent *events, int n)
{
	Tuplestorestate *rows;
	WtInsertInto into = {0};
	SPIPlanPtr plan;
	char *statement;
	Oid relation;
	Oid owner;

	SPI_connect();
	rows = tuplestore_begin_heap(false, false, LOAD_MEMORY);
	for (int i = 0; i < n; i++)
		if (events[i].result == WT_LOAD_PENDING)
			wt_insert_put(rows, events[i].event.event_timestamp, events[i].event.data,
						  events[i].event.status);
	wt_insert_register(load_name, rows, n);
	statement = wt_table_statement(load->forwarder->target, load_name,
								   with_conflict_clause, &relation, &owner);
	into.relation = relation;
	plan = wt_insert_prepare(statement, &into, owner);
	wt_insert_execute(plan, owner, NULL);
	/* What has gone there is deleted here. */
	if (get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE)
		wt_refuse_unlogged(find_all_inheritors(relation, NoLock, NULL));
	tuplestore_end(rows);
	SPI_finish();
}

/*
 * Inserts events in a subtransaction; false, and *failure, where one may be at fault.  Other
 * errors are raised again.
 */
static bool
insert_in_subtransaction(const WtLoad *load, const WtLoadEvent *events, int n,
						 WtForwardFailure *failure)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		insert_events(load, events, n);
		ReleaseCurrentSubTransaction();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		wt_forward_note(failure, error);
		if (failure->blame != WT_BLAME_ROW && failure->blame != WT_BLAME_UNCLEAR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/* Inserts events by subtransactions, halving them where one is at fault. */
static void
insert_by_halves(WtLoad *load, WtLoadEvent *events, int n)
{
	WtForwardFailure failure;

	CHECK_FOR_INTERRUPTS();
	if (insert_in_subtransaction(load, events, n, &failure))
	{
		load->n_refused = -1;
		for (int i = 0; i < n; i++)
			events[i].result = WT_LOAD_ACCEPTED;
		return;
	}
	if (n > 1)
	{
		insert_by_halves(load, events, n / 2);
		insert_by_halves(load, events + n / 2, n - n / 2);
		return;
	}
	/* Unclear is whose fault it is until another has passed; a dead letter's is known. */
	if (failure.blame == WT_BLAME_UNCLEAR && load->n_refused >= 0 &&
		!(load->letters && strcmp(events[0].error, failure.message) == 0))
		ereport(ERROR,
				(errcode(failure.sqlstate), errmsg_internal("%s", failure.message)));
	events[0].result = WT_LOAD_REFUSED;
	events[0].error = failure.message;
	if (wt_load_refuses_all(load))
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("it refuses every event, the last one because: %s",
							   failure.message)));
}

static void
deliver_straight(void *arg)
{
	WtLoad *load = arg;

	wt_sql_set_local("lock_timeout", LOCK_TIMEOUT);
	for (int i = 0; i < load->n; i++)
		load->events[i].result = WT_LOAD_PENDING;
	insert_events(load, load->events, load->n);
	for (int i = 0; i < load->n; i++)
		load->events[i].result = WT_LOAD_ACCEPTED;
	wt_load_move_on(load);
}

/*
 * Tries some events alone.  Where one passes, those that do not are at fault; they are drawn,
 * so that a few bad ones are not met each time.
 */
static void
look(WtLoad *load)
{
	WtForwardFailure failure;

	for (int i = 0; i < MAX_LOOKS && load->n > 1 && load->n_refused >= 0; i++)
	{
		WtLoadEvent *event =
			&load->events[pg_prng_uint64(&pg_global_prng_state) % (uint64) load->n];

		if (!insert_in_subtransaction(load, event, 1, &failure))
			continue;
		event->result = WT_LOAD_ACCEPTED;
		load->n_refused = -1;
	}
}

static void
deliver_by_halves(void *arg)
{
	WtLoad *load = arg;

	wt_sql_set_local("lock_timeout", LOCK_TIMEOUT);
	/* What an attempt that was undone has made of them does not count. */
	for (int i = 0; i < load->n; i++)
		load->events[i].result = WT_LOAD_PENDING;
	if (unclear)
		look(load);
	insert_by_halves(load, load->events, load->n);
	wt_load_move_on(load);
}

/* The target takes this event neither alone nor with others, and says so at the commit. */
static void
give_up(void *arg)
{
	WtLoad *load = arg;

	load->events[0].result = WT_LOAD_REFUSED;
	wt_load_move_on(load);
}

bool
wt_table_deliver(WtLoad *load, WtForwardFailure *failure)
{
	bool ok = wt_forward_step(deliver_straight, load, "forwarding events", failure);

	if (!ok && with_conflict_clause &&
		ERRCODE_TO_CATEGORY(failure->sqlstate) == ERRCODE_FEATURE_NOT_SUPPORTED)
	{
		/* Its wrapper may not know ON CONFLICT; then it sees to doubles, or nobody does. */
		with_conflict_clause = false;
		ok = wt_forward_step(deliver_straight, load, "forwarding events", failure);
	}
	if (ok || wt_stop_requested || failure->blame == WT_BLAME_MOMENT ||
		failure->blame == WT_BLAME_END)
		return ok;
	unclear = (failure->blame == WT_BLAME_UNCLEAR);
	ok = wt_forward_step(deliver_by_halves, load, "forwarding events", failure);
	/* Only at the commit it turns out that one is at fault: halve the loads themselves. */
	if (ok || wt_stop_requested || failure->blame != WT_BLAME_ROW || load->n > 1)
		return ok;
	load->events[0].error = failure->message;
	return wt_forward_step(give_up, load, "setting an event aside", failure);
}

/* Looks whether the target can be inserted into, as far as is seen from here. */
static void
check(void *arg)
{
	const WtLoad *load = arg;
	Oid relation;
	Oid owner;

	(void) wt_table_statement(load->forwarder->target, load_name, with_conflict_clause,
							  &relation, &owner);
}

bool
wt_table_check(WtLoad *load, WtForwardFailure *failure)
{
	return wt_forward_step(check, load, "looking at the target", failure) ||
		   failure->blame != WT_BLAME_UNCLEAR;
}
