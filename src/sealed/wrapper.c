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
#include "utils/builtins.h"

#include "base/compat.h"
#include "sealed/aggregates.h"
#include "sealed/modify.h"
#include "sealed/plan.h"
#include "sealed/row_locks.h"
#include "sealed/scan.h"

/* A plan is of one of two kinds: it gives rows, or groups of them. */
static ForeignScan *
plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist,
	 List *clauses, Plan *outer)
{
	return IS_UPPER_REL(rel)
			   ? wt_aggregates_plan(root, rel, path, tlist)
			   : wt_sealed_plan(root, rel, relid, path, tlist, clauses, outer);
}

static void
begin(ForeignScanState *node, int eflags)
{
	if (wt_is_aggregates(node))
		wt_aggregates_begin(node, eflags);
	else
		wt_sealed_begin(node, eflags);
}

static TupleTableSlot *
iterate(ForeignScanState *node)
{
	return wt_is_aggregates(node) ? wt_aggregates_iterate(node) : wt_sealed_iterate(node);
}

static void
rescan(ForeignScanState *node)
{
	if (wt_is_aggregates(node))
		wt_aggregates_rescan(node);
	else
		wt_sealed_rescan(node);
}

static void
end(ForeignScanState *node)
{
	if (wt_is_aggregates(node))
		wt_aggregates_end(node);
	else
		wt_sealed_end(node);
}

static void
shut_down(ForeignScanState *node)
{
	if (!wt_is_aggregates(node))
		wt_sealed_shutdown(node);
}

static void
explain(ForeignScanState *node, struct ExplainState *es)
{
	if (wt_is_aggregates(node))
		wt_aggregates_explain(node, es);
	else
		wt_sealed_explain(node, es);
}

PG_FUNCTION_INFO_V1(windtrap_sealed_handler);
PG_FUNCTION_INFO_V1(windtrap_sealed_validator);

Datum
windtrap_sealed_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = wt_sealed_relation_size;
	routine->GetForeignPaths = wt_sealed_paths;
	routine->GetForeignPlan = plan;
	routine->GetForeignUpperPaths = wt_sealed_upper_paths;
	routine->BeginForeignScan = begin;
	routine->IterateForeignScan = iterate;
	routine->ReScanForeignScan = rescan;
	routine->EndForeignScan = end;
	routine->ShutdownForeignScan = shut_down;
	routine->ExplainForeignScan = explain;
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
			(strcmp(name, "chunks") == 0 || strcmp(name, "late") == 0))
			continue;
		/* windtrap.partitions and the upkeep read them as numbers. */
		if (catalog == ForeignTableRelationId &&
			(strcmp(name, "rows") == 0 || strcmp(name, "heap_bytes") == 0))
		{
			if (pg_strtoint64(defGetString((DefElem *) lfirst(lc))) < 0)
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
								errmsg("option \"%s\" must not be negative", name)));
			continue;
		}
		if (catalog == AttributeRelationId &&
			(strcmp(name, "missing") == 0 || strcmp(name, "missing_null") == 0 ||
			 strcmp(name, "column_name") == 0))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", name),
				 errhint("Sealed partitions have the options chunks, late, rows and "
						 "heap_bytes, their columns column_name, missing and "
						 "missing_null.")));
	}
	PG_RETURN_VOID();
}
