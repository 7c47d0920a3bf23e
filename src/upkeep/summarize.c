/*
 * summarize.c
 *		BRIN indexes of the log table, kept up with what comes.
 *
 * A BRIN index knows of a range of pages once it has been summarized; until then whoever looks for
 * anything reads the range.  VACUUM does it, after a fifth of the table is new, which is hours.
 * With autosummarize autovacuum does, once a minute, and where more than 256 ranges come in that
 * time it complains in the server's log.  So the upkeep does it, every few seconds.
 *
 * Only of ranges that are full: each row that came into a summarized one would have its
 * summary changed.
 */
#include "postgres.h"

#include "access/brin.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "store/scope.h"
#include "upkeep/summarize.h"

/* Ranges of an index that are summarized at once, and that are looked at when it is new to us. */
#define MOST_RANGES 512
#define FIRST_RANGES 64

/* How far an index has been summarized. */
typedef struct Summarized
{
	Oid index;
	BlockNumber to;
} Summarized;

static HTAB *known = NULL;

static Summarized *
find(Oid index, BlockNumber full, BlockNumber range)
{
	bool found;
	Summarized *summarized;

	if (!known)
	{
		HASHCTL control = {.keysize = sizeof(Oid),
						   .entrysize = sizeof(Summarized),
						   .hcxt = TopMemoryContext};

		known = hash_create("windtrap summarized", 128, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	summarized = hash_search(known, &index, HASH_ENTER, &found);
	/* A table that is shorter than it was has been emptied. */
	if (!found || summarized->to > full)
		summarized->to = full - Min(full, FIRST_RANGES * range);
	return summarized;
}

/* An index of a partition that has so many pages. */
static void
summarize_index(Oid partition, Oid index, BlockNumber pages)
{
	Oid types[] = {REGCLASSOID, INT8OID, INT8OID, INT8OID};
	Relation rel = index_open(index, AccessShareLock);
	bool is_brin = rel->rd_rel->relam == BRIN_AM_OID && rel->rd_index->indisvalid;
	BlockNumber range = is_brin ? BrinGetPagesPerRange(rel) : 1;
	BlockNumber full = pages / range * range;
	Summarized *summarized;
	Datum values[4];
	BlockNumber to;

	index_close(rel, NoLock);
	if (!is_brin)
		return;
	summarized = find(index, full, range);
	if (summarized->to >= full)
		return;
	/* VACUUM has it too, and summarizes. */
	if (!ConditionalLockRelationOid(partition, ShareUpdateExclusiveLock))
		return;
	to = Min(full, summarized->to + MOST_RANGES * range);
	values[0] = ObjectIdGetDatum(index);
	values[1] = Int64GetDatum(summarized->to);
	values[2] = Int64GetDatum(to - 1);
	values[3] = Int64GetDatum(range);
	wt_scope_run("SELECT sum(brin_summarize_range($1, block)) "
				 "FROM generate_series($2, $3, $4) AS block",
				 4, types, values);
	summarized->to = to;
}

static void
summarize_partition(Oid partition)
{
	Relation rel;
	List *indexes;
	ListCell *cell;
	BlockNumber pages;

	if (get_rel_relkind(partition) != RELKIND_RELATION ||
		!ConditionalLockRelationOid(partition, AccessShareLock))
		return;
	/* It may have been dropped before it was locked. */
	rel = try_table_open(partition, NoLock);
	if (!rel)
		return;
	pages =
		RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind) ? RelationGetNumberOfBlocks(rel) : 0;
	indexes = pages > 0 ? RelationGetIndexList(rel) : NIL;
	table_close(rel, NoLock);
	foreach (cell, indexes)
		summarize_index(partition, lfirst_oid(cell), pages);
}

void
wt_upkeep_summarize(Oid relation)
{
	WtScope scope;
	ListCell *cell;

	if (RecoveryInProgress() || !wt_scope_enter(relation, &scope))
		return;
	foreach (cell, find_all_inheritors(relation, NoLock, NULL))
		summarize_partition(lfirst_oid(cell));
	wt_scope_leave(&scope);
}
