/*
 * search_sql.h
 *		Queries of a search as SQL, and what is wrong with them as errors.
 */
#ifndef WT_SEARCH_SQL_H
#define WT_SEARCH_SQL_H

/* The condition of a query, or the expression of a field, in palloc'ed memory.  Raises. */
extern char *wt_search_condition(const text *query);
extern char *wt_search_field(const text *field);

#endif
