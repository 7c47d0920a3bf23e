/*
 * distinct.h
 *		The distinct texts among many, numbered.
 */
#ifndef WT_COLUMN_DISTINCT_H
#define WT_COLUMN_DISTINCT_H

#include "column/bytes.h"
#include "column/texts.h"

/* Of bytes; good for tables, not against those who want to have collisions. */
extern uint64_t wt_hash(const void *bytes, size_t length);

/*
 * Numbers the distinct texts, the most frequent first: codes[i] is that of text i, and
 * first[code] the first text that has it.  Their count, or -1 where there are more than
 * `most`, which is at most 65,535.  Both arrays are the arena's.
 */
extern int wt_distinct(WtArena *arena, const WtTexts *texts, int most, uint16_t **codes,
					   int **first);

#endif
