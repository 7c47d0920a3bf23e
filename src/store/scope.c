/*
 * scope.c
 *		Where tables are kept up: as a table's owner, with SPI, safe from odd settings.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/identity.h"
#include "store/log_table.h"
#include "store/scope.h"

void
wt_scope_set(const char *name, const char *value)
{
	/* PGC_SUSET: also in the name of a caller who could not set it himself. */
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
}

bool
wt_scope_enter(Oid relation, WtScope *scope)
{
	ConstraintsSetStmt constraints = {.type = T_ConstraintsSetStmt, .deferred = false};
	Oid owner = wt_log_table_owner(relation);

	if (!OidIsValid(owner))
		return false;
	scope->caller = CurrentMemoryContext;
	scope->temporary = wt_count_temporary();
	SPI_connect();

	/*
	 * Deferred triggers would fire at COMMIT, and there as the session's user, which
	 * PostgreSQL refuses: make them fire with the statement.  Those that wait already are
	 * the caller's.
	 */
	AfterTriggerSetState(&constraints);
	wt_become(owner, &scope->role, &scope->context);
	scope->nest_level = NewGUCNestLevel();
	wt_scope_set("search_path", "pg_catalog, pg_temp");
	/* Rows that a policy hides would be left behind: rather fail. */
	wt_scope_set("row_security", "off");
	wt_scope_set("lock_timeout", WT_LOCK_TIMEOUT);
	return true;
}

void
wt_scope_enter_owned(Oid relation, WtScope *scope)
{
	/* What follows runs as the owner: only who can become that may cause it. */
	if (!wt_owns_relation(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relation));
	if (!wt_scope_enter(relation, scope))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relation)));
}

void
wt_scope_leave(const WtScope *scope)
{
	AtEOXact_GUC(false, scope->nest_level);
	wt_restore(scope->role, scope->context);
	wt_refuse_temporary(scope->temporary);
	SPI_finish();
}

void
wt_scope_pin_texts(void)
{
	wt_scope_set("datestyle", "ISO, YMD");
	wt_scope_set("intervalstyle", "postgres");
	wt_scope_set("timezone", "UTC");
	wt_scope_set("extra_float_digits", "1");
	wt_scope_set("bytea_output", "hex");
}

void
wt_scope_run(const char *command, int n_args, Oid *types, Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	int rc = SPI_execute_with_args(command, n_args, types, values, NULL, false, 0);

	/* SPI leaves its own behind. */
	MemoryContextSwitchTo(context);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
}

void
wt_scope_run_each(const char *query, int n_args, Oid *types, Datum *values)
{
	int n;
	char **commands;

	wt_scope_run(query, n_args, types, values);
	n = (int) SPI_processed;
	commands = palloc(sizeof(char *) * (size_t) Max(n, 1));
	for (int i = 0; i < n; i++)
		commands[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	for (int i = 0; i < n; i++)
		wt_scope_run(commands[i], 0, NULL, NULL);
}

int64
wt_scope_int64(uint64 row, int column)
{
	bool is_null;
	Datum value =
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);

	return is_null ? 0 : DatumGetInt64(value);
}

char *
wt_scope_name(Oid relation)
{
	char *name = get_rel_name(relation);

	if (name)
	{
		wt_hold_schema(get_rel_namespace(relation));
		name = get_rel_name(relation);
	}
	if (!name)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("partition with OID %u has just been dropped", relation)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  name);
}
