/*
 * statement.c
 *		How rows reach the log table: the statements that insert them.
 *
 * Words:
 *	batch		rows in a tuplestore, which the statement sees by name
 *	many		rows as three arrays, for a table that is planned elsewhere
 *	one			a row as three values, likewise.  What a node of Citus raises while rows are
 *				copied to it loses its code on the way; what it raises for a statement of one
 *				row does not.  So this is tried, and undone, where a row alone is to be judged;
 *				what is stored is stored by the other one, whose commit has two phases
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"

#include "base/identity.h"
#include "base/sql.h"
#include "store/insert.h"
#include "store/log_table.h"
#include "store/statement.h"

/* The name under which the statement sees the batch. */
static char batch_name[] = "windtrap_batch";

/* A batch stays in memory up to here, kB; it is bounded by max_inflight before. */
#define BATCH_MEMORY (1024 * 1024)

/* Rows of one statement; between two of them others are served. */
#define MAX_BATCH_ROWS 1000

/*
 * Each statement of many costs round trips to the nodes, which rows do not: as many as come at
 * once.  And bytes: an array must stay far below the largest that there is.
 */
#define MAX_MANY_ROWS 10000
#define MAX_MANY_BYTES (64 * 1024 * 1024)

/*
 * Citus copies rows by a connection for each shard that they go to, and ends all but one again
 * at the end of the transaction.  For statements as small as ours that is most of their time.
 */
#define POOL_SIZE "citus.max_adaptive_executor_pool_size"

static const Oid one_types[] = {TIMESTAMPTZOID, JSONBOID, INT4OID};
static const Oid many_types[] = {TIMESTAMPTZARRAYOID, JSONBARRAYOID, INT4ARRAYOID};
#define N_PARAMS ((int) lengthof(one_types))

static Oid owner_of_plans;
static SPIPlanPtr batch_plan;
static SPIPlanPtr many_plan; /* NULL: the table is not planned elsewhere */
static SPIPlanPtr one_plan;
static bool one_connection; /* POOL_SIZE is to be 1 */

/* What the plans are about; they keep pointers to these. */
static WtInsertInto into_batch;
static WtInsertInto into_many;
static WtInsertInto into_one;

static Tuplestorestate *batch; /* until SPI_finish */

void
wt_statement_begin(int n)
{
	batch = tuplestore_begin_heap(false, false, BATCH_MEMORY);
	wt_insert_register(batch_name, batch, n);
}

static bool
has_modify_table(const Plan *plan)
{
	const ListCell *cell;

	if (!plan)
		return false;
	if (IsA(plan, ModifyTable))
		return true;
	/* An extension may watch over PostgreSQL's own (TimescaleDB does): that is its plan still. */
	if (IsA(plan, CustomScan))
		foreach (cell, ((const CustomScan *) plan)->custom_plans)
			if (has_modify_table(lfirst(cell)))
				return true;
	return has_modify_table(plan->lefttree) || has_modify_table(plan->righttree);
}

/* Whether a plan inserts by other means than PostgreSQL's executor. */
static bool
is_planned_elsewhere(SPIPlanPtr plan, Oid owner)
{
	Oid saved_role;
	int saved_context;
	CachedPlan *cached;
	const ListCell *cell;
	bool elsewhere = false;

	/* Planning evaluates functions that are the owner's. */
	wt_become(owner, &saved_role, &saved_context);
	cached = SPI_plan_get_cached_plan(plan);
	wt_restore(saved_role, saved_context);
	if (!cached)
		return false;
	foreach (cell, cached->stmt_list)
	{
		const PlannedStmt *statement = lfirst_node(PlannedStmt, cell);

		if (statement->commandType == CMD_INSERT && statement->planTree &&
			!has_modify_table(statement->planTree))
			elsewhere = true;
	}
	ReleaseCachedPlan(cached, CurrentResourceOwner);
	return elsewhere;
}

static void
forget(SPIPlanPtr *plan)
{
	SPIPlanPtr old = *plan;

	*plan = NULL;
	if (old)
		SPI_freeplan(old);
}

static void
prepare(SPIPlanPtr *plan, WtInsertInto *into, Oid relation, const Oid *types,
		const char *statement, Oid owner)
{
	SPIPlanPtr made;

	into->relation = relation;
	into->types = types;
	into->n_types = types ? N_PARAMS : 0;
	made = wt_insert_prepare(statement, into, owner);
	SPI_keepplan(made);
	*plan = made;
}

/* Whether there is a setting, and nobody has set it. */
static bool
is_left_alone(const char *setting)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(setting)};

	return GetConfigOption(setting, true, false) &&
		   wt_sql_run("SELECT FROM pg_settings WHERE name = $1 AND source = 'default'", 1,
					  types, values, NULL) == 1;
}

void
wt_statement_prepare(Oid relation, Oid owner, const RangeVar *name, bool look)
{
	bool elsewhere = many_plan != NULL;
	const char *quoted = wt_log_table_quote(name);

	forget(&batch_plan);
	forget(&many_plan);
	forget(&one_plan);
	owner_of_plans = owner;
	prepare(&batch_plan, &into_batch, relation, NULL,
			psprintf("INSERT INTO %s (event_timestamp, data, status) "
					 "SELECT event_timestamp, data, status FROM %s",
					 quoted, batch_name),
			owner);
	if (look)
		elsewhere = is_planned_elsewhere(batch_plan, owner);
	if (!elsewhere)
		return;
	one_connection = is_left_alone(POOL_SIZE);
	prepare(&one_plan, &into_one, relation, one_types,
			psprintf("INSERT INTO %s (event_timestamp, data, status) VALUES ($1, $2, $3)",
					 quoted),
			owner);
	prepare(&many_plan, &into_many, relation, many_types,
			psprintf("INSERT INTO %s (event_timestamp, data, status) "
					 "SELECT u.t, u.d, u.s FROM ROWS FROM (pg_catalog.unnest($1), "
					 "pg_catalog.unnest($2), pg_catalog.unnest($3)) AS u (t, d, s)",
					 quoted),
			owner);
}

bool
wt_statement_is_valid(void)
{
	return batch_plan && SPI_plan_is_valid(many_plan ? many_plan : batch_plan);
}

bool
wt_statement_is_elsewhere(void)
{
	return many_plan != NULL;
}

int
wt_statement_max_rows(void)
{
	return many_plan ? MAX_MANY_ROWS : MAX_BATCH_ROWS;
}

/* Executes a plan with parameters of the given types. */
static void
execute_elsewhere(SPIPlanPtr plan, const Oid *types, const Datum *values)
{
	ParamListInfo params = makeParamList(N_PARAMS);
	int nest_level = NewGUCNestLevel();

	for (int i = 0; i < N_PARAMS; i++)
	{
		params->params[i].value = values[i];
		params->params[i].ptype = types[i];
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].isnull = false;
	}
	/* Citus has no plan for parameters that are not known yet. */
	(void) set_config_option("plan_cache_mode", "force_custom_plan", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (one_connection)
		(void) set_config_option(POOL_SIZE, "1", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	wt_insert_execute(plan, owner_of_plans, params);
	AtEOXact_GUC(false, nest_level);
	pfree(params);
}

static void
run_many(Datum *const columns[N_PARAMS], int n)
{
	ArrayType *arrays[N_PARAMS] = {
		construct_array(columns[0], n, TIMESTAMPTZOID, sizeof(TimestampTz),
						FLOAT8PASSBYVAL, TYPALIGN_DOUBLE),
		construct_array(columns[1], n, JSONBOID, -1, false, TYPALIGN_INT),
		construct_array(columns[2], n, INT4OID, sizeof(int32), true, TYPALIGN_INT)};
	Datum values[N_PARAMS];

	for (int i = 0; i < N_PARAMS; i++)
		values[i] = PointerGetDatum(arrays[i]);
	execute_elsewhere(many_plan, many_types, values);
	for (int i = 0; i < N_PARAMS; i++)
		pfree(arrays[i]);
}

static void
run_elsewhere(WtRow *const *rows, int n_rows)
{
	Datum *columns[N_PARAMS];
	Size bytes = 0;
	int n = 0;
	bool done = false;

	for (int i = 0; i < N_PARAMS; i++)
		columns[i] = palloc(sizeof(Datum) * (Size) Max(n_rows, 1));
	for (int i = 0; i < n_rows; i++)
	{
		const WtRow *row = rows[i];

		if (row->result != WT_STORE_PENDING)
			continue;
		if (n > 0 && bytes + VARSIZE(row->data) > MAX_MANY_BYTES)
		{
			run_many(columns, n);
			done = true;
			n = 0;
			bytes = 0;
		}
		bytes += VARSIZE(row->data);
		columns[0][n] = TimestampTzGetDatum(row->event_timestamp);
		columns[1][n] = JsonbPGetDatum(row->data);
		columns[2][n++] = Int32GetDatum(row->status);
	}
	/* Without any row it is to show whether the table takes some. */
	if (n > 0 || !done)
		run_many(columns, n);
	for (int i = 0; i < N_PARAMS; i++)
		pfree(columns[i]);
}

void
wt_statement_run(WtRow *const *rows, int n_rows)
{
	if (many_plan)
	{
		run_elsewhere(rows, n_rows);
		return;
	}
	for (int i = 0; i < n_rows; i++)
		if (rows[i]->result == WT_STORE_PENDING)
			wt_insert_put(batch, rows[i]->event_timestamp, rows[i]->data,
						  rows[i]->status);
	wt_insert_execute(batch_plan, owner_of_plans, NULL);
}

/* Inserts a row by a statement of its own, and undoes it. */
static void
try_one(const WtRow *row)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;
	const Datum values[N_PARAMS] = {TimestampTzGetDatum(row->event_timestamp),
									JsonbPGetDatum(row->data),
									Int32GetDatum(row->status)};

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		execute_elsewhere(one_plan, one_types, values);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error)
		ReThrowError(error);
}

void
wt_statement_run_alone(WtRow *const *row)
{
	MemoryContext context = CurrentMemoryContext;

	try_one(*row);
	PG_TRY();
	{
		run_elsewhere(row, 1);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		/* The table takes the row, as was seen just now, so this cannot be the row's fault. */
		if (error->sqlerrcode == ERRCODE_INTERNAL_ERROR)
		{
			FlushErrorState();
			error->sqlerrcode = ERRCODE_CONNECTION_FAILURE;
			ReThrowError(error);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
}
