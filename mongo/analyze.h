/*
 * analyze.h
 *		ANALYZE: how large a collection is, and a sample of it.
 */
#ifndef WM_ANALYZE_H
#define WM_ANALYZE_H

#include "foreign/fdwapi.h"

extern bool wm_analyze(Relation relation, AcquireSampleRowsFunc *sample,
					   BlockNumber *total_pages);

#endif
