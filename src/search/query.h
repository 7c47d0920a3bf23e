/*
 * query.h
 *		Queries as people type them → a condition in SQL on windtrap.events; docs/search.md has
 *		the language.
 *
 * Plain C: raises nothing, and usable outside the server.
 */
#ifndef WT_QUERY_H
#define WT_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define WT_QUERY_MAX_LENGTH 4096 /* bytes */
#define WT_QUERY_MAX_DEPTH 32	 /* parentheses within each other */
#define WT_QUERY_MAX_TERMS 100
#define WT_QUERY_MAX_MEMBERS 16 /* names in a path */
#define WT_QUERY_MAX_REGEXES 10
#define WT_QUERY_MAX_REGEX 256 /* bytes */

/* A regular expression: where it begins in the query, and where it stands in patterns. */
typedef struct WtQueryRegex
{
	size_t at;
	size_t start;
	size_t length;
} WtQueryRegex;

/* Zero it before the first use. */
typedef struct WtQuery
{
	/* The condition; what the query says stands in it in quoted constants alone. */
	WtBuffer sql;

	/* Whether they are regular expressions is for PostgreSQL to say. */
	WtBuffer patterns;
	WtQueryRegex regexes[WT_QUERY_MAX_REGEXES];
	int n_regexes;

	/* What is wrong, where (a byte of the query, or its end), and whether it is the form. */
	char error[160];
	size_t error_at;
	bool error_is_syntax;
} WtQuery;

/*
 * Makes sql of a query of this many bytes.  It can be joined to others by AND, and is "true"
 * for a query of nothing; it is the same whatever standard_conforming_strings is.  False: error
 * says why; or memory was wanting, and error is empty.
 */
extern bool wt_query_where(const char *text, size_t length, WtQuery *query);

/* Makes sql an expression of type text for a field, which is null where an event has none. */
extern bool wt_query_field(const char *name, size_t length, WtQuery *query);

/* Frees what it holds. */
extern void wt_query_free(WtQuery *query);

/* The position of a byte: characters, counted from 1. */
extern int wt_query_position(const char *text, size_t length, size_t at);

#endif
