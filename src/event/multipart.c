/*
 * multipart.c
 *		multipart/form-data (RFC 7578): what browsers and curl -F send.
 *
 * Strict, since all senders are programs: lines of heads end with CR LF, each part says its
 * name, and the last boundary is there.
 *
 * Words:
 *	part		a field or a file: a head, an empty line, and what it holds
 *	boundary	the line between parts; its text is in the Content-Type
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event/multipart.h"
#include "base/text.h"

/* RFC 2046. */
#define MAX_BOUNDARY 70

typedef struct Text
{
	const char *p; /* NULL: there is none */
	size_t length;
} Text;

typedef struct Part
{
	Text name;
	Text filename;
	Text type;
	Text content;
	int order; /* of arrival */
} Part;

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The parameter `name` of a header's value, as it is written: without its quotes, but with
 * what is escaped in them.
 */
static Text
find_parameter(const char *p, const char *end, const char *name)
{
	size_t name_length = strlen(name);
	Text found = {0};

	while (p < end && *p != ';')
		p++;
	while (p < end)
	{
		const char *key;
		size_t key_length;
		Text value = {0};

		p++;
		while (p < end && is_blank(*p))
			p++;
		key = p;
		while (p < end && *p != '=' && *p != ';')
			p++;
		key_length = (size_t) (p - key);
		if (p < end && *p == '=')
		{
			p++;
			if (p < end && *p == '"')
			{
				value.p = ++p;
				while (p < end && *p != '"')
					p += (*p == '\\' && end - p > 1 && (p[1] == '"' || p[1] == '\\')) ? 2
																					  : 1;
				value.length = (size_t) (p - value.p);
			}
			else
			{
				value.p = p;
				while (p < end && *p != ';' && !is_blank(*p))
					p++;
				value.length = (size_t) (p - value.p);
			}
		}
		while (p < end && *p != ';')
			p++;
		if (key_length == name_length && strncasecmp(key, name, name_length) == 0)
			return value;
	}
	return found;
}

/*
 * Copies a name to scratch without its escapes: what browsers write as %22, %0D and %0A, and
 * others with a backslash; all: with every byte that can be written in percent.
 */
static Text
unescape(WtJson *json, Text text, bool all)
{
	char *out = json->scratch + json->scratch_used;
	Text result = {out, 0};

	if (!text.p)
		return text;
	for (size_t i = 0; i < text.length; i++)
	{
		const char *p = text.p + i;
		char c = *p;

		if (c == '\\' && text.length - i > 1 && (p[1] == '"' || p[1] == '\\'))
		{
			c = p[1];
			i++;
		}
		else
		{
			int byte = wt_percent_byte(p, text.length - i);

			if (byte >= 0 && (all || byte == '"' || byte == '\r' || byte == '\n'))
			{
				c = (char) byte;
				i += 2;
			}
		}
		out[result.length++] = c;
	}
	json->scratch_used += result.length;
	return result;
}

/* RFC 8187: charset'language'text, of which only UTF-8 is in use. */
static Text
unescape_extended(WtJson *json, Text text)
{
	const char *end = text.p + text.length;
	const char *quote = memchr(text.p, '\'', text.length);

	if (quote)
		quote = memchr(quote + 1, '\'', (size_t) (end - quote - 1));
	if (quote)
	{
		text.length = (size_t) (end - quote - 1);
		text.p = quote + 1;
	}
	return unescape(json, text, true);
}

/* Reads the head of a part; NULL where all is well, else the reason why not. */
static const char *
read_head(WtJson *json, const char *p, const char *end, Part *part)
{
	static const char disposition[] = "content-disposition:";
	static const char type[] = "content-type:";
	Text name = {0};

	while (p < end)
	{
		const char *line_end = memmem(p, (size_t) (end - p), "\r\n", 2);
		size_t n;

		if (!line_end)
			line_end = end;
		n = (size_t) (line_end - p);
		if (n >= sizeof(disposition) - 1 &&
			strncasecmp(p, disposition, sizeof(disposition) - 1) == 0)
		{
			Text extended = find_parameter(p, line_end, "filename*");

			name = find_parameter(p, line_end, "name");
			part->filename =
				extended.p
					? unescape_extended(json, extended)
					: unescape(json, find_parameter(p, line_end, "filename"), false);
		}
		else if (n >= sizeof(type) - 1 && strncasecmp(p, type, sizeof(type) - 1) == 0)
		{
			part->type.p = p + sizeof(type) - 1;
			while (part->type.p < line_end && is_blank(*part->type.p))
				part->type.p++;
			part->type.length = (size_t) (line_end - part->type.p);
		}
		p = line_end < end ? line_end + 2 : end;
	}
	if (!name.p)
		return "a part has no name";
	part->name = unescape(json, name, false);
	return NULL;
}

/* By name; parts of one name stay in the order in which they were sent. */
static int
compare_parts(const void *a, const void *b)
{
	const Part *pa = a;
	const Part *pb = b;
	int c;

	if (pa->name.length != pb->name.length)
		return pa->name.length < pb->name.length ? -1 : 1;
	c = memcmp(pa->name.p, pb->name.p, pa->name.length);
	return c != 0 ? c : pa->order - pb->order;
}

static bool
add_text(WtJson *json, const char *text, size_t length)
{
	WtJsonToken *t = wt_json_add(json, WT_JSON_STRING);

	if (!t)
		return false;
	t->u.text = text;
	t->length = (uint32_t) length;
	return true;
}

static bool
add_base64(WtJson *json, Text bytes)
{
	char *text = json->scratch + json->scratch_used;
	size_t length = wt_base64_encode(bytes.p, bytes.length, text);

	json->scratch_used += length;
	return add_text(json, text, length);
}

static bool
add_value(WtJson *json, const Part *part)
{
	uint32_t object = json->n_tokens;

	if (!part->filename.p)
		return add_text(json, part->content.p, part->content.length);
	if (!wt_json_add(json, WT_JSON_OBJECT) || !add_text(json, "filename", 8) ||
		!add_text(json, part->filename.p, part->filename.length))
		return false;
	json->tokens[object].length = 2;
	if (part->type.p)
	{
		json->tokens[object].length = 3;
		if (!add_text(json, "type", 4) ||
			!add_text(json, part->type.p, part->type.length))
			return false;
	}
	if (!add_text(json, "base64", 6) || !add_base64(json, part->content))
		return false;
	json->tokens[object].u.end = json->n_tokens;
	return true;
}

/* The object of all parts, which are sorted. */
static bool
add_parts(WtJson *json, const Part *parts, int n)
{
	uint32_t n_names = 0;
	int k;

	if (!wt_json_add(json, WT_JSON_OBJECT))
		return false;
	for (int i = 0; i < n; i += k)
	{
		const Part *first = &parts[i];
		uint32_t array = json->n_tokens + 1;

		for (k = 1; i + k < n && first->name.length == parts[i + k].name.length &&
					memcmp(first->name.p, parts[i + k].name.p, first->name.length) == 0;
			 k++)
			;
		if (!add_text(json, first->name.p, first->name.length) ||
			(k > 1 && !wt_json_add(json, WT_JSON_ARRAY)))
			return false;
		for (int j = 0; j < k; j++)
			if (!add_value(json, &parts[i + j]))
				return false;
		if (k > 1)
		{
			json->tokens[array].length = (uint32_t) k;
			json->tokens[array].u.end = json->n_tokens;
		}
		n_names++;
	}
	json->tokens[0].length = n_names;
	json->tokens[0].u.end = json->n_tokens;
	return true;
}

/* Takes the body apart; *n is set to the number of parts.  NULL, or the reason why not. */
static const char *
read_parts(WtJson *json, const char *delimiter, size_t delimiter_length, const char *p,
		   const char *end, Part *parts, int *n)
{
	/* The first one may have no line before it. */
	if ((size_t) (end - p) < delimiter_length - 2 ||
		memcmp(p, delimiter + 2, delimiter_length - 2) != 0)
	{
		if ((size_t) (end - p) < delimiter_length ||
			memcmp(p, delimiter, delimiter_length) != 0)
			return "it does not begin with its boundary";
		p += 2;
	}
	p += delimiter_length - 2;
	for (*n = 0;; (*n)++)
	{
		Part *part = &parts[*n];
		const char *next; /* the end of the head */
		const char *stop; /* and of the part */
		const char *reason;

		if (end - p >= 2 && p[0] == '-' && p[1] == '-')
			return *n > 0 ? NULL : "it has no parts";
		while (p < end && is_blank(*p))
			p++;
		if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
			return "a boundary does not end its line";
		if (*n == WT_MULTIPART_MAX_PARTS)
			return "it has more than 1000 parts";
		/*
		 * A boundary in the head ends the part: else what is between would be lost.  The
		 * line end before it may be that of the head.
		 */
		stop = memmem(p, (size_t) (end - p), delimiter, delimiter_length);
		next = memmem(p, (size_t) ((stop ? stop + 2 : end) - p), "\r\n\r\n", 4);
		if (!next)
			return "the head of a part does not end";
		if (!stop)
			return "a part does not end with the boundary";
		memset(part, 0, sizeof(*part));
		part->order = *n;
		/* An empty head ends with the line of the boundary. */
		if ((reason = read_head(json, next > p ? p + 2 : p, next, part)) != NULL)
			return reason;
		part->content.p = next + 4;
		part->content.length = stop > next + 4 ? (size_t) (stop - next - 4) : 0;
		p = stop;
		p += delimiter_length;
	}
}

WtJsonResult
wt_multipart_parse(WtJson *json, const char *content_type, const char *body,
				   size_t length, const char **reason)
{
	char delimiter[MAX_BOUNDARY + 4] = "\r\n--";
	Text boundary =
		find_parameter(content_type, content_type + strlen(content_type), "boundary");
	Part *parts;
	int n;
	bool added;

	if (!boundary.p || boundary.length == 0 || boundary.length > MAX_BOUNDARY)
	{
		*reason = "its Content-Type names no boundary of 1 to 70 bytes";
		return WT_JSON_BAD;
	}
	memcpy(delimiter + 4, boundary.p, boundary.length);

	/* base64 is 4/3 of the contents and up to 4 bytes a part; the heads are longer. */
	parts = malloc(sizeof(Part) * (WT_MULTIPART_MAX_PARTS + 1));
	if (!parts || !wt_json_begin(json, length * 3))
	{
		free(parts);
		return WT_JSON_OUT_OF_MEMORY;
	}
	*reason =
		read_parts(json, delimiter, boundary.length + 4, body, body + length, parts, &n);
	if (*reason)
	{
		free(parts);
		return WT_JSON_BAD;
	}
	qsort(parts, (size_t) n, sizeof(Part), compare_parts);
	added = add_parts(json, parts, n);
	free(parts);
	return added ? WT_JSON_OK : WT_JSON_OUT_OF_MEMORY;
}
