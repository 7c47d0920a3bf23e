/*
 * spans.c
 *		How the log table is partitioned.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/identity.h"
#include "store/distributed.h"
#include "store/log_table.h"
#include "store/scope.h"
#include "upkeep/spans.h"

bool
wt_is_partmans(const RangeVar *name)
{
	Oid types[] = {TEXTOID};
	Datum values[1];
	Oid saved_role;
	int saved_context;
	Oid owner;
	Oid schema_oid;
	bool is_null;
	const char *schema;

	wt_scope_run(
		"SELECT c.relowner, n.oid FROM pg_extension e "
		"JOIN pg_namespace n ON n.oid = e.extnamespace "
		"JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'part_config' "
		"WHERE e.extname = 'pg_partman'",
		0, NULL, NULL);
	if (SPI_processed == 0)
		return false;
	owner = DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	/* Not by its name: that is the schema's owner's to change. */
	schema_oid = DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null));
	wt_hold_schema(schema_oid);
	schema = quote_identifier(get_namespace_name(schema_oid));
	values[0] = CStringGetTextDatum(psprintf("%s.%s", name->schemaname, name->relname));
	wt_become(owner, &saved_role, &saved_context);
	wt_scope_run(psprintf("SELECT FROM %s.part_config WHERE parent_table = $1", schema),
				 1, types, values);
	wt_restore(saved_role, saved_context);
	return SPI_processed > 0;
}

static TimestampTz
bound_value(PartitionBoundInfo bounds, int i)
{
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		case PARTITION_RANGE_DATUM_VALUE:
			break;
	}
	return DatumGetTimestampTz(bounds->datums[i][0]);
}

static void
read_spans(Relation relation, WtSpans *table)
{
	PartitionDesc desc = RelationGetPartitionDesc(relation, true);
	PartitionBoundInfo bounds = desc->boundinfo;

	table->spans = palloc(Max(desc->nparts, 1) * sizeof(WtSpan));
	table->n_spans = 0;
	table->default_partition = InvalidOid;
	table->default_blocks = 0;
	if (desc->nparts == 0)
		return;

	/* Index i is the partition that ends at bound i; where there is none, a gap does. */
	for (int i = 1; i < bounds->ndatums; i++)
	{
		WtSpan *span = &table->spans[table->n_spans];

		if (bounds->indexes[i] < 0)
			continue;
		span->from = bound_value(bounds, i - 1);
		span->to = bound_value(bounds, i);
		span->partition = desc->oids[bounds->indexes[i]];
		table->n_spans++;
	}
	if (partition_bound_has_default(bounds))
	{
		Oid partition = desc->oids[bounds->default_index];

		if (get_rel_relkind(partition) == RELKIND_RELATION)
			table->default_partition = partition;
	}
}

bool
wt_spans_read(Oid oid, WtSpans *table, const char **reason)
{
	Relation relation = try_relation_open(oid, AccessShareLock);
	PartitionKey key;
	bool fits = false;

	memset(table, 0, sizeof(*table));
	if (!relation)
	{
		*reason = "it has just been dropped";
		return false;
	}
	if (relation->rd_rel->relowner != GetUserId())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("the owner of \"%s\" has just changed",
							   RelationGetRelationName(relation))));
	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		relation_close(relation, NoLock);
		*reason = "it is not partitioned";
		return false;
	}
	key = RelationGetPartitionKey(relation);
	if (key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
		key->partattrs[0] != InvalidAttrNumber)
	{
		Form_pg_attribute attribute =
			TupleDescAttr(RelationGetDescr(relation), key->partattrs[0] - 1);

		fits = attribute->atttypid == TIMESTAMPTZOID &&
			   strcmp(NameStr(attribute->attname), "event_timestamp") == 0;
	}
	if (fits)
	{
		table->relation = oid;
		table->name = makeRangeVar(get_namespace_name(RelationGetNamespace(relation)),
								   pstrdup(RelationGetRelationName(relation)), -1);
		table->tablespace = relation->rd_rel->reltablespace;
		table->access_method = relation->rd_rel->relam;
		table->replica_identity = relation->rd_rel->relreplident;
		read_spans(relation, table);
	}
	else
		*reason = "it is not partitioned by ranges of event_timestamp alone";
	relation_close(relation, NoLock);

	table->distributed = fits && wt_is_distributed(oid);
	if (fits && OidIsValid(table->default_partition))
	{
		relation = table_open(table->default_partition, AccessShareLock);
		table->default_blocks = RelationGetNumberOfBlocks(relation);
		table_close(relation, NoLock);
	}
	return fits;
}
