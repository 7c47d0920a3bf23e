/*
 * otlp_json.c
 *		OTLP's logs as JSON, by the rules of protobuf's JSON: members in any order, under either of
 *		two names; integers of 64 bits as numbers or strings; null is what is not there.
 *
 * The way to the records is walked in the text; tokens are made of one record at a time, and
 * of what surrounds it.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/otlp.h"

static bool
is_member(WtJsonText name, const char *camel, const char *snake)
{
	return wt_json_walk_is(name, camel) || wt_json_walk_is(name, snake);
}

static bool
is_null(WtJsonText value)
{
	return wt_json_walk_is(value, "null");
}

/* An array whose elements come later. */
static bool
take_array(WtJsonText value, WtOtlpRest *rest)
{
	WtJsonWalk walk;

	if (is_null(value))
		return true;
	if (!wt_json_walk_into(&walk, value, '['))
		return false;
	rest->next = walk.next;
	rest->end = walk.end;
	return true;
}

static bool
begin(WtOtlpState *state, const char *body, size_t length)
{
	const char *end = body + length;
	WtJsonText name;
	WtJsonText value;
	WtJsonWalk walk;

	if (length >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
		body += 3;
	if (!wt_json_walk_open(&walk, body, end, '{'))
		return false;
	while (wt_json_walk_member(&walk, &name, &value))
		if (is_member(name, "resourceLogs", "resource_logs") &&
			!take_array(value, &state->resource_logs))
			return false;
	return !walk.broken && wt_json_walk_is_all(&walk);
}

/* What ResourceLogs and ScopeLogs have. */
typedef struct Names
{
	const char *inner;
	const char *logs;
	const char *logs_snake;
} Names;

static const Names resource_names = {"resource", "scopeLogs", "scope_logs"};
static const Names scope_names = {"scope", "logRecords", "log_records"};

/* The members of ResourceLogs or ScopeLogs; false: it is none. */
static bool
read_logs(WtJsonWalk *walk, const Names *names, WtOtlpRest *logs, WtJsonText *inner,
		  WtJsonText *schema)
{
	WtJsonText name;
	WtJsonText value;

	while (wt_json_walk_member(walk, &name, &value))
		if (is_member(name, names->logs, names->logs_snake))
		{
			if (!take_array(value, logs))
				return false;
		}
		else if (is_null(value))
			continue;
		else if (wt_json_walk_is(name, names->inner))
			*inner = value;
		else if (is_member(name, "schemaUrl", "schema_url"))
			*schema = value;
	return !walk->broken;
}

/* Takes the next element of an array, and finds its logs and what surrounds them. */
static WtOtlpResult
enter(WtOtlpRest *outer, const Names *names, WtOtlpRest *logs, WtJsonText *inner,
	  WtJsonText *schema)
{
	WtJsonWalk elements = {.next = outer->next, .end = outer->end};
	WtJsonWalk members;
	WtJsonText value;

	*logs = (WtOtlpRest){NULL, NULL};
	*inner = *schema = (WtJsonText){NULL, 0};
	if (elements.next == elements.end)
		return WT_OTLP_NONE;
	if (wt_json_walk_open_element(&elements, &members))
	{
		if (!read_logs(&members, names, logs, inner, schema) ||
			!wt_json_walk_pass(&elements, &members))
			return WT_OTLP_BROKEN;
	}
	else if (!wt_json_walk_element(&elements, &value) || !is_null(value))
		return WT_OTLP_BROKEN;
	outer->next = elements.next;
	return WT_OTLP_FOUND;
}

static WtOtlpResult
next_resource(WtOtlpState *state)
{
	return enter(&state->resource_logs, &resource_names, &state->scope_logs,
				 &state->resource, &state->resource_schema);
}

static WtOtlpResult
next_scope(WtOtlpState *state)
{
	return enter(&state->scope_logs, &scope_names, &state->records, &state->scope,
				 &state->scope_schema);
}

static WtOtlpResult
next_record(WtOtlpState *state, WtJsonText *record)
{
	WtJsonWalk records = {.next = state->records.next, .end = state->records.end};

	if (records.next == records.end)
		return WT_OTLP_NONE;
	if (!wt_json_walk_element(&records, record))
		return WT_OTLP_BROKEN;
	state->records.next = records.next;
	return WT_OTLP_FOUND;
}

/*
 * Values.  Tokens are copied, so that those of the text are told by index: both they and their
 * texts may move.  What builds values calls itself for what is nested; tokens have no more
 * than WT_JSON_MAX_DEPTH levels.
 */

static void build_value(WtBuild *build, uint32_t i);

static const WtJsonToken *
token(const WtBuild *build, uint32_t i)
{
	return &build->json->tokens[i];
}

static bool
is_text(const WtJsonToken *t, const char *text)
{
	return t->length == strlen(text) && memcmp(t->u.text, text, t->length) == 0;
}

/* The first of an object's members with either name; 0: there is none. */
static uint32_t
find(const WtBuild *build, uint32_t object, const char *camel, const char *snake)
{
	uint32_t i = 0;

	if (wt_json_find(build->json, object, camel, &i) ||
		(snake && wt_json_find(build->json, object, snake, &i)))
		return i;
	return 0;
}

/*
 * A string that is a number, which is one where it can be: integers are copied digit by digit,
 * for a double has no room for 64 bits.
 */
static void
build_number(WtBuild *build, uint32_t i, bool integer)
{
	char text[64];
	const WtJsonToken *t = token(build, i);
	size_t length = t->length;
	size_t sign;
	char *end;
	double value;

	if (t->type != WT_JSON_STRING || length == 0 || length >= sizeof(text))
	{
		wt_build_token(build, i);
		return;
	}
	memcpy(text, t->u.text, length);
	text[length] = '\0';
	sign = text[0] == '-';
	if (strspn(text + sign, "0123456789") == length - sign && length > sign &&
		(text[sign] != '0' || length == sign + 1))
		wt_build_number(build, text, length);
	else if (!integer && strspn(text, "0123456789+-.eE") == length &&
			 (value = strtod(text, &end), *end == '\0'))
		wt_build_double(build, value);
	else
		wt_build_token(build, i);
}

/* The pairs of an array of KeyValues as members of the object that is open. */
static void
build_attributes(WtBuild *build, uint32_t array)
{
	uint32_t n;
	uint32_t i = array + 1;

	if (array == 0 || token(build, array)->type != WT_JSON_ARRAY)
		return;
	n = token(build, array)->length;
	for (uint32_t k = 0; k < n; k++)
	{
		uint32_t key = find(build, i, "key", NULL);
		uint32_t value = find(build, i, "value", NULL);

		if (key != 0 && token(build, key)->type == WT_JSON_STRING)
			wt_build_name(build, token(build, key)->u.text, token(build, key)->length);
		else
			wt_build_key(build, "");
		if (value != 0)
			build_value(build, value);
		else
			wt_build_null(build);
		i = wt_json_after(build->json, i);
	}
}

/* An ArrayValue or KeyvalueList. */
static void
build_values(WtBuild *build, uint32_t list, WtJsonType type)
{
	uint32_t array = find(build, list, "values", NULL);

	wt_build_open(build, type);
	if (build->too_deep || build->out_of_memory)
		return;
	if (type == WT_JSON_OBJECT)
		build_attributes(build, array);
	else if (array != 0 && token(build, array)->type == WT_JSON_ARRAY)
	{
		uint32_t n = token(build, array)->length;
		uint32_t i = array + 1;

		for (uint32_t k = 0; k < n; k++)
		{
			build_value(build, i);
			i = wt_json_after(build->json, i);
		}
	}
	wt_build_close(build);
}

/* The kinds of an AnyValue that have to be made something else. */
typedef enum Value
{
	VALUE_NONE,
	VALUE_AS_IT_IS,
	VALUE_INT,
	VALUE_DOUBLE,
	VALUE_ARRAY,
	VALUE_KVLIST
} Value;

static Value
value_of(const WtJsonToken *name)
{
	static const struct
	{
		const char *camel;
		const char *snake;
		Value value;
	} names[] = {
		{"stringValue", "string_value", VALUE_AS_IT_IS},
		{"intValue", "int_value", VALUE_INT},
		{"boolValue", "bool_value", VALUE_AS_IT_IS},
		{"doubleValue", "double_value", VALUE_DOUBLE},
		{"kvlistValue", "kvlist_value", VALUE_KVLIST},
		{"arrayValue", "array_value", VALUE_ARRAY},
		{"bytesValue", "bytes_value", VALUE_AS_IT_IS},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_text(name, names[i].camel) || is_text(name, names[i].snake))
			return names[i].value;
	return VALUE_NONE;
}

/* An AnyValue; what is no object is taken as it is. */
static void
build_value(WtBuild *build, uint32_t i)
{
	Value value = VALUE_NONE;
	uint32_t found = 0;
	uint32_t next = i + 1;

	if (token(build, i)->type != WT_JSON_OBJECT)
	{
		wt_build_token(build, i);
		return;
	}
	for (uint32_t k = 0; k < token(build, i)->length; k++)
	{
		Value v = value_of(token(build, next));

		if (v != VALUE_NONE && token(build, next + 1)->type != WT_JSON_NULL)
		{
			value = v;
			found = next + 1;
		}
		next = wt_json_after(build->json, next + 1);
	}
	switch (value)
	{
		case VALUE_NONE:
			wt_build_null(build);
			break;
		case VALUE_AS_IT_IS:
			wt_build_token(build, found);
			break;
		case VALUE_INT:
		case VALUE_DOUBLE:
			build_number(build, found, value == VALUE_INT);
			break;
		case VALUE_ARRAY:
			build_values(build, found, WT_JSON_ARRAY);
			break;
		case VALUE_KVLIST:
			build_values(build, found, WT_JSON_OBJECT);
			break;
	}
}

/*
 * Messages
 */

/* ns since 1970; false: it is no such number. */
static bool
read_time(const WtJsonToken *t, uint64_t *time)
{
	uint64_t v = 0;

	if ((t->type != WT_JSON_STRING && t->type != WT_JSON_NUMBER) || t->length > 20)
		return false;
	for (uint32_t i = 0; i < t->length; i++)
	{
		unsigned digit = (unsigned) (t->u.text[i] - '0');

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*time = v;
	return true;
}

/* Whether a member has nothing but its default. */
static bool
is_default(const WtJsonToken *t, WtOtlpKind kind)
{
	if (t->type == WT_JSON_NULL)
		return true;
	if (kind == WT_OTLP_VALUE)
		return false;
	if (t->type == WT_JSON_NUMBER || (t->type == WT_JSON_STRING && kind < WT_OTLP_TEXT))
		return is_text(t, "0") || t->length == 0;
	return (t->type == WT_JSON_STRING || t->type == WT_JSON_ARRAY) && t->length == 0;
}

static void build_members(WtBuild *build, const WtOtlpMember *members, uint32_t object,
						  WtOtlpTimes *times);

static void
build_entities(WtBuild *build, uint32_t array)
{
	uint32_t n = token(build, array)->length;
	uint32_t i = array + 1;

	wt_build_open(build, WT_JSON_ARRAY);
	for (uint32_t k = 0; k < n; k++)
	{
		wt_build_open(build, WT_JSON_OBJECT);
		build_members(build, wt_otlp_entity, i, NULL);
		wt_build_close(build);
		i = wt_json_after(build->json, i);
	}
	wt_build_close(build);
}

static void
build_member(WtBuild *build, const WtOtlpMember *member, uint32_t i, WtOtlpTimes *times)
{
	bool is_array = token(build, i)->type == WT_JSON_ARRAY;
	uint64_t *time;

	wt_build_key(build, member->snake);
	switch (member->kind)
	{
		case WT_OTLP_TIME:
		case WT_OTLP_OBSERVED:
			time = member->kind == WT_OTLP_TIME ? &times->time : &times->observed;
			if (read_time(token(build, i), time))
				wt_build_uint(build, *time);
			else
			{
				times->unreadable = wt_build_next(build);
				wt_build_token(build, i);
			}
			break;
		case WT_OTLP_ENUM:
		case WT_OTLP_COUNT:
		case WT_OTLP_FLAGS:
			build_number(build, i, true);
			break;
		case WT_OTLP_VALUE:
			build_value(build, i);
			break;
		case WT_OTLP_ATTRIBUTES:
			if (is_array)
			{
				wt_build_open(build, WT_JSON_OBJECT);
				build_attributes(build, i);
				wt_build_close(build);
				break;
			}
			wt_build_token(build, i);
			break;
		case WT_OTLP_ENTITIES:
			if (is_array)
			{
				build_entities(build, i);
				break;
			}
			wt_build_token(build, i);
			break;
		case WT_OTLP_TEXT:
		case WT_OTLP_ID:
		case WT_OTLP_TEXTS:
			wt_build_token(build, i);
			break;
	}
}

/* The members of the object that is open; times is for a record's. */
static void
build_members(WtBuild *build, const WtOtlpMember *members, uint32_t object,
			  WtOtlpTimes *times)
{
	uint32_t next = object + 1;

	if (token(build, object)->type != WT_JSON_OBJECT)
		return;
	for (uint32_t k = 0; k < token(build, object)->length; k++)
	{
		const WtJsonToken *name = token(build, next);
		const WtOtlpMember *member = members;

		while (member->number != 0 && !is_text(name, member->camel) &&
			   !is_text(name, member->snake))
			member++;
		if (member->number != 0 && !is_default(token(build, next + 1), member->kind))
			build_member(build, member, next + 1, times);
		next = wt_json_after(build->json, next + 1);
	}
}

/*
 * Makes tokens of a text, which may be nested so deep; of one that is not there none, and *token
 * is UINT32_MAX.
 */
static WtOtlpResult
parse(WtBuild *build, WtJsonText text, int levels, uint32_t *token)
{
	WtJsonError error;

	*token = UINT32_MAX;
	if (!text.text || build->out_of_memory)
		return WT_OTLP_FOUND;
	*token = wt_build_next(build);
	switch (wt_json_append(build->json, text.text, text.length, levels, &error))
	{
		case WT_JSON_OK:
			return WT_OTLP_FOUND;
		case WT_JSON_OUT_OF_MEMORY:
			build->out_of_memory = true;
			return WT_OTLP_FOUND;
		case WT_JSON_UNFIT:
			return WT_OTLP_UNFIT;
		default:
			return WT_OTLP_BROKEN;
	}
}

/* A resource or a scope, with the URL of its schema. */
static void
build_surrounding(WtBuild *build, const char *name, const WtOtlpMember *members,
				  uint32_t object, uint32_t schema)
{
	bool has_object = object != UINT32_MAX && token(build, object)->length > 0;
	bool has_schema =
		schema != UINT32_MAX && !is_default(token(build, schema), WT_OTLP_TEXT);

	if (!has_object && !has_schema)
		return;
	wt_build_key(build, name);
	wt_build_open(build, WT_JSON_OBJECT);
	if (has_object)
		build_members(build, members, object, NULL);
	if (has_schema)
	{
		wt_build_key(build, "schema_url");
		wt_build_token(build, schema);
	}
	wt_build_close(build);
}

static WtOtlpResult
build_context(WtBuild *build, const WtOtlpState *state, uint32_t *token)
{
	const WtJsonText texts[] = {state->resource, state->resource_schema, state->scope,
								state->scope_schema};
	uint32_t tokens[4];

	for (int i = 0; i < 4; i++)
	{
		/* It comes to stand two levels deeper. */
		WtOtlpResult result = parse(build, texts[i], WT_JSON_MAX_DEPTH - 2, &tokens[i]);

		if (result != WT_OTLP_FOUND)
			return result;
	}
	*token = wt_build_next(build);
	if (build->out_of_memory)
		return WT_OTLP_FOUND;
	wt_build_open(build, WT_JSON_OBJECT);
	build_surrounding(build, "resource", wt_otlp_resource, tokens[0], tokens[1]);
	build_surrounding(build, "scope", wt_otlp_scope, tokens[2], tokens[3]);
	wt_build_close(build);
	return WT_OTLP_FOUND;
}

static WtOtlpResult
build_record(WtBuild *build, WtJsonText record, uint32_t *token, WtOtlpTimes *times)
{
	uint32_t object;
	WtOtlpResult result = parse(build, record, WT_JSON_MAX_DEPTH, &object);

	*token = wt_build_next(build);
	if (result != WT_OTLP_FOUND || build->out_of_memory)
		return result;
	if (build->json->tokens[object].type != WT_JSON_OBJECT)
		return WT_OTLP_BROKEN;
	wt_build_open(build, WT_JSON_OBJECT);
	build_members(build, wt_otlp_record, object, times);
	wt_build_close(build);
	return WT_OTLP_FOUND;
}

const WtOtlpFormat wt_otlp_json = {
	.begin = begin,
	.next_resource = next_resource,
	.next_scope = next_scope,
	.next_record = next_record,
	.build_context = build_context,
	.build_record = build_record,
};
