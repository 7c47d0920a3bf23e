/*
 * rows.c
 *		Statements whose rows are what a function gives.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/sql.h"
#include "search/rows.h"

void
wt_search_begin(FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	wt_sql_connect();
}

void
wt_search_end(void)
{
	SPI_finish();
}

int
wt_search_enter(void)
{
	int nest_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* What is not known of documents makes costs look so high that all would be compiled. */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	return nest_level;
}

void
wt_search_leave(int nest_level)
{
	AtEOXact_GUC(false, nest_level);
}

int64
wt_search_run(const char *command, int n, Oid *types, Datum *values)
{
	int nest_level = wt_search_enter();
	int rc;

	CHECK_FOR_INTERRUPTS();
	rc = SPI_execute_with_args(command, n, types, values, NULL, true, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
	wt_search_leave(nest_level);
	return (int64) SPI_processed;
}

void
wt_search_give(FunctionCallInfo fcinfo, int64 n)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int64 i = 0; i < n; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
}
