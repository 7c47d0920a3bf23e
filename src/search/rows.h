/*
 * rows.h
 *		Statements whose rows are what a function gives.
 */
#ifndef WT_ROWS_H
#define WT_ROWS_H

/* Around what a function that returns a set gives. */
extern void wt_search_begin(FunctionCallInfo fcinfo);
extern void wt_search_end(void);

/*
 * Gives the rows of a SELECT, as they are, to who called the function; how many there are.  They
 * are what the caller's statement sees, and what he may.  Raises.
 */
extern int64 wt_search_give(FunctionCallInfo fcinfo, const char *command, int n,
							Oid *types, Datum *values);

#endif
