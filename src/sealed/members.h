/*
 * members.h
 *		Where in a chunk a member of the documents is: in which columns.
 */
#ifndef WT_MEMBERS_H
#define WT_MEMBERS_H

#include "nodes/pg_list.h"

#include "sealed/chunk_scan.h"

/* The keys that lead to a member. */
typedef struct WtKeys
{
	int n;
	const char **keys;
	size_t *lengths;
} WtKeys;

/* Of a list of String nodes, and of a list of such lists. */
extern WtKeys wt_keys_of_path(List *path);
extern WtKeys *wt_keys_of_paths(List *paths, int *n);

/* Marks the columns (needed has n_columns of them) that documents with just these members need. */
extern void wt_members_needed(const WtChunk *chunk, const WtKeys *paths, int n,
							  bool *needed);

/*
 * A member's columns: a row has a value in one of them at most.  Rows of the shapes that
 * are marked in documents may have something else there, for which the document must be made:
 * an object, a part of an array, or one that is kept whole.
 */
typedef struct WtMemberColumns
{
	int n;
	int *columns;
	bool *documents; /* by column: those of which such shapes are; NULL: none */
} WtMemberColumns;

/* In the scan's chunk context; reads the directory alone. */
extern void wt_member_columns(WtChunkScan *scan, const WtKeys *member,
							  WtMemberColumns *columns);

/* By shape, whether its rows need a document made; NULL where none do.  Fetches the shapes. */
extern const bool *wt_member_shapes(WtChunkScan *scan, const WtMemberColumns *columns);

#endif
