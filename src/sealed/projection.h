/*
 * projection.h
 *		Rows of a chunk as values of the table's columns: just those that are needed, with
 *		documents that have just the members that are needed.
 *
 * Where all of a document's members that are needed come from few distinct values, a document is
 * made once for each combination of them, not once a row: combinations are numbered.
 */
#ifndef WT_PROJECTION_H
#define WT_PROJECTION_H

#include "sealed/chunk_scan.h"
#include "sealed/needs.h"

typedef struct WtProjection WtProjection;

/* In the current memory context, which must be reset no sooner than the scan's. */
extern WtProjection *wt_projection_create(WtChunkScan *scan, const WtNeeds *needs);

/*
 * A row of the chunk that is open, as values and nulls of all the table's columns (by attribute
 * number - 1; what is not needed is null).  What it points to is valid until the next row or
 * chunk.
 */
extern void wt_projection_fill(WtProjection *projection, int row, Datum *values,
							   bool *nulls);

/* The same without the document, and without generated columns. */
extern void wt_projection_fill_columns(WtProjection *projection, int row, Datum *values,
									   bool *nulls);

/*
 * For each row of the chunk that is open the number of the combination of values that it has
 * in all the columns that are needed, from 0 to *n - 1; two rows of one number have equal
 * values.  Two numbers may stand for equal values as well.  NULL: there are too many, or values that are not
 * numbered.  A row that was changed since, or its document kept whole, has -1.
 */
extern const int32 *wt_projection_combinations(WtProjection *projection, int *n);

/* The different rows of a chunk, all of whose rows are meant. */
typedef struct WtDifferentRows
{
	int n;
	const int32 *rows;	   /* one of each */
	const uint32 *n_alike; /* how many there are of each, if that was asked for */
} WtDifferentRows;

/*
 * Finds those of the chunk that is open, where that takes no look at all of its rows: where what is
 * needed has one value in all of them, but for one column that has codes.  False: it does not.  Who
 * does not count may be given numbers that are no rows' own: wt_projection_fill() makes of them,
 * until the next chunk, rows that there are, and nobody else knows them.
 */
extern bool wt_projection_different(WtProjection *projection, bool count,
									WtDifferentRows *different);

/*
 * How many values a column has at most, by what the directory says: those of a dictionary,
 * integers in between two of its range, if that is no more than most; else n_values.
 */
extern int wt_column_spread(const WtColumn *column, int most);

#endif
