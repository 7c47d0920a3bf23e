/*
 * rows.h
 *		Statements whose rows are what a function gives.
 */
#ifndef WT_ROWS_H
#define WT_ROWS_H

/* Around what a function that returns a set gives. */
extern void wt_search_begin(FunctionCallInfo fcinfo);
extern void wt_search_end(void);

/* Between them names mean what they do in pg_catalog, whatever the caller's search_path is. */
extern int wt_search_enter(void);
extern void wt_search_leave(int nest_level);

/*
 * Runs a SELECT; how many rows it has, which are in SPI_tuptable until they are given.  They are
 * what the caller's statement sees, and what he may.  Raises.
 */
extern int64 wt_search_run(const char *command, int n, Oid *types, Datum *values);

/* Gives the first n rows to who called the function, as they are, and frees all of them. */
extern void wt_search_give(FunctionCallInfo fcinfo, int64 n);

#endif
