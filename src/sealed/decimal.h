/*
 * decimal.h
 *		Numbers of a few digits as PostgreSQL's numeric, without a detour over text.
 */
#ifndef WT_DECIMAL_H
#define WT_DECIMAL_H

/* Decimals that wt_decimal_numeric() takes, and bytes that it writes at most. */
#define WT_NUMERIC_DECIMALS 16
#define WT_DECIMAL_BYTES 32

/*
 * Writes value / 10^decimals as a numeric, the same bytes that numeric_in() makes of its text;
 * gives their count.  decimals: 0 to WT_NUMERIC_DECIMALS.
 */
extern int wt_decimal_numeric(int64 value, int decimals, char *out);

#endif
