/*
 * calendar.h
 *		Days of the Gregorian calendar, and what times as text have in common.  Plain C.
 */
#ifndef WT_CALENDAR_H
#define WT_CALENDAR_H

#include <stdint.h>

#include "base/text_cursor.h"

#define US_PER_S INT64_C(1000000)

/* Days since 1970-01-01 of a day. */
static inline int64_t
wt_days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Whether there is such a day. */
static inline bool
wt_is_day(int year, int month, int day)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
		   day <= lengths[month - 1] + (month == 2 && leap);
}

/* Digits after a decimal point, as µs; what is finer is cut off. */
static inline int64_t
wt_read_fraction(WtTextCursor *t)
{
	int64_t us = 0;
	int64_t place = US_PER_S / 10;

	for (; wt_text_is_digit(t); t->p++)
	{
		us += place * (*t->p - '0');
		place /= 10;
	}
	return us;
}

#endif
