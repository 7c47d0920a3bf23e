/*
 * search_sql.h
 *		Queries of a search as SQL, and what is wrong with them as errors.
 */
#ifndef WT_SEARCH_SQL_H
#define WT_SEARCH_SQL_H

/* The columns of windtrap.events, made of event_timestamp, data and status. */
#define WT_EVENT_COLUMNS                                                                 \
	"event_timestamp, data->>'id' AS id, windtrap.severity(data) AS severity,"           \
	" windtrap.app(data) AS app, windtrap.sender_host(data) AS host,"                    \
	" windtrap.message(data) AS message, data->>'source' AS source, data, status"

/* What windtrap.search() and windtrap.tail() give of an event behind its time and id. */
extern const char wt_search_output[];

/* The condition of a query, or the expression of a field, in palloc'ed memory.  Raises. */
extern char *wt_search_condition(const text *query);
extern char *wt_search_field(const text *field);

#endif
