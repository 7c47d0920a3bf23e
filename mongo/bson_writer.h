/*
 * bson_writer.h
 *		Writes BSON into a StringInfo.
 *
 * PostgreSQL's memory instead of libbson's, so that whatever raises while a document is
 * being built leaves nothing behind.  Names and strings must be UTF-8; names end at their
 * length and hold no NUL.
 *
 * A document:
 *		int d = wm_bson_begin(out);
 *		wm_bson_int32(out, "n", 1, 5);
 *		wm_bson_end(out, d);
 *
 * Within it, wm_bson_begin_document and wm_bson_begin_array begin a value, which
 * wm_bson_end ends too.
 */
#ifndef WM_BSON_WRITER_H
#define WM_BSON_WRITER_H

#include "lib/stringinfo.h"

#include <bson/bson.h>

/* MongoDB's limits.  It counts levels a little differently, and reads none beyond 180. */
#define WM_MAX_DOCUMENT_SIZE (16 * 1024 * 1024)
#define WM_MAX_DEPTH 100

extern int wm_bson_begin(StringInfo out);
extern void wm_bson_end(StringInfo out, int begun);
extern int wm_bson_begin_document(StringInfo out, const char *name, int name_length);
extern int wm_bson_begin_array(StringInfo out, const char *name, int name_length);

extern void wm_bson_null(StringInfo out, const char *name, int name_length);
extern void wm_bson_bool(StringInfo out, const char *name, int name_length, bool value);
extern void wm_bson_int32(StringInfo out, const char *name, int name_length, int32 value);
extern void wm_bson_int64(StringInfo out, const char *name, int name_length, int64 value);
extern void wm_bson_double(StringInfo out, const char *name, int name_length,
						   double value);
extern void wm_bson_decimal128(StringInfo out, const char *name, int name_length,
							   const bson_decimal128_t *value);
extern void wm_bson_string(StringInfo out, const char *name, int name_length,
						   const char *text, int length);
/* Milliseconds since 1970. */
extern void wm_bson_date(StringInfo out, const char *name, int name_length, int64 ms);
extern void wm_bson_oid(StringInfo out, const char *name, int name_length,
						const bson_oid_t *value);
extern void wm_bson_binary(StringInfo out, const char *name, int name_length,
						   uint8 subtype, const void *data, int length);
extern void wm_bson_regex(StringInfo out, const char *name, int name_length,
						  const char *pattern, int pattern_length, const char *flags,
						  int flags_length);
extern void wm_bson_timestamp(StringInfo out, const char *name, int name_length,
							  uint32 seconds, uint32 increment);
/* A value that is its type alone: BSON_TYPE_MINKEY, BSON_TYPE_MAXKEY. */
extern void wm_bson_bare(StringInfo out, const char *name, int name_length, uint8 type);

/* The name of an array's element i, in buffer; gives its length. */
extern int wm_bson_index(int i, char buffer[12]);

/* The document at offset in out, for libmongoc; valid until more is written. */
extern void wm_bson_view(bson_t *view, const StringInfoData *out, int offset);

/* Room for n bson_t, which are to be aligned as palloc does not do it. */
extern bson_t *wm_bson_array(int n);

#endif
