/*
 * line.h
 *		data, the jsonb of a row → a line of JSON.
 */
#ifndef WT_LINE_H
#define WT_LINE_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * Appends data as compact JSON, with a member "status" at its end where that is not 0, and a
 * line feed.  Whatever a reader could take for the end of a line or for a command to a terminal
 * is escaped: control characters (also DEL and those of U+0080 to U+009F) and the separators
 * U+2028 and U+2029.  Leaves garbage in the current memory context.  Raises where memory runs
 * out.
 */
extern void wt_line_append(StringInfo line, Jsonb *data, int32 status);

#endif
