/*
 * adopt.c
 *		Takes back tables that were partitions of the log table, or were to be.
 *
 * A *stray* is a table that has the name of a partition, the log table's columns and owner,
 * and belongs to nothing: something went wrong with a restore, or it was detached.  Each is
 * taken back by itself; one that cannot be does not keep the others.  What has such a name and
 * is no stray is left alone, and the caller is told why.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/settings.h"
#include "base/sql.h"
#include "base/transact.h"
#include "store/log_table.h"
#include "upkeep/failures.h"
#include "store/scope.h"

PG_FUNCTION_INFO_V1(windtrap_adopt_partitions);

/* A stray, and what was done to it. */
typedef struct Stray
{
	char *name; /* quoted */
	char *from; /* of the day that its name says, as a bound; NULL: it says none */
	char *to;
	char *columns; /* that are inserted, quoted */
	const char *action;
	int64 rows;		   /* -1: not counted */
	const char *error; /* why it is not taken back */
} Stray;

typedef struct Adoption
{
	const char *log; /* quoted */
	MemoryContext context;
	List *strays; /* and what is left alone */
	Stray *current;
} Adoption;

static char *
text_of(Adoption *adoption, uint64 row, int column)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(adoption->context, value) : NULL;
}

static Stray *
add_stray(Adoption *adoption, uint64 row)
{
	MemoryContext old = MemoryContextSwitchTo(adoption->context);
	Stray *stray = palloc0(sizeof(*stray));

	adoption->strays = lappend(adoption->strays, stray);
	MemoryContextSwitchTo(old);
	stray->name = text_of(adoption, row, 1);
	stray->rows = -1;
	return stray;
}

static void
find_strays(Adoption *adoption)
{
	uint64 n;

	n = wt_sql_run(
		/* Not regclass: of a table that has just been dropped that is a number. */
		"SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), "
		"pg_catalog.to_char(s.day::timestamp, 'YYYY-MM-DD 00:00:00+00'), "
		"pg_catalog.to_char((s.day OPERATOR(pg_catalog.+) 1)::timestamp, "
		"'YYYY-MM-DD 00:00:00+00'), "
		"(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ') "
		"FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) s.name "
		"AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped "
		"AND EXISTS (SELECT FROM pg_catalog.pg_attribute l "
		"WHERE l.attrelid OPERATOR(pg_catalog.=) windtrap.log_table() "
		"AND l.attname OPERATOR(pg_catalog.=) a.attname "
		"AND l.attgenerated OPERATOR(pg_catalog.=) '')) "
		"FROM windtrap.stray_partitions s "
		"JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.name "
		"JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace "
		"ORDER BY c.relname",
		0, NULL, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Stray *stray = add_stray(adoption, i);

		stray->from = text_of(adoption, i, 2);
		stray->to = text_of(adoption, i, 3);
		stray->columns = text_of(adoption, i, 4);
	}
}

/* What has the name of a partition, beside the log table's own ones and the strays. */
static void
find_others(Adoption *adoption)
{
	uint64 n = wt_sql_run(
		"SELECT format('%I.%I', n.nspname, c.relname), CASE "
		"WHEN c.relkind <> 'r' THEN CASE c.relkind WHEN 'v' THEN 'it is a view' "
		"WHEN 'm' THEN 'it is a materialized view' WHEN 'f' THEN 'it is a foreign table' "
		"ELSE 'it is partitioned itself' END "
		"WHEN c.relpersistence <> 'p' THEN 'it is unlogged' "
		"WHEN c.relowner <> l.relowner THEN format("
		"'it belongs to %s, and the log table to %s', "
		"c.relowner::regrole, l.relowner::regrole) "
		"WHEN i.inhparent IS NOT NULL THEN format('it is a part of %s', "
		"i.inhparent::regclass) "
		"WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid) "
		"THEN 'other tables inherit from it' "
		"WHEN 3 <> (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid "
		"AND attname IN ('event_timestamp', 'data', 'status')) "
		"OR EXISTS (SELECT FROM pg_attribute a LEFT JOIN pg_attribute b ON b.attrelid = "
		"l.oid AND b.attname = a.attname AND b.atttypid = a.atttypid WHERE a.attrelid = "
		"c.oid AND a.attnum > 0 AND NOT a.attisdropped AND b.attnum IS NULL) "
		"THEN 'its columns are not those of the log table' "
		"ELSE 'there is no such day' END "
		"FROM pg_class l JOIN pg_class c ON c.relnamespace = l.relnamespace "
		"JOIN pg_namespace n ON n.oid = l.relnamespace "
		"LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhseqno = 1 "
		"WHERE l.oid = windtrap.log_table() AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
		"AND starts_with(c.relname, l.relname || '_') "
		"AND substr(c.relname, length(l.relname) + 2) ~ '^(\\d{8}|default)(_\\d+)?$' "
		"AND i.inhparent IS DISTINCT FROM l.oid AND NOT EXISTS "
		"(SELECT FROM pg_partition_ancestors(c.oid) a WHERE a.relid = l.oid) "
		"AND NOT EXISTS (SELECT FROM windtrap.stray_partitions s WHERE s.name = c.oid) "
		"ORDER BY c.relname",
		0, NULL, NULL, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		Stray *stray = add_stray(adoption, i);

		stray->action = "left alone";
		stray->error = text_of(adoption, i, 2);
	}
}

static void
run_command(void *command)
{
	(void) wt_sql_run(command, 0, NULL, NULL, NULL);
}

/* Attaches a stray as it is; false: its span, columns or rows do not fit. */
static bool
attach(const Adoption *adoption, const Stray *stray)
{
	ErrorData *error = wt_attempt(
		run_command,
		psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
				 adoption->log, stray->name, stray->from, stray->to));

	/* A lock that others have does not mean that it does not fit. */
	if (error && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		ThrowErrorData(error);
	return !error;
}

static void
take_back(void *arg)
{
	Adoption *adoption = arg;
	Stray *stray = adoption->current;

	if (stray->from && attach(adoption, stray))
	{
		stray->action = "attached";
		return;
	}
	(void) wt_sql_run(
		psprintf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", stray->name), 0, NULL,
		NULL, NULL);
	/* An identity is what it was. */
	stray->rows = (int64) wt_sql_run(
		psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM ONLY %s",
				 adoption->log, stray->columns, stray->columns, stray->name),
		0, NULL, NULL, NULL);
	(void) wt_sql_run(psprintf("DROP TABLE %s", stray->name), 0, NULL, NULL, NULL);
	stray->action = "moved";
}

/* Runs as the log table's owner. */
static void
adopt(Adoption *adoption)
{
	ListCell *cell;

	find_strays(adoption);
	find_others(adoption);
	foreach (cell, adoption->strays)
	{
		ErrorData *error;

		adoption->current = lfirst(cell);
		if (adoption->current->action)
			continue;
		error = wt_attempt(take_back, adoption);
		if (!error)
			continue;
		adoption->current->action = "failed";
		adoption->current->rows = -1;
		adoption->current->error =
			MemoryContextStrdup(adoption->context, wt_failure_text(error));
	}
}

/*
 * windtrap.adopt_partitions() RETURNS TABLE (partition text, action text, rows bigint,
 *		error text)
 */
Datum
windtrap_adopt_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RangeVar *name = wt_log_table_name(wt_table);
	Oid relation;
	WtScope scope;
	Adoption adoption = {.context = CurrentMemoryContext};
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	/* What follows runs as the owner: only who can become that may cause it. */
	relation = RangeVarGetRelidExtended(name, ShareUpdateExclusiveLock, 0,
										RangeVarCallbackOwnsRelation, NULL);
	adoption.log = wt_log_table_quote(name);
	if (wt_scope_enter(relation, &scope))
	{
		adopt(&adoption);
		wt_scope_leave(&scope);
	}
	foreach (cell, adoption.strays)
	{
		const Stray *stray = lfirst(cell);
		Datum values[4];
		bool nulls[4] = {0};

		values[0] = CStringGetTextDatum(stray->name);
		values[1] = CStringGetTextDatum(stray->action);
		values[2] = Int64GetDatum(stray->rows);
		nulls[2] = stray->rows < 0;
		nulls[3] = stray->error == NULL;
		values[3] = stray->error ? CStringGetTextDatum(stray->error) : (Datum) 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
