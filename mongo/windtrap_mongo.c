/*
 * windtrap_mongo.c
 *		A foreign data wrapper for MongoDB, on libmongoc: the library's entry.
 *
 *	option.c		what servers, user mappings and tables can be told
 *	connection.c	clients of libmongoc's, kept and thrown away; stream.c: their sockets
 *	column.c		a table's columns and a document's members
 *	datum_to_bson.c jsonb_to_bson.c bson_writer.c	values there
 *	bson_to_datum.c bson_to_jsonb.c					values back; number.c: both
 *	plan.c			what MongoDB is asked to do; filter.c: its conditions
 *	scan.c modify.c analyze.c import.c				doing it
 *	error.c			what it says of failures
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"

#include "analyze.h"
#include "import.h"
#include "modify.h"
#include "plan.h"
#include "scan.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(windtrap_mongo_handler);

/* HANDLER: the functions above, by their names in PostgreSQL's interface. */
Datum
windtrap_mongo_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *r = makeNode(FdwRoutine);

	r->GetForeignRelSize = wm_get_rel_size;
	r->GetForeignPaths = wm_get_paths;
	r->GetForeignPlan = wm_get_plan;
	r->BeginForeignScan = wm_begin_scan;
	r->IterateForeignScan = wm_iterate_scan;
	r->ReScanForeignScan = wm_rescan;
	r->EndForeignScan = wm_end_scan;
	r->ExplainForeignScan = wm_explain_scan;

	r->IsForeignRelUpdatable = wm_is_updatable;
	r->AddForeignUpdateTargets = wm_add_update_targets;
	r->PlanForeignModify = wm_plan_modify;
	r->BeginForeignModify = wm_begin_modify;
	r->GetForeignModifyBatchSize = wm_batch_size;
	r->ExecForeignInsert = wm_insert;
	r->ExecForeignBatchInsert = wm_insert_batch;
	r->ExecForeignUpdate = wm_update;
	r->ExecForeignDelete = wm_delete;
	r->EndForeignModify = wm_end_modify;
	r->BeginForeignInsert = wm_begin_insert;
	r->EndForeignInsert = wm_end_insert;
	r->ExecForeignTruncate = wm_truncate;
	r->ExplainForeignModify = wm_explain_modify;

	r->AnalyzeForeignTable = wm_analyze;
	r->ImportForeignSchema = wm_import_schema;
	PG_RETURN_POINTER(r);
}
