/*
 * search.c
 *		windtrap.search(): the events that a query finds, newest first.
 *
 * The index on the time is a BRIN one, which knows no order: to give the last events of a day
 * PostgreSQL would read all of the day and sort it.  So the time is read in slices, from its end
 * backwards, until there are rows enough.  The first slice holds, by the planner's estimate of
 * how many events there are in a time, some more than are wanted; each one after it is twice as
 * long as the one before, as long as none takes long.
 *
 * All statements see what the caller's statement sees, and have his rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/plannodes.h"
#include "utils/builtins.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"

#include "search/rows.h"
#include "search/search_sql.h"

PG_FUNCTION_INFO_V1(windtrap_search);

#define MAX_ROWS 10000

/* How many times as many events as are wanted the first slice is to hold. */
#define FIRST_SLICE_FACTOR 2.0

/* The first slice is at least so long, and as long where nothing is known. */
#define MIN_SLICE (USECS_PER_SEC / 100)

/* Over how long a time, before the end of what is asked for, the rate is taken. */
#define RATE_SPAN USECS_PER_DAY

/* A slice that takes longer than this, µs, is followed by one that is no longer than itself. */
#define LONG_SLICE (USECS_PER_SEC / 2)

/* Past this the rest of the time is one slice: there can hardly be any events. */
#define MAX_SLICE (USECS_PER_DAY * 36525)

/*
 * The columns of windtrap.events are made here once more, of the rows that are given; a sort of
 * the view would make them of all that it sorts.
 */
static const char statement[] =
	"SELECT event_timestamp, data->>'id', windtrap.severity(data), windtrap.app(data),"
	" windtrap.sender_host(data), windtrap.message(data), data->>'source', data, status"
	" FROM (SELECT event_timestamp, data, status FROM windtrap.events"
	" WHERE (%s) AND event_timestamp >= $1 AND event_timestamp < $2%s"
	" ORDER BY event_timestamp DESC, coalesce(id, '') COLLATE \"C\" DESC%s) AS found";
static const char limit[] = " LIMIT $3";

/*
 * Rows that have the time and the id of the last one come along: what has no id, or the same
 * one, could not be asked for again.  PostgreSQL sorts all rows for that, and for a limit only
 * those that it gives.
 */
static const char limit_with_ties[] = " FETCH FIRST $3 ROWS WITH TIES";

static const char behind[] =
	" AND (event_timestamp < $4 OR coalesce(id, '') COLLATE \"C\" < $5)";

typedef struct Search
{
	const char *condition;
	TimestampTz since;
	TimestampTz until; /* none of it */
	TimestampTz before_time;
	Datum before_id; /* 0: from the end of the time on */
	int64 wanted;
	FunctionCallInfo fcinfo;
} Search;

/* A constant that reads the same whatever DateStyle and TimeZone are. */
static const char *
time_literal(TimestampTz time)
{
	return quote_literal_cstr(timestamptz_to_str(time));
}

/* How many events there are between two times, by the planner's estimate, for all conditions. */
static double
estimate(TimestampTz from, TimestampTz to)
{
	SPIPlanPtr plan;
	CachedPlan *cached;
	double rows = 0;
	/* Not in one call: timestamptz_to_str() has one buffer, which quoting copies. */
	const char *from_literal = time_literal(from);
	const char *command =
		psprintf("SELECT FROM windtrap.events WHERE event_timestamp >= %s "
				 "AND event_timestamp < %s",
				 from_literal, time_literal(to));

	plan = SPI_prepare(command, 0, NULL);
	if (!plan)
		elog(ERROR, "could not prepare \"%s\": %s", command,
			 SPI_result_code_string(SPI_result));
	cached = SPI_plan_get_cached_plan(plan);
	if (cached)
	{
		rows = linitial_node(PlannedStmt, cached->stmt_list)->planTree->plan_rows;
		ReleaseCachedPlan(cached, NULL);
	}
	SPI_freeplan(plan);
	return rows;
}

/* How long the first slice is, µs. */
static int64
first_width(TimestampTz until, int64 wanted)
{
	TimestampTz from = until - RATE_SPAN;
	double width;

	if (!IS_VALID_TIMESTAMP(from))
		return RATE_SPAN;
	width = (double) RATE_SPAN * FIRST_SLICE_FACTOR * (double) wanted /
			Max(estimate(from, until), 1.0);
	return (int64) Min(Max(width, (double) MIN_SLICE), (double) RATE_SPAN);
}

/* The time and the id of a row, which is "" where it has none. */
static TimestampTz
time_of(int64 row)
{
	bool is_null;

	return DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &is_null));
}

static const char *
id_of(int64 row)
{
	bool is_null;
	Datum id = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &is_null);

	return is_null ? "" : TextDatumGetCString(id);
}

/* Gives the rows of a slice to who called; how many there are. */
static int64
give_slice(const Search *search, bool is_first, TimestampTz from, TimestampTz to,
		   int64 wanted)
{
	bool is_behind = is_first && search->before_id != (Datum) 0;
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID};
	Datum values[] = {TimestampTzGetDatum(from), TimestampTzGetDatum(to),
					  Int64GetDatum(wanted + 1), TimestampTzGetDatum(search->before_time),
					  search->before_id};
	int n = is_behind ? 5 : 3;
	const char *then = is_behind ? behind : "";
	int64 found = wt_search_run(psprintf(statement, search->condition, then, limit), n,
								types, values);

	if (found > wanted)
	{
		found = wanted;
		if (time_of(wanted - 1) == time_of(wanted) &&
			strcmp(id_of(wanted - 1), id_of(wanted)) == 0)
		{
			SPI_freetuptable(SPI_tuptable);
			values[2] = Int64GetDatum(wanted);
			found = wt_search_run(
				psprintf(statement, search->condition, then, limit_with_ties), n, types,
				values);
		}
	}
	wt_search_give(search->fcinfo, found);
	return found;
}

static void
give_slices(const Search *search)
{
	TimestampTz to = search->until;
	bool is_first = true;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	int64 found = 0;
	int64 width;

	/* What is of a time that has not come is one slice. */
	if (to > now)
	{
		TimestampTz from = Max(search->since, now);

		found = give_slice(search, is_first, from, to, search->wanted);
		to = from;
		is_first = false;
	}
	if (found >= search->wanted || to <= search->since)
		return;
	width = first_width(to, search->wanted);
	while (found < search->wanted && to > search->since)
	{
		TimestampTz from = search->since;
		TimestampTz begun = GetCurrentTimestamp();

		/* Overflow is out of the question: PostgreSQL's time begins far from int64's end. */
		if (width < MAX_SLICE && to - width > from)
			from = to - width;
		found += give_slice(search, is_first, from, to, search->wanted - found);
		to = from;
		is_first = false;
		if (GetCurrentTimestamp() - begun < LONG_SLICE)
			width *= 2;
	}
}

/*
 * windtrap.search(query text, since timestamptz, until timestamptz, max_rows int,
 * before_time timestamptz, before_id text) → rows of windtrap.events
 *
 * of since <= event_timestamp < until; null: no limit.  Those before (before_time, before_id),
 * if there is a before_time, in the order in which they are given.
 */
Datum
windtrap_search(PG_FUNCTION_ARGS)
{
	Search search = {
		.condition = PG_ARGISNULL(0) ? "true" : wt_search_condition(PG_GETARG_TEXT_PP(0)),
		.since = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1),
		.until = PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2),
		.wanted = PG_ARGISNULL(3) ? 100 : PG_GETARG_INT32(3)};

	if (search.wanted < 1 || search.wanted > MAX_ROWS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows is a number from 1 to %d, not %lld", MAX_ROWS,
							   (long long) search.wanted)));
	search.fcinfo = fcinfo;
	if (!PG_ARGISNULL(4))
	{
		search.before_time = PG_GETARG_TIMESTAMPTZ(4);
		search.before_id = PG_ARGISNULL(5) ? CStringGetTextDatum("") : PG_GETARG_DATUM(5);
		if (TIMESTAMP_IS_NOBEGIN(search.before_time))
			search.until = DT_NOBEGIN;
		else if (search.before_time < search.until)
			search.until = search.before_time + 1;
	}
	wt_search_begin(fcinfo);
	if (search.since < search.until)
		give_slices(&search);
	wt_search_end();
	return (Datum) 0;
}
