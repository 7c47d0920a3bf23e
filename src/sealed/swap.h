/*
 * swap.h
 *		A partition is exchanged for another table with the same rows: a heap for a foreign
 *		table, or the other way round.
 */
#ifndef WT_SWAP_H
#define WT_SWAP_H

#include "sealed/links.h"
#include "sealed/stored_columns.h"

/* What a partition is, for putting another one in its place. */
typedef struct WtPlace
{
	Oid parent;
	Oid partition;
	Oid schema;
	Oid owner;
	Oid tablespace; /* of its data; InvalidOid: the database's */
	char *name;
	char *bound;		   /* as ATTACH takes it */
	Oid default_partition; /* of the parent, or InvalidOid */
	char *check;		   /* the replacement's that says the bound, or NULL */
} WtPlace;

/* Reads it; needs a scope. */
extern void wt_place_read(Oid partition, WtPlace *place);

/* A name beside a partition's, with a suffix, that no relation or type of its schema has. */
extern char *wt_place_name_beside(const WtPlace *place, const char *suffix);

/* Makes the table for late rows, with these columns; NULL: with those of the partition. */
extern Oid wt_swap_make_late(const WtPlace *place, const char *columns);

/*
 * Makes the foreign table that is to take a partition's place, under a name of its own, with
 * its columns, which are stored under these names (NULL: their own), defaults, checks, privileges,
 * comments and statistics.  The tables of its rows
 * belong to it from then on.  Needs a scope, of the partition's owner.
 */
extern Oid wt_swap_make_foreign(const WtPlace *place, const WtStoredNames *names,
								Oid chunks, Oid late);

/* Notes in it what a sealed partition that it is to replace has noted to be missing. */
extern void wt_swap_copy_missing(Oid partition, Oid foreign);

/*
 * Notes in the foreign table how many rows it has and what they took before they were sealed, for
 * people; the planner is told of the rows, too.
 */
extern void wt_swap_note(Oid foreign, int64 rows, int64 heap_bytes);

/*
 * The same as an ordinary table, with the parent's indexes, and a check of the bound until it is
 * exchanged.
 */
extern Oid wt_swap_make_heap(WtPlace *place);

/*
 * Locks all that an exchange changes, if that can be had in so many ms.  Raises where the
 * default partition is too large for it.
 */
extern bool wt_swap_try_lock(const WtPlace *place, int patience);

/* Raises where the default partition is too large to be read while everybody waits. */
extern void wt_swap_check_default(const WtPlace *place);

/*
 * After so many tries of an exchange, from 0 on: lets all go on for a moment, or raises, since
 * somebody is using the table or, if it is not null, what is called so.
 */
extern void wt_swap_wait(const WtPlace *place, const char *partition, int tries);

/*
 * Puts a table in the partition's place, under its name and with its privileges as they are by
 * now, and drops the partition.  All is locked.
 */
extern void wt_swap(const WtPlace *place, Oid replacement);

#endif
