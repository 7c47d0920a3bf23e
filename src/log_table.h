/*
 * log_table.h
 *		The table that events are stored in: its name, and how it is made.
 */
#ifndef WT_LOG_TABLE_H
#define WT_LOG_TABLE_H

#include "nodes/primnodes.h"

/*
 * The relation that a table's name (as windtrap.table has it: name or schema.name)
 * stands for.  A name without a schema is one of schema public: what it means must not
 * hang on anybody's search_path.  Raises where the name has another form.
 */
extern RangeVar *wt_log_table_name(const char *name);

/* The quoted, qualified form of a relation's name. */
extern char *wt_log_table_quote(const RangeVar *table);

/* Raises unless the relation has the columns of a log table, and can be inserted into. */
extern void wt_log_table_check(Oid relation);

/*
 * Makes the log table with its first partitions, unless it exists, as the current user.
 * Needs a transaction with SPI connected.  Two that do it at one time wait for each
 * other.  Gives whether it was made; raises as CREATE TABLE does.
 */
extern bool wt_log_table_create(const RangeVar *table);

#endif
