/*
 * loki_protobuf.c
 *		A push to Loki in protobuf.
 *
 * Push{1 Stream*}, Stream{1 labels, 2 Entry*}, Entry{1 Timestamp{1 seconds, 2 nanos}, 2 line,
 * 3 Pair{1 name, 2 value}*}, by the numbers of Loki's logproto/logproto.proto.
 */
#include "event/protobuf.h"
#include "protocol/loki.h"

static bool
begin(WtLokiState *state, const char *body, size_t length)
{
	state->streams = (WtJsonText){body, length};
	state->entries = (WtJsonText){body, 0};
	return true;
}

/* The next field of what is left of a message; its bytes are what remains. */
static bool
next_field(WtJsonText *left, WtProtobufField *field, bool *broken)
{
	WtProtobuf message;
	bool found;

	wt_protobuf_begin(&message, left->text, left->length);
	found = wt_protobuf_next(&message, field);
	*broken = message.broken;
	left->length -= (size_t) (message.next - left->text);
	left->text = message.next;
	return found;
}

/* Begins with the next stream: its labels may stand behind its entries. */
static WtLokiResult
next_stream(WtLokiState *state)
{
	WtProtobufField field;
	WtProtobuf stream;
	bool broken;

	while (next_field(&state->streams, &field, &broken))
	{
		if (!wt_protobuf_is(&field, 1, WT_PROTOBUF_BYTES))
			continue;
		state->entries = (WtJsonText){field.bytes, field.length};
		state->labels = (WtJsonText){"", 0};
		state->same_context = false;
		wt_protobuf_begin(&stream, field.bytes, field.length);
		while (wt_protobuf_next(&stream, &field))
			if (wt_protobuf_is(&field, 1, WT_PROTOBUF_BYTES))
				state->labels = (WtJsonText){field.bytes, field.length};
		return WT_LOKI_ENTRY;
	}
	return broken ? WT_LOKI_BROKEN : WT_LOKI_END;
}

static bool
read_time(WtLokiEntry *entry, const WtProtobufField *timestamp)
{
	WtProtobufField field;
	WtProtobuf message;
	int64_t seconds = 0;
	int64_t nanos = 0;

	wt_protobuf_begin(&message, timestamp->bytes, timestamp->length);
	while (wt_protobuf_next(&message, &field))
	{
		if (wt_protobuf_is(&field, 1, WT_PROTOBUF_VARINT))
			seconds = (int64_t) field.value;
		else if (wt_protobuf_is(&field, 2, WT_PROTOBUF_VARINT))
			nanos = (int32_t) field.value;
	}
	/* Of a year that can be; else it is no time, and must not overflow. */
	entry->has_time = !message.broken && seconds > -INT64_C(100000000000) &&
					  seconds < INT64_C(100000000000);
	if (entry->has_time)
		entry->time_us = seconds * 1000000 + nanos / 1000;
	return !message.broken;
}

static bool
read_entry(WtLokiEntry *entry)
{
	WtProtobufField field;
	WtProtobuf message;

	entry->line = (WtJsonText){"", 0};
	wt_protobuf_begin(&message, entry->raw.text, entry->raw.length);
	while (wt_protobuf_next(&message, &field))
	{
		if (wt_protobuf_is(&field, 1, WT_PROTOBUF_BYTES))
		{
			if (!read_time(entry, &field))
				return false;
		}
		else if (wt_protobuf_is(&field, 2, WT_PROTOBUF_BYTES))
			entry->line = (WtJsonText){field.bytes, field.length};
		else if (wt_protobuf_is(&field, 3, WT_PROTOBUF_BYTES))
			entry->metadata = entry->raw; /* it is read again for them */
	}
	return !message.broken;
}

static WtLokiResult
next(WtLokiState *state, WtLokiEntry *entry)
{
	WtProtobufField field;
	bool broken = false;

	for (;;)
	{
		WtLokiResult result;

		while (next_field(&state->entries, &field, &broken))
		{
			if (!wt_protobuf_is(&field, 2, WT_PROTOBUF_BYTES))
				continue;
			*entry = (WtLokiEntry){.raw = {field.bytes, field.length}};
			return read_entry(entry) ? WT_LOKI_ENTRY : WT_LOKI_BAD_ENTRY;
		}
		if (broken)
		{
			/* The stream's length is known: the next one can be read. */
			*entry = (WtLokiEntry){.raw = state->entries};
			state->entries.length = 0;
			return WT_LOKI_BAD_ENTRY;
		}
		result = next_stream(state);
		if (result != WT_LOKI_ENTRY)
			return result;
	}
}

static bool
add_line(WtBuild *build, const WtLokiEntry *entry)
{
	wt_build_string(build, entry->line.text, entry->line.length);
	return true;
}

static bool
add_labels(WtBuild *build, const WtLokiState *state)
{
	return wt_loki_add_labels(build, state->labels.text, state->labels.length);
}

static bool
add_metadata(WtBuild *build, const WtLokiEntry *entry)
{
	WtProtobufField field;
	WtProtobuf message;

	wt_build_open(build, WT_JSON_OBJECT);
	wt_protobuf_begin(&message, entry->metadata.text, entry->metadata.length);
	while (wt_protobuf_next(&message, &field))
	{
		WtProtobuf pair;
		WtJsonText name = {"", 0};
		WtJsonText value = {"", 0};

		if (!wt_protobuf_is(&field, 3, WT_PROTOBUF_BYTES))
			continue;
		wt_protobuf_begin(&pair, field.bytes, field.length);
		while (wt_protobuf_next(&pair, &field))
		{
			if (wt_protobuf_is(&field, 1, WT_PROTOBUF_BYTES))
				name = (WtJsonText){field.bytes, field.length};
			else if (wt_protobuf_is(&field, 2, WT_PROTOBUF_BYTES))
				value = (WtJsonText){field.bytes, field.length};
		}
		wt_build_name(build, name.text, name.length);
		wt_build_string(build, value.text, value.length);
	}
	wt_build_close(build);
	return true;
}

const WtLokiFormat wt_loki_protobuf = {begin, next, add_line, add_labels, add_metadata};
