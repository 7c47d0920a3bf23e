/*
 * log_rows.c
 *		The function windtrap.log_rows(), which reads the table that windtrap.table names.
 *
 * The view windtrap.events is made once, and the table that it shows is a setting.  So it shows a
 * function, whose text is all that has to change; what is made of the text, and whether the
 * table is there, is known when it is used.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/settings.h"
#include "base/sql.h"
#include "store/log_table.h"
#include "upkeep/log_rows.h"

/* Its text; no row: there is no extension, or one that has no such function. */
static const char text_of[] =
	"SELECT p.prosrc FROM pg_extension e "
	"JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass "
	"AND d.refobjid = e.oid AND d.deptype = 'e' "
	"AND d.classid = 'pg_proc'::regclass "
	"JOIN pg_proc p ON p.oid = d.objid "
	"WHERE e.extname = 'windtrap' AND p.proname = 'log_rows'";

void
wt_log_rows_follow(void)
{
	char *wanted;
	bool is_null;

	if (RecoveryInProgress())
		return;
	wanted = psprintf("SELECT event_timestamp, data, status FROM %s",
					  wt_log_table_quote(wt_log_table_name(wt_table)));
	wt_sql_connect();
	if (wt_sql_run(text_of, 0, NULL, NULL, NULL) == 1 &&
		strcmp(TextDatumGetCString(wt_sql_value(0, 1, &is_null)), wanted) != 0)
	{
		/* The table may come later. */
		wt_sql_set_local("check_function_bodies", "off");
		(void) wt_sql_run(
			psprintf("CREATE OR REPLACE FUNCTION windtrap.log_rows() RETURNS TABLE "
					 "(event_timestamp timestamptz, data jsonb, status integer) "
					 "LANGUAGE sql STABLE PARALLEL SAFE AS %s",
					 quote_literal_cstr(wanted)),
			0, NULL, NULL, NULL);
	}
	SPI_finish();
}
