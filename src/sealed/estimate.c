/*
 * estimate.c
 *		Tries a query's conditions on one chunk while the query is planned.
 *
 * Only what tests on columns decide is tried, which cannot raise and calls nobody's functions.
 * Conditions behind row security or a security barrier are not: what they find would show in
 * EXPLAIN to whom it is not for.  Of a table with many partitions the first one's chunk speaks for
 * all, so that planning does not read them all.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/estimate.h"
#include "sealed/stored_columns.h"
#include "sealed/test.h"

/* What was found for a table of the query that is being planned. */
typedef struct Tried
{
	PlannerInfo *root;
	Index table;
	double fraction;
	double looks;
	bool skips; /* the chunk was skipped by what its directory says */
} Tried;

static Tried *last_tried;

static void
forget(void *tried)
{
	if (last_tried == tried)
		last_tried = NULL;
}

static bool
has_parameters(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, Param) || expression_tree_walker(node, has_parameters, context);
}

/* Whether the other side of a condition is known now. */
static bool
is_known(RestrictInfo *condition)
{
	Node *clause = (Node *) condition->clause;

	return !contain_mutable_functions(clause) && !has_parameters(clause, NULL);
}

/* Whether a condition compares the time with something. */
static bool
is_of_time(RestrictInfo *condition, Index varno, AttrNumber time)
{
	OpExpr *op = (OpExpr *) condition->clause;
	ListCell *lc;

	if (!IsA(op, OpExpr))
		return false;
	foreach (lc, op->args)
	{
		Var *var = lfirst(lc);

		if (IsA(var, Var) && var->varno == (int) varno && var->varattno == time)
			return true;
	}
	return false;
}

/* Whether the directory says that no row of a chunk passes all tests. */
static bool
is_skipped(WtChunkScan *scan, List *tests)
{
	ListCell *lc;

	foreach (lc, tests)
		if (wt_test_cost(lfirst(lc), scan) == WT_TEST_FALSE)
			return true;
	return false;
}

/* The fraction of a chunk's rows that may pass all tests; half of those of which it is not known. */
static double
try_on_chunk(WtChunkScan *scan, List *tests)
{
	int n = scan->chunk->n_rows;
	uint8 *verdicts = palloc(n), *all = palloc(n);
	double passed = 0;
	ListCell *lc;

	memset(all, WT_TRUE, n);
	foreach (lc, tests)
	{
		/* Of ids, hashes and the like no two are the same, as good as; nothing is to be read for that. */
		if (wt_test_finds_one(lfirst(lc), scan))
			return 1.0 / n;
		wt_test_decide(lfirst(lc), scan, verdicts);
		for (int row = 0; row < n; row++)
			all[row] = wt_verdict_and(all[row], verdicts[row]);
	}
	for (int row = 0; row < n; row++)
		passed += all[row] == WT_TRUE ? 1 : all[row] == WT_UNKNOWN ? 0.5 : 0;
	/* None in one chunk does not mean none. */
	return Max(passed, 0.5) / n;
}

/* How a test of such a cost compares with a look at each row's value. */
static double
looks_of(int cost)
{
	if (cost > 0 && cost <= WT_TEST_OF_CODES)
		return 0.05;
	return cost < WT_TEST_OF_TEXTS ? 1 : 3;
}

/*
 * Tries the tests on the chunk in the middle; 1 where there is none.  Whether chunks are
 * skipped another one says as well, for what is looked for may just be in the middle.
 */
static void
try_middle(Oid relid, Oid chunks, const WtTable *table, List *conditions, Tried *tried)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "sealed estimate",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation relation = table_open(relid, NoLock);
	WtChunkScan *scan = wt_chunk_scan_create(relation, chunks, GetActiveSnapshot());
	ExprContext *expressions = CreateStandaloneExprContext();

	tried->fraction = 1;
	tried->looks = list_length(conditions);
	if (scan->n_numbers > 0 &&
		wt_chunk_scan_open(scan, scan->numbers[scan->n_numbers / 2]))
	{
		List *tests = NIL;
		ListCell *lc;

		foreach (lc, conditions)
		{
			WtTest *test = wt_test_of(
				scan, table, (Node *) ((RestrictInfo *) lfirst(lc))->clause, NULL);

			wt_test_bind(test, expressions);
			tests = lappend(tests, test);
		}
		tried->skips = is_skipped(scan, tests);
		if (tried->skips)
			tried->fraction = 0.5 / scan->chunk->n_rows;
		else
		{
			tried->looks = 0;
			foreach (lc, tests)
				tried->looks += looks_of(wt_test_cost(lfirst(lc), scan));
			tried->fraction = try_on_chunk(scan, tests);
			tried->skips = wt_chunk_scan_open(scan, scan->numbers[scan->n_numbers / 4]) &&
						   is_skipped(scan, tests);
			if (tried->skips)
				tried->fraction /= scan->n_numbers;
		}
	}
	FreeExprContext(expressions, true);
	wt_chunk_scan_destroy(scan);
	table_close(relation, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* What is found by trying; found once for a table of a query. */
static const Tried *
find_fraction(PlannerInfo *root, Index top, Oid relid, Oid chunks, const WtTable *table,
			  List *conditions)
{
	MemoryContextCallback *callback;
	Tried *tried;

	if (last_tried != NULL && last_tried->root == root && last_tried->table == top)
		return last_tried;
	callback = MemoryContextAllocZero(root->planner_cxt, sizeof(*callback));
	tried = MemoryContextAllocZero(root->planner_cxt, sizeof(Tried));
	tried->root = root;
	tried->table = top;
	try_middle(relid, chunks, table, conditions, tried);
	callback->func = forget;
	callback->arg = tried;
	MemoryContextRegisterResetCallback(root->planner_cxt, callback);
	last_tried = tried;
	return tried;
}

void
wt_estimate(PlannerInfo *root, RelOptInfo *rel, Oid relid, Oid chunks,
			const WtTable *table, WtEstimate *estimate)
{
	Index top = rel->relid;
	List *times = NIL, *tried = NIL, *others = NIL;
	bool may_try = table != NULL && ActiveSnapshotSet();
	/* Enough of a scan to recognise what asks for the table's columns. */
	WtChunkScan columns = {.time_column = wt_stored_column(relid, WT_STORED_TIME)};
	ListCell *lc;

	if (rel->top_parent_relids != NULL)
		top = bms_singleton_member(rel->top_parent_relids);
	foreach (lc, rel->baserestrictinfo)
		may_try &= ((RestrictInfo *) lfirst(lc))->security_level == 0;
	estimate->of_a_row = 0;
	foreach (lc, rel->baserestrictinfo)
	{
		RestrictInfo *condition = lfirst(lc);

		if (is_of_time(condition, rel->relid, columns.time_column))
			times = lappend(times, condition);
		else if (condition->pseudoconstant || table == NULL ||
				 wt_test_of(&columns, table, (Node *) condition->clause, NULL) == NULL)
		{
			QualCost cost;

			cost_qual_eval_node(&cost, (Node *) condition, root);
			estimate->of_a_row += cost.per_tuple;
			others = lappend(others, condition);
		}
		else if (may_try && is_known(condition))
			tried = lappend(tried, condition);
		else
			others = lappend(others, condition);
	}
	estimate->looked_at = clauselist_selectivity(root, times, 0, JOIN_INNER, NULL);
	estimate->passing =
		estimate->looked_at * clauselist_selectivity(root, others, 0, JOIN_INNER, NULL);
	estimate->looks = list_length(times) + list_length(others);
	estimate->skips = false;
	if (tried != NIL)
	{
		const Tried *found = find_fraction(root, top, relid, chunks, table, tried);

		estimate->passing *= found->fraction;
		estimate->looks += found->looks;
		estimate->skips = found->skips;
	}
}
