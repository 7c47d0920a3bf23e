/*
 * datum.h
 *		Columns of the rows that our functions give.
 */
#ifndef WT_DATUM_H
#define WT_DATUM_H

#include "utils/builtins.h"

/* A text; null where there is none, or nothing in it. */
static inline Datum
wt_text_or_null(const char *text, bool *is_null)
{
	*is_null = (text == NULL || text[0] == '\0');
	return *is_null ? (Datum) 0 : CStringGetTextDatum(text);
}

#endif
