/*
 * answer.c
 *		The bodies of answers.
 */
#include <stdio.h>
#include <string.h>

#include "http/answer.h"
#include "base/text.h"

/* What one character of a sentence may take: \u001f and snprintf's NUL. */
#define MAX_ESCAPED 7

size_t
wt_answer_escape(char *out, size_t size, const char *sentence)
{
	const unsigned char *p = (const unsigned char *) sentence;
	size_t left = strlen(sentence);
	size_t n = 0;

	while (left > 0 && n + MAX_ESCAPED <= size)
	{
		int k = wt_utf8_sequence(p, left);

		if (k == 0) /* a byte of a name that was cut, say */
		{
			out[n++] = '?';
			k = 1;
		}
		else if (*p == '"' || *p == '\\')
		{
			out[n++] = '\\';
			out[n++] = (char) *p;
		}
		else if (*p < 0x20)
			n += (size_t) snprintf(out + n, MAX_ESCAPED, "\\u%04x", *p);
		else
		{
			memcpy(out + n, p, (size_t) k);
			n += (size_t) k;
		}
		p += k;
		left -= (size_t) k;
	}
	return n;
}

size_t
wt_answer_error(char body[WT_ANSWER_SIZE], const char *sentence)
{
	static const char head[] = "{\"error\":\"";
	static const char tail[] = "\"}\n";
	size_t n = sizeof(head) - 1;

	memcpy(body, head, n);
	n += wt_answer_escape(body + n, WT_ANSWER_SIZE - n - sizeof(tail), sentence);
	memcpy(body + n, tail, sizeof(tail) - 1);
	return n + sizeof(tail) - 1;
}
