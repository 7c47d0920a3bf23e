/*
 * plan.c
 *		Plans scans of sealed partitions: what they cost, in what order they come, which conditions the
 *		scan evaluates, and what of the rows it must make.
 *
 * About 150 units of cost are a millisecond here, where a sequential scan of a heap of events has
 * 400: so processes join in where a scan takes long enough for that.
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "sealed/combinations.h"
#include "sealed/distinct_rows.h"
#include "sealed/estimate.h"
#include "sealed/links.h"
#include "sealed/partitionwise.h"
#include "sealed/plan.h"
#include "sealed/stored_columns.h"

/* To open a chunk; to look at a row's column for a condition; to make a row's document. */
#define COST_OF_CHUNK 6
#define COST_OF_LOOK 0.0015
#define COST_OF_MEMBERS 0.015
#define COST_OF_DOCUMENT 0.07

/* Pages of chunks hold many times the rows that pages of a heap hold. */
#define PAGES_FOR_WORKERS 8

/* How many pages the chunks take. */
static double
pages_of_chunks(Oid table)
{
	Relation chunks = table_open(table, AccessShareLock);
	double pages;

	pages = RelationGetNumberOfBlocks(chunks);
	if (OidIsValid(chunks->rd_rel->reltoastrelid))
	{
		Relation toast = table_open(chunks->rd_rel->reltoastrelid, AccessShareLock);

		pages += RelationGetNumberOfBlocks(toast);
		table_close(toast, AccessShareLock);
	}
	table_close(chunks, AccessShareLock);
	return pages;
}

void
wt_sealed_relation_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	WtSealedRelation *sealed = palloc0(sizeof(WtSealedRelation));
	WtLinks links;

	wt_partitionwise_want(root, rel);
	sealed->table = wt_table_of_relation(root, rel, relid);
	sealed->time_column = wt_stored_column(relid, WT_STORED_TIME);
	wt_links_read(relid, &links);
	sealed->n_pages = pages_of_chunks(links.chunks);
	/* Sealing and ANALYZE note how many rows there are; else some 45 bytes are one. */
	sealed->n_rows = rel->tuples > 0 ? rel->tuples : sealed->n_pages * (BLCKSZ / 45);
	sealed->n_chunks = Max(1, sealed->n_rows / WT_PLANNED_CHUNK_ROWS);
	rel->fdw_private = sealed;
	rel->pages = sealed->n_pages;
	rel->tuples = sealed->n_rows;
	wt_estimate(root, rel, relid, links.chunks, sealed->table, &sealed->estimate);
	rel->rows = clamp_row_est(rel->tuples * sealed->estimate.passing);
}

/* ---------------------------------------------------------------------- conditions */

static bool
not_for_the_scan(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return true;
	if (IsA(node, Var) && ((Var *) node)->varattno <= 0)
		return true; /* system columns, and whole rows */
	return expression_tree_walker(node, not_for_the_scan, context);
}

bool
wt_sealed_can_evaluate(const WtSealedRelation *sealed, RestrictInfo *condition)
{
	Node *clause = (Node *) condition->clause;

	return sealed->table != NULL && !condition->pseudoconstant &&
		   !contain_volatile_functions(clause) && !not_for_the_scan(clause, NULL);
}

/*
 * Sorts conditions, which come in the order in which they are to be evaluated, into those that
 * the scan evaluates and those that are left to the executor, behind it.  None goes ahead of
 * one that is left: what it lets through may be what the other must not see.
 */
static void
share_conditions(const WtSealedRelation *sealed, List *conditions, List **scans,
				 List **executors)
{
	ListCell *lc;

	foreach (lc, conditions)
	{
		RestrictInfo *condition = lfirst_node(RestrictInfo, lc);

		if (condition->pseudoconstant)
			continue;
		if (*executors == NIL && wt_sealed_can_evaluate(sealed, condition))
			*scans = lappend(*scans, condition->clause);
		else
			*executors = lappend(*executors, condition->clause);
	}
}

/* ---------------------------------------------------------------------- needs */

/*
 * What is made of documents by all that is above the scan: everything in the query but the
 * conditions on this relation alone.
 */
static void
add_members(PlannerInfo *root, RelOptInfo *rel, const WtSealedRelation *sealed,
			WtNeeds *needs)
{
	WtNeeds above = {0};
	Query *parse = root->parse;
	Query rest = *parse;
	ListCell *lc;

	if (sealed->table == NULL)
	{
		needs->whole = true;
		return;
	}
	/* The conditions of FROM and WHERE: of joins here, of this relation with the conditions. */
	rest.jointree = makeFromExpr(NIL, NULL);
	wt_needs_add_query(&above, sealed->table, root, &rest);
	/*
	 * Since 16 a partition is not given those that an outer join above it evaluates: its parents
	 * have them.
	 */
	for (int i = 0; i < sealed->table->n_varnos; i++)
	{
		foreach (lc, find_base_rel(root, sealed->table->varnos[i].varno)->joininfo)
			wt_needs_add(&above, sealed->table,
						 (Node *) lfirst_node(RestrictInfo, lc)->clause);
	}
	foreach (lc, root->eq_classes)
	{
		EquivalenceClass *ec = lfirst(lc);
		ListCell *member;

		/* With a constant it is conditions on one relation each. */
		if (ec->ec_has_const && !ec->ec_broken)
			continue;
		foreach (member, ec->ec_members)
			wt_needs_add(&above, sealed->table,
						 (Node *) ((EquivalenceMember *) lfirst(member))->em_expr);
	}
	needs->whole |= above.whole;
	needs->paths = list_concat_unique(needs->paths, above.paths);
}

static void
find_needs(PlannerInfo *root, RelOptInfo *rel, const WtSealedRelation *sealed, Oid relid,
		   List *executors, WtNeeds *needs)
{
	AttrNumber data = wt_stored_column(relid, WT_STORED_DATA);
	WtTable *own = wt_table_of_varno(rel->relid, data);
	bool members = false;
	ListCell *lc;

	foreach (lc, rel->reltarget->exprs)
	{
		Var *var = lfirst(lc);

		/* A Var says that the column is used; how, what is above says. */
		if (IsA(var, Var) && var->varno == (int) rel->relid && var->varattno == data)
		{
			needs->columns = bms_add_member(needs->columns, data);
			members = true;
		}
		else
			wt_needs_add(needs, own, (Node *) var);
	}
	wt_needs_add(needs, own, (Node *) executors);
	if (members && !needs->whole)
		add_members(root, rel, sealed, needs);
}

/* ---------------------------------------------------------------------- paths */

/* 1 or -1 where rows by time are of use, with the path keys that they then have; else 0. */
static int
useful_order(PlannerInfo *root, RelOptInfo *rel, const WtSealedRelation *sealed,
			 List **pathkeys)
{
	TypeCacheEntry *type = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_BTREE_OPFAMILY);
	PathKey *key;
	Var *time;

	if (root->query_pathkeys == NIL || sealed->time_column == InvalidAttrNumber)
		return 0;
	key = linitial(root->query_pathkeys);
	time = makeVar(rel->relid, sealed->time_column, TIMESTAMPTZOID, -1, InvalidOid, 0);
	if (key->pk_opfamily != type->btree_opf || key->pk_eclass->ec_has_volatile ||
		find_ec_member_matching_expr(key->pk_eclass, (Expr *) time, rel->relids) == NULL)
		return 0;
	*pathkeys = list_make1(key);
	return wt_pathkey_ascends(key) ? 1 : -1;
}

/*
 * The rows that a scan gives: fewer than pass where only different ones are asked for.  *of_row: what
 * it costs to tell a row from those that are as it is.
 */
static double
rows_given(PlannerInfo *root, RelOptInfo *rel, Oid relid, Cost *of_row)
{
	const WtSealedRelation *sealed = rel->fdw_private;
	List *scans = NIL, *executors = NIL;
	WtNeeds needs = {0};
	WtCombinations found;

	*of_row = COST_OF_LOOK;
	if (sealed->table == NULL || !wt_asks_distinct(root))
		return rel->rows;
	share_conditions(sealed, rel->baserestrictinfo, &scans, &executors);
	find_needs(root, rel, sealed, relid, executors, &needs);
	if (executors != NIL || !wt_only_distinct(root, rel, &needs) ||
		!wt_combinations_estimate(relid, sealed->table->data, &needs, &found))
		return rel->rows;
	/* Of one column without conditions a dictionary is all that is looked at. */
	if (found.n_differ <= 1 && rel->baserestrictinfo == NIL)
		*of_row = 0;
	return clamp_row_est(Min(rel->rows, found.n * sealed->n_chunks));
}

void
wt_sealed_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	const WtSealedRelation *sealed = rel->fdw_private;
	double chunks = Max(1, sealed->n_chunks * sealed->estimate.looked_at);
	double rows = sealed->n_rows * sealed->estimate.looked_at;
	Cost run, startup = COST_OF_CHUNK, of_row = cpu_tuple_cost / 2, of_alike;
	double given = rows_given(root, rel, relid, &of_alike);
	List *pathkeys = NIL;
	int direction;
	ListCell *lc;

	/* What documents cost depends on how much of them is asked for, which is not known yet. */
	foreach (lc, rel->reltarget->exprs)
	{
		Var *var = lfirst(lc);

		if (!IsA(var, Var) || var->varattno == InvalidAttrNumber)
			of_row += COST_OF_DOCUMENT;
		else if (sealed->table != NULL && var->varattno == sealed->table->data)
			of_row += COST_OF_MEMBERS;
	}
	run = chunks * COST_OF_CHUNK + given * of_row + (rel->rows - given) * of_alike;
	if (!sealed->estimate.skips)
		run += rows * (COST_OF_LOOK * sealed->estimate.looks + sealed->estimate.of_a_row);
	add_path(rel, (Path *) wt_foreignscan_path(root, rel, given, startup, startup + run,
											   NIL, rel->lateral_relids, NIL));
	direction = useful_order(root, rel, sealed, &pathkeys);
	if (direction != 0)
		add_path(rel, (Path *) wt_foreignscan_path(
						  root, rel, given, startup + run / chunks, startup + run * 1.01,
						  pathkeys, rel->lateral_relids, list_make1_int(direction)));
	if (rel->consider_parallel && rel->lateral_relids == NULL)
	{
		int workers = compute_parallel_worker(rel, sealed->n_pages * PAGES_FOR_WORKERS,
											  -1, max_parallel_workers_per_gather);

		workers = Min(workers, (int) chunks - 1);
		if (workers > 0)
		{
			double share = workers + (parallel_leader_participation ? 0.7 : 0);
			ForeignPath *path =
				wt_foreignscan_path(root, rel, clamp_row_est(given / share), startup,
									startup + run / share, NIL, NULL, NIL);

			path->path.parallel_aware = true;
			path->path.parallel_workers = workers;
			add_partial_path(rel, (Path *) path);
		}
	}
}

/* ---------------------------------------------------------------------- the plan */

ForeignScan *
wt_sealed_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
			   List *tlist, List *clauses, Plan *outer)
{
	const WtSealedRelation *sealed = rel->fdw_private;
	int direction = path->fdw_private ? linitial_int(path->fdw_private) : 0;
	List *scans = NIL, *executors = NIL;
	WtNeeds needs = {0};
	bool distinct;

	share_conditions(sealed, clauses, &scans, &executors);
	find_needs(root, rel, sealed, relid, executors, &needs);
	distinct =
		sealed->table != NULL && executors == NIL && wt_only_distinct(root, rel, &needs);
	/* The same conditions again: for rows that the executor brings, to be checked anew. */
	return make_foreignscan(tlist, executors, rel->relid, scans,
							list_make3(wt_needs_to_list(&needs),
									   list_make1_int(direction),
									   list_make1_int(distinct)),
							NIL, scans, outer);
}
