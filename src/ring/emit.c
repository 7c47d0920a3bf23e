/*
 * emit.c
 *		windtrap.emit() and windtrap.emit_durably(): an event from SQL, which is no part of the
 *		transaction that it comes from, by the ring.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/process.h"
#include "base/settings.h"
#include "base/severities.h"
#include "base/shared.h"
#include "base/unix_time.h"
#include "base/uuid.h"
#include "ring/ring.h"

PG_FUNCTION_INFO_V1(windtrap_emit);
PG_FUNCTION_INFO_V1(windtrap_emit_durably);

/* Between two looks whether it can still come to an end, ms: less than the reader waits for a lock. */
#define LOOK 250

/* What is kept of a name, bytes; PostgreSQL's own are shorter. */
#define MAX_NAME 255

/*
 * Whether the collector serves this database, or will once it has started; else why not, and what to
 * do.
 */
static const char *
why_not_served(const char **hint)
{
	Oid served;
	bool stopped;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	served = wt_shared->database;
	stopped = wt_shared->stop;
	LWLockRelease(&wt_shared->lock);
	*hint = NULL;
	if (stopped)
	{
		*hint = "Call windtrap.start().";
		return "the collector is stopped";
	}
	if (OidIsValid(served))
		return served == MyDatabaseId
				   ? NULL
				   : psprintf("the collector stores the events of database \"%s\"",
							  get_database_name(served));
	/* A server that has just been started: its launcher has not looked yet. */
	if (wt_is_preloaded && strcmp(get_database_name(MyDatabaseId), wt_database) == 0)
		return NULL;
	*hint = "Call windtrap.start().";
	return "no collector stores events of this database";
}

/* Raises where the event would be nobody's. */
static void
check_served(const char *instead)
{
	const char *hint;
	const char *why = why_not_served(&hint);

	if (why)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%s: %s", instead, why), hint ? errhint("%s", hint) : 0));
}

/*
 * Raises where the reader waits for a lock that this transaction has: it would be waited for in vain,
 * and nobody else sees that.
 */
static void
check_deadlock(const char *what)
{
	int place = wt_ring_reader();
	PGPROC *reader;
	ArrayType *blocking;
	Datum *pids;
	int n;

	if (place < 0)
		return;
	reader = &ProcGlobal->allProcs[place];
	if ((*(volatile uint32 *) &reader->wait_event_info & 0xFF000000U) != PG_WAIT_LOCK)
		return;
	blocking = DatumGetArrayTypeP(
		DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(reader->pid)));
	deconstruct_array(blocking, INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, NULL,
					  &n);
	for (int i = 0; i < n; i++)
		if (DatumGetInt32(pids[i]) == MyProcPid)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_DEADLOCK_DETECTED), errmsg("%s", what),
					 errdetail("The collector waits for a lock that this transaction "
							   "holds.")));
}

static WtSeverity
severity_of(const text *word)
{
	char *name = text_to_cstring(word);

	for (int i = WT_SEVERITY_NONE + 1; i < WT_N_SEVERITIES; i++)
		if (pg_strcasecmp(name, wt_severity_names[i]) == 0)
			return (WtSeverity) i;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" is no severity", name),
					errhint("There are trace, debug, info, warning, error and fatal.")));
}

/* Writes a record, waiting for room; gives its position. */
static uint64
write_record(WtRingHead *head, const char *const texts[WT_RING_TEXTS],
			 const size_t lengths[WT_RING_TEXTS])
{
	TimestampTz until = 0;
	uint64 position;

	while (!wt_ring_write(head, texts, lengths, &position))
	{
		TimestampTz now = GetCurrentTimestamp();
		long left;

		if (until == 0)
			until = TimestampTzPlusMilliseconds(now, wt_emit_timeout);
		left = TimestampDifferenceMilliseconds(now, until);
		if (left <= 0)
		{
			wt_ring_stop_sleeping();
			wt_ring_count_no_room(WT_RING_EMIT);
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("the event could not be emitted: %d kB of others wait to be "
							"stored",
							wt_ring_size),
					 errhint("windtrap.status says whether events can be stored; "
							 "windtrap.ring_size is the memory for those that wait, and "
							 "windtrap.emit_timeout how long emitting waits for it.")));
		}
		check_served("the event could not be emitted");
		check_deadlock("the event could not be emitted: no others can be stored");
		wt_ring_sleep(Min(left, LOOK));
	}
	wt_ring_stop_sleeping();
	return position;
}

static void
wait_until_done(uint64 position)
{
	for (;;)
	{
		switch (wt_ring_result(position))
		{
			case WT_RING_COMMITTED:
				return;
			case WT_RING_QUARANTINED:
				ereport(ERROR,
						(errcode(ERRCODE_CHECK_VIOLATION),
						 errmsg("the log table refuses the event, which is in quarantine "
								"now"),
						 errhint("windtrap.quarantine says why.")));
			case WT_RING_REFUSED:
				ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
								errmsg("the log table refuses the event"),
								errhint("The server's log says why.")));
			case WT_RING_PENDING:
				break;
		}
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK,
					  PG_WAIT_EXTENSION) &
			WL_TIMEOUT)
		{
			check_served("the event is stored when the collector runs again");
			check_deadlock("the event is stored when this transaction has ended");
		}
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
put_name(const char *texts[WT_RING_TEXTS], size_t lengths[WT_RING_TEXTS],
		 WtRingText which, const char *name)
{
	if (!name || name[0] == '\0')
		return;
	texts[which] = name;
	lengths[which] = strnlen(name, MAX_NAME);
}

/* Refuses what could not go the way of an event from here. */
static void
check_caller(void)
{
	if (wt_process_is_own)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("WindTrap's own processes emit no events: each event that is "
						"stored would become another one"),
				 errhint("A trigger of the log table cannot call windtrap.emit().")));
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("no events can be emitted on a standby, which could not "
							   "store them")));
}

static Datum
emit(FunctionCallInfo fcinfo, bool durably)
{
	WtRingHead head = {.kind = WT_RING_EMIT, .waiter = -1};
	const char *texts[WT_RING_TEXTS] = {NULL};
	size_t lengths[WT_RING_TEXTS] = {0};
	size_t limit;
	Jsonb *event;
	uint64 position;
	FullTransactionId transaction;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the event must not be null")));
	event = PG_GETARG_JSONB_P(0);
	if (!PG_ARGISNULL(1))
		head.severity = (int32) severity_of(PG_GETARG_TEXT_PP(1));
	check_caller();
	wt_shared_attach();
	wt_ring_attach();
	check_served("the event could not be emitted");

	texts[WT_RING_MESSAGE] = JsonbToCString(NULL, &event->root, (int) VARSIZE(event));
	lengths[WT_RING_MESSAGE] = strlen(texts[WT_RING_MESSAGE]);
	limit = Min(wt_ring_max_text(), (size_t) wt_max_event_size);
	if (lengths[WT_RING_MESSAGE] > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the event is too large: as JSON it has %zu bytes, and %zu may "
						"be emitted",
						lengths[WT_RING_MESSAGE], limit),
				 errhint("That is windtrap.max_event_size, or a quarter of "
						 "windtrap.ring_size.")));
	put_name(texts, lengths, WT_RING_USER, GetUserNameFromId(GetSessionUserId(), true));
	put_name(texts, lengths, WT_RING_APPLICATION, application_name);
	head.pid = MyProcPid;
	head.time_us = wt_unix_us(GetCurrentTimestamp());
	head.database = MyDatabaseId;
	head.encoding = GetDatabaseEncoding();
	transaction = GetTopFullTransactionIdIfAny();
	head.transaction = U64FromFullTransactionId(transaction);
	wt_uuid_v7(head.time_us, head.id);
	if (durably)
		head.waiter = wt_ring_waiter();
	position = write_record(&head, texts, lengths);
	if (durably)
		wait_until_done(position);
	return DirectFunctionCall1(uuid_in, CStringGetDatum(head.id));
}

/* windtrap.emit(event jsonb, severity text) RETURNS uuid: the event's id */
Datum
windtrap_emit(PG_FUNCTION_ARGS)
{
	return emit(fcinfo, false);
}

/* windtrap.emit_durably(event jsonb, severity text) RETURNS uuid: the same, once it is committed */
Datum
windtrap_emit_durably(PG_FUNCTION_ARGS)
{
	return emit(fcinfo, true);
}
