/*
 * otlp_decode.c
 *		The records of OTLP's logs as events, in whichever encoding they come.
 */
#include <string.h>
#include <strings.h>

#include "protocol/otlp.h"

/*
 * What surrounds records is stored with each of them.  For all records of a body together that
 * may come to so many times the body, and so many bytes in any case.
 */
#define MAX_SURROUNDING_RATIO 64
#define MAX_SURROUNDING_BYTES ((size_t) 16 * 1024 * 1024)

_Static_assert(sizeof(WtOtlpState) <= sizeof(((WtDecoder *) 0)->state),
			   "a decoder has room for it");

const WtOtlpMember wt_otlp_record[] = {
	{1, WT_OTLP_TIME, "timeUnixNano", "time_unix_nano"},
	{11, WT_OTLP_OBSERVED, "observedTimeUnixNano", "observed_time_unix_nano"},
	{2, WT_OTLP_ENUM, "severityNumber", "severity_number"},
	{3, WT_OTLP_TEXT, "severityText", "severity_text"},
	{5, WT_OTLP_VALUE, "body", "body"},
	{6, WT_OTLP_ATTRIBUTES, "attributes", "attributes"},
	{7, WT_OTLP_COUNT, "droppedAttributesCount", "dropped_attributes_count"},
	{8, WT_OTLP_FLAGS, "flags", "flags"},
	{9, WT_OTLP_ID, "traceId", "trace_id"},
	{10, WT_OTLP_ID, "spanId", "span_id"},
	{12, WT_OTLP_TEXT, "eventName", "event_name"},
	{0},
};

const WtOtlpMember wt_otlp_resource[] = {
	{1, WT_OTLP_ATTRIBUTES, "attributes", "attributes"},
	{2, WT_OTLP_COUNT, "droppedAttributesCount", "dropped_attributes_count"},
	{3, WT_OTLP_ENTITIES, "entityRefs", "entity_refs"},
	{0},
};

const WtOtlpMember wt_otlp_scope[] = {
	{1, WT_OTLP_TEXT, "name", "name"},
	{2, WT_OTLP_TEXT, "version", "version"},
	{3, WT_OTLP_ATTRIBUTES, "attributes", "attributes"},
	{4, WT_OTLP_COUNT, "droppedAttributesCount", "dropped_attributes_count"},
	{0},
};

const WtOtlpMember wt_otlp_entity[] = {
	{1, WT_OTLP_TEXT, "schemaUrl", "schema_url"},
	{2, WT_OTLP_TEXT, "type", "type"},
	{3, WT_OTLP_TEXTS, "idKeys", "id_keys"},
	{4, WT_OTLP_TEXTS, "descriptionKeys", "description_keys"},
	{0},
};

bool
wt_otlp_type_names(const WtRequest *request, const char *format)
{
	size_t n = strlen(format);
	const char *type = request->content_type ? request->content_type : "";

	for (; *type != '\0' && *type != ';'; type++)
		if (strncasecmp(type, format, n) == 0)
			return true;
	return false;
}

/*
 * Begins with a body.  Its type says what it is, but what begins with a brace is no protobuf,
 * which has no field of that tag.
 */
static bool
begin(WtDecoder *decoder, WtOtlpState *state)
{
	const char *body = decoder->body ? decoder->body : "";

	state->format = wt_otlp_type_names(decoder->request, "json") ||
							(decoder->length > 0 && body[0] == '{')
						? &wt_otlp_json
						: &wt_otlp_protobuf;
	return state->format->begin(state, body, decoder->length);
}

static WtDecodeResult
refuse_body(WtDecoder *decoder, const WtOtlpState *state)
{
	if (state->format == &wt_otlp_protobuf)
		return wt_decode_refuse(decoder, 400, WT_REASON_MALFORMED,
								"the body is no ExportLogsServiceRequest in protobuf, or "
								"is cut off");
	if (decoder->length == 0)
		return wt_decode_refuse(decoder, 400, WT_REASON_EMPTY,
								"the body is empty: send {\"resourceLogs\":[]} at least");
	return wt_decode_refuse(
		decoder, 400, WT_REASON_BAD_JSON,
		"the body is no ExportLogsServiceRequest in JSON, or is cut off");
}

/* The next record, wherever it stands; *state is what surrounds it. */
static WtOtlpResult
find_record(WtOtlpState *state, WtJsonText *record)
{
	const WtOtlpFormat *format = state->format;

	for (;;)
	{
		WtOtlpResult result = format->next_record(state, record);

		if (result != WT_OTLP_NONE)
			return result;
		state->context = WT_OTLP_CONTEXT_NEW;
		result = format->next_scope(state);
		if (result == WT_OTLP_NONE)
			result = format->next_resource(state);
		if (result != WT_OTLP_FOUND)
			return result;
	}
}

static size_t
context_size(const WtOtlpState *state)
{
	return state->resource.length + state->resource_schema.length + state->scope.length +
		   state->scope_schema.length;
}

/* Builds what surrounds the records that come now; false: memory is wanting, or it is broken. */
static bool
build_context(WtDecoder *decoder, WtOtlpState *state, WtJson *json, bool *broken)
{
	WtDecoded *decoded = &decoder->decoded;
	WtBuild build;
	const WtJsonToken *unfit = NULL;
	WtOtlpResult result;

	*broken = false;
	state->context = WT_OTLP_CONTEXT_TOO_LARGE;
	if (context_size(state) > decoder->max_event_size)
		return true;
	wt_build_begin(&build, json, true);
	result = state->format->build_context(&build, state, &decoded->context);
	*broken = result == WT_OTLP_BROKEN;
	if (build.out_of_memory || *broken)
		return false;
	if (result == WT_OTLP_FOUND && !build.too_deep && !wt_json_repair(json, &unfit))
		return false;
	if (build.too_deep)
		state->context = WT_OTLP_CONTEXT_TOO_DEEP;
	else if (result == WT_OTLP_UNFIT || unfit)
		state->context = WT_OTLP_CONTEXT_UNFIT;
	else if (json->tokens[decoded->context].length == 0)
		state->context = WT_OTLP_CONTEXT_EMPTY;
	else
	{
		state->context = WT_OTLP_CONTEXT_BUILT;
		decoded->has_context = true;
	}
	return true;
}

/*
 * Counts what surrounds a record, which is stored with it and may have to be built for it; false:
 * it is too much.
 */
static bool
count_surrounding(const WtDecoder *decoder, WtOtlpState *state)
{
	size_t size = context_size(state);

	state->surrounding += size;
	return size == 0 || state->surrounding <= MAX_SURROUNDING_BYTES ||
		   state->surrounding / MAX_SURROUNDING_RATIO <= decoder->length;
}

/*
 * Takes what surrounds a record, or says that it cannot be stored with it, which spoils the
 * record: WT_DECODE_EVENT where it can.
 */
static WtDecodeResult
take_context(WtDecoder *decoder, WtOtlpState *state, WtJson *json, WtJsonText record)
{
	WtDecoded *decoded = &decoder->decoded;
	bool fresh = state->context == WT_OTLP_CONTEXT_NEW;
	bool broken;

	if (!count_surrounding(decoder, state))
		state->context = WT_OTLP_CONTEXT_TOO_LARGE;
	else if (fresh && !build_context(decoder, state, json, &broken))
		return broken ? refuse_body(decoder, state) : WT_DECODE_OUT_OF_MEMORY;
	switch (state->context)
	{
		case WT_OTLP_CONTEXT_TOO_DEEP:
			return wt_decode_bad(decoder, record.text, record.length, WT_REASON_UNFIT,
								 "the resource or scope is nested deeper than %d levels",
								 WT_JSON_MAX_DEPTH);
		case WT_OTLP_CONTEXT_UNFIT:
			return wt_decode_bad(decoder, record.text, record.length, WT_REASON_NOT_TEXT,
								 "the resource or scope holds what cannot be stored");
		case WT_OTLP_CONTEXT_TOO_LARGE:
			return wt_decode_bad(
				decoder, record.text, record.length, WT_REASON_EVENT_TOO_LARGE,
				"the resource and scope are too large to be stored with each record");
		case WT_OTLP_CONTEXT_BUILT:
			decoded->same_context = !fresh;
			break;
		case WT_OTLP_CONTEXT_NEW:
		case WT_OTLP_CONTEXT_EMPTY:
			break;
	}
	return WT_DECODE_EVENT;
}

static WtDecodeResult
decode_record(WtDecoder *decoder, WtOtlpState *state, WtJson *json, WtJsonText record)
{
	WtDecoded *decoded = &decoder->decoded;
	WtOtlpTimes times = {0};
	WtBuild build;
	WtOtlpResult built;
	WtDecodeResult result = take_context(decoder, state, json, record);

	if (result != WT_DECODE_EVENT)
		return result;
	if (record.length > decoder->max_event_size) /* which it says */
		return wt_decode_good(decoder, json, record.text, record.length);
	if (record.length + context_size(state) > decoder->max_event_size)
		return wt_decode_bad(decoder, record.text, record.length,
							 WT_REASON_EVENT_TOO_LARGE,
							 "with its resource and scope the event is larger than "
							 "windtrap.max_event_size, %zu bytes",
							 decoder->max_event_size);
	wt_build_begin(&build, json, !decoded->has_context);
	built = state->format->build_record(&build, record, &decoded->event, &times);
	if (build.out_of_memory)
		return WT_DECODE_OUT_OF_MEMORY;
	if (build.too_deep)
		return wt_decode_bad(decoder, record.text, record.length, WT_REASON_UNFIT,
							 "the record is nested deeper than %d levels",
							 WT_JSON_MAX_DEPTH);
	if (built == WT_OTLP_UNFIT)
		return wt_decode_bad(decoder, record.text, record.length, WT_REASON_UNFIT,
							 "the record holds what cannot be stored");
	if (built != WT_OTLP_FOUND)
		return wt_decode_bad(decoder, record.text, record.length, WT_REASON_MALFORMED,
							 "this is no LogRecord");
	if (times.time != 0 || times.observed != 0)
	{
		decoded->has_time = true;
		decoded->time_us =
			(int64_t) ((times.time != 0 ? times.time : times.observed) / 1000);
	}
	else if (times.unreadable != 0)
		wt_decode_time(decoder, &json->tokens[times.unreadable]);
	return wt_decode_good(decoder, json, record.text, record.length);
}

WtDecodeResult
wt_otlp_next(WtDecoder *decoder, WtJson *json)
{
	WtOtlpState state;
	WtJsonText record;
	WtDecodeResult result;

	memcpy(&state, &decoder->state, sizeof(state));
	if (!state.format && !begin(decoder, &state))
		return refuse_body(decoder, &state);
	switch (find_record(&state, &record))
	{
		case WT_OTLP_FOUND:
			result = decode_record(decoder, &state, json, record);
			break;
		case WT_OTLP_NONE:
			result = WT_DECODE_END;
			break;
		default:
			return refuse_body(decoder, &state);
	}
	memcpy(&decoder->state, &state, sizeof(state));
	return result;
}
