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
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "log_table.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(windtrap_create_log_table);
PG_FUNCTION_INFO_V1(windtrap_log_table);

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
	if (list_length(names) == 2 && strcmp(linitial(names), "pg_temp") == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_SCHEMA_NAME),
						errmsg("a log table cannot be temporary")));
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

/* A name that is free, also where the table's own is too long for a suffix. */
static char *
partition_name(const RangeVar *table, const char *suffix)
{
	return ChooseRelationName(table->relname, NULL, suffix,
							  get_namespace_oid(table->schemaname, false), false);
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
	name = partition_name(table,
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
	Oid existing;

	DirectFunctionCall1(pg_advisory_xact_lock_int8, Int64GetDatum(CREATE_LOCK));
	/* Who was first may have committed while we waited. */
	AcceptInvalidationMessages();
	existing = RangeVarGetRelid(table, NoLock, true);
	if (OidIsValid(existing))
	{
		wt_log_table_check(existing);
		return false;
	}

	run(psprintf("CREATE TABLE %s (event_timestamp pg_catalog.timestamptz NOT NULL, "
				 "data pg_catalog.jsonb%s NOT NULL, "
				 "status pg_catalog.int4 NOT NULL DEFAULT 0) "
				 "PARTITION BY RANGE (event_timestamp)",
				 quoted, have_lz4() ? " COMPRESSION lz4" : ""));
	/* The rows of a partition come in the order of time, so this is next to nothing. */
	run(psprintf("CREATE INDEX ON %s USING brin (event_timestamp)", quoted));
	run(psprintf("COMMENT ON TABLE %s IS 'events received by WindTrap'", quoted));
	run(psprintf("COMMENT ON COLUMN %s.event_timestamp IS 'when the event was received'",
				 quoted));
	run(psprintf(
		"COMMENT ON COLUMN %s.data IS 'the event, under \"json\", and what is known "
		"of its request'",
		quoted));
	run(psprintf("COMMENT ON COLUMN %s.status IS '0 on arrival; yours to set afterwards'",
				 quoted));
	run(psprintf(
		"CREATE TABLE %s PARTITION OF %s DEFAULT",
		quote_qualified_identifier(table->schemaname, partition_name(table, "default")),
		quoted));
	for (int day = today + FIRST_DAY; day <= today + LAST_DAY; day++)
		create_partition(table, day);
	return true;
}

static void
check_column(Oid relation, const char *name, Oid type)
{
	AttrNumber number = get_attnum(relation, name);

	if (number == InvalidAttrNumber || get_atttype(relation, number) != type)
		ereport(ERROR,
				(errcode(number == InvalidAttrNumber ? ERRCODE_UNDEFINED_COLUMN
													 : ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s\" is no log table: it has no column \"%s\" of type %s",
						get_rel_name(relation), name, format_type_be(type))));
}

void
wt_log_table_check(Oid relation)
{
	char kind = get_rel_relkind(relation);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE &&
		kind != RELKIND_FOREIGN_TABLE && kind != RELKIND_VIEW)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a table", get_rel_name(relation))));
	check_column(relation, "event_timestamp", TIMESTAMPTZOID);
	check_column(relation, "data", JSONBOID);
	check_column(relation, "status", INT4OID);
	if (get_rel_persistence(relation) != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table \"%s\" is not durable: it is unlogged or temporary",
						get_rel_name(relation)),
				 errhint("Use ALTER TABLE ... SET LOGGED.")));
}

/* windtrap.create_log_table(name text DEFAULT 'log') RETURNS regclass */
Datum
windtrap_create_log_table(PG_FUNCTION_ARGS)
{
	RangeVar *table = wt_log_table_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Oid relation;

	SPI_connect();
	wt_log_table_create(table);
	relation = RangeVarGetRelid(table, NoLock, false);
	SPI_finish();
	PG_RETURN_OID(relation);
}

/* windtrap.log_table() RETURNS regclass */
Datum
windtrap_log_table(PG_FUNCTION_ARGS)
{
	Oid relation = RangeVarGetRelid(wt_log_table_name(wt_table), NoLock, true);

	if (!OidIsValid(relation))
		PG_RETURN_NULL();
	PG_RETURN_OID(relation);
}
