/*
 * otlp_protobuf.c
 *		OTLP's logs as protobuf.
 *
 * Fields come in any order: what surrounds records may stand behind them, so that a message
 * is looked through for that before its records are read.
 */
#include <string.h>

#include "event/protobuf.h"
#include "protocol/otlp.h"

/* The field of a request. */
#define RESOURCE_LOGS 1

/* Those of ResourceLogs and of ScopeLogs. */
#define INNER 1 /* the resource, the scope */
#define LOGS 2	/* ScopeLogs, records */
#define SCHEMA_URL 3

static bool
begin(WtOtlpState *state, const char *body, size_t length)
{
	state->resource_logs.next = body;
	state->resource_logs.end = body + length;
	return true;
}

/* The next field of that number in what is left of a message. */
static WtOtlpResult
next_message(WtOtlpRest *rest, uint32_t number, WtJsonText *found)
{
	WtProtobuf message = {rest->next, rest->end, false};
	WtProtobufField field;

	while (wt_protobuf_next(&message, &field))
	{
		if (!wt_protobuf_is(&field, number, WT_PROTOBUF_BYTES))
			continue;
		found->text = field.bytes;
		found->length = field.length;
		rest->next = message.next;
		return WT_OTLP_FOUND;
	}
	rest->next = rest->end;
	return message.broken ? WT_OTLP_BROKEN : WT_OTLP_NONE;
}

/* Takes the next message for what rest is of, and finds what surrounds its logs. */
static WtOtlpResult
enter(WtOtlpRest *outer, uint32_t number, WtOtlpRest *rest, WtJsonText *inner,
	  WtJsonText *schema)
{
	WtJsonText found;
	WtProtobuf message;
	WtProtobufField field;
	WtOtlpResult result = next_message(outer, number, &found);

	if (result != WT_OTLP_FOUND)
		return result;
	*inner = *schema = (WtJsonText){NULL, 0};
	wt_protobuf_begin(&message, found.text, found.length);
	while (wt_protobuf_next(&message, &field))
	{
		WtJsonText *wanted = wt_protobuf_is(&field, INNER, WT_PROTOBUF_BYTES) ? inner
							 : wt_protobuf_is(&field, SCHEMA_URL, WT_PROTOBUF_BYTES)
								 ? schema
								 : NULL;

		if (wanted)
			*wanted = (WtJsonText){field.bytes, field.length};
	}
	rest->next = found.text;
	rest->end = found.text + found.length;
	return message.broken ? WT_OTLP_BROKEN : WT_OTLP_FOUND;
}

static WtOtlpResult
next_resource(WtOtlpState *state)
{
	return enter(&state->resource_logs, RESOURCE_LOGS, &state->scope_logs,
				 &state->resource, &state->resource_schema);
}

static WtOtlpResult
next_scope(WtOtlpState *state)
{
	return enter(&state->scope_logs, LOGS, &state->records, &state->scope,
				 &state->scope_schema);
}

static WtOtlpResult
next_record(WtOtlpState *state, WtJsonText *record)
{
	return next_message(&state->records, LOGS, record);
}

/*
 * Values.  What builds them calls itself for what is nested, no deeper than tokens may be; it
 * gives false where a message is broken.
 */

static bool build_value(WtBuild *build, const char *bytes, size_t length);

/* A KeyValue as a member; key_strindex, which other signals have, is no name. */
static bool
build_attribute(WtBuild *build, const char *bytes, size_t length)
{
	WtProtobuf message;
	WtProtobufField field;
	WtJsonText key = {"", 0};
	WtJsonText value = {"", 0};

	wt_protobuf_begin(&message, bytes, length);
	while (wt_protobuf_next(&message, &field))
		if (wt_protobuf_is(&field, 1, WT_PROTOBUF_BYTES))
			key = (WtJsonText){field.bytes, field.length};
		else if (wt_protobuf_is(&field, 2, WT_PROTOBUF_BYTES))
			value = (WtJsonText){field.bytes, field.length};
	if (message.broken)
		return false;
	wt_build_name(build, key.text, key.length);
	return build_value(build, value.text, value.length);
}

/* An ArrayValue or KeyValueList. */
static bool
build_values(WtBuild *build, WtJsonType type, const char *bytes, size_t length)
{
	WtProtobuf message;
	WtProtobufField field;
	bool good = true;

	wt_build_open(build, type);
	if (build->too_deep || build->out_of_memory)
		return true;
	wt_protobuf_begin(&message, bytes, length);
	while (good && wt_protobuf_next(&message, &field))
		if (wt_protobuf_is(&field, 1, WT_PROTOBUF_BYTES))
			good = type == WT_JSON_ARRAY
					   ? build_value(build, field.bytes, field.length)
					   : build_attribute(build, field.bytes, field.length);
	wt_build_close(build);
	return good && !message.broken;
}

/* An AnyValue; of several the last counts, and one that is not set is null. */
static bool
build_value(WtBuild *build, const char *bytes, size_t length)
{
	WtProtobuf message;
	WtProtobufField field;
	WtProtobufField value = {0};
	double number;

	wt_protobuf_begin(&message, bytes, length);
	while (wt_protobuf_next(&message, &field))
	{
		WtProtobufWire wire = field.number == 2 || field.number == 3 ? WT_PROTOBUF_VARINT
							  : field.number == 4					 ? WT_PROTOBUF_FIXED64
																	 : WT_PROTOBUF_BYTES;

		if (field.number <= 7 && field.wire == wire)
			value = field;
	}
	if (message.broken)
		return false;
	switch (value.number)
	{
		case 1:
			wt_build_string(build, value.bytes, value.length);
			break;
		case 2:
			wt_build_bool(build, value.value != 0);
			break;
		case 3:
			wt_build_int(build, (int64_t) value.value);
			break;
		case 4:
			memcpy(&number, &value.value, sizeof(number));
			wt_build_double(build, number);
			break;
		case 5:
			return build_values(build, WT_JSON_ARRAY, value.bytes, value.length);
		case 6:
			return build_values(build, WT_JSON_OBJECT, value.bytes, value.length);
		case 7:
			wt_build_base64(build, value.bytes, value.length);
			break;
		default:
			wt_build_null(build);
	}
	return true;
}

/*
 * Messages
 */

static WtProtobufWire
wire_of(WtOtlpKind kind)
{
	switch (kind)
	{
		case WT_OTLP_TIME:
		case WT_OTLP_OBSERVED:
			return WT_PROTOBUF_FIXED64;
		case WT_OTLP_ENUM:
		case WT_OTLP_COUNT:
			return WT_PROTOBUF_VARINT;
		case WT_OTLP_FLAGS:
			return WT_PROTOBUF_FIXED32;
		default:
			return WT_PROTOBUF_BYTES;
	}
}

static bool build_members(WtBuild *build, const WtOtlpMember *members, const char *bytes,
						  size_t length, WtOtlpTimes *times);

/*
 * All fields of the member, the first of which is followed by what is left of a message; of
 * which those are passed that follow the first without another between them.
 */
static bool
build_repeated(WtBuild *build, const WtOtlpMember *member, WtProtobuf *rest,
			   WtProtobufField first)
{
	bool attributes = member->kind == WT_OTLP_ATTRIBUTES;
	WtProtobuf message = *rest;
	WtProtobufField field = first;
	bool together = true;
	bool good = true;

	wt_build_key(build, member->snake);
	wt_build_open(build, attributes ? WT_JSON_OBJECT : WT_JSON_ARRAY);
	do
	{
		if (!wt_protobuf_is(&field, member->number, WT_PROTOBUF_BYTES))
		{
			together = false;
			continue;
		}
		if (together)
			rest->next = message.next;
		if (attributes)
			good = build_attribute(build, field.bytes, field.length);
		else if (member->kind == WT_OTLP_TEXTS)
			wt_build_string(build, field.bytes, field.length);
		else
		{
			wt_build_open(build, WT_JSON_OBJECT);
			good = build_members(build, wt_otlp_entity, field.bytes, field.length, NULL);
			wt_build_close(build);
		}
	} while (good && wt_protobuf_next(&message, &field));
	wt_build_close(build);
	return good;
}

static bool
build_member(WtBuild *build, const WtOtlpMember *member, const WtProtobufField *field,
			 WtOtlpTimes *times)
{
	if (member->kind != WT_OTLP_VALUE && field->value == 0 && field->length == 0)
		return true;
	wt_build_key(build, member->snake);
	switch (member->kind)
	{
		case WT_OTLP_TIME:
			times->time = field->value;
			wt_build_uint(build, field->value);
			break;
		case WT_OTLP_OBSERVED:
			times->observed = field->value;
			wt_build_uint(build, field->value);
			break;
		case WT_OTLP_ENUM:
			wt_build_int(build, (int32_t) field->value);
			break;
		case WT_OTLP_COUNT:
		case WT_OTLP_FLAGS:
			wt_build_uint(build, (uint32_t) field->value);
			break;
		case WT_OTLP_TEXT:
			wt_build_string(build, field->bytes, field->length);
			break;
		case WT_OTLP_ID:
			wt_build_hex(build, field->bytes, field->length);
			break;
		default:
			return build_value(build, field->bytes, field->length);
	}
	return true;
}

/* The members of the object that is open; times is for a record's. */
static bool
build_members(WtBuild *build, const WtOtlpMember *members, const char *bytes,
			  size_t length, WtOtlpTimes *times)
{
	WtProtobuf message;
	WtProtobufField field;
	uint32_t built =
		0; /* numbers of repeated fields, all of which were built at the first */

	wt_protobuf_begin(&message, bytes, length);
	while (wt_protobuf_next(&message, &field))
	{
		const WtOtlpMember *member = members;
		bool good = true;

		while (member->number != 0 && member->number != field.number)
			member++;
		if (member->number == 0 || field.wire != wire_of(member->kind))
			continue;
		if (member->kind < WT_OTLP_ATTRIBUTES)
			good = build_member(build, member, &field, times);
		else if ((built & UINT32_C(1) << member->number) == 0)
		{
			built |= UINT32_C(1) << member->number;
			good = build_repeated(build, member, &message, field);
		}
		if (!good)
			return false;
	}
	return !message.broken;
}

/* A resource or a scope, with the URL of its schema. */
static bool
build_surrounding(WtBuild *build, const char *name, const WtOtlpMember *members,
				  WtJsonText message, WtJsonText schema)
{
	bool good = true;

	if (message.length == 0 && schema.length == 0)
		return true;
	wt_build_key(build, name);
	wt_build_open(build, WT_JSON_OBJECT);
	if (message.length > 0)
		good = build_members(build, members, message.text, message.length, NULL);
	if (schema.length > 0)
	{
		wt_build_key(build, "schema_url");
		wt_build_string(build, schema.text, schema.length);
	}
	wt_build_close(build);
	return good;
}

static WtOtlpResult
build_context(WtBuild *build, const WtOtlpState *state, uint32_t *token)
{
	bool good;

	*token = wt_build_next(build);
	wt_build_open(build, WT_JSON_OBJECT);
	good = build_surrounding(build, "resource", wt_otlp_resource, state->resource,
							 state->resource_schema) &&
		   build_surrounding(build, "scope", wt_otlp_scope, state->scope,
							 state->scope_schema);
	wt_build_close(build);
	return good ? WT_OTLP_FOUND : WT_OTLP_BROKEN;
}

static WtOtlpResult
build_record(WtBuild *build, WtJsonText record, uint32_t *token, WtOtlpTimes *times)
{
	bool good;

	*token = wt_build_next(build);
	wt_build_open(build, WT_JSON_OBJECT);
	good = build_members(build, wt_otlp_record, record.text, record.length, times);
	wt_build_close(build);
	return good ? WT_OTLP_FOUND : WT_OTLP_BROKEN;
}

const WtOtlpFormat wt_otlp_protobuf = {
	.begin = begin,
	.next_resource = next_resource,
	.next_scope = next_scope,
	.next_record = next_record,
	.build_context = build_context,
	.build_record = build_record,
};
