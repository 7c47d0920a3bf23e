/*
 * json.h
 *		A strict JSON parser: text in, a flat list of tokens out.
 *
 * Plain C, no PostgreSQL: it raises nothing, so bad input is a value and costs no
 * transaction, and it is fuzzed outside the server.  It accepts RFC 8259 and nothing
 * else, and of that only what PostgreSQL can store, dump and restore:  no U+0000, no
 * lone surrogates, no bytes that are not UTF-8, no number that would print as
 * thousands of digits, no nesting deeper than WT_JSON_MAX_DEPTH.  The first three it can
 * repair: U+FFFD takes their place.
 */
#ifndef WT_JSON_H
#define WT_JSON_H

#include "event/json_tokens.h"

/* Levels of nesting; jsonb_in recurses on restore, and must never hit its stack limit. */
#define WT_JSON_MAX_DEPTH 512

/* Levels that a row's data has around an event, which wt_json_append may be told to allow. */
#define WT_JSON_ENVELOPE_DEPTH 1

/* Digits that a number may print before, and after, its decimal point. */
#define WT_JSON_MAX_DIGITS 4096

/*
 * Bytes that all numbers of one text may print as.  1e4095 is 6 bytes long and prints
 * as 4,096: without this bound an event of 1 MB could grow past the 1 GB that
 * PostgreSQL can print, and pg_dump of the table would fail.
 */
#define WT_JSON_MAX_NUMBER_TEXT ((size_t) 64 * 1024 * 1024)

typedef enum WtJsonResult
{
	WT_JSON_OK,
	WT_JSON_UNFIT,		  /* JSON, more or less, but cannot be stored: see error */
	WT_JSON_BAD,		  /* not JSON; where it ends is anybody's guess: see error */
	WT_JSON_TOO_LARGE,	  /* does not end within the limit */
	WT_JSON_OUT_OF_MEMORY /* nothing wrong with the text */
} WtJsonResult;

typedef struct WtJsonError
{
	size_t offset; /* where, in bytes from the beginning of the text */
	size_t read;   /* of WT_JSON_BAD: bytes that it took to see that */
	char reason[160];
} WtJsonError;

/*
 * Parses the first JSON value of text (at most 1 GB long), with the white space before
 * it, up to limit bytes of it.  On WT_JSON_OK json->tokens[0] is the value, and *next
 * where it ends.
 *
 * On WT_JSON_UNFIT *next is where it ends too: NULs and other control characters, lone
 * surrogates, bytes that are not UTF-8, numbers and nesting beyond the limits leave no
 * doubt about that, so that they need not cost what comes after.  With json->repair,
 * \u0000, lone surrogates and bytes that are not UTF-8 are not unfit; json->repaired says
 * that there were some.
 */
extern WtJsonResult wt_json_parse_value(WtJson *json, const char *text, size_t length,
										size_t limit, const char **next,
										WtJsonError *error);

/* Parses text, which must hold exactly one JSON value and white space. */
extern WtJsonResult wt_json_parse(WtJson *json, const char *text, size_t length,
								  WtJsonError *error);

/*
 * Where the value that text begins with ends, by its quotes and brackets alone; NULL
 * where it does not end.
 */
extern const char *wt_json_skip_value(const char *text, size_t length);

/* Line and column, both from 1, of an offset in text; columns count characters. */
extern void wt_json_position(const char *text, size_t offset, int *line, int *column);

/* White space of JSON's, and where what follows it begins. */
static inline bool
wt_json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *
wt_json_skip_space(const char *p, const char *end)
{
	while (p < end && wt_json_is_space(*p))
		p++;
	return p;
}

/*
 * As wt_json_parse, after the tokens that are there, which stay; levels is how deep it may be
 * nested, WT_JSON_MAX_DEPTH + WT_JSON_ENVELOPE_DEPTH at most.  Where it is not WT_JSON_OK nothing was added.
 */
extern WtJsonResult wt_json_append(WtJson *json, const char *text, size_t length,
								   int levels, WtJsonError *error);

#endif
