/*
 * forms.h
 *		Texts that are something shorter: decimals, UUIDs, hex, instants.  What a parser takes
 *		its printer gives back byte by byte; all other texts it refuses.
 *
 * Printers take any bits, for they may come from a chunk that lies: then what they print is
 * something of the same length.
 */
#ifndef WT_COLUMN_FORMS_H
#define WT_COLUMN_FORMS_H

#include "column/format.h"

#define WT_UUID_LENGTH 36
#define WT_FORM_MAX 64	  /* bytes that the longest decimal or instant takes */
#define WT_DECIMAL_MAX 22 /* bytes that any decimal takes: a sign, a point, 20 digits */
#define WT_DECIMAL_DIGITS 18 /* that an int64 is sure to hold */

/* 10 to the 0th, 1st, … power. */
extern const int64_t wt_powers_of_ten[WT_DECIMAL_DIGITS + 1];

/* A number as numeric_out prints it, without its exponent: -12.50 is -1250 with 2. */
extern bool wt_decimal_parse(const char *text, size_t length, WtDecimal *decimal);
extern size_t wt_decimal_print(WtDecimal decimal, char *text);

/*
 * The value that it has with more decimals (at most WT_DECIMAL_DIGITS); false: it does not
 * fit.  And back, with fewer.
 */
extern bool wt_decimal_scale(WtDecimal decimal, int decimals, int64_t *value);
extern WtDecimal wt_decimal_unscale(int64_t value, int decimals, int becomes);

/* -1, 0 or 1, as the numbers compare. */
extern int wt_decimal_compare(WtDecimal a, WtDecimal b);

/* 36 characters, in lower case. */
extern bool wt_uuid_parse(const char *text, size_t length, uint8_t uuid[16]);
extern void wt_uuid_print(const uint8_t uuid[16], char *text);

/*
 * One of version 7: 60 bits of time (48 of milliseconds, 12 behind the version) and 62 of
 * chance.  false: it is of another.
 */
extern bool wt_uuid7_split(const uint8_t uuid[16], int64_t *ticks, uint64_t *chance);
extern void wt_uuid7_join(int64_t ticks, uint64_t chance, uint8_t uuid[16]);

/* Digits of hex in lower case, an even number of them; bytes takes half as many. */
extern bool wt_hex_parse(const char *text, size_t length, uint8_t *bytes);
extern void wt_hex_print(const uint8_t *bytes, size_t length, char *text);

/*
 * How a column writes its instants: 2026-11-26T10:02:48.123456+00:00, where the character in
 * the middle, the number of decimals of the second (0: no point either) and all that follows
 * them are the same in each.
 */
#define WT_INSTANT_SUFFIX 8

typedef struct WtInstantForm
{
	char separator;
	uint8_t decimals; /* 0 to 9 */
	uint8_t suffix_length;
	char suffix[WT_INSTANT_SUFFIX];
} WtInstantForm;

/* The form of a text that might be one; false: it is none. */
extern bool wt_instant_form(const char *text, size_t length, WtInstantForm *form);
extern size_t wt_instant_length(const WtInstantForm *form);

/*
 * A text of this form, in units of its last decimal since 1970-01-01 00:00, without regard
 * to what the suffix says.  Refuses what the printer would write otherwise (month 13), and
 * years out of 1970 to 2261, so that nanoseconds fit.
 */
extern bool wt_instant_parse(const char *text, size_t length, const WtInstantForm *form,
							 int64_t *units);

/* The second that was printed last, for the next is often the same; zero it. */
typedef struct WtInstantPrinted
{
	bool is_set;
	int64_t second;
	char text[32];
} WtInstantPrinted;

extern void wt_instant_print(int64_t units, const WtInstantForm *form,
							 WtInstantPrinted *printed, char *text);

/* A row's time (µs since 2000) in units of 10^-decimals s since 1970; wraps. */
extern int64_t wt_instant_of_time(int64_t time, int decimals);

#endif
