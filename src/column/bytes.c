/*
 * bytes.c
 *		Bytes that grow.
 */
#include <stdlib.h>

#include "column/bytes.h"

#define MIN_SIZE 256

void
wt_bytes_grow(WtBytes *bytes, size_t more)
{
	size_t size = bytes->size ? bytes->size : MIN_SIZE;
	char *data = NULL;

	if (more <= SIZE_MAX / 4 && bytes->length <= SIZE_MAX / 4)
	{
		while (size - bytes->length < more)
			size *= 2;
		data = realloc(bytes->data, size);
	}
	if (!data)
	{
		bytes->failed(more);
		abort(); /* it must not return */
	}
	bytes->data = data;
	bytes->size = size;
}

void
wt_bytes_free(WtBytes *bytes)
{
	free(bytes->data);
	bytes->data = NULL;
	bytes->length = bytes->size = 0;
}
