/*
 * elastic_bulk.c
 *		A body of Elasticsearch's _bulk → items: an action, and its document.
 *
 * What follows an action is its document, whatever it looks like, but for what can only be an
 * action whose predecessor has lost its document: see has_no_document.  What is broken costs
 * nothing but itself: the next line is where the next item begins.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/elastic_bulk.h"

const struct WtBulkOpWords wt_bulk_ops[WT_BULK_N_OPS] = {
	[WT_BULK_INDEX] = {"index", "created", 201},
	[WT_BULK_CREATE] = {"create", "created", 201},
	[WT_BULK_UPDATE] = {"update", "updated", 200},
	[WT_BULK_DELETE] = {"delete", "deleted", 200},
};

bool
wt_bulk_next_line(const char **next, const char *end, WtLine *line)
{
	const char *p = *next;
	const char *stop;

	while (p < end && wt_bulk_is_space(*p))
		p++;
	if (p == end)
	{
		*next = end;
		return false;
	}
	stop = memchr(p, '\n', (size_t) (end - p));
	if (!stop)
		stop = end;
	*next = stop;
	while (wt_bulk_is_space(stop[-1]))
		stop--;
	*line = (WtLine){p, (size_t) (stop - p)};
	return true;
}

/* The op that a member of an action is named by; WT_BULK_N_OPS: none. */
static WtBulkOp
op_named(const char *name, size_t length)
{
	for (int op = 0; op < WT_BULK_N_OPS; op++)
		if (strlen(wt_bulk_ops[op].name) == length &&
			memcmp(wt_bulk_ops[op].name, name, length) == 0)
			return (WtBulkOp) op;
	return WT_BULK_N_OPS;
}

/* The first member of the object at token i that names an op; *said is its value. */
static WtBulkOp
find_op(const WtJson *json, uint32_t i, uint32_t *said)
{
	const WtJsonToken *t = &json->tokens[i];
	uint32_t next = i + 1;

	if (t->type != WT_JSON_OBJECT)
		return WT_BULK_N_OPS;
	for (uint32_t k = 0; k < t->length; k++)
	{
		const WtJsonToken *name = &json->tokens[next];
		WtBulkOp op = op_named(name->u.text, name->length);

		*said = next + 1;
		if (op != WT_BULK_N_OPS)
			return op;
		next = wt_json_after(json, next + 1);
	}
	return WT_BULK_N_OPS;
}

/* Whether these are members that an action says something by, and nothing else. */
static bool
is_metadata(const WtJson *json, uint32_t i)
{
	static const char *const names[] = {"routing",
										"pipeline",
										"version",
										"version_type",
										"if_seq_no",
										"if_primary_term",
										"require_alias",
										"require_data_stream",
										"retry_on_conflict",
										"dynamic_templates",
										"list_executed_pipelines"};
	uint32_t next = i + 1;

	if (json->tokens[i].type != WT_JSON_OBJECT)
		return json->tokens[i].type == WT_JSON_NULL;
	for (uint32_t k = 0; k < json->tokens[i].length; k++)
	{
		const WtJsonToken *name = &json->tokens[next];
		bool known = name->length > 0 && name->u.text[0] == '_';

		for (size_t n = 0; !known && n < sizeof(names) / sizeof(names[0]); n++)
			known = name->length == strlen(names[n]) &&
					memcmp(name->u.text, names[n], name->length) == 0;
		if (!known)
			return false;
		next = wt_json_after(json, next + 1);
	}
	return true;
}

/*
 * Whether a line has the looks of an action; *op is which.  json's tokens stay as they are.
 * Nearly all documents are told by their first letters.
 */
static bool
looks_like_action(WtJson *json, const WtLine *line, size_t limit, WtBulkOp *op)
{
	const uint32_t n_tokens = json->n_tokens;
	const size_t used = json->scratch_used;
	const bool repaired = json->repaired;
	const bool repair = json->repair;
	const char *end = line->text + line->length;
	const char *p = line->text + 1;
	const char *name;
	uint32_t said;
	WtJsonError error;
	bool result;

	if (*line->text != '{' || line->length > limit)
		return false;
	while (p < end && wt_bulk_is_space(*p))
		p++;
	if (p == end || *p++ != '"')
		return false;
	name = p;
	while (p < end && *p >= 'a' && *p <= 'z')
		p++;
	if (op_named(name, (size_t) (p - name)) == WT_BULK_N_OPS)
		return false;
	json->repair = true;
	result = wt_json_append(json, line->text, line->length, WT_JSON_MAX_DEPTH, &error) ==
			 WT_JSON_OK;
	if (result)
	{
		*op = find_op(json, n_tokens, &said);
		result = *op != WT_BULK_N_OPS && said == n_tokens + 2 &&
				 json->tokens[n_tokens].length <= 2 && is_metadata(json, said);
	}
	json->n_tokens = n_tokens;
	json->scratch_used = used;
	json->repaired = repaired;
	json->repair = repair;
	return result;
}

/*
 * Whether the line that should be a document is the next action instead, because the document
 * is missing: it looks like an action, and what comes after it does not, and so would have none.
 * Where both do, the first is a document, of a service that writes of bulks.
 */
static bool
has_no_document(WtJson *json, const WtLine *line, const char *next, const char *end,
				size_t limit)
{
	WtLine after;
	WtBulkOp op;

	return looks_like_action(json, line, limit, &op) && op != WT_BULK_DELETE &&
		   wt_bulk_next_line(&next, end, &after) &&
		   !looks_like_action(json, &after, limit, &op);
}

static void __attribute__((format(printf, 3, 4)))
set_bad(WtBulkItem *item, WtReason reason, const char *format, ...)
{
	va_list args;

	item->good = false;
	item->reason = reason;
	va_start(args, format);
	vsnprintf(item->error, sizeof(item->error), format, args);
	va_end(args);
}

void
wt_bulk_set_json_error(WtBulkItem *item, const char *what, const WtLine *line,
					   WtJsonResult result, const WtJsonError *error)
{
	int row;
	int column;

	wt_json_position(line->text, error->offset, &row, &column);
	set_bad(item, result == WT_JSON_UNFIT ? WT_REASON_UNFIT : WT_REASON_BAD_JSON,
			"%s at line %d, column %d: %s", what, row, column, error->reason);
}

/*
 * Reads the action into json; what in its texts cannot be stored becomes U+FFFD there, which
 * json->repaired says.  *alone is set to false where the next line may belong to it even so.
 */
static WtBulkStep
read_action(WtJson *json, size_t limit, WtBulkItem *item, bool *alone)
{
	const bool repair = json->repair;
	const WtLine *line = &item->action;
	WtJsonError error;
	WtJsonResult r;

	*alone = false;
	if (line->length > limit)
	{
		set_bad(item, WT_REASON_EVENT_TOO_LARGE,
				"the action is larger than windtrap.max_event_size, %zu bytes", limit);
		return WT_BULK_ITEM;
	}
	json->repair = true;
	r = wt_json_parse(json, line->text, line->length, &error);
	json->repair = repair;
	if (r == WT_JSON_OUT_OF_MEMORY)
		return WT_BULK_OUT_OF_MEMORY;
	if (r != WT_JSON_OK)
	{
		wt_bulk_set_json_error(item, "bad action", line, r, &error);
		return WT_BULK_ITEM;
	}
	item->op = find_op(json, 0, &item->said);
	if (item->op == WT_BULK_N_OPS)
	{
		*alone = true;
		set_bad(
			item, WT_REASON_BAD_JSON,
			"no action: a line with index, create, update or delete should stand here");
	}
	else if (json->tokens[item->said].type != WT_JSON_OBJECT &&
			 json->tokens[item->said].type != WT_JSON_NULL)
		set_bad(item, WT_REASON_BAD_JSON, "bad action: what \"%s\" says is no object",
				wt_bulk_ops[item->op].name);
	return WT_BULK_ITEM;
}

WtBulkStep
wt_bulk_next_item(WtJson *json, const char **next, const char *end, size_t limit,
				  WtBulkItem *item)
{
	const char *ahead;
	bool alone = false;
	WtLine line;
	WtBulkOp op;

	if (!wt_bulk_next_line(next, end, &line))
		return WT_BULK_END;
	item->document = (WtLine){NULL, 0};
	if (!item->good || line.length != item->action.length ||
		memcmp(line.text, item->action.text, line.length) != 0)
	{
		*item = (WtBulkItem){.good = true, .action = line};
		if (read_action(json, limit, item, &alone) == WT_BULK_OUT_OF_MEMORY)
			return WT_BULK_OUT_OF_MEMORY;
	}
	item->action = line;
	if (item->good ? item->op == WT_BULK_DELETE : alone)
		return WT_BULK_ITEM;
	ahead = *next;
	if (!wt_bulk_next_line(&ahead, end, &line))
		return WT_BULK_ITEM;
	if (item->good)
	{
		if (has_no_document(json, &line, ahead, end, limit))
			return WT_BULK_ITEM;
	}
	else
	{
		/* A document must not be taken for an action because its own is broken. */
		json->n_tokens = 0;
		if (*item->action.text != '{' || *line.text != '{' ||
			looks_like_action(json, &line, limit, &op))
			return WT_BULK_ITEM;
	}
	item->document = line;
	*next = ahead;
	return WT_BULK_ITEM;
}

const WtJsonToken *
wt_bulk_said(const WtJson *json, const WtBulkItem *item, const char *name)
{
	const WtJsonToken *t;
	uint32_t i;

	if (!item->good || !wt_json_find(json, item->said, name, &i))
		return NULL;
	t = &json->tokens[i];
	return (t->type == WT_JSON_STRING || t->type == WT_JSON_NUMBER) && t->length > 0
			   ? t
			   : NULL;
}
