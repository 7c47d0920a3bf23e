/*
 * needs.c
 *		Finds what of a table's rows is used, by walking over expressions.
 *
 * What is not understood uses whole documents, so that nothing can be missed: each Var that is
 * data, and is not beneath a form that is known here, asks for all.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/appendinfo.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/jsonpath_needs.h"
#include "sealed/needs.h"
#include "sealed/stored_columns.h"

/* Members that EXPLAIN names. */
#define MAX_TOLD 12

WtTable *
wt_table_of_varno(Index varno, AttrNumber data)
{
	WtTable *table = palloc0(sizeof(WtTable));

	table->data = data;
	table->n_varnos = 1;
	table->varnos = palloc0(sizeof(struct WtTableVarno));
	table->varnos[0].varno = varno;
	return table;
}

WtTable *
wt_table_of_relation(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	WtTable *table =
		wt_table_of_varno(rel->relid, wt_stored_column(relid, WT_STORED_DATA));
	Index child = rel->relid;
	struct WtTableVarno *below = &table->varnos[0];

	while (root->append_rel_array != NULL && root->append_rel_array[child] != NULL)
	{
		AppendRelInfo *up = root->append_rel_array[child];
		AttrNumber *columns;
		struct WtTableVarno *at;
		int i = 0;
		ListCell *lc;

		if (planner_rt_fetch(up->parent_relid, root)->rtekind != RTE_RELATION)
			return NULL; /* UNION ALL: its columns may be made of anything */
		table->varnos =
			repalloc(table->varnos, (table->n_varnos + 1) * sizeof(struct WtTableVarno));
		below = &table->varnos[table->n_varnos - 1];
		at = &table->varnos[table->n_varnos++];
		columns = palloc0((list_length(up->translated_vars) + 1) * sizeof(AttrNumber));
		foreach (lc, up->translated_vars)
		{
			Var *var = lfirst(lc);
			AttrNumber column;

			i++;
			if (var == NULL)
				continue;
			if (!IsA(var, Var))
				return NULL;
			column = var->varattno;
			columns[i] = below->columns == NULL ? column
						 : column <= below->n_columns && column > 0
							 ? below->columns[column]
							 : InvalidAttrNumber;
		}
		at->varno = up->parent_relid;
		at->n_columns = i;
		at->columns = columns;
		child = up->parent_relid;
	}
	return table;
}

AttrNumber
wt_table_column(const WtTable *table, const Var *var, bool *ours)
{
	*ours = false;
	if ((int) var->varlevelsup != table->level)
		return InvalidAttrNumber;
	for (int i = 0; i < table->n_varnos; i++)
	{
		const struct WtTableVarno *v = &table->varnos[i];

		if ((Index) var->varno != v->varno)
			continue;
		*ours = true;
		if (var->varattno <= 0 || v->columns == NULL)
			return var->varattno;
		return var->varattno <= v->n_columns ? v->columns[var->varattno]
											 : InvalidAttrNumber;
	}
	return InvalidAttrNumber;
}

static bool
is_data(const WtTable *table, Node *node)
{
	bool ours;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node != NULL && IsA(node, Var) && table->data != InvalidAttrNumber &&
		   wt_table_column(table, (Var *) node, &ours) == table->data && ours;
}

/* A function's, or an operator's, number and arguments. */
static Oid
called(Node *node, List **arguments)
{
	if (node != NULL && IsA(node, OpExpr))
	{
		OpExpr *op = (OpExpr *) node;

		*arguments = op->args;
		return OidIsValid(op->opfuncid) ? op->opfuncid : get_opcode(op->opno);
	}
	if (node != NULL && IsA(node, FuncExpr))
	{
		*arguments = ((FuncExpr *) node)->args;
		return ((FuncExpr *) node)->funcid;
	}
	return InvalidOid;
}

static Const *
known(Node *node)
{
	return node != NULL && IsA(node, Const) && !((Const *) node)->constisnull
			   ? (Const *) node
			   : NULL;
}

static List *
with_key(List *keys, const char *key)
{
	return lappend(keys, makeString(pstrdup(key)));
}

/* Adds a constant's steps to a path. */
static void
add_steps(WtMember *member, Datum path)
{
	Datum *steps;
	bool *nulls;
	int n;

	deconstruct_array(DatumGetArrayTypeP(path), TEXTOID, -1, false, TYPALIGN_INT, &steps,
					  &nulls, &n);
	for (int i = 0; i < n && !member->steps; i++)
	{
		if (nulls[i])
			member->steps = true;
		else
			member->keys = with_key(member->keys, TextDatumGetCString(steps[i]));
	}
}

static bool
member_of_subscripts(const WtTable *table, SubscriptingRef *ref, WtMember *member)
{
	ListCell *lc;

	if (ref->refcontainertype != JSONBOID || ref->refassgnexpr != NULL ||
		ref->reflowerindexpr != NIL || !wt_member(table, (Node *) ref->refexpr, member))
		return false;
	foreach (lc, ref->refupperindexpr)
	{
		Const *key = known(lfirst(lc));

		if (key == NULL || (key->consttype != TEXTOID && key->consttype != INT4OID))
			member->steps = true;
		if (member->steps)
			break;
		member->keys =
			with_key(member->keys, key->consttype == TEXTOID
									   ? TextDatumGetCString(key->constvalue)
									   : psprintf("%d", DatumGetInt32(key->constvalue)));
	}
	member->text = false;
	return true;
}

bool
wt_member(const WtTable *table, Node *node, WtMember *member)
{
	List *arguments;
	Oid function;
	Const *step;

	memset(member, 0, sizeof(*member));
	if (is_data(table, node))
		return true;
	if (node != NULL && IsA(node, SubscriptingRef))
		return member_of_subscripts(table, (SubscriptingRef *) node, member);
	function = called(node, &arguments);
	switch (function)
	{
		case F_JSONB_OBJECT_FIELD:
		case F_JSONB_OBJECT_FIELD_TEXT:
		case F_JSONB_ARRAY_ELEMENT:
		case F_JSONB_ARRAY_ELEMENT_TEXT:
		case F_JSONB_EXTRACT_PATH:
		case F_JSONB_EXTRACT_PATH_TEXT:
			break;
		default:
			return false;
	}
	if (list_length(arguments) != 2 || !wt_member(table, linitial(arguments), member))
		return false;
	member->text = function == F_JSONB_OBJECT_FIELD_TEXT ||
				   function == F_JSONB_ARRAY_ELEMENT_TEXT ||
				   function == F_JSONB_EXTRACT_PATH_TEXT;
	step = known(lsecond(arguments));
	/* What only the execution knows may itself use data: it is walked over by who asks. */
	if (step == NULL)
		return false;
	if (member->steps)
		return true;
	if (function == F_JSONB_OBJECT_FIELD || function == F_JSONB_OBJECT_FIELD_TEXT)
		member->keys = with_key(member->keys, TextDatumGetCString(step->constvalue));
	else if (function == F_JSONB_ARRAY_ELEMENT || function == F_JSONB_ARRAY_ELEMENT_TEXT)
		member->steps = true;
	else
		add_steps(member, step->constvalue);
	return true;
}

/* Functions that are known, and what they look at. */
#define MAX_KNOWN 8

static struct
{
	PGFunction function;
	List *(*members)(void);
} functions[MAX_KNOWN];
static int n_functions;

void
wt_needs_know(PGFunction function, List *(*members)(void) )
{
	Assert(n_functions < MAX_KNOWN);
	functions[n_functions].function = function;
	functions[n_functions++].members = members;
}

/* The members that a function looks at; NIL: it is not known. */
static List *
looked_at(Oid function)
{
	HeapTuple tuple;
	FmgrInfo info;
	bool in_c;

	if (function < FirstGenbkiObjectId || n_functions == 0)
		return NIL;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	in_c = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId;
	ReleaseSysCache(tuple);
	if (!in_c)
		return NIL;
	fmgr_info(function, &info);
	for (int i = 0; i < n_functions; i++)
		if (info.fn_addr == functions[i].function)
			return functions[i].members();
	return NIL;
}

typedef struct Walk
{
	WtNeeds *needs;
	WtTable *table;
} Walk;

static void
add_path(Walk *walk, List *keys)
{
	walk->needs->columns = bms_add_member(walk->needs->columns, walk->table->data);
	if (keys == NIL)
		walk->needs->whole = true;
	else
		walk->needs->paths = list_append_unique(walk->needs->paths, keys);
}

/* The paths of what a document must contain; an empty object is the path to itself. */
static void
add_contained(Walk *walk, JsonbContainer *object, List *prefix)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	List *at = NIL;

	check_stack_depth();
	if (JsonContainerSize(object) == 0)
		add_path(walk, prefix);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			at =
				lappend(list_copy(prefix),
						makeString(pnstrdup(value.val.string.val, value.val.string.len)));
		else if (token == WJB_VALUE)
		{
			if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
				add_contained(walk, value.val.binary.data, at);
			else
				add_path(walk, at);
		}
	}
}

static bool
add_paths(Walk *walk, List *paths)
{
	ListCell *lc;

	foreach (lc, paths)
		add_path(walk, lfirst(lc));
	return paths != NIL;
}

/* Whether a node is an expression that uses some members only; adds them. */
static bool
add_members(Walk *walk, Node *node)
{
	WtMember member;
	List *arguments = NIL;
	Oid function;
	Const *right;

	if (wt_member(walk->table, node, &member))
	{
		if (member.keys == NIL)
			return false; /* data itself */
		add_path(walk, member.keys);
		return true;
	}
	function = called(node, &arguments);
	if (list_length(arguments) == 1 && OidIsValid(function) &&
		is_data(walk->table, linitial(arguments)))
		return add_paths(walk, looked_at(function));
	if ((function == F_JSONB_PATH_EXISTS_OPR || function == F_JSONB_PATH_MATCH_OPR) &&
		is_data(walk->table, linitial(arguments)))
	{
		right = known(lsecond(arguments));
		return right != NULL &&
			   add_paths(walk, wt_jsonpath_members(DatumGetJsonPathP(right->constvalue)));
	}
	if ((function != F_JSONB_CONTAINS && function != F_JSONB_EXISTS) ||
		list_length(arguments) != 2 ||
		!wt_member(walk->table, linitial(arguments), &member) || member.steps ||
		member.text)
		return false;
	right = known(lsecond(arguments));
	if (right == NULL)
		return false;
	/* Of a member that is not there both are NULL, of an empty one false: it is needed as it is. */
	if (member.keys != NIL)
	{
		add_path(walk, member.keys);
		return true;
	}
	if (function == F_JSONB_EXISTS)
	{
		add_path(walk, with_key(NIL, TextDatumGetCString(right->constvalue)));
		return true;
	}
	else
	{
		Jsonb *wanted = DatumGetJsonbP(right->constvalue);

		if (!JB_ROOT_IS_OBJECT(wanted) || JB_ROOT_COUNT(wanted) == 0)
			return false;
		add_contained(walk, &wanted->root, NIL);
		return true;
	}
}

static bool
walker(Node *node, void *arg)
{
	Walk *walk = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		bool ours;
		AttrNumber column = wt_table_column(walk->table, (Var *) node, &ours);

		if (!ours || column == TableOidAttributeNumber ||
			column == SelfItemPointerAttributeNumber)
			return false;
		if (column <= 0)
			walk->needs->system = walk->needs->whole = true;
		else
		{
			walk->needs->columns = bms_add_member(walk->needs->columns, column);
			if (column == walk->table->data)
				walk->needs->whole = true;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		bool stop;

		walk->table->level++;
		stop = query_tree_walker((Query *) node, walker, arg, QTW_IGNORE_JOINALIASES);
		walk->table->level--;
		return stop;
	}
	if (add_members(walk, node))
		return false;
	/* That a row has a document says nothing of what is in it. */
	if (IsA(node, NullTest) && is_data(walk->table, (Node *) ((NullTest *) node)->arg))
	{
		add_path(walk, list_make1(makeString(pstrdup(""))));
		return false;
	}
	return expression_tree_walker(node, walker, arg);
}

void
wt_needs_add(WtNeeds *needs, WtTable *table, Node *expression)
{
	Walk walk = {needs, table};

	walker(expression, &walk);
}

void
wt_needs_add_query(WtNeeds *needs, WtTable *table, PlannerInfo *root, Query *query)
{
	Walk walk = {needs, table};

	query_tree_walker(query, walker, &walk, QTW_IGNORE_JOINALIASES);
	walker((Node *) root->processed_tlist, &walk);
	walker((Node *) root->placeholder_list, &walk);
}

WtNeeds
wt_needs_of_rows(TupleDesc columns)
{
	WtNeeds needs = {.whole = true};

	for (int i = 0; i < columns->natts; i++)
		if (TupleDescAttr(columns, i)->attgenerated == '\0')
			needs.columns = bms_add_member(needs.columns, i + 1);
	return needs;
}

List *
wt_needs_to_list(const WtNeeds *needs)
{
	List *columns = NIL;

	for (int i = -1; (i = bms_next_member(needs->columns, i)) >= 0;)
		columns = lappend_int(columns, i);
	return list_make3(list_make2_int(needs->whole, needs->system), needs->paths, columns);
}

WtNeeds *
wt_needs_of_list(List *list)
{
	WtNeeds *needs = palloc0(sizeof(WtNeeds));
	ListCell *lc;

	needs->whole = linitial_int(linitial(list)) != 0;
	needs->system = lsecond_int(linitial(list)) != 0;
	needs->paths = lsecond(list);
	foreach (lc, (List *) lthird(list))
		needs->columns = bms_add_member(needs->columns, lfirst_int(lc));
	return needs;
}

char *
wt_needs_text(const WtNeeds *needs, AttrNumber data)
{
	StringInfoData text;
	ListCell *lc, *key;

	if (needs->whole)
		return pstrdup("whole");
	if (!bms_is_member(data, needs->columns))
		return pstrdup("none");
	initStringInfo(&text);
	foreach (lc, needs->paths)
	{
		if (foreach_current_index(lc) == MAX_TOLD)
		{
			appendStringInfo(&text, " and %d more", list_length(needs->paths) - MAX_TOLD);
			break;
		}
		if (text.len > 0)
			appendStringInfoString(&text, ", ");
		foreach (key, (List *) lfirst(lc))
			appendStringInfo(&text, "%s%s", key == list_head(lfirst(lc)) ? "" : ".",
							 strVal(lfirst(key)));
	}
	return text.data;
}
