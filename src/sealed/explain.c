/*
 * explain.c
 *		What EXPLAIN says of the scan of a sealed partition.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "sealed/scan.h"
#include "sealed/stored_columns.h"

static void
show_clauses(ForeignScanState *node, WtScan *s, ExplainState *es)
{
	List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);
	Node *all = (Node *) make_ands_explicit(s->clauses);

	ExplainPropertyText("Chunk Filter",
						deparse_expression(all, context,
										   list_length(es->rtable) > 1 || es->verbose,
										   false),
						es);
}

static void
show_count(const char *label, uint64 n, ExplainState *es)
{
	if (n > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyUInteger(label, NULL, n, es);
}

void
wt_sealed_explain(ForeignScanState *node, ExplainState *es)
{
	WtScan *s = node->fdw_state;
	Relation relation = node->ss.ss_currentRelation;
	const WtScanCounts *c;

	if (s->clauses != NIL)
		show_clauses(node, s, es);
	ExplainPropertyText(
		"Documents",
		wt_needs_text(s->needs,
					  wt_stored_column(RelationGetRelid(relation), WT_STORED_DATA)),
		es);
	if (s->distinct)
		ExplainPropertyText("Rows", "different ones of a chunk", es);
	if (s->direction != 0)
		ExplainPropertyText("Order", s->direction > 0 ? "time" : "time, from the last",
							es);
	if (!es->analyze || s->chunks == NULL)
		return;
	if (!s->is_shown)
		wt_sealed_shutdown(node);
	c = s->is_shown ? &s->shown : &s->counts;
	ExplainPropertyUInteger("Chunks Read", NULL, c->read, es);
	show_count("Chunks Skipped by Time", c->by_time, es);
	show_count("Chunks Skipped by Range", c->by_range, es);
	show_count("Chunks Skipped by Values", c->by_values, es);
	show_count("Late Rows", c->late, es);
	if (es->verbose)
		ExplainPropertyUInteger("Compressed Bytes", NULL, c->bytes, es);
}
