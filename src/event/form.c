/*
 * form.c
 *		application/x-www-form-urlencoded: bodies of forms, and query strings.
 */
#include <stdlib.h>
#include <string.h>

#include "event/form.h"
#include "base/text.h"

/* One field: two tokens that follow each other in json->tokens. */
typedef struct Field
{
	WtJsonToken name;
	WtJsonToken value;
} Field;

/*
 * Adds a string token with the decoded form of p..end.  A percent sign without two
 * hexadecimal digits stands for itself, as browsers read it.
 */
static bool
add_decoded(WtJson *json, const char *p, const char *end)
{
	WtJsonToken *t = wt_json_add(json, WT_JSON_STRING);
	char *out;

	if (!t)
		return false;
	out = json->scratch + json->scratch_used;
	t->u.text = out;
	while (p < end)
	{
		int byte = wt_percent_byte(p, (size_t) (end - p));

		*out++ = byte >= 0 ? (char) byte : *p == '+' ? ' ' : *p;
		p += byte >= 0 ? 3 : 1;
	}
	t->length = (uint32_t) (out - t->u.text);
	json->scratch_used += t->length;
	return true;
}

static bool
same_name(const Field *a, const Field *b)
{
	return a->name.length == b->name.length &&
		   memcmp(a->name.u.text, b->name.u.text, a->name.length) == 0;
}

/* By name; fields of one name stay in the order in which they were sent. */
static int
compare_fields(const void *a, const void *b)
{
	const Field *fa = a;
	const Field *fb = b;
	int c;

	if (fa->name.length != fb->name.length)
		return fa->name.length < fb->name.length ? -1 : 1;
	c = memcmp(fa->name.u.text, fb->name.u.text, fa->name.length);
	if (c != 0)
		return c;
	/* Decoded values lie in scratch in the order in which they came. */
	return fa->value.u.text < fb->value.u.text ? -1 : fa->value.u.text > fb->value.u.text;
}

WtJsonResult
wt_form_parse(WtJson *json, const char *text, size_t length)
{
	const char *p = text;
	const char *end = text + length;
	WtJsonToken *object;
	Field *fields;
	WtJsonToken *out;
	uint32_t n_fields;
	uint32_t n_names = 0;

	/* One byte for each field keeps the addresses of empty values apart. */
	if (!wt_json_begin(json, length * 2 + 1) || !wt_json_add(json, WT_JSON_OBJECT))
		return WT_JSON_OUT_OF_MEMORY;
	while (p < end)
	{
		const char *field_end = memchr(p, '&', (size_t) (end - p));
		const char *equals;

		if (!field_end)
			field_end = end;
		if (field_end > p)
		{
			equals = memchr(p, '=', (size_t) (field_end - p));
			if (!equals)
				equals = field_end;
			if (!add_decoded(json, p, equals) ||
				!add_decoded(json, equals < field_end ? equals + 1 : field_end,
							 field_end))
				return WT_JSON_OUT_OF_MEMORY;
			json->scratch_used++;
		}
		p = field_end + 1;
	}

	/*
	 * Put the fields of one name together, in place: k fields of one name are 2k
	 * tokens and become a name, an array and k values.
	 */
	fields = (Field *) (json->tokens + 1);
	n_fields = (json->n_tokens - 1) / 2;
	qsort(fields, n_fields, sizeof(Field), compare_fields);
	out = json->tokens + 1;
	for (uint32_t i = 0; i < n_fields;)
	{
		uint32_t k = 1;
		Field first = fields[i];

		while (i + k < n_fields && same_name(&first, &fields[i + k]))
			k++;
		*out++ = first.name;
		if (k == 1)
			*out++ = first.value;
		else
		{
			WtJsonToken array = {WT_JSON_ARRAY, k, {NULL}};
			WtJsonToken second = fields[i + 1].value;

			/* With k = 2 the array takes the place of what comes second: save it. */
			array.u.end = (uint32_t) (out - json->tokens) + 1 + k;
			*out++ = array;
			*out++ = first.value;
			*out++ = second;
			for (uint32_t j = 2; j < k; j++)
				*out++ = fields[i + j].value;
		}
		i += k;
		n_names++;
	}
	json->n_tokens = (uint32_t) (out - json->tokens);
	object = &json->tokens[0];
	object->length = n_names;
	object->u.end = json->n_tokens;
	return WT_JSON_OK;
}
