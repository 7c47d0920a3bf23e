/*
 * missing.h
 *		What a column is in rows that were sealed before there was it.
 */
#ifndef WT_MISSING_H
#define WT_MISSING_H

#include "access/attnum.h"
#include "utils/relcache.h"

#include "sealed/links.h"

/*
 * The value of a column of a sealed partition in rows that are stored without it: the foreign
 * table's option `missing` of that column, or NULL where that has `missing_null`; else what PostgreSQL has noted in the ordinary
 * partitions beside it; else its default, where that is the same at all times.  In the current
 * memory context.  Raises where it is not known.
 */
extern Datum wt_missing_value(Relation foreign, AttrNumber column, bool *is_null);

/* The same as a text, NULL: it is null; false: it is not known. */
extern bool wt_missing_text(Relation foreign, AttrNumber column, char **text);

/*
 * The value of a column that this command has added: what its default gives all rows that are
 * there, by the session's settings.  False: it gives each another one, or calls functions of
 * users, and no other partition says what they have given.  In the current memory context.
 */
extern bool wt_missing_of_new(Relation foreign, AttrNumber column, Datum *value,
							  bool *is_null);

/* Notes it; within a scope with pinned texts, the partition being locked against all others. */
extern void wt_missing_note(Relation foreign, AttrNumber column, Datum value,
							bool is_null);

/* Whether the foreign table's options say it. */
extern bool wt_missing_is_noted(Oid foreign, AttrNumber column);

/*
 * Notes in the foreign table, as the option `missing` of each column that its chunks lack, what
 * that column is in them, unless it is NULL, or not known: PostgreSQL forgets it when the tables are
 * rewritten that it is taken from.  As the partition's owner, within a scope with pinned texts.
 */
extern void wt_missing_record(const WtLinks *links);

#endif
