/*
 * search.c
 *		Fuzz target: queries of a search → SQL (src/search/query.h).
 *
 * What comes out is read as SQL would be, by a lexer that is written here: outside of constants
 * there is nothing but the words and operators of this file, in balanced parentheses; constants
 * end where they do under both settings of standard_conforming_strings; and those that are JSON
 * are JSON.  The same input is tried as a query and as the name of a field.
 */
#include <ctype.h>

#include "fuzz.h"
#include "search/query.h"

/* All that a condition is made of.  Longer operators come before those that they begin with. */
static const char *const words[] = {
	"AND",	   "OR",	  "IS",	  "NOT",	"TRUE",		"NULL",		  "IN",	 "LIKE",
	"ILIKE",   "COLLATE", "true", "false",	"data",		"severity",	  "app", "host",
	"message", "source",  "id",	  "status", "windtrap", "event_text", "text"};
static const char *const operators[] = {
	"->>", "->", "@>", "@?", ">=", "<=", "::", ">", "<", "=", "~", ",", "."};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The constant at p, after its E if it has one; its text, and what follows it. */
static const char *
read_constant(const char *p, const char *end, bool escapes, char *text, size_t *length)
{
	*length = 0;
	for (p++;; p++)
	{
		CHECK(p < end, "a constant without an end");
		if (*p == '\'')
		{
			if (p + 1 == end || p[1] != '\'')
				return p + 1;
			p++;
		}
		else if (*p == '\\')
		{
			CHECK(escapes,
				  "a backslash in a constant of which it is not known what it means");
			CHECK(p + 1 < end && p[1] == '\\', "an escape");
			p++;
		}
		text[(*length)++] = *p;
	}
}

static void
check_json(const char *text, size_t length)
{
	char *copy = exact_copy(text, length);
	WtJson json = {0};
	WtJsonError error;

	CHECK(wt_json_parse(&json, copy, length, &error) == WT_JSON_OK, "%s in %.*s",
		  error.reason, (int) length, text);
	wt_json_shrink(&json, 0);
	free(copy);
}

static void
check_sql(const WtQuery *query, bool is_text)
{
	const char *p = query->sql.data;
	const char *end = p + query->sql.length;
	char *text = malloc(query->sql.length + 1);
	const char *last = "";
	int depth = 0;

	CHECK(text && query->sql.length > 0, "no SQL");
	while (p < end)
	{
		bool escapes = *p == 'E' && p + 1 < end && p[1] == '\'';
		size_t length;
		size_t i;

		if (*p == '\'' || escapes)
		{
			p = read_constant(p + escapes, end, escapes, text, &length);
			if (is_text && strcmp(last, "@>") == 0)
				check_json(text, length);
			last = "";
		}
		else if (isalpha((unsigned char) *p))
		{
			const char *word = p;

			while (p < end && (isalpha((unsigned char) *p) || *p == '_'))
				p++;
			for (i = 0; i < COUNT(words); i++)
				if (strlen(words[i]) == (size_t) (p - word) &&
					memcmp(words[i], word, p - word) == 0)
					break;
			CHECK(i < COUNT(words), "the word %.*s", (int) (p - word), word);
		}
		else if (end - p >= 3 && memcmp(p, "\"C\"", 3) == 0)
			p += 3;
		else if (*p == ' ')
			p++;
		else if (*p == '(' || *p == ')')
		{
			depth += *p++ == '(' ? 1 : -1;
			CHECK(depth >= 0, "a parenthesis is closed that is not open");
		}
		else
		{
			for (i = 0; i < COUNT(operators); i++)
				if ((size_t) (end - p) >= strlen(operators[i]) &&
					memcmp(p, operators[i], strlen(operators[i])) == 0)
					break;
			CHECK(i < COUNT(operators), "%.*s", (int) (end - p), p);
			last = operators[i];
			p += strlen(operators[i]);
		}
	}
	CHECK(depth == 0, "%d parentheses are open", depth);
	free(text);
}

static void
try(bool (*read)(const char *, size_t, WtQuery *), const char *text, size_t length,
	bool is_text)
{
	WtQuery query = {0};
	WtQuery again = {0};
	bool done = read(text, length, &query);

	if (done)
	{
		check_sql(&query, is_text);
		CHECK(query.n_regexes <= WT_QUERY_MAX_REGEXES, "%d", query.n_regexes);
		for (int i = 0; i < query.n_regexes; i++)
		{
			const WtQueryRegex *regex = &query.regexes[i];

			CHECK(regex->at < length && regex->length > 0 &&
					  regex->length <= WT_QUERY_MAX_REGEX &&
					  regex->start + regex->length <= query.patterns.length,
				  "a regular expression that is nowhere");
		}
		/* What stands around each character, and its escapes, are bounded. */
		CHECK(query.sql.length <= 64 * length + 100, "%zu bytes of %zu", query.sql.length,
			  length);
		CHECK(read(text, length, &again) && again.sql.length == query.sql.length &&
				  memcmp(again.sql.data, query.sql.data, query.sql.length) == 0,
			  "not the same twice");
	}
	else
	{
		int position = wt_query_position(text, length, query.error_at);

		CHECK(query.error[0] && query.error_at <= length, "no reason, or nowhere");
		CHECK(position >= 1 && (size_t) position <= length + 1, "position %d", position);
		CHECK(strlen(query.error) < sizeof(query.error) - 1, "cut off: %s", query.error);
	}
	wt_query_free(&again);
	wt_query_free(&query);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_copy(data, size);
	bool is_valid = is_text(text, size);

	try(wt_query_where, text, size, is_valid);
	try(wt_query_field, text, size, is_valid);
	free(text);
	return 0;
}
