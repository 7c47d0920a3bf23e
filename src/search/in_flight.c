/*
 * in_flight.c
 *		When the transactions began that may still write events.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "search/in_flight.h"
#include "search/rows.h"

/* So long before now, µs, what is not known may have begun. */
#define UNKNOWN (60 * USECS_PER_SEC)

/* When the oldest prepared transaction was prepared; DT_NOEND: there is none. */
static TimestampTz
oldest_prepared(void)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(MyDatabaseId)};
	bool is_null;
	Datum oldest;

	if (max_prepared_xacts == 0)
		return DT_NOEND;
	(void) wt_search_run("SELECT min(prepared) FROM pg_prepared_xact() WHERE dbid = $1",
						 1, types, values);
	oldest = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	SPI_freetuptable(SPI_tuptable);
	return is_null ? DT_NOEND : DatumGetTimestampTz(oldest);
}

TimestampTz
wt_in_flight_since(TimestampTz now, TimestampTz known)
{
	TimestampTz since = now;
	TimestampTz prepared;
	int n;

	/* Nothing is known of the other server's transactions, nor how far behind this one is. */
	if (RecoveryInProgress())
	{
		TimestampTz replayed = GetLatestXTime();

		return (replayed == 0 ? now : Min(replayed, now)) - UNKNOWN;
	}
	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		const LocalPgBackendStatus *local = wt_local_backend_status(i);
		const PgBackendStatus *backend = local ? &local->backendStatus : NULL;
		TimestampTz began;

		if (!backend || backend->st_databaseid != MyDatabaseId)
			continue;
		began = backend->st_xact_start_timestamp;
		if (backend->st_state == STATE_DISABLED)
			began = now - UNKNOWN; /* it has track_activities = off */
		else if (began == 0)
			continue;
		if (TransactionIdIsValid(local->backend_xid) || began >= now - UNKNOWN)
			since = Min(since, began);
	}
	prepared = oldest_prepared();
	if (prepared != DT_NOEND)
		since = Min(since, Min(prepared - UNKNOWN, known));
	return since;
}
