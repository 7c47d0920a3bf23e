/*
 * test.h
 *		Conditions that whole columns of a chunk can decide, or decide for most of its rows.
 *
 * Known are, of members of data: equality with texts (=, <>, IN), LIKE and ILIKE, IS NULL, @>, ?, comparisons of what
 * is cast to a number; of columns of integers: comparisons; and AND, OR and NOT of
 * them.  The other side may be any expression that does not change from row to row.
 */
#ifndef WT_TEST_H
#define WT_TEST_H

#include "nodes/execnodes.h"

#include "sealed/chunk_scan.h"
#include "sealed/needs.h"
#include "sealed/verdict.h"

typedef struct WtTest WtTest;

/* A condition as a test; NULL: it is none.  In the current memory context. */
extern WtTest *wt_test_of(WtChunkScan *scan, const WtTable *table, Node *clause,
						  PlanState *parent);

/* Evaluates the other sides, in the current memory context.  May raise as they do. */
extern void wt_test_bind(WtTest *test, ExprContext *context);

/* The tests that must all be true, of a test; itself, where it is of one piece. */
extern List *wt_test_parts(WtTest *test);

/* What it takes to decide a test in the chunk that is open. */
#define WT_TEST_FALSE (-1) /* nothing: what the directory says excludes all rows */
#define WT_TEST_OF_CODES 4 /* so much at most, where it is a few looks at dictionaries */
#define WT_TEST_OF_TEXTS                                                                 \
	20 /* or more: where it is a pattern that texts are searched for */
extern int wt_test_cost(WtTest *test, WtChunkScan *scan);

/*
 * Whether it takes a value to be one text, of a column in which hardly two are the same: so that
 * about one row passes, if any.
 */
extern bool wt_test_finds_one(WtTest *test, WtChunkScan *scan);

/*
 * Decides it for the rows that are selected of the chunk that is open; of others it may say
 * anything.  A byte a row, each a WtVerdict.
 */
extern void wt_test_decide(WtTest *test, WtChunkScan *scan, uint8 *verdicts);

#endif
