/*
 * log_table.c
 *		The table that events are stored in: its name, and how it is made.
 *
 * It is an ordinary table of the user's, range-partitioned on event_timestamp by days in
 * UTC: a day of local time has 23 or 25 hours twice a year, and begins elsewhere when
 * TimeZone changes, so its partitions would overlap or leave gaps.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "log_table.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(windtrap_create_log_table);

/* Partitions made with the table: yesterday's, today's and those of some days to come. */
#define FIRST_DAY (-1)
#define LAST_DAY 7

/* Key of the advisory lock under which log tables are made: "windtrap" in ASCII. */
#define CREATE_LOCK INT64CONST(0x77696e6474726170)

RangeVar *
wt_log_table_name(const char *name)
{
	char *copy = pstrdup(name);
	List *names;

	if (!SplitIdentifierString(copy, '.', &names) || names == NIL ||
		list_length(names) > 2)
		ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
						errmsg("\"%s\" is not the name of a table", name),
						errhint("Name it as \"name\" or \"schema.name\".")));
	if (list_length(names) == 1)
		return makeRangeVar(pstrdup("public"), pstrdup(linitial(names)), -1);
	return makeRangeVar(pstrdup(linitial(names)), pstrdup(lsecond(names)), -1);
}

char *
wt_log_table_quote(const RangeVar *table)
{
	return quote_qualified_identifier(table->schemaname, table->relname);
}

static void
run(const char *command)
{
	int rc = SPI_execute(command, false, 0);

	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
}

/* Whether data can be compressed by lz4, which costs a fraction of pglz's time. */
static bool
have_lz4(void)
{
	run("SELECT FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression' "
		"AND 'lz4' OPERATOR(pg_catalog.=) ANY (enumvals)");
	return SPI_processed > 0;
}

static void
create_partition(const RangeVar *table, int day)
{
	struct pg_tm tm;
	char *from;
	char *name;
	int next_day = day + 1;

	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	from = psprintf("%04d-%02d-%02d 00:00:00+00", tm.tm_year, tm.tm_mon, tm.tm_mday);
	name = makeObjectName(table->relname, NULL,
						  psprintf("%04d%02d%02d", tm.tm_year, tm.tm_mon, tm.tm_mday));
	j2date(next_day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	run(psprintf("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM ('%s') "
				 "TO ('%04d-%02d-%02d 00:00:00+00')",
				 quote_qualified_identifier(table->schemaname, name),
				 wt_log_table_quote(table), from, tm.tm_year, tm.tm_mon, tm.tm_mday));
}

bool
wt_log_table_create(const RangeVar *table)
{
	const char *quoted = wt_log_table_quote(table);
	int today = (int) (GetCurrentTimestamp() / USECS_PER_DAY);

	DirectFunctionCall1(pg_advisory_xact_lock_int8, Int64GetDatum(CREATE_LOCK));
	CommandCounterIncrement();
	if (OidIsValid(RangeVarGetRelid(table, NoLock, true)))
		return false;

	run(psprintf("CREATE TABLE %s (event_timestamp pg_catalog.timestamptz NOT NULL, "
				 "data pg_catalog.jsonb%s NOT NULL, "
				 "status pg_catalog.int4 NOT NULL DEFAULT 0) "
				 "PARTITION BY RANGE (event_timestamp)",
				 quoted, have_lz4() ? " COMPRESSION lz4" : ""));
	run(psprintf("COMMENT ON TABLE %s IS 'events received by WindTrap'", quoted));
	run(psprintf("COMMENT ON COLUMN %s.event_timestamp IS 'when the event was received'",
				 quoted));
	run(psprintf(
		"COMMENT ON COLUMN %s.data IS 'the event, under \"json\", and what is known "
		"of its request'",
		quoted));
	run(psprintf("COMMENT ON COLUMN %s.status IS '0 on arrival; yours to set afterwards'",
				 quoted));
	run(psprintf("CREATE TABLE %s PARTITION OF %s DEFAULT",
				 quote_qualified_identifier(
					 table->schemaname, makeObjectName(table->relname, NULL, "default")),
				 quoted));
	for (int day = today + FIRST_DAY; day <= today + LAST_DAY; day++)
		create_partition(table, day);
	return true;
}

/* windtrap.create_log_table(name text DEFAULT NULL) RETURNS regclass */
Datum
windtrap_create_log_table(PG_FUNCTION_ARGS)
{
	RangeVar *table;
	Oid relation;

	table = wt_log_table_name(PG_ARGISNULL(0) ? wt_table
											  : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	SPI_connect();
	wt_log_table_create(table);
	relation = RangeVarGetRelid(table, NoLock, false);
	SPI_finish();
	PG_RETURN_OID(relation);
}
