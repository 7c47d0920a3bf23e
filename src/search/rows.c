/*
 * rows.c
 *		Statements whose rows are what a function gives.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "search/rows.h"

void
wt_search_begin(FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
wt_search_end(void)
{
	SPI_finish();
}

int64
wt_search_run(const char *command, int n, Oid *types, Datum *values)
{
	int rc;

	CHECK_FOR_INTERRUPTS();
	rc = SPI_execute_with_args(command, n, types, values, NULL, true, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
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
