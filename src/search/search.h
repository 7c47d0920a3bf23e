/*
 * search.h
 *		The events that a query finds, newest first, a slice of time at a call.
 *
 *		search = wt_search_open(&what);
 *		while (!wt_search_progress(search)->over)
 *			n = wt_search_slice(search);	// rows 0 … n - 1 of SPI_tuptable
 *
 * Between two slices the transaction may end, and another one go on.
 */
#ifndef WT_SEARCH_H
#define WT_SEARCH_H

#include "search/slices.h"

#define WT_SEARCH_MAX_ROWS 10000

typedef struct WtSearchFor
{
	const text *query; /* NULL: everything */
	TimestampTz
		since; /* since <= event_timestamp < until; DT_NOBEGIN, DT_NOEND: no limit */
	TimestampTz until;
	int64 wanted; /* rows, 1 to WT_SEARCH_MAX_ROWS */

	/* Only what comes behind this row: for the next page, the last one of the page before. */
	bool is_behind;
	TimestampTz before_time;
	const char *before_id; /* NULL: it has none */

	/*
	 * The columns that follow event_timestamp and id: a list of expressions over the columns of
	 * windtrap.events, which are made of the rows that are given alone.  NULL: those of
	 * windtrap.search().  It is SQL, so what a user has typed gets into it by
	 * wt_search_field() alone.
	 */
	const char *output;
} WtSearchFor;

typedef struct WtSearch WtSearch;

/*
 * Checks all of it, and raises as windtrap.search() does.  In the current memory context, which
 * must last as long as the search; to end it is to free that.  Reads nothing of the table.
 */
extern WtSearch *wt_search_open(const WtSearchFor *what);

/*
 * Searches the next slice; how many rows are found, which may be none, at the beginning of
 * SPI_tuptable: (event_timestamp, id, output …), each as windtrap.events has it.  Together the
 * slices give as many as are wanted; and all those of the last one's instant that have no id,
 * or the same, which could not be asked for again.
 *
 * Needs SPI, and an active snapshot, which is what is searched; with the current user's rights.
 * Raises; the slice is searched again then by the next call, in another transaction.
 */
extern int64 wt_search_slice(WtSearch *search);

/* Whoever has cancelled a slice since it took too long says so: the next one is a part of it.
 * False: there is no shorter one. */
extern bool wt_search_gave_up(WtSearch *search);

/* How far it is; what is wanted is also over when there are as many rows. */
extern const WtSearched *wt_search_progress(const WtSearch *search);

/*
 * Where the next page begins: the last row that was given, if there are as many as wanted.
 * False: all has been found (or, before it is over, what is left is to be searched yet: until =
 * searched_to).  *id is "" where it has none, and lies in the search's memory.
 */
extern bool wt_search_next_page(const WtSearch *search, TimestampTz *time,
								const char **id);

#endif
