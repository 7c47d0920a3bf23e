/*
 * syslog_time.c
 *		The times of RFC 3164 and their relatives: see syslog_time.h.
 */
#include <string.h>

#include "base/local_time.h"
#include "event/calendar.h"
#include "event/when.h"
#include "protocol/syslog_time.h"

/* min to max digits, and no more. */
static bool
read_digits(WtTextCursor *t, int min, int max, int *value)
{
	int n = 0;

	*value = 0;
	for (; wt_text_is_digit(t) && n < max; n++)
		*value = *value * 10 + (*t->p++ - '0');
	return n >= min && !wt_text_is_digit(t);
}

static bool
read_month(WtTextCursor *t, int *month)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (t->end - t->p < 4 || t->p[3] != ' ')
		return false;
	for (*month = 1; *month <= 12; (*month)++)
		if (memcmp(names + (*month - 1) * 3, t->p, 3) == 0)
		{
			t->p += 4;
			return true;
		}
	return false;
}

/* The year of a day since 1970. */
static int
year_of(int64_t days)
{
	int year = (int) (1970 + days / 366);

	while (wt_days_from_civil(year + 1, 1, 1) <= days)
		year++;
	return year;
}

typedef struct Parts
{
	int year; /* 0: it is not said */
	int month;
	int day;
	int64_t in_day; /* s */
	int64_t fraction_us;
	bool utc;
} Parts;

/* Seconds since 1970; false: there is no such day in that year. */
static bool
to_seconds(const Parts *parts, int year, int64_t *second)
{
	int64_t local =
		wt_days_from_civil(year, parts->month, parts->day) * 86400 + parts->in_day;

	if (!wt_is_day(year, parts->month, parts->day))
		return false;
	*second = local;
	if (!parts->utc)
		*second = local - wt_utc_offset(local - wt_utc_offset(local));
	return true;
}

static int64_t
distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

static bool
settle(const Parts *parts, int64_t received_us, int64_t *time_us)
{
	int64_t received = received_us / US_PER_S;
	int64_t best = 0;
	bool found = false;
	int64_t second;
	int year;

	if (parts->year != 0)
	{
		found = to_seconds(parts, parts->year, &best);
		*time_us = best * US_PER_S + parts->fraction_us;
		return found;
	}
	if (received < 0)
		return false;
	year = year_of(received / 86400);
	for (int y = year - 1; y <= year + 1; y++)
		if (to_seconds(parts, y, &second) &&
			(!found || distance(second, received) < distance(best, received)))
		{
			best = second;
			found = true;
		}
	*time_us = best * US_PER_S + parts->fraction_us;
	return found;
}

static bool
read_clock(WtTextCursor *t, Parts *parts)
{
	int hour;
	int minute;
	int second;

	if (!read_digits(t, 1, 2, &hour) || !wt_text_skip(t, ':') ||
		!read_digits(t, 2, 2, &minute) || !wt_text_skip(t, ':') ||
		!read_digits(t, 2, 2, &second) || hour > 23 || minute > 59 || second > 60)
		return false;
	parts->in_day = hour * 3600 + minute * 60 + second;
	if (wt_text_skip(t, '.') || wt_text_skip(t, ','))
		parts->fraction_us = wt_read_fraction(t);
	return true;
}

/* RFC 3339, a T or a blank between date and time. */
static const char *
read_rfc3339(WtTextCursor t, int64_t *time_us)
{
	const char *from = t.p;
	int n;

	if (!read_digits(&t, 4, 4, &n) || !wt_text_skip(&t, '-') ||
		!read_digits(&t, 2, 2, &n) || !wt_text_skip(&t, '-') ||
		!read_digits(&t, 2, 2, &n) || (!wt_text_skip(&t, 'T') && !wt_text_skip(&t, ' ')))
		return NULL;
	while (t.p < t.end && *t.p != ' ')
		t.p++;
	if (t.p[-1] == ':')
		t.p--;
	return wt_when_read_text(from, (size_t) (t.p - from), time_us) ? t.p : NULL;
}

const char *
wt_syslog_time_read(const char *text, size_t length, int64_t received_us,
					int64_t *time_us)
{
	WtTextCursor t = {text, text + length};
	Parts parts = {0};
	const char *end;
	WtTextCursor before;

	if ((end = read_rfc3339(t, time_us)) != NULL)
		return end;
	if (!wt_text_skip(&t, '*'))
		(void) wt_text_skip(&t, '.');
	before = t;
	if (!read_digits(&t, 4, 4, &parts.year) || !wt_text_skip(&t, ' '))
	{
		t = before;
		parts.year = 0;
	}
	if (!read_month(&t, &parts.month))
		return NULL;
	(void) wt_text_skip(&t, ' ');
	if (!read_digits(&t, 1, 2, &parts.day) || !wt_text_skip(&t, ' '))
		return NULL;
	before = t;
	if (parts.year == 0 &&
		(!read_digits(&t, 4, 4, &parts.year) || !wt_text_skip(&t, ' ')))
	{
		t = before;
		parts.year = 0;
	}
	if (!read_clock(&t, &parts))
		return NULL;
	if (t.end - t.p >= 4 &&
		(memcmp(t.p, " UTC", 4) == 0 || memcmp(t.p, " GMT", 4) == 0) &&
		(t.end - t.p == 4 || t.p[4] == ' ' || t.p[4] == ':'))
	{
		parts.utc = true;
		t.p += 4;
	}
	(void) wt_text_skip(&t, ':');
	if (t.p < t.end && *t.p != ' ')
		return NULL;
	return settle(&parts, received_us, time_us) ? t.p : NULL;
}
