/*
 * log_table.h
 *		The table that events are stored in: its name, how it is made, and its days.
 */
#ifndef WT_LOG_TABLE_H
#define WT_LOG_TABLE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/* Partitions are made for today and so many days to come, each of windtrap.partition_width. */
extern int wt_days_ahead(void);

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

/* Raises where one of a table's partitions, all of them, is not durable. */
extern void wt_refuse_unlogged(const List *partitions);

/*
 * Keeps a schema from being renamed or dropped until the transaction ends, so that names
 * with it mean what they meant: its owner, who need not be the table's, could put another
 * one in its place between two statements, and have what is in that run as somebody else.
 * Needs SPI connected; raises where the schema is gone.
 */
extern void wt_hold_schema(Oid schema);

/* Who owns a relation; InvalidOid: it is gone. */
extern Oid wt_log_table_owner(Oid relation);

/*
 * Makes the log table with its first partitions, unless it exists, as the current user;
 * its index on the time is a b-tree or a BRIN.
 * Needs a transaction with SPI connected.  Two that do it at one time wait for each
 * other.  Gives whether it was made; raises as CREATE TABLE does.
 */
extern bool wt_log_table_create(const RangeVar *table, bool btree);

/* The beginning of the day, in UTC, that a time belongs to. */
extern TimestampTz wt_day_of(TimestampTz time);

/* A partition's bound as a literal, the same under every TimeZone and DateStyle. */
extern char *wt_bound(TimestampTz time);

/*
 * A name for a partition of a time, or for the default one (from DT_NOBEGIN), which no
 * relation or type of that schema has yet: log_20261123, log_20261123_07 of a part of a day,
 * log_default.
 */
extern char *wt_partition_name(const RangeVar *table, TimestampTz from, TimestampTz to);

#endif
