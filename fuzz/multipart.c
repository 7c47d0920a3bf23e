/*
 * multipart.c
 *		Fuzz target: multipart/form-data → fields (src/event/multipart.h).
 *
 * The first line of the input is the Content-Type, the rest the body.  The body is read a
 * second time here, slowly: it is cut at its boundaries first, as RFC 2046 has it, and then
 * each piece is taken apart by itself.  Known differences: more parts than
 * WT_MULTIPART_MAX_PARTS are beyond what a fuzzer's inputs reach.
 */
#include <ctype.h>
#include <strings.h>

#include "event/multipart.h"
#include "fuzz.h"

typedef struct Bytes
{
	char *p; /* NULL: there is none */
	size_t length;
} Bytes;

typedef struct Field
{
	Bytes name;
	Bytes filename;
	Bytes type;
	Bytes content;
	bool found;
} Field;

static void
append(Bytes *b, char c)
{
	b->p[b->length++] = c;
}

static Bytes
empty(size_t room)
{
	Bytes b = {.p = calloc(room + 1, 1)};

	CHECK(b.p, "out of memory");
	return b;
}

static Bytes
copy(const char *from, size_t length)
{
	return (Bytes){exact_copy(from, length), length};
}

static bool
begins(const char *text, size_t length, const char *with, size_t with_length)
{
	return length >= with_length && memcmp(text, with, with_length) == 0;
}

/* Where the first needle begins, byte by byte; length where there is none. */
static size_t
find(const char *text, size_t length, const char *needle, size_t needle_length)
{
	for (size_t i = 0; i < length; i++)
		if (begins(text + i, length - i, needle, needle_length))
			return i;
	return length;
}

/*
 * The value of the first parameter of that name, without its quotes and with its escapes:
 * a machine with a state for each byte.
 */
static Bytes
parameter(const char *text, size_t length, const char *wanted)
{
	enum
	{
		SKIP,
		BLANKS,
		NAME,
		EQUALS,
		QUOTED,
		ESCAPED,
		PLAIN
	} state = SKIP;
	Bytes name = empty(length);
	Bytes value = empty(length);
	bool has_value = false;
	bool done = false;

	for (size_t i = 0; i <= length && !done; i++)
	{
		char c = i < length ? text[i] : ';';
		bool is_end = i == length;

		if (state == BLANKS && c != ' ' && c != '\t')
			state = NAME;
		if (state == EQUALS)
		{
			state = c == '"' && !is_end ? QUOTED : PLAIN;
			has_value = true;
			if (state == QUOTED)
				continue;
		}
		if (state == ESCAPED)
		{
			state = QUOTED;
			if (!is_end && (c == '"' || c == '\\'))
			{
				append(&value, c);
				continue;
			}
		}
		if (state == QUOTED && !is_end)
		{
			if (c == '"')
				state = SKIP;
			else
				append(&value, c);
			if (c == '\\')
				state = ESCAPED;
			continue;
		}
		if (c == ';')
		{
			done = name.length == strlen(wanted) &&
				   strncasecmp(name.p, wanted, name.length) == 0;
			if (!done)
				name.length = value.length = 0, has_value = false;
			state = BLANKS;
		}
		else if (state == NAME && c == '=')
			state = EQUALS;
		else if (state == NAME)
			append(&name, c);
		else if (state == PLAIN && (c == ' ' || c == '\t'))
			state = SKIP;
		else if (state == PLAIN)
			append(&value, c);
	}
	free(name.p);
	if (!done || !has_value)
	{
		free(value.p);
		value.p = NULL;
	}
	return value;
}

/* What stands for the text: with a backslash before quotes, and in percent. */
static Bytes
meaning(Bytes text, bool all)
{
	Bytes out;

	if (!text.p)
		return text;
	out = empty(text.length);
	for (size_t i = 0; i < text.length; i++)
	{
		char hex[3] = {0};

		if (i + 1 < text.length &&
			(begins(text.p + i, 2, "\\\"", 2) || begins(text.p + i, 2, "\\\\", 2)))
		{
			append(&out, text.p[++i]);
			continue;
		}
		if (text.p[i] == '%' && i + 2 < text.length)
			memcpy(hex, text.p + i + 1, 2);
		if (isxdigit((unsigned char) hex[0]) && isxdigit((unsigned char) hex[1]))
		{
			char byte = (char) strtol(hex, NULL, 16);

			if (all || byte == '"' || byte == '\r' || byte == '\n')
			{
				append(&out, byte);
				i += 2;
				continue;
			}
		}
		append(&out, text.p[i]);
	}
	free(text.p);
	return out;
}

/* RFC 8187: behind the second quote, if there are two. */
static Bytes
extended_meaning(Bytes text)
{
	size_t first = find(text.p, text.length, "'", 1);

	if (first < text.length)
	{
		size_t rest = first + 1;
		size_t second = rest + find(text.p + rest, text.length - rest, "'", 1);

		if (second < text.length)
		{
			text.length -= second + 1;
			memmove(text.p, text.p + second + 1, text.length);
		}
	}
	return meaning(text, true);
}

/* One line of a head. */
static void
read_line(const char *line, size_t length, Field *field)
{
	size_t colon = find(line, length, ":", 1);
	const char *value = line + colon + 1;
	size_t n;

	if (colon == length)
		return;
	n = length - colon - 1;
	if (colon == 19 && strncasecmp(line, "content-disposition", colon) == 0)
	{
		free(field->name.p);
		free(field->filename.p);
		field->name = meaning(parameter(value, n, "name"), false);
		field->filename = parameter(value, n, "filename*");
		field->filename = field->filename.p
							  ? extended_meaning(field->filename)
							  : meaning(parameter(value, n, "filename"), false);
	}
	if (colon == 12 && strncasecmp(line, "content-type", colon) == 0)
	{
		for (; n > 0 && (*value == ' ' || *value == '\t'); n--)
			value++;
		free(field->type.p);
		field->type = copy(value, n);
	}
}

/*
 * The piece between two boundaries, from the line end of the first to that of the second,
 * both included; false where it is no part.
 */
static bool
read_piece(const char *piece, size_t length, Field *field)
{
	size_t line = 0;

	while (line < length && (piece[line] == ' ' || piece[line] == '\t'))
		line++;
	if (!begins(piece + line, length - line, "\r\n", 2))
		return false;
	for (line += 2;;)
	{
		size_t n = find(piece + line, length - line, "\r\n", 2);

		if (n == length - line)
			return false; /* no empty line */
		if (n == 0)
			break;
		read_line(piece + line, n, field);
		line += n + 2;
	}
	/* The line end before the boundary may be that of the head. */
	line += 2;
	field->content = line < length ? copy(piece + line, length - line - 2) : empty(0);
	return field->name.p != NULL;
}

/* All fields of the body; *n is their number, -1 where it is not well formed. */
static Field *
read_body(const char *type, const char *body, size_t length, int *n)
{
	Field *fields = calloc(length + 1, sizeof(Field));
	Bytes boundary = parameter(type, strlen(type), "boundary");
	Bytes line = empty(80);
	size_t at = 0;

	CHECK(fields, "out of memory");
	*n = -1;
	if (boundary.p && boundary.length >= 1 && boundary.length <= 70)
	{
		memcpy(line.p, "\r\n--", 4);
		memcpy(line.p + 4, boundary.p, boundary.length);
		line.length = boundary.length + 4;
		if (begins(body, length, line.p + 2, line.length - 2))
			at = line.length - 2;
		else if (begins(body, length, line.p, line.length))
			at = line.length;
	}
	for (int k = 0; at > 0; k++)
	{
		size_t to = at + find(body + at, length - at, line.p, line.length);

		if (begins(body + at, length - at, "--", 2))
		{
			*n = k > 0 ? k : -1;
			break;
		}
		if (to == length || !read_piece(body + at, to + 2 - at, &fields[k]))
			break;
		at = to + line.length;
	}
	free(line.p);
	free(boundary.p);
	return fields;
}

static bool
is_same(const WtJsonToken *t, const char *text, size_t length)
{
	return t->type == WT_JSON_STRING && t->length == length &&
		   memcmp(t->u.text, text, length) == 0;
}

/* Undone, base64 is the content; and it is as long as it should be. */
static void
check_base64(const WtJsonToken *t, Bytes content)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;

	CHECK(t->type == WT_JSON_STRING && t->length == (content.length + 2) / 3 * 4,
		  "base64 of %zu bytes is %u long", content.length, t->length);
	for (uint32_t i = 0; i < t->length; i += 4)
	{
		uint32_t bits = 0;
		int pads = 0;

		for (uint32_t k = i; k < i + 4; k++)
		{
			const char *digit = t->u.text[k] ? strchr(digits, t->u.text[k]) : NULL;

			CHECK(digit || t->u.text[k] == '=', "no digit of base64");
			CHECK(digit ? pads == 0 : k >= i + 2 && i + 4 == t->length, "a pad inside");
			pads += !digit;
			bits = bits << 6 | (digit ? (uint32_t) (digit - digits) : 0);
		}
		for (int k = 0; k < 3 - pads; k++)
			CHECK((char) (bits >> (16 - 8 * k) & 255) == content.p[n++], "another byte");
		CHECK(pads == 0 || (bits & ((1u << 8 * pads) - 1)) == 0, "bits that are lost");
	}
	CHECK(n == content.length, "%zu bytes instead of %zu", n, content.length);
}

static void
check_field(const WtJson *json, uint32_t i, const Field *field)
{
	const WtJsonToken *t = &json->tokens[i];
	bool has_type = field->type.p != NULL;

	if (!field->filename.p)
	{
		CHECK(is_same(t, field->content.p, field->content.length), "another content");
		return;
	}
	CHECK(t->type == WT_JSON_OBJECT && t->length == 2u + has_type, "not as a file is");
	CHECK(is_same(t + 1, "filename", 8) &&
			  is_same(t + 2, field->filename.p, field->filename.length),
		  "another name of the file");
	CHECK(!has_type || (is_same(t + 3, "type", 4) &&
						is_same(t + 4, field->type.p, field->type.length)),
		  "another type");
	t += 3 + 2 * has_type;
	CHECK(is_same(t, "base64", 6), "no base64");
	check_base64(t + 1, field->content);
}

/* The member whose name is token i: all fields of that name, in their order. */
static void
check_member(const WtJson *json, uint32_t i, Field *fields, int n)
{
	bool is_array = json->tokens[i + 1].type == WT_JSON_ARRAY;
	uint32_t n_values = is_array ? json->tokens[i + 1].length : 1;
	uint32_t value = i + 1 + is_array;
	uint32_t k = 0;

	CHECK(!is_array || n_values > 1, "an array of %u", n_values);
	for (int f = 0; f < n; f++)
	{
		if (!is_same(&json->tokens[i], fields[f].name.p, fields[f].name.length))
			continue;
		CHECK(!fields[f].found, "a name that comes twice");
		CHECK(k < n_values, "a value is missing");
		check_field(json, value, &fields[f]);
		fields[f].found = true;
		value = wt_json_after(json, value);
		k++;
	}
	CHECK(k == n_values, "%u values instead of %u", n_values, k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t line = find((const char *) data, size, "\n", 1);
	Bytes type = empty(line);
	size_t length = line < size ? size - line - 1 : 0;
	char *body = exact_copy(data + size - length, length);
	WtJson json = {0};
	const char *reason = NULL;
	WtJsonResult r;
	Field *fields;
	int n;

	for (size_t i = 0; i < line && data[i]; i++)
		append(&type, (char) data[i]);
	append(&type, '\0');
	fields = read_body(type.p, body, length, &n);
	r = wt_multipart_parse(&json, type.p, body, length, &reason);
	CHECK(r == (n < 0 ? WT_JSON_BAD : WT_JSON_OK), "%d for %d fields: %s", (int) r, n,
		  reason ? reason : "no reason");
	if (r == WT_JSON_BAD)
		CHECK(reason && is_text(reason, strlen(reason)), "no reason is told");
	else
	{
		uint32_t i = 1;

		check_tokens(&json, body, length, false);
		CHECK(json.tokens[0].type == WT_JSON_OBJECT, "no object");
		CHECK(json.scratch_used <= 3 * length, "more scratch than there was room for");
		for (uint32_t k = 0; k < json.tokens[0].length; k++)
		{
			check_member(&json, i, fields, n);
			i = wt_json_after(&json, i + 1);
		}
		for (int f = 0; f < n; f++)
			CHECK(fields[f].found, "field %d is lost", f);
	}
	for (size_t f = 0; f <= length; f++)
	{
		free(fields[f].name.p);
		free(fields[f].filename.p);
		free(fields[f].type.p);
		free(fields[f].content.p);
	}
	free(fields);
	free(type.p);
	wt_json_shrink(&json, 0);
	free(body);
	return 0;
}
