/*
 * search.c
 *		windtrap.search(): the events that a query finds, newest first.
 *
 * The index on the time is a BRIN one, which knows no order: to give the last events of a day
 * PostgreSQL would read all of the day and sort it.  So the time is read in slices, from its end
 * backwards, until there are rows enough.
 *
 * All statements see what the caller's statement sees, and have his rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "search/rows.h"
#include "search/search.h"
#include "search/search_sql.h"

PG_FUNCTION_INFO_V1(windtrap_search);

/* How many times as many events as are wanted the first slice is to hold. */
#define FIRST_SLICE_FACTOR 2.0

/*
 * The columns of windtrap.events are made here once more, of the rows that are given; a sort of
 * the view would make them of all that it sorts.
 */
static const char statement[] =
	"SELECT event_timestamp, id, %s"
	" FROM (SELECT " WT_EVENT_COLUMNS
	" FROM (SELECT event_timestamp, data, status FROM windtrap.events"
	" WHERE (%s) AND event_timestamp >= $1 AND event_timestamp < $2%s"
	" ORDER BY event_timestamp DESC, coalesce(id, '') COLLATE \"C\" DESC%s) AS found)"
	" AS shown";
static const char limit[] = " LIMIT $3";

/*
 * Rows that have the time and the id of the last one come along: what has no id, or the same
 * one, could not be asked for again.  PostgreSQL sorts all rows for that, and for a limit only
 * those that it gives.
 */
static const char limit_with_ties[] = " FETCH FIRST $3 ROWS WITH TIES";

static const char behind[] =
	" AND (event_timestamp < $4 OR coalesce(id, '') COLLATE \"C\" < $5)";

struct WtSearch
{
	MemoryContext context;
	WtSlices slices;
	const char *condition;
	const char *output;
	TimestampTz before_time;
	Datum before_id; /* 0: from the end of the time on */
	int64 wanted;	 /* still */
	TimestampTz last_time;
	const char *last_id; /* NULL: not all that is wanted has been found */
};

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

WtSearch *
wt_search_open(const WtSearchFor *what)
{
	WtSearch *search = palloc0(sizeof(*search));
	TimestampTz until = what->until;

	search->context = CurrentMemoryContext;
	search->condition = what->query ? wt_search_condition(what->query) : "true";
	search->output = what->output ? what->output : wt_search_output;
	search->wanted = what->wanted;
	if (search->wanted < 1 || search->wanted > WT_SEARCH_MAX_ROWS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows is a number from 1 to %d, not %lld",
							   WT_SEARCH_MAX_ROWS, (long long) search->wanted)));
	if (what->is_behind)
	{
		search->before_time = what->before_time;
		search->before_id = CStringGetTextDatum(what->before_id ? what->before_id : "");
		if (TIMESTAMP_IS_NOBEGIN(search->before_time))
			until = DT_NOBEGIN;
		else if (search->before_time < until)
			until = search->before_time + 1;
	}
	wt_slices_begin(&search->slices, what->since, until,
					FIRST_SLICE_FACTOR * (double) search->wanted);
	return search;
}

int64
wt_search_slice(WtSearch *search)
{
	WtSlice slice = wt_slices_next(&search->slices);
	/* The row that it begins behind is in the first slice, or, where it was cut, in a later one. */
	bool is_behind = search->before_id != (Datum) 0 && slice.to > search->before_time;
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID};
	Datum values[] = {TimestampTzGetDatum(slice.from), TimestampTzGetDatum(slice.to),
					  Int64GetDatum(search->wanted + 1),
					  TimestampTzGetDatum(search->before_time), search->before_id};
	int n = is_behind ? 5 : 3;
	const char *then = is_behind ? behind : "";
	int64 found =
		wt_search_run(psprintf(statement, search->output, search->condition, then, limit),
					  n, types, values);

	if (found > search->wanted)
	{
		found = search->wanted;
		if (time_of(found - 1) == time_of(found) &&
			strcmp(id_of(found - 1), id_of(found)) == 0)
		{
			SPI_freetuptable(SPI_tuptable);
			values[2] = Int64GetDatum(search->wanted);
			found = wt_search_run(psprintf(statement, search->output, search->condition,
										   then, limit_with_ties),
								  n, types, values);
		}
	}
	search->wanted -= found;
	if (search->wanted <= 0)
	{
		search->last_time = time_of(found - 1);
		search->last_id = MemoryContextStrdup(search->context, id_of(found - 1));
	}
	wt_slices_done(&search->slices, search->wanted <= 0);
	return found;
}

bool
wt_search_gave_up(WtSearch *search)
{
	return wt_slices_gave_up(&search->slices);
}

const WtSearched *
wt_search_progress(const WtSearch *search)
{
	return &search->slices.progress;
}

bool
wt_search_next_page(const WtSearch *search, TimestampTz *time, const char **id)
{
	*time = search->last_time;
	*id = search->last_id;
	return search->last_id != NULL;
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
	WtSearchFor what = {.query = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0),
						.since = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1),
						.until = PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2),
						.wanted = PG_ARGISNULL(3) ? 100 : PG_GETARG_INT32(3),
						.is_behind = !PG_ARGISNULL(4)};
	WtSearch *search;

	if (what.is_behind)
	{
		what.before_time = PG_GETARG_TIMESTAMPTZ(4);
		what.before_id = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));
	}
	search = wt_search_open(&what);
	wt_search_begin(fcinfo);
	while (!search->slices.progress.over)
		wt_search_give(fcinfo, wt_search_slice(search));
	wt_search_end();
	return (Datum) 0;
}
