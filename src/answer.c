/*
 * answer.c
 *		The bodies of answers.
 */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "text.h"

size_t
wt_answer_error(char body[WT_ANSWER_SIZE], const char *sentence)
{
	static const char head[] = "{\"error\":\"";
	static const char tail[] = "\"}\n";
	/* What one character of the sentence may take: \u001f. */
	const size_t room = WT_ANSWER_SIZE - sizeof(tail) - 6;
	const unsigned char *p = (const unsigned char *) sentence;
	size_t left = strlen(sentence);
	size_t n = sizeof(head) - 1;

	memcpy(body, head, n);
	while (left > 0 && n < room)
	{
		int k = wt_utf8_sequence(p, left);

		if (k == 0) /* a byte of a name that was cut, say */
		{
			body[n++] = '?';
			k = 1;
		}
		else if (*p == '"' || *p == '\\')
		{
			body[n++] = '\\';
			body[n++] = (char) *p;
		}
		else if (*p < 0x20)
			n += (size_t) snprintf(body + n, 7, "\\u%04x", *p);
		else
		{
			memcpy(body + n, p, (size_t) k);
			n += (size_t) k;
		}
		p += k;
		left -= (size_t) k;
	}
	memcpy(body + n, tail, sizeof(tail) - 1);
	return n + sizeof(tail) - 1;
}
