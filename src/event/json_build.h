/*
 * json_build.h
 *		Tokens made by a decoder of another format than JSON, one after the other.
 *
 * Plain C.  Where memory runs out, or nesting is too deep, all that follows does nothing, and
 * the end says so: callers need not look at each step.
 */
#ifndef WT_JSON_BUILD_H
#define WT_JSON_BUILD_H

#include "event/json.h"

typedef struct WtBuild
{
	WtJson *json;
	bool out_of_memory;
	bool too_deep; /* more than WT_JSON_MAX_DEPTH levels */
	int depth;
	uint32_t open[WT_JSON_MAX_DEPTH]; /* containers that are not closed yet */
} WtBuild;

/* Begins to add to json: after what is in it, or, with empty, instead of that. */
extern void wt_build_begin(WtBuild *build, WtJson *json, bool empty);

/* Whether all that was added is there; all containers must be closed. */
extern bool wt_build_is_good(const WtBuild *build);

/* WT_JSON_OBJECT or WT_JSON_ARRAY, until it is closed. */
extern void wt_build_open(WtBuild *build, WtJsonType type);
extern void wt_build_close(WtBuild *build);

/* A member's name, before its value; the text is not copied. */
extern void wt_build_name(WtBuild *build, const char *name, size_t length);
extern void wt_build_key(WtBuild *build, const char *name); /* the same, a C string */
extern void wt_build_name_copy(WtBuild *build, const char *name, size_t length);

/* A string whose text outlives the tokens; a copy of one that does not. */
extern void wt_build_string(WtBuild *build, const char *text, size_t length);
extern void wt_build_copy(WtBuild *build, const char *text, size_t length);

extern void wt_build_null(WtBuild *build);
extern void wt_build_bool(WtBuild *build, bool value);
extern void wt_build_int(WtBuild *build, int64_t value);
extern void wt_build_uint(WtBuild *build, uint64_t value);

/* A number; what is no number for JSON is the string NaN, Infinity or -Infinity. */
extern void wt_build_double(WtBuild *build, double value);

/* A number as text, which must be one of JSON's; it is copied. */
extern void wt_build_number(WtBuild *build, const char *text, size_t length);

/* Bytes as hexadecimal digits, and as base64. */
extern void wt_build_hex(WtBuild *build, const void *bytes, size_t length);
extern void wt_build_base64(WtBuild *build, const void *bytes, size_t length);

/* A copy of the value, with all its children, that token i of the same json is. */
extern void wt_build_token(WtBuild *build, uint32_t i);

/* So many bytes that last as long as the tokens; NULL: out of memory. */
extern char *wt_build_room(WtBuild *build, size_t length);

/*
 * The JSON value that text holds, and nothing else; false: it is none, or cannot be stored, and
 * nothing was added.
 */
extern bool wt_build_parse(WtBuild *build, const char *text, size_t length);

/* Takes back the last value, which is token i. */
extern void wt_build_undo(WtBuild *build, uint32_t i);

/*
 * Says of all that was added so far that it came from the parser, or is not going to be stored:
 * its text need not be looked at again.
 */
static inline void
wt_build_checked(WtBuild *build)
{
	build->json->n_checked = build->json->n_tokens;
}

/* Where the next value will be. */
static inline uint32_t
wt_build_next(const WtBuild *build)
{
	return build->json->n_tokens;
}

#endif
