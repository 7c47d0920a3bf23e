/*
 * histogram.c
 *		How many events a query finds over time: windtrap.histogram(), which is one statement, and
 *		the same a slice at a time.
 *
 * Both with the caller's rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "search/counts.h"
#include "search/rows.h"
#include "search/search_sql.h"

PG_FUNCTION_INFO_V1(windtrap_histogram);

/* How many events the first slice is to hold. */
#define FIRST_SLICE 20000.0

/* Kinds of events in a bucket: those of each value that has a name, and these two. */
#define ABSENT WT_HISTOGRAM_VALUES
#define OTHERS (WT_HISTOGRAM_VALUES + 1)
#define KINDS (WT_HISTOGRAM_VALUES + 2)

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

/*
 * A slice: $4 is where buckets begin.  What is counted is grouped by nothing but the bucket and the
 * value, which is made once a row so, and which sealed partitions count by themselves.
 */
#define COUNTED                                                                          \
	"(SELECT date_bin($3, event_timestamp, $4) AS bucket, left(%s, 1000) AS value,"      \
	" count(*) AS n FROM windtrap.events WHERE (%s)"                                     \
	" AND event_timestamp >= $1 AND event_timestamp < $2 GROUP BY 1, 2) AS counted"

/* With its most frequent values first. */
static const char counted[] =
	"SELECT bucket, value, n, sum(n) OVER (PARTITION BY value) AS of_value FROM " COUNTED
	" ORDER BY 4 DESC, value COLLATE \"C\"";

/* The same when all names are given, $5; what has another one has none, and true. */
static const char counted_by_name[] =
	"SELECT bucket, CASE WHEN value = ANY ($5) THEN value END, sum(n)::bigint,"
	" value IS NOT NULL FROM " COUNTED " GROUP BY 1, 2, 4";

struct WtTimeHistogram
{
	MemoryContext context;
	WtSlices slices;
	const char *condition;
	const char *field;
	TimestampTz since;
	TimestampTz final_to;
	Interval width; /* of a bucket; its time alone */
	int buckets;
	char *names[WT_HISTOGRAM_VALUES];
	int n_names;
	int64 partial[KINDS]; /* of the bucket that searched_to is within */
	WtCount *counts;	  /* what the last slice has made final */
};

static void
check_span(TimestampTz since, TimestampTz until, int buckets)
{
	if (TIMESTAMP_NOT_FINITE(since) || TIMESTAMP_NOT_FINITE(until) || since >= until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a histogram needs a beginning and an end, which is after it")));
	if (buckets < 1 || buckets > WT_HISTOGRAM_MAX_BUCKETS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("buckets is a number from 1 to %d, not %d",
							   WT_HISTOGRAM_MAX_BUCKETS, buckets)));
}

static int64
width_of(TimestampTz since, TimestampTz until, int buckets)
{
	return (until - since + buckets - 1) / buckets;
}

WtTimeHistogram *
wt_histogram_open(const WtCountFor *what, int buckets)
{
	WtTimeHistogram *histogram = palloc0(sizeof(*histogram));

	histogram->context = CurrentMemoryContext;
	histogram->condition = what->query ? wt_search_condition(what->query) : "true";
	histogram->field = what->field ? wt_search_field(what->field) : "NULL::text";
	check_span(what->since, what->until, buckets);
	histogram->since = what->since;
	histogram->final_to = what->until;
	histogram->width.time = width_of(what->since, what->until, buckets);
	histogram->buckets = buckets;
	wt_slices_begin(&histogram->slices, what->since, what->until, FIRST_SLICE);
	return histogram;
}

int64
wt_histogram_width(const WtTimeHistogram *histogram)
{
	return histogram->width.time;
}

static TimestampTz
bucket_begins(const WtTimeHistogram *histogram, int bucket)
{
	return histogram->since + bucket * histogram->width.time;
}

static int
bucket_of(const WtTimeHistogram *histogram, TimestampTz time)
{
	return (int) ((time - histogram->since) / histogram->width.time);
}

/* The kind of a value, which gets a name where there is one left. */
static int
kind_of(WtTimeHistogram *histogram, const char *value)
{
	for (int i = 0; i < histogram->n_names; i++)
		if (strcmp(histogram->names[i], value) == 0)
			return i;
	if (histogram->n_names == WT_HISTOGRAM_VALUES)
		return OTHERS;
	histogram->names[histogram->n_names] = MemoryContextStrdup(histogram->context, value);
	return histogram->n_names++;
}

/* The names as an array of texts. */
static Datum
names_of(const WtTimeHistogram *histogram)
{
	Datum names[WT_HISTOGRAM_VALUES];

	for (int i = 0; i < histogram->n_names; i++)
		names[i] = CStringGetTextDatum(histogram->names[i]);
	return PointerGetDatum(
		construct_array(names, histogram->n_names, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Adds what a statement has counted to the buckets from `oldest` on. */
static void
add_rows(WtTimeHistogram *histogram, int64 n, bool by_name, int oldest, int64 *added)
{
	TupleDesc desc = n > 0 ? SPI_tuptable->tupdesc : NULL;

	for (int64 i = 0; i < n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool is_null;
		TimestampTz begin = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &is_null));
		char *value = SPI_getvalue(row, desc, 2);
		int64 count = DatumGetInt64(SPI_getbinval(row, desc, 3, &is_null));
		int kind = value ? kind_of(histogram, value) : ABSENT;

		if (!value && by_name && DatumGetBool(SPI_getbinval(row, desc, 4, &is_null)))
			kind = OTHERS;
		added[(bucket_of(histogram, begin) - oldest) * KINDS + kind] += count;
		if (value)
			pfree(value);
	}
}

int
wt_histogram_slice(WtTimeHistogram *histogram, const WtCount **counts)
{
	WtSlice slice = wt_slices_next(&histogram->slices);
	int newest = bucket_of(histogram, slice.to - 1);
	int oldest = newest;
	bool by_name = histogram->n_names == WT_HISTOGRAM_VALUES;
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INTERVALOID, TIMESTAMPTZOID,
				   TEXTARRAYOID};
	Datum values[5];
	int64 *added;
	int64 rows;
	int n = 0;

	/* Whole buckets, where there is one. */
	if (slice.from <= bucket_begins(histogram, newest))
	{
		oldest = (int) ((slice.from - histogram->since + histogram->width.time - 1) /
						histogram->width.time);
		slice = wt_slices_cut(&histogram->slices, bucket_begins(histogram, oldest));
	}
	values[0] = TimestampTzGetDatum(slice.from);
	values[1] = TimestampTzGetDatum(slice.to);
	values[2] = IntervalPGetDatum(&histogram->width);
	values[3] = TimestampTzGetDatum(histogram->since);
	if (by_name)
		values[4] = names_of(histogram);
	rows = wt_search_run(psprintf(by_name ? counted_by_name : counted, histogram->field,
								  histogram->condition),
						 by_name ? 5 : 4, types, values);
	added = palloc0((Size) (newest - oldest + 1) * KINDS * sizeof(int64));
	add_rows(histogram, rows, by_name, oldest, added);
	SPI_freetuptable(SPI_tuptable);
	if (histogram->counts)
		pfree(histogram->counts);
	histogram->counts = NULL;

	for (int kind = 0; kind < KINDS; kind++)
		added[(newest - oldest) * KINDS + kind] += histogram->partial[kind];
	if (slice.from > bucket_begins(histogram, oldest))
		memcpy(histogram->partial, added, sizeof(histogram->partial));
	else
	{
		histogram->counts = MemoryContextAlloc(
			histogram->context, (Size) (newest - oldest + 1) * KINDS * sizeof(WtCount));
		for (int bucket = newest; bucket >= oldest; bucket--)
			for (int kind = 0; kind < KINDS; kind++)
			{
				int64 count = added[(bucket - oldest) * KINDS + kind];

				if (count > 0)
					histogram->counts[n++] = (WtCount){
						.bucket = bucket,
						.value =
							kind < WT_HISTOGRAM_VALUES ? histogram->names[kind] : NULL,
						.is_others = kind == OTHERS,
						.count = count};
			}
		memset(histogram->partial, 0, sizeof(histogram->partial));
		histogram->final_to = slice.from;
	}
	pfree(added);
	*counts = histogram->counts;
	wt_slices_done(&histogram->slices, false);
	return n;
}

bool
wt_histogram_gave_up(WtTimeHistogram *histogram)
{
	return wt_slices_gave_up(&histogram->slices);
}

const WtSearched *
wt_histogram_progress(const WtTimeHistogram *histogram)
{
	return &histogram->slices.progress;
}

TimestampTz
wt_histogram_final_to(const WtTimeHistogram *histogram)
{
	return histogram->final_to;
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
	const char *condition =
		PG_ARGISNULL(0) ? "true" : wt_search_condition(PG_GETARG_TEXT_PP(0));
	const char *field =
		PG_ARGISNULL(4) ? "NULL::text" : wt_search_field(PG_GETARG_TEXT_PP(4));
	TimestampTz since = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz until = PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);
	int32 buckets = PG_ARGISNULL(3) ? 60 : PG_GETARG_INT32(3);

	check_span(since, until, buckets);
	width.time = width_of(since, until, buckets);
	values[0] = TimestampTzGetDatum(since);
	values[1] = TimestampTzGetDatum(until);
	values[2] = IntervalPGetDatum(&width);
	wt_search_begin(fcinfo);
	wt_search_give(
		fcinfo, wt_search_run(psprintf(histogram, field, condition), 3, types, values));
	wt_search_end();
	return (Datum) 0;
}
