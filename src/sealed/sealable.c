/*
 * sealable.c
 *		Whether a partition can be sealed, before anything is done.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/partition.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "base/sql.h"
#include "sealed/packer.h"
#include "sealed/sealable.h"
#include "store/distributed.h"

PG_FUNCTION_INFO_V1(windtrap_unsealable);

/*
 * Of a partition $1 of a table $2: what would be lost, or PostgreSQL refuses.  What is copied from
 * the table, as its triggers, is not the partition's own.
 */
static const char what_is_in_the_way[] =
	"WITH p AS (SELECT $1 AS oid), t AS (SELECT $2 AS oid), "
	"pair AS (SELECT oid FROM p UNION SELECT oid FROM t) "
	/* A foreign table cannot have these. */
	"SELECT format('its table has the unique index %s', indexrelid::regclass) "
	"FROM pg_index WHERE indrelid = (SELECT oid FROM t) "
	"AND (indisunique OR indisexclusion) "
	"UNION ALL SELECT format('it has the unique index %s', indexrelid::regclass) "
	"FROM pg_index WHERE indrelid = (SELECT oid FROM p) "
	"AND (indisunique OR indisexclusion) "
	"UNION ALL SELECT format('%s has the foreign key %I', conrelid::regclass, conname) "
	"FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM pair) "
	"UNION ALL SELECT format('the foreign key %I of %s refers to it', conname, "
	"conrelid::regclass) FROM pg_constraint WHERE contype = 'f' "
	"AND confrelid IN (SELECT oid FROM pair) "
	"UNION ALL SELECT format('its table has the constraint trigger %I', tgname) "
	"FROM pg_trigger WHERE tgrelid = (SELECT oid FROM t) AND NOT tgisinternal "
	"AND tgconstraint <> 0 "
	"UNION ALL SELECT format('its table has the trigger %I with a transition table', "
	"tgname) FROM pg_trigger WHERE tgrelid = (SELECT oid FROM t) AND NOT tgisinternal "
	"AND (tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL) "
	"UNION ALL SELECT format('its table is published by %s', p.pubname) "
	"FROM pg_publication p WHERE p.puballtables OR EXISTS ("
	"SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid "
	"AND r.prrelid IN (SELECT oid FROM pair)) OR EXISTS ("
	"SELECT FROM pg_publication_namespace s JOIN pg_class c "
	"ON c.relnamespace = s.pnnspid WHERE s.pnpubid = p.oid "
	"AND c.oid IN (SELECT oid FROM pair)) "
	/* These would not be carried over. */
	"UNION ALL SELECT format('it has the trigger %I of its own', tgname) "
	"FROM pg_trigger WHERE tgrelid = (SELECT oid FROM p) AND NOT tgisinternal "
	"AND tgparentid = 0 "
	"UNION ALL SELECT 'it has row security of its own' FROM pg_class "
	"WHERE oid = (SELECT oid FROM p) AND (relrowsecurity OR EXISTS ("
	"SELECT FROM pg_policy WHERE polrelid = pg_class.oid)) "
	"UNION ALL SELECT format('it has the rule %I', rulename) FROM pg_rewrite "
	"WHERE ev_class = (SELECT oid FROM p) "
	"UNION ALL SELECT format('it has the statistics %I of its own', stxname) "
	"FROM pg_statistic_ext WHERE stxrelid = (SELECT oid FROM p) "
	"UNION ALL SELECT 'it has a security label' FROM pg_seclabel "
	"WHERE classoid = 'pg_class'::regclass AND objoid = (SELECT oid FROM p) "
	"UNION ALL SELECT 'it is a part of an extension' FROM pg_depend "
	"WHERE classid = 'pg_class'::regclass AND objid = (SELECT oid FROM p) "
	"AND deptype = 'e' "
	"UNION ALL SELECT 'other tables inherit from it' FROM pg_inherits "
	"WHERE inhparent = (SELECT oid FROM p) "
	/* Views, functions: whatever would have to be dropped with it. */
	"UNION ALL SELECT format('%s depends on it', "
	"pg_describe_object(d.classid, d.objid, d.objsubid)) FROM pg_depend d "
	"WHERE d.deptype = 'n' AND (d.refclassid = 'pg_class'::regclass "
	"AND d.refobjid = (SELECT oid FROM p) OR d.refclassid = 'pg_type'::regclass "
	"AND d.refobjid IN (SELECT y.oid FROM pg_type y JOIN pg_class c "
	"ON y.oid = c.reltype OR y.oid = (SELECT typarray FROM pg_type "
	"WHERE oid = c.reltype) WHERE c.oid = (SELECT oid FROM p))) "
	"AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM "
	"pg_constraint WHERE oid = d.objid AND conrelid = (SELECT oid FROM p))) "
	"AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef "
	"WHERE oid = d.objid AND adrelid = (SELECT oid FROM p))) "
	"AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_index "
	"WHERE indexrelid = d.objid AND indrelid = (SELECT oid FROM p))) "
	"AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger "
	"WHERE oid = d.objid AND tgrelid = (SELECT oid FROM p))) "
	"LIMIT 1";

/* The table that a partition is one of; InvalidOid: it is none of a range of event_timestamp. */
static Oid
parent_of(Oid partition)
{
	Oid parent;
	Relation relation;
	PartitionKey key;
	bool fits;

	if (!get_rel_relispartition(partition))
		return InvalidOid;
	parent = get_partition_parent(partition, true);
	relation = OidIsValid(parent) ? try_relation_open(parent, AccessShareLock) : NULL;
	if (!relation)
		return InvalidOid;
	key = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE
			  ? RelationGetPartitionKey(relation)
			  : NULL;
	fits = key && key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
		   key->partattrs[0] != InvalidAttrNumber &&
		   key->parttypid[0] == TIMESTAMPTZOID &&
		   strcmp(get_attname(parent, key->partattrs[0], false), "event_timestamp") == 0;
	relation_close(relation, AccessShareLock);
	return fits ? parent : InvalidOid;
}

/* What can be told of the relation by itself. */
static const char *
look_at(Relation relation, Relation parent)
{
	if (relation->rd_rel->relkind != RELKIND_RELATION)
		return "it is no ordinary table";
	if (relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return "it is unlogged";
	if (relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		return "its access method is not heap";
	if (relation->rd_rel->relowner != parent->rd_rel->relowner)
		return "it belongs to somebody else than its table";
	if (OidIsValid(relation->rd_rel->reloftype))
		return "it is a typed table";
	if (get_default_partition_oid(RelationGetRelid(parent)) == RelationGetRelid(relation))
		return "it is the default partition";
	return wt_packer_refuses(relation);
}

const char *
wt_sealable_reason(Oid partition)
{
	MemoryContext context = CurrentMemoryContext;
	Oid parent = parent_of(partition);
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(partition), ObjectIdGetDatum(parent)};
	Relation relation;
	Relation table;
	const char *reason;
	bool found;

	if (!OidIsValid(parent))
		return "it is no partition by a range of event_timestamp";
	if (wt_is_distributed(partition))
		return "it is distributed by Citus: its rows are in shards on other nodes";
	relation = try_relation_open(partition, AccessShareLock);
	table = try_relation_open(parent, AccessShareLock);
	reason = relation && table ? look_at(relation, table) : "it has just been dropped";
	if (table)
		relation_close(table, AccessShareLock);
	if (relation)
		relation_close(relation, AccessShareLock);
	if (reason)
		return reason;
	found = wt_sql_run(what_is_in_the_way, 2, types, values, NULL) > 0;
	/* SPI has left it. */
	MemoryContextSwitchTo(context);
	return found ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
}

/* windtrap.unsealable(partition regclass) RETURNS text */
Datum
windtrap_unsealable(PG_FUNCTION_ARGS)
{
	const char *reason;
	Datum result;

	SPI_connect();
	reason = wt_sealable_reason(PG_GETARG_OID(0));
	result =
		reason ? SPI_datumTransfer(CStringGetTextDatum(reason), false, -1) : (Datum) 0;
	SPI_finish();
	if (!reason)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
