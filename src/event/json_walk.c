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

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/*
 * The value at walk->next, which is passed, with the comma after it.  skip_value ends a number
 * at what follows it, which is why the closing bracket is in its reach.
 */
static bool
read_value(WtJsonWalk *walk, WtJsonText *value)
{
	const char *start = skip_space(walk->next, walk->end);
	const char *after = wt_json_skip_value(start, (size_t) (walk->end + 1 - start));

	walk->broken = true;
	if (!after || after == start || after > walk->end)
		return false;
	value->text = start;
	walk->next = skip_space(after, walk->end);
	while (is_space(after[-1])) /* it does not begin with one */
		after--;
	value->length = (size_t) (after - start);
	if (walk->next < walk->end)
	{
		if (*walk->next != ',')
			return false;
		walk->next = skip_space(walk->next + 1, walk->end);
		if (walk->next == walk->end)
			return false;
	}
	walk->broken = false;
	return true;
}

bool
wt_json_walk_whole(const char *text, size_t length, WtJsonText *value)
{
	const char *end = text + length;
	const char *after;

	text = skip_space(text, end);
	if (text == end || (*text != '{' && *text != '['))
		return false;
	after = wt_json_skip_value(text, (size_t) (end - text));
	if (!after || skip_space(after, end) != end)
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
	walk->end = value.text + value.length - 1;
	walk->next = skip_space(value.text + 1, walk->end);
	walk->broken = false;
	return true;
}

bool
wt_json_walk_member(WtJsonWalk *walk, WtJsonText *name, WtJsonText *value)
{
	const char *p = walk->next;

	if (walk->broken || p == walk->end)
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
	p = skip_space(p + 1, walk->end);
	if (p == walk->end || *p != ':')
		return false;
	walk->next = p + 1;
	return read_value(walk, value);
}

bool
wt_json_walk_element(WtJsonWalk *walk, WtJsonText *value)
{
	if (walk->broken || walk->next == walk->end)
		return false;
	return read_value(walk, value);
}

bool
wt_json_walk_is(WtJsonText name, const char *wanted)
{
	return name.length == strlen(wanted) && memcmp(name.text, wanted, name.length) == 0;
}
