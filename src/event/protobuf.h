/*
 * protobuf.h
 *		The fields of a message in protobuf's wire format, one after the other.
 *
 * Plain C.  Nothing is copied, and nothing allocated: a field of bytes, which is a string, or
 * another message to be read in turn, lies where the message does.
 */
#ifndef WT_PROTOBUF_H
#define WT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum WtProtobufWire
{
	WT_PROTOBUF_VARINT = 0,
	WT_PROTOBUF_FIXED64 = 1,
	WT_PROTOBUF_BYTES = 2,
	WT_PROTOBUF_FIXED32 = 5
} WtProtobufWire;

/* A message that is being read. */
typedef struct WtProtobuf
{
	const char *next; /* the next field */
	const char *end;
	bool broken; /* the message ends within a field, or what stands there is none */
} WtProtobuf;

typedef struct WtProtobufField
{
	uint32_t number; /* at least 1 */
	WtProtobufWire wire;
	uint64_t value;	   /* of all but WT_PROTOBUF_BYTES, for which it is 0 */
	const char *bytes; /* of WT_PROTOBUF_BYTES, for the others it is empty, not NULL */
	size_t length;
} WtProtobufField;

extern void wt_protobuf_begin(WtProtobuf *message, const char *bytes, size_t length);

/*
 * Reads the next field; one that is not wanted is skipped by reading the one after it.  False:
 * there are no more, or message->broken.  Groups, which protobuf has given up, are broken.
 * Integers may be longer than they need to be, up to 10 bytes; their bits beyond 64 are cut.
 */
extern bool wt_protobuf_next(WtProtobuf *message, WtProtobufField *field);

/* Whether a field is this one, as it must have been sent. */
static inline bool
wt_protobuf_is(const WtProtobufField *field, uint32_t number, WtProtobufWire wire)
{
	return field->number == number && field->wire == wire;
}

#endif
