/*
 * sql.h
 *		Statements of our own, run with the rights of the current user.
 */
#ifndef WT_SQL_H
#define WT_SQL_H

/* SPI_connect(); raises where that fails.  The current memory context is SPI's from then on. */
extern void wt_sql_connect(void);

/*
 * Runs a statement with SPI connected, under a search_path that nobody can lead astray; gives
 * the number of rows, which are in SPI_tuptable.  nulls: as SPI has it, or NULL.  Raises.
 */
extern uint64 wt_sql_run(const char *command, int n, Oid *types, Datum *values,
						 const char *nulls);

/* Of the rows of the last statement, counted from 0, a column, counted from 1. */
extern Datum wt_sql_value(uint64 row, int column, bool *is_null);

/* The same as a number of type bigint; 0 where it is null. */
extern int64 wt_sql_int64(uint64 row, int column);

/* The same of type boolean; false where it is null. */
extern bool wt_sql_bool(uint64 row, int column);

/* A statement for the whole transaction: SET LOCAL name = value. */
extern void wt_sql_set_local(const char *name, const char *value);

#endif
