/*
 * when.c
 *		When an event happened, as senders write it.
 *
 * Numbers are read digit by digit: a double has no room for nanoseconds since 1970.
 */
#include <string.h>

#include "event/calendar.h"
#include "event/when.h"

/*
 * A number up to here counts seconds (to the year 5138), up to a thousand times as much
 * milliseconds, and so on.
 */
#define MAX_SECONDS INT64_C(100000000000)

/* What an exponent may move the decimal point by. */
#define MAX_EXPONENT 30

/* Exactly n digits. */
static bool
read_digits(WtTextCursor *t, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++)
	{
		if (!wt_text_is_digit(t))
			return false;
		*value = *value * 10 + (*t->p++ - '0');
	}
	return true;
}

/* A zone: Z, UTC, or an offset in s; none is UTC. */
static bool
read_zone(WtTextCursor *t, int *offset)
{
	int sign;
	int hours;
	int minutes = 0;

	*offset = 0;
	while (wt_text_skip(t, ' '))
		;
	if (t->p == t->end)
		return true;
	if (*t->p == 'Z' || *t->p == 'z')
	{
		t->p++;
		return true;
	}
	if (t->end - t->p == 3 &&
		(memcmp(t->p, "UTC", 3) == 0 || memcmp(t->p, "GMT", 3) == 0))
	{
		t->p += 3;
		return true;
	}
	if (*t->p != '+' && *t->p != '-')
		return false;
	sign = *t->p++ == '-' ? -1 : 1;
	if (!read_digits(t, 2, &hours))
		return false;
	(void) wt_text_skip(t, ':');
	if (t->p < t->end && !read_digits(t, 2, &minutes))
		return false;
	*offset = sign * (hours * 3600 + minutes * 60);
	return hours <= 23 && minutes <= 59;
}

static bool
read_calendar(WtTextCursor t, int64_t *time_us)
{
	int year;
	int month;
	int day;
	int hour = 0;
	int minute = 0;
	int second = 0;
	int offset = 0;
	int64_t fraction = 0;

	if (!read_digits(&t, 4, &year) || !wt_text_skip(&t, '-') ||
		!read_digits(&t, 2, &month) || !wt_text_skip(&t, '-') ||
		!read_digits(&t, 2, &day) || !wt_is_day(year, month, day))
		return false;
	if (t.p < t.end)
	{
		if (!wt_text_skip(&t, 'T') && !wt_text_skip(&t, 't') && !wt_text_skip(&t, ' '))
			return false;
		if (!read_digits(&t, 2, &hour) || !wt_text_skip(&t, ':') ||
			!read_digits(&t, 2, &minute))
			return false;
		if (wt_text_skip(&t, ':'))
		{
			if (!read_digits(&t, 2, &second))
				return false;
			if (wt_text_skip(&t, '.') || wt_text_skip(&t, ','))
				fraction = wt_read_fraction(&t);
		}
		if (!read_zone(&t, &offset))
			return false;
	}
	/* A leap second is the beginning of the next one. */
	if (t.p != t.end || hour > 23 || minute > 59 || second > 60)
		return false;
	*time_us = (wt_days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 +
				second - offset) *
				   US_PER_S +
			   fraction;
	return true;
}

/* digits × 10^exponent, in units that the magnitude tells. */
static bool
read_number(WtTextCursor t, int64_t *time_us)
{
	bool negative = wt_text_skip(&t, '-');
	char digits[64];
	int n = 0;		/* digits */
	int point = -1; /* how many of them stand before the decimal point */
	int exponent = 0;
	int64_t whole = 0;
	int64_t unit;
	int64_t us;

	for (; wt_text_is_digit(&t) || (t.p < t.end && *t.p == '.' && point < 0); t.p++)
	{
		if (*t.p == '.')
			point = n;
		else if (n < (int) sizeof(digits))
			digits[n++] = *t.p;
		else if (point < 0)
			return false;
	}
	if (n == 0)
		return false;
	if (point < 0)
		point = n;
	if (t.p < t.end && (*t.p == 'e' || *t.p == 'E'))
	{
		bool down;

		t.p++;
		down = wt_text_skip(&t, '-');
		if (!down)
			(void) wt_text_skip(&t, '+');
		if (!wt_text_is_digit(&t))
			return false;
		for (; wt_text_is_digit(&t); t.p++)
		{
			exponent = exponent * 10 + (*t.p - '0');
			if (exponent > MAX_EXPONENT)
				return false;
		}
		point += down ? -exponent : exponent;
	}
	if (t.p != t.end || point > 20)
		return false;
	for (int i = 0; i < point; i++)
	{
		int digit = i < n ? digits[i] - '0' : 0;

		if (whole > (INT64_MAX - digit) / 10)
			return false;
		whole = whole * 10 + digit;
	}
	/* How many µs one of them is, or how many of them are a µs. */
	unit = US_PER_S;
	us = whole;
	for (int64_t limit = MAX_SECONDS; whole >= limit; limit *= 1000)
	{
		if (unit == 1)
		{
			us = whole / 1000;
			break;
		}
		unit /= 1000;
	}
	us *= unit;
	for (int i = point; i < n && unit >= 10; i++)
	{
		unit /= 10;
		if (i >= 0)
			us += unit * (digits[i] - '0');
	}
	*time_us = negative ? -us : us;
	return true;
}

bool
wt_when_read_text(const char *text, size_t length, int64_t *time_us)
{
	WtTextCursor t = {text, text + length};

	while (t.p < t.end && (*t.p == ' ' || *t.p == '\t'))
		t.p++;
	while (t.end > t.p && (t.end[-1] == ' ' || t.end[-1] == '\t'))
		t.end--;
	return read_calendar(t, time_us) || read_number(t, time_us);
}

bool
wt_when_read(const WtJsonToken *t, int64_t *time_us)
{
	if (t->type != WT_JSON_STRING && t->type != WT_JSON_NUMBER)
		return false;
	return wt_when_read_text(t->u.text, t->length, time_us);
}
