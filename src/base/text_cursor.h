/*
 * text_cursor.h
 *		Text that is read from its beginning on.  Plain C.
 */
#ifndef WT_TEXT_CURSOR_H
#define WT_TEXT_CURSOR_H

#include <stdbool.h>

typedef struct WtTextCursor
{
	const char *p; /* what comes next */
	const char *end;
} WtTextCursor;

/* Whether a digit comes next. */
static inline bool
wt_text_is_digit(const WtTextCursor *t)
{
	return t->p < t->end && *t->p >= '0' && *t->p <= '9';
}

/* Passes over this character; false: another one comes next, or none. */
static inline bool
wt_text_skip(WtTextCursor *t, char c)
{
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

#endif
