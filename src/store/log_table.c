/*
 * log_table.c
 *		The table that events are stored in: its name, how it is made, and its days.
 *
 * It is an ordinary table of the user's, range-partitioned on event_timestamp by days in
 * UTC: a day of local time has 23 or 25 hours twice a year, and begins elsewhere when
 * TimeZone changes, so its partitions would overlap or leave gaps.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/identity.h"
#include "store/log_table.h"
#include "base/settings.h"
#include "base/shared.h"

PG_FUNCTION_INFO_V1(windtrap_create_log_table);
PG_FUNCTION_INFO_V1(windtrap_log_table);

/* Of a table that is made; an event that was sent before midnight may come after it. */
#define FIRST_DAY (-1)

/* Partitions are made for so many days to come; fewer where a day has many of them. */
#define DAYS_AHEAD 7
#define SHORT_DAYS_AHEAD 2

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

TimestampTz
wt_day_of(TimestampTz time)
{
	TimestampTz day = time / USECS_PER_DAY * USECS_PER_DAY;

	/* Division rounds towards 2000. */
	return day > time ? day - USECS_PER_DAY : day;
}

char *
wt_bound(TimestampTz time)
{
	TimestampTz day = wt_day_of(time);
	int64 of_day = time - day;
	int year;
	int month;
	int mday;

	j2date((int) (day / USECS_PER_DAY) + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	if (of_day == 0)
		return psprintf("%04d-%02d-%02d 00:00:00+00", year, month, mday);
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d.%06d+00", year, month, mday,
					(int) (of_day / USECS_PER_HOUR),
					(int) (of_day / USECS_PER_MINUTE % MINS_PER_HOUR),
					(int) (of_day / USECS_PER_SEC % SECS_PER_MINUTE),
					(int) (of_day % USECS_PER_SEC));
}

/* A table is a type too, so it can have no name that a type has. */
static bool
is_taken(const char *name, Oid namespace)
{
	return OidIsValid(get_relname_relid(name, namespace)) ||
		   OidIsValid(GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									  CStringGetDatum(name),
									  ObjectIdGetDatum(namespace)));
}

char *
wt_partition_name(const RangeVar *table, TimestampTz from, TimestampTz to)
{
	Oid namespace = get_namespace_oid(table->schemaname, false);
	const char *suffix = "default";
	char *name;
	int year;
	int month;
	int mday;

	if (from != DT_NOBEGIN)
	{
		j2date((int) (wt_day_of(from) / USECS_PER_DAY) + POSTGRES_EPOCH_JDATE, &year,
			   &month, &mday);
		suffix = psprintf("%04d%02d%02d", year, month, mday);
		if (wt_partition_width < HOURS_PER_DAY &&
			to == from + wt_partition_width * USECS_PER_HOUR)
			suffix = psprintf("%s_%02d", suffix,
							  (int) ((from - wt_day_of(from)) / USECS_PER_HOUR));
	}
	name = makeObjectName(table->relname, NULL, suffix);
	/* A partition that was detached, say, to be kept, has kept its name too. */
	for (int i = 1; is_taken(name, namespace); i++)
		name = makeObjectName(table->relname, NULL, psprintf("%s_%d", suffix, i));
	return name;
}

static void
create_partition(const RangeVar *table, TimestampTz from, TimestampTz to)
{
	run(psprintf(
		"CREATE TABLE %s PARTITION OF %s FOR VALUES FROM ('%s') TO ('%s')",
		quote_qualified_identifier(table->schemaname, wt_partition_name(table, from, to)),
		wt_log_table_quote(table), wt_bound(from), wt_bound(to)));
}

int
wt_days_ahead(void)
{
	return wt_partition_width == HOURS_PER_DAY ? DAYS_AHEAD : SHORT_DAYS_AHEAD;
}

void
wt_hold_schema(Oid schema)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(schema)};
	MemoryContext context = CurrentMemoryContext;
	Oid saved_role;
	int saved_context;
	int rc;

	/* No one else may lock rows of the catalog; and this is all that runs. */
	wt_become(BOOTSTRAP_SUPERUSERID, &saved_role, &saved_context);
	rc = SPI_execute_with_args("SELECT FROM pg_catalog.pg_namespace "
							   "WHERE oid OPERATOR(pg_catalog.=) $1 FOR KEY SHARE",
							   1, types, values, NULL, false, 0);
	wt_restore(saved_role, saved_context);
	MemoryContextSwitchTo(context);
	if (rc != SPI_OK_SELECT || SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA),
						errmsg("the schema has just been dropped")));
	/* What it was called until a moment ago does not count. */
	AcceptInvalidationMessages();
}

bool
wt_log_table_create(const RangeVar *table, bool btree)
{
	const char *quoted = wt_log_table_quote(table);
	TimestampTz today = wt_day_of(GetCurrentTimestamp());
	int64 width = wt_partition_width * USECS_PER_HOUR;
	Oid schema = get_namespace_oid(table->schemaname, false);
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

	PreventCommandIfReadOnly("CREATE TABLE");
	wt_hold_schema(schema);
	if (get_namespace_oid(table->schemaname, false) != schema)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the schema \"%s\" has just been replaced", table->schemaname)));

	run(psprintf("CREATE TABLE %s (event_timestamp pg_catalog.timestamptz NOT NULL, "
				 "data pg_catalog.jsonb%s NOT NULL, "
				 "status pg_catalog.int4 NOT NULL DEFAULT 0) "
				 "PARTITION BY RANGE (event_timestamp)",
				 quoted, have_lz4() ? " COMPRESSION lz4" : ""));
	/* The rows of a partition come in the order of time, so BRIN is next to nothing. */
	run(psprintf("CREATE INDEX ON %s USING %s (event_timestamp)", quoted,
				 btree ? "btree" : "brin"));
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
					 table->schemaname, wt_partition_name(table, DT_NOBEGIN, DT_NOEND)),
				 quoted));
	for (TimestampTz from = today + FIRST_DAY * USECS_PER_DAY;
		 from < today + (wt_days_ahead() + 1) * USECS_PER_DAY; from += width)
		create_partition(table, from, from + width);
	wt_shared_attach();
	wt_shared->made_table = RangeVarGetRelid(table, NoLock, false);
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

void
wt_refuse_unlogged(const List *partitions)
{
	const ListCell *cell;

	foreach (cell, partitions)
	{
		char persistence = get_rel_persistence(lfirst_oid(cell));

		if (persistence != RELPERSISTENCE_PERMANENT && persistence != '\0')
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("the partition \"%s\" is not durable: it is unlogged",
								   get_rel_name(lfirst_oid(cell))),
							errhint("Use ALTER TABLE ... SET LOGGED.")));
	}
}

Oid
wt_log_table_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * windtrap.create_log_table(name text DEFAULT 'log', time_index text DEFAULT 'brin')
 * RETURNS regclass
 */
Datum
windtrap_create_log_table(PG_FUNCTION_ARGS)
{
	RangeVar *table = wt_log_table_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	const char *time_index = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool btree = strcmp(time_index, "btree") == 0;
	Oid relation;

	if (!btree && strcmp(time_index, "brin") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the index on the time is brin or btree, not \"%s\"",
							   time_index)));
	SPI_connect();
	wt_log_table_create(table, btree);
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
