/*
 * plan.c
 *		Plans scans: which conditions, which order and which limit MongoDB is given.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"

#include "column.h"
#include "compat.h"
#include "filter.h"
#include "plan.h"

/* Costs of a query, of a document that is sent, and of one that is looked at there. */
#define STARTUP_COST 25.0
#define TRANSFER_COST 0.02

/* Documents of a collection that has never been analysed. */
#define DEFAULT_ROWS 1000.0

typedef struct WmRel
{
	WmColumns *columns;
	List *remote;		/* RestrictInfos that MongoDB evaluates */
	bool all_exact;		/* these are all there are, and exact */
	bool by_id;			/* among them is _id = value */
	double remote_rows; /* documents that they leave */
} WmRel;

void
wm_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relation)
{
	WmRel *r = palloc0(sizeof(WmRel));
	Relation table = table_open(relation, NoLock);
	ListCell *cell;

	r->columns = wm_columns(RelationGetDescr(table));
	table_close(table, NoLock);
	rel->fdw_private = r;
	r->all_exact = true;
	foreach (cell, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst(cell);
		WmCondition condition;

		if (!wm_filter_accepts(root, rel, r->columns, info->clause, &condition))
		{
			r->all_exact = false;
			continue;
		}
		r->remote = lappend(r->remote, info);
		r->all_exact &= condition.exact;
		if (r->columns->id != NULL && condition.column == r->columns->id->number &&
			condition.operator== WM_OP_EQ)
			r->by_id = true;
	}
	/* 0 and less: nobody has counted yet. */
	if (rel->tuples <= 0)
		rel->tuples = DEFAULT_ROWS;
	set_baserel_size_estimates(root, rel);
	r->remote_rows = clamp_row_est(
		rel->tuples * clauselist_selectivity(root, r->remote, 0, JOIN_INNER, NULL));
	if (r->by_id)
		rel->rows = r->remote_rows = 1;
}

/* Whether a plain LIMIT above ends what this relation gives, and with which row. */
static List *
limit_of(PlannerInfo *root, RelOptInfo *rel, bool sorted)
{
	WmRel *r = rel->fdw_private;
	Query *parse = root->parse;

	/* limit_tuples is set where nothing between us and the LIMIT adds or drops rows. */
	if (root->limit_tuples <= 0 || root->limit_tuples > PG_INT32_MAX || !r->all_exact ||
		rel->reloptkind != RELOPT_BASEREL ||
		!bms_equal(root->all_baserels, rel->relids) || parse->commandType != CMD_SELECT ||
		parse->rowMarks != NIL || parse->setOperations != NULL ||
		parse->limitOption != LIMIT_OPTION_COUNT ||
		(root->query_pathkeys != NIL && !sorted))
		return NIL;
	/* An estimate is no limit. */
	if (parse->limitCount == NULL || !IsA(parse->limitCount, Const) ||
		((Const *) parse->limitCount)->constisnull ||
		(parse->limitOffset != NULL && (!IsA(parse->limitOffset, Const) ||
										((Const *) parse->limitOffset)->constisnull)))
		return NIL;
	return list_make1_int((int) root->limit_tuples);
}

/* As column numbers, negative where descending; false: MongoDB sorts otherwise. */
static bool
sort_of(PlannerInfo *root, RelOptInfo *rel, List **sort)
{
	WmRel *r = rel->fdw_private;
	ListCell *cell;

	*sort = NIL;
	foreach (cell, root->query_pathkeys)
	{
		AttrNumber column;
		bool descending;

		if (!wm_filter_sorts(root, rel, r->columns, lfirst(cell), &column, &descending))
			return false;
		if (!list_member_int(*sort, column) && !list_member_int(*sort, -column))
			*sort = lappend_int(*sort, descending ? -column : column);
	}
	return *sort != NIL;
}

static Cost
cost_of(RelOptInfo *rel, double fetched, bool by_id)
{
	return STARTUP_COST + fetched * (TRANSFER_COST + cpu_tuple_cost) +
		   (by_id ? 0 : rel->tuples * cpu_operator_cost);
}

/* For generate_implied_equalities_for_column: any column. */
static bool
is_any_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			  EquivalenceMember *member, void *argument)
{
	Expr *e = member->em_expr;

	while (IsA(e, RelabelType))
		e = ((RelabelType *) e)->arg;
	return IsA(e, Var) && ((Var *) e)->varattno == *(AttrNumber *) argument;
}

/* Scans once for each row of others, with a condition on a value of that row. */
static void
add_parameterized_paths(PlannerInfo *root, RelOptInfo *rel)
{
	WmRel *r = rel->fdw_private;
	List *clauses = list_copy(rel->joininfo);
	List *seen = NIL;
	ListCell *cell;

	if (rel->has_eclass_joins)
	{
		for (int i = 0; i < r->columns->n; i++)
		{
			AttrNumber number = (AttrNumber) (i + 1);

			if (r->columns->column[i].name != NULL)
				clauses = list_concat(clauses, generate_implied_equalities_for_column(
												   root, rel, is_any_column, &number,
												   rel->lateral_referencers));
		}
	}
	foreach (cell, clauses)
	{
		RestrictInfo *info = lfirst(cell);
		WmCondition condition;
		Relids outer;
		ParamPathInfo *parameters;
		ListCell *other;
		bool known = false;
		bool by_id;
		double rows;

		if (!join_clause_is_movable_to(info, rel) ||
			!wm_filter_accepts(root, rel, r->columns, info->clause, &condition))
			continue;
		outer = bms_union(info->clause_relids, rel->lateral_relids);
		outer = bms_del_member(outer, rel->relid);
		if (bms_is_empty(outer))
			continue;
		foreach (other, seen)
			known |= bms_equal(lfirst(other), outer);
		if (known)
			continue;
		seen = lappend(seen, outer);

		parameters = get_baserel_parampathinfo(root, rel, outer);
		by_id = r->columns->id != NULL && condition.column == r->columns->id->number &&
				condition.operator== WM_OP_EQ;
		if (by_id)
			parameters->ppi_rows = 1;
		rows = parameters->ppi_rows;
		add_path(rel, (Path *) wm_create_path(root, rel, rows, STARTUP_COST,
											  cost_of(rel, rows, by_id), NIL, outer,
											  list_make2(NIL, NIL)));
	}
}

void
wm_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relation)
{
	WmRel *r = rel->fdw_private;
	Cost total = cost_of(rel, r->remote_rows, r->by_id);
	List *sort;

	add_path(rel, (Path *) wm_create_path(root, rel, rel->rows, STARTUP_COST, total, NIL,
										  rel->lateral_relids,
										  list_make2(NIL, limit_of(root, rel, false))));
	if (sort_of(root, rel, &sort))
		add_path(rel, (Path *) wm_create_path(
						  root, rel, rel->rows, STARTUP_COST * 1.05, total * 1.05,
						  root->query_pathkeys, rel->lateral_relids,
						  list_make2(sort, limit_of(root, rel, true))));
	add_parameterized_paths(root, rel);
}

/* The columns that are read, beyond those of conditions that only MongoDB evaluates. */
static List *
columns_of(RelOptInfo *rel, WmColumns *columns, List *local)
{
	Bitmapset *used = NULL;
	List *list = NIL;
	bool whole;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	pull_varattnos((Node *) local, rel->relid, &used);
	whole = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	for (int i = 0; i < columns->n; i++)
	{
		WmColumn *c = &columns->column[i];

		if (c->name == NULL ||
			!(whole ||
			  bms_is_member(c->number - FirstLowInvalidHeapAttributeNumber, used)))
			continue;
		list = lappend_int(list, c->number);
		/* Neither can be asked for by a path. */
		if ((c->is_doc || !c->can_be_path) && !list_member_int(list, 0))
			list = lcons_int(0, list);
	}
	return list;
}

ForeignScan *
wm_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relation, ForeignPath *path,
			List *tlist, List *clauses, Plan *outer_plan)
{
	WmRel *r = rel->fdw_private;
	List *conditions = NIL;
	List *values = NIL;
	List *local = NIL;
	List *recheck = NIL;
	bool rechecks;
	ListCell *cell;

	foreach (cell, clauses)
	{
		RestrictInfo *info = lfirst(cell);
		WmCondition condition;

		if (info->pseudoconstant)
			continue;
		if (!wm_filter_accepts(root, rel, r->columns, info->clause, &condition))
		{
			local = lappend(local, info->clause);
			continue;
		}
		conditions = lappend_int(conditions, condition.column);
		conditions = lappend_int(conditions, condition.operator);
		if (condition.value != NULL)
			values = lappend(values, condition.value);
		if (condition.exact)
			recheck = lappend(recheck, info->clause);
		else
			local = lappend(local, info->clause);
	}
	/* Only a row that is locked, or changed, may be looked at once more. */
	rechecks = root->rowMarks != NIL || root->parse->commandType != CMD_SELECT;
	return make_foreignscan(
		tlist, local, rel->relid, values,
		list_make4(conditions, linitial(path->fdw_private), lsecond(path->fdw_private),
				   columns_of(rel, r->columns,
							  rechecks ? list_concat_copy(local, recheck) : local)),
		NIL, recheck, outer_plan);
}
