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
 *
 * Words: a *token* is one value or one member name; a container's token is followed
 * by those of its children, in the order of the text (an object's as name, value,
 * name, value).
 */
#ifndef WT_JSON_H
#define WT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Levels of nesting; jsonb_in recurses on restore, and must never hit its stack limit. */
#define WT_JSON_MAX_DEPTH 512

/* Digits that a number may print before, and after, its decimal point. */
#define WT_JSON_MAX_DIGITS 4096

/*
 * Bytes that all numbers of one text may print as.  1e4095 is 6 bytes long and prints
 * as 4,096: without this bound an event of 1 MB could grow past the 1 GB that
 * PostgreSQL can print, and pg_dump of the table would fail.
 */
#define WT_JSON_MAX_NUMBER_TEXT ((size_t) 64 * 1024 * 1024)

typedef enum WtJsonType
{
	WT_JSON_NULL,
	WT_JSON_FALSE,
	WT_JSON_TRUE,
	WT_JSON_NUMBER,
	WT_JSON_STRING,
	WT_JSON_ARRAY,
	WT_JSON_OBJECT
} WtJsonType;

typedef struct WtJsonToken
{
	uint32_t type;	 /* WtJsonType */
	uint32_t length; /* bytes of a string or number; elements; members */
	union
	{
		const char *text; /* string, unescaped, or number as it was written */
		uint32_t end;	  /* container: index of the first token after its last child */
	} u;
} WtJsonToken;

/*
 * A parser with its memory, kept from text to text: zero it before the first use.
 * Tokens point into the text that was parsed and into scratch, so they are valid
 * until the next wt_json_parse and as long as the text is.
 */
typedef struct WtJson
{
	WtJsonToken *tokens;
	uint32_t n_tokens;
	uint32_t max_tokens;
	uint32_t n_checked; /* strings of so many tokens can be stored, the parser knows */
	char *scratch;		/* strings that had escapes */
	size_t scratch_used;
	size_t scratch_size;
	bool repair;   /* the caller's: what in strings cannot be stored becomes U+FFFD */
	bool repaired; /* of the last text: something has */
} WtJson;

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

/*
 * The value of an object's member, the object being token i; of several of that name the last
 * counts.  False: there is none, or it is no object.
 */
extern bool wt_json_find(const WtJson *json, uint32_t i, const char *name,
						 uint32_t *value);

/* The index of the token after the value (with all its children) at index i. */
static inline uint32_t
wt_json_after(const WtJson *json, uint32_t i)
{
	const WtJsonToken *t = &json->tokens[i];

	return (t->type == WT_JSON_ARRAY || t->type == WT_JSON_OBJECT) ? t->u.end : i + 1;
}

/*
 * For decoders of other formats that yield the same tokens: empties json and makes
 * room for `scratch` bytes of text; adds a token.  Both fail only for want of memory
 * (false, NULL).  A token's address holds until the next one is added.
 */
extern bool wt_json_begin(WtJson *json, size_t scratch);
extern WtJsonToken *wt_json_add(WtJson *json, WtJsonType type);

/*
 * So many bytes that are kept as long as the tokens, and move with those that point there.
 * NULL: out of memory.
 */
extern char *wt_json_room(WtJson *json, size_t length);

/* Sees to it that the next so many bytes of that move nothing; false: out of memory. */
extern bool wt_json_reserve(WtJson *json, size_t length);

/*
 * As wt_json_parse, after the tokens that are there, which stay; levels is how deep it may be
 * nested.  Where it is not WT_JSON_OK nothing was added.
 */
extern WtJsonResult wt_json_append(WtJson *json, const char *text, size_t length,
								   int levels, WtJsonError *error);

/*
 * Repairs, with json->repair, all strings of the tokens that cannot be stored, wherever they
 * lie.  *unfit is set to the first such token where there is no repair, else to NULL; false
 * is given for want of memory.  What the parser has read first of all is not looked at again.
 */
extern bool wt_json_repair(WtJson *json, const WtJsonToken **unfit);

/* Gives back what the parser holds beyond `keep` bytes. */
extern void wt_json_shrink(WtJson *json, size_t keep);

#endif
