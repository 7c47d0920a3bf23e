/*
 * scan.h
 *		Runs scans.
 */
#ifndef WM_SCAN_H
#define WM_SCAN_H

#include "executor/tuptable.h"
#include "foreign/fdwapi.h"

#include <mongoc/mongoc.h>

#include "column.h"

extern void wm_begin_scan(ForeignScanState *node, int flags);
extern TupleTableSlot *wm_iterate_scan(ForeignScanState *node);
extern void wm_rescan(ForeignScanState *node);
extern void wm_end_scan(ForeignScanState *node);
extern void wm_explain_scan(ForeignScanState *node, struct ExplainState *es);

/*
 * Reads a document's columns: those of the list (see WM_PLAN_COLUMNS), or all where it is
 * NIL.  Values are in the current memory context, or within the document.
 */
extern void wm_read_row(const bson_t *document, WmColumns *columns, const bool *wanted,
						const char *table, Datum *values, bool *nulls);

/* A document as MongoDB's shell would show it, for EXPLAIN. */
extern char *wm_show(const StringInfoData *bson, int offset);

#endif
