/*
 * filter.c
 *		Conditions that MongoDB evaluates, and orders that it sorts by.
 *
 * The two systems compare differently, so each kind of column has its rule:
 *
 *	integers, booleans, uuid, date, timestamps
 *			the same; exact.  (BSON dates have milliseconds: a bound between two of them is
 *			rounded to the side that keeps the result.)
 *	float, numeric
 *			MongoDB compares 0.1 as a double and 0.1 as a decimal as different, NaN with
 *			nothing, and strings (numbers that BSON has no type for) with strings.  It is
 *			given a range one double wider on each side, with NaN and strings: not exact.
 *	text, varchar
 *			MongoDB compares bytes.  Equality is that under any deterministic collation;
 *			order only under "C".  An ObjectId is read as its digits, so it is looked for as
 *			well, and before or behind all strings.
 *	others
 *			only IS NULL; for jsonb and arrays it is not exact, because MongoDB looks into
 *			arrays.
 *
 * Null and missing are the same in both directions.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/pg_locale.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "bson_writer.h"
#include "compat.h"
#include "convert.h"
#include "filter.h"
#include "number.h"

static Expr *
strip(Expr *e)
{
	while (e != NULL && IsA(e, RelabelType))
		e = ((RelabelType *) e)->arg;
	return e;
}

/* The column that an expression is, if MongoDB can be asked about it. */
static WmColumn *
column_of(RelOptInfo *rel, WmColumns *columns, Expr *e)
{
	Var *var = (Var *) strip(e);
	WmColumn *c;

	if (var == NULL || !IsA(var, Var) || (Index) var->varno != rel->relid ||
		var->varlevelsup != 0 || var->varattno <= 0 || var->varattno > columns->n)
		return NULL;
	c = &columns->column[var->varattno - 1];
	return c->name != NULL && !c->is_doc && c->can_be_path ? c : NULL;
}

/* Whether an expression has one value for the whole scan. */
static bool
is_value(PlannerInfo *root, RelOptInfo *rel, Expr *e)
{
	return !bms_is_member(rel->relid, pull_varnos(root, (Node *) e)) &&
		   !contain_volatile_functions((Node *) e) && !contain_subplans((Node *) e);
}

static bool
is_integer_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/* Whether values of this type can be compared with the column by MongoDB. */
static bool
is_comparable(WmColumn *c, Oid type, WmOperator op, Oid collation, bool *exact)
{
	*exact = true;
	switch (c->kind)
	{
		case WM_INT2:
		case WM_INT4:
		case WM_INT8:
			return is_integer_type(type);
		case WM_FLOAT4:
		case WM_FLOAT8:
			*exact = false;
			return op != WM_OP_IN && (type == FLOAT4OID || type == FLOAT8OID);
		case WM_NUMERIC:
			*exact = false;
			return op != WM_OP_IN && type == NUMERICOID && c->typmod < 0;
		case WM_BOOL:
			return type == BOOLOID && op == WM_OP_EQ;
		case WM_TEXT:
			if ((c->base != TEXTOID && c->base != VARCHAROID) ||
				(type != TEXTOID && type != VARCHAROID) || !OidIsValid(collation))
				return false;
			if (op == WM_OP_EQ || op == WM_OP_IN)
				return get_collation_isdeterministic(collation);
			*exact = false;
			return wm_collation_is_c(collation);
		case WM_UUID:
			return type == UUIDOID;
		case WM_DATE:
			return type == DATEOID && op != WM_OP_IN;
		case WM_TIMESTAMP:
			return type == c->base && (c->typmod < 0 || c->typmod >= 3);
		default:
			return false;
	}
}

/* The operator of the column's default order that this one is; false: none of it. */
static bool
operator_of(WmColumn *c, Oid operator, WmOperator * op)
{
	TypeCacheEntry *type = lookup_type_cache(c->base, TYPECACHE_BTREE_OPFAMILY);

	switch (get_op_opfamily_strategy(operator, type->btree_opf))
	{
		case BTLessStrategyNumber:
			*op = WM_OP_LT;
			return true;
		case BTLessEqualStrategyNumber:
			*op = WM_OP_LE;
			return true;
		case BTEqualStrategyNumber:
			*op = WM_OP_EQ;
			return true;
		case BTGreaterEqualStrategyNumber:
			*op = WM_OP_GE;
			return true;
		case BTGreaterStrategyNumber:
			*op = WM_OP_GT;
			return true;
		default:
			return false;
	}
}

bool
wm_filter_accepts(PlannerInfo *root, RelOptInfo *rel, WmColumns *columns, Expr *clause,
				  WmCondition *condition)
{
	WmColumn *c;

	condition->value = NULL;
	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
	{
		OpExpr *e = (OpExpr *) clause;
		Expr *value = lsecond(e->args);
		Oid operator= e->opno;

		c = column_of(rel, columns, linitial(e->args));
		if (c == NULL)
		{
			c = column_of(rel, columns, value);
			value = linitial(e->args);
			operator= get_commutator(operator);
		}
		if (c == NULL || !OidIsValid(operator) ||
			!operator_of(c, operator, & condition->operator) ||
			!is_value(root, rel, value) ||
			!is_comparable(c, exprType((Node *) strip(value)), condition->operator,
						   e->inputcollid, &condition->exact))
			return false;
		condition->value = strip(value);
	}
	else if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *e = (ScalarArrayOpExpr *) clause;
		Expr *array = strip(lsecond(e->args));
		WmOperator op;

		c = column_of(rel, columns, linitial(e->args));
		if (c == NULL || !e->useOr || !operator_of(c, e->opno, &op) || op != WM_OP_EQ ||
			!is_value(root, rel, array) || c->kind == WM_BOOL ||
			!is_comparable(c, get_element_type(exprType((Node *) array)), WM_OP_IN,
						   e->inputcollid, &condition->exact))
			return false;
		condition->operator= WM_OP_IN;
		condition->value = array;
	}
	else if (IsA(clause, NullTest))
	{
		NullTest *e = (NullTest *) clause;

		c = column_of(rel, columns, e->arg);
		if (c == NULL || e->argisrow)
			return false;
		condition->operator= e->nulltesttype == IS_NULL ? WM_OP_NULL : WM_OP_NOT_NULL;
		condition->exact =
			c->kind != WM_JSONB && c->kind != WM_JSON && c->kind != WM_ARRAY;
		if (!condition->exact && condition->operator== WM_OP_NOT_NULL)
			return false;
	}
	else
	{
		/* A boolean column stands for itself. */
		bool is_true = true;

		if (is_notclause(clause))
		{
			is_true = false;
			clause = get_notclausearg(clause);
		}
		c = column_of(rel, columns, clause);
		if (c == NULL || c->kind != WM_BOOL)
			return false;
		condition->operator= WM_OP_EQ;
		condition->value = (Expr *) makeBoolConst(is_true, false);
		condition->exact = true;
	}
	condition->column = c->number;
	return true;
}

bool
wm_filter_sorts(PlannerInfo *root, RelOptInfo *rel, WmColumns *columns, PathKey *key,
				AttrNumber *column, bool *descending)
{
	EquivalenceClass *class = key->pk_eclass;
	WmColumn *c = NULL;
	ListCell *cell;

	if (class->ec_has_volatile)
		return false;
	foreach (cell, class->ec_members)
	{
		EquivalenceMember *member = lfirst(cell);

		if (!member->em_is_child && bms_equal(member->em_relids, rel->relids))
			c = column_of(rel, columns, member->em_expr);
		if (c != NULL)
			break;
	}
	if (c == NULL || key->pk_opfamily !=
						 lookup_type_cache(c->base, TYPECACHE_BTREE_OPFAMILY)->btree_opf)
		return false;
	switch (c->kind)
	{
		case WM_INT2:
		case WM_INT4:
		case WM_INT8:
		case WM_BOOL:
		case WM_UUID:
			break;
		case WM_TIMESTAMP:
			if (c->typmod >= 0 && c->typmod < 3)
				return false;
			break;
		default:
			return false;
	}
	*column = c->number;
	*descending = wm_pathkey_descends(key);
	/* MongoDB has nulls first, and descending last. */
	return c->is_not_null || c->is_id || *descending != key->pk_nulls_first;
}

static const char *const operator_names[] = {"$eq", "$lt", "$lte", "$gt", "$gte", "$in"};

static const char *
name_of(WmOperator op)
{
	return operator_names[op];
}

static void
write_nothing(StringInfo out)
{
	int id = wm_bson_begin_document(out, "_id", 3);
	int in = wm_bson_begin_array(out, "$in", 3);

	wm_bson_end(out, in);
	wm_bson_end(out, id);
}

/* {column: {"$type": type}}, as an element of an array. */
static void
write_type(StringInfo out, WmColumn *c, const char *index, const char *type)
{
	int element = wm_bson_begin_document(out, index, (int) strlen(index));
	int test = wm_bson_begin_document(out, c->name, c->name_length);

	wm_bson_string(out, "$type", 5, type, (int) strlen(type));
	wm_bson_end(out, test);
	wm_bson_end(out, element);
}

/* A value of the column's kind. */
static void
write_plain(StringInfo out, WmColumn *c, const char *name, const WmValue *v)
{
	int length = (int) strlen(name);

	switch (v->type)
	{
		case INT2OID:
			wm_bson_int32(out, name, length, DatumGetInt16(v->datum));
			break;
		case INT4OID:
			wm_bson_int32(out, name, length, DatumGetInt32(v->datum));
			break;
		case INT8OID:
			wm_bson_int64(out, name, length, DatumGetInt64(v->datum));
			break;
		default:
			wm_write_datum(out, c, name, length, v->datum);
	}
}

/* column = a text, or one of several. */
static void
write_texts(StringInfo out, WmColumn *c, Datum *texts, bool *nulls, int n)
{
	int test = wm_bson_begin_document(out, c->name, c->name_length);
	int in = wm_bson_begin_array(out, "$in", 3);
	int written = 0;

	for (int i = 0; i < n; i++)
	{
		char index[12];
		text *t;
		int length;

		if (nulls[i])
			continue;
		t = DatumGetTextPP(texts[i]);
		length = (int) VARSIZE_ANY_EXHDR(t);
		wm_write_datum(out, c, index, wm_bson_index(written, index), texts[i]);
		written++;
		if (wm_write_oid_text(out, index, wm_bson_index(written, index), VARDATA_ANY(t),
							  length))
			written++;
	}
	wm_bson_end(out, in);
	wm_bson_end(out, test);
}

static bool
is_oid_text(Datum value)
{
	text *t = DatumGetTextPP(value);
	StringInfoData scratch;

	initStringInfo(&scratch);
	return wm_write_oid_text(&scratch, "", 0, VARDATA_ANY(t), (int) VARSIZE_ANY_EXHDR(t));
}

static void
write_compared_text(StringInfo out, WmColumn *c, WmOperator op, const WmValue *v)
{
	bool no = false;
	Datum datum = v->datum;
	int any;
	int element;
	int test;

	if (op == WM_OP_EQ)
	{
		if (is_oid_text(datum))
			write_texts(out, c, &datum, &no, 1);
		else
			wm_write_datum(out, c, c->name, c->name_length, datum);
		return;
	}
	any = wm_bson_begin_array(out, "$or", 3);
	element = wm_bson_begin_document(out, "0", 1);
	test = wm_bson_begin_document(out, c->name, c->name_length);
	write_plain(out, c, name_of(op), v);
	wm_bson_end(out, test);
	wm_bson_end(out, element);
	write_type(out, c, "1", "objectId");
	wm_bson_end(out, any);
}

/*
 * The doubles beside the value, between which everything lies that is read as it; false:
 * there are none.
 */
static bool
neighbours(WmColumn *c, const WmValue *v, double *below, double *above)
{
	double value;

	if (v->type == FLOAT4OID)
		value = DatumGetFloat4(v->datum);
	else if (v->type == FLOAT8OID)
		value = DatumGetFloat8(v->datum);
	else
	{
		Numeric number = DatumGetNumeric(v->datum);

		if (numeric_is_nan(number) || numeric_is_inf(number))
			return false;
		value = strtod(numeric_normalize(number), NULL);
	}
	if (isnan(value) || isinf(value))
		return false;
	if (c->kind == WM_FLOAT4)
	{
		*below = nextafterf(nextafterf((float) value, -INFINITY), -INFINITY);
		*above = nextafterf(nextafterf((float) value, INFINITY), INFINITY);
	}
	else
	{
		*below = nextafter(value, -INFINITY);
		*above = nextafter(value, INFINITY);
	}
	return true;
}

static void
write_range(StringInfo out, WmColumn *c, WmOperator op, double below, double above)
{
	int test = wm_bson_begin_document(out, c->name, c->name_length);

	if (op != WM_OP_LT && op != WM_OP_LE)
		wm_bson_double(out, "$gte", 4, below);
	if (op != WM_OP_GT && op != WM_OP_GE)
		wm_bson_double(out, "$lte", 4, above);
	wm_bson_end(out, test);
}

static void
write_compared_float(StringInfo out, WmColumn *c, WmOperator op, const WmValue *v)
{
	double below;
	double above;
	int any;
	int element;
	int n = 1;

	if (!neighbours(c, v, &below, &above))
		return;
	/* NaN is more than all else here. */
	if ((op == WM_OP_EQ || op == WM_OP_LT || op == WM_OP_LE) && c->kind != WM_NUMERIC)
	{
		write_range(out, c, op, below, above);
		return;
	}
	any = wm_bson_begin_array(out, "$or", 3);
	element = wm_bson_begin_document(out, "0", 1);
	write_range(out, c, op, below, above);
	wm_bson_end(out, element);
	if (c->kind == WM_NUMERIC)
	{
		write_type(out, c, "1", "string");
		n++;
	}
	if (op == WM_OP_GT || op == WM_OP_GE)
	{
		char index[12];

		element = wm_bson_begin_document(out, index, wm_bson_index(n, index));
		wm_bson_double(out, c->name, c->name_length, NAN);
		wm_bson_end(out, element);
	}
	wm_bson_end(out, any);
}

/* Milliseconds that the value is at or, not being exact, after. */
static int64
floor_ms(WmColumn *c, Datum value, bool *exact)
{
	if (c->kind == WM_TIMESTAMP)
		return wm_timestamp_to_ms(DatumGetTimestamp(value), exact);
	*exact = true;
	return wm_date_to_ms(DatumGetDateADT(value));
}

static void
write_compared_time(StringInfo out, WmColumn *c, WmOperator op, const WmValue *v)
{
	bool exact = true;
	int64 ms;
	int64 width = c->kind == WM_DATE ? SECS_PER_DAY * INT64CONST(1000) : 1;
	int sign = 0;
	int test;

	if (c->kind == WM_DATE)
	{
		DateADT date = DatumGetDateADT(v->datum);

		sign = DATE_IS_NOEND(date) ? 1 : DATE_IS_NOBEGIN(date) ? -1 : 0;
	}
	else
	{
		Timestamp t = DatumGetTimestamp(v->datum);

		sign = TIMESTAMP_IS_NOEND(t) ? 1 : TIMESTAMP_IS_NOBEGIN(t) ? -1 : 0;
	}
	if (sign != 0)
	{
		/* Every date of BSON's is between the infinities. */
		if (op == WM_OP_EQ || ((op == WM_OP_LT || op == WM_OP_LE) ? sign < 0 : sign > 0))
		{
			write_nothing(out);
			return;
		}
		test = wm_bson_begin_document(out, c->name, c->name_length);
		wm_bson_date(out, "$gte", 4, PG_INT64_MIN);
		wm_bson_end(out, test);
		return;
	}
	ms = floor_ms(c, v->datum, &exact);
	if (op == WM_OP_EQ && !exact)
	{
		write_nothing(out);
		return;
	}
	if (op == WM_OP_EQ && width == 1)
	{
		wm_bson_date(out, c->name, c->name_length, ms);
		return;
	}
	test = wm_bson_begin_document(out, c->name, c->name_length);
	switch (op)
	{
		case WM_OP_LT:
			wm_bson_date(out, exact ? "$lt" : "$lte", exact ? 3 : 4, ms);
			break;
		case WM_OP_LE:
			if (width == 1)
				wm_bson_date(out, "$lte", 4, ms);
			else
				wm_bson_date(out, "$lt", 3, ms + width);
			break;
		case WM_OP_GT:
			if (width == 1)
				wm_bson_date(out, "$gt", 3, ms);
			else
				wm_bson_date(out, "$gte", 4, ms + width);
			break;
		case WM_OP_GE:
			wm_bson_date(out, exact ? "$gte" : "$gt", exact ? 4 : 3, ms);
			break;
		default:
			wm_bson_date(out, "$gte", 4, ms);
			wm_bson_date(out, "$lt", 3, ms + width);
	}
	wm_bson_end(out, test);
}

static void
write_in(StringInfo out, WmColumn *c, const WmValue *v)
{
	ArrayType *array = DatumGetArrayTypeP(v->datum);
	WmValue element = {.is_known = true, .type = ARR_ELEMTYPE(array)};
	int16 length;
	bool by_value;
	char align;
	Datum *values;
	bool *nulls;
	int n;
	int test;
	int in;
	int written = 0;

	get_typlenbyvalalign(element.type, &length, &by_value, &align);
	deconstruct_array(array, element.type, length, by_value, align, &values, &nulls, &n);
	if (c->kind == WM_TEXT)
	{
		write_texts(out, c, values, nulls, n);
		return;
	}
	test = wm_bson_begin_document(out, c->name, c->name_length);
	in = wm_bson_begin_array(out, "$in", 3);
	for (int i = 0; i < n; i++)
	{
		char index[12];
		bool exact = true;

		if (nulls[i])
			continue;
		if (c->kind == WM_TIMESTAMP)
		{
			Timestamp t = DatumGetTimestamp(values[i]);

			if (TIMESTAMP_NOT_FINITE(t))
				continue;
			(void) wm_timestamp_to_ms(t, &exact);
			if (!exact)
				continue;
		}
		element.datum = values[i];
		wm_bson_index(written++, index);
		write_plain(out, c, index, &element);
	}
	wm_bson_end(out, in);
	wm_bson_end(out, test);
}

static void
write_condition(StringInfo out, WmColumn *c, WmOperator op, const WmValue *v, int number)
{
	if (op == WM_OP_NULL)
	{
		wm_bson_null(out, c->name, c->name_length);
		return;
	}
	if (op == WM_OP_NOT_NULL)
	{
		int test = wm_bson_begin_document(out, c->name, c->name_length);

		wm_bson_null(out, "$ne", 3);
		wm_bson_end(out, test);
		return;
	}
	if (!v->is_known)
	{
		int test = wm_bson_begin_document(out, c->name, c->name_length);
		char *placeholder = psprintf("$%d", number);

		wm_bson_string(out, name_of(op), (int) strlen(name_of(op)), placeholder,
					   (int) strlen(placeholder));
		wm_bson_end(out, test);
		return;
	}
	/* Compared with null nothing is true. */
	if (v->isnull)
	{
		write_nothing(out);
		return;
	}
	if (op == WM_OP_IN)
	{
		write_in(out, c, v);
		return;
	}
	switch (c->kind)
	{
		case WM_TEXT:
			write_compared_text(out, c, op, v);
			return;
		case WM_FLOAT4:
		case WM_FLOAT8:
		case WM_NUMERIC:
			write_compared_float(out, c, op, v);
			return;
		case WM_DATE:
		case WM_TIMESTAMP:
			write_compared_time(out, c, op, v);
			return;
		default:
			if (op == WM_OP_EQ)
				write_plain(out, c, c->name, v);
			else
			{
				int test = wm_bson_begin_document(out, c->name, c->name_length);

				write_plain(out, c, name_of(op), v);
				wm_bson_end(out, test);
			}
	}
}

void
wm_filter_write(StringInfo out, WmColumns *columns, List *conditions,
				const WmValue *values)
{
	int n = list_length(conditions) / 2;
	int used = 0;
	int filter = wm_bson_begin(out);
	int all = 0;

	if (n > 1)
		all = wm_bson_begin_array(out, "$and", 4);
	for (int i = 0; i < n; i++)
	{
		WmColumn *c = &columns->column[list_nth_int(conditions, 2 * i) - 1];
		WmOperator op = list_nth_int(conditions, 2 * i + 1);
		const WmValue *v = NULL;
		int element = 0;

		if (op != WM_OP_NULL && op != WM_OP_NOT_NULL)
			v = &values[used++];
		if (n > 1)
		{
			char index[12];

			element = wm_bson_begin_document(out, index, wm_bson_index(i, index));
		}
		write_condition(out, c, op, v, used);
		if (n > 1)
			wm_bson_end(out, element);
	}
	if (n > 1)
		wm_bson_end(out, all);
	wm_bson_end(out, filter);
}
