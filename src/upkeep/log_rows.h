/*
 * log_rows.h
 *		The function windtrap.log_rows(), which reads the table that windtrap.table names.
 */
#ifndef WT_LOG_ROWS_H
#define WT_LOG_ROWS_H

/* What it is called where it fails. */
#define WT_LOG_ROWS "windtrap.log_rows()"

/*
 * Has the function read that table, whether it exists or not, unless it does already: then
 * nothing is written.  Without the extension there is nothing to do.  Needs a transaction with
 * an active snapshot; raises.
 */
extern void wt_log_rows_follow(void);

#endif
