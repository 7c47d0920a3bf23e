/*
 * number.h
 *		Numbers between PostgreSQL's numeric and BSON's four kinds, without loss.
 */
#ifndef WM_NUMBER_H
#define WM_NUMBER_H

#include "lib/stringinfo.h"
#include "utils/numeric.h"

#include <bson/bson.h>

/*
 * Writes a number as what holds it exactly: int32, else int64, else double, else
 * decimal128, else as a string of its digits.
 */
extern void wm_write_number(StringInfo out, const char *name, int name_length,
							Numeric number);

/* As decimal128, where that holds it exactly; else writes nothing and gives false. */
extern bool wm_write_decimal128(StringInfo out, const char *name, int name_length,
								Numeric number);

/* A number that BSON holds; of doubles the shortest that reads as the same double. */
extern Numeric wm_double_to_numeric(double value);
extern Numeric wm_decimal128_to_numeric(const bson_decimal128_t *value);

#endif
