/*
 * distinct_rows.c
 *		SELECT DISTINCT and count(DISTINCT …) through a parent: no aggregate reaches its partitions,
 *		but a scan may leave out rows that are in all as one is that it has given.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/distinct_rows.h"

/* The relation that a partition is reached by. */
static Index
top_parent(PlannerInfo *root, Index varno)
{
	while (root->append_rel_array != NULL && root->append_rel_array[varno] != NULL)
		varno = root->append_rel_array[varno]->parent_relid;
	return varno;
}

bool
wt_ignores_repeats(Oid aggregate)
{
	HeapTuple tuple;
	bool ignores;

	if (aggregate >= FirstGenbkiObjectId)
		return false;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	if (!HeapTupleIsValid(tuple))
		return false;
	/* Of PostgreSQL's own ones those that a sort operator stands for: min, bool_and, … */
	ignores = OidIsValid(((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop);
	ReleaseSysCache(tuple);
	return ignores;
}

/* Whether some aggregate comes out otherwise where rows are left out. */
static bool
counts_repeats(Node *node, void *context)
{
	const Aggref *call = (const Aggref *) node;

	if (node == NULL)
		return false;
	/* What aggregates are of has none. */
	if (IsA(node, Aggref))
		return call->aggdistinct == NIL && !wt_ignores_repeats(call->aggfnoid);
	return expression_tree_walker(node, counts_repeats, context);
}

bool
wt_asks_distinct(PlannerInfo *root)
{
	const Query *parse = root->parse;
	Node *asked = (Node *) root->processed_tlist;

	if (parse->commandType != CMD_SELECT || parse->hasDistinctOn ||
		parse->groupingSets != NIL || parse->hasWindowFuncs || parse->hasTargetSRFs ||
		parse->hasSubLinks || parse->setOperations != NULL || parse->rowMarks != NIL)
		return false;
	if (parse->hasAggs || parse->groupClause != NIL)
	{
		if (counts_repeats(asked, NULL) || counts_repeats(parse->havingQual, NULL))
			return false;
	}
	else if (parse->distinctClause == NIL)
		return false;
	return !contain_volatile_functions(asked) &&
		   !contain_volatile_functions(parse->havingQual);
}

bool
wt_only_distinct(PlannerInfo *root, RelOptInfo *rel, const WtNeeds *needs)
{
	Bitmapset *used = NULL;
	int only;

	if (!wt_asks_distinct(root) || needs->system || needs->columns == NULL ||
		rel->lateral_relids != NULL)
		return false;
	/* Of a join the other rows are nobody's to say. */
	if (!bms_get_singleton_member(root->all_baserels, &only) ||
		only != (int) top_parent(root, rel->relid))
		return false;
	/* A row's place differs from another's. */
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	return bms_next_member(used, -1) > -FirstLowInvalidHeapAttributeNumber;
}

/* Of the selected rows leaves those out that are as one before them. */
static void
leave_out(const WtDistinctRows *rows, WtChunkScan *chunks)
{
	const int32 *numbers = rows->numbers;
	uint8 *selected = chunks->selected;

	for (int row = 0; row < chunks->chunk->n_rows; row++)
	{
		if (numbers[row] < 0)
			continue;
		if (rows->given[numbers[row]])
			selected[row] = 0;
		else
			rows->given[numbers[row]] = selected[row];
	}
	chunks->n_selected = -1;
}

void
wt_distinct_rows_begin(WtDistinctRows *rows, WtChunkScan *chunks,
					   WtProjection *projection, bool decided, bool in_order)
{
	WtDifferentRows different;
	int n = 0;

	rows->numbers = NULL;
	if (decided && !in_order && wt_chunk_scan_count(chunks) == chunks->chunk->n_rows &&
		wt_projection_different(projection, false, &different))
	{
		memset(chunks->selected, 0, chunks->chunk->n_rows);
		for (int i = 0; i < different.n; i++)
			chunks->selected[different.rows[i]] = 1;
		chunks->n_selected = different.n;
		return;
	}
	rows->numbers = wt_projection_combinations(projection, &n);
	rows->given = rows->numbers ? MemoryContextAllocZero(chunks->chunk_context,
														 (Size) n * sizeof(bool))
								: NULL;
	if (decided && rows->numbers != NULL)
		leave_out(rows, chunks);
}
