/*
 * row_origin.h
 *		What a row of a sealed partition has come by, asked for by its place.
 */
#ifndef WT_ROW_ORIGIN_H
#define WT_ROW_ORIGIN_H

#include "sealed/origin.h"

/*
 * By the place that the latest snapshot has it at; of old where there is no such row.  Reads the
 * chunk's directory: it is for few rows.
 */
extern WtOrigin wt_row_origin(Oid partition, const ItemPointerData *place);

#endif
