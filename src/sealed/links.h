/*
 * links.h
 *		From a sealed partition to the tables that hold its rows.
 *
 * A sealed partition is a foreign table.  Its chunks are in one ordinary table, and what came
 * late, or was changed, in another.  Both depend on it (pg_depend, internally): they go when it
 * goes, alone they cannot be dropped, and may be called what they like.  Its options `chunks` and
 * `late` are their names, in its own schema: what a dump keeps, and what counts where no
 * dependency is recorded.
 */
#ifndef WT_LINKS_H
#define WT_LINKS_H

#include "postgres_ext.h"

/* The foreign-data wrapper and its server. */
#define WT_SEALED_SERVER "windtrap_sealed"

/* What follows a partition's name in those of its tables. */
#define WT_CHUNKS_SUFFIX "sealed"
#define WT_LATE_SUFFIX "late"

typedef struct WtLinks
{
	Oid partition; /* the foreign table */
	Oid chunks;
	Oid late;
	bool recorded;	 /* the dependencies are; else they were found by name */
	bool tables_fit; /* both are what they should be */
	bool types_fit;	 /* what is stored can be read as the types that the columns have */
} WtLinks;

/* Whether a relation is a sealed partition: a foreign table of our server. */
extern bool wt_is_sealed(Oid relation);

/*
 * The tables of a sealed partition, unlocked.  Raises where one is missing, is no such table,
 * or belongs to somebody else than the partition: who may read the partition reads them, and
 * nobody asks for the right to.
 */
extern void wt_links_read(Oid partition, WtLinks *links);

/* The same; where it would raise gives false and the reason why, a sentence. */
extern bool wt_links_find(Oid partition, WtLinks *links, const char **problem);

/* Records the dependencies of both tables on the partition, unless they are. */
extern void wt_links_record(const WtLinks *links);

#endif
