/*
 * quarantine.c
 *		Events in quarantine: seeing them, and parsing them again.
 *
 * They are parsed by the collector's own parser, so that what is accepted here is what is
 * accepted from a sender.
 *
 * Who reads a table, or changes it, runs what its owner has put into its views, policies,
 * indexes and triggers.  A superuser who looks into quarantine shall not lend his rights to
 * that: who could act as the table's owner does so here, in a security-restricted
 * operation; everybody else acts with his own rights, as he would by a query of his own.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "base/collector.h"
#include "base/compat.h"
#include "base/identity.h"
#include "base/transact.h"
#include "event/json.h"
#include "event/jsonb_writer.h"
#include "store/log_table.h"
#include "base/settings.h"

PG_FUNCTION_INFO_V1(windtrap_parse_event);
PG_FUNCTION_INFO_V1(windtrap_quarantined);
PG_FUNCTION_INFO_V1(windtrap_retry_quarantined);
PG_FUNCTION_INFO_V1(windtrap_discard_quarantined);

/* What is read of a row in quarantine, in this order. */
#define N_COLUMNS 6
enum
{
	COLUMN_TIME = 1,
	COLUMN_ID,
	COLUMN_ERROR,
	COLUMN_RAW,
	COLUMN_ENCODING,
	COLUMN_DATA
};

/* What enter and leave keep. */
typedef struct Scope
{
	RangeVar *name;
	bool as_owner;
	Oid role;
	int context;
	int nest_level;
	int64 temporary;
} Scope;

static const char *
describe_error(WtJsonResult result, const char *event, const WtJsonError *error)
{
	int line;
	int column;

	wt_json_position(event, error->offset, &line, &column);
	return psprintf("%sat line %d, column %d: %s",
					result == WT_JSON_UNFIT ? "" : "bad JSON ", line, column,
					error->reason);
}

/* windtrap.parse_event(raw bytea) RETURNS jsonb */
Datum
windtrap_parse_event(PG_FUNCTION_ARGS)
{
	bytea *raw = PG_GETARG_BYTEA_PP(0);
	const char *event = VARDATA_ANY(raw);
	WtJson json = {0};
	WtJsonError error;
	WtJsonResult result;
	WtMember members[2] = {0};
	int n = 1;
	StringInfoData buffer;

	initStringInfo(&buffer);
	appendStringInfoSpaces(&buffer, VARHDRSZ);
	json.repair = wt_repair;
	result = wt_json_parse(&json, event, VARSIZE_ANY_EXHDR(raw), &error);
	PG_TRY();
	{
		if (result == WT_JSON_OUT_OF_MEMORY)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		if (result == WT_JSON_OK)
		{
			members[0].name = "json";
			members[0].kind = WT_MEMBER_TOKEN;
			if (json.repaired)
			{
				members[n].name = "repaired";
				members[n].kind = WT_MEMBER_TRUE;
				n++;
			}
		}
		else
		{
			members[0].name = "error";
			members[0].kind = WT_MEMBER_STRING;
			members[0].text = describe_error(result, event, &error);
			members[0].text_length = (uint32) strlen(members[0].text);
		}
		for (int i = 0; i < n; i++)
			members[i].name_length = (uint32) strlen(members[i].name);
		wt_jsonb_write_object(&buffer, &json, members, n);
	}
	PG_FINALLY();
	{
		wt_json_shrink(&json, 0);
	}
	PG_END_TRY();
	SET_VARSIZE(buffer.data, buffer.len);
	PG_RETURN_POINTER(buffer.data);
}

/* Makes sure that the name goes on meaning the relation. */
static void
hold_name(const RangeVar *name, Oid relation)
{
	wt_hold_schema(get_rel_namespace(relation));
	if (RangeVarGetRelid(name, NoLock, true) != relation)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("the table %s has just been replaced",
							   wt_log_table_quote(name))));
}

/* Finds the log table, and acts as its owner where the caller can; false: there is none. */
static bool
enter(Scope *scope, bool read_only)
{
	ConstraintsSetStmt constraints = {.type = T_ConstraintsSetStmt, .deferred = false};
	Oid relation;

	scope->name = wt_log_table_name(wt_table);
	relation = RangeVarGetRelid(scope->name, AccessShareLock, true);
	if (!OidIsValid(relation))
		return false;
	/* Of other types' columns, casts and operators are their owner's. */
	wt_log_table_check(relation);
	scope->temporary = wt_count_temporary();
	scope->as_owner = wt_owns_relation(relation, GetUserId());
	SPI_connect();
	if (scope->as_owner)
	{
		if (!read_only)
			hold_name(scope->name, relation);
		/* Deferred triggers would fire at COMMIT, and there as the session's user. */
		if (!read_only)
			AfterTriggerSetState(&constraints);
		wt_become(wt_log_table_owner(relation), &scope->role, &scope->context);
	}
	scope->nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return true;
}

static void
leave(const Scope *scope)
{
	AtEOXact_GUC(false, scope->nest_level);
	if (scope->as_owner)
	{
		wt_restore(scope->role, scope->context);
		wt_refuse_temporary(scope->temporary);
	}
	SPI_finish();
}

static void
run(const char *command, int n_args, Oid *types, Datum *values, const char *nulls,
	bool read_only)
{
	int rc = SPI_execute_with_args(command, n_args, types, values, nulls, read_only, 0);

	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(rc));
}

/* Reads the events in quarantine, all or those with some ids (a text[], or NULL). */
static SPITupleTable *
read_quarantined(const Scope *scope, const Datum *ids, bool read_only)
{
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {ids ? *ids : (Datum) 0};

	run(psprintf("SELECT event_timestamp, data->>'id', data->>'error', data->>'raw', "
				 "data->>'encoding', data FROM %s "
				 "WHERE status = 422 AND data ? 'raw' AND ($1 IS NULL OR data->>'id' = "
				 "ANY ($1))",
				 wt_log_table_quote(scope->name)),
		1, types, values, ids ? " " : "n", read_only);
	return SPI_tuptable;
}

/* windtrap.quarantined() RETURNS SETOF (event_timestamp, id, error, raw, encoding, data) */
Datum
windtrap_quarantined(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Scope scope;
	SPITupleTable *rows;

	InitMaterializedSRF(fcinfo, 0);
	if (!enter(&scope, true))
		return (Datum) 0;
	rows = read_quarantined(&scope, NULL, true);
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		Datum values[N_COLUMNS];
		bool nulls[N_COLUMNS];

		heap_deform_tuple(rows->vals[i], rows->tupdesc, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	leave(&scope);
	return (Datum) 0;
}

/* An event that is tried again. */
typedef struct Retry
{
	const Scope *scope;
	HeapTuple row;
	TupleDesc desc;
	const Datum *raw; /* the text that is to take its place; NULL: there is none */
	char *error;	  /* what it is still refused for; NULL: nothing */
} Retry;

/*
 * What stands in for a row of another collector has that row as its raw, a line as
 * protocol/forwarded.c takes it: stores the row, with the hop that it would have got.  Where
 * the stand-in has come further itself, its hops follow, and who it was made by is not known.
 * values are those of the statements below.
 */
static void
restore_row(Retry *again, Datum values[6], const char *nulls)
{
	Oid types[] = {TIMESTAMPTZOID, TEXTOID,		   INT4OID, JSONBOID,
				   JSONBOID,	   TIMESTAMPTZOID, TEXTOID};
	Datum row[] = {values[0], values[1], (Datum) 0, values[4],
				   values[5], (Datum) 0, (Datum) 0};
	char row_nulls[] = "       ";
	HeapTuple found;
	TupleDesc desc;
	bool is_null;

	wt_introduce();
	row[6] = CStringGetTextDatum(wt_collector.name);
	row_nulls[2] = row_nulls[5] = 'n';
	row_nulls[4] = nulls[5];
	run("SELECT (r->>'event_timestamp')::timestamptz, (r->>'status')::integer, d || "
		"jsonb_build_object('via', CASE WHEN NOT d ? 'via' THEN '[]' "
		"WHEN jsonb_typeof(d->'via') = 'array' THEN d->'via' "
		"ELSE jsonb_build_array(d->'via') END || "
		"jsonb_strip_nulls(jsonb_build_object('ip', $4->'ip', 'time', $4->'time', "
		"'from', nullif(split_part($4->'headers'->>'windtrap-collector', ';', 1), ''), "
		"'collector', CASE WHEN NOT $4 ? 'via' THEN $7 END)) || "
		"coalesce($4->'via', '[]')) || "
		"CASE WHEN $5 ? 'repaired' THEN '{\"repaired\": true}'::jsonb ELSE '{}' END "
		"FROM (SELECT $5->'json', $5 #> '{json,data}') AS line (r, d) "
		"WHERE jsonb_typeof(d) = 'object' AND jsonb_typeof(d->'id') = 'string' "
		"AND jsonb_typeof(r->'event_timestamp') = 'string' "
		"AND jsonb_typeof(r->'status') = 'number'",
		7, types, row, row_nulls, true);
	if (SPI_processed == 0)
	{
		again->error = pstrdup("this is no row of a collector");
		return;
	}
	found = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	row[5] = SPI_getbinval(found, desc, 1, &is_null);
	row[2] = SPI_getbinval(found, desc, 2, &is_null);
	row[4] = SPI_getbinval(found, desc, 3, &is_null);
	row_nulls[2] = row_nulls[4] = row_nulls[5] = ' ';
	run(psprintf("UPDATE %s SET event_timestamp = $6, status = $3, data = $5 "
				 "WHERE event_timestamp = $1 AND status = 422 AND data->>'id' = $2",
				 wt_log_table_quote(again->scope->name)),
		7, types, row, row_nulls, false);
}

/* Whether what stands in for an event stands in for a row of another collector. */
static bool
is_forwarded(Datum data)
{
	JsonbValue value;

	return getKeyJsonValueFromContainer(&DatumGetJsonbP(data)->root, "protocol", 8,
										&value) &&
		   value.type == jbvString && value.val.string.len == 9 &&
		   memcmp(value.val.string.val, "forwarded", 9) == 0;
}

/* Parses it, and stores it where that went well. */
static void
retry(void *arg)
{
	Retry *again = arg;
	Oid types[] = {TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID};
	Datum values[6];
	char nulls[7] = "     n";
	int columns[] = {COLUMN_TIME, COLUMN_ID, COLUMN_RAW, COLUMN_ENCODING, COLUMN_DATA};
	bool is_null;

	for (int i = 0; i < (int) lengthof(columns); i++)
	{
		values[i] = SPI_getbinval(again->row, again->desc, columns[i], &is_null);
		nulls[i] = is_null ? 'n' : ' ';
	}
	if (again->raw)
	{
		values[2] = *again->raw;
		nulls[2] = ' ';
		nulls[3] = 'n';
	}
	values[5] = (Datum) 0;
	run("SELECT p, p->>'error' FROM windtrap.parse_event("
		"CASE WHEN $4 = 'base64' THEN decode($3, 'base64') "
		"ELSE convert_to($3, getdatabaseencoding()::name) END) AS p",
		5, types, values, nulls, true);
	values[5] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	nulls[5] = is_null ? 'n' : ' ';
	again->error = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	if (again->error)
		return;
	if (is_forwarded(values[4]))
	{
		restore_row(again, values, nulls);
		return;
	}
	run(psprintf(
			"UPDATE %s SET status = 0, data = ($5 - 'raw' - 'error' - 'encoding') || $6 "
			"WHERE event_timestamp = $1 AND status = 422 AND data->>'id' = $2",
			wt_log_table_quote(again->scope->name)),
		6, types, values, nulls, false);
}

/*
 * windtrap.retry_quarantined(ids text[] DEFAULT NULL) RETURNS SETOF (id, error)
 * windtrap.retry_quarantined(id text, raw text), likewise
 */
Datum
windtrap_retry_quarantined(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum ids = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	Datum raw = (Datum) 0;
	Scope scope;
	SPITupleTable *rows;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_NARGS() == 2)
	{
		raw = PG_GETARG_DATUM(1);
		ids = PointerGetDatum(construct_array(&ids, 1, TEXTOID, -1, false, TYPALIGN_INT));
	}
	if (!enter(&scope, false))
		return (Datum) 0;
	rows = read_quarantined(&scope, PG_ARGISNULL(0) ? NULL : &ids, false);
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		Retry again = {&scope, rows->vals[i], rows->tupdesc,
					   PG_NARGS() == 2 ? &raw : NULL, NULL};
		/* A trigger raises what it likes, and others go on. */
		ErrorData *raised = wt_attempt(retry, &again);
		const char *error = raised ? raised->message : again.error;
		Datum values[2];
		bool nulls[2];

		values[0] = SPI_getbinval(rows->vals[i], rows->tupdesc, COLUMN_ID, &nulls[0]);
		nulls[1] = (error == NULL);
		values[1] = error ? CStringGetTextDatum(error) : (Datum) 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	leave(&scope);
	return (Datum) 0;
}

/* windtrap.discard_quarantined(ids text[]) RETURNS bigint */
Datum
windtrap_discard_quarantined(PG_FUNCTION_ARGS)
{
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PG_GETARG_DATUM(0)};
	Scope scope;
	uint64 n;

	if (!enter(&scope, false))
		PG_RETURN_INT64(0);
	run(psprintf("DELETE FROM %s WHERE status = 422 AND data ? 'raw' AND data->>'id' = "
				 "ANY ($1)",
				 wt_log_table_quote(scope.name)),
		1, types, values, " ", false);
	n = SPI_processed;
	leave(&scope);
	PG_RETURN_INT64((int64) n);
}
