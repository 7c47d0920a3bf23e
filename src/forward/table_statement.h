/*
 * table_statement.h
 *		The statement by which events are inserted into a table.
 */
#ifndef WT_TABLE_STATEMENT_H
#define WT_TABLE_STATEMENT_H

#include "postgres_ext.h"

/*
 * Finds a target, a table as WtTargets names it, and locks it.  Gives the statement that
 * inserts into it what `from` names, with the columns event_timestamp, data and status; what
 * it is, and whose.  A foreign table's wrapper may not know ON CONFLICT; with_conflict_clause
 * says whether that is to be tried.  In a transaction; raises where there is no such table, or
 * none that events can be forwarded to.
 */
extern char *wt_table_statement(const char *target, const char *from,
								bool with_conflict_clause, Oid *found, Oid *owner);

#endif
