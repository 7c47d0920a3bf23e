/*
 * log_rows_plan.c
 *		The function windtrap.log_rows() as a part of queries that another library plans.
 *
 * windtrap.events shows the rows of a function, see upkeep/log_rows.c.  PostgreSQL's planner puts
 * the text of such a function in its place, so that a query is about the table.  Citus looks for
 * its tables before that, finds none, and then refuses the one that the function reads.  So where
 * there is Citus the same is done in front of it, by the same function of PostgreSQL's: with the
 * caller's rights, and with the conditions of the query taken to the shards.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/planner.h"
#include "utils/lsyscache.h"

#include "store/distributed.h"
#include "views/log_rows_plan.h"

/* What plans beneath this hook. */
static planner_hook_type rest;

static bool
is_log_rows(const RangeTblEntry *rte)
{
	const FuncExpr *call;
	const char *name;

	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1)
		return false;
	call = (const FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || call->args != NIL)
		return false;
	name = get_func_name(call->funcid);
	return name && strcmp(name, "log_rows") == 0 &&
		   get_func_namespace(call->funcid) == get_namespace_oid("windtrap", true);
}

/* Puts the function's query in its place wherever a query calls it; root: notes what that is. */
static bool
replace(Node *node, PlannerInfo *root)
{
	Query *query = (Query *) node;
	ListCell *cell;

	if (!node)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, replace, root);
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		Query *text = is_log_rows(rte) ? inline_set_returning_function(root, rte) : NULL;
		const ListCell *read;

		if (!text)
			continue;
		rte->rtekind = RTE_SUBQUERY;
		rte->subquery = text;
		rte->security_barrier = false;
		rte->functions = NIL;
		rte->funcordinality = false;
		foreach (read, text->rtable)
			if (lfirst_node(RangeTblEntry, read)->rtekind == RTE_RELATION)
				root->glob->relationOids = lappend_oid(
					root->glob->relationOids, lfirst_node(RangeTblEntry, read)->relid);
	}
	return query_tree_walker(query, replace, root, 0);
}

static PlannedStmt *
plan(Query *parse, const char *text, int options, ParamListInfo params)
{
	PlannerInfo *root;
	PlannedStmt *result;

	if (!wt_has_citus())
		return rest(parse, text, options, params);
	root = makeNode(PlannerInfo);
	root->glob = makeNode(PlannerGlobal);
	root->parse = parse;
	(void) replace((Node *) parse, root);
	result = rest(parse, text, options, params);
	/* A plan that is kept must not outlive the text. */
	result->invalItems = list_concat(result->invalItems, root->glob->invalItems);
	result->relationOids = list_concat(result->relationOids, root->glob->relationOids);
	result->dependsOnRole |= root->glob->dependsOnRole;
	return result;
}

void
wt_log_rows_plan_install(void)
{
	if (!planner_hook)
		return;
	rest = planner_hook;
	planner_hook = plan;
}
