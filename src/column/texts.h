/*
 * texts.h
 *		Many texts in one piece.
 */
#ifndef WT_COLUMN_TEXTS_H
#define WT_COLUMN_TEXTS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes, and where a reader gives them, always a NUL behind them. */
typedef struct WtText
{
	const char *text;
	size_t length;
} WtText;

/*
 * Texts, one after another, each with a NUL behind it that is not part of it: text i is
 * base + start[i], of start[i + 1] - start[i] - 1 bytes.  No text of strings, numbers or JSON
 * has a NUL, so that one search may run over all of them (base to base + start[n]) without
 * finding what lies across two; extra columns may have some.
 */
typedef struct WtTexts
{
	int n;
	const char *base;
	const uint32_t *start; /* n + 1 */
} WtTexts;

static inline size_t
wt_texts_length(const WtTexts *texts, int i)
{
	return (size_t) (texts->start[i + 1] - texts->start[i] - 1);
}

static inline WtText
wt_texts_at(const WtTexts *texts, int i)
{
	return (WtText){texts->base + texts->start[i], wt_texts_length(texts, i)};
}

#endif
