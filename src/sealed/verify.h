/*
 * verify.h
 *		What was written as chunks is read back, and compared with what it was made of.
 */
#ifndef WT_VERIFY_H
#define WT_VERIFY_H

#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "sealed/row_hash.h"

typedef struct WtVerifier WtVerifier;

/* For chunks of the foreign table that are in this table, in the current memory context. */
extern WtVerifier *wt_verifier_create(Relation foreign, Oid chunks, Snapshot snapshot);

/*
 * Reads a chunk and gives how many of its rows have not the hash that they ought to have; their
 * numbers are in *wrong, until the next call.  Raises where it has not so many rows.
 */
extern int wt_verifier_check(WtVerifier *verifier, int32 chunk, int n_rows,
							 const uint64 *hashes, const int **wrong);

extern void wt_verifier_destroy(WtVerifier *verifier);

#endif
