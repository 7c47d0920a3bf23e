/*
 * charset.h
 *		Bodies in other charsets → UTF-8.
 *
 * Plain C: raises nothing.  By the C library's iconv and not by PostgreSQL's conversions,
 * which run as SQL functions that the database's users can replace, need a transaction, raise
 * at the first byte that does not fit, and know no UTF-16.
 */
#ifndef WT_CHARSET_H
#define WT_CHARSET_H

#include "event/inflate.h"

typedef enum WtCharsetResult
{
	WT_CHARSET_UTF8, /* it is UTF-8, or says so: use it as it is */
	WT_CHARSET_OK,	 /* the buffer holds it */
	WT_CHARSET_UNKNOWN,
	WT_CHARSET_TOO_LARGE, /* it would be larger than the limit */
	WT_CHARSET_OUT_OF_MEMORY
} WtCharsetResult;

/*
 * Converts a body from the charset that its Content-Type (NULL: none) names, or that its byte
 * order mark does, where the type names none or UTF-8.  Of a form the bytes that its escapes
 * stand for are converted too.  limit is the most that may come out, in bytes.
 *
 * What is no character there becomes the byte 0xFF, which is none in UTF-8: the decoder treats
 * it as any other byte that is no text, in the event in which it stands.
 */
extern WtCharsetResult wt_charset_convert(const char *content_type, const char *body,
										  size_t length, size_t limit, WtInflated *out);

#endif
