/*
 * protobuf.c
 *		The fields of a message in protobuf's wire format, one after the other.
 */
#include "event/protobuf.h"

/* Bytes of a varint: 64 bits, 7 in each. */
#define MAX_VARINT 10

void
wt_protobuf_begin(WtProtobuf *message, const char *bytes, size_t length)
{
	message->next = bytes;
	message->end = bytes + length;
	message->broken = false;
}

static bool
read_long_varint(WtProtobuf *message, uint64_t *value)
{
	const unsigned char *p = (const unsigned char *) message->next;
	size_t left = (size_t) (message->end - message->next);
	uint64_t v = 0;

	for (size_t i = 0; i < left && i < MAX_VARINT; i++)
	{
		v |= (uint64_t) (p[i] & 0x7F) << (7 * i);
		if (p[i] < 0x80)
		{
			message->next += i + 1;
			*value = v;
			return true;
		}
	}
	return false;
}

/* Most are of one byte. */
static inline bool
read_varint(WtProtobuf *message, uint64_t *value)
{
	if (message->next == message->end || (signed char) *message->next < 0)
		return read_long_varint(message, value);
	*value = (unsigned char) *message->next++;
	return true;
}

/* An integer of n bytes, the lowest first. */
static inline bool
read_fixed(WtProtobuf *message, size_t n, uint64_t *value)
{
	const unsigned char *p = (const unsigned char *) message->next;
	uint64_t v = 0;

	if ((size_t) (message->end - message->next) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t) p[i] << (8 * i);
	message->next += n;
	*value = v;
	return true;
}

static inline bool
read_field(WtProtobuf *message, WtProtobufField *field)
{
	uint64_t tag;
	uint64_t length;

	/* Numbers have 29 bits, and 0 is none of them. */
	if (!read_varint(message, &tag) || tag >> 3 == 0 || tag >> 32 != 0)
		return false;
	field->number = (uint32_t) (tag >> 3);
	field->wire = (WtProtobufWire) (tag & 7);
	field->value = 0;
	field->bytes = "";
	field->length = 0;
	switch (field->wire)
	{
		case WT_PROTOBUF_VARINT:
			return read_varint(message, &field->value);
		case WT_PROTOBUF_FIXED64:
			return read_fixed(message, 8, &field->value);
		case WT_PROTOBUF_FIXED32:
			return read_fixed(message, 4, &field->value);
		case WT_PROTOBUF_BYTES:
			if (!read_varint(message, &length) ||
				length > (uint64_t) (message->end - message->next))
				return false;
			field->bytes = message->next;
			field->length = (size_t) length;
			message->next += length;
			return true;
	}
	return false; /* a group, or what never was */
}

bool
wt_protobuf_next(WtProtobuf *message, WtProtobufField *field)
{
	if (message->broken || message->next == message->end)
		return false;
	if (read_field(message, field))
		return true;
	message->broken = true;
	return false;
}
