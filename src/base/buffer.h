/*
 * buffer.h
 *		Bytes that grow.  Plain C: usable beneath a C library's callback and outside the server.
 */
#ifndef WT_BUFFER_H
#define WT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Zero it before the first use.  Once memory was wanting it takes nothing more. */
typedef struct WtBuffer
{
	char *data;
	size_t length;
	size_t size;
	bool failed;
} WtBuffer;

/* Append bytes; a string; what printf would print, up to 255 bytes of it. */
extern void wt_buffer_add(WtBuffer *buffer, const void *bytes, size_t length);
extern void wt_buffer_text(WtBuffer *buffer, const char *text);
extern void wt_buffer_print(WtBuffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Appends text as a JSON string with its quotes; U+FFFD stands for what is not UTF-8, and for
 * NUL.
 */
extern void wt_buffer_json(WtBuffer *buffer, const char *text, size_t length);

/* The same of a string; NULL: null. */
extern void wt_buffer_string(WtBuffer *buffer, const char *text);

/* Frees what it holds; it can be used again. */
extern void wt_buffer_free(WtBuffer *buffer);

#endif
