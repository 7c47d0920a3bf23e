/*
 * json_tokens.h
 *		A JSON value as a flat list of tokens, and its memory.
 *
 * Plain C: what fails for want of memory says so.
 *
 * Words: a *token* is one value or one member name; a container's token is followed
 * by those of its children, in the order of the text (an object's as name, value,
 * name, value).
 */
#ifndef WT_JSON_TOKENS_H
#define WT_JSON_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* For wt_json_add: makes room for more tokens; false: out of memory. */
extern bool wt_json_more_tokens(WtJson *json);

/*
 * For decoders of other formats that yield the same tokens: empties json and makes
 * room for `scratch` bytes of text; adds a token.  Both fail only for want of memory
 * (false, NULL).  A token's address holds until the next one is added.
 */
extern bool wt_json_begin(WtJson *json, size_t scratch);

static inline WtJsonToken *
wt_json_add(WtJson *json, WtJsonType type)
{
	WtJsonToken *t;

	if (json->n_tokens == json->max_tokens && !wt_json_more_tokens(json))
		return NULL;
	t = &json->tokens[json->n_tokens++];
	t->type = type;
	t->length = 0;
	t->u.text = NULL;
	return t;
}

/*
 * So many bytes that are kept as long as the tokens, and move with those that point there.
 * NULL: out of memory.
 */
extern char *wt_json_room(WtJson *json, size_t length);

/* Sees to it that the next so many bytes of that move nothing; false: out of memory. */
extern bool wt_json_reserve(WtJson *json, size_t length);

/*
 * Makes room for `size` bytes of scratch, of which `used` are to be kept; the tokens that
 * point there go with it.  False: out of memory.
 */
extern bool wt_json_move_scratch(WtJson *json, size_t used, size_t size);

/*
 * Repairs, with json->repair, all strings of the tokens that cannot be stored, wherever they
 * lie.  *unfit is set to the first such token where there is no repair, else to NULL; false
 * is given for want of memory.  What the parser has read first of all is not looked at again.
 */
extern bool wt_json_repair(WtJson *json, const WtJsonToken **unfit);

/* Gives back what the parser holds beyond `keep` bytes. */
extern void wt_json_shrink(WtJson *json, size_t keep);

#endif
