/*
 * analyze.c
 *		ANALYZE: how large a collection is, and a sample of it.
 *
 * MongoDB draws the sample ($sample), so that only that is transferred.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/vacuum.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "analyze.h"
#include "bson_writer.h"
#include "column.h"
#include "compat.h"
#include "connection.h"
#include "option.h"
#include "scan.h"

static WmConnection *
connect_for(Relation relation, WmTableOptions *table)
{
	wm_table_options(RelationGetRelid(relation), table);
	return wm_connect(GetForeignTable(RelationGetRelid(relation))->serverid,
					  relation->rd_rel->relowner, false);
}

static const char *
doing(const WmTableOptions *table)
{
	return psprintf("could not analyze MongoDB collection \"%s.%s\"", table->database,
					table->collection);
}

static int
sample_rows(Relation relation, int level, HeapTuple *rows, int n_wanted, double *total,
			double *dead)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap_mongo sample", ALLOCSET_DEFAULT_SIZES);
	MemoryContext row_context = AllocSetContextCreate(
		context, "windtrap_mongo sample row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TupleDesc tupdesc = RelationGetDescr(relation);
	WmColumns *columns = wm_columns(tupdesc);
	bool *wanted = palloc(sizeof(bool) * Max(columns->n, 1));
	Datum *values = palloc(sizeof(Datum) * Max(columns->n, 1));
	bool *nulls = palloc(sizeof(bool) * Max(columns->n, 1));
	WmTableOptions table;
	WmConnection *connection = connect_for(relation, &table);
	mongoc_collection_t *collection =
		wm_collection(connection, table.database, table.collection);
	bson_error_t error = {0};
	StringInfoData bson;
	bson_t pipeline;
	WmCursor *cursor;
	const bson_t *document;
	int stage;
	int sample;
	int n = 0;
	int64 count;

	count = mongoc_collection_estimated_document_count(collection, NULL, NULL, wm_reply(),
													   &error);
	if (count < 0)
		wm_fail(connection, &error, doing(&table), NULL);
	*total = (double) count;
	*dead = 0;
	memset(wanted, true, sizeof(bool) * columns->n);

	initStringInfo(&bson);
	wm_bson_begin(&bson);
	stage = wm_bson_begin_document(&bson, "0", 1);
	sample = wm_bson_begin_document(&bson, "$sample", 7);
	wm_bson_int32(&bson, "size", 4, n_wanted);
	wm_bson_end(&bson, sample);
	wm_bson_end(&bson, stage);
	wm_bson_end(&bson, 0);
	wm_bson_view(&pipeline, &bson, 0);
	cursor =
		wm_cursor(connection, mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE,
														  &pipeline, NULL, NULL));
	while (n < n_wanted && mongoc_cursor_next(wm_cursor_of(cursor), &document))
	{
		wm_vacuum_delay_point();
		MemoryContextSwitchTo(row_context);
		wm_read_row(document, columns, wanted, RelationGetRelationName(relation), values,
					nulls);
		MemoryContextSwitchTo(old);
		rows[n++] = heap_form_tuple(tupdesc, values, nulls);
		MemoryContextReset(row_context);
	}
	if (n < n_wanted && mongoc_cursor_error(wm_cursor_of(cursor), &error))
		wm_fail(connection, &error, doing(&table), NULL);
	wm_cursor_close(cursor);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	/* The estimate may lag behind. */
	if (*total < n)
		*total = n;
	ereport(level, errmsg("\"%s\": collection has about %.0f documents; %d in sample",
						  RelationGetRelationName(relation), *total, n));
	return n;
}

bool
wm_analyze(Relation relation, AcquireSampleRowsFunc *sample, BlockNumber *total_pages)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap_mongo size", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WmTableOptions table;
	WmConnection *connection = connect_for(relation, &table);
	bson_error_t error = {0};
	StringInfoData bson;
	bson_t command;
	bson_t *reply = wm_reply();
	bson_iter_t it;
	int64 size = 0;

	initStringInfo(&bson);
	wm_bson_begin(&bson);
	wm_bson_string(&bson, "collStats", 9, table.collection,
				   (int) strlen(table.collection));
	wm_bson_end(&bson, 0);
	wm_bson_view(&command, &bson, 0);
	if (mongoc_client_command_simple(wm_client(connection), table.database, &command,
									 NULL, reply, &error))
	{
		if (bson_iter_init_find(&it, reply, "size"))
			size = bson_iter_as_int64(&it);
	}
	else if (error.domain != MONGOC_ERROR_SERVER)
		wm_fail(connection, &error, doing(&table), NULL);
	/* Else it is a view, which has no size; or we may not ask. */
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	*total_pages = (BlockNumber) Min(Max(1, size / BLCKSZ), MaxBlockNumber);
	*sample = sample_rows;
	return true;
}
