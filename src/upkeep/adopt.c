/*
 * adopt.c
 *		Takes back tables that were partitions of the log table, or were to be.
 *
 * A *stray* is a table that has the name of a partition, the log table's columns and owner,
 * and belongs to nothing: something went wrong with a restore, or it was detached.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/settings.h"
#include "base/sql.h"
#include "base/transact.h"
#include "store/log_table.h"
#include "upkeep/scope.h"

PG_FUNCTION_INFO_V1(windtrap_adopt_partitions);

/* A stray, and what was done to it. */
typedef struct Stray
{
	char *name; /* quoted */
	char *from; /* of the day that its name says, as a bound; NULL: it says none */
	char *to;
	char *columns; /* that are inserted, quoted */
	bool attached;
	int64 rows; /* -1: not counted */
} Stray;

typedef struct Adoption
{
	const char *log; /* quoted */
	MemoryContext context;
	List *strays;
} Adoption;

static char *
text_of(Adoption *adoption, uint64 row, int column)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(adoption->context, value) : NULL;
}

static void
find_strays(Adoption *adoption)
{
	uint64 n;

	n = wt_sql_run(
		"SELECT s.name::text, "
		"pg_catalog.to_char(s.day, 'YYYY-MM-DD 00:00:00+00'), "
		"pg_catalog.to_char(s.day OPERATOR(pg_catalog.+) 1, 'YYYY-MM-DD 00:00:00+00'), "
		"(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ') "
		"FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) s.name "
		"AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped "
		"AND EXISTS (SELECT FROM pg_catalog.pg_attribute l "
		"WHERE l.attrelid OPERATOR(pg_catalog.=) windtrap.log_table() "
		"AND l.attname OPERATOR(pg_catalog.=) a.attname "
		"AND l.attgenerated OPERATOR(pg_catalog.=) '')) "
		"FROM windtrap.stray_partitions s",
		0, NULL, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(adoption->context);
		Stray *stray = palloc0(sizeof(*stray));

		adoption->strays = lappend(adoption->strays, stray);
		MemoryContextSwitchTo(old);
		stray->name = text_of(adoption, i, 1);
		stray->from = text_of(adoption, i, 2);
		stray->to = text_of(adoption, i, 3);
		stray->columns = text_of(adoption, i, 4);
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

/* Runs as the log table's owner. */
static void
adopt(Adoption *adoption)
{
	ListCell *cell;

	find_strays(adoption);
	foreach (cell, adoption->strays)
	{
		Stray *stray = lfirst(cell);

		stray->rows = -1;
		if (stray->from && attach(adoption, stray))
		{
			stray->attached = true;
			continue;
		}
		(void) wt_sql_run(
			psprintf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", stray->name), 0, NULL,
			NULL, NULL);
		stray->rows = (int64) wt_sql_run(
			psprintf("INSERT INTO %s (%s) SELECT %s FROM ONLY %s", adoption->log,
					 stray->columns, stray->columns, stray->name),
			0, NULL, NULL, NULL);
		(void) wt_sql_run(psprintf("DROP TABLE %s", stray->name), 0, NULL, NULL, NULL);
	}
}

/* windtrap.adopt_partitions() RETURNS TABLE (partition text, action text, rows bigint) */
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
	relation = RangeVarGetRelid(name, ShareUpdateExclusiveLock, false);
	if (!wt_owns_relation(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name->relname);
	adoption.log = wt_log_table_quote(name);
	if (wt_scope_enter(relation, &scope))
	{
		adopt(&adoption);
		wt_scope_leave(&scope);
	}
	foreach (cell, adoption.strays)
	{
		const Stray *stray = lfirst(cell);
		Datum values[3];
		bool nulls[3] = {0};

		values[0] = CStringGetTextDatum(stray->name);
		values[1] = CStringGetTextDatum(stray->attached ? "attached" : "moved");
		values[2] = Int64GetDatum(stray->rows);
		nulls[2] = stray->rows < 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
