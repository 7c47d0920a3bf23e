/*
 * test.c
 *		Recognises conditions that columns can decide, and decides them.
 *
 * Nothing here raises because of a row's value, and nothing calls what a user has written: what
 * it would take that for is WT_UNKNOWN.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "column/forms.h"
#include "sealed/members.h"
#include "sealed/pattern.h"
#include "sealed/test.h"

typedef enum Operation
{
	/* Of other tests. */
	OF_ALL,
	OF_ANY,
	OF_NOT,
	/* Not known of any row. */
	NOT_KNOWN,
	/* Of a member of data. */
	TEXT_EQUALS, /* one of some texts */
	TEXT_LIKE,
	TEXT_IS_NULL,
	IS_ABSENT,
	EXISTS,
	EQUALS_SCALAR, /* of JSON: what @> makes of a leaf that is a scalar */
	IS_KIND_OF, /* a leaf of @> that is an object or array: of other kinds it is no match */
	NUMBER_COMPARES,
	CONTAINS, /* once bound, a test of all its leaves */
	/* Of another column of the table. */
	COLUMN_COMPARES
} Operation;

/* What a member is cast to before it is compared. */
typedef enum NumberType
{
	AS_INTEGER, /* of smallest .. largest */
	AS_NUMERIC,
	AS_FLOAT
} NumberType;

struct WtTest
{
	Operation operation;
	List *tests;
	WtKeys member;
	AttrNumber column;
	bool any_case;
	Oid collation;
	bool is_array; /* the other side is an array, of which any may match */
	Oid right_type;
	ExprState *right;

	NumberType number_type;
	int64 smallest, largest;
	StrategyNumber strategy;

	/* Bound: */
	bool all_null;	  /* the other side is NULL, and so the answer */
	bool all_unknown; /* nothing can be said for such another side */
	int n_texts;
	WtText *texts;
	bool null_in_array;
	WtPattern pattern;
	JsonbValue scalar;
	WtDecimal decimal; /* of AS_INTEGER and AS_NUMERIC */
	int n_integers;
	int64 *integers;
	double real;
	WtTest *contained;

	/* Of the chunk that is open: */
	uint64 serial;
	WtMemberColumns columns;
};

/* ---------------------------------------------------------------------- recognising */

typedef struct Context
{
	WtChunkScan *scan;
	const WtTable *table;
	PlanState *parent;
} Context;

static WtTest *recognise(const Context *c, Node *node, bool beneath_not);

static WtTest *
new_test(Operation operation)
{
	WtTest *test = palloc0(sizeof(WtTest));

	test->operation = operation;
	return test;
}

static WtTest *
negated(WtTest *test)
{
	WtTest *not = new_test(OF_NOT);

	not ->tests = list_make1(test);
	return not ;
}

static Node *
without_relabels(Node *node)
{
	/* To the same bytes, in comparisons that look at bytes. */
	while (node != NULL && IsA(node, RelabelType) &&
		   (((RelabelType *) node)->resulttype == TEXTOID ||
			((RelabelType *) node)->resulttype == VARCHAROID))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* A member by keys alone; text: as ->> gives it. */
static bool
is_member(const Context *c, Node *node, bool text, WtMember *member)
{
	return wt_member(c->table, node, member) && !member->steps && member->text == text &&
		   (member->keys != NIL || !text);
}

static bool
set_right(const Context *c, WtTest *test, Node *right)
{
	if (contain_var_clause(right))
		return false;
	test->right_type = exprType(right);
	test->right = ExecInitExpr((Expr *) right, c->parent);
	return true;
}

static WtTest *
text_test(const Context *c, Oid function, Oid collation, Node *left, Node *right)
{
	WtMember member;
	WtTest *test;
	Operation operation = TEXT_LIKE;
	bool any_case = false, is_not = false;

	switch (function)
	{
		case F_TEXTNE:
			is_not = true;
			/* fall through */
		case F_TEXTEQ:
			operation = TEXT_EQUALS;
			if (!is_member(c, without_relabels(left), true, &member))
			{
				Node *swapped = left;

				left = right;
				right = swapped;
			}
			break;
		case F_TEXTNLIKE:
			is_not = true;
			break;
		case F_TEXTLIKE:
			break;
		case F_TEXTICNLIKE:
			is_not = true;
			/* fall through */
		case F_TEXTICLIKE:
			any_case = true;
			break;
		default:
			return NULL;
	}
	if (!is_member(c, without_relabels(left), true, &member))
		return NULL;
	test = new_test(operation);
	test->member = wt_keys_of_path(member.keys);
	test->any_case = any_case;
	test->collation = collation;
	if (!set_right(c, test, right))
		return NULL;
	return is_not ? negated(test) : test;
}

static WtTest *
jsonb_test(const Context *c, Oid function, Node *left, Node *right, bool beneath_not)
{
	WtMember member;
	WtTest *test;

	if ((function != F_JSONB_CONTAINS && function != F_JSONB_EXISTS) ||
		!is_member(c, left, false, &member))
		return NULL;
	/*
	 * Of a member that is not there, or of no document at all, it is NULL, which the leaves cannot
	 * tell from false.
	 */
	if (beneath_not || (member.keys != NIL && function == F_JSONB_EXISTS))
		return NULL;
	test = new_test(function == F_JSONB_CONTAINS ? CONTAINS : EXISTS);
	test->member = wt_keys_of_path(member.keys);
	return set_right(c, test, right) ? test : NULL;
}

/* The kinds of integers: how far they reach. */
static bool
range_of_integers(Oid type, int64 *smallest, int64 *largest)
{
	switch (type)
	{
		case INT2OID:
			*smallest = PG_INT16_MIN;
			*largest = PG_INT16_MAX;
			return true;
		case INT4OID:
			*smallest = PG_INT32_MIN;
			*largest = PG_INT32_MAX;
			return true;
		case INT8OID:
			*smallest = PG_INT64_MIN;
			*largest = PG_INT64_MAX;
			return true;
		default:
			return false;
	}
}

/* A member that is cast to a number; false: it is none. */
static bool
is_number(const Context *c, Node *node, WtTest *test)
{
	WtMember member;
	Oid type = exprType(node);

	if (IsA(node, CoerceViaIO))
	{
		if (!is_member(c, without_relabels((Node *) ((CoerceViaIO *) node)->arg), true,
					   &member))
			return false;
	}
	else if (IsA(node, FuncExpr))
	{
		FuncExpr *cast = (FuncExpr *) node;

		switch (cast->funcid)
		{
			case F_INT2_JSONB:
			case F_INT4_JSONB:
			case F_INT8_JSONB:
			case F_NUMERIC_JSONB:
			case F_FLOAT8_JSONB:
				break;
			default:
				return false;
		}
		if (!is_member(c, linitial(cast->args), false, &member) || member.keys == NIL)
			return false;
	}
	else
		return false;
	test->member = wt_keys_of_path(member.keys);
	if (range_of_integers(type, &test->smallest, &test->largest))
		test->number_type = AS_INTEGER;
	else if (type == NUMERICOID)
		test->number_type = AS_NUMERIC;
	else if (type == FLOAT8OID)
		test->number_type = AS_FLOAT;
	else
		return false;
	return true;
}

/* One of the table's columns of integers. */
static bool
is_integer_column(const Context *c, Node *node, WtTest *test)
{
	bool ours;

	if (!IsA(node, Var))
		return false;
	test->column = wt_table_column(c->table, (Var *) node, &ours);
	return ours && test->column > 0 && test->column != c->scan->time_column &&
		   range_of_integers(exprType(node), &test->smallest, &test->largest);
}

/* Which comparison an operator is among those of its type; 0: none. */
static StrategyNumber
strategy_of(Oid operator, Oid type, bool *is_not)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	StrategyNumber strategy;

	*is_not = false;
	if (!OidIsValid(entry->btree_opf))
		return 0;
	strategy = get_op_opfamily_strategy(operator, entry->btree_opf);
	if (strategy == 0)
	{
		Oid negator = get_negator(operator);

		strategy =
			OidIsValid(negator) ? get_op_opfamily_strategy(negator, entry->btree_opf) : 0;
		*is_not = strategy != 0;
	}
	return strategy;
}

static WtTest *
number_test(const Context *c, Oid operator, Node * left, Node *right)
{
	WtTest *test = new_test(NUMBER_COMPARES);
	bool is_not, right_is_integer;
	int64 ignored;

	for (int swapped = 0;; swapped++)
	{
		Node *other = left;

		if (is_number(c, left, test))
			break;
		if (is_integer_column(c, left, test))
		{
			test->operation = COLUMN_COMPARES;
			break;
		}
		if (swapped)
			return NULL;
		left = right;
		right = other;
		operator= get_commutator(operator);
	}
	test->strategy =
		OidIsValid(operator) ? strategy_of(operator, exprType(left), &is_not) : 0;
	if (test->strategy == 0)
		return NULL;
	right_is_integer = range_of_integers(exprType(right), &ignored, &ignored);
	if (test->operation == COLUMN_COMPARES || test->number_type == AS_INTEGER
			? !right_is_integer
			: exprType(right) != exprType(left))
		return NULL;
	if (!set_right(c, test, right))
		return NULL;
	return is_not ? negated(test) : test;
}

static WtTest *
array_test(const Context *c, ScalarArrayOpExpr *op)
{
	Oid function = OidIsValid(op->opfuncid) ? op->opfuncid : get_opcode(op->opno);
	Node *left = linitial(op->args), *right = lsecond(op->args);
	WtMember member;
	WtTest *test;
	bool is_not;

	/* x = ANY (…), and x <> ALL (…), which is its opposite. */
	if (function == (op->useOr ? F_TEXTEQ : F_TEXTNE))
	{
		if (!is_member(c, without_relabels(left), true, &member))
			return NULL;
		test = new_test(TEXT_EQUALS);
		test->member = wt_keys_of_path(member.keys);
		test->collation = op->inputcollid;
	}
	else
	{
		test = new_test(COLUMN_COMPARES);
		if (!is_integer_column(c, left, test))
			return NULL;
		test->strategy = strategy_of(op->opno, exprType(left), &is_not);
		if (test->strategy != BTEqualStrategyNumber || is_not == op->useOr)
			return NULL;
	}
	test->is_array = true;
	if (!set_right(c, test, right))
		return NULL;
	return op->useOr ? test : negated(test);
}

static WtTest *
recognise_each(const Context *c, BoolExpr *expression, bool beneath_not)
{
	WtTest *test;
	ListCell *lc;

	test = new_test(expression->boolop == AND_EXPR	? OF_ALL
					: expression->boolop == OR_EXPR ? OF_ANY
													: OF_NOT);
	foreach (lc, expression->args)
	{
		WtTest *of = recognise(c, lfirst(lc), beneath_not || test->operation == OF_NOT);

		test->tests = lappend(test->tests, of ? of : new_test(NOT_KNOWN));
	}
	/* One that is known may decide, but none does if none is. */
	foreach (lc, test->tests)
		if (((WtTest *) lfirst(lc))->operation != NOT_KNOWN)
			return test;
	return NULL;
}

static WtTest *
recognise_null(const Context *c, NullTest *null)
{
	WtMember member;
	WtTest *test;

	if (null->argisrow || !wt_member(c->table, (Node *) null->arg, &member) ||
		member.steps || member.keys == NIL)
		return NULL;
	test = new_test(member.text ? TEXT_IS_NULL : IS_ABSENT);
	test->member = wt_keys_of_path(member.keys);
	return null->nulltesttype == IS_NULL ? test : negated(test);
}

static WtTest *
recognise(const Context *c, Node *node, bool beneath_not)
{
	check_stack_depth();
	if (IsA(node, BoolExpr))
		return recognise_each(c, (BoolExpr *) node, beneath_not);
	if (IsA(node, NullTest))
		return recognise_null(c, (NullTest *) node);
	if (IsA(node, ScalarArrayOpExpr))
		return array_test(c, (ScalarArrayOpExpr *) node);
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr *op = (OpExpr *) node;
		Oid function = OidIsValid(op->opfuncid) ? op->opfuncid : get_opcode(op->opno);
		Node *left = linitial(op->args), *right = lsecond(op->args);
		WtTest *test = text_test(c, function, op->inputcollid, left, right);

		if (test == NULL)
			test = jsonb_test(c, function, left, right, beneath_not);
		if (test == NULL)
			test = number_test(c, op->opno, left, right);
		return test;
	}
	return NULL;
}

WtTest *
wt_test_of(WtChunkScan *scan, const WtTable *table, Node *clause, PlanState *parent)
{
	Context context = {scan, table, parent};

	return recognise(&context, clause, false);
}

List *
wt_test_parts(WtTest *test)
{
	List *parts = NIL;
	ListCell *lc;

	if (test->operation == CONTAINS && test->contained != NULL)
		return wt_test_parts(test->contained);
	if (test->operation != OF_ALL)
		return list_make1(test);
	foreach (lc, test->tests)
		parts = list_concat(parts, wt_test_parts(lfirst(lc)));
	return parts;
}

/* ---------------------------------------------------------------------- binding */

static WtText
text_of_datum(Datum value)
{
	text *t = DatumGetTextPP(value);

	return (WtText){pnstrdup(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)), VARSIZE_ANY_EXHDR(t)};
}

static void
bind_array(WtTest *test, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	Datum *members;
	bool *nulls;
	int n;
	int16 length;
	bool by_value;
	char align;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &members,
					  &nulls, &n);
	test->texts = palloc(Max(n, 1) * sizeof(WtText));
	test->integers = palloc(Max(n, 1) * sizeof(int64));
	test->n_texts = test->n_integers = 0;
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			test->null_in_array = true;
		else if (test->operation == TEXT_EQUALS)
			test->texts[test->n_texts++] = text_of_datum(members[i]);
		else
			switch (ARR_ELEMTYPE(array))
			{
				case INT2OID:
					test->integers[test->n_integers++] = DatumGetInt16(members[i]);
					break;
				case INT4OID:
					test->integers[test->n_integers++] = DatumGetInt32(members[i]);
					break;
				case INT8OID:
					test->integers[test->n_integers++] = DatumGetInt64(members[i]);
					break;
				default:
					test->all_unknown = true;
			}
	}
}

/* A decimal of numeric_out()'s text; false: it has too many digits, or is none. */
static bool
decimal_of(const char *text, size_t length, WtDecimal *decimal)
{
	size_t i = 0;
	bool negative = length > 0 && text[0] == '-', point = false;
	int digits = 0;

	decimal->value = 0;
	decimal->decimals = 0;
	for (i = negative; i < length; i++)
	{
		if (text[i] == '.' && !point)
		{
			point = true;
			continue;
		}
		if (text[i] < '0' || text[i] > '9' || ++digits > 18)
			return false;
		decimal->value = decimal->value * 10 + (text[i] - '0');
		decimal->decimals += point;
	}
	if (negative)
		decimal->value = -decimal->value;
	return digits > 0;
}

static void
bind_number(WtTest *test, Datum value)
{
	switch (test->right_type)
	{
		case INT2OID:
			test->decimal = (WtDecimal){DatumGetInt16(value), 0};
			break;
		case INT4OID:
			test->decimal = (WtDecimal){DatumGetInt32(value), 0};
			break;
		case INT8OID:
			test->decimal = (WtDecimal){DatumGetInt64(value), 0};
			break;
		case FLOAT8OID:
			test->real = DatumGetFloat8(value);
			test->all_unknown = isnan(test->real);
			break;
		default:
		{
			char *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

			test->all_unknown = !decimal_of(text, strlen(text), &test->decimal);
		}
	}
	test->integers = palloc(sizeof(int64));
	test->integers[0] = test->decimal.value;
	test->n_integers = 1;
}

static WtKeys
keys_with(const WtKeys *keys, const char *key, size_t length)
{
	WtKeys result;

	result.n = keys->n + 1;
	result.keys = palloc(result.n * sizeof(char *));
	result.lengths = palloc(result.n * sizeof(size_t));
	/* Of none there are no arrays, which memcpy() is not to be told of. */
	if (keys->n > 0)
	{
		memcpy(result.keys, keys->keys, keys->n * sizeof(char *));
		memcpy(result.lengths, keys->lengths, keys->n * sizeof(size_t));
	}
	result.keys[keys->n] = pnstrdup(key, length);
	result.lengths[keys->n] = length;
	return result;
}

/* A test of each leaf of an object that must be contained. */
static List *
leaves_of(JsonbContainer *object, const WtKeys *at)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	WtKeys keys = {0};
	List *tests = NIL;

	check_stack_depth();
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		WtTest *leaf;

		if (token == WJB_KEY)
			keys = keys_with(at, value.val.string.val, value.val.string.len);
		if (token != WJB_VALUE)
			continue;
		if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data) &&
			JsonContainerSize(value.val.binary.data) > 0)
		{
			tests = list_concat(tests, leaves_of(value.val.binary.data, &keys));
			continue;
		}
		leaf = new_test(value.type == jbvBinary ? IS_KIND_OF : EQUALS_SCALAR);
		leaf->member = keys;
		leaf->scalar = value;
		if (value.type == jbvNumeric)
		{
			char *text = DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));

			leaf->all_unknown = !decimal_of(text, strlen(text), &leaf->decimal);
		}
		tests = lappend(tests, leaf);
	}
	return tests;
}

static void
bind_jsonb(WtTest *test, Datum value)
{
	Jsonb *wanted = DatumGetJsonbPCopy(value);

	if (!JB_ROOT_IS_OBJECT(wanted) || JB_ROOT_COUNT(wanted) == 0)
	{
		test->all_unknown = true;
		return;
	}
	test->contained = new_test(OF_ALL);
	test->contained->tests = leaves_of(&wanted->root, &test->member);
}

void
wt_test_bind(WtTest *test, ExprContext *context)
{
	Datum value;
	bool is_null;
	ListCell *lc;

	foreach (lc, test->tests)
		wt_test_bind(lfirst(lc), context);
	if (test->right == NULL)
		return;
	test->all_null = test->all_unknown = test->null_in_array = false;
	test->contained = NULL;
	value = ExecEvalExprSwitchContext(test->right, context, &is_null);
	if (is_null)
	{
		test->all_null = true;
		return;
	}
	if (test->is_array)
		bind_array(test, value);
	else
		switch (test->operation)
		{
			case TEXT_EQUALS:
				test->texts = palloc(sizeof(WtText));
				test->texts[0] = text_of_datum(value);
				test->n_texts = 1;
				break;
			case TEXT_LIKE:
			{
				WtText text = text_of_datum(value);

				wt_pattern_make(&test->pattern, text.text, text.length, test->any_case,
								test->collation);
				test->all_unknown = test->pattern.kind == WT_PATTERN_UNKNOWN;
			}
			break;
			case EXISTS:
			{
				WtText text = text_of_datum(value);
				WtKeys none = {0};

				test->member = keys_with(&none, text.text, text.length);
			}
			break;
			case CONTAINS:
				bind_jsonb(test, value);
				break;
			default:
				bind_number(test, value);
				break;
		}
	if (test->operation == TEXT_EQUALS &&
		(!OidIsValid(test->collation) || !get_collation_isdeterministic(test->collation)))
		test->all_unknown = true;
}

/* ---------------------------------------------------------------------- values */

static WtVerdict
holds(StrategyNumber strategy, int order)
{
	bool yes;

	switch (strategy)
	{
		case BTLessStrategyNumber:
			yes = order < 0;
			break;
		case BTLessEqualStrategyNumber:
			yes = order <= 0;
			break;
		case BTEqualStrategyNumber:
			yes = order == 0;
			break;
		case BTGreaterEqualStrategyNumber:
			yes = order >= 0;
			break;
		default:
			yes = order > 0;
			break;
	}
	return yes ? WT_TRUE : WT_FALSE;
}

/* A number of JSON, as what it is cast to, against the other side. */
static WtVerdict
decide_decimal(const WtTest *test, WtDecimal d)
{
	if (d.decimals < 0 || d.decimals > 18)
		return WT_UNKNOWN;
	if (test->operation == EQUALS_SCALAR)
		return wt_decimal_compare(d, test->decimal) == 0 ? WT_TRUE : WT_FALSE;
	switch (test->number_type)
	{
		case AS_INTEGER:
			/* What has decimals is rounded by one cast, and refused by the other. */
			if (d.decimals != 0 || d.value < test->smallest || d.value > test->largest)
				return WT_UNKNOWN;
			return holds(test->strategy, d.value < test->decimal.value
											 ? -1
											 : d.value > test->decimal.value);
		case AS_NUMERIC:
			return holds(test->strategy, wt_decimal_compare(d, test->decimal));
		default:
		{
			/* Both are exact, and so their quotient is what its text is read as. */
			static const int64 exact = INT64CONST(1) << 53;
			double real;

			if (d.value < -exact || d.value > exact || d.decimals > 9)
				return WT_UNKNOWN;
			real = (double) d.value / pow(10, d.decimals);
			return holds(test->strategy, real < test->real ? -1 : real > test->real);
		}
	}
}

static WtVerdict
decide_text(const WtTest *test, WtText text)
{
	for (int i = 0; i < test->n_texts; i++)
		if (test->texts[i].length == text.length &&
			memcmp(test->texts[i].text, text.text, text.length) == 0)
			return WT_TRUE;
	return test->null_in_array ? WT_NULL : WT_FALSE;
}

/* What NULL makes of a comparison: NULL, but where it is with each of an empty array. */
static WtVerdict
decide_null(const WtTest *test)
{
	bool is_empty = test->is_array && !test->null_in_array && test->n_texts == 0 &&
					test->n_integers == 0;

	return is_empty ? WT_FALSE : WT_NULL;
}

/* What a row has that lacks the member. */
static WtVerdict
decide_absent(const WtTest *test)
{
	switch (test->operation)
	{
		case TEXT_EQUALS:
			return decide_null(test);
		case TEXT_IS_NULL:
		case IS_ABSENT:
			return WT_TRUE;
		case EXISTS:
		case EQUALS_SCALAR:
		case IS_KIND_OF:
			return WT_FALSE;
		default:
			return WT_NULL;
	}
}

/* What the kind of a value says already; WT_UNKNOWN: one must look at it. */
static WtVerdict
decide_kind(const WtTest *test, WtKind kind, bool *look)
{
	bool scalar =
		kind == WT_KIND_STRING || kind == WT_KIND_NUMBER || kind == WT_KIND_BOOLEAN;

	*look = false;
	switch (test->operation)
	{
		case TEXT_EQUALS:
		case TEXT_LIKE:
			*look = scalar || kind == WT_KIND_JSON;
			return kind == WT_KIND_NULL ? decide_null(test) : WT_UNKNOWN;
		case TEXT_IS_NULL:
			return kind == WT_KIND_NULL ? WT_TRUE : WT_FALSE;
		case IS_ABSENT:
			return WT_FALSE;
		case EXISTS:
			return WT_TRUE;
		case IS_KIND_OF:
			return scalar || kind == WT_KIND_NULL ? WT_FALSE : WT_UNKNOWN;
		case EQUALS_SCALAR:
			switch (test->scalar.type)
			{
				case jbvNull:
					return kind == WT_KIND_NULL ? WT_TRUE : WT_FALSE;
				case jbvString:
					*look = kind == WT_KIND_STRING;
					break;
				case jbvNumeric:
					*look = kind == WT_KIND_NUMBER;
					break;
				case jbvBool:
					*look = kind == WT_KIND_BOOLEAN;
					break;
				default:
					return WT_UNKNOWN;
			}
			return *look ? WT_UNKNOWN : WT_FALSE;
		case NUMBER_COMPARES:
			*look = kind == WT_KIND_NUMBER;
			return WT_UNKNOWN;
		default:
			return WT_UNKNOWN;
	}
}

static WtVerdict
decide_value(const WtTest *test, WtText text)
{
	WtDecimal d;

	switch (test->operation)
	{
		case TEXT_EQUALS:
			return decide_text(test, text);
		case TEXT_LIKE:
			return wt_pattern_match(&test->pattern, text.text, text.length);
		case EQUALS_SCALAR:
			if (test->scalar.type == jbvString)
				return test->scalar.val.string.len == (int) text.length &&
							   memcmp(test->scalar.val.string.val, text.text,
									  text.length) == 0
						   ? WT_TRUE
						   : WT_FALSE;
			if (test->scalar.type == jbvBool)
				return test->scalar.val.boolean == (text.text[0] == 't') ? WT_TRUE
																		 : WT_FALSE;
			/* fall through */
		default:
			return decimal_of(text.text, text.length, &d) ? decide_decimal(test, d)
														  : WT_UNKNOWN;
	}
}

/* ---------------------------------------------------------------------- the directory */

static bool
is_below(const char *a, size_t n, const char *b, size_t m)
{
	int order = memcmp(a, b, Min(n, m));

	return order < 0 || (order == 0 && n < m);
}

/* Whether a text may be among a column's values, by its range. */
static bool
text_in_range(const WtColumn *c, const char *text, size_t length)
{
	if (!c->has_text_range)
		return true;
	if (is_below(text, length, c->min_text, c->min_length))
		return false;
	if (is_below(c->max_text, c->max_length, text, length))
		return c->max_is_cut && length >= c->max_length &&
			   memcmp(text, c->max_text, c->max_length) == 0;
	return true;
}

/* The integer above or below a number, between which and it the cast of JSON rounds. */
static WtDecimal
rounded(WtDecimal d, bool up)
{
	for (; d.decimals > 0; d.decimals--)
	{
		int64 digit = d.value % 10;

		d.value = d.value / 10 + (up && digit > 0) - (!up && digit < 0);
	}
	return d;
}

/* Whether the directory says that no value of a column can pass. */
static bool
out_of_range(const WtTest *test, const WtColumn *c)
{
	WtDecimal min = c->min, max = c->max;

	switch (test->operation)
	{
		case TEXT_EQUALS:
			for (int i = 0; i < test->n_texts; i++)
				if (text_in_range(c, test->texts[i].text, test->texts[i].length))
					return false;
			return true;
		case EQUALS_SCALAR:
			if (test->scalar.type == jbvString)
				return !text_in_range(c, test->scalar.val.string.val,
									  test->scalar.val.string.len);
			if (test->scalar.type == jbvNumeric && c->has_range)
				return wt_decimal_compare(test->decimal, c->min) < 0 ||
					   wt_decimal_compare(test->decimal, c->max) > 0;
			return false;
		case NUMBER_COMPARES:
			if (!c->has_range || test->number_type == AS_FLOAT)
				return false;
			if (test->number_type == AS_INTEGER)
			{
				min = rounded(min, false);
				max = rounded(max, true);
			}
			switch (test->strategy)
			{
				case BTLessStrategyNumber:
					return wt_decimal_compare(min, test->decimal) >= 0;
				case BTLessEqualStrategyNumber:
					return wt_decimal_compare(min, test->decimal) > 0;
				case BTEqualStrategyNumber:
					return wt_decimal_compare(test->decimal, min) < 0 ||
						   wt_decimal_compare(test->decimal, max) > 0;
				case BTGreaterEqualStrategyNumber:
					return wt_decimal_compare(max, test->decimal) < 0;
				default:
					return wt_decimal_compare(max, test->decimal) <= 0;
			}
		default:
			return false;
	}
}

static void
find_columns(WtTest *test, WtChunkScan *scan)
{
	if (test->serial == scan->serial)
		return;
	test->serial = scan->serial;
	wt_member_columns(scan, &test->member, &test->columns);
}

static int
cost_of_column(const WtTest *test, WtChunkScan *scan, int column)
{
	WtColumn *c = &scan->chunk->columns[column];
	bool look;
	WtVerdict verdict = decide_kind(test, c->kind, &look);

	if (c->n_values == 0)
		return WT_TEST_FALSE;
	if (!look)
		return verdict == WT_FALSE || verdict == WT_NULL ? WT_TEST_FALSE : 1;
	if (out_of_range(test, c))
		return WT_TEST_FALSE;
	switch (c->encoding)
	{
		case WT_ENCODING_CONSTANT:
			return 1;
		case WT_ENCODING_DICTIONARY:
			return 2;
		case WT_ENCODING_INTEGER:
			return 5;
		default:
			return test->operation == TEXT_LIKE ? WT_TEST_OF_TEXTS : 8;
	}
}

/* Columns of integers: a chunk that lacks it has what is missing, which is looked at a row. */
static int
cost_of_integers(const WtTest *test, WtChunkScan *scan)
{
	int column = wt_chunk_scan_extra(scan, test->column);
	const WtColumn *c;

	if (column < 0 || test->all_unknown)
		return 1;
	c = &scan->chunk->columns[column];
	if (c->kind == WT_KIND_EXTRA_INT && c->has_range && !test->null_in_array &&
		!(scan->has_statuses && test->column == scan->status_column))
	{
		bool possible = false;

		for (int i = 0; i < test->n_integers && !possible; i++)
		{
			int64 x = test->integers[i];

			switch (test->strategy)
			{
				case BTLessStrategyNumber:
					possible = c->min.value < x;
					break;
				case BTLessEqualStrategyNumber:
					possible = c->min.value <= x;
					break;
				case BTEqualStrategyNumber:
					possible = c->min.value <= x && x <= c->max.value;
					break;
				case BTGreaterEqualStrategyNumber:
					possible = c->max.value >= x;
					break;
				default:
					possible = c->max.value > x;
					break;
			}
		}
		if (!possible)
			return WT_TEST_FALSE;
	}
	return 3;
}

int
wt_test_cost(WtTest *test, WtChunkScan *scan)
{
	int cost, all = 0;
	bool possible = false;
	WtVerdict absent;
	ListCell *lc;

	if (test->all_null)
		return WT_TEST_FALSE;
	if (test->all_unknown)
		return 0;
	switch (test->operation)
	{
		case NOT_KNOWN:
			return 0;
		case OF_ALL:
		case OF_ANY:
			foreach (lc, test->tests)
			{
				cost = wt_test_cost(lfirst(lc), scan);
				if (cost == WT_TEST_FALSE && test->operation == OF_ALL)
					return WT_TEST_FALSE;
				possible |= cost != WT_TEST_FALSE;
				all += Max(cost, 0);
			}
			return possible || test->operation == OF_ALL ? all : WT_TEST_FALSE;
		case OF_NOT:
			return Max(wt_test_cost(linitial(test->tests), scan), 1);
		case CONTAINS:
			return wt_test_cost(test->contained, scan);
		case COLUMN_COMPARES:
			return cost_of_integers(test, scan);
		default:
			break;
	}
	find_columns(test, scan);
	absent = decide_absent(test);
	possible = absent == WT_TRUE || test->columns.documents != NULL;
	for (int i = 0; i < test->columns.n; i++)
	{
		cost = cost_of_column(test, scan, test->columns.columns[i]);
		possible |= cost != WT_TEST_FALSE;
		all += Max(cost, 0);
	}
	if (test->columns.documents != NULL)
		all += 2;
	return possible ? all : WT_TEST_FALSE;
}

bool
wt_test_finds_one(WtTest *test, WtChunkScan *scan)
{
	ListCell *lc;

	if (test->all_null || test->all_unknown)
		return false;
	switch (test->operation)
	{
		case OF_ALL:
			foreach (lc, test->tests)
				if (wt_test_finds_one(lfirst(lc), scan))
					return true;
			return false;
		case CONTAINS:
			return wt_test_finds_one(test->contained, scan);
		case TEXT_EQUALS:
			if (test->n_texts != 1)
				return false;
			break;
		case EQUALS_SCALAR:
			if (test->scalar.type != jbvString)
				return false;
			break;
		default:
			return false;
	}
	find_columns(test, scan);
	if (test->columns.documents != NULL || test->columns.n == 0)
		return false;
	for (int i = 0; i < test->columns.n; i++)
		switch (scan->chunk->columns[test->columns.columns[i]].encoding)
		{
			case WT_ENCODING_UUID7:
			case WT_ENCODING_UUID:
			case WT_ENCODING_HEX:
				break;
			default:
				return false;
		}
	return true;
}

/* ---------------------------------------------------------------------- columns */

/* Looks for texts among the values of a column that can compare them in their packed form. */
static void
find_values(const WtTest *test, WtChunk *chunk, int column, uint8 *by_value)
{
	const WtColumn *c = &chunk->columns[column];

	memset(by_value, test->null_in_array ? WT_NULL : WT_FALSE, c->n_values);
	for (int i = 0; i < (test->operation == TEXT_EQUALS ? test->n_texts : 1); i++)
	{
		const char *text = test->operation == TEXT_EQUALS ? test->texts[i].text
														  : test->scalar.val.string.val;
		size_t length = test->operation == TEXT_EQUALS
							? test->texts[i].length
							: (size_t) test->scalar.val.string.len;

		if (!text_in_range(c, text, length))
			continue;
		for (int v = wt_column_find(chunk, column, 0, text, length); v >= 0;
			 v = v + 1 < c->n_values ? wt_column_find(chunk, column, v + 1, text, length)
									 : -1)
			by_value[v] = WT_TRUE;
	}
}

/* LIKE: templates first, and of those values whose digits matter, the text. */
static void
match_templates(const WtTest *test, WtChunkScan *scan, int column, uint8 *verdicts)
{
	WtChunk *chunk = scan->chunk;
	WtTexts templates;
	const uint16_t *codes;
	const int32_t *ranks = NULL;
	uint8 *by_code;
	bool values = false;

	wt_chunk_scan_want(scan, column, WT_WANT_CODES);
	templates = wt_column_distinct(chunk, column);
	codes = wt_column_row_codes(chunk, column);
	by_code = palloc(Max(templates.n, 1));
	wt_pattern_match_all(&test->pattern, &templates, true, by_code);
	for (int row = 0; row < chunk->n_rows; row++)
	{
		uint8 verdict;

		if (codes[row] == WT_NO_CODE || !scan->selected[row])
			continue;
		verdict = by_code[codes[row]];
		if (verdict == WT_UNKNOWN && test->pattern.has_digits)
		{
			WtText text;

			if (!values)
			{
				wt_chunk_scan_want(scan, column, WT_WANT_VALUES);
				ranks = wt_column_ranks(chunk, column);
				values = true;
			}
			text = wt_column_text(chunk, column, ranks ? ranks[row] : row);
			verdict = wt_pattern_match(&test->pattern, text.text, text.length);
		}
		verdicts[row] = verdict;
	}
	pfree(by_code);
}

static void
by_code_to_rows(WtChunkScan *scan, int column, const uint8 *by_code, uint8 *verdicts)
{
	const WtColumn *c = &scan->chunk->columns[column];
	int n = scan->chunk->n_rows;
	const uint8_t *narrow = wt_column_narrow_codes(scan->chunk, column);
	const uint16_t *codes;

	if (c->n_values == n && c->encoding == WT_ENCODING_CONSTANT)
	{
		memset(verdicts, by_code[0], n);
		return;
	}
	if (c->n_values == n && narrow != NULL)
	{
		wt_verdicts_of_codes(narrow, n, by_code, c->n_distinct, verdicts);
		return;
	}
	codes = wt_column_row_codes(scan->chunk, column);
	for (int row = 0; row < n; row++)
		if (codes[row] != WT_NO_CODE)
			verdicts[row] = by_code[codes[row]];
}

static void
by_value_to_rows(WtChunkScan *scan, int column, const uint8 *by_value, uint8 *verdicts)
{
	const int32_t *ranks = wt_column_ranks(scan->chunk, column);

	if (ranks == NULL)
		memcpy(verdicts, by_value, scan->chunk->n_rows);
	else
		for (int row = 0; row < scan->chunk->n_rows; row++)
			if (ranks[row] >= 0)
				verdicts[row] = by_value[ranks[row]];
}

static void
decide_integers(const WtTest *test, WtChunkScan *scan, int column, uint8 *by_value)
{
	const uint8_t *decimals;
	const int64_t *integers = wt_column_integers(scan->chunk, column, &decimals);
	int all = wt_column_decimals(scan->chunk, column);
	int n = scan->chunk->columns[column].n_values;

	for (int v = 0; v < n; v++)
		by_value[v] =
			decide_decimal(test, (WtDecimal){integers[v], decimals ? decimals[v] : all});
}

static void
decide_column(const WtTest *test, WtChunkScan *scan, int column, uint8 *verdicts)
{
	WtChunk *chunk = scan->chunk;
	WtColumn *c = &chunk->columns[column];
	bool look;
	WtVerdict verdict = decide_kind(test, c->kind, &look);
	uint8 *each;

	if (!look || out_of_range(test, c))
	{
		const int32_t *ranks;

		if (look)
			verdict = test->null_in_array ? WT_NULL : WT_FALSE;
		wt_chunk_scan_want(scan, column, WT_WANT_ROWS);
		ranks = wt_column_ranks(chunk, column);
		for (int row = 0; row < chunk->n_rows; row++)
			if (ranks == NULL || ranks[row] >= 0)
				verdicts[row] = verdict;
		return;
	}
	if (c->encoding == WT_ENCODING_CONSTANT || c->encoding == WT_ENCODING_DICTIONARY)
	{
		WtTexts texts;

		wt_chunk_scan_want(scan, column, WT_WANT_CODES);
		texts = wt_column_distinct(chunk, column);
		each = palloc(Max(texts.n, 1));
		for (int code = 0; code < texts.n; code++)
			each[code] = decide_value(test, wt_texts_at(&texts, code));
		by_code_to_rows(scan, column, each, verdicts);
		pfree(each);
		return;
	}
	if (test->operation == TEXT_LIKE && c->encoding == WT_ENCODING_TEMPLATE)
	{
		match_templates(test, scan, column, verdicts);
		return;
	}
	wt_chunk_scan_want(scan, column, WT_WANT_VALUES);
	each = palloc(Max(c->n_values, 1));
	if (test->operation == TEXT_EQUALS ||
		(test->operation == EQUALS_SCALAR && test->scalar.type == jbvString))
		find_values(test, chunk, column, each);
	else if (test->operation == TEXT_LIKE)
	{
		WtTexts texts = wt_column_texts(chunk, column);

		wt_pattern_match_all(&test->pattern, &texts, false, each);
	}
	else if (c->encoding == WT_ENCODING_INTEGER)
		decide_integers(test, scan, column, each);
	else
		for (int v = 0; v < c->n_values; v++)
			each[v] = decide_value(test, wt_column_text(chunk, column, v));
	by_value_to_rows(scan, column, each, verdicts);
	pfree(each);
}

static WtVerdict
decide_integer(const WtTest *test, int64 value)
{
	for (int i = 0; i < test->n_integers; i++)
		if (holds(test->strategy,
				  value < test->integers[i] ? -1 : value > test->integers[i]) == WT_TRUE)
			return WT_TRUE;
	return test->null_in_array ? WT_NULL : WT_FALSE;
}

/* A column of the table that is of integers. */
static void
decide_table_column(const WtTest *test, WtChunkScan *scan, uint8 *verdicts)
{
	int column = wt_chunk_scan_extra(scan, test->column), n = scan->chunk->n_rows;
	const int64 *integers;
	const int32_t *ranks;

	if (column < 0 || scan->chunk->columns[column].kind != WT_KIND_EXTRA_INT)
	{
		memset(verdicts, WT_UNKNOWN, n);
		return;
	}
	integers = wt_chunk_scan_integers(scan, column);
	ranks = wt_column_ranks(scan->chunk, column);
	for (int row = 0; row < n; row++)
	{
		int value = ranks ? ranks[row] : row;

		verdicts[row] =
			value < 0 ? decide_null(test) : decide_integer(test, integers[value]);
	}
	if (scan->has_statuses && test->column == scan->status_column)
		for (int row = 0; row < n; row++)
			if (wt_overlay_bit(scan->statuses.changed, row))
				verdicts[row] = wt_overlay_bit(scan->statuses.null, row)
									? decide_null(test)
									: decide_integer(test, scan->statuses.values[row]);
}

static void
decide_member(WtTest *test, WtChunkScan *scan, uint8 *verdicts)
{
	const bool *documents;

	find_columns(test, scan);
	memset(verdicts, decide_absent(test), scan->chunk->n_rows);
	for (int i = 0; i < test->columns.n; i++)
		decide_column(test, scan, test->columns.columns[i], verdicts);
	documents = wt_member_shapes(scan, &test->columns);
	if (documents != NULL)
	{
		const uint16_t *shapes = wt_chunk_row_shapes(scan->chunk);

		for (int row = 0; row < scan->chunk->n_rows; row++)
			if (documents[shapes[row]])
				verdicts[row] = WT_UNKNOWN;
	}
}

static void
decide_all(WtTest *test, WtChunkScan *scan, uint8 *verdicts)
{
	int n = scan->chunk->n_rows;
	uint8 *other = palloc(n);
	ListCell *lc;

	memset(verdicts, test->operation == OF_ALL ? WT_TRUE : WT_FALSE, n);
	foreach (lc, test->tests)
	{
		wt_test_decide(lfirst(lc), scan, other);
		if (test->operation == OF_ALL)
			for (int row = 0; row < n; row++)
				verdicts[row] = wt_verdict_and(verdicts[row], other[row]);
		else
			for (int row = 0; row < n; row++)
				verdicts[row] = wt_verdict_or(verdicts[row], other[row]);
	}
	pfree(other);
}

void
wt_test_decide(WtTest *test, WtChunkScan *scan, uint8 *verdicts)
{
	int n = scan->chunk->n_rows;

	if (test->all_null || test->all_unknown || test->operation == NOT_KNOWN)
	{
		memset(verdicts, test->all_null ? WT_NULL : WT_UNKNOWN, n);
		return;
	}
	switch (test->operation)
	{
		case OF_ALL:
		case OF_ANY:
			decide_all(test, scan, verdicts);
			break;
		case OF_NOT:
			wt_test_decide(linitial(test->tests), scan, verdicts);
			for (int row = 0; row < n; row++)
				verdicts[row] = wt_verdict_not(verdicts[row]);
			break;
		case CONTAINS:
			wt_test_decide(test->contained, scan, verdicts);
			break;
		case COLUMN_COMPARES:
			decide_table_column(test, scan, verdicts);
			break;
		default:
			decide_member(test, scan, verdicts);
			break;
	}
}
