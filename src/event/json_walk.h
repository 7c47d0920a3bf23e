/*
 * json_walk.h
 *		The members of an object, and the elements of an array, as extents of its text.
 *
 * Plain C.  For bodies that are too long to make tokens of all at once.  A walk looks at
 * quotes, brackets, colons and commas: what it finds is not known to be JSON before it is
 * parsed; a value that is not costs those beside it nothing, as long as its brackets match.
 */
#ifndef WT_JSON_WALK_H
#define WT_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>

/* A value without the white space around it, or a name without its quotes. */
typedef struct WtJsonText
{
	const char *text;
	size_t length;
} WtJsonText;

typedef struct WtJsonWalk
{
	const char
		*next; /* the next child, or the closing bracket; at the end, what follows */
	const char *end; /* of the text; the walk may end before */
	bool array;
	bool ended;
	bool broken; /* what stands here is neither a child nor the end */
} WtJsonWalk;

/* The first byte of text that is no white space; end: there is none. */
extern const char *wt_json_walk_space(const char *text, const char *end);

/*
 * Begins with the object ('{') or array ('[') that text begins with, and that ends somewhere
 * before end; false: it is no such thing.
 */
extern bool wt_json_walk_into(WtJsonWalk *walk, const char *text, const char *end,
							  char bracket);

/* The next member, whose name is as it was written; false: no more, or walk->broken. */
extern bool wt_json_walk_member(WtJsonWalk *walk, WtJsonText *name, WtJsonText *value);

/* The next element; likewise. */
extern bool wt_json_walk_element(WtJsonWalk *walk, WtJsonText *value);

/*
 * For elements that are walked themselves, so that their ends need not be looked for before:
 * where the next one begins, NULL: no more, or walk->broken; and passing it, when it is known to
 * end at `after`.
 */
extern const char *wt_json_walk_peek(WtJsonWalk *walk);
extern bool wt_json_walk_pass(WtJsonWalk *walk, const char *after);

/* Whether a name or a word is this one. */
extern bool wt_json_walk_is(WtJsonText name, const char *wanted);

#endif
