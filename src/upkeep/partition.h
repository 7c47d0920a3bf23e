/*
 * partition.h
 *		What plan.c and partition.c share.
 */
#ifndef WT_PARTITION_H
#define WT_PARTITION_H

/* Blocks of the default partition that one statement deletes from: 8 MB. */
#define WT_BLOCKS_AT_ONCE 1024

/* How many of a table's partitions hold data, or, where it is given, whether that one does. */
extern int64 wt_upkeep_count_filled(Oid parent, Oid partition);

/* What a table, or a partition, takes on disk, wherever that is. */
extern int64 wt_upkeep_size(Oid relation);

#endif
