/*
 * search_sql.c
 *		Queries of a search as SQL, and what is wrong with them as errors.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "search/query.h"
#include "search/search_sql.h"

PG_FUNCTION_INFO_V1(windtrap_search_sql);

const char wt_search_output[] = "severity, app, host, message, source, data, status";

/* psql shows where it is; so does the message, for all others. */
static void
complain(const char *what, const char *text, int code, const char *message, int position)
{
	ereport(ERROR,
			(errcode(code), errmsg("%s, character %d: %s", what, position, message),
			 internalerrquery(text), internalerrposition(position)));
}

/* Whether PostgreSQL takes it, and does so in bounded time: a back reference is tried any way. */
static void
check_regex(const char *pattern, int length, const char *query, int position)
{
	pg_wchar *wide = palloc((length + 1) * sizeof(pg_wchar));
	int n = pg_mb2wchar_with_len(pattern, wide, length);
	regex_t regex;
	char reason[100];
	int rc = pg_regcomp(&regex, wide, n, REG_ADVANCED, DEFAULT_COLLATION_OID);
	bool is_bounded;

	if (rc != REG_OKAY)
	{
		(void) pg_regerror(rc, &regex, reason, sizeof(reason));
		complain("search", query, ERRCODE_INVALID_PARAMETER_VALUE,
				 psprintf("expected a regular expression: %s", reason), position);
	}
	is_bounded = !(regex.re_info & REG_UBACKREF);
	pg_regfree(&regex);
	if (!is_bounded)
		complain("search", query, ERRCODE_INVALID_PARAMETER_VALUE,
				 "expected a regular expression without back references", position);
	pfree(wide);
}

/* What was malloc'ed is freed before anything is raised. */
static char *
to_sql(const text *text, bool (*read)(const char *, size_t, WtQuery *), const char *what)
{
	const char *bytes = VARDATA_ANY(text);
	size_t length = VARSIZE_ANY_EXHDR(text);
	WtQuery query = {0};
	bool done = read(bytes, length, &query);
	char *copy = text_to_cstring(text);
	char *patterns;
	char *sql;

	if (!done)
	{
		wt_query_free(&query);
		if (query.error[0] == '\0')
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		complain(what, copy,
				 query.error_is_syntax ? ERRCODE_SYNTAX_ERROR
									   : ERRCODE_INVALID_PARAMETER_VALUE,
				 query.error, wt_query_position(bytes, length, query.error_at));
	}
	sql = pnstrdup(query.sql.data, query.sql.length);
	patterns = pnstrdup(query.patterns.length > 0 ? query.patterns.data : "",
						query.patterns.length);
	wt_query_free(&query);
	for (int i = 0; i < query.n_regexes; i++)
		check_regex(patterns + query.regexes[i].start, (int) query.regexes[i].length,
					copy, wt_query_position(bytes, length, query.regexes[i].at));
	return sql;
}

char *
wt_search_condition(const text *query)
{
	return to_sql(query, wt_query_where, "search");
}

char *
wt_search_field(const text *field)
{
	return to_sql(field, wt_query_field, "field");
}

/* windtrap.search_sql(query text) → text: the condition that a query stands for */
Datum
windtrap_search_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(wt_search_condition(PG_GETARG_TEXT_PP(0))));
}
