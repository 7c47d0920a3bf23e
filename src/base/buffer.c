/*
 * buffer.c
 *		Bytes that grow.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

#define MIN_SIZE 256

static bool
make_room(WtBuffer *buffer, size_t length)
{
	size_t size = buffer->size ? buffer->size : MIN_SIZE;
	char *data;

	if (buffer->failed)
		return false;
	if (buffer->size - buffer->length >= length && buffer->size > 0)
		return true;
	while (size - buffer->length < length)
		size *= 2;
	data = realloc(buffer->data, size);
	if (!data)
	{
		buffer->failed = true;
		return false;
	}
	buffer->data = data;
	buffer->size = size;
	return true;
}

void
wt_buffer_add(WtBuffer *buffer, const void *bytes, size_t length)
{
	if (length == 0 || !make_room(buffer, length))
		return;
	memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
}

void
wt_buffer_text(WtBuffer *buffer, const char *text)
{
	wt_buffer_add(buffer, text, strlen(text));
}

void
wt_buffer_print(WtBuffer *buffer, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	wt_buffer_text(buffer, text);
}

void
wt_buffer_json(WtBuffer *buffer, const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;
	const unsigned char *run = p; /* what is not added yet, and needs no escape */

	wt_buffer_add(buffer, "\"", 1);
	while (p < end)
	{
		int n = 1;

		if (*p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		{
			p++;
			continue;
		}
		if (*p >= 0x80)
		{
			n = wt_utf8_sequence(p, (size_t) (end - p));
			if (n > 0)
			{
				p += n;
				continue;
			}
			n = wt_utf8_broken(p, (size_t) (end - p));
		}
		wt_buffer_add(buffer, run, (size_t) (p - run));
		if (*p >= 0x80 || *p == '\0')
			wt_buffer_text(buffer, WT_UTF8_REPLACEMENT);
		else if (*p < 0x20)
			wt_buffer_print(buffer, "\\u%04x", *p);
		else
			wt_buffer_print(buffer, "\\%c", *p);
		p += n;
		run = p;
	}
	wt_buffer_add(buffer, run, (size_t) (p - run));
	wt_buffer_add(buffer, "\"", 1);
}

void
wt_buffer_string(WtBuffer *buffer, const char *text)
{
	if (text)
		wt_buffer_json(buffer, text, strlen(text));
	else
		wt_buffer_text(buffer, "null");
}

void
wt_buffer_free(WtBuffer *buffer)
{
	free(buffer->data);
	*buffer = (WtBuffer){0};
}
