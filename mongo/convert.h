/*
 * convert.h
 *		Values between PostgreSQL and BSON.
 *
 * Both ways raise for what cannot be converted without loss; messages name no column,
 * which is the caller's to add (see wm_columns and errcontext).
 *
 * Extended JSON: what BSON has and JSON has not, jsonb holds as MongoDB's Extended JSON
 * does, in its relaxed form: {"$oid": "…"}, {"$date": "2026-01-31T12:00:00.123Z"},
 * {"$binary": {"base64": "…", "subType": "04"}}, and so on.  Such an object becomes the
 * BSON value only if it is exactly what that value would be read as, so that any JSON is
 * read as it was written.
 */
#ifndef WM_CONVERT_H
#define WM_CONVERT_H

#include "lib/stringinfo.h"
#include "utils/date.h"
#include "utils/jsonb.h"

#include <bson/bson.h>

#include "column.h"

/* Writes a value as a member of the document being built. */
extern void wm_write_datum(StringInfo out, WmColumn *column, const char *name,
						   int name_length, Datum value);

/* Writes a jsonb as a member. */
extern void wm_write_jsonb(StringInfo out, const char *name, int name_length, Jsonb *jb);

/*
 * Writes the members of a jsonb object into the document being built, but those that
 * skip says yes to.  Raises where it is no object.
 */
extern void wm_write_members(StringInfo out, Jsonb *jb,
							 bool (*skip)(void *argument, const char *name, int length),
							 void *argument);

/* Writes the ObjectId that 24 hexadecimal digits in lower case name; false: they do not. */
extern bool wm_write_oid_text(StringInfo out, const char *name, int name_length,
							  const char *text, int length);

/* Reads a value; *isnull where it is null or undefined. */
extern Datum wm_read_datum(WmColumn *column, const bson_iter_t *value, bool *isnull);

/* Reads a value, or a whole document, as jsonb. */
extern Jsonb *wm_read_jsonb(const bson_iter_t *value);
extern Jsonb *wm_read_document(const bson_t *document);

/* A value of BSON as a person would like to read it in a message. */
extern char *wm_describe(const bson_iter_t *value);

/* Milliseconds since 1970 of a timestamp, rounded down; it must be finite. */
extern int64 wm_timestamp_to_ms(Timestamp t, bool *exact);

/* The same of a date, which may lie beyond all timestamps. */
extern int64 wm_date_to_ms(DateADT date);

/* As "2026-01-31T12:00:00.123Z", milliseconds only where there are any; false: it has no
 * year from 1 to 9999. */
extern bool wm_format_date(int64 ms, char text[32]);

#endif
