/*
 * bson_writer.c
 *		Writes BSON into a StringInfo: https://bsonspec.org.
 *
 * Numbers are little-endian in BSON, whatever they are here.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "bson_writer.h"

static void
put_int32(StringInfo out, uint32 value)
{
	value = BSON_UINT32_TO_LE(value);
	appendBinaryStringInfo(out, (char *) &value, sizeof(value));
}

static void
put_int64(StringInfo out, uint64 value)
{
	value = BSON_UINT64_TO_LE(value);
	appendBinaryStringInfo(out, (char *) &value, sizeof(value));
}

static void
put_name(StringInfo out, uint8 type, const char *name, int name_length)
{
	enlargeStringInfo(out, name_length + 2);
	out->data[out->len++] = (char) type;
	memcpy(out->data + out->len, name, name_length);
	out->len += name_length;
	/* appendStringInfoChar would do; this is the writer's innermost loop. */
	out->data[out->len++] = '\0';
	out->data[out->len] = '\0';
}

int
wm_bson_begin(StringInfo out)
{
	int begun = out->len;

	put_int32(out, 0);
	return begun;
}

void
wm_bson_end(StringInfo out, int begun)
{
	uint32 size;

	appendStringInfoChar(out, '\0');
	size = BSON_UINT32_TO_LE((uint32) (out->len - begun));
	memcpy(out->data + begun, &size, sizeof(size));
}

int
wm_bson_begin_document(StringInfo out, const char *name, int name_length)
{
	put_name(out, BSON_TYPE_DOCUMENT, name, name_length);
	return wm_bson_begin(out);
}

int
wm_bson_begin_array(StringInfo out, const char *name, int name_length)
{
	put_name(out, BSON_TYPE_ARRAY, name, name_length);
	return wm_bson_begin(out);
}

void
wm_bson_bare(StringInfo out, const char *name, int name_length, uint8 type)
{
	put_name(out, type, name, name_length);
}

void
wm_bson_null(StringInfo out, const char *name, int name_length)
{
	put_name(out, BSON_TYPE_NULL, name, name_length);
}

void
wm_bson_bool(StringInfo out, const char *name, int name_length, bool value)
{
	put_name(out, BSON_TYPE_BOOL, name, name_length);
	appendStringInfoChar(out, value ? 1 : 0);
}

void
wm_bson_int32(StringInfo out, const char *name, int name_length, int32 value)
{
	put_name(out, BSON_TYPE_INT32, name, name_length);
	put_int32(out, (uint32) value);
}

void
wm_bson_int64(StringInfo out, const char *name, int name_length, int64 value)
{
	put_name(out, BSON_TYPE_INT64, name, name_length);
	put_int64(out, (uint64) value);
}

void
wm_bson_double(StringInfo out, const char *name, int name_length, double value)
{
	uint64 bits;

	memcpy(&bits, &value, sizeof(bits));
	put_name(out, BSON_TYPE_DOUBLE, name, name_length);
	put_int64(out, bits);
}

void
wm_bson_decimal128(StringInfo out, const char *name, int name_length,
				   const bson_decimal128_t *value)
{
	put_name(out, BSON_TYPE_DECIMAL128, name, name_length);
	put_int64(out, value->low);
	put_int64(out, value->high);
}

void
wm_bson_string(StringInfo out, const char *name, int name_length, const char *text,
			   int length)
{
	put_name(out, BSON_TYPE_UTF8, name, name_length);
	put_int32(out, (uint32) length + 1);
	appendBinaryStringInfo(out, text, length);
	appendStringInfoChar(out, '\0');
}

void
wm_bson_date(StringInfo out, const char *name, int name_length, int64 ms)
{
	put_name(out, BSON_TYPE_DATE_TIME, name, name_length);
	put_int64(out, (uint64) ms);
}

void
wm_bson_oid(StringInfo out, const char *name, int name_length, const bson_oid_t *value)
{
	put_name(out, BSON_TYPE_OID, name, name_length);
	appendBinaryStringInfo(out, (const char *) value->bytes, sizeof(value->bytes));
}

void
wm_bson_binary(StringInfo out, const char *name, int name_length, uint8 subtype,
			   const void *data, int length)
{
	put_name(out, BSON_TYPE_BINARY, name, name_length);
	put_int32(out, (uint32) length);
	appendStringInfoChar(out, (char) subtype);
	appendBinaryStringInfo(out, data, length);
}

void
wm_bson_regex(StringInfo out, const char *name, int name_length, const char *pattern,
			  int pattern_length, const char *flags, int flags_length)
{
	put_name(out, BSON_TYPE_REGEX, name, name_length);
	appendBinaryStringInfo(out, pattern, pattern_length);
	appendStringInfoChar(out, '\0');
	appendBinaryStringInfo(out, flags, flags_length);
	appendStringInfoChar(out, '\0');
}

void
wm_bson_timestamp(StringInfo out, const char *name, int name_length, uint32 seconds,
				  uint32 increment)
{
	put_name(out, BSON_TYPE_TIMESTAMP, name, name_length);
	put_int32(out, increment);
	put_int32(out, seconds);
}

int
wm_bson_index(int i, char buffer[12])
{
	return pg_ltoa(i, buffer);
}

void
wm_bson_view(bson_t *view, const StringInfoData *out, int offset)
{
	uint32 size;

	memcpy(&size, out->data + offset, sizeof(size));
	if (!bson_init_static(view, (const uint8 *) out->data + offset,
						  BSON_UINT32_FROM_LE(size)))
		elog(ERROR, "not a BSON document");
}

bson_t *
wm_bson_array(int n)
{
	return (bson_t *) TYPEALIGN(__alignof__(bson_t),
								palloc(sizeof(bson_t) * n + __alignof__(bson_t)));
}
