/*
 * spans.h
 *		How the log table is partitioned.
 */
#ifndef WT_SPANS_H
#define WT_SPANS_H

#include "datatype/timestamp.h"
#include "nodes/primnodes.h"
#include "storage/block.h"

/* The time that a partition covers. */
typedef struct WtSpan
{
	TimestampTz from; /* DT_NOBEGIN, DT_NOEND: no bound */
	TimestampTz to;
	Oid partition;
} WtSpan;

typedef struct WtSpans
{
	RangeVar *name;
	Oid relation;
	Oid tablespace;
	Oid access_method;
	char replica_identity; /* as pg_class.relreplident */
	Oid default_partition; /* InvalidOid: there is none, or it is no ordinary table */
	BlockNumber default_blocks;
	bool distributed; /* by Citus: it and its partitions have no blocks here */
	int n_spans;
	WtSpan *spans; /* in the order of time */
} WtSpans;

/*
 * Reads how the table is partitioned now, as its owner, that is, within a scope.  Where it
 * is none of the upkeep's gives false and the reason why.
 */
extern bool wt_spans_read(Oid oid, WtSpans *table, const char **reason);

/*
 * Whether pg_partman has the table in its configuration.  That is looked up as its
 * owner, because the log table's need not have the right to.
 */
extern bool wt_is_partmans(const RangeVar *name);

#endif
