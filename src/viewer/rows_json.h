/*
 * rows_json.h
 *		The rows of a statement as JSON.
 */
#ifndef WT_ROWS_JSON_H
#define WT_ROWS_JSON_H

#include "viewer/job.h"

/* Appends an array of the rows of SPI_tuptable, each an object. */
extern void wt_viewer_write_rows(WtBuffer *out);

/* Appends the first of them alone; null where there is none. */
extern void wt_viewer_write_row(WtBuffer *out);

/* Appends its members alone, each after a comma. */
extern void wt_viewer_write_members(WtBuffer *out);

#endif
