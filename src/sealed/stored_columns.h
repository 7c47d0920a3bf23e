/*
 * stored_columns.h
 *		What the columns of a sealed partition are called where its rows are stored: in its chunks and
 *		in its late table.
 *
 * The log table's columns may be renamed, dropped and added at any time, and so are the
 * partition's; what is stored stays as it is.  So each column has the option `column_name`: its
 * name there, which it keeps.  One that was added since it was sealed has none until something of
 * it is stored, and then one that nothing else has ever had: the late table has all names
 * that were ever given, since no column of it is dropped.
 *
 * Where no column has the option, the partition was sealed before there was it, and its columns
 * are stored under their own names.
 */
#ifndef WT_STORED_COLUMNS_H
#define WT_STORED_COLUMNS_H

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"

/* The names under which the columns that every log table has are stored. */
#define WT_STORED_TIME "event_timestamp"
#define WT_STORED_DATA "data"
#define WT_STORED_STATUS "status"

/* An option of a column of a sealed partition, `column_name`, …; NULL: it has none. */
extern char *wt_column_option(Oid foreign, AttrNumber column, const char *name);

/* Gives one to a column that lacks it; the partition is locked against all others. */
extern void wt_column_add_option(Oid foreign, AttrNumber column, const char *name,
								 const char *value);

/* The name under which a column of a sealed partition is stored; NULL: nothing of it is. */
extern char *wt_stored_name(Oid foreign, AttrNumber column);

/*
 * The columns of a sealed partition by the names under which they are stored; nothing is stored
 * of those whose name is empty.  A copy, in the current memory context.
 */
extern TupleDesc wt_stored_columns(Relation foreign);

/* Reads the names again into what that has given: others may have got some meanwhile. */
extern void wt_stored_columns_refresh(Relation foreign, TupleDesc columns);

/* Whether anything is stored of a column of what that has given. */
extern bool wt_is_stored(Form_pg_attribute column);

/* The column of a sealed partition that is stored under a name; InvalidAttrNumber: none is. */
extern AttrNumber wt_stored_column(Oid foreign, const char *name);

/* The column among some that has a name; InvalidAttrNumber: none has. */
extern AttrNumber wt_column_named(TupleDesc columns, const char *name);

/* Columns of a log table, by what they are called, and the names under which they are to be stored. */
typedef struct WtStoredNames
{
	int n;
	const char **own;
	const char **stored;
} WtStoredNames;

/* Another name like one, of a number from 2 on, for where that is taken. */
extern char *wt_stored_name_like(const char *name, int number);

/* Whether no column has a name: it was sealed before there were any. */
extern bool wt_has_no_stored_names(Relation foreign);

/*
 * Gives a name to each column that has none: the one that it is to have, if there is one that nothing
 * else has.  Notes with it, as the option `missing`, or
 * `missing_null`, what it is in the rows that are stored without it, where that is known.  The late table is locked against
 * all others; the partition against being altered.
 */
extern void wt_stored_columns_name(Relation foreign, Relation late,
								   const WtStoredNames *names);

#endif
