/*
 * shred.h
 *		Documents (jsonb) are taken apart into the leaves of a chunk of columns.
 */
#ifndef WT_SHRED_H
#define WT_SHRED_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "column/chunk_writer.h"

/*
 * Gives the writer a row's document, between its begin_row and end_row; one that fits no
 * columns as a whole.  scratch is for texts on the way, and is empty afterwards.
 */
extern void wt_shred(WtChunkWriter *writer, Jsonb *document, StringInfo scratch);

#endif
