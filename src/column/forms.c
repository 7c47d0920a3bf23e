/*
 * forms.c
 *		Texts that are something shorter, and back.
 */
#include <string.h>

#include "column/forms.h"

const int64_t wt_powers_of_ten[WT_DECIMAL_DIGITS + 1] = {
	1,
	10,
	100,
	1000,
	10000,
	100000,
	1000000,
	10000000,
	100000000,
	1000000000,
	10000000000,
	100000000000,
	1000000000000,
	10000000000000,
	100000000000000,
	1000000000000000,
	10000000000000000,
	100000000000000000,
	1000000000000000000,
};

/* ---------------------------------------------------------------------- decimals */

/*
 * Takes just what the printer writes: digits before the point, no zero in front of others,
 * digits behind the point where there is one, no minus before a zero.
 */
bool
wt_decimal_parse(const char *text, size_t length, WtDecimal *decimal)
{
	bool negative = length > 0 && *text == '-';
	const char *p = text + negative;
	const char *end = text + length;
	const char *point = NULL;
	uint64_t value = 0; /* 19 digits may overflow before they are refused */

	if (end - p < 1 || end - p > WT_DECIMAL_DIGITS + 1)
		return false;
	if (*p == '0' && end - p > 1 && p[1] != '.')
		return false;
	for (const char *q = p; q < end; q++)
	{
		if (*q >= '0' && *q <= '9')
			value = value * 10 + (uint64_t) (*q - '0');
		else if (*q == '.' && !point && q > p && q + 1 < end)
			point = q;
		else
			return false;
	}
	if (end - p - (point != NULL) > WT_DECIMAL_DIGITS || (negative && value == 0))
		return false;
	decimal->value = negative ? -(int64_t) value : (int64_t) value;
	decimal->decimals = point ? (int) (end - point - 1) : 0;
	return true;
}

size_t
wt_decimal_print(WtDecimal decimal, char *text)
{
	char digits[WT_FORM_MAX];
	uint64_t value =
		decimal.value < 0 ? 0 - (uint64_t) decimal.value : (uint64_t) decimal.value;
	int decimals = decimal.decimals < 0					  ? 0
				   : decimal.decimals > WT_DECIMAL_DIGITS ? WT_DECIMAL_DIGITS
														  : decimal.decimals;
	int n = 0;
	char *p = text;

	do
	{
		digits[n++] = (char) ('0' + value % 10);
		value /= 10;
	} while (value > 0 || n <= decimals);
	if (decimal.value < 0)
		*p++ = '-';
	while (n > 0)
	{
		if (n == decimals)
			*p++ = '.';
		*p++ = digits[--n];
	}
	return (size_t) (p - text);
}

bool
wt_decimal_scale(WtDecimal decimal, int decimals, int64_t *value)
{
	return !__builtin_mul_overflow(decimal.value,
								   wt_powers_of_ten[decimals - decimal.decimals], value);
}

WtDecimal
wt_decimal_unscale(int64_t value, int decimals, int becomes)
{
	return (WtDecimal){value / wt_powers_of_ten[decimals - becomes], becomes};
}

int
wt_decimal_compare(WtDecimal a, WtDecimal b)
{
	__int128 x = a.value;
	__int128 y = b.value;

	if (a.decimals < b.decimals)
		x *= wt_powers_of_ten[b.decimals - a.decimals];
	else
		y *= wt_powers_of_ten[a.decimals - b.decimals];
	return x < y ? -1 : x > y;
}

/* --------------------------------------------------------------------- UUIDs, hex */

static const char hex_digits[] = "0123456789abcdef";

/* The digits of hex in lower case; all others are above 15. */
static const uint8_t hex_values[256] = {
#define NONE16 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16
	NONE16, NONE16, NONE16, /* */
	0,		1,		2,		3,		4,		5,		6,		7,		8,
	9,		16,		16,		16,		16,		16,		16, /* '0' */
	NONE16, NONE16,										/* */
	16,		10,		11,		12,		13,		14,		15,		16,		16,
	16,		16,		16,		16,		16,		16,		16, /* '`' */
	NONE16, NONE16, NONE16, NONE16, NONE16, NONE16, NONE16, NONE16, NONE16,
};

bool
wt_hex_parse(const char *text, size_t length, uint8_t *bytes)
{
	if (length % 2 != 0)
		return false;
	for (size_t i = 0; i < length; i += 2)
	{
		uint8_t high = hex_values[(uint8_t) text[i]];
		uint8_t low = hex_values[(uint8_t) text[i + 1]];

		if ((high | low) > 15)
			return false;
		bytes[i / 2] = (uint8_t) (high << 4 | low);
	}
	return true;
}

void
wt_hex_print(const uint8_t *bytes, size_t length, char *text)
{
	static char pairs[256]
					 [2]; /* the digits of each byte, made when they are first needed */

	if (!pairs[0][0])
		for (int i = 255; i >= 0; i--)
		{
			pairs[i][0] = hex_digits[i >> 4];
			pairs[i][1] = hex_digits[i & 15];
		}
	for (size_t i = 0; i < length; i++)
		memcpy(text + 2 * i, pairs[bytes[i]], 2);
}

/* Where the five groups of a UUID's digits lie in its text, and in its bytes. */
static const struct
{
	uint8_t at;
	uint8_t byte;
	uint8_t bytes;
} groups[] = {{0, 0, 4}, {9, 4, 2}, {14, 6, 2}, {19, 8, 2}, {24, 10, 6}};

bool
wt_uuid_parse(const char *text, size_t length, uint8_t uuid[16])
{
	if (length != WT_UUID_LENGTH || text[8] != '-' || text[13] != '-' ||
		text[18] != '-' || text[23] != '-')
		return false;
	for (int i = 0; i < 5; i++)
		if (!wt_hex_parse(text + groups[i].at, groups[i].bytes * 2u,
						  uuid + groups[i].byte))
			return false;
	return true;
}

void
wt_uuid_print(const uint8_t uuid[16], char *text)
{
	for (int i = 0; i < 5; i++)
		wt_hex_print(uuid + groups[i].byte, groups[i].bytes, text + groups[i].at);
	text[8] = text[13] = text[18] = text[23] = '-';
}

static uint64_t
big_endian(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

bool
wt_uuid7_split(const uint8_t uuid[16], int64_t *ticks, uint64_t *chance)
{
	uint64_t high = big_endian(uuid);
	uint64_t low = big_endian(uuid + 8);

	if ((high >> 12 & 15) != 7 || low >> 62 != 2)
		return false;
	*ticks = (int64_t) (high >> 16 << 12 | (high & 0xFFF));
	*chance = low & (UINT64_MAX >> 2);
	return true;
}

void
wt_uuid7_join(int64_t ticks, uint64_t chance, uint8_t uuid[16])
{
	uint64_t high = (uint64_t) ticks >> 12 << 16 | 0x7000 | ((uint64_t) ticks & 0xFFF);
	uint64_t low = (chance & (UINT64_MAX >> 2)) | (uint64_t) 2 << 62;

	for (int i = 7; i >= 0; i--, high >>= 8, low >>= 8)
	{
		uuid[i] = (uint8_t) high;
		uuid[8 + i] = (uint8_t) low;
	}
}

/* ----------------------------------------------------------------------- instants */

#define SECONDS_OF_A_DAY 86400
#define SECONDS_TO_2000 INT64_C(946684800) /* from 1970 */
#define BEHIND_SECONDS 19				   /* of 2026-11-26T10:02:48 */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
wt_instant_form(const char *text, size_t length, WtInstantForm *form)
{
	size_t at = BEHIND_SECONDS;

	memset(form, 0, sizeof(*form));
	if (length < BEHIND_SECONDS || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
		text[16] != ':' || is_digit(text[10]))
		return false;
	form->separator = text[10];
	if (at + 1 < length && text[at] == '.' && is_digit(text[at + 1]))
	{
		for (at++; at < length && is_digit(text[at]); at++)
			form->decimals++;
		if (form->decimals > 9)
			return false;
	}
	if (length - at > WT_INSTANT_SUFFIX)
		return false;
	form->suffix_length = (uint8_t) (length - at);
	memcpy(form->suffix, text + at, length - at);
	return true;
}

size_t
wt_instant_length(const WtInstantForm *form)
{
	return BEHIND_SECONDS + (form->decimals ? 1u + form->decimals : 0) +
		   form->suffix_length;
}

/*
 * Days since 1970-01-01 of a day of the Gregorian calendar, and back: years are counted
 * from March, so that the leap day is a year's last.
 */
static int64_t
days_of_date(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void
date_of_days(int64_t days, int *year, int *month, int *day)
{
	int64_t era, of_era, y, of_year, m;

	days += 719468;
	era = days / 146097;
	of_era = days - era * 146097;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (5 * of_year + 2) / 153;
	*day = (int) (of_year - (153 * m + 2) / 5 + 1);
	*month = (int) (m < 10 ? m + 3 : m - 9);
	*year = (int) (y + era * 400 + (*month <= 2));
}

static bool
two_digits(const char *text, int least, int most, int *value)
{
	if (!is_digit(text[0]) || !is_digit(text[1]))
		return false;
	*value = (text[0] - '0') * 10 + text[1] - '0';
	return *value >= least && *value <= most;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

bool
wt_instant_parse(const char *text, size_t length, const WtInstantForm *form,
				 int64_t *units)
{
	int century, year, month, day, hour, minute, second;
	size_t at = BEHIND_SECONDS;
	int64_t value;

	if (length != wt_instant_length(form) || text[4] != '-' || text[7] != '-' ||
		text[10] != form->separator || text[13] != ':' || text[16] != ':' ||
		!two_digits(text, 19, 22, &century) || !two_digits(text + 2, 0, 99, &year) ||
		!two_digits(text + 5, 1, 12, &month) || !two_digits(text + 8, 1, 31, &day) ||
		!two_digits(text + 11, 0, 23, &hour) || !two_digits(text + 14, 0, 59, &minute) ||
		!two_digits(text + 17, 0, 59, &second))
		return false;
	year += century * 100;
	if (year < 1970 || year > 2261 || day > days_of_month(year, month))
		return false;
	value = (days_of_date(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
	if (form->decimals)
	{
		if (text[at++] != '.')
			return false;
		for (int i = 0; i < form->decimals; i++, at++)
		{
			if (!is_digit(text[at]))
				return false;
			value = value * 10 + (text[at] - '0');
		}
	}
	if (memcmp(text + at, form->suffix, form->suffix_length) != 0)
		return false;
	*units = value;
	return true;
}

static void
print_two(char *text, int value)
{
	text[0] = (char) ('0' + value / 10 % 10);
	text[1] = (char) ('0' + value % 10);
}

static void
print_second(int64_t second, char separator, char *text)
{
	int of_day = (int) (second % SECONDS_OF_A_DAY);
	int year, month, day;

	date_of_days(second / SECONDS_OF_A_DAY, &year, &month, &day);
	print_two(text, year / 100);
	print_two(text + 2, year);
	text[4] = text[7] = '-';
	print_two(text + 5, month);
	print_two(text + 8, day);
	text[10] = separator;
	print_two(text + 11, of_day / 3600);
	text[13] = text[16] = ':';
	print_two(text + 14, of_day / 60 % 60);
	print_two(text + 17, of_day % 60);
}

void
wt_instant_print(int64_t units, const WtInstantForm *form, WtInstantPrinted *printed,
				 char *text)
{
	int decimals = form->decimals <= 9 ? form->decimals : 9;
	int64_t scale = wt_powers_of_ten[decimals];
	/* A unit before 1970 is none that was parsed. */
	int64_t value = units & INT64_MAX;
	int64_t second = value / scale;
	uint32_t fraction = (uint32_t) (value - second * scale);
	size_t at = BEHIND_SECONDS;

	second %= INT64_C(400000) * SECONDS_OF_A_DAY;
	if (!printed->is_set || printed->second != second)
	{
		print_second(second, form->separator, printed->text);
		printed->second = second;
		printed->is_set = true;
	}
	memcpy(text, printed->text, BEHIND_SECONDS);
	if (decimals)
	{
		text[at] = '.';
		for (int i = decimals; i > 0; i--, fraction /= 10)
			text[at + (size_t) i] = (char) ('0' + fraction % 10);
		at += 1u + (size_t) decimals;
	}
	memcpy(text + at, form->suffix, form->suffix_length);
}

int64_t
wt_instant_of_time(int64_t time, int decimals)
{
	uint64_t us = (uint64_t) time + (uint64_t) SECONDS_TO_2000 * 1000000;

	if (decimals >= 6)
		return (int64_t) (us * (uint64_t) wt_powers_of_ten[decimals - 6]);
	return (int64_t) us / wt_powers_of_ten[6 - decimals];
}
