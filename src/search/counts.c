/*
 * counts.c
 *		windtrap.histogram() and windtrap.top_values(): how many events a query finds, over time and
 *		by the values of a field.
 *
 * Each is one statement, of which the query is a part, with the caller's rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "search/rows.h"
#include "search/search_sql.h"

PG_FUNCTION_INFO_V1(windtrap_histogram);
PG_FUNCTION_INFO_V1(windtrap_top_values);

#define MAX_BUCKETS 10000
#define MAX_VALUES 10000

/*
 * Every bucket, and with a field every bucket of every value, so that lines go down to 0 where
 * nothing is.  Of a field that has many values the most frequent ones have their own lines, and
 * all others one: a chart of thousands shows nothing.
 */
static const char histogram[] =
	"WITH counted AS (SELECT date_bin($3, event_timestamp, $1) AS bucket, %s AS value,"
	" count(*) AS n FROM windtrap.events WHERE (%s)"
	" AND event_timestamp >= $1 AND event_timestamp < $2 GROUP BY 1, 2),"
	" ranked AS (SELECT value, row_number() OVER (ORDER BY sum(n) DESC, value COLLATE "
	"\"C\") AS rank"
	" FROM counted GROUP BY value),"
	" named AS (SELECT bucket, CASE WHEN rank > 20 THEN '(others)' ELSE r.value END AS "
	"value,"
	" sum(n) AS n FROM counted c JOIN ranked r ON r.value IS NOT DISTINCT FROM c.value"
	" GROUP BY 1, 2),"
	" line AS (SELECT value, sum(n) AS total FROM named GROUP BY 1"
	" UNION ALL SELECT NULL, 0 WHERE NOT EXISTS (SELECT FROM named))"
	" SELECT s.bucket, l.value, coalesce(n.n, 0)::bigint"
	" FROM generate_series($1, $2 - interval '1 microsecond', $3) AS s(bucket) CROSS "
	"JOIN line l"
	" LEFT JOIN named n ON n.bucket = s.bucket AND n.value IS NOT DISTINCT FROM l.value"
	" ORDER BY s.bucket, l.total DESC, l.value COLLATE \"C\"";

static const char top_values[] =
	"SELECT value, n, round(share, 4)"
	" FROM (SELECT %s AS value, count(*) AS n, count(*) / sum(count(*)) OVER () AS share"
	" FROM windtrap.events WHERE (%s)"
	" AND event_timestamp >= $1 AND event_timestamp < $2 GROUP BY 1) AS counted"
	" WHERE value IS NOT NULL ORDER BY n DESC, value COLLATE \"C\" LIMIT $3";

static const char *
condition_of(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? "true" : wt_search_condition(PG_GETARG_TEXT_PP(0));
}

/*
 * windtrap.histogram(query text, since timestamptz, until timestamptz, buckets int, by text)
 * → table(bucket timestamptz, value text, count bigint): since <= event_timestamp < until
 */
Datum
windtrap_histogram(PG_FUNCTION_ARGS)
{
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INTERVALOID};
	Datum values[3];
	Interval width = {0};
	const char *condition = condition_of(fcinfo);
	const char *field =
		PG_ARGISNULL(4) ? "NULL::text" : wt_search_field(PG_GETARG_TEXT_PP(4));
	TimestampTz since = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz until = PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);
	int32 buckets = PG_ARGISNULL(3) ? 60 : PG_GETARG_INT32(3);

	if (TIMESTAMP_NOT_FINITE(since) || TIMESTAMP_NOT_FINITE(until) || since >= until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a histogram needs a beginning and an end, which is after it")));
	if (buckets < 1 || buckets > MAX_BUCKETS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("buckets is a number from 1 to %d, not %d", MAX_BUCKETS,
							   buckets)));
	width.time = (until - since + buckets - 1) / buckets;
	values[0] = TimestampTzGetDatum(since);
	values[1] = TimestampTzGetDatum(until);
	values[2] = IntervalPGetDatum(&width);
	wt_search_begin(fcinfo);
	wt_search_give(
		fcinfo, wt_search_run(psprintf(histogram, field, condition), 3, types, values));
	wt_search_end();
	return (Datum) 0;
}

/*
 * windtrap.top_values(query text, field text, since timestamptz, until timestamptz, n int)
 * → table(value text, count bigint, share numeric): the share is that of all that the query finds
 */
Datum
windtrap_top_values(PG_FUNCTION_ARGS)
{
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};
	Datum values[3];
	const char *condition = condition_of(fcinfo);
	const char *field;
	int32 n = PG_ARGISNULL(4) ? 10 : PG_GETARG_INT32(4);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a field is needed")));
	field = wt_search_field(PG_GETARG_TEXT_PP(1));
	if (n < 1 || n > MAX_VALUES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("n is a number from 1 to %d, not %d", MAX_VALUES, n)));
	values[0] =
		TimestampTzGetDatum(PG_ARGISNULL(2) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(2));
	values[1] =
		TimestampTzGetDatum(PG_ARGISNULL(3) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(3));
	values[2] = Int64GetDatum(n);
	wt_search_begin(fcinfo);
	wt_search_give(
		fcinfo, wt_search_run(psprintf(top_values, field, condition), 3, types, values));
	wt_search_end();
	return (Datum) 0;
}
