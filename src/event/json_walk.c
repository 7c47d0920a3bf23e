/*
 * json_walk.c
 *		The members of an object, and the elements of an array, as extents of its text.
 */
#include <string.h>

#include "event/json.h"
#include "event/json_walk.h"

/* Where the children of what is walked end at the latest. */
static const char *
bound(const WtJsonWalk *walk)
{
	return walk->end ? walk->end : walk->limit;
}

bool
wt_json_walk_whole(const char *text, size_t length, WtJsonText *value)
{
	const char *end = text + length;
	const char *after;

	text = wt_json_skip_space(text, end);
	if (text == end || (*text != '{' && *text != '['))
		return false;
	after = wt_json_skip_value(text, (size_t) (end - text));
	if (!after || wt_json_skip_space(after, end) != end)
		return false;
	value->text = text;
	value->length = (size_t) (after - text);
	return true;
}

bool
wt_json_walk_into(WtJsonWalk *walk, WtJsonText value, char bracket)
{
	if (value.length < 2 || value.text[0] != bracket ||
		value.text[value.length - 1] != (bracket == '{' ? '}' : ']'))
		return false;
	*walk = (WtJsonWalk){.end = value.text + value.length - 1};
	walk->next = wt_json_skip_space(value.text + 1, walk->end);
	return true;
}

bool
wt_json_walk_open(WtJsonWalk *walk, const char *text, const char *limit, char bracket)
{
	text = wt_json_skip_space(text, limit);
	if (text == limit || *text != bracket)
		return false;
	*walk = (WtJsonWalk){.bracket = bracket == '{' ? '}' : ']', .limit = limit};
	walk->next = wt_json_skip_space(text + 1, limit);
	return true;
}

/* Whether there are no more children, or it is broken. */
static bool
is_at_end(WtJsonWalk *walk)
{
	if (!walk->end && walk->next < walk->limit && *walk->next == walk->bracket)
		walk->end = walk->next;
	else if (!walk->end && walk->next == walk->limit)
		walk->broken = true;
	return walk->broken || walk->next == walk->end;
}

/* Passes the comma behind a value that ends at `after`, if it is not the last. */
static bool
pass_comma(WtJsonWalk *walk, const char *after)
{
	const char *p = wt_json_skip_space(after, bound(walk));

	walk->broken = true;
	if (p == walk->limit)
		return false;
	if (p != walk->end && *p == ',')
	{
		p = wt_json_skip_space(p + 1, bound(walk));
		if (p == bound(walk) || *p == walk->bracket)
			return false;
	}
	else if (p != walk->end && (walk->end || *p != walk->bracket))
		return false;
	walk->next = p;
	walk->broken = false;
	return true;
}

/*
 * The value at walk->next, which is passed.  A number ends at what follows it, which is why the
 * closing bracket is in reach.
 */
static bool
read_value(WtJsonWalk *walk, WtJsonText *value)
{
	const char *start = wt_json_skip_space(walk->next, bound(walk));
	const char *reach = walk->end ? walk->end + 1 : walk->limit;
	const char *after = wt_json_skip_value(start, (size_t) (reach - start));

	if (!after || after == start || after > bound(walk))
	{
		walk->broken = true;
		return false;
	}
	if (!pass_comma(walk, after))
		return false;
	while (wt_json_is_space(after[-1])) /* it does not begin with one */
		after--;
	value->text = start;
	value->length = (size_t) (after - start);
	return true;
}

bool
wt_json_walk_member(WtJsonWalk *walk, WtJsonText *name, WtJsonText *value)
{
	const char *p = walk->next;
	const char *end = bound(walk);

	if (is_at_end(walk))
		return false;
	walk->broken = true;
	if (*p != '"')
		return false;
	name->text = ++p;
	while (p < end && *p != '"')
		p += *p == '\\' && end - p > 1 ? 2 : 1;
	if (p >= end)
		return false;
	name->length = (size_t) (p - name->text);
	p = wt_json_skip_space(p + 1, end);
	if (p == end || *p != ':')
		return false;
	walk->next = p + 1;
	return read_value(walk, value);
}

bool
wt_json_walk_element(WtJsonWalk *walk, WtJsonText *value)
{
	return !is_at_end(walk) && read_value(walk, value);
}

bool
wt_json_walk_open_element(const WtJsonWalk *walk, WtJsonWalk *object)
{
	return wt_json_walk_open(object, walk->next, bound(walk), '{');
}

bool
wt_json_walk_pass(WtJsonWalk *walk, const WtJsonWalk *object)
{
	walk->broken |= object->broken || !object->end;
	return !walk->broken && pass_comma(walk, object->end + 1);
}

bool
wt_json_walk_is_all(const WtJsonWalk *walk)
{
	return walk->end && wt_json_skip_space(walk->end + 1, walk->limit) == walk->limit;
}

bool
wt_json_walk_is(WtJsonText name, const char *wanted)
{
	return name.length == strlen(wanted) && memcmp(name.text, wanted, name.length) == 0;
}
