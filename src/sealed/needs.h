/*
 * needs.h
 *		What of a table's rows an expression, or a query, uses: which columns, and which members
 *		of data, so that no others are read.
 *
 * A member is a path of constant keys: data->'json'->>'app', data #>> '{json,app}' and
 * data['json']['app'] are all [json, app], and so is what data @> '{"json": {"app": "x"}}' and data @@ '$.json.app == "x"' look at.
 * A document that has the members with these paths, with all that is beneath them, is as good
 * as the whole one for who asks for nothing else.
 */
#ifndef WT_NEEDS_H
#define WT_NEEDS_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "nodes/pathnodes.h"

/* Which Vars are the columns of the table that is meant. */
typedef struct WtTable
{
	AttrNumber data; /* its column of documents; 0: it has none */
	int n_varnos;	 /* the table itself, and those that it is a partition of */
	struct WtTableVarno
	{
		Index varno;
		int n_columns;			   /* of columns */
		const AttrNumber *columns; /* theirs to the table's; NULL: they are the same */
	} * varnos;
	int level; /* of the query that is walked, counted from that of the table */
} WtTable;

typedef struct WtNeeds
{
	bool whole;	 /* whole documents */
	List *paths; /* of lists of String nodes */
	Bitmapset
		*columns; /* by attribute number; data is among them where it is used at all */
	bool system;  /* a system column other than tableoid and ctid, or the whole row */
} WtNeeds;

/* A member of data. */
typedef struct WtMember
{
	List *keys; /* String nodes; NIL: data itself */
	bool steps; /* further steps follow that are not keys, or not known */
	bool text;	/* its text, as ->> and #>> have it */
} WtMember;

/* The table that a Var of this number, and of no other, is a column of. */
extern WtTable *wt_table_of_varno(Index varno, AttrNumber data);

/*
 * The table of a relation that is planned, with the tables that it is a partition of.  NULL:
 * it is reached by something else as well, so that what is used of it cannot be told.
 */
extern WtTable *wt_table_of_relation(PlannerInfo *root, RelOptInfo *rel, Oid relid);

/* The number of the table's column that a Var is; InvalidAttrNumber: of no one of its. */
extern AttrNumber wt_table_column(const WtTable *table, const Var *var, bool *ours);

/* Whether an expression is a member of data. */
extern bool wt_member(const WtTable *table, Node *node, WtMember *member);

/*
 * Makes known a function, in C, of a document alone: it looks at no more of it than the members
 * whose paths are given (lists of String nodes, in the current memory context).  For _PG_init().
 */
extern void wt_needs_know(PGFunction function, List *(*members)(void) );

/* Adds what an expression uses. */
extern void wt_needs_add(WtNeeds *needs, WtTable *table, Node *expression);

/* Adds what a query uses that is being planned: root's, or the part of it that is given. */
extern void wt_needs_add_query(WtNeeds *needs, WtTable *table, PlannerInfo *root,
							   Query *query);

/* All that is stored of rows with these columns: not what is generated. */
extern WtNeeds wt_needs_of_rows(TupleDesc columns);

/* In the form that a plan can carry, and back. */
extern List *wt_needs_to_list(const WtNeeds *needs);
extern WtNeeds *wt_needs_of_list(List *list);

/* What is read, for EXPLAIN: "whole", "none", or the members' names. */
extern char *wt_needs_text(const WtNeeds *needs, AttrNumber data);

#endif
