/*
 * sql.c
 *		Statements of our own, run with the rights of the current user.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/guc.h"

#include "base/sql.h"

void
wt_sql_connect(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

uint64
wt_sql_run(const char *command, int n, Oid *types, Datum *values, const char *nulls)
{
	int nest_level = NewGUCNestLevel();
	int rc;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	rc = SPI_execute_with_args(command, n, types, values, nulls, false, 0);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
	AtEOXact_GUC(false, nest_level);
	return SPI_processed;
}

Datum
wt_sql_value(uint64 row, int column, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, is_null);
}

int64
wt_sql_int64(uint64 row, int column)
{
	bool is_null;
	Datum value = wt_sql_value(row, column, &is_null);

	return is_null ? 0 : DatumGetInt64(value);
}

bool
wt_sql_bool(uint64 row, int column)
{
	bool is_null;
	Datum value = wt_sql_value(row, column, &is_null);

	return !is_null && DatumGetBool(value);
}

void
wt_sql_set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
}
