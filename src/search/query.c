/*
 * query.c
 *		Queries as people type them → a condition in SQL on windtrap.events.
 *
 * SQL is written while the query is read: AND binds closer than OR in both, and parentheses
 * are those of the query.  The text of a query gets into it by put_literal() alone; what else
 * is written are constants of this file.
 *
 * A condition that may be null is negated by IS NOT TRUE: what has no such field is not equal.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search/query.h"

/* What stands in the text of a value for a * that is not quoted; queries have no NUL. */
#define ANYTHING '\0'

/* A number that is compared as one: numeric takes no exponent of any length. */
#define MAX_NUMBER 64
#define MAX_EXPONENT_DIGITS 3

typedef enum FieldKind
{
	MEMBER,	  /* by its path in data */
	TEXT,	  /* a column of windtrap.events */
	SEVERITY, /* one that has an order of its own */
	MESSAGE,  /* one that is searched for words */
	ENVELOPE, /* a text in data, beside the event */
	STATUS	  /* an integer */
} FieldKind;

static const struct
{
	const char *name;
	FieldKind kind;
	const char *sql;
} columns[] = {
	{"severity", SEVERITY, "severity"},
	{"app", TEXT, "app"},
	{"host", TEXT, "host"},
	{"message", MESSAGE, "message"},
	{"source", ENVELOPE, "source"},
	{"ip", ENVELOPE, "data->>'ip'"},
	{"id", ENVELOPE, "id"},
	{"status", STATUS, "status"},
};

/* By their order; those behind the first are other names of the one before. */
static const struct
{
	const char *name;
	int rank;
} severities[] = {
	{"trace", 0}, {"debug", 1}, {"info", 2}, {"warning", 3},
	{"warn", 3},  {"error", 4}, {"err", 4},	 {"fatal", 5},
};
static const char *const severity_names[] = {"trace",	"debug", "info",
											 "warning", "error", "fatal"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct Field
{
	FieldKind kind;
	const char *name; /* of a column, and of the member of data that an ENVELOPE is */
	const char *sql;  /* of a column */
	bool envelope;	  /* a path beginning in data, not in the event */
	int n_members;
	struct
	{
		size_t start; /* in Parser.names */
		size_t length;
	} members[WT_QUERY_MAX_MEMBERS];
} Field;

typedef struct Parser
{
	const char *text;
	size_t length;
	size_t at;
	int depth;
	int n_terms;
	WtQuery *query;
	WtBuffer names;
	WtBuffer value;
	WtBuffer scratch;
} Parser;

static bool fail(Parser *parser, bool is_syntax, size_t at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Gives false, for who calls to give it too. */
static bool
fail(Parser *parser, bool is_syntax, size_t at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(parser->query->error, sizeof(parser->query->error), format, args);
	va_end(args);
	parser->query->error_at = at;
	parser->query->error_is_syntax = is_syntax;
	return false;
}

/*
 * Writing
 */

static void
put(Parser *parser, const char *sql)
{
	wt_buffer_text(&parser->query->sql, sql);
}

/*
 * The only way for text of the query into SQL.  With a backslash it is an E'' constant, where
 * that means the same whatever standard_conforming_strings is.
 */
static void
put_literal(Parser *parser, const char *text, size_t length)
{
	WtBuffer *sql = &parser->query->sql;

	put(parser, length > 0 && memchr(text, '\\', length) ? "E'" : "'");
	for (size_t i = 0; i < length; i++)
	{
		if (text[i] == '\'' || text[i] == '\\')
			wt_buffer_add(sql, &text[i], 1);
		wt_buffer_add(sql, &text[i], 1);
	}
	put(parser, "'");
}

static const char *
bytes_of(const WtBuffer *buffer)
{
	return buffer->data ? buffer->data : "";
}

static void
put_scratch(Parser *parser)
{
	put_literal(parser, bytes_of(&parser->scratch), parser->scratch.length);
}

static const char *
member(const Parser *parser, const Field *field, int i)
{
	return bytes_of(&parser->names) + field->members[i].start;
}

/* As text; null where there is none. */
static void
put_text_of(Parser *parser, const Field *field)
{
	if (field->kind != MEMBER)
	{
		put(parser, field->sql);
		return;
	}
	put(parser, "data");
	if (!field->envelope)
		put(parser, "->'json'");
	for (int i = 0; i < field->n_members; i++)
	{
		put(parser, i < field->n_members - 1 ? "->" : "->>");
		put_literal(parser, member(parser, field, i), field->members[i].length);
	}
}

/* data @> '{"json":{"a":VALUE}}', VALUE being JSON as it is here, or, without it, the text. */
static void
put_contains(Parser *parser, const Field *field, bool is_json)
{
	WtBuffer *json = &parser->scratch;
	int n = 0;

	json->length = 0;
	wt_buffer_text(json, "{");
	if (field->kind == ENVELOPE)
		wt_buffer_json(json, field->name, strlen(field->name));
	else
	{
		if (!field->envelope)
		{
			wt_buffer_text(json, "\"json\":{");
			n++;
		}
		for (int i = 0; i < field->n_members; i++)
		{
			wt_buffer_json(json, member(parser, field, i), field->members[i].length);
			if (i < field->n_members - 1)
			{
				wt_buffer_text(json, ":{");
				n++;
			}
		}
	}
	wt_buffer_text(json, ":");
	if (is_json)
		wt_buffer_add(json, parser->value.data, parser->value.length);
	else
		wt_buffer_json(json, bytes_of(&parser->value), parser->value.length);
	for (int i = 0; i <= n; i++)
		wt_buffer_text(json, "}");
	put(parser, "data @> ");
	put_scratch(parser);
}

/* Of a pattern for LIKE what stands for itself is escaped. */
static void
put_pattern(Parser *parser, bool anywhere)
{
	WtBuffer *pattern = &parser->scratch;
	const char *text = bytes_of(&parser->value);

	pattern->length = 0;
	if (anywhere)
		wt_buffer_text(pattern, "%");
	for (size_t i = 0; i < parser->value.length; i++)
	{
		if (text[i] == ANYTHING)
		{
			wt_buffer_text(pattern, "%");
			continue;
		}
		if (text[i] == '%' || text[i] == '_' || text[i] == '\\')
			wt_buffer_text(pattern, "\\");
		wt_buffer_add(pattern, &text[i], 1);
	}
	if (anywhere)
		wt_buffer_text(pattern, "%");
	put_scratch(parser);
}

/*
 * Reading
 */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
at_end(const Parser *parser)
{
	return parser->at >= parser->length;
}

static char
peek(const Parser *parser, size_t ahead)
{
	return parser->at + ahead < parser->length ? parser->text[parser->at + ahead] : ' ';
}

static bool
ends_word(char c)
{
	return is_blank(c) || c == '(' || c == ')' || c == '"';
}

static void
skip_blanks(Parser *parser)
{
	while (!at_end(parser) && is_blank(parser->text[parser->at]))
		parser->at++;
}

/* Whether a word of the language stands here, and nothing more. */
static bool
is_operator(const Parser *parser, const char *word)
{
	size_t n = strlen(word);

	return parser->length - parser->at >= n &&
		   memcmp(parser->text + parser->at, word, n) == 0 && ends_word(peek(parser, n));
}

/*
 * What stands between quotation marks, appended to out; a backslash is one but before a
 * quotation mark or another one, and in a regular expression it keeps its meaning there.
 */
static bool
read_quoted(Parser *parser, WtBuffer *out, bool is_regex)
{
	size_t begin = parser->at++;

	for (;; parser->at++)
	{
		char c;

		if (at_end(parser))
			return fail(
				parser, true, parser->at,
				"expected the quotation mark that ends what begins at character %d",
				wt_query_position(parser->text, parser->length, begin));
		c = parser->text[parser->at];
		if (c == '"')
			break;
		if (c == '\\' && (peek(parser, 1) == '"' || peek(parser, 1) == '\\'))
		{
			if (is_regex && peek(parser, 1) == '\\')
				wt_buffer_add(out, "\\", 1);
			c = parser->text[++parser->at];
		}
		wt_buffer_add(out, &c, 1);
	}
	parser->at++;
	return true;
}

/* After a word, a value: what comes next must not be glued to it. */
static bool
expect_boundary(Parser *parser)
{
	char c = peek(parser, 0);

	if (at_end(parser) || is_blank(c) || c == ')')
		return true;
	return fail(parser, true, parser->at,
				"expected a blank; quotation marks keep parentheses and blanks together");
}

/* A word or a value into Parser.value; whether it stood in quotation marks. */
static bool
read_value(Parser *parser, bool *quoted, bool *wild)
{
	parser->value.length = 0;
	*wild = false;
	*quoted = peek(parser, 0) == '"';
	if (*quoted)
		return read_quoted(parser, &parser->value, false) && expect_boundary(parser);
	for (; !at_end(parser) && !ends_word(parser->text[parser->at]); parser->at++)
	{
		char c = parser->text[parser->at];

		if (c == '*')
		{
			*wild = true;
			c = ANYTHING;
		}
		else if (c == '\\' && parser->at + 1 < parser->length &&
				 !is_blank(peek(parser, 1)))
			c = parser->text[++parser->at];
		wt_buffer_add(&parser->value, &c, 1);
	}
	return expect_boundary(parser);
}

/*
 * A regular expression into Query.patterns: up to a blank, or to the parenthesis that closes
 * none of its own; in quotation marks, all of it.
 */
static bool
read_regex(Parser *parser)
{
	WtQuery *query = parser->query;
	WtQueryRegex *regex;
	int depth = 0;

	if (query->n_regexes == WT_QUERY_MAX_REGEXES)
		return fail(parser, false, parser->at, "more than %d regular expressions",
					WT_QUERY_MAX_REGEXES);
	regex = &query->regexes[query->n_regexes];
	regex->at = parser->at;
	regex->start = query->patterns.length;
	if (peek(parser, 0) == '"')
	{
		if (!read_quoted(parser, &query->patterns, true) || !expect_boundary(parser))
			return false;
	}
	else
		for (; !at_end(parser) && !is_blank(parser->text[parser->at]); parser->at++)
		{
			char c = parser->text[parser->at];

			if (c == ')' && depth-- == 0)
				break;
			depth += c == '(';
			wt_buffer_add(&query->patterns, &c, 1);
			if (c == '\\' && !is_blank(peek(parser, 1)))
				wt_buffer_add(&query->patterns, &parser->text[++parser->at], 1);
		}
	regex->length = query->patterns.length - regex->start;
	if (regex->length == 0)
		return fail(parser, true, regex->at, "expected a regular expression");
	if (regex->length > WT_QUERY_MAX_REGEX)
		return fail(parser, false, regex->at,
					"a regular expression of more than %d bytes", WT_QUERY_MAX_REGEX);
	query->n_regexes++;
	return true;
}

static bool
ends_member(char c)
{
	return ends_word(c) || c == ':' || c == '.' || c == '*' || c == '\\';
}

/*
 * The path of a field, up to its colon (with until_end: to the end of the text).  *found: there
 * is one; otherwise a word stands here, and nothing is read.
 */
static bool
read_path(Parser *parser, bool until_end, Field *field, bool *found)
{
	size_t begin = parser->at;
	size_t wanting = SIZE_MAX;
	size_t too_many = SIZE_MAX;
	bool quoted = false;

	*found = false;
	memset(field, 0, sizeof(*field));
	parser->names.length = 0;
	field->envelope = peek(parser, 0) == '@';
	parser->at += field->envelope;
	for (;;)
	{
		size_t start = parser->names.length;
		size_t at = parser->at;

		if (field->n_members == WT_QUERY_MAX_MEMBERS)
		{
			too_many = too_many == SIZE_MAX ? at : too_many;
			field->n_members--;
		}
		if (peek(parser, 0) == '"')
		{
			/* It may be a phrase, and where it does not end is told then. */
			if (!read_quoted(parser, &parser->names, false))
			{
				if (until_end)
					return false;
				parser->query->error[0] = '\0';
				break;
			}
			quoted = true;
		}
		else
		{
			if (field->n_members == 0 && !field->envelope && is_digit(peek(parser, 0)) &&
				!until_end)
				break;
			while (!at_end(parser) && !ends_member(parser->text[parser->at]))
				wt_buffer_add(&parser->names, &parser->text[parser->at++], 1);
			if (parser->at == at && wanting == SIZE_MAX)
				wanting = at;
		}
		field->members[field->n_members].start = start;
		field->members[field->n_members++].length = parser->names.length - start;
		if (!at_end(parser) && parser->text[parser->at] == '.')
		{
			parser->at++;
			continue;
		}
		if (until_end)
			*found = at_end(parser);
		else
			*found = !at_end(parser) && parser->text[parser->at] == ':' &&
					 !(peek(parser, 1) == '/' && peek(parser, 2) == '/');
		break;
	}
	if (until_end && (!*found || wanting != SIZE_MAX))
		return fail(parser, true, wanting != SIZE_MAX ? wanting : parser->at,
					"expected the name of a field, as severity, order.total, "
					"\"two words\" or @headers.user-agent");
	if (!*found)
	{
		parser->at = begin;
		return true;
	}
	if (wanting != SIZE_MAX)
		return fail(parser, true, wanting,
					"expected the name of a field; a word with a colon goes into "
					"quotation marks");
	if (too_many != SIZE_MAX)
		return fail(parser, false, too_many, "a path of more than %d names",
					WT_QUERY_MAX_MEMBERS);
	if (field->n_members == 1 && !field->envelope && !quoted)
		for (size_t i = 0; i < COUNT(columns); i++)
			if (strlen(columns[i].name) == field->members[0].length &&
				memcmp(columns[i].name, bytes_of(&parser->names),
					   field->members[0].length) == 0)
			{
				field->kind = columns[i].kind;
				field->name = columns[i].name;
				field->sql = columns[i].sql;
			}
	return true;
}

/*
 * Values
 */

/* Whether the value is a number as JSON has it. */
static bool
is_number(const Parser *parser)
{
	const char *p = bytes_of(&parser->value);
	const char *end = p + parser->value.length;

	if (parser->value.length > MAX_NUMBER)
		return false;
	p += p < end && *p == '-';
	if (p == end || !is_digit(*p))
		return false;
	if (*p == '0')
		p++;
	else
		while (p < end && is_digit(*p))
			p++;
	if (p < end && *p == '.')
	{
		if (++p == end || !is_digit(*p))
			return false;
		while (p < end && is_digit(*p))
			p++;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		const char *digits;

		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		while (p < end && is_digit(*p))
			p++;
		if (p == digits || p - digits > MAX_EXPONENT_DIGITS)
			return false;
	}
	return p == end;
}

static bool
value_is(const Parser *parser, const char *word)
{
	return parser->value.length == strlen(word) &&
		   memcmp(bytes_of(&parser->value), word, parser->value.length) == 0;
}

/* The rank of the severity that the value names, in any case; -1: it names none. */
static int
severity_rank(const Parser *parser)
{
	const char *value = bytes_of(&parser->value);

	for (size_t i = 0; i < COUNT(severities); i++)
	{
		const char *name = severities[i].name;
		size_t n = strlen(name);
		size_t k = 0;

		if (parser->value.length != n)
			continue;
		while (k < n && (value[k] == name[k] || value[k] == name[k] - 'a' + 'A'))
			k++;
		if (k == n)
			return severities[i].rank;
	}
	return -1;
}

/* A whole number that the column status can hold. */
static bool
is_status(const Parser *parser)
{
	const char *value = bytes_of(&parser->value);
	size_t sign = parser->value.length > 0 && value[0] == '-';
	size_t digits = parser->value.length - sign;

	if (digits == 0 || digits > 10)
		return false;
	for (size_t i = sign; i < parser->value.length; i++)
		if (!is_digit(value[i]))
			return false;
	return digits < 10 || memcmp(value + sign, "2147483647", 10) <= 0;
}

/* The constant is an integer's text, which PostgreSQL reads as one: status = '5'. */
static bool
put_status(Parser *parser, size_t at, const char *comparison)
{
	if (!is_status(parser))
		return fail(
			parser, false, at,
			"expected a whole number, since status is one; @json.status is the event's");
	put(parser, "status ");
	put(parser, comparison);
	put(parser, " ");
	put_literal(parser, parser->value.data, parser->value.length);
	return true;
}

static bool
put_severity(Parser *parser, size_t at, const char *comparison)
{
	int rank = severity_rank(parser);
	int from = rank;
	int to = rank;

	if (rank < 0)
		return fail(parser, false, at,
					"expected trace, debug, info, warning, error or fatal");
	if (comparison[0] == '=')
	{
		put(parser, "severity = '");
		put(parser, severity_names[rank]);
		put(parser, "'");
		return true;
	}
	if (comparison[0] == '>')
		to = (int) COUNT(severity_names) - 1;
	else
		from = 0;
	if (comparison[1] == '\0')
	{
		from += comparison[0] == '>';
		to -= comparison[0] == '<';
	}
	if (from > to)
	{
		put(parser, "false");
		return true;
	}
	put(parser, "severity IN (");
	for (int i = from; i <= to; i++)
	{
		put(parser, i > from ? ", '" : "'");
		put(parser, severity_names[i]);
		put(parser, "'");
	}
	put(parser, ")");
	return true;
}

/*
 * Of a member: data @? '$."json"."n" ? (@ > 5 || …)'.  A number in a text counts like a number;
 * what is neither does not fail.
 */
static void
put_member_compared(Parser *parser, const Field *field, const char *comparison,
					bool numeric)
{
	WtBuffer *path = &parser->scratch;
	WtBuffer *value = &parser->value;

	path->length = 0;
	wt_buffer_text(path, field->envelope ? "$" : "$.\"json\"");
	for (int i = 0; i < field->n_members; i++)
	{
		wt_buffer_text(path, ".");
		wt_buffer_json(path, member(parser, field, i), field->members[i].length);
	}
	if (comparison)
	{
		wt_buffer_print(path, " ? (@ %s ", comparison);
		if (numeric)
		{
			wt_buffer_add(path, value->data, value->length);
			wt_buffer_print(path, " || @.type() == \"string\" && @.double() %s ",
							comparison);
			wt_buffer_add(path, value->data, value->length);
		}
		else
			wt_buffer_json(path, bytes_of(value), value->length);
		wt_buffer_text(path, ")");
	}
	put(parser, "data @? ");
	put_scratch(parser);
}

static bool
put_compared(Parser *parser, const Field *field, size_t at, const char *comparison,
			 bool quoted)
{
	if (field->kind == STATUS)
		return put_status(parser, at, comparison);
	if (field->kind == SEVERITY)
		return put_severity(parser, at, comparison);
	if (field->kind == MEMBER)
	{
		put_member_compared(parser, field, comparison, !quoted && is_number(parser));
		return true;
	}
	/* By bytes, in whatever order the database sorts. */
	put(parser, "(");
	put_text_of(parser, field);
	put(parser, ") COLLATE \"C\" ");
	put(parser, comparison);
	put(parser, " ");
	put_literal(parser, bytes_of(&parser->value), parser->value.length);
	return true;
}

static bool
put_equal(Parser *parser, const Field *field, size_t at, bool quoted)
{
	switch (field->kind)
	{
		case STATUS:
			return put_status(parser, at, "=");
		case SEVERITY:
			return put_severity(parser, at, "=");
		case MESSAGE:
			put(parser, "message ILIKE ");
			put_pattern(parser, true);
			return true;
		case TEXT:
			put(parser, field->sql);
			put(parser, " = ");
			put_literal(parser, bytes_of(&parser->value), parser->value.length);
			return true;
		case ENVELOPE:
			put_contains(parser, field, false);
			return true;
		case MEMBER:
			break;
	}
	if (!quoted && (is_number(parser) || value_is(parser, "true") ||
					value_is(parser, "false") || value_is(parser, "null")))
	{
		put(parser, "(");
		put_contains(parser, field, true);
		put(parser, " OR ");
		put_contains(parser, field, false);
		put(parser, ")");
	}
	else
		put_contains(parser, field, false);
	return true;
}

/*
 * Terms
 */

/* The longer ones first. */
static const char *const comparisons[] = {">=", "<=", ">", "<"};

static bool
read_field(Parser *parser, const Field *field)
{
	size_t at = parser->at;
	const char *comparison = NULL;
	bool quoted;
	bool wild;

	if (peek(parser, 0) == '~')
	{
		const WtQueryRegex *regex = &parser->query->regexes[parser->query->n_regexes];

		if (field->kind == STATUS)
			return fail(parser, false, at,
						"expected a whole number, since status is one");
		parser->at++;
		if (!read_regex(parser))
			return false;
		put_text_of(parser, field);
		put(parser, " ~ ");
		put_literal(parser, bytes_of(&parser->query->patterns) + regex->start,
					regex->length);
		return true;
	}
	for (size_t i = 0; i < COUNT(comparisons) && !comparison; i++)
		if (parser->length - at >= strlen(comparisons[i]) &&
			memcmp(parser->text + at, comparisons[i], strlen(comparisons[i])) == 0)
			comparison = comparisons[i];
	if (comparison)
		at = parser->at += strlen(comparison);
	if (at_end(parser) || (ends_word(parser->text[at]) && parser->text[at] != '"'))
		return fail(parser, true, at,
					comparison ? "expected a value, as in %s500"
							   : "expected a value: x, \"x y\", x*, *, >5, ~regex%s",
					comparison ? comparison : "");
	if (!read_value(parser, &quoted, &wild))
		return false;
	if (comparison)
	{
		if (wild)
			return fail(parser, true, at, "expected a value without *, to compare with");
		return put_compared(parser, field, at, comparison, quoted);
	}
	if (!wild)
		return put_equal(parser, field, at, quoted);
	if (parser->value.length == 1)
	{
		if (field->kind == MEMBER)
			put_member_compared(parser, field, NULL, false);
		else
		{
			put_text_of(parser, field);
			put(parser, " IS NOT NULL");
		}
		return true;
	}
	if (field->kind == STATUS)
		return fail(parser, false, at, "expected a whole number, since status is one");
	put_text_of(parser, field);
	put(parser, field->kind == MESSAGE ? " ILIKE " : " LIKE ");
	put_pattern(parser, false);
	return true;
}

static bool
read_term(Parser *parser)
{
	Field field;
	bool is_field;
	bool quoted;
	bool wild;

	if (parser->n_terms++ == WT_QUERY_MAX_TERMS)
		return fail(parser, false, parser->at, "more than %d words and conditions",
					WT_QUERY_MAX_TERMS);
	if (!read_path(parser, false, &field, &is_field))
		return false;
	if (is_field)
	{
		parser->at++;
		return read_field(parser, &field);
	}
	if (!read_value(parser, &quoted, &wild))
		return false;
	if (parser->value.length == 0 || (wild && parser->value.length == 1))
	{
		put(parser, "true");
		return true;
	}
	put(parser, "windtrap.event_text(data) ILIKE ");
	put_pattern(parser, true);
	return true;
}

static bool read_or(Parser *parser);

/* A term, or what stands in parentheses; with any number of NOTs before. */
static bool
read_unary(Parser *parser)
{
	bool negated = false;
	bool parenthesis;

	for (;;)
	{
		skip_blanks(parser);
		if (is_operator(parser, "NOT"))
			parser->at += 3;
		else if (peek(parser, 0) == '-' && !is_blank(peek(parser, 1)) &&
				 peek(parser, 1) != ')')
			parser->at++;
		else
			break;
		negated = !negated;
	}
	if (at_end(parser) || peek(parser, 0) == ')')
		return fail(parser, true, parser->at,
					"expected a word, a \"phrase\" or field:value");
	if (is_operator(parser, "AND") || is_operator(parser, "OR"))
		return fail(parser, true, parser->at,
					"expected a word, a \"phrase\" or field:value before AND and OR");
	parenthesis = peek(parser, 0) == '(';
	if (parenthesis || negated)
		put(parser, "(");
	if (parenthesis)
	{
		size_t begin = parser->at++;

		if (parser->depth == WT_QUERY_MAX_DEPTH)
			return fail(parser, false, begin,
						"more than %d parentheses within each other", WT_QUERY_MAX_DEPTH);
		parser->depth++;
		if (!read_or(parser))
			return false;
		parser->depth--;
		if (at_end(parser))
			return fail(parser, true, parser->at,
						"expected the parenthesis that ends what begins at character %d",
						wt_query_position(parser->text, parser->length, begin));
		parser->at++;
	}
	else if (!read_term(parser))
		return false;
	if (parenthesis || negated)
		put(parser, ")");
	if (negated)
		put(parser, " IS NOT TRUE");
	return true;
}

static bool
read_and(Parser *parser)
{
	for (;;)
	{
		if (!read_unary(parser))
			return false;
		skip_blanks(parser);
		if (at_end(parser) || peek(parser, 0) == ')' || is_operator(parser, "OR"))
			return true;
		if (is_operator(parser, "AND"))
			parser->at += 3;
		put(parser, " AND ");
	}
}

/* Ends at a closing parenthesis, or at the end; outside of parentheses it makes its own. */
static bool
read_or(Parser *parser)
{
	WtBuffer *sql = &parser->query->sql;
	size_t begin = sql->length;
	bool is_or = false;

	for (;;)
	{
		if (!read_and(parser))
			return false;
		if (!is_operator(parser, "OR"))
			break;
		parser->at += 2;
		put(parser, " OR ");
		is_or = true;
	}
	if (is_or && parser->depth == 0)
	{
		put(parser, "))");
		if (!sql->failed)
		{
			memmove(sql->data + begin + 1, sql->data + begin, sql->length - begin - 1);
			sql->data[begin] = '(';
		}
	}
	return true;
}

/*
 * From outside
 */

static bool
begin(Parser *parser, const char *text, size_t length, WtQuery *query)
{
	const char *nul = length > 0 ? memchr(text, '\0', length) : NULL;

	memset(parser, 0, sizeof(*parser));
	parser->text = text;
	parser->length = length;
	parser->query = query;
	query->sql.length = query->patterns.length = 0;
	query->n_regexes = 0;
	query->error[0] = '\0';
	if (length > WT_QUERY_MAX_LENGTH)
		return fail(parser, false, WT_QUERY_MAX_LENGTH, "it is longer than %d bytes",
					WT_QUERY_MAX_LENGTH);
	if (nul)
		return fail(parser, false, (size_t) (nul - text), "expected no NUL");
	return true;
}

static bool
end(Parser *parser, bool done)
{
	WtQuery *query = parser->query;

	/* Then it may be the memory that made it read something else. */
	if (parser->names.failed || parser->value.failed || parser->scratch.failed ||
		query->sql.failed || query->patterns.failed)
	{
		query->error[0] = '\0';
		done = false;
	}
	wt_buffer_free(&parser->names);
	wt_buffer_free(&parser->value);
	wt_buffer_free(&parser->scratch);
	return done;
}

bool
wt_query_where(const char *text, size_t length, WtQuery *query)
{
	Parser parser;
	bool done = begin(&parser, text, length, query);

	if (done)
	{
		skip_blanks(&parser);
		if (at_end(&parser))
			put(&parser, "true");
		else
		{
			done = read_or(&parser);
			if (done && !at_end(&parser))
				done = fail(&parser, true, parser.at,
							"expected no closing parenthesis, since none is open");
		}
	}
	return end(&parser, done);
}

bool
wt_query_field(const char *name, size_t length, WtQuery *query)
{
	Parser parser;
	Field field;
	bool found;
	bool done =
		begin(&parser, name, length, query) && read_path(&parser, true, &field, &found);

	if (done)
	{
		put_text_of(&parser, &field);
		if (field.kind == STATUS)
			put(&parser, "::text");
	}
	return end(&parser, done);
}

void
wt_query_free(WtQuery *query)
{
	wt_buffer_free(&query->sql);
	wt_buffer_free(&query->patterns);
}

int
wt_query_position(const char *text, size_t length, size_t at)
{
	int position = 1;

	for (size_t i = 0; i < at && i < length; i++)
		position += ((unsigned char) text[i] & 0xC0) != 0x80;
	return position;
}
