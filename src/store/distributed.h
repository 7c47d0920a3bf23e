/*
 * distributed.h
 *		What is known of Citus: whether it is there, and which relations it has distributed.
 *
 * A relation that is distributed is an empty shell on each node; its rows are in shards, which
 * are tables of other names, and that on nodes of which it is one or none.  So nothing that looks
 * at the relation's own blocks says anything of its rows.
 *
 * All of it raises; but for the first it needs SPI connected.
 */
#ifndef WT_DISTRIBUTED_H
#define WT_DISTRIBUTED_H

#include "postgres_ext.h"

/* Whether this database has Citus; looks into a cache alone. */
extern bool wt_has_citus(void);

/* Whether the rows of a relation are kept by Citus; false where there is none. */
extern bool wt_is_distributed(Oid relation);

/* Whether a distributed relation's rows are kept more than once each, as those of a reference table. */
extern bool wt_has_replicas(Oid relation);

/* Which of Citus' nodes this server is: the number of its group; 0: its coordinator, or none. */
extern int32 wt_node_group(void);

/* Whether this server is a node of Citus other than its coordinator. */
extern bool wt_is_worker_node(void);

/*
 * The column by which a relation is distributed, quoted as a literal, in the current memory
 * context; NULL: it is not, or has a single shard.
 */
extern char *wt_distributed_by(Oid relation);

/*
 * What its shards take on disk, on all nodes, with those of its partitions.  Citus refuses to
 * say so in a transaction that has changed rows of several shards.
 */
extern int64 wt_distributed_size(Oid relation);

#endif
