/*
 * nodes.c
 *		Where windtrap.tail() has got to on each node of Citus.
 *
 * A look has two steps.  First each node is asked for its position, then the rows are read; so
 * what a node counts as committed is seen by the statements of its shards, which begin later,
 * and what is committed in between is left to the next look.  That is exact on each node, whenever
 * the parts of a distributed transaction are committed there.
 *
 * A node that has come since gives nothing in the first look.  Where Citus moves a shard, its rows
 * are inserted on another node: those of the time that a look reads are new there.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/sql.h"
#include "search/nodes.h"
#include "search/position.h"
#include "search/rows.h"
#include "store/distributed.h"

PG_FUNCTION_INFO_V1(windtrap_tail_position);
PG_FUNCTION_INFO_V1(windtrap_tail_shard_row);

/* So that it can be told from the cursor of one server. */
#define FORM "n1"

/* What the rows of one statement are compared with. */
typedef struct Between
{
	const WtCursor *from; /* NULL: nothing is new here */
	const WtCursor *to;
	uint64 next;
} Between;

static const WtCursor *
find_node(const WtNodes *nodes, int32 group)
{
	for (int i = 0; i < nodes->n; i++)
		if (nodes->nodes[i].group == group)
			return &nodes->nodes[i].position;
	return NULL;
}

/* "n1", and for each node "_GROUP_CURSOR". */
char *
wt_nodes_write(const WtNodes *nodes)
{
	StringInfoData text;
	char cursor[WT_CURSOR_SIZE];

	initStringInfo(&text);
	appendStringInfoString(&text, FORM);
	for (int i = 0; i < nodes->n; i++)
	{
		wt_cursor_write(&nodes->nodes[i].position, cursor);
		appendStringInfo(&text, "_%d_%s", nodes->nodes[i].group, cursor);
	}
	return text.data;
}

WtNodes *
wt_nodes_read(const char *text)
{
	char *copy = pstrdup(text);
	int n = 0;
	char *rest = NULL;
	const char *word = strtok_r(copy, "_", &rest);
	WtNodes *nodes;

	if (!word || strcmp(word, FORM) != 0)
		return NULL;
	for (const char *p = text; *p; p++)
		n += *p == '_';
	nodes = palloc(WT_NODES_SIZE(n / 2 + 1));
	nodes->n = 0;
	while ((word = strtok_r(NULL, "_", &rest)) != NULL)
	{
		WtNodePosition *node = &nodes->nodes[nodes->n++];
		char *end;

		errno = 0;
		node->group = (int32) strtol(word, &end, 10);
		word = strtok_r(NULL, "_", &rest);
		if (errno || *end != '\0' || !word || !wt_cursor_read(word, &node->position))
			return NULL;
	}
	pfree(copy);
	return nodes->n > 0 ? nodes : NULL;
}

WtNodes *
wt_nodes_ask(const WtNodes *from)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(
		psprintf("SELECT windtrap.tail_position(%s)",
				 from ? quote_literal_cstr(wt_nodes_write(from)) : "NULL"))};
	MemoryContext context = CurrentMemoryContext;
	int n = (int) wt_search_run("SELECT success, result, nodeid "
								"FROM run_command_on_all_nodes($1, "
								"give_warning_for_connection_errors => false)",
								1, types, values);
	StringInfoData text;
	WtNodes *nodes;

	MemoryContextSwitchTo(context);
	initStringInfo(&text);
	appendStringInfoString(&text, FORM);
	for (int i = 0; i < n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool is_null;
		const char *result = SPI_getvalue(row, desc, 2);

		if (!DatumGetBool(SPI_getbinval(row, desc, 1, &is_null)) || !result)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("a node of Citus (%s) does not say what is committed: %s",
							SPI_getvalue(row, desc, 3), result ? result : "")));
		appendStringInfo(&text, "_%s", result);
	}
	SPI_freetuptable(SPI_tuptable);
	nodes = wt_nodes_read(text.data);
	if (!nodes)
		elog(ERROR, "nodes gave unreadable positions \"%s\"", text.data);
	pfree(text.data);
	return nodes;
}

static WtNodes *
read_argument(const text *argument)
{
	WtNodes *nodes = wt_nodes_read(text_to_cstring(argument));

	if (!nodes)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("what is given is no cursor of windtrap.tail() "
							   "over the nodes of Citus")));
	return nodes;
}

/* windtrap.tail_position(after text) → text: of this node, "GROUP_CURSOR" */
Datum
windtrap_tail_position(PG_FUNCTION_ARGS)
{
	WtNodes *before = PG_ARGISNULL(0) ? NULL : read_argument(PG_GETARG_TEXT_PP(0));
	const WtCursor *known;
	WtCursor from;
	WtCursor to = {0};
	char text[WT_CURSOR_SIZE];
	int32 group;

	wt_sql_connect();
	group = wt_node_group();
	known = before ? find_node(before, group) : NULL;
	if (known)
		from = *known;
	(void) wt_position_take(&to, known ? &from : NULL);
	PopActiveSnapshot();
	SPI_finish();
	wt_cursor_write(&to, text);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%d_%s", group, text)));
}

/* Whether the caller may read a relation, or one that it is a partition of. */
static bool
may_read(Oid relation)
{
	ListCell *cell;

	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	if (!get_rel_relispartition(relation))
		return false;
	foreach (cell, get_partition_ancestors(relation))
		if (pg_class_aclcheck(lfirst_oid(cell), GetUserId(), ACL_SELECT) == ACLCHECK_OK)
			return true;
	return false;
}

static Between *
find_between(FunctionCallInfo fcinfo)
{
	MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	Between *between = palloc0(sizeof(*between));
	const WtNodes *from = read_argument(PG_GETARG_TEXT_PP(4));
	const WtNodes *to = read_argument(PG_GETARG_TEXT_PP(5));
	int32 group;

	wt_sql_connect();
	group = wt_node_group();
	SPI_finish();
	between->to = find_node(to, group);
	between->from = between->to ? find_node(from, group) : NULL;
	between->next = U64FromFullTransactionId(ReadNextFullTransactionId());
	MemoryContextSwitchTo(before);
	return between;
}

/*
 * windtrap.tail_shard_row(xmin xid, tableoid oid, ctid tid, event_timestamp timestamptz, after text,
 * until text) → bool: whether a row of this node has become visible between what two cursors say
 * of it.  The cursors are the same for all rows of a statement.
 */
Datum
windtrap_tail_shard_row(PG_FUNCTION_ARGS)
{
	Between *between = fcinfo->flinfo->fn_extra;
	Oid relation = PG_GETARG_OID(1);

	if (!between)
		between = fcinfo->flinfo->fn_extra = find_between(fcinfo);
	PG_RETURN_BOOL(between->from &&
				   wt_position_is_new(between->from, between->to, between->next,
									  PG_GETARG_TRANSACTIONID(0), relation,
									  (ItemPointer) PG_GETARG_POINTER(2),
									  PG_GETARG_TIMESTAMPTZ(3)) &&
				   may_read(relation));
}
