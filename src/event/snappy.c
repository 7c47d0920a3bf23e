/*
 * snappy.c
 *		Bodies that are compressed by snappy.
 *
 * A block is the length of what comes out, a varint, and elements: literals, and copies of what
 * has come out already.  Frames are a stream of chunks: a byte that says what it is, the length
 * in 3 bytes, and for data a checksum and a block, or the data as they are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event/snappy.h"

/* No element makes more of its bytes than a copy of 64 bytes in 3. */
#define MAX_RATIO 22

/* What a chunk of a stream holds at most, when it has come out. */
#define MAX_CHUNK 65536

static uint32_t
read_le(const unsigned char *p, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++)
		v |= (uint32_t) p[i] << (8 * i);
	return v;
}

/* How long a block will be, and where its elements begin; false: it does not say. */
static bool
read_length(const unsigned char **p, const unsigned char *end, size_t *length)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 35 && *p < end; shift += 7)
	{
		unsigned char c = *(*p)++;

		v |= (uint64_t) (c & 0x7F) << shift;
		if (c < 0x80)
		{
			*length = (size_t) v;
			return v <= UINT32_MAX;
		}
	}
	return false;
}

/* The elements between p and end, to `size` bytes at out, which they must fill. */
static bool
run_elements(const unsigned char *p, const unsigned char *end, char *out, size_t size)
{
	size_t n = 0; /* bytes that have come out */

	while (p < end)
	{
		unsigned char tag = *p++;
		size_t length;
		size_t offset;
		int extra;

		if ((tag & 3) == 0)
		{
			length = (size_t) (tag >> 2) + 1;
			if (length > 60)
			{
				extra = (int) length - 60;
				if (end - p < extra)
					return false;
				length = (size_t) read_le(p, extra) + 1;
				p += extra;
			}
			if (length > (size_t) (end - p) || length > size - n)
				return false;
			memcpy(out + n, p, length);
			p += length;
			n += length;
			continue;
		}
		extra = (tag & 3) == 3 ? 4 : tag & 3;
		if (end - p < extra)
			return false;
		offset = read_le(p, extra);
		p += extra;
		if ((tag & 3) == 1)
		{
			length = 4 + (size_t) (tag >> 2 & 7);
			offset |= (size_t) (tag >> 5) << 8;
		}
		else
			length = (size_t) (tag >> 2) + 1;
		if (offset == 0 || offset > n || length > size - n)
			return false;
		if (offset >= length)
			memcpy(out + n, out + n - offset, length);
		else /* it repeats what it is writing */
			for (size_t i = 0; i < length; i++)
				out[n + i] = out[n + i - offset];
		n += length;
	}
	return n == size;
}

/* Makes room for so many bytes more. */
static bool
make_room(WtInflated *out, size_t more)
{
	size_t wanted = out->length + more;
	char *data;

	if (out->data && out->size >= wanted)
		return true;
	if (wanted < 2 * out->size)
		wanted = 2 * out->size;
	data = realloc(out->data, wanted ? wanted : 1);
	if (!data)
		return false;
	out->data = data;
	out->size = wanted ? wanted : 1;
	return true;
}

/* Appends what a block holds; its length may be `max`. */
static WtInflateResult
append_block(const unsigned char *p, const unsigned char *end, size_t max,
			 WtInflateResult beyond, WtInflated *out)
{
	size_t length;

	if (!read_length(&p, end, &length) || length / MAX_RATIO > (size_t) (end - p))
		return WT_INFLATE_CORRUPT;
	if (length > max)
		return beyond;
	if (!make_room(out, length))
		return WT_INFLATE_OUT_OF_MEMORY;
	if (!run_elements(p, end, out->data + out->length, length))
		return WT_INFLATE_CORRUPT;
	out->length += length;
	return WT_INFLATE_OK;
}

WtInflateResult
wt_snappy_block(const char *body, size_t length, size_t limit, WtInflated *out)
{
	const unsigned char *p = (const unsigned char *) body;

	out->length = 0;
	return append_block(p, p + length, limit, WT_INFLATE_TOO_LARGE, out);
}

/*
 * CRC-32C, four bits at a time, as the framing format has it: turned, and with something added,
 * lest a checksum be taken of a checksum.
 */
static uint32_t
masked_crc(const char *bytes, size_t length)
{
	static const uint32_t table[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
									   0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
									   0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
									   0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
	uint32_t crc = 0xFFFFFFFF;

	for (size_t i = 0; i < length; i++)
	{
		crc ^= (unsigned char) bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

/* One chunk of a stream. */
static WtInflateResult
append_chunk(unsigned char type, const unsigned char *p, const unsigned char *end,
			 size_t limit, WtInflated *out)
{
	size_t before = out->length;
	WtInflateResult result = WT_INFLATE_OK;
	uint32_t crc;

	if (type == 0xFF) /* a stream begins */
		return end - p == 6 && memcmp(p, "sNaPpY", 6) == 0 ? WT_INFLATE_OK
														   : WT_INFLATE_CORRUPT;
	if (type >= 0x80) /* to be skipped */
		return WT_INFLATE_OK;
	if (type > 1 || end - p < 4)
		return WT_INFLATE_CORRUPT;
	crc = read_le(p, 4);
	p += 4;
	if (type == 0)
		result = append_block(p, end, MAX_CHUNK, WT_INFLATE_CORRUPT, out);
	else if (end - p > MAX_CHUNK)
		result = WT_INFLATE_CORRUPT;
	else if (!make_room(out, (size_t) (end - p)))
		result = WT_INFLATE_OUT_OF_MEMORY;
	else
	{
		memcpy(out->data + out->length, p, (size_t) (end - p));
		out->length += (size_t) (end - p);
	}
	if (result != WT_INFLATE_OK)
		return result;
	if (out->length > limit)
		return WT_INFLATE_TOO_LARGE;
	return masked_crc(out->data + before, out->length - before) == crc
			   ? WT_INFLATE_OK
			   : WT_INFLATE_CORRUPT;
}

WtInflateResult
wt_snappy_frames(const char *body, size_t length, size_t limit, WtInflated *out)
{
	const unsigned char *p = (const unsigned char *) body;
	const unsigned char *end = p + length;
	WtInflateResult result = WT_INFLATE_CORRUPT; /* of nothing at all, too */

	out->length = 0;
	if (!make_room(out, 0))
		return WT_INFLATE_OUT_OF_MEMORY;
	if (length > 0 && *p != 0xFF)
		return WT_INFLATE_CORRUPT;
	while (p < end)
	{
		size_t size;

		if (end - p < 4 || (size = read_le(p + 1, 3)) > (size_t) (end - p) - 4)
			return WT_INFLATE_CORRUPT;
		result = append_chunk(*p, p + 4, p + 4 + size, limit, out);
		if (result != WT_INFLATE_OK)
			return result;
		p += 4 + size;
	}
	return result;
}
