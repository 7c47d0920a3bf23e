/*
 * list.c
 *		Comma-separated lists, as settings have them.
 */
#include <string.h>

#include "base/list.h"

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

bool
wt_list_item_is(const char *item, size_t length, const char *word)
{
	for (size_t i = 0; i < length; i++)
		if (word[i] == '\0' || lower(item[i]) != lower(word[i]))
			return false;
	return word[length] == '\0';
}

bool
wt_list_next(const char **p, const char **item, size_t *length)
{
	const char *start = *p;
	const char *end;

	if (!start)
		return false;
	end = strchr(start, ',');
	*p = end ? end + 1 : NULL;
	if (!end)
		end = start + strlen(start);
	while (start < end && is_space(*start))
		start++;
	while (end > start && is_space(end[-1]))
		end--;
	*item = start;
	*length = (size_t) (end - start);
	return true;
}
