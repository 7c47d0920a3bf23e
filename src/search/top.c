/*
 * top.c
 *		The most frequent values of a field in what a query finds: windtrap.top_values(), which is
 *		one statement, and the same a slice at a time.
 *
 * Both with the caller's rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "search/counts.h"
#include "search/rows.h"
#include "search/search_sql.h"

PG_FUNCTION_INFO_V1(windtrap_top_values);

/* How many events the first slice is to hold. */
#define FIRST_SLICE 20000.0

/* With more different values than these, or so many bytes of them, the time that is left is not searched. */
#define MAX_DIFFERENT 100000
#define MAX_BYTES (16 * 1024 * 1024)

typedef struct Value
{
	char *text;
	int64 count;
} Value;

static const char top_values[] =
	"SELECT value, n, round(share, 4)"
	" FROM (SELECT %s AS value, count(*) AS n, count(*) / sum(count(*)) OVER () AS share"
	" FROM windtrap.events WHERE (%s)"
	" AND event_timestamp >= $1 AND event_timestamp < $2 GROUP BY 1) AS counted"
	" WHERE value IS NOT NULL ORDER BY n DESC, value COLLATE \"C\" LIMIT $3";

static const char counted[] =
	"SELECT left(%s, 1000), count(*) FROM windtrap.events"
	" WHERE (%s) AND event_timestamp >= $1 AND event_timestamp < $2 GROUP BY 1";

struct WtTop
{
	MemoryContext context;
	WtSlices slices;
	const char *condition;
	const char *field;
	HTAB *values;
	Size bytes;
	int64 total; /* with those that have no such field */
	bool is_full;
};

static uint32
hash_text(const void *key, Size size)
{
	const char *text = *(const char *const *) key;

	(void) size;
	return hash_bytes((const unsigned char *) text, (int) strlen(text));
}

static int
compare_text(const void *a, const void *b, Size size)
{
	(void) size;
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static char *
field_of(const text *field)
{
	if (!field)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a field is needed")));
	return wt_search_field(field);
}

WtTop *
wt_top_open(const WtCountFor *what)
{
	WtTop *top = palloc0(sizeof(*top));
	HASHCTL control = {0};

	top->context = CurrentMemoryContext;
	top->condition = what->query ? wt_search_condition(what->query) : "true";
	top->field = field_of(what->field);
	control.keysize = sizeof(char *);
	control.entrysize = sizeof(Value);
	control.hash = hash_text;
	control.match = compare_text;
	control.hcxt = top->context;
	top->values = hash_create("windtrap values", 256, &control,
							  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	wt_slices_begin(&top->slices, what->since, what->until, FIRST_SLICE);
	return top;
}

void
wt_top_slice(WtTop *top)
{
	WtSlice slice = wt_slices_next(&top->slices);
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum times[] = {TimestampTzGetDatum(slice.from), TimestampTzGetDatum(slice.to)};
	int64 n =
		wt_search_run(psprintf(counted, top->field, top->condition), 2, types, times);

	for (int64 i = 0; i < n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool is_null;
		int64 count =
			DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &is_null));
		char *text = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);
		Value *value;
		bool found;

		top->total += count;
		if (!text)
			continue;
		value = hash_search(top->values, &text, HASH_ENTER, &found);
		if (!found)
		{
			value->text = MemoryContextStrdup(top->context, text);
			value->count = 0;
			top->bytes += strlen(text) + 1;
		}
		value->count += count;
		pfree(text);
	}
	SPI_freetuptable(SPI_tuptable);
	top->is_full =
		hash_get_num_entries(top->values) > MAX_DIFFERENT || top->bytes > MAX_BYTES;
	wt_slices_done(&top->slices, top->is_full);
}

bool
wt_top_gave_up(WtTop *top)
{
	return wt_slices_gave_up(&top->slices);
}

const WtSearched *
wt_top_progress(const WtTop *top)
{
	return &top->slices.progress;
}

bool
wt_top_is_complete(const WtTop *top)
{
	return top->slices.progress.over &&
		   top->slices.progress.searched_to <= top->slices.since;
}

/* The most frequent first, and of equals the text that comes first. */
static int
compare(const void *a, const void *b)
{
	const Value *x = *(Value *const *) a;
	const Value *y = *(Value *const *) b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->text, y->text);
}

int
wt_top_values(const WtTop *top, WtCount *counts, int n, int64 *total)
{
	Value **sorted = palloc(Max(hash_get_num_entries(top->values), 1) * sizeof(Value *));
	HASH_SEQ_STATUS it;
	Value *value;
	int found = 0;

	hash_seq_init(&it, top->values);
	while ((value = hash_seq_search(&it)))
		sorted[found++] = value;
	qsort(sorted, found, sizeof(Value *), compare);
	found = Min(found, n);
	for (int i = 0; i < found; i++)
		counts[i] = (WtCount){.value = sorted[i]->text, .count = sorted[i]->count};
	pfree(sorted);
	*total = top->total;
	return found;
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
	const char *condition =
		PG_ARGISNULL(0) ? "true" : wt_search_condition(PG_GETARG_TEXT_PP(0));
	const char *field;
	int32 n = PG_ARGISNULL(4) ? 10 : PG_GETARG_INT32(4);

	field = field_of(PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	if (n < 1 || n > WT_TOP_MAX_VALUES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("n is a number from 1 to %d, not %d", WT_TOP_MAX_VALUES, n)));
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
