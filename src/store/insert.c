/*
 * insert.c
 *		Rows → a table, by one statement of the table's owner.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/parsenodes.h"
#include "parser/parse_node.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/identity.h"
#include "store/insert.h"

TupleDesc
wt_insert_desc(void)
{
	static TupleDesc desc;

	if (!desc)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc made = CreateTemplateTupleDesc(3);

		TupleDescInitEntry(made, 1, "event_timestamp", TIMESTAMPTZOID, -1, 0);
		TupleDescInitEntry(made, 2, "data", JSONBOID, -1, 0);
		TupleDescInitEntry(made, 3, "status", INT4OID, -1, 0);
		desc = made;
		MemoryContextSwitchTo(old);
	}
	return desc;
}

void
wt_insert_put(Tuplestorestate *rows, TimestampTz event_timestamp, Jsonb *data,
			  int32 status)
{
	bool nulls[3] = {false, false, false};
	Datum values[3];

	values[0] = TimestampTzGetDatum(event_timestamp);
	values[1] = JsonbPGetDatum(data);
	values[2] = Int32GetDatum(status);
	tuplestore_putvalues(rows, wt_insert_desc(), values, nulls);
}

void
wt_insert_register(char *name, Tuplestorestate *rows, int n)
{
	/* SPI keeps the pointer. */
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	int rc;

	relation->md.name = name;
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = wt_insert_desc();
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = (double) n;
	relation->reldata = rows;
	rc = SPI_register_relation(relation);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows: %s", SPI_result_code_string(rc));
}

/*
 * The statement names its table, and PostgreSQL analyzes it again whenever something has
 * changed: its name may mean another table by then, since whoever owns the schema can rename
 * it and make another one, and a lock on the table does not keep him.  What he has put into
 * that one must not run as the owner of ours.  So each time the statement is analyzed this
 * looks, at the first column or parameter it refers to, whether it is about ours.
 */
static void
check_relation(ParseState *state)
{
	const WtInsertInto *into = state->p_ref_hook_state;

	while (state->parentParseState)
		state = state->parentParseState;
	if (!state->p_target_relation ||
		RelationGetRelid(state->p_target_relation) != into->relation)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("the table has just been replaced")));
}

static Node *
look_at_column(ParseState *state, ColumnRef *column)
{
	check_relation(state);
	return NULL;
}

static Node *
make_param(ParseState *state, ParamRef *ref)
{
	const WtInsertInto *into = state->p_ref_hook_state;
	Param *param;

	check_relation(state);
	if (ref->number < 1 || ref->number > into->n_types)
		return NULL;
	param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = ref->number;
	param->paramtype = into->types[ref->number - 1];
	param->paramtypmod = -1;
	param->location = ref->location;
	return (Node *) param;
}

static void
set_up_parser(ParseState *state, void *arg)
{
	state->p_pre_columnref_hook = look_at_column;
	state->p_paramref_hook = make_param;
	state->p_ref_hook_state = arg;
}

SPIPlanPtr
wt_insert_prepare(const char *statement, const WtInsertInto *into, Oid owner)
{
	Oid saved_role;
	int saved_context;
	SPIPlanPtr plan;

	wt_become(owner, &saved_role, &saved_context);
	plan = SPI_prepare_params(statement, set_up_parser, (void *) into, 0);
	if (!plan)
		elog(ERROR, "could not prepare \"%s\": %s", statement,
			 SPI_result_code_string(SPI_result));
	wt_restore(saved_role, saved_context);
	return plan;
}

void
wt_insert_execute(SPIPlanPtr plan, Oid owner, ParamListInfo params)
{
	ConstraintsSetStmt constraints = {.type = T_ConstraintsSetStmt, .deferred = false};
	int64 temporary = wt_count_temporary();
	Oid saved_role;
	int saved_context;
	int nest_level;
	int rc;

	wt_become(owner, &saved_role, &saved_context);
	nest_level = NewGUCNestLevel();

	/*
	 * Deferred triggers would fire at COMMIT, and there, before PostgreSQL 18, as the
	 * session's user: make them fire with the statement, while that is the owner.
	 */
	AfterTriggerSetState(&constraints);
	rc = params ? SPI_execute_plan_with_paramlist(plan, params, false, 0)
				: SPI_execute_plan(plan, NULL, NULL, false, 0);
	if (rc < 0)
		elog(ERROR, "could not insert: %s", SPI_result_code_string(rc));
	AtEOXact_GUC(false, nest_level);
	wt_restore(saved_role, saved_context);
	wt_refuse_temporary(temporary);
}
