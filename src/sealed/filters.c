/*
 * filters.c
 *		Evaluates a query's conditions on a chunk: tests on columns first, PostgreSQL's own
 *		evaluation for what they leave open.
 *
 * A condition that PostgreSQL evaluates sees a row of the columns and members that it uses.
 * Where all that it uses of data are texts of members, it is rewritten to see these texts as
 * columns, so that no document is made only to be taken apart again.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/filters.h"
#include "sealed/members.h"
#include "sealed/projection.h"
#include "sealed/test.h"

/* A member whose text a rewritten condition sees as a column. */
typedef struct TextMember
{
	WtKeys keys;
	List *path;
	/* Of the chunk. */
	WtMemberColumns columns;
	bool *json_null; /* by place in columns: the value is no text but NULL */
} TextMember;

typedef struct Condition
{
	Node *clause;
	ExprState *state;
	/* A bound on the time, as a whole: operator, and the other side. */
	Oid time_operator;
	ExprState *time;
	bool is_time; /* bound; decided by the scan's times alone */
	WtTest *test; /* NULL: columns cannot decide it */
	WtProjection *projection;

	/* Rewritten over texts; NULL: it cannot be. */
	ExprState *over_texts;
	int n_texts;
	TextMember *texts;

	/* Of the chunk that is open. */
	bool decided;	/* for all selected rows */
	uint8 *unknown; /* by row: it must be evaluated; NULL: for all */
	uint64 serial;	/* of the chunk that the following is of */
	const int32 *combinations;
	int8 *results; /* by combination: -1: not evaluated yet */
	uint64 texts_serial;
	const bool **documents; /* by text: shapes that take a document; NULL: none */
	const uint16_t *row_shapes;
} Condition;

/* A part of a condition's test. */
typedef struct Part
{
	Condition *condition;
	WtTest *test;
	int cost;
} Part;

struct WtFilters
{
	WtChunkScan *scan;
	ExprContext *context;
	WtTable *table;
	int n_conditions;
	Condition *conditions;
	int n_parts;
	Part *parts;
	MemoryContext bound_context; /* what is of the current parameters */
	TupleTableSlot *slot;		 /* a row of the table, as a condition sees it */
	TupleTableSlot *text_slot;	 /* and with texts of members behind it */
	bool nothing;
	int64 first, last;
	bool decided;
	WtSkipped skipped;
};

/* ---------------------------------------------------------------------- creating */

/* A comparison of the time with what does not change from row to row. */
static void
find_time_bound(WtFilters *f, Condition *c, PlanState *parent)
{
	OpExpr *op = (OpExpr *) c->clause;
	Node *left, *right;
	Oid operator;
	bool ours;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return;
	left = linitial(op->args);
	right = lsecond(op->args);
	operator= op->opno;
	if (!IsA(left, Var))
	{
		Node *swapped = left;

		left = right;
		right = swapped;
		operator= get_commutator(operator);
	}
	if (!OidIsValid(operator) || !IsA(left, Var) ||
		wt_table_column(f->table, (Var *) left, &ours) != f->scan->time_column || !ours ||
		f->scan->time_column == InvalidAttrNumber || contain_var_clause(right))
		return;
	switch (get_opcode(operator))
	{
		case F_TIMESTAMPTZ_LT:
		case F_TIMESTAMPTZ_LE:
		case F_TIMESTAMPTZ_EQ:
		case F_TIMESTAMPTZ_GE:
		case F_TIMESTAMPTZ_GT:
			c->time_operator = get_opcode(operator);
			c->time = ExecInitExpr((Expr *) right, parent);
			break;
		default:
			break;
	}
}

typedef struct Rewriting
{
	WtFilters *filters;
	Condition *condition;
	Index varno;
	bool fails; /* data is used in another way */
} Rewriting;

static Node *
rewrite(Node *node, void *arg)
{
	Rewriting *r = arg;
	WtMember member;
	bool ours;

	if (node == NULL)
		return NULL;
	if (wt_member(r->filters->table, node, &member) && member.text && !member.steps &&
		member.keys != NIL)
	{
		Condition *c = r->condition;
		int i = 0;

		while (i < c->n_texts && !equal(c->texts[i].path, member.keys))
			i++;
		if (i == c->n_texts)
		{
			c->texts = c->n_texts ? repalloc(c->texts, (i + 1) * sizeof(TextMember))
								  : palloc(sizeof(TextMember));
			memset(&c->texts[i], 0, sizeof(TextMember));
			c->texts[i].path = member.keys;
			c->texts[i].keys = wt_keys_of_path(member.keys);
			c->n_texts++;
		}
		return (Node *) makeVar(r->varno, r->filters->scan->columns->natts + i + 1,
								TEXTOID, -1, exprCollation(node), 0);
	}
	if (IsA(node, Var))
	{
		AttrNumber column = wt_table_column(r->filters->table, (Var *) node, &ours);
		const WtChunkScan *scan = r->filters->scan;

		/* Generated columns may be made of documents. */
		if (ours && column > 0 &&
			(column == scan->data_column ||
			 TupleDescAttr(scan->columns, column - 1)->attgenerated != '\0'))
			r->fails = true;
		return copyObject(node);
	}
	return expression_tree_mutator(node, rewrite, arg);
}

/* A row's columns, and behind them so many texts. */
static TupleTableSlot *
slot_with_texts(TupleDesc columns, int n)
{
	TupleDesc with = CreateTemplateTupleDesc(columns->natts + n);

	for (int i = 1; i <= columns->natts; i++)
		TupleDescCopyEntry(with, i, columns, i);
	for (int i = 0; i < n; i++)
		TupleDescInitEntry(with, columns->natts + i + 1, "text", TEXTOID, -1, 0);
	return MakeSingleTupleTableSlot(with, &TTSOpsVirtual);
}

WtFilters *
wt_filters_create(WtChunkScan *scan, List *clauses, Index varno, PlanState *parent,
				  ExprContext *context)
{
	WtFilters *f = palloc0(sizeof(WtFilters));
	int most_texts = 0;
	ListCell *lc;

	f->scan = scan;
	f->context = context;
	f->table = wt_table_of_varno(varno, scan->data_column);
	f->conditions = palloc0(Max(list_length(clauses), 1) * sizeof(Condition));
	f->bound_context = AllocSetContextCreate(CurrentMemoryContext, "sealed conditions",
											 ALLOCSET_SMALL_SIZES);
	foreach (lc, clauses)
	{
		Condition *c = &f->conditions[f->n_conditions++];
		Rewriting rewriting = {f, c, varno, false};
		WtNeeds *needs = palloc0(sizeof(WtNeeds));
		Node *over_texts;

		c->clause = lfirst(lc);
		c->state = ExecInitQual(list_make1(c->clause), parent);
		find_time_bound(f, c, parent);
		if (c->time == NULL)
			c->test = wt_test_of(scan, f->table, c->clause, parent);
		wt_needs_add(needs, f->table, c->clause);
		c->projection = wt_projection_create(scan, needs);
		over_texts = rewrite(c->clause, &rewriting);
		if (c->n_texts > 0 && !rewriting.fails)
		{
			c->over_texts = ExecInitQual(list_make1(over_texts), parent);
			most_texts = Max(most_texts, c->n_texts);
		}
	}
	/* A copy, which nobody counts references to. */
	f->slot =
		MakeSingleTupleTableSlot(CreateTupleDescCopy(scan->columns), &TTSOpsVirtual);
	if (most_texts > 0)
		f->text_slot = slot_with_texts(scan->columns, most_texts);
	f->first = PG_INT64_MIN;
	f->last = PG_INT64_MAX;
	return f;
}

/* ---------------------------------------------------------------------- starting */

static void
bind_time(WtFilters *f, Condition *c)
{
	bool is_null;
	int64 time = DatumGetInt64(ExecEvalExprSwitchContext(c->time, f->context, &is_null));

	c->is_time = true;
	if (is_null)
	{
		f->nothing = true;
		return;
	}
	switch (c->time_operator)
	{
		case F_TIMESTAMPTZ_EQ:
			f->first = Max(f->first, time);
			f->last = Min(f->last, time);
			break;
		case F_TIMESTAMPTZ_GT:
			if (time == PG_INT64_MAX)
				f->nothing = true;
			else
				f->first = Max(f->first, time + 1);
			break;
		case F_TIMESTAMPTZ_GE:
			f->first = Max(f->first, time);
			break;
		case F_TIMESTAMPTZ_LT:
			if (time == PG_INT64_MIN)
				f->nothing = true;
			else
				f->last = Min(f->last, time - 1);
			break;
		default:
			f->last = Min(f->last, time);
			break;
	}
}

void
wt_filters_start(WtFilters *f)
{
	MemoryContext old;
	int room = 0;

	MemoryContextReset(f->bound_context);
	old = MemoryContextSwitchTo(f->bound_context);
	f->nothing = false;
	f->first = PG_INT64_MIN;
	f->last = PG_INT64_MAX;
	f->n_parts = 0;
	f->parts = NULL;
	for (int i = 0; i < f->n_conditions; i++)
	{
		Condition *c = &f->conditions[i];
		ListCell *lc;

		if (c->time != NULL)
			bind_time(f, c);
		if (c->test == NULL)
			continue;
		wt_test_bind(c->test, f->context);
		foreach (lc, wt_test_parts(c->test))
		{
			if (f->n_parts == room)
			{
				room = room ? room * 2 : 8;
				f->parts = f->parts ? repalloc(f->parts, room * sizeof(Part))
									: palloc(room * sizeof(Part));
			}
			f->parts[f->n_parts].condition = c;
			f->parts[f->n_parts++].test = lfirst(lc);
		}
	}
	if (f->first > f->last)
		f->nothing = true;
	MemoryContextSwitchTo(old);
	ResetExprContext(f->context);
}

bool
wt_filters_times(const WtFilters *f, int64 *first, int64 *last)
{
	*first = f->first;
	*last = f->last;
	return !f->nothing;
}

/* ---------------------------------------------------------------------- whole columns */

static int
compare_parts(const void *left, const void *right)
{
	return ((const Part *) left)->cost - ((const Part *) right)->cost;
}

/* Leaves the rows of other times out. */
static bool
apply_times(WtFilters *f)
{
	WtChunkScan *scan = f->scan;
	WtChunk *chunk = scan->chunk;
	const int64 *times;

	if (chunk->first_time >= f->first && chunk->last_time <= f->last)
		return true;
	if (f->nothing || chunk->first_time > f->last || chunk->last_time < f->first)
		return false;
	times = wt_chunk_scan_integers(scan, 0);
	for (int row = 0; row < chunk->n_rows; row++)
		scan->selected[row] &= times[row] >= f->first && times[row] <= f->last;
	scan->n_selected = -1;
	return wt_chunk_scan_count(scan) > 0;
}

/* Leaves the rows out of which a part of a condition is not true. */
static bool
apply_part(WtFilters *f, Part *part)
{
	WtChunkScan *scan = f->scan;
	Condition *c = part->condition;
	int n = scan->chunk->n_rows;
	uint8 *verdicts = palloc(n);
	bool unknown;

	wt_test_decide(part->test, scan, verdicts);
	scan->n_selected = wt_verdicts_select(verdicts, n, scan->selected, &unknown);
	if (unknown)
	{
		if (c->unknown == NULL)
			c->unknown = palloc0(n);
		for (int row = 0; row < n; row++)
			c->unknown[row] |= verdicts[row] == WT_UNKNOWN;
		c->decided = false;
	}
	pfree(verdicts);
	return scan->n_selected > 0;
}

bool
wt_filters_chunk(WtFilters *f)
{
	WtChunkScan *scan = f->scan;
	MemoryContext old;

	if (!apply_times(f))
	{
		f->skipped.by_time++;
		return false;
	}
	for (int i = 0; i < f->n_parts; i++)
	{
		f->parts[i].cost = wt_test_cost(f->parts[i].test, scan);
		if (f->parts[i].cost == WT_TEST_FALSE)
		{
			f->skipped.by_range++;
			return false;
		}
	}
	for (int i = 0; i < f->n_conditions; i++)
	{
		f->conditions[i].decided =
			f->conditions[i].test != NULL || f->conditions[i].is_time;
		f->conditions[i].unknown = NULL;
	}
	qsort(f->parts, f->n_parts, sizeof(Part), compare_parts);
	old = MemoryContextSwitchTo(scan->chunk_context);
	for (int i = 0; i < f->n_parts; i++)
		if (!apply_part(f, &f->parts[i]))
		{
			MemoryContextSwitchTo(old);
			f->skipped.by_values++;
			return false;
		}
	MemoryContextSwitchTo(old);
	f->decided = true;
	for (int i = 0; i < f->n_conditions; i++)
		f->decided &= f->conditions[i].decided;
	return true;
}

bool
wt_filters_decided(const WtFilters *f)
{
	return f->decided;
}

/* ---------------------------------------------------------------------- rows */

static bool
evaluate(WtFilters *f, ExprState *state, TupleTableSlot *slot)
{
	bool passes;

	f->context->ecxt_scantuple = slot;
	passes = ExecQual(state, f->context);
	ResetExprContext(f->context);
	return passes;
}

static void
open_condition(WtFilters *f, Condition *c)
{
	int n;

	c->serial = f->scan->serial;
	c->combinations = wt_projection_combinations(c->projection, &n);
	if (c->combinations != NULL)
	{
		c->results = MemoryContextAlloc(f->scan->chunk_context, Max(n, 1));
		memset(c->results, -1, n);
	}
}

/* Finds where the texts are that a rewritten condition sees. */
static void
open_texts(WtFilters *f, Condition *c)
{
	WtChunkScan *scan = f->scan;
	MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);

	c->texts_serial = scan->serial;
	c->documents = palloc0(c->n_texts * sizeof(bool *));
	c->row_shapes = NULL;
	for (int i = 0; i < c->n_texts; i++)
	{
		TextMember *t = &c->texts[i];

		wt_member_columns(scan, &t->keys, &t->columns);
		c->documents[i] = wt_member_shapes(scan, &t->columns);
		if (c->documents[i] != NULL)
			c->row_shapes = wt_chunk_row_shapes(scan->chunk);
		for (int k = 0; k < t->columns.n; k++)
			wt_chunk_scan_want(scan, t->columns.columns[k], WT_WANT_VALUES);
	}
	MemoryContextSwitchTo(old);
}

/* The text of a member, in the context of the expression; false: it has none. */
static bool
text_of_member(WtFilters *f, TextMember *t, int row, Datum *value)
{
	WtChunk *chunk = f->scan->chunk;

	for (int i = 0; i < t->columns.n; i++)
	{
		int column = t->columns.columns[i];
		const int32_t *ranks = wt_column_ranks(chunk, column);
		int rank = ranks ? ranks[row] : row;
		WtText text;

		if (rank < 0)
			continue;
		if (chunk->columns[column].kind == WT_KIND_NULL)
			return false;
		text = chunk->columns[column].kind == WT_KIND_EMPTY
				   ? (WtText){"{}", 2}
				   : wt_column_text(chunk, column, rank);
		*value = PointerGetDatum(cstring_to_text_with_len(text.text, text.length));
		return true;
	}
	return false;
}

/* Evaluates a condition over the texts of its members; false: this row takes a document. */
static bool
evaluate_over_texts(WtFilters *f, Condition *c, int row, bool *passes)
{
	TupleTableSlot *slot = f->text_slot;
	int n = f->scan->columns->natts;
	MemoryContext old;

	if (c->texts_serial != f->scan->serial)
		open_texts(f, c);
	if (c->row_shapes != NULL)
		for (int i = 0; i < c->n_texts; i++)
			if (c->documents[i] != NULL && c->documents[i][c->row_shapes[row]])
				return false;
	ExecClearTuple(slot);
	wt_projection_fill_columns(c->projection, row, slot->tts_values, slot->tts_isnull);
	old = MemoryContextSwitchTo(f->context->ecxt_per_tuple_memory);
	for (int i = n; i < slot->tts_tupleDescriptor->natts; i++)
		slot->tts_isnull[i] =
			i - n >= c->n_texts ||
			!text_of_member(f, &c->texts[i - n], row, &slot->tts_values[i]);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(slot);
	*passes = evaluate(f, c->over_texts, slot);
	return true;
}

static bool
evaluate_row(WtFilters *f, Condition *c, int row)
{
	bool passes;

	if (c->over_texts != NULL && evaluate_over_texts(f, c, row, &passes))
		return passes;
	ExecClearTuple(f->slot);
	wt_projection_fill(c->projection, row, f->slot->tts_values, f->slot->tts_isnull);
	ExecStoreVirtualTuple(f->slot);
	return evaluate(f, c->state, f->slot);
}

static bool
condition_holds(WtFilters *f, Condition *c, int row)
{
	int32 number;

	if (c->serial != f->scan->serial)
		open_condition(f, c);
	number = c->combinations ? c->combinations[row] : -1;
	if (number < 0)
		return evaluate_row(f, c, row);
	if (c->results[number] < 0)
		c->results[number] = evaluate_row(f, c, row);
	return c->results[number];
}

bool
wt_filters_row(WtFilters *f, int row)
{
	if (f->decided)
		return true;
	for (int i = 0; i < f->n_conditions; i++)
	{
		Condition *c = &f->conditions[i];

		if (c->decided || (c->unknown != NULL && !c->unknown[row]))
			continue;
		if (!condition_holds(f, c, row))
			return false;
	}
	return true;
}

bool
wt_filters_slot(WtFilters *f, TupleTableSlot *slot)
{
	for (int i = 0; i < f->n_conditions; i++)
		if (!evaluate(f, f->conditions[i].state, slot))
			return false;
	return true;
}

const WtSkipped *
wt_filters_skipped(const WtFilters *f)
{
	return &f->skipped;
}
