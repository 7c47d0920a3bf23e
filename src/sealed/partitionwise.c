/*
 * partitionwise.c
 *		Turns enable_partitionwise_aggregate on for what reads sealed partitions.
 *
 * PostgreSQL looks at the variable where it begins with a query's aggregates, which is after the
 * wrapper was asked for the sizes of what that query reads.  So the wrapper turns it on, and a
 * hook around the planner off again, also after an ERROR: nobody ever finds the setting changed,
 * and what reads no sealed partition is planned as ever.  In between it stays on for those levels
 * of the same statement that are planned later, be they of other tables: it allows plans, and
 * costs choose among them.
 */
#include "postgres.h"

#include "optimizer/cost.h"
#include "optimizer/planner.h"

#include "base/settings.h"
#include "sealed/partitionwise.h"

/*
 * So many times their rows may be in other partitions.  There, too, it groups by partition and then
 * all of that once more, which takes up to twice as long where nearly each row is a group, of which
 * nobody knows for members of documents.
 */
#define MOST_OTHERS 4

/* What plans, beneath this hook: PostgreSQL, or another library's hook. */
static planner_hook_type rest;

/* Of the statement that is being planned. */
typedef struct Statement
{
	bool is_ours;	/* it went through the hook */
	bool turned_on; /* by us, while it was off */
} Statement;

static Statement statement;

/* Goes from one statement to another: each sees the setting as it left it. */
static void
go_to(Statement other)
{
	if (statement.turned_on != other.turned_on)
		enable_partitionwise_aggregate = other.turned_on;
	statement = other;
}

static PlannedStmt *
plan(Query *parse, const char *text, int options, ParamListInfo params)
{
	Statement outer = statement;
	PlannedStmt *volatile result = NULL;

	/* What a function asks that is called in order to plan is planned as the user has it. */
	go_to((Statement){.is_ours = true});
	PG_TRY();
	{
		result = rest(parse, text, options, params);
	}
	PG_FINALLY();
	{
		go_to(outer);
	}
	PG_END_TRY();
	return result;
}

void
wt_partitionwise_install(void)
{
	rest = planner_hook ? planner_hook : standard_planner;
	planner_hook = plan;
}

/* Whether sealed partitions hold a fair share of the rows of what a partition is read as a part of. */
static bool
are_many(const PlannerInfo *root, const RelOptInfo *sealed)
{
	double rows = 0, others = 0;

	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		const RelOptInfo *rel = root->simple_rel_array[i];

		/* What has partitions itself has no rows of its own. */
		if (rel == NULL || root->simple_rte_array[i]->inh ||
			!bms_equal(rel->top_parent_relids, sealed->top_parent_relids))
			continue;
		if (rel->serverid == sealed->serverid)
			rows += Max(rel->tuples, 0);
		else
			others += Max(rel->tuples, 0);
	}
	return others <= MOST_OTHERS * rows;
}

void
wt_partitionwise_want(const PlannerInfo *root, const RelOptInfo *sealed)
{
	if (!wt_partitionwise_aggregate || enable_partitionwise_aggregate ||
		!statement.is_ours || sealed->top_parent_relids == NULL ||
		(!root->parse->hasAggs && root->parse->groupClause == NIL) ||
		!are_many(root, sealed))
		return;
	enable_partitionwise_aggregate = true;
	statement.turned_on = true;
}
