/*
 * likeness.h
 *		A table is made like another one, in all that is not its rows.
 */
#ifndef WT_LIKENESS_H
#define WT_LIKENESS_H

#include "postgres_ext.h"

/*
 * Gives a table, or a foreign table, another one's defaults, checks, comments, privileges and
 * statistics.  Both have the same columns, by name, and the same owner.  Needs a scope, of that
 * owner; raises.
 */
extern void wt_likeness_copy(Oid from, Oid to);

/*
 * Of these the privileges alone, unless they are the same: GRANT and REVOKE lock no table, so
 * they can be others by the time that one takes the other's place.
 */
extern void wt_likeness_copy_privileges(Oid from, Oid to);

#endif
