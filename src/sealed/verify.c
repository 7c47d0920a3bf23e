/*
 * verify.c
 *		What was written as chunks is read back, and compared with what it was made of.
 *
 * In the way in which queries read it: not only what the writer thinks of it is compared.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "sealed/chunk_scan.h"
#include "sealed/packer.h"
#include "sealed/projection.h"
#include "sealed/verify.h"

struct WtVerifier
{
	MemoryContext context;
	MemoryContext row; /* reset with each row */
	WtChunkScan *scan;
	WtProjection *projection;
	WtRowHash *hash;
	Datum *values;
	bool *nulls;
	int wrong[WT_PACKER_MAX_ROWS];
};

WtVerifier *
wt_verifier_create(Relation foreign, Oid chunks, Snapshot snapshot)
{
	TupleDesc desc = RelationGetDescr(foreign);
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap verifier", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WtVerifier *verifier = palloc(sizeof(*verifier));
	WtNeeds needs = wt_needs_of_rows(desc);

	verifier->context = context;
	verifier->row =
		AllocSetContextCreate(context, "windtrap verified row", ALLOCSET_DEFAULT_SIZES);
	verifier->scan = wt_chunk_scan_create(foreign, chunks, snapshot);
	verifier->projection = wt_projection_create(verifier->scan, &needs);
	verifier->hash = wt_row_hash_create(desc, desc);
	verifier->values = palloc0(sizeof(Datum) * (size_t) desc->natts);
	verifier->nulls = palloc0(sizeof(bool) * (size_t) desc->natts);
	MemoryContextSwitchTo(old);
	return verifier;
}

int
wt_verifier_check(WtVerifier *verifier, int32 chunk, int n_rows, const uint64 *hashes,
				  const int **wrong)
{
	WtChunkScan *scan = verifier->scan;
	MemoryContext old = MemoryContextSwitchTo(verifier->row);
	int n_wrong = 0;
	int n_read = 0;

	if (!wt_chunk_scan_open(scan, chunk))
		elog(ERROR, "chunk %d is not there", chunk);
	for (int row = wt_chunk_scan_next(scan, -1); row >= 0;
		 row = wt_chunk_scan_next(scan, row))
	{
		n_read++;
		wt_projection_fill(verifier->projection, row, verifier->values, verifier->nulls);
		if (row >= n_rows ||
			wt_row_hash(verifier->hash, verifier->values, verifier->nulls) != hashes[row])
			verifier->wrong[n_wrong++] = row;
		MemoryContextReset(verifier->row);
	}
	if (n_read != n_rows || scan->chunk->n_rows != n_rows)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("chunk %d has %d rows, and was made of %d", chunk, n_read,
							   n_rows)));
	wt_chunk_scan_close_chunk(scan);
	MemoryContextSwitchTo(old);
	*wrong = verifier->wrong;
	return n_wrong;
}

void
wt_verifier_destroy(WtVerifier *verifier)
{
	wt_chunk_scan_destroy(verifier->scan);
	MemoryContextDelete(verifier->context);
}
