/*
 * list.h
 *		Comma-separated lists, as settings have them.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_LIST_H
#define WT_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Gives the next item of the list at *p without the white space around it, and moves *p
 * past it; false at the end.  Start with *p at the list's beginning; an item may be empty.
 */
extern bool wt_list_next(const char **p, const char **item, size_t *length);

/* Whether an item is a word, whatever the case of its letters. */
extern bool wt_list_item_is(const char *item, size_t length, const char *word);

#endif
