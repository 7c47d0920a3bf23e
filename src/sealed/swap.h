/*
 * swap.h
 *		A partition is exchanged for another table with the same rows: a heap for a foreign
 *		table, or the other way round.
 */
#ifndef WT_SWAP_H
#define WT_SWAP_H

#include "sealed/links.h"

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
} WtPlace;

/* Reads it; needs a scope. */
extern void wt_place_read(Oid partition, WtPlace *place);

/* A name beside a partition's, with a suffix, that no relation or type of its schema has. */
extern char *wt_place_name_beside(const WtPlace *place, const char *suffix);

/* Makes the table for the late rows of a partition like this one. */
extern Oid wt_swap_make_late(const WtPlace *place);

/*
 * Makes the foreign table that is to take a partition's place, under a name of its own, with
 * its columns, defaults, checks, privileges, comments and statistics.  The tables of its rows
 * belong to it from then on.  Needs a scope, of the partition's owner.
 */
extern Oid wt_swap_make_foreign(const WtPlace *place, Oid chunks, Oid late);

/*
 * Notes in the foreign table how many rows it has and what they took before they were sealed, for
 * people; the planner is told of the rows, too.
 */
extern void wt_swap_note(Oid foreign, int64 rows, int64 heap_bytes);

/* The same as an ordinary table, with the parent's indexes. */
extern Oid wt_swap_make_heap(const WtPlace *place);

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

/* Puts a table in the partition's place, under its name, and drops the partition. */
extern void wt_swap(const WtPlace *place, Oid replacement);

#endif
