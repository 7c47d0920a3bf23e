/*
 * shards.h
 *		A log table of which some rows go to other servers: by partitions that are foreign tables.
 *
 * Their wrapper commits at each server by itself, before the transaction here does, and there are
 * no two phases.  So what a transaction sends to one server alone is stored there or is not; what
 * it sends to several may be stored at some of them when it fails.  docs/sharding.md is about it.
 */
#ifndef WT_SHARDS_H
#define WT_SHARDS_H

#include "postgres_ext.h"

/*
 * Whether rows of a table, which is locked, go to another server: it is a foreign table, or has
 * partitions that are (sealed ones are no such).  Where those of one transaction may go to
 * several servers the server's log is told so, once for each table.  Raises.
 */
extern bool wt_shards_look(Oid relation);

#endif
