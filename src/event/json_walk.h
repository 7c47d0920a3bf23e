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

/* next and end alone are enough to go on later, where end is known. */
typedef struct WtJsonWalk
{
	const char *next;  /* of what is still to come */
	const char *end;   /* the closing bracket; NULL: it has not been come to */
	bool broken;	   /* what stands here is neither a value nor an end */
	char bracket;	   /* of wt_json_walk_open, that which closes, */
	const char *limit; /* and where the text ends */
} WtJsonWalk;

/* The value that a text holds, and nothing else; false: it holds none, or more. */
extern bool wt_json_walk_whole(const char *text, size_t length, WtJsonText *value);

/* Whether a value is an object ('{') or an array ('['); then begins with its first child. */
extern bool wt_json_walk_into(WtJsonWalk *walk, WtJsonText value, char bracket);

/*
 * The same for what text begins with, white space aside: where it ends shows when its children
 * have been walked, in walk->end.
 */
extern bool wt_json_walk_open(WtJsonWalk *walk, const char *text, const char *limit,
							  char bracket);

/* The next member, whose name is as it was written; false: no more, or walk->broken. */
extern bool wt_json_walk_member(WtJsonWalk *walk, WtJsonText *name, WtJsonText *value);

/* The next element; likewise. */
extern bool wt_json_walk_element(WtJsonWalk *walk, WtJsonText *value);

/*
 * The next element, if it is an object: opens that, and passes it when it has been walked to its
 * end.  So it need not be looked at twice.
 */
extern bool wt_json_walk_open_element(const WtJsonWalk *walk, WtJsonWalk *object);
extern bool wt_json_walk_pass(WtJsonWalk *walk, const WtJsonWalk *object);

/* Whether only white space stands behind what has been walked to its end. */
extern bool wt_json_walk_is_all(const WtJsonWalk *walk);

/* Whether a name or a word is this one. */
extern bool wt_json_walk_is(WtJsonText name, const char *wanted);

#endif
