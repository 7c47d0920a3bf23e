/*
 * unseal.h
 *		A sealed partition becomes an ordinary one again.
 */
#ifndef WT_UNSEAL_H
#define WT_UNSEAL_H

#include "postgres_ext.h"

/*
 * The way back of wt_seal(), and like it: while it is read and written as ever, in the current
 * transaction, by the owner, within a scope.  Gives the number of rows.  Raises where rows that
 * are in chunks are changed meanwhile.
 */
extern int64 wt_unseal(Oid partition);

#endif
