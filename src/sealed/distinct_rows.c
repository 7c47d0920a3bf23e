/*
 * distinct_rows.c
 *		SELECT DISTINCT through a parent: no aggregate reaches its partitions, but a scan may leave
 *		out rows that are in all as one is that it has given.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

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
wt_only_distinct(PlannerInfo *root, RelOptInfo *rel, const WtNeeds *needs)
{
	const Query *parse = root->parse;
	Bitmapset *used = NULL;
	int only;

	if (parse->commandType != CMD_SELECT || parse->distinctClause == NIL ||
		parse->hasDistinctOn || parse->hasAggs || parse->groupClause != NIL ||
		parse->groupingSets != NIL || parse->havingQual != NULL ||
		parse->hasWindowFuncs || parse->hasTargetSRFs || parse->hasSubLinks ||
		parse->setOperations != NULL || parse->rowMarks != NIL || needs->system ||
		needs->columns == NULL || rel->lateral_relids != NULL)
		return false;
	/* Of a join the other rows are nobody's to say. */
	if (!bms_get_singleton_member(root->all_baserels, &only) ||
		only != (int) top_parent(root, rel->relid) ||
		contain_volatile_functions((Node *) root->processed_tlist))
		return false;
	/* A row's place differs from another's. */
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	return bms_next_member(used, -1) > -FirstLowInvalidHeapAttributeNumber;
}

bool
wt_distinct_row_is_new(WtDistinctRows *rows, WtChunkScan *chunks,
					   WtProjection *projection, int row)
{
	int32 number;

	if (rows->serial != chunks->serial)
	{
		int n = 0;

		rows->serial = chunks->serial;
		rows->numbers = wt_projection_combinations(projection, &n);
		rows->given = rows->numbers ? MemoryContextAllocZero(chunks->chunk_context,
															 (Size) n * sizeof(bool))
									: NULL;
	}
	number = rows->numbers ? rows->numbers[row] : -1;
	if (number < 0)
		return true;
	if (rows->given[number])
		return false;
	rows->given[number] = true;
	return true;
}
