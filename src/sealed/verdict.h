/*
 * verdict.h
 *		What a condition says of a row: what it does in SQL, or that it is not known yet.
 */
#ifndef WT_VERDICT_H
#define WT_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum WtVerdict
{
	WT_FALSE,
	WT_NULL,
	WT_TRUE,
	WT_UNKNOWN
} WtVerdict;

static inline WtVerdict
wt_verdict_and(WtVerdict a, WtVerdict b)
{
	if (a == WT_FALSE || b == WT_FALSE)
		return WT_FALSE;
	if (a == WT_UNKNOWN || b == WT_UNKNOWN)
		return WT_UNKNOWN;
	return a == WT_NULL || b == WT_NULL ? WT_NULL : WT_TRUE;
}

static inline WtVerdict
wt_verdict_or(WtVerdict a, WtVerdict b)
{
	if (a == WT_TRUE || b == WT_TRUE)
		return WT_TRUE;
	if (a == WT_UNKNOWN || b == WT_UNKNOWN)
		return WT_UNKNOWN;
	return a == WT_NULL || b == WT_NULL ? WT_NULL : WT_FALSE;
}

static inline WtVerdict
wt_verdict_not(WtVerdict a)
{
	return a == WT_TRUE ? WT_FALSE : a == WT_FALSE ? WT_TRUE : a;
}

/* The verdicts of n rows, a byte each, by their codes, which are below n_codes (at most 256). */
extern void wt_verdicts_of_codes(const uint8_t *codes, int n, const uint8_t *by_code,
								 int n_codes, uint8_t *verdicts);

/*
 * Leaves those of n selected rows (1; the others are 0) of which the verdict is WT_TRUE or
 * WT_UNKNOWN; returns how many these are, and whether there are some of the latter.
 */
extern int wt_verdicts_select(const uint8_t *verdicts, int n, uint8_t *selected,
							  bool *unknown);

#endif
