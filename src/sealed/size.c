/*
 * size.c
 *		What partitions take on disk, sealed or not.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "utils/palloc.h"

#include "base/sql.h"
#include "sealed/size.h"

int64
wt_partition_size(Oid relation)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(relation)};
	MemoryContext context = CurrentMemoryContext;

	(void) wt_sql_run(
		"WITH leaves AS (SELECT relid FROM pg_partition_tree($1::regclass) WHERE isleaf) "
		"SELECT sum(pg_total_relation_size(r))::bigint FROM ("
		"SELECT relid::oid AS r FROM leaves "
		/* The tables that a sealed partition's rows are in: see links.h. */
		"UNION ALL SELECT d.objid FROM leaves JOIN pg_class f ON f.oid = relid "
		"AND f.relkind = 'f' JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass "
		"AND d.refobjid = f.oid AND d.classid = 'pg_class'::regclass "
		"AND d.deptype = 'i' JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'r'"
		") AS all_of_it",
		1, types, values, NULL);
	/* SPI has left it. */
	MemoryContextSwitchTo(context);
	return wt_sql_int64(0, 1);
}
