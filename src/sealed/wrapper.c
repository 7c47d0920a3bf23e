/*
 * wrapper.c
 *		The foreign-data wrapper windtrap_sealed: its callbacks, and which options there are.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"

#include "base/compat.h"
#include "sealed/modify.h"
#include "sealed/plan.h"
#include "sealed/row_locks.h"
#include "sealed/scan.h"

PG_FUNCTION_INFO_V1(windtrap_sealed_handler);
PG_FUNCTION_INFO_V1(windtrap_sealed_validator);

Datum
windtrap_sealed_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = wt_sealed_relation_size;
	routine->GetForeignPaths = wt_sealed_paths;
	routine->GetForeignPlan = wt_sealed_plan;
	routine->BeginForeignScan = wt_sealed_begin;
	routine->IterateForeignScan = wt_sealed_iterate;
	routine->ReScanForeignScan = wt_sealed_rescan;
	routine->EndForeignScan = wt_sealed_end;
	routine->ShutdownForeignScan = wt_sealed_shutdown;
	routine->ExplainForeignScan = wt_sealed_explain;
	routine->AnalyzeForeignTable = wt_sealed_analyze;
	routine->IsForeignScanParallelSafe = wt_sealed_parallel_safe;
	routine->EstimateDSMForeignScan = wt_sealed_shared_size;
	routine->InitializeDSMForeignScan = wt_sealed_share;
	routine->ReInitializeDSMForeignScan = wt_sealed_share_again;
	routine->InitializeWorkerForeignScan = wt_sealed_join;
	wt_sealed_set_modify(routine);
	wt_sealed_set_row_locks(routine);
	PG_RETURN_POINTER(routine);
}

Datum
windtrap_sealed_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	ListCell *lc;

	foreach (lc, options)
	{
		const char *name = ((DefElem *) lfirst(lc))->defname;

		if (catalog == ForeignTableRelationId &&
			(strcmp(name, "chunks") == 0 || strcmp(name, "late") == 0 ||
			 strcmp(name, "rows") == 0 || strcmp(name, "heap_bytes") == 0))
			continue;
		if (catalog == AttributeRelationId && strcmp(name, "missing") == 0)
			continue;
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						errmsg("invalid option \"%s\"", name),
						errhint("Sealed partitions have the options chunks, late, rows and "
								"heap_bytes, their columns missing.")));
	}
	PG_RETURN_VOID();
}
