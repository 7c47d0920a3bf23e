/*
 * combinations.c
 *		Estimates how many combinations of values a partition's rows have.
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "sealed/chunk_scan.h"
#include "sealed/combinations.h"
#include "sealed/links.h"
#include "sealed/members.h"
#include "sealed/projection.h"

/* Integers of a column that lie so close to each other can be numbered as well. */
#define MAX_SPREAD 1024

/* A part of a chunk's rows that is as good as none: one in so many. */
#define FEW_ROWS 16

/*
 * Combinations of the values that are asked for, of a chunk that is open.  Of columns of one path
 * a row has one; those that few rows have are not combined with all others.
 */
static double
combinations(WtChunkScan *scan, AttrNumber data, const WtNeeds *needs, int *n_differ)
{
	const WtChunk *chunk = scan->chunk;
	bool *needed = palloc0(chunk->n_columns * sizeof(bool));
	double *of_path = palloc0(chunk->n_paths * sizeof(double));
	double product = 1, rare = 0;
	int n_paths;
	WtKeys *paths = wt_keys_of_paths(needs->paths, &n_paths);

	*n_differ = chunk->n_columns;
	if (needs->whole || needs->system)
		return chunk->n_rows;
	*n_differ = 0;
	wt_members_needed(chunk, paths, n_paths, needed);
	for (int i = chunk->n_extras + 1; i < chunk->n_columns; i++)
	{
		const WtColumn *c = &chunk->columns[i];

		if (!needed[i])
			continue;
		*n_differ += c->n_values < chunk->n_rows || wt_column_spread(c, MAX_SPREAD) > 1;
		if (c->n_values < chunk->n_rows / FEW_ROWS)
			rare += wt_column_spread(c, MAX_SPREAD);
		else
			of_path[c->path] += wt_column_spread(c, MAX_SPREAD);
	}
	for (int i = 0; i < chunk->n_paths; i++)
		product *= Max(of_path[i], 1);
	for (int i = -1; (i = bms_next_member(needs->columns, i)) >= 0;)
	{
		int column = i == data ? -1 : wt_chunk_scan_extra(scan, i);

		if (column < 0)
			continue;
		product *= wt_column_spread(&chunk->columns[column], MAX_SPREAD);
		*n_differ += wt_column_spread(&chunk->columns[column], MAX_SPREAD) > 1;
	}
	return Min(product + rare, chunk->n_rows);
}

bool
wt_combinations_estimate(Oid relation, AttrNumber data, const WtNeeds *needs,
						 WtCombinations *found)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "sealed estimate",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	Relation partition = table_open(relation, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot()
															 : GetTransactionSnapshot());
	WtLinks links;
	WtChunkScan *scan;
	bool there;

	wt_links_read(relation, &links);
	scan = wt_chunk_scan_create(partition, links.chunks, snapshot);
	there = scan->n_numbers > 0 &&
			wt_chunk_scan_open(scan, scan->numbers[scan->n_numbers / 2]);
	if (there)
	{
		found->n = combinations(scan, data, needs, &found->n_differ);
		found->n_rows = scan->chunk->n_rows;
		found->duration =
			(double) scan->chunk->last_time - (double) scan->chunk->first_time;
	}
	wt_chunk_scan_destroy(scan);
	UnregisterSnapshot(snapshot);
	table_close(partition, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(own);
	return there;
}
