/*
 * size.h
 *		What partitions take on disk, sealed or not.
 */
#ifndef WT_SEALED_SIZE_H
#define WT_SEALED_SIZE_H

#include "postgres_ext.h"

/*
 * The size on disk of a partition, with its own partitions, indexes, chunks and all, in
 * bytes; or of a whole table.  Needs SPI connected; raises.
 */
extern int64 wt_partition_size(Oid relation);

#endif
