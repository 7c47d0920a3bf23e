/*
 * bytes.h
 *		Bytes that grow while they are written, and a cursor that never reads beyond what
 *		there is.  Integers are little endian; varints have seven bits a byte, the lowest
 *		first.
 */
#ifndef WT_COLUMN_BYTES_H
#define WT_COLUMN_BYTES_H

#include <stdbool.h>
#include <string.h>

#include "column/arena.h"

#define WT_VARINT_MAX 10

/* Set failed, zero the rest; from malloc, until wt_bytes_free(). */
typedef struct WtBytes
{
	char *data;
	size_t length;
	size_t size;
	WtOutOfMemory failed;
} WtBytes;

extern void wt_bytes_grow(WtBytes *bytes, size_t more);
extern void wt_bytes_free(WtBytes *bytes);

/* Room for so many bytes more, at data + length. */
static inline char *
wt_bytes_room(WtBytes *bytes, size_t more)
{
	if (bytes->size - bytes->length < more)
		wt_bytes_grow(bytes, more);
	return bytes->data + bytes->length;
}

static inline void
wt_bytes_add(WtBytes *bytes, const void *data, size_t length)
{
	char *to = wt_bytes_room(bytes, length + 1);

	if (length > 0)
		memcpy(to, data, length);
	bytes->length += length;
}

static inline void
wt_bytes_add_byte(WtBytes *bytes, uint8_t byte)
{
	*wt_bytes_room(bytes, 1) = (char) byte;
	bytes->length++;
}

static inline void
wt_store16(void *to, uint16_t value)
{
	uint8_t *p = to;

	p[0] = (uint8_t) value;
	p[1] = (uint8_t) (value >> 8);
}

static inline void
wt_store32(void *to, uint32_t value)
{
	uint8_t *p = to;

	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t) (value >> 8 * i);
}

static inline void
wt_store64(void *to, uint64_t value)
{
	uint8_t *p = to;

	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t) (value >> 8 * i);
}

static inline uint16_t
wt_load16(const void *from)
{
	const uint8_t *p = from;

	return (uint16_t) (p[0] | p[1] << 8);
}

static inline uint32_t
wt_load32(const void *from)
{
	const uint8_t *p = from;

	return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline uint64_t
wt_load64(const void *from)
{
	return wt_load32(from) | (uint64_t) wt_load32((const char *) from + 4) << 32;
}

static inline void
wt_bytes_add_varint(WtBytes *bytes, uint64_t value)
{
	char *to = wt_bytes_room(bytes, WT_VARINT_MAX);
	char *p = to;

	for (; value >= 0x80; value >>= 7)
		*p++ = (char) (value | 0x80);
	*p++ = (char) value;
	bytes->length += (size_t) (p - to);
}

/* So that small negative numbers are small, too: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
static inline uint64_t
wt_zigzag(int64_t value)
{
	return ((uint64_t) value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t
wt_unzigzag(uint64_t value)
{
	return (int64_t) (value >> 1 ^ (~(value & 1) + 1));
}

/*
 * Reads from p up to end.  What wants more than there is gets zeros, and sets bad, for good:
 * so that one look at bad after many reads will do.
 */
typedef struct WtCursor
{
	const char *p;
	const char *end;
	bool bad;
} WtCursor;

static inline WtCursor
wt_cursor(const char *bytes, size_t length)
{
	return (WtCursor){bytes, bytes + length, false};
}

static inline size_t
wt_cursor_left(const WtCursor *cursor)
{
	return (size_t) (cursor->end - cursor->p);
}

/* The next bytes, or NULL. */
static inline const char *
wt_cursor_bytes(WtCursor *cursor, size_t length)
{
	const char *p = cursor->p;

	if (cursor->bad || length > wt_cursor_left(cursor))
	{
		cursor->bad = true;
		return NULL;
	}
	cursor->p += length;
	return p;
}

static inline uint8_t
wt_cursor_byte(WtCursor *cursor)
{
	const char *p = wt_cursor_bytes(cursor, 1);

	return p ? (uint8_t) *p : 0;
}

static inline uint64_t
wt_cursor_varint(WtCursor *cursor)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8_t byte;

		if (cursor->bad || cursor->p == cursor->end)
			break;
		byte = (uint8_t) *cursor->p++;
		value |= (uint64_t) (byte & 0x7F) << shift;
		if (byte < 0x80)
			return value;
	}
	cursor->bad = true;
	return 0;
}

/* A varint that is at most `most`; else it is bad, and 0. */
static inline uint64_t
wt_cursor_count(WtCursor *cursor, uint64_t most)
{
	uint64_t value = wt_cursor_varint(cursor);

	if (value > most)
	{
		cursor->bad = true;
		return 0;
	}
	return value;
}

static inline int64_t
wt_cursor_zigzag(WtCursor *cursor)
{
	return wt_unzigzag(wt_cursor_varint(cursor));
}

#endif
