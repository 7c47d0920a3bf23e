/*
 * missing.c
 *		What a column is in rows that were sealed before there was it.
 */
#include "postgres.h"

#include "access/table.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "sealed/chunk_scan.h"
#include "sealed/missing.h"
#include "store/scope.h"

static bool
is_recorded(Oid partition, AttrNumber column)
{
	ListCell *cell;

	foreach (cell, GetForeignColumnOptions(partition, column))
		if (strcmp(((DefElem *) lfirst(cell))->defname, "missing") == 0)
			return true;
	return false;
}

/* The statement that notes a column's value; NULL: there is nothing to note. */
static char *
statement_for(const WtChunkScan *scan, AttrNumber column)
{
	Form_pg_attribute attribute = TupleDescAttr(scan->columns, column - 1);
	Oid partition = RelationGetRelid(scan->foreign);
	Oid output;
	bool varlena;
	bool is_null;
	Datum value;

	if (attribute->attisdropped || column == scan->time_column ||
		column == scan->data_column || wt_chunk_scan_extra(scan, column) >= 0 ||
		is_recorded(partition, column))
		return NULL;
	value = wt_missing_value(scan->foreign, column, &is_null);
	if (is_null)
		return NULL;
	getTypeOutputInfo(attribute->atttypid, &output, &varlena);
	return psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s OPTIONS (ADD missing %s)",
					wt_scope_name(partition),
					quote_identifier(NameStr(attribute->attname)),
					quote_literal_cstr(OidOutputFunctionCall(output, value)));
}

void
wt_missing_record(const WtLinks *links)
{
	Relation foreign = table_open(links->partition, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	WtChunkScan *scan = wt_chunk_scan_create(foreign, links->chunks, snapshot);
	List *statements = NIL;
	ListCell *cell;

	/* The first one is as old as any. */
	if (scan->n_numbers > 0 && wt_chunk_scan_open(scan, scan->numbers[0]))
		for (AttrNumber i = 1; i <= scan->columns->natts; i++)
		{
			char *statement = statement_for(scan, i);

			if (statement)
				statements = lappend(statements, statement);
		}
	wt_chunk_scan_destroy(scan);
	UnregisterSnapshot(snapshot);
	table_close(foreign, NoLock);
	foreach (cell, statements)
		wt_scope_run(lfirst(cell), 0, NULL, NULL);
}
