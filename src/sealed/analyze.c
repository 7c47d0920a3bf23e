/*
 * analyze.c
 *		ANALYZE of a sealed partition: a sample of its rows, of all chunks alike.
 *
 * How many rows there are is known of the directories; which of them are taken is drawn at once,
 * so that each chunk is opened twice at most and only its own rows are made.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "sealed/late.h"
#include "sealed/links.h"
#include "sealed/scan.h"

/*
 * Draws n of so many things: goes over them in order, and says for each whether it is among
 * those that are drawn (Knuth's algorithm S).
 */
typedef struct Draw
{
	double left; /* things to come */
	double wanted;
	pg_prng_state random;
} Draw;

static bool
drawn(Draw *draw)
{
	bool taken = draw->wanted > 0 &&
				 sampler_random_fract(&draw->random) * draw->left < draw->wanted;

	draw->left--;
	draw->wanted -= taken;
	return taken;
}

/* Rows of all chunks that are there, and of each how many. */
static int64
count_rows(WtChunkScan *chunks, int32 *of_each)
{
	int64 all = 0;

	for (int i = 0; i < chunks->n_numbers; i++)
	{
		of_each[i] = wt_chunk_scan_open(chunks, chunks->numbers[i])
						 ? wt_chunk_scan_count(chunks)
						 : 0;
		all += of_each[i];
	}
	return all;
}

static int64
count_late(Relation relation, Oid late, Snapshot snapshot, TupleTableSlot *slot)
{
	WtLateScan *scan =
		wt_late_scan_begin(relation, late, snapshot, NULL, 0, PG_INT64_MIN, PG_INT64_MAX);
	int64 n = 0;

	while (wt_late_scan_next(scan, slot))
		n++;
	wt_late_scan_end(scan);
	return n;
}

static int
sample(Relation relation, int level, HeapTuple *rows, int target, double *n_rows,
	   double *n_dead)
{
	Snapshot snapshot = GetActiveSnapshot();
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	WtNeeds all = {.whole = true, .system = true};
	WtLinks links;
	WtChunkScan *chunks;
	WtProjection *projection;
	WtLateScan *late;
	Draw draw;
	int32 *of_each;
	int n = 0, n_chunks;

	wt_links_read(RelationGetRelid(relation), &links);
	chunks = wt_chunk_scan_create(relation, links.chunks, snapshot);
	projection = wt_projection_create(chunks, &all);
	n_chunks = chunks->n_numbers;
	of_each = palloc((chunks->n_numbers + 1) * sizeof(int32));
	*n_rows =
		count_rows(chunks, of_each) + count_late(relation, links.late, snapshot, slot);
	*n_dead = 0;
	draw.left = *n_rows;
	draw.wanted = Min(target, *n_rows);
	sampler_random_init_state(MyProcPid ^ (uint32) GetCurrentTimestamp(), &draw.random);
	for (int i = 0; i < chunks->n_numbers; i++)
	{
		int *taken = palloc((of_each[i] + 1) * sizeof(int)), n_taken = 0, row = -1;

		for (int k = 0; k < of_each[i]; k++)
			if (drawn(&draw))
				taken[n_taken++] = k;
		if (n_taken > 0 && wt_chunk_scan_open(chunks, chunks->numbers[i]))
			for (int k = 0, at = -1; k < n_taken; k++)
			{
				while (at < taken[k] && (row = wt_chunk_scan_next(chunks, row)) >= 0)
					at++;
				if (row < 0)
					break;
				ExecClearTuple(slot);
				wt_projection_fill(projection, row, slot->tts_values, slot->tts_isnull);
				ExecStoreVirtualTuple(slot);
				rows[n++] = ExecCopySlotHeapTuple(slot);
				CHECK_FOR_INTERRUPTS();
			}
		pfree(taken);
	}
	late = wt_late_scan_begin(relation, links.late, snapshot, NULL, 0, PG_INT64_MIN,
							  PG_INT64_MAX);
	while (n < target && wt_late_scan_next(late, slot))
		if (drawn(&draw))
			rows[n++] = ExecCopySlotHeapTuple(slot);
	ExecClearTuple(slot);
	wt_late_scan_end(late);
	wt_chunk_scan_destroy(chunks);
	ExecDropSingleTupleTableSlot(slot);
	ereport(level, (errmsg("\"%s\": %.0f rows in %d chunks; %d rows in sample",
						   RelationGetRelationName(relation), *n_rows, n_chunks, n)));
	return n;
}

bool
wt_sealed_analyze(Relation relation, AcquireSampleRowsFunc *function, BlockNumber *pages)
{
	WtLinks links;
	Relation chunks;

	wt_links_read(RelationGetRelid(relation), &links);
	chunks = table_open(links.chunks, AccessShareLock);
	*pages = Max(1, RelationGetNumberOfBlocks(chunks));
	table_close(chunks, AccessShareLock);
	*function = sample;
	return true;
}
