/*
 * filter.h
 *		Conditions that MongoDB evaluates, and orders that it sorts by.
 *
 * Words:
 *	condition	one column compared with a value that is known before the scan begins
 *	exact		MongoDB keeps exactly the documents that PostgreSQL would; of a condition
 *				that is not exact it keeps some more, and PostgreSQL checks again
 */
#ifndef WM_FILTER_H
#define WM_FILTER_H

#include "lib/stringinfo.h"
#include "nodes/pathnodes.h"

#include "column.h"

typedef enum WmOperator
{
	WM_OP_EQ,
	WM_OP_LT,
	WM_OP_LE,
	WM_OP_GT,
	WM_OP_GE,
	WM_OP_IN, /* an array */
	WM_OP_NULL,
	WM_OP_NOT_NULL
} WmOperator;

typedef struct WmCondition
{
	AttrNumber column;
	WmOperator operator;
	Expr *value; /* NULL: the operator has none */
	bool exact;
} WmCondition;

/* Whether MongoDB can evaluate the clause on rel, alone: fills in the condition. */
extern bool wm_filter_accepts(PlannerInfo *root, RelOptInfo *rel, WmColumns *columns,
							  Expr *clause, WmCondition *condition);

/* Whether MongoDB sorts by this key as PostgreSQL does; gives the column. */
extern bool wm_filter_sorts(PlannerInfo *root, RelOptInfo *rel, WmColumns *columns,
							PathKey *key, AttrNumber *column, bool *descending);

/* A condition's value when a scan begins. */
typedef struct WmValue
{
	bool is_known; /* false: only EXPLAIN asks; then a placeholder is written */
	bool isnull;
	Datum datum;
	Oid type;
} WmValue;

/*
 * Writes the document that find takes as its filter.  conditions is a list of integers,
 * two for each condition: column and operator; those with a value take it from values in
 * turn.
 */
extern void wm_filter_write(StringInfo out, WmColumns *columns, List *conditions,
							const WmValue *values);

#endif
