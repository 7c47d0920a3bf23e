/*
 * json_walk.c
 *		The members of an object, and the elements of an array, as extents of its text.
 */
#include <string.h>

#include "event/json.h"
#include "event/json_walk.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

const char *
wt_json_walk_space(const char *text, const char *end)
{
	while (text < end && is_space(*text))
		text++;
	return text;
}

bool
wt_json_walk_into(WtJsonWalk *walk, const char *text, const char *end, char bracket)
{
	if (text == end || *text != bracket)
		return false;
	walk->next = wt_json_walk_space(text + 1, end);
	walk->end = end;
	walk->array = bracket == '[';
	walk->ended = false;
	walk->broken = false;
	return true;
}

/* Whether the walk is at its closing bracket, which is passed. */
static bool
at_end(WtJsonWalk *walk)
{
	if (walk->ended || walk->broken)
		return true;
	if (walk->next == walk->end)
	{
		walk->broken = true;
		return true;
	}
	if (*walk->next != (walk->array ? ']' : '}'))
		return false;
	walk->next++;
	walk->ended = true;
	return true;
}

bool
wt_json_walk_pass(WtJsonWalk *walk, const char *after)
{
	const char *p = wt_json_walk_space(after, walk->end);
	char close = walk->array ? ']' : '}';

	walk->broken = true;
	if (p == walk->end)
		return false;
	if (*p == ',')
	{
		p = wt_json_walk_space(p + 1, walk->end);
		if (p == walk->end || *p == close)
			return false;
	}
	else if (*p != close)
		return false;
	walk->next = p;
	walk->broken = false;
	return true;
}

/* The value at walk->next, which is passed. */
static bool
read_value(WtJsonWalk *walk, WtJsonText *value)
{
	const char *start = wt_json_walk_space(walk->next, walk->end);
	const char *after = wt_json_skip_value(start, (size_t) (walk->end - start));

	if (!after || after == start)
	{
		walk->broken = true;
		return false;
	}
	if (!wt_json_walk_pass(walk, after))
		return false;
	while (is_space(after[-1])) /* it does not begin with one */
		after--;
	value->text = start;
	value->length = (size_t) (after - start);
	return true;
}

bool
wt_json_walk_member(WtJsonWalk *walk, WtJsonText *name, WtJsonText *value)
{
	const char *p = walk->next;

	if (at_end(walk))
		return false;
	walk->broken = true;
	if (*p != '"')
		return false;
	name->text = ++p;
	while (p < walk->end && *p != '"')
		p += *p == '\\' && walk->end - p > 1 ? 2 : 1;
	if (p >= walk->end)
		return false;
	name->length = (size_t) (p - name->text);
	p = wt_json_walk_space(p + 1, walk->end);
	if (p == walk->end || *p != ':')
		return false;
	walk->next = p + 1;
	return read_value(walk, value);
}

bool
wt_json_walk_element(WtJsonWalk *walk, WtJsonText *value)
{
	return !at_end(walk) && read_value(walk, value);
}

const char *
wt_json_walk_peek(WtJsonWalk *walk)
{
	return at_end(walk) ? NULL : walk->next;
}

bool
wt_json_walk_is(WtJsonText name, const char *wanted)
{
	return name.length == strlen(wanted) && memcmp(name.text, wanted, name.length) == 0;
}
