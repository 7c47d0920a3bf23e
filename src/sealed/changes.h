/*
 * changes.h
 *		What has become of a table's rows since a snapshot.
 */
#ifndef WT_CHANGES_H
#define WT_CHANGES_H

#include "access/xlogdefs.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* A moment at which nobody was changing the table. */
typedef struct WtMoment
{
	Snapshot snapshot; /* registered */
	XLogRecPtr position;
} WtMoment;

/*
 * Waits gently until nobody is changing a table and takes a snapshot then, so that what is
 * written to it later can be told by its pages.  Keeps VACUUM away until the transaction ends:
 * the caller holds SHARE UPDATE EXCLUSIVE.  Needs a scope; raises where it is always being
 * changed.
 */
extern void wt_moment_take(Oid table, WtMoment *moment);

/* The same, if there is such a moment soon. */
extern bool wt_moment_try(Oid table, WtMoment *moment);
extern void wt_moment_end(WtMoment *moment);

/* Takes a row that has come, or gone, since; the slot is good until it returns. */
typedef void (*WtChangedRow)(void *arg, TupleTableSlot *slot, bool gone);

/*
 * Hands over each row that the moment's snapshot sees and a later one does not, and those that
 * it is the other way round with: an updated row is both.  Only pages that were written since
 * are looked at.  The later snapshot is a moment's, too, or nobody changes the table; both are
 * registered.  Raises.
 */
extern void wt_changes_since(Relation relation, const WtMoment *moment, Snapshot now,
							 WtChangedRow take, void *arg);

#endif
