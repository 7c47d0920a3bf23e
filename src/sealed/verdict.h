/*
 * verdict.h
 *		What a condition says of a row: what it does in SQL, or that it is not known yet.
 */
#ifndef WT_VERDICT_H
#define WT_VERDICT_H

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

#endif
