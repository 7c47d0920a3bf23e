/*
 * json_build.c
 *		Tokens made by a decoder of another format than JSON, one after the other.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "event/json_build.h"

void
wt_build_begin(WtBuild *build, WtJson *json, bool empty)
{
	build->json = json;
	build->out_of_memory = empty && !wt_json_begin(json, 0);
	build->too_deep = false;
	build->depth = 0;
}

bool
wt_build_is_good(const WtBuild *build)
{
	return !build->out_of_memory && !build->too_deep && build->depth == 0;
}

static bool
has_failed(const WtBuild *build)
{
	return build->out_of_memory || build->too_deep;
}

/* Adds a value; NULL: it was not. */
static WtJsonToken *
add_value(WtBuild *build, WtJsonType type)
{
	WtJsonToken *t;

	if (has_failed(build))
		return NULL;
	if (build->depth > 0)
		build->json->tokens[build->open[build->depth - 1]].length++;
	t = wt_json_add(build->json, type);
	if (!t)
		build->out_of_memory = true;
	return t;
}

void
wt_build_open(WtBuild *build, WtJsonType type)
{
	if (build->depth == WT_JSON_MAX_DEPTH)
	{
		build->too_deep = true;
		return;
	}
	if (add_value(build, type))
		build->open[build->depth++] = build->json->n_tokens - 1;
}

void
wt_build_close(WtBuild *build)
{
	if (has_failed(build))
		return;
	build->json->tokens[build->open[--build->depth]].u.end = build->json->n_tokens;
}

void
wt_build_name(WtBuild *build, const char *name, size_t length)
{
	WtJsonToken *t;

	if (has_failed(build))
		return;
	t = wt_json_add(build->json, WT_JSON_STRING);
	if (!t)
	{
		build->out_of_memory = true;
		return;
	}
	t->u.text = name;
	t->length = (uint32_t) length;
}

void
wt_build_key(WtBuild *build, const char *name)
{
	wt_build_name(build, name, strlen(name));
}

static void
add_text(WtBuild *build, WtJsonType type, const char *text, size_t length)
{
	WtJsonToken *t = add_value(build, type);

	if (!t)
		return;
	t->u.text = text;
	t->length = (uint32_t) length;
}

void
wt_build_string(WtBuild *build, const char *text, size_t length)
{
	add_text(build, WT_JSON_STRING, text, length);
}

char *
wt_build_room(WtBuild *build, size_t length)
{
	char *room;

	if (has_failed(build))
		return NULL;
	room = wt_json_room(build->json, length);
	if (!room)
		build->out_of_memory = true;
	return room;
}

/* A copy of a text that lasts as long as the tokens; NULL: there is none. */
static const char *
copy_text(WtBuild *build, const char *text, size_t length)
{
	char *room = wt_build_room(build, length);

	if (room)
		memcpy(room, text, length);
	return room;
}

void
wt_build_copy(WtBuild *build, const char *text, size_t length)
{
	const char *copy = copy_text(build, text, length);

	if (copy)
		add_text(build, WT_JSON_STRING, copy, length);
}

void
wt_build_name_copy(WtBuild *build, const char *name, size_t length)
{
	const char *copy = copy_text(build, name, length);

	if (copy)
		wt_build_name(build, copy, length);
}

void
wt_build_null(WtBuild *build)
{
	(void) add_value(build, WT_JSON_NULL);
}

void
wt_build_bool(WtBuild *build, bool value)
{
	(void) add_value(build, value ? WT_JSON_TRUE : WT_JSON_FALSE);
}

void
wt_build_number(WtBuild *build, const char *text, size_t length)
{
	const char *copy = copy_text(build, text, length);

	if (copy)
		add_text(build, WT_JSON_NUMBER, copy, length);
}

/* The digits of a number, which end where `end` does; gives where they begin. */
static char *
write_digits(char *end, uint64_t value)
{
	do
		*--end = (char) ('0' + value % 10);
	while ((value /= 10) > 0);
	return end;
}

void
wt_build_int(WtBuild *build, int64_t value)
{
	char text[20];
	char *end = text + sizeof(text);
	char *p = write_digits(end, value < 0 ? 0 - (uint64_t) value : (uint64_t) value);

	if (value < 0)
		*--p = '-';
	wt_build_number(build, p, (size_t) (end - p));
}

void
wt_build_uint(WtBuild *build, uint64_t value)
{
	char text[20];
	char *end = text + sizeof(text);
	char *p = write_digits(end, value);

	wt_build_number(build, p, (size_t) (end - p));
}

/*
 * Adds a number that is an integer of no more than 15 digits divided by a small power of ten:
 * both are exact, so that their quotient is what reading the digits gives.  False: it is none.
 */
static bool
add_decimal(WtBuild *build, double value)
{
	static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
	char text[32];
	char *end = text + sizeof(text);
	char *p = end;
	double scaled = fabs(value);
	uint64_t whole;
	int places = 0;

	if (!(scaled < 1e8) || (value == 0 && signbit(value)))
		return false;
	for (whole = (uint64_t) (scaled + 0.5); (double) whole / powers[places] != scaled;
		 whole = (uint64_t) (scaled * powers[places] + 0.5))
		if (++places > 6)
			return false;
	for (int i = 0; i < places; i++, whole /= 10)
		*--p = (char) ('0' + whole % 10);
	if (places > 0)
		*--p = '.';
	p = write_digits(p, whole);
	if (value < 0)
		*--p = '-';
	wt_build_number(build, p, (size_t) (end - p));
	return true;
}

void
wt_build_double(WtBuild *build, double value)
{
	char text[40];
	int precision;

	if (isnan(value))
		wt_build_string(build, "NaN", 3);
	else if (isinf(value))
		wt_build_string(build, value < 0 ? "-Infinity" : "Infinity", value < 0 ? 9 : 8);
	else if (!add_decimal(build, value))
	{
		/* The shortest that reads as the same. */
		for (precision = 15; precision < 17; precision++)
		{
			snprintf(text, sizeof(text), "%.*g", precision, value);
			if (strtod(text, NULL) == value)
				break;
		}
		wt_build_number(build, text,
						(size_t) snprintf(text, sizeof(text), "%.*g", precision, value));
	}
}

void
wt_build_hex(WtBuild *build, const void *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	char *room = wt_build_room(build, 2 * length);

	if (!room)
		return;
	for (size_t i = 0; i < length; i++)
	{
		room[2 * i] = digits[p[i] >> 4];
		room[2 * i + 1] = digits[p[i] & 0x0F];
	}
	add_text(build, WT_JSON_STRING, room, 2 * length);
}

void
wt_build_base64(WtBuild *build, const void *bytes, size_t length)
{
	size_t n = (length + 2) / 3 * 4;
	char *room = wt_build_room(build, n);

	if (!room)
		return;
	(void) wt_base64_encode(bytes, length, room);
	add_text(build, WT_JSON_STRING, room, n);
}

void
wt_build_token(WtBuild *build, uint32_t i)
{
	WtJson *json = build->json;
	uint32_t end;
	uint32_t moved;

	if (has_failed(build))
		return;
	end = wt_json_after(json, i);
	moved = json->n_tokens - i;
	if (build->depth > 0)
		json->tokens[build->open[build->depth - 1]].length++;
	for (uint32_t k = i; k < end; k++)
	{
		WtJsonToken *t = wt_json_add(json, WT_JSON_NULL);

		if (!t)
		{
			build->out_of_memory = true;
			return;
		}
		*t = json->tokens[k];
		if (t->type == WT_JSON_OBJECT || t->type == WT_JSON_ARRAY)
			t->u.end += moved;
	}
}

void
wt_build_undo(WtBuild *build, uint32_t i)
{
	if (has_failed(build))
		return;
	build->json->n_tokens = i;
	if (build->json->n_checked > i)
		build->json->n_checked = i;
	if (build->depth > 0)
		build->json->tokens[build->open[build->depth - 1]].length--;
}

bool
wt_build_parse(WtBuild *build, const char *text, size_t length)
{
	WtJsonError error;

	if (has_failed(build))
		return false;
	switch (wt_json_append(build->json, text, length, WT_JSON_MAX_DEPTH - build->depth,
						   &error))
	{
		case WT_JSON_OK:
			break;
		case WT_JSON_OUT_OF_MEMORY:
			build->out_of_memory = true;
			return false;
		default:
			return false;
	}
	if (build->depth > 0)
		build->json->tokens[build->open[build->depth - 1]].length++;
	return true;
}
