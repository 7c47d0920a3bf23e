/*
 * aggregate_scan.c
 *		Computes groups and aggregates of a sealed partition.
 *
 * Rows of a chunk that have the same combination of values (projection.h) are counted; what
 * PostgreSQL evaluates, it evaluates once for each of them, with one of its rows.  Rows come by
 * time: so a bucket of times is a run of rows, within which combinations are counted.  Late
 * rows, and those of which the combination has no number, are taken one by one.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "pgtime.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "sealed/aggregates.h"
#include "sealed/chunk_scan.h"
#include "sealed/filters.h"
#include "sealed/groups.h"
#include "sealed/late.h"
#include "sealed/links.h"
#include "sealed/needs.h"
#include "sealed/pending.h"
#include "sealed/projection.h"
#include "sealed/stored_columns.h"

typedef struct Key
{
	ExprState *value;
	WtKeyKind kind;
	bool in_zone; /* what it is depends on the session's time zone */
	int64 width;  /* of its buckets, where that is known, in µs; else 0 */
} Key;

typedef struct Call
{
	WtAggregateKind kind;
	ExprState *argument; /* NULL: none */
	ExprState *filter;	 /* NULL: none */
	FmgrInfo transition; /* of WT_AGGREGATE_BEST */
	Oid collation;
	int16 length;
	bool by_value;
} Call;

/* What it stands for when rows are taken together. */
typedef struct Rows
{
	int64 n;
	int64 first, last; /* their times, where some aggregate asks */
} Rows;

typedef struct Aggregates
{
	/* Of the plan. */
	Index varno; /* in expressions: what the partition was while it was planned */
	Oid relation;
	List *conditions;
	WtNeeds *needs;
	bool values;   /* some expression is over columns other than the time */
	bool times;	   /* some is over the time, or an aggregate of it */
	bool extremes; /* some aggregate is the first or last time */
	bool counts;   /* some aggregate counts */
	int n_keys, n_calls;
	Key *keys;
	Call *calls;
	int n_output;
	int *output;

	/* What follows is not there while a plan is only explained. */
	Relation partition;
	WtLinks links;
	WtChunkScan *chunks;
	WtFilters *filters;
	WtProjection *projection;
	ExprContext *expressions; /* of keys and calls */
	ExprContext *filtering;	  /* of conditions */
	TupleTableSlot *row;	  /* of the partition's columns */
	WtGroups *groups;
	Datum *key_values, *other_values;
	bool *key_nulls, *other_nulls;
	Bitmapset *columns; /* of late rows */

	bool started;
	bool nothing;
	int64 first, last;
	int next, end; /* of chunks->numbers */
	bool late_done;
	bool gives; /* groups, one after another */
	bool given; /* some at least, since the scan was started */

	uint64 n_read, n_late, n_by_row;
} Aggregates;

/* ------------------------------------------------------------------------ beginning */

int64
wt_bucket_width(Expr *key)
{
	FuncExpr *call = (FuncExpr *) key;
	Const *argument;

	if (!IsA(key, FuncExpr) || !IsA(linitial(call->args), Const))
		return 0;
	argument = linitial_node(Const, call->args);
	if (argument->constisnull)
		return 0;
	if (call->funcid == F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ)
	{
		Interval *width = DatumGetIntervalP(argument->constvalue);

		return width->month == 0 && width->day >= 0 && width->day < 36500 &&
					   width->time >= 0 && width->time < 36500 * USECS_PER_DAY
				   ? width->day * USECS_PER_DAY + width->time
				   : 0;
	}
	if (call->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ)
	{
		char *unit = TextDatumGetCString(argument->constvalue);

		return pg_strcasecmp(unit, "hour") == 0		? USECS_PER_HOUR
			   : pg_strcasecmp(unit, "minute") == 0 ? USECS_PER_MINUTE
			   : pg_strcasecmp(unit, "second") == 0 ? USECS_PER_SEC
													: 0;
	}
	return 0;
}

static bool
is_in_zone(Expr *key)
{
	return IsA(key, FuncExpr) &&
		   ((FuncExpr *) key)->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ;
}

static void
begin_keys(Aggregates *s, ForeignScan *plan, PlanState *parent)
{
	List *keys = list_nth(plan->fdw_private, WT_AGGREGATES_KEYS);
	List *kinds = list_nth(plan->fdw_private, WT_AGGREGATES_KEY_KINDS);
	ListCell *key, *kind;

	s->keys = palloc0(Max(list_length(keys), 1) * sizeof(Key));
	forboth(key, keys, kind, kinds)
	{
		Key *k = &s->keys[s->n_keys++];

		k->value = ExecInitExpr(lfirst(key), parent);
		k->kind = lfirst_int(kind);
		if (k->kind == WT_KEY_TIME)
		{
			s->times = true;
			k->width = wt_bucket_width(lfirst(key));
			k->in_zone = is_in_zone(lfirst(key));
		}
	}
}

static void
begin_calls(Aggregates *s, ForeignScan *plan, PlanState *parent)
{
	List *calls = list_nth(plan->fdw_private, WT_AGGREGATES_CALLS);
	ListCell *lc;

	s->calls = palloc0(Max(list_length(calls), 1) * sizeof(Call));
	foreach (lc, calls)
	{
		List *call = lfirst(lc);
		Call *c = &s->calls[s->n_calls++];
		Expr *argument = lsecond(call), *filter = lthird(call);

		c->kind = intVal(linitial(call));
		c->argument = argument ? ExecInitExpr(argument, parent) : NULL;
		c->filter = filter ? ExecInitExpr(filter, parent) : NULL;
		if (argument)
			get_typlenbyval(exprType((Node *) argument), &c->length, &c->by_value);
		if (c->kind == WT_AGGREGATE_BEST)
		{
			fmgr_info(linitial_oid(lfourth(call)), &c->transition);
			c->collation = lsecond_oid(lfourth(call));
		}
		s->extremes |= c->kind == WT_AGGREGATE_FIRST || c->kind == WT_AGGREGATE_LAST;
		s->counts |= c->kind == WT_AGGREGATE_ROWS || c->kind == WT_AGGREGATE_VALUES;
	}
	s->times |= s->extremes;
}

/* The columns that late rows must have. */
static Bitmapset *
columns_used(const Aggregates *s)
{
	Bitmapset *all = bms_copy(s->needs->columns), *used = NULL;

	pull_varattnos((Node *) s->conditions, s->varno, &used);
	for (int i = -1; (i = bms_next_member(used, i)) >= 0;)
		all = bms_add_member(all, i + FirstLowInvalidHeapAttributeNumber);
	return bms_add_member(all, s->chunks->time_column);
}

void
wt_aggregates_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState *estate = node->ss.ps.state;
	Aggregates *s = palloc0(sizeof(Aggregates));
	List *output = list_nth(plan->fdw_private, WT_AGGREGATES_OUTPUT);
	ListCell *lc;

	node->fdw_state = s;
	s->varno = linitial_int(list_nth(plan->fdw_private, WT_AGGREGATES_TABLE));
	s->relation = linitial_oid(list_nth(plan->fdw_private, WT_AGGREGATES_RELATION));
	s->needs = wt_needs_of_list(list_nth(plan->fdw_private, WT_AGGREGATES_NEEDS));
	s->conditions = list_nth(plan->fdw_private, WT_AGGREGATES_CONDITIONS);
	s->values = s->needs->system || s->needs->columns != NULL;
	s->output = palloc(list_length(output) * sizeof(int));
	foreach (lc, output)
		s->output[s->n_output++] = lfirst_int(lc);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	wt_pending_keep_serial(estate);
	s->partition = table_open(s->relation, AccessShareLock);
	wt_links_read(s->relation, &s->links);
	s->chunks = wt_chunk_scan_create(s->partition, s->links.chunks, estate->es_snapshot);
	s->filtering = CreateExprContext(estate);
	s->expressions = CreateExprContext(estate);
	s->row = MakeSingleTupleTableSlot(RelationGetDescr(s->partition), &TTSOpsVirtual);
	s->expressions->ecxt_scantuple = s->row;
	begin_keys(s, plan, &node->ss.ps);
	begin_calls(s, plan, &node->ss.ps);
	s->filters =
		wt_filters_create(s->chunks, s->conditions, s->varno, &node->ss.ps, s->filtering);
	if (s->values)
		s->projection = wt_projection_create(s->chunks, s->needs);
	s->groups = wt_groups_create(list_nth(plan->fdw_private, WT_AGGREGATES_KEYS),
								 list_nth(plan->fdw_private, WT_AGGREGATES_KEY_EQUALS),
								 s->n_calls);
	s->key_values = palloc0(Max(s->n_keys, 1) * sizeof(Datum));
	s->key_nulls = palloc0(Max(s->n_keys, 1) * sizeof(bool));
	s->other_values = palloc0(Max(s->n_keys, 1) * sizeof(Datum));
	s->other_nulls = palloc0(Max(s->n_keys, 1) * sizeof(bool));
	s->columns = columns_used(s);
}

/* Now that parameters are known: which chunks may have rows. */
static void
start(Aggregates *s)
{
	s->started = true;
	s->given = s->gives = false;
	wt_filters_start(s->filters);
	s->nothing = !wt_filters_times(s->filters, &s->first, &s->last);
	s->next = 0;
	s->end = s->nothing ? 0 : s->chunks->n_numbers;
	s->late_done = s->nothing;
	if (s->nothing)
		return;
	if (s->first > PG_INT64_MIN)
		s->next = wt_chunk_scan_seek(s->chunks, s->first);
	/* The first chunk that has later rows may begin with earlier ones. */
	if (s->last < PG_INT64_MAX)
		s->end =
			Min(wt_chunk_scan_seek(s->chunks, s->last + 1) + 1, s->chunks->n_numbers);
}

/* ------------------------------------------------------------------------ adding rows */

/* Gives an aggregate a value that its rows have. */
static void
add_best(Aggregates *s, Call *call, WtGroupValue *state, Datum value)
{
	MemoryContext old;
	Datum best = state->is_null ? value
								: FunctionCall2Coll(&call->transition, call->collation,
													state->value, value);

	if (!state->is_null && best == state->value)
		return;
	old = MemoryContextSwitchTo(wt_groups_context(s->groups));
	best = datumCopy(best, call->by_value, call->length);
	if (!state->is_null && !call->by_value)
		pfree(DatumGetPointer(state->value));
	MemoryContextSwitchTo(old);
	*state = (WtGroupValue){best, false};
}

static void
add_to_call(Aggregates *s, Call *call, WtGroupValue *state, const Rows *rows)
{
	bool is_null = false;
	Datum value = 0;

	if (call->filter != NULL &&
		(!DatumGetBool(ExecEvalExpr(call->filter, s->expressions, &is_null)) || is_null))
		return;
	if (call->kind == WT_AGGREGATE_ANY && !state->is_null)
		return;
	if (call->argument != NULL)
	{
		value = ExecEvalExpr(call->argument, s->expressions, &is_null);
		if (is_null)
			return;
	}
	switch (call->kind)
	{
		case WT_AGGREGATE_ROWS:
		case WT_AGGREGATE_VALUES:
			*state = (WtGroupValue){Int64GetDatum(DatumGetInt64(state->value) + rows->n),
									false};
			break;
		case WT_AGGREGATE_FIRST:
			if (state->is_null || rows->first < DatumGetInt64(state->value))
				*state = (WtGroupValue){Int64GetDatum(rows->first), false};
			break;
		case WT_AGGREGATE_LAST:
			if (state->is_null || rows->last > DatumGetInt64(state->value))
				*state = (WtGroupValue){Int64GetDatum(rows->last), false};
			break;
		case WT_AGGREGATE_BEST:
		case WT_AGGREGATE_ANY:
			add_best(s, call, state, value);
			break;
	}
}

/* Adds rows that are all as the one in s->row is. */
static void
add_rows(Aggregates *s, const Rows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(s->expressions->ecxt_per_tuple_memory);
	WtGroup *group;

	for (int i = 0; i < s->n_keys; i++)
		s->key_values[i] =
			ExecEvalExpr(s->keys[i].value, s->expressions, &s->key_nulls[i]);
	group = wt_groups_find(s->groups, s->key_values, s->key_nulls);
	for (int i = 0; i < s->n_calls; i++)
		add_to_call(s, &s->calls[i], &group->values[i], rows);
	MemoryContextSwitchTo(old);
	ResetExprContext(s->expressions);
}

/* Puts a chunk's row into s->row: with all that is asked for. */
static void
make_row(Aggregates *s, const int64 *times, int row)
{
	ExecClearTuple(s->row);
	if (s->projection)
		wt_projection_fill(s->projection, row, s->row->tts_values, s->row->tts_isnull);
	else
		memset(s->row->tts_isnull, true, s->chunks->columns->natts);
	if (times != NULL)
	{
		s->row->tts_values[s->chunks->time_column - 1] = TimestampTzGetDatum(times[row]);
		s->row->tts_isnull[s->chunks->time_column - 1] = false;
	}
	ExecStoreVirtualTuple(s->row);
}

/* Adds n rows of a chunk, that are all as `row` is, with these first and last ones. */
static void
add_chunk_rows(Aggregates *s, const int64 *times, int row, int64 n, int first, int last)
{
	Rows rows = {n, 0, 0};

	make_row(s, times, row);
	if (times != NULL)
	{
		rows.first = times[first];
		rows.last = times[last];
	}
	add_rows(s, &rows);
}

/* ------------------------------------------------------------------------ runs of times */

/*
 * Whether buckets of the session's zone grow with the time in all of a chunk: where clocks are set
 * back in between they may not.
 */
static bool
zone_is_steady(int64 first, int64 last)
{
	pg_time_t from, boundary;
	long before, after;
	int before_is_dst, after_is_dst, found;

	if (TIMESTAMP_NOT_FINITE(first) || TIMESTAMP_NOT_FINITE(last))
		return false;
	from = timestamptz_to_time_t(first) - 1;
	while ((found = pg_next_dst_boundary(&from, &before, &before_is_dst, &boundary,
										 &after, &after_is_dst, session_timezone)) == 1)
	{
		if (boundary > timestamptz_to_time_t(last) + 1)
			return true;
		if (before != after)
			return false;
		from = boundary;
	}
	return found == 0;
}

/* The values of the keys that are of the time, of a chunk's row: into key_values. */
static void
times_of(Aggregates *s, const int64 *times, int row, Datum *values, bool *nulls)
{
	ExecClearTuple(s->row);
	memset(s->row->tts_isnull, true, s->chunks->columns->natts);
	s->row->tts_values[s->chunks->time_column - 1] = TimestampTzGetDatum(times[row]);
	s->row->tts_isnull[s->chunks->time_column - 1] = false;
	ExecStoreVirtualTuple(s->row);
	for (int i = 0; i < s->n_keys; i++)
		if (s->keys[i].kind == WT_KEY_TIME)
			values[i] =
				ExecEvalExprSwitchContext(s->keys[i].value, s->expressions, &nulls[i]);
	ResetExprContext(s->expressions);
}

/* Whether two rows have the same of them, which are timestamps. */
static bool
same_times(const Aggregates *s, const Datum *a, const bool *a_nulls, const Datum *b,
		   const bool *b_nulls)
{
	for (int i = 0; i < s->n_keys; i++)
		if (s->keys[i].kind == WT_KEY_TIME &&
			(a_nulls[i] != b_nulls[i] ||
			 (!a_nulls[i] && DatumGetInt64(a[i]) != DatumGetInt64(b[i]))))
			return false;
	return true;
}

/*
 * The first row behind `row` that is of another bucket, at most `end`.  steady: buckets grow
 * with the time, so that those in between need not be looked at.
 */
static int
end_of_run(Aggregates *s, const int64 *times, int row, int end, bool steady)
{
	Datum *here = s->key_values, *there = s->other_values;
	bool *here_nulls = s->key_nulls, *there_nulls = s->other_nulls;
	int low = row + 1, high = end, step = 1;
	bool by_width = steady;

	times_of(s, times, row, here, here_nulls);
	if (!steady)
	{
		while (low < end)
		{
			times_of(s, times, low, there, there_nulls);
			if (!same_times(s, here, here_nulls, there, there_nulls))
				break;
			low++;
		}
		return low;
	}
	for (int i = 0; i < s->n_keys && by_width; i++)
		if (s->keys[i].kind == WT_KEY_TIME)
			by_width = s->keys[i].width > 0 && !here_nulls[i];

	/* In steps of growing length, then halving the last one. */
	while (low < high)
	{
		int at = step > 0 ? Min(low + step - 1, high - 1) : low + (high - low) / 2;
		bool same = true;

		if (by_width)
		{
			for (int i = 0; i < s->n_keys && same; i++)
				same = s->keys[i].kind != WT_KEY_TIME ||
					   times[at] - DatumGetInt64(here[i]) < s->keys[i].width;
		}
		else
		{
			times_of(s, times, at, there, there_nulls);
			same = same_times(s, here, here_nulls, there, there_nulls);
		}
		if (same)
		{
			low = at + 1;
			step *= 2;
		}
		else
		{
			high = at;
			step = 0;
		}
	}
	return low;
}

/* ------------------------------------------------------------------------ chunks */

/* Combinations of a chunk: how many selected rows each has. */
typedef struct Counts
{
	const int32 *numbers;	 /* by row; NULL: none is numbered */
	int32 *n, *first, *last; /* by number */
	int n_found;
	int32 *found; /* numbers that have rows */
} Counts;

static void
begin_counts(Aggregates *s, Counts *counts)
{
	MemoryContext old = MemoryContextSwitchTo(s->chunks->chunk_context);
	int n = 0;

	memset(counts, 0, sizeof(*counts));
	counts->numbers = wt_projection_combinations(s->projection, &n);
	if (counts->numbers != NULL)
	{
		counts->n = palloc0(n * sizeof(int32));
		counts->first = palloc(n * sizeof(int32));
		counts->last = palloc(n * sizeof(int32));
		counts->found = palloc(Min(n, s->chunks->chunk->n_rows) * sizeof(int32));
	}
	MemoryContextSwitchTo(old);
}

/* Adds rows `from` to `to` - 1, as far as they are selected, which have one bucket. */
static void
add_run(Aggregates *s, Counts *counts, const int64 *times, int from, int to)
{
	const uint8 *selected = s->chunks->selected;

	for (int row = from; row < to; row++)
	{
		int number;

		if (!selected[row])
			continue;
		number = counts->numbers ? counts->numbers[row] : -1;
		if (number < 0)
		{
			s->n_by_row++;
			add_chunk_rows(s, times, row, 1, row, row);
			CHECK_FOR_INTERRUPTS();
			continue;
		}
		if (counts->n[number]++ == 0)
		{
			counts->found[counts->n_found++] = number;
			counts->first[number] = row;
		}
		counts->last[number] = row;
	}
	for (int i = 0; i < counts->n_found; i++)
	{
		int number = counts->found[i];

		add_chunk_rows(s, times, counts->first[number], counts->n[number],
					   counts->first[number], counts->last[number]);
		counts->n[number] = 0;
	}
	counts->n_found = 0;
}

/* The same where the bucket is all that is asked for. */
static void
add_run_whole(Aggregates *s, const int64 *times, int from, int to)
{
	const uint8 *selected = s->chunks->selected;
	int first = -1, last = -1;
	int64 n = 0;

	for (int row = from; row < to; row++)
		if (selected[row])
		{
			first = first < 0 ? row : first;
			last = row;
			n++;
		}
	if (n > 0)
		add_chunk_rows(s, times, first, n, first, last);
}

/* What is known of a chunk of which all rows are selected, and nothing else is asked for. */
static bool
add_by_directory(Aggregates *s)
{
	const WtChunk *chunk = s->chunks->chunk;
	Rows rows = {wt_chunk_scan_count(s->chunks), chunk->first_time, chunk->last_time};

	if (s->values || s->n_keys > 0 || (s->extremes && rows.n < chunk->n_rows))
		return false;
	add_rows(s, &rows);
	return true;
}

/* The same where all rows are selected, and what is asked for tells few different ones apart. */
static bool
add_different(Aggregates *s)
{
	WtDifferentRows different;

	if (s->times || wt_chunk_scan_count(s->chunks) < s->chunks->chunk->n_rows ||
		!wt_projection_different(s->projection, s->counts, &different))
		return false;
	for (int i = 0; i < different.n; i++)
	{
		int row = different.rows[i];

		add_chunk_rows(s, NULL, row, s->counts ? different.n_alike[i] : 1, row, row);
	}
	return true;
}

static void
add_chunk(Aggregates *s)
{
	WtChunkScan *chunks = s->chunks;
	int n_rows = chunks->chunk->n_rows;
	const int64 *times = NULL;
	bool has_runs = false, steady = true, in_zone = false;
	Counts counts;

	if (!wt_filters_decided(s->filters))
	{
		for (int row = wt_chunk_scan_next(chunks, -1); row >= 0;
			 row = wt_chunk_scan_next(chunks, row))
		{
			if (!wt_filters_row(s->filters, row))
				chunks->selected[row] = 0;
			CHECK_FOR_INTERRUPTS();
		}
		chunks->n_selected = -1;
	}
	if (wt_chunk_scan_count(chunks) == 0 || add_by_directory(s) ||
		(s->values && add_different(s)))
		return;
	if (s->times)
		times = wt_chunk_scan_integers(chunks, 0);
	for (int i = 0; i < s->n_keys; i++)
	{
		has_runs |= s->keys[i].kind == WT_KEY_TIME;
		in_zone |= s->keys[i].in_zone;
	}
	/* What the decoder does not promise: that its rows are in order of time. */
	for (int row = 1; has_runs && steady && row < n_rows; row++)
		steady = times[row - 1] <= times[row];
	if (has_runs && in_zone)
		steady =
			steady && zone_is_steady(chunks->chunk->first_time, chunks->chunk->last_time);
	if (s->values)
		begin_counts(s, &counts);
	for (int from = 0, to; from < n_rows; from = to)
	{
		to = n_rows;
		from = wt_chunk_scan_next(chunks, from - 1);
		if (from < 0)
			break;
		if (has_runs)
			to = end_of_run(s, times, from, n_rows, steady);
		if (s->values)
			add_run(s, &counts, times, from, to);
		else
			add_run_whole(s, times, from, to);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
add_late_rows(Aggregates *s, EState *estate)
{
	int time = s->chunks->time_column - 1;
	WtLateScan *late =
		wt_late_scan_begin(s->partition, s->links.late, estate->es_snapshot, s->columns,
						   0, s->first, s->last);

	while (wt_late_scan_next(late, s->row))
	{
		int64 at = DatumGetInt64(s->row->tts_values[time]);
		Rows rows = {1, at, at};

		if (!wt_filters_slot(s->filters, s->row))
			continue;
		s->n_late++;
		add_rows(s, &rows);
	}
	ExecClearTuple(s->row);
	wt_late_scan_end(late);
}

/* ------------------------------------------------------------------------ giving */

/* Reads on, until all is read or memory has no room for more groups; false: all is read. */
static bool
read_on(ForeignScanState *node)
{
	Aggregates *s = node->fdw_state;
	bool more = false;

	while (s->next < s->end)
	{
		CHECK_FOR_INTERRUPTS();
		if (wt_chunk_scan_open(s->chunks, s->chunks->numbers[s->next++]) &&
			wt_filters_chunk(s->filters))
		{
			s->n_read++;
			add_chunk(s);
			if (wt_groups_are_many(s->groups))
			{
				more = true;
				break;
			}
		}
	}
	wt_chunk_scan_close_chunk(s->chunks);
	if (more)
		return true;
	if (s->late_done)
		return false;
	s->late_done = true;
	add_late_rows(s, node->ss.ps.state);
	return true;
}

static void
give(Aggregates *s, const WtGroup *group, TupleTableSlot *slot)
{
	for (int i = 0; i < s->n_output; i++)
	{
		int at = s->output[i];

		if (at >= 0)
		{
			slot->tts_values[i] = group->keys[at];
			slot->tts_isnull[i] = group->nulls[at];
		}
		else
		{
			const WtGroupValue *value = &group->values[-1 - at];
			WtAggregateKind kind = s->calls[-1 - at].kind;

			/* A count of nothing is 0, what is smallest of nothing is NULL. */
			slot->tts_values[i] = value->value;
			slot->tts_isnull[i] = value->is_null && kind != WT_AGGREGATE_ROWS &&
								  kind != WT_AGGREGATE_VALUES;
		}
	}
	ExecStoreVirtualTuple(slot);
}

TupleTableSlot *
wt_aggregates_iterate(ForeignScanState *node)
{
	Aggregates *s = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
	bool more = true;

	ExecClearTuple(slot);
	if (!s->started)
		start(s);
	for (;;)
	{
		WtGroup *group;

		if (s->gives)
		{
			group = wt_groups_next(s->groups);
			if (group != NULL)
			{
				s->given = true;
				give(s, group, slot);
				break;
			}
			s->gives = false;
			wt_groups_clear(s->groups);
		}
		if (!more)
			break;
		more = read_on(node);
		/* Without keys there is one group, also of no rows. */
		if (!more && s->n_keys == 0 && !s->given)
			(void) wt_groups_find(s->groups, s->key_values, s->key_nulls);
		s->gives = true;
	}
	MemoryContextSwitchTo(old);
	return slot;
}

void
wt_aggregates_rescan(ForeignScanState *node)
{
	Aggregates *s = node->fdw_state;

	if (s->chunks == NULL)
		return;
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	wt_chunk_scan_close_chunk(s->chunks);
	wt_groups_clear(s->groups);
	s->started = false;
}

void
wt_aggregates_end(ForeignScanState *node)
{
	Aggregates *s = node->fdw_state;

	if (s == NULL || s->chunks == NULL)
		return;
	ExecDropSingleTupleTableSlot(s->row);
	wt_chunk_scan_destroy(s->chunks);
	s->chunks = NULL;
	table_close(s->partition, NoLock);
}

/* ------------------------------------------------------------------------ EXPLAIN */

void
wt_aggregates_explain(ForeignScanState *node, ExplainState *es)
{
	Aggregates *s = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	const WtSkipped *skipped;
	int varno;

	ExplainPropertyText("Aggregated Partition", get_rel_name(s->relation), es);
	/* What the plan keeps to itself was not renumbered with the rest of it. */
	if (s->conditions != NIL && bms_get_singleton_member(plan->fs_relids, &varno))
	{
		List *context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
		Node *all = copyObject((Node *) make_ands_explicit(s->conditions));

		OffsetVarNodes(all, varno - (int) s->varno, 0);
		ExplainPropertyText("Chunk Filter",
							deparse_expression(all, context,
											   list_length(es->rtable) > 1 || es->verbose,
											   false),
							es);
	}
	ExplainPropertyText(
		"Documents",
		wt_needs_text(s->needs, wt_stored_column(s->relation, WT_STORED_DATA)), es);
	if (!es->analyze || s->chunks == NULL)
		return;
	skipped = wt_filters_skipped(s->filters);
	ExplainPropertyUInteger("Chunks Read", NULL, s->n_read, es);
	ExplainPropertyUInteger(
		"Chunks Skipped", NULL,
		s->chunks->n_numbers - Min(s->n_read, (uint64) s->chunks->n_numbers), es);
	if (skipped->by_range > 0 || skipped->by_values > 0)
	{
		ExplainPropertyUInteger("Chunks Skipped by Range", NULL, skipped->by_range, es);
		ExplainPropertyUInteger("Chunks Skipped by Values", NULL, skipped->by_values, es);
	}
	ExplainPropertyUInteger("Late Rows", NULL, s->n_late, es);
	ExplainPropertyUInteger("Rows Taken Singly", NULL, s->n_by_row, es);
}
