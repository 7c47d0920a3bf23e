/*
 * fuzz.h
 *		What the fuzz targets share: checks, and the invariants of tokens.
 *
 * Nothing here calls the functions under test: what they say is checked against code that
 * is written as simply as can be, without a thought for speed.
 */
#ifndef WT_FUZZ_H
#define WT_FUZZ_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/json.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() it stays in every build and says what was expected in words. */
#define CHECK(condition, ...)                                                            \
	do                                                                                   \
	{                                                                                    \
		if (!(condition))                                                                \
		{                                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s: ", __FILE__, __LINE__,            \
					#condition);                                                         \
			fprintf(stderr, __VA_ARGS__);                                                \
			fputc('\n', stderr);                                                         \
			abort();                                                                     \
		}                                                                                \
	} while (0)

/*
 * A copy with not one byte to spare, so that the address sanitizer sees every read beyond
 * it.  Never NULL: what a function does with no bytes at all is of interest too.
 */
static inline char *
exact_copy(const void *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	CHECK(copy, "out of memory");
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/*
 * One character of UTF-8, by the definition: decode it, then see whether the code point is
 * one that this length may have.  Its length in bytes, or 0.
 */
static inline int
utf8_character(const char *text, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *) text;
	int n;
	uint32_t c;

	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	n = (p[0] & 0xE0) == 0xC0	? 2
		: (p[0] & 0xF0) == 0xE0 ? 3
		: (p[0] & 0xF8) == 0xF0 ? 4
								: 0;
	if (n == 0 || (size_t) n > left)
		return 0;
	c = p[0] & (0xFFu >> (n + 1));
	for (int i = 1; i < n; i++)
	{
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3F);
	}
	return c >= least[n] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF) ? n : 0;
}

/* Whether PostgreSQL can store it. */
static inline bool
is_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length;)
	{
		int n = utf8_character(text + i, length - i);

		if (n == 0 || text[i] == '\0')
			return false;
		i += (size_t) n;
	}
	return true;
}

static inline bool
lies_within(const char *p, size_t length, const char *whole, size_t whole_length)
{
	uintptr_t from = (uintptr_t) p;
	uintptr_t begin = (uintptr_t) whole;

	return from >= begin && from - begin <= whole_length &&
		   length <= whole_length - (from - begin);
}

/* Names that decoders give the members of a file in a form; they lie nowhere. */
static inline bool
is_given_name(const WtJsonToken *t)
{
	return (t->length == 8 && memcmp(t->u.text, "filename", 8) == 0) ||
		   (t->length == 4 && memcmp(t->u.text, "type", 4) == 0) ||
		   (t->length == 6 && memcmp(t->u.text, "base64", 6) == 0);
}

/* The value at token i, with all its children; gives the index of what follows it. */
static inline uint32_t
check_value(const WtJson *json, uint32_t i, const char *text, size_t length,
			bool must_be_text, int depth)
{
	const WtJsonToken *t;
	uint32_t next = i + 1;

	CHECK(i < json->n_tokens, "token %u of %u", i, json->n_tokens);
	CHECK(depth <= WT_JSON_MAX_DEPTH, "nested too deep");
	t = &json->tokens[i];
	switch (t->type)
	{
		case WT_JSON_NULL:
		case WT_JSON_FALSE:
		case WT_JSON_TRUE:
			break;
		case WT_JSON_NUMBER:
			CHECK(t->length > 0 && lies_within(t->u.text, t->length, text, length),
				  "a number that is not in the text");
			break;
		case WT_JSON_STRING:
			CHECK(lies_within(t->u.text, t->length, text, length) ||
					  lies_within(t->u.text, t->length, json->scratch,
								  json->scratch_used) ||
					  is_given_name(t),
				  "a string that is nowhere");
			CHECK(!must_be_text || is_text(t->u.text, t->length),
				  "a string that cannot be stored");
			break;
		case WT_JSON_ARRAY:
			for (uint32_t k = 0; k < t->length; k++)
				next = check_value(json, next, text, length, must_be_text, depth + 1);
			CHECK(next == t->u.end, "an array of %u ends at %u, not at %u", t->length,
				  t->u.end, next);
			break;
		case WT_JSON_OBJECT:
			for (uint32_t k = 0; k < t->length; k++)
			{
				CHECK(next < json->n_tokens && json->tokens[next].type == WT_JSON_STRING,
					  "a name that is no string");
				next = check_value(json, next, text, length, must_be_text, depth + 1);
				next = check_value(json, next, text, length, must_be_text, depth + 1);
			}
			CHECK(next == t->u.end, "an object of %u ends at %u, not at %u", t->length,
				  t->u.end, next);
			break;
		default:
			CHECK(false, "token %u has type %u", i, t->type);
	}
	CHECK(wt_json_after(json, i) == next, "wt_json_after");
	return next;
}

/* All tokens are one value; its text lies in text, or unescaped in scratch. */
static inline void
check_tokens(const WtJson *json, const char *text, size_t length, bool must_be_text)
{
	uint32_t n;

	CHECK(json->n_tokens <= json->max_tokens, "tokens");
	CHECK(json->scratch_used <= json->scratch_size, "scratch");
	n = check_value(json, 0, text, length, must_be_text, 0);
	CHECK(n == json->n_tokens, "%u tokens after the value", json->n_tokens - n);
}

#endif
