/*
 * sealable.h
 *		Whether a partition can be sealed, before anything is done.
 */
#ifndef WT_SEALABLE_H
#define WT_SEALABLE_H

#include "postgres_ext.h"

/*
 * Why a partition cannot be sealed, a sentence, in the current memory context; NULL: it can.
 * What a foreign table cannot have, or what would be lost with the heap, is a reason.  Needs
 * SPI connected; raises nothing but what the catalog's own functions do.
 */
extern const char *wt_sealable_reason(Oid partition);

#endif
