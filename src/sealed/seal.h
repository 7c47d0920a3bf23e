/*
 * seal.h
 *		A partition whose time is over becomes a sealed one.
 */
#ifndef WT_SEAL_H
#define WT_SEAL_H

#include "postgres_ext.h"

typedef struct WtSealed
{
	int64 rows;			/* as of the moment that was sealed */
	int64 bytes_before; /* on disk, all included */
	int64 bytes_after;
} WtSealed;

/*
 * Seals a partition, as the current user, who owns it and its table: its rows are written as
 * chunks, read back and compared, and what has come meanwhile is put beside them, all while it
 * is read and written as ever; then the foreign table takes its place under locks that are only
 * taken where they are free.  All in the current transaction: whatever ends it leaves the
 * partition as it was.  pg_stat_activity shows how far it is.
 *
 * Needs a scope.  Raises where it cannot be sealed, or not now.
 */
extern void wt_seal(Oid partition, WtSealed *sealed);

#endif
