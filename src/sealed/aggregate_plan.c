/*
 * aggregate_plan.c
 *		Plans groups and aggregates of a sealed partition: which of them can be computed where its
 *		chunks are read, and what that costs.
 *
 * All that PostgreSQL offers is partial: it asks for that where it aggregates by partition
 * (enable_partitionwise_aggregate), and otherwise, of a partition by itself, we put the step
 * that combines on top.  So the same group may come several times, and memory is bounded.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/aggregates.h"
#include "sealed/combinations.h"
#include "sealed/distinct_rows.h"
#include "sealed/plan.h"

/* To open a chunk, to count a row of it, to make a row and look for its group. */
#define COST_OF_CHUNK 5
#define COST_OF_DIRECTORY 2
#define COST_OF_COUNT 0.001
#define COST_OF_LOOK 0.0015
#define COST_OF_ROW 0.05

/* So many groups are numbered in a chunk; where there are more, they are looked for by row. */
#define NUMBERED_GROUPS 4096

/* What is to be computed. */
typedef struct Work
{
	RelOptInfo *input;
	Oid relation;
	AttrNumber time, data;
	WtTable *table; /* the partition's own columns */
	WtNeeds needs;
	List *keys, *kinds, *equals;
	List *calls;
	List *output;
} Work;

/* ------------------------------------------------------------------------ expressions */

static bool
not_for_chunks(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan) ||
		IsA(node, PlaceHolderVar) || IsA(node, Aggref) || IsA(node, GroupingFunc) ||
		IsA(node, WindowFunc))
		return true;
	if (IsA(node, Var) &&
		(((Var *) node)->varattno <= 0 || ((Var *) node)->varlevelsup > 0))
		return true;
	return expression_tree_walker(node, not_for_chunks, context);
}

/* Whether an expression is about the partition's columns alone; *time: whether about the time. */
static bool
is_of_rows(const Work *work, Node *node, bool *time)
{
	Bitmapset *used = NULL;

	if (not_for_chunks(node, NULL) || contain_volatile_functions(node) ||
		expression_returns_set(node))
		return false;
	pull_varattnos(node, work->input->relid, &used);
	*time = bms_is_member(work->time - FirstLowInvalidHeapAttributeNumber, used);
	return true;
}

static bool
is_time(const Work *work, Node *node)
{
	return node != NULL && IsA(node, Var) && ((Var *) node)->varattno == work->time;
}

/* Whether a function of the time grows with it, and has many times one value. */
static bool
is_bucket(const Work *work, Node *node)
{
	FuncExpr *call = (FuncExpr *) node;

	if (!IsA(node, FuncExpr))
		return false;
	switch (call->funcid)
	{
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
			return IsA(linitial(call->args), Const) && is_time(work, lsecond(call->args));
		case F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ:
			return !contain_var_clause(linitial(call->args)) &&
				   is_time(work, lsecond(call->args)) &&
				   !contain_var_clause(lthird(call->args));
		default:
			return false;
	}
}

static bool
add_key(Work *work, Expr *key, const SortGroupClause *clause)
{
	bool time;

	if (!clause->hashable || !is_of_rows(work, (Node *) key, &time) ||
		(time && !is_bucket(work, (Node *) key)))
		return false;
	if (!time)
		wt_needs_add(&work->needs, work->table, (Node *) key);
	work->output = lappend_int(work->output, list_length(work->keys));
	work->keys = lappend(work->keys, key);
	work->kinds = lappend_int(work->kinds, time ? WT_KEY_TIME : WT_KEY_VALUES);
	work->equals = lappend_oid(work->equals, clause->eqop);
	return true;
}

/*
 * Whether values of an aggregate may be given it once instead of several times, and its states
 * are such values.
 */
static bool
is_best(const Aggref *call, Oid *transition)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(call->aggfnoid));
	Form_pg_aggregate form;
	bool is_null, best;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	(void) SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &is_null);
	*transition = form->aggtransfn;
	best = wt_ignores_repeats(call->aggfnoid) && form->aggcombinefn == form->aggtransfn &&
		   !OidIsValid(form->aggfinalfn) && is_null && func_strict(form->aggtransfn) &&
		   list_length(call->args) == 1;
	ReleaseSysCache(tuple);
	/* Of a polymorphic one the state is of the argument's type: an array, an enum. */
	return best && call->aggtranstype ==
					   exprType((Node *) linitial_node(TargetEntry, call->args)->expr);
}

static bool
add_call(Work *work, const Aggref *call)
{
	Expr *argument = NULL, *filter = call->aggfilter;
	Oid transition = InvalidOid;
	bool time = false, filters_time = false;
	WtAggregateKind kind;

	if (call->aggorder != NIL || call->aggdistinct != NIL || call->aggdirectargs != NIL ||
		call->aggkind != AGGKIND_NORMAL || call->aggvariadic ||
		list_length(call->args) > 1)
		return false;
	if (call->args != NIL)
	{
		argument = linitial_node(TargetEntry, call->args)->expr;
		if (!is_of_rows(work, (Node *) argument, &time))
			return false;
	}
	/* The time is never null: it is what partitions are made by. */
	if (call->aggfnoid == F_COUNT_ ||
		(call->aggfnoid == F_COUNT_ANY && is_time(work, (Node *) argument)))
		kind = WT_AGGREGATE_ROWS;
	else if (call->aggfnoid == F_COUNT_ANY && !time)
		kind = WT_AGGREGATE_VALUES;
	else if (call->aggfnoid == F_MIN_TIMESTAMPTZ && is_time(work, (Node *) argument))
		kind = WT_AGGREGATE_FIRST;
	else if (call->aggfnoid == F_MAX_TIMESTAMPTZ && is_time(work, (Node *) argument))
		kind = WT_AGGREGATE_LAST;
	else if (!time && is_best(call, &transition))
		kind = WT_AGGREGATE_BEST;
	else
		return false;
	if (kind != WT_AGGREGATE_VALUES && kind != WT_AGGREGATE_BEST)
		argument = NULL;
	if (filter != NULL &&
		(!is_of_rows(work, (Node *) filter, &filters_time) || filters_time))
		return false;
	wt_needs_add(&work->needs, work->table, (Node *) argument);
	wt_needs_add(&work->needs, work->table, (Node *) filter);
	work->calls =
		lappend(work->calls, list_make4(makeInteger(kind), argument, filter,
										list_make2_oid(transition, call->inputcollid)));
	work->output = lappend_int(work->output, -list_length(work->calls));
	return true;
}

/*
 * A column that is neither: what is above makes of it what is the same for all rows of a group
 * (since 16 a key that a condition says to be one value is none any more).
 */
static bool
add_column(Work *work, PlannerInfo *root, Var *column)
{
	const WtSealedRelation *sealed = work->input->fdw_private;

	if (!IsA(column, Var) || column->varattno <= 0 || column->varattno == work->time ||
		column->varno != (int) work->input->relid)
		return false;
	if (column->varattno == work->data)
	{
		Query rest = *root->parse;

		rest.jointree = makeFromExpr(NIL, NULL);
		wt_needs_add_query(&work->needs, sealed->table, root, &rest);
		/* That counts the keys' and calls' columns as well, the time among them. */
		work->needs.columns =
			bms_del_member(bms_add_member(work->needs.columns, work->data), work->time);
	}
	else
		wt_needs_add(&work->needs, work->table, (Node *) column);
	work->calls =
		lappend(work->calls, list_make4(makeInteger(WT_AGGREGATE_ANY), column, NULL,
										list_make2_oid(InvalidOid, InvalidOid)));
	work->output = lappend_int(work->output, -list_length(work->calls));
	return true;
}

/* ------------------------------------------------------------------------ what is asked for */

/* The relation of rows, if it is a sealed partition whose conditions all go with its scan. */
static bool
begin_work(Work *work, PlannerInfo *root, RelOptInfo *input)
{
	const WtSealedRelation *sealed = input->fdw_private;
	ListCell *lc;

	memset(work, 0, sizeof(*work));
	if (!IS_SIMPLE_REL(input) || sealed == NULL || sealed->table == NULL ||
		sealed->time_column == InvalidAttrNumber || input->lateral_relids != NULL)
		return false;
	foreach (lc, input->baserestrictinfo)
		if (!wt_sealed_can_evaluate(sealed, lfirst_node(RestrictInfo, lc)))
			return false;
	work->input = input;
	work->relation = planner_rt_fetch(input->relid, root)->relid;
	work->time = sealed->time_column;
	work->data = sealed->table->data;
	work->table = wt_table_of_varno(input->relid, work->data);
	return true;
}

/* Takes in a target: keys, by these clauses, and aggregates.  False: it cannot be computed here. */
static bool
take_target(Work *work, PlannerInfo *root, PathTarget *target, List *clauses)
{
	int i = 0;
	ListCell *lc;

	foreach (lc, target->exprs)
	{
		Expr *expression = lfirst(lc);
		Index ref = get_pathtarget_sortgroupref(target, i++);
		SortGroupClause *clause =
			ref ? get_sortgroupref_clause_noerr(ref, clauses) : NULL;

		if (clause != NULL)
		{
			if (!add_key(work, expression, clause))
				return false;
		}
		else if (IsA(expression, Aggref))
		{
			if (!add_call(work, (Aggref *) expression))
				return false;
		}
		else if (!add_column(work, root, (Var *) expression))
			return false;
	}
	return work->output != NIL;
}

/* Conditions in the order in which PostgreSQL evaluates them: by security level, then by cost. */
static List *
ordered_conditions(PlannerInfo *root, List *conditions)
{
	int n = list_length(conditions), i = 0;
	struct
	{
		Node *clause;
		Index level;
		Cost cost;
	} *sorted = palloc(Max(n, 1) * sizeof(*sorted));
	List *result = NIL;
	ListCell *lc;

	foreach (lc, conditions)
	{
		RestrictInfo *condition = lfirst_node(RestrictInfo, lc);
		QualCost cost;
		Index level;
		int at = i++;

		cost_qual_eval_node(&cost, (Node *) condition, root);
		/* What tells nothing and is cheap may go first. */
		level = condition->leakproof && cost.per_tuple < 10 * cpu_operator_cost
					? 0
					: condition->security_level;
		for (; at > 0 &&
			   (sorted[at - 1].level > level ||
				(sorted[at - 1].level == level && sorted[at - 1].cost > cost.per_tuple));
			 at--)
			sorted[at] = sorted[at - 1];
		sorted[at].clause = (Node *) condition->clause;
		sorted[at].level = level;
		sorted[at].cost = cost.per_tuple;
	}
	for (i = 0; i < n; i++)
		result = lappend(result, sorted[i].clause);
	return result;
}

/* How many groups there are, as far as a chunk tells. */
typedef struct Estimate
{
	double in_chunk;
	double in_all;
	bool numbered; /* combinations of values are few enough for that */
} Estimate;

/* Statistics know nothing of what is in documents: a chunk does. */
static void
estimate(const Work *work, Estimate *groups)
{
	const WtSealedRelation *sealed = work->input->fdw_private;
	double buckets = 1;
	WtCombinations found;
	ListCell *key, *kind;

	*groups = (Estimate){1, 1, true};
	if (!wt_combinations_estimate(work->relation, work->data, &work->needs, &found))
		return;
	groups->in_chunk = found.n;
	groups->numbered = groups->in_chunk < NUMBERED_GROUPS;
	/* What has few values in a chunk has about the same ones in others. */
	groups->in_all =
		groups->numbered ? groups->in_chunk : groups->in_chunk * sealed->n_chunks;
	forboth(key, work->keys, kind, work->kinds)
	{
		int64 width = wt_bucket_width(lfirst(key));

		if (lfirst_int(kind) == WT_KEY_TIME && width > 0)
			buckets = Max(buckets, found.duration / width);
	}
	groups->in_chunk *= Min(buckets + 1, found.n_rows);
	groups->in_all *= 1 + buckets * sealed->n_chunks;
}

static ForeignPath *
path_of(Work *work, PlannerInfo *root, RelOptInfo *output, PathTarget *target)
{
	const WtSealedRelation *sealed = work->input->fdw_private;
	double rows = sealed->n_rows, chunks = sealed->n_chunks, given;
	bool counts = work->input->baserestrictinfo == NIL && work->needs.columns == NULL &&
				  work->keys == NIL;
	Estimate groups = {1, 1, true};
	Cost cost;
	List *private;

	if (work->keys != NIL || work->needs.columns != NULL)
		estimate(work, &groups);
	given = work->keys == NIL ? 1 : clamp_row_est(Min(groups.in_all, work->input->rows));
	/* Conditions cost what they cost a scan of rows. */
	cost = chunks * (counts ? COST_OF_DIRECTORY : COST_OF_CHUNK);
	if (!sealed->estimate.skips)
		cost +=
			rows * (COST_OF_LOOK * sealed->estimate.looks + sealed->estimate.of_a_row);
	if (!counts)
		cost += work->input->rows * (groups.numbered ? COST_OF_COUNT : COST_OF_ROW) +
				Min(chunks * groups.in_chunk, work->input->rows) * COST_OF_ROW;
	private =
		list_make5(list_make1_int(work->input->relid), list_make1_oid(work->relation),
				   wt_needs_to_list(&work->needs),
				   ordered_conditions(root, work->input->baserestrictinfo), work->keys);
	private = lappend(private, work->kinds);
	private = lappend(private, work->equals);
	private = lappend(private, work->calls);
	private = lappend(private, work->output);
	return wt_foreign_upper_path(root, output, target, given, cost,
								 cost + given * cpu_tuple_cost, private);
}

/* ------------------------------------------------------------------------ paths */

/* For what PostgreSQL combines by itself. */
static void
add_partial(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output)
{
	Work work;

	if (begin_work(&work, root, input) &&
		take_target(&work, root, output->reltarget, root->parse->groupClause))
		add_path(output, (Path *) path_of(&work, root, output, output->reltarget));
}

/* What partial aggregates give from which a target can be computed. */
static PathTarget *
partial_target(PlannerInfo *root, PathTarget *whole, Node *having)
{
	PathTarget *partial = create_empty_pathtarget();
	List *others = NIL;
	int i = 0;
	ListCell *lc;

	foreach (lc, whole->exprs)
	{
		Expr *expression = lfirst(lc);
		Index ref = get_pathtarget_sortgroupref(whole, i++);

		if (ref && get_sortgroupref_clause_noerr(ref, root->parse->groupClause) != NULL)
			add_column_to_pathtarget(partial, expression, ref);
		else
			others = lappend(others, expression);
	}
	if (having)
		others = lappend(others, having);
	add_new_columns_to_pathtarget(
		partial, pull_var_clause((Node *) others, PVC_INCLUDE_AGGREGATES |
													  PVC_RECURSE_WINDOWFUNCS |
													  PVC_INCLUDE_PLACEHOLDERS));
	foreach (lc, partial->exprs)
	{
		Aggref *call = lfirst(lc);

		if (!IsA(call, Aggref))
			continue;
		call = makeNode(Aggref);
		memcpy(call, lfirst(lc), sizeof(Aggref));
		mark_partial_aggref(call, AGGSPLIT_INITIAL_SERIAL);
		lfirst(lc) = call;
	}
	return set_pathtarget_cost_width(root, partial);
}

static void
add_whole(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output,
		  const GroupPathExtraData *extra)
{
	Query *parse = root->parse;
	AggClauseCosts costs = {0};
	PathTarget *partial;
	ForeignPath *path;
	Work work;

	if (parse->groupingSets != NIL || (extra->flags & GROUPING_CAN_PARTIAL_AGG) == 0 ||
		(parse->groupClause != NIL && !grouping_is_hashable(parse->groupClause)) ||
		!begin_work(&work, root, input))
		return;
	partial = partial_target(root, output->reltarget, extra->havingQual);
	if (!take_target(&work, root, partial, parse->groupClause))
		return;
	path = path_of(&work, root, output, partial);
	get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &costs);
	add_path(output, (Path *) create_agg_path(
						 root, output, (Path *) path, output->reltarget,
						 parse->groupClause == NIL		? AGG_PLAIN
						 : wt_group_clause(root) == NIL ? AGG_SORTED
														: AGG_HASHED,
						 AGGSPLIT_FINAL_DESERIAL, wt_group_clause(root),
						 (List *) extra->havingQual, &costs, path->path.rows));
}

/* SELECT DISTINCT of a partition by itself: groups without aggregates. */
static void
add_distinct(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output)
{
	Query *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_DISTINCT];
	ForeignPath *path;
	Work work;

	if (parse->hasDistinctOn || parse->hasAggs || parse->groupClause != NIL ||
		parse->groupingSets != NIL || parse->havingQual != NULL ||
		parse->hasWindowFuncs || parse->hasTargetSRFs || parse->rowMarks != NIL ||
		target == NULL || wt_distinct_clause(root) == NIL ||
		!grouping_is_hashable(parse->distinctClause) || !begin_work(&work, root, input) ||
		!take_target(&work, root, target, parse->distinctClause))
		return;
	path = path_of(&work, root, output, target);
	add_path(output, (Path *) create_agg_path(
						 root, output, (Path *) path, target, AGG_HASHED, AGGSPLIT_SIMPLE,
						 wt_distinct_clause(root), NIL, NULL, path->path.rows));
}

void
wt_sealed_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input,
					  RelOptInfo *output, void *extra)
{
	switch (stage)
	{
		case UPPERREL_PARTIAL_GROUP_AGG:
			add_partial(root, input, output);
			break;
		case UPPERREL_GROUP_AGG:
			add_whole(root, input, output, extra);
			break;
		case UPPERREL_DISTINCT:
			add_distinct(root, input, output);
			break;
		default:
			break;
	}
}

/* ------------------------------------------------------------------------ the plan */

static bool
collect_params(Node *node, List **params)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		*params = list_append_unique(*params, node);
	return expression_tree_walker(node, collect_params, params);
}

ForeignScan *
wt_aggregates_plan(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist)
{
	List *columns = NIL, *params = NIL, *private = copyObject(path->fdw_private);
	ListCell *lc;

	foreach (lc, path->path.pathtarget->exprs)
		columns =
			lappend(columns, makeTargetEntry(copyObject(lfirst(lc)),
											 list_length(columns) + 1, NULL, false));
	/* Expressions over rows are nothing that setrefs.c could make something of here; what they
	 * take from elsewhere it must know. */
	collect_params((Node *) list_nth(private, WT_AGGREGATES_CONDITIONS), &params);
	collect_params((Node *) list_nth(private, WT_AGGREGATES_KEYS), &params);
	foreach (lc, (List *) list_nth(private, WT_AGGREGATES_CALLS))
	{
		collect_params(list_nth(lfirst(lc), 1), &params);
		collect_params(list_nth(lfirst(lc), 2), &params);
	}
	fix_opfuncids((Node *) list_nth(private, WT_AGGREGATES_CONDITIONS));
	fix_opfuncids((Node *) list_nth(private, WT_AGGREGATES_KEYS));
	foreach (lc, (List *) list_nth(private, WT_AGGREGATES_CALLS))
	{
		fix_opfuncids(list_nth(lfirst(lc), 1));
		fix_opfuncids(list_nth(lfirst(lc), 2));
	}
	return make_foreignscan(tlist, NIL, 0, params, private, columns, NIL, NULL);
}
