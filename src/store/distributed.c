/*
 * distributed.c
 *		What is known of Citus: whether it is there, and which relations it has distributed.
 *
 * It is asked by the names of its catalogs, which anybody may read, and which nobody but a
 * superuser can make in pg_catalog.
 */
#include "postgres.h"

#include "catalog/pg_namespace_d.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/sql.h"
#include "store/distributed.h"

static bool
has_catalog(const char *name)
{
	return OidIsValid(get_relname_relid(name, PG_CATALOG_NAMESPACE));
}

/* Runs a query about a relation, and stays in the memory context; gives the number of rows. */
static uint64
ask(const char *query, Oid relation)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(relation)};
	MemoryContext context = CurrentMemoryContext;
	uint64 n = wt_sql_run(query, 1, types, values, NULL);

	MemoryContextSwitchTo(context);
	return n;
}

bool
wt_has_citus(void)
{
	return has_catalog("pg_dist_partition");
}

bool
wt_is_distributed(Oid relation)
{
	return wt_has_citus() &&
		   ask("SELECT FROM pg_dist_partition WHERE logicalrelid = $1::regclass",
			   relation) > 0;
}

bool
wt_has_replicas(Oid relation)
{
	return ask("SELECT FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) "
			   "WHERE logicalrelid = $1::regclass "
			   "GROUP BY shardid HAVING count(*) > 1 LIMIT 1",
			   relation) > 0;
}

int32
wt_node_group(void)
{
	/* Of the coordinator it is 0, and of a server that is no node yet. */
	if (!has_catalog("pg_dist_local_group") ||
		ask("SELECT groupid::bigint FROM pg_dist_local_group WHERE $1 = 0", InvalidOid) ==
			0)
		return 0;
	return (int32) wt_sql_int64(0, 1);
}

bool
wt_is_worker_node(void)
{
	return wt_node_group() > 0;
}

char *
wt_distributed_by(Oid relation)
{
	if (!wt_has_citus() ||
		ask("SELECT quote_literal(column_to_column_name(logicalrelid, partkey)) "
			"FROM pg_dist_partition WHERE logicalrelid = $1::regclass "
			"AND partkey IS NOT NULL",
			relation) == 0)
		return NULL;
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

int64
wt_distributed_size(Oid relation)
{
	/* Of a partitioned one Citus says 0. */
	(void) ask("SELECT sum(citus_total_relation_size(relid))::bigint "
			   "FROM pg_partition_tree($1::regclass) WHERE isleaf",
			   relation);
	return wt_sql_int64(0, 1);
}
