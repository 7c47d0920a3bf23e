/*
 * encoding.h
 *		What encoder and decoder have in common.
 */
#ifndef WT_COLUMN_ENCODING_H
#define WT_COLUMN_ENCODING_H

#include "column/format.h"

#define WT_MIXED_DECIMALS 255  /* a count a value */
#define WT_SCALED_DECIMALS 254 /* the same; values as if all had as many as the longest */
#define WT_UUID7_BITS 6		   /* of chance, beyond 7 bytes */
#define WT_UUID_BITS 10		   /* beyond 14 bytes, where version and variant are known */
#define WT_UUIDS_ALIKE 0x80	   /* and the version in the lower four bits */
#define WT_HEX_MAX 256		   /* bytes of a value */

static inline bool
wt_kind_is_integer(WtKind kind)
{
	return kind == WT_KIND_TIME || kind == WT_KIND_EXTRA_INT;
}

static inline bool
wt_kind_has_text(WtKind kind)
{
	return !wt_kind_is_integer(kind) && kind != WT_KIND_NULL && kind != WT_KIND_EMPTY;
}

/* Bytes that n fields of so many bits take. */
static inline size_t
wt_packed_size(int n, int bits)
{
	return ((size_t) n * (size_t) bits + 7) / 8;
}

#endif
