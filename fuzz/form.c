/*
 * form.c
 *		Fuzz target: application/x-www-form-urlencoded → tokens of an object (src/event/form.h).
 *
 * The fields are taken apart here once more, one after the other, and each member of the
 * object must hold the values of just one name, all of them and in their order.
 */
#include "event/form.h"
#include "fuzz.h"

typedef struct Part
{
	char *text;
	size_t length;
} Part;

typedef struct Field
{
	Part name;
	Part value;
	bool found;
} Field;

/* The decoded form of what lies between from and to. */
static Part
decode(const char *from, const char *to)
{
	Part part = {.text = malloc((size_t) (to - from) + 1)};

	CHECK(part.text, "out of memory");
	for (; from < to; from++)
	{
		char c = *from;

		if (c == '+')
			c = ' ';
		else if (c == '%' && to - from > 2)
		{
			char hex[3] = {from[1], from[2], '\0'};

			if (strspn(hex, "0123456789abcdefABCDEF") == 2)
			{
				c = (char) strtol(hex, NULL, 16);
				from += 2;
			}
		}
		part.text[part.length++] = c;
	}
	return part;
}

static bool
is_same(const WtJsonToken *t, const Part *part)
{
	return t->type == WT_JSON_STRING && t->length == part->length &&
		   memcmp(t->u.text, part->text, part->length) == 0;
}

/* The fields of the text; *n is set to their number. */
static Field *
split(const char *text, size_t size, int *n)
{
	const char *end = text + size;
	Field *fields = calloc(size + 1, sizeof(Field));

	CHECK(fields, "out of memory");
	*n = 0;
	for (const char *p = text; p < end;)
	{
		const char *to = p;
		const char *equals;

		while (to < end && *to != '&')
			to++;
		for (equals = p; equals < to && *equals != '='; equals++)
			;
		if (to > p)
		{
			fields[*n].name = decode(p, equals);
			fields[*n].value = decode(equals < to ? equals + 1 : to, to);
			(*n)++;
		}
		p = to < end ? to + 1 : end;
	}
	return fields;
}

/* The member whose name is token i. */
static void
check_member(const WtJson *json, uint32_t i, Field *fields, int n)
{
	const WtJsonToken *value = &json->tokens[i + 1];
	bool is_array = value->type == WT_JSON_ARRAY;
	uint32_t n_values = is_array ? value->length : 1;
	uint32_t k = 0;

	CHECK(!is_array || n_values > 1, "an array of %u", n_values);
	for (int f = 0; f < n; f++)
	{
		if (!is_same(&json->tokens[i], &fields[f].name))
			continue;
		CHECK(!fields[f].found, "a name that comes twice");
		CHECK(k < n_values, "a value is missing");
		CHECK(is_same(value + is_array + k, &fields[f].value), "another value");
		fields[f].found = true;
		k++;
	}
	CHECK(k == n_values, "%u values instead of %u", n_values, k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_copy(data, size);
	WtJson json = {0};
	int n;
	Field *fields = split(text, size, &n);
	uint32_t i = 1;

	CHECK(wt_form_parse(&json, text, size) == WT_JSON_OK, "not parsed");
	CHECK(json.tokens[0].type == WT_JSON_OBJECT, "no object");
	check_tokens(&json, text, size, false);
	for (uint32_t k = 0; k < json.tokens[0].length; k++)
	{
		check_member(&json, i, fields, n);
		i = wt_json_after(&json, i + 1);
	}
	for (int f = 0; f < n; f++)
	{
		CHECK(fields[f].found, "field %d is lost", f);
		free(fields[f].name.text);
		free(fields[f].value.text);
	}
	free(fields);
	wt_json_shrink(&json, 0);
	free(text);
	return 0;
}
