/*
 * text.h
 *		Checks on bytes that claim to be text.
 *
 * Plain C: usable beneath a C library's callback and outside the server.
 */
#ifndef WT_TEXT_H
#define WT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Length in bytes (1 to 4) of the well-formed UTF-8 sequence at p, which has `left`
 * bytes to its end; 0 where there is none: overlong forms, surrogates, code points
 * past U+10FFFF and truncated sequences are not well formed.
 */
extern int wt_utf8_sequence(const unsigned char *p, size_t left);

/*
 * How many of the bytes at p, where no well-formed UTF-8 sequence begins, one U+FFFD stands
 * for: the longest beginning of such a sequence, as WHATWG's decoder has it; at least 1.
 */
extern int wt_utf8_broken(const unsigned char *p, size_t left);

/* U+FFFD, which stands for what cannot be stored. */
#define WT_UTF8_REPLACEMENT "\xEF\xBF\xBD"

/*
 * Copies text to out, which has room for 3 bytes for each, with U+FFFD for each NUL and for
 * what is not UTF-8; gives the number of bytes written.
 */
extern size_t wt_text_repair(const char *text, size_t length, char *out);

/*
 * The offset of the first byte of text that is not well-formed UTF-8 or is NUL
 * (PostgreSQL can store neither); length where everything is well.
 */
extern size_t wt_text_valid_prefix(const char *text, size_t length);

/*
 * Copies bytes of any kind so that they can be stored and shown: what is not UTF-8, control
 * characters, characters that change how others are displayed, and backslashes become \xNN,
 * each byte of them; with ascii_only all but ASCII do.  out has room for 4 bytes for each;
 * gives the number of bytes written, without a NUL.
 */
extern size_t wt_text_escape(const char *text, size_t length, bool ascii_only, char *out);

/* The value of a hexadecimal digit; -1 where c is none. */
static inline int
wt_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * The byte that a percent sign at p with two hexadecimal digits stands for, of `left` bytes up
 * to the end (of a C string: 3, for its NUL is no digit); -1 where there is none.
 */
static inline int
wt_percent_byte(const char *p, size_t left)
{
	if (left < 3 || *p != '%' || wt_hex_digit(p[1]) < 0 || wt_hex_digit(p[2]) < 0)
		return -1;
	return wt_hex_digit(p[1]) * 16 + wt_hex_digit(p[2]);
}

/*
 * Writes bytes in base64, padded, to out, which has room for 4 bytes for each 3 begun; gives
 * the number of bytes written, without a NUL.
 */
extern size_t wt_base64_encode(const void *bytes, size_t length, char *out);

/*
 * Writes code point c as UTF-8 at out, which has room for 4 bytes; gives the number
 * of bytes written.
 */
extern int wt_utf8_encode(uint32_t c, char *out);

#endif
