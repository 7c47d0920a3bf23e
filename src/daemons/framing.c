/*
 * framing.c
 *		Where a message ends that comes by TCP: see framing.h.
 *
 * Which of both ways a message is framed is seen by itself: a number, a blank and the < of a
 * priority is a count, and anything else a line.  Separators between messages are passed over:
 * some who count end their messages by a line feed too.
 */
#include <stdint.h>
#include <string.h>

#include "daemons/framing.h"

/* Of a count; what has more of them is longer than anything is. */
#define MAX_DIGITS 9

/* What is looked at to see that it is a count. */
#define LONGEST_HEAD 24

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
wt_framing_has_priority(const char *text, size_t length)
{
	int value = 0;
	size_t n = 0;

	if (length < 3 || text[0] != '<')
		return false;
	while (n < 3 && n + 1 < length && is_digit(text[n + 1]))
		value = value * 10 + (text[++n] - '0');
	return n > 0 && value <= 191 && n + 1 < length && text[n + 1] == '>';
}

/* Whether c stands between messages, or ends one. */
static bool
is_separator(const WtFraming *framing, char c)
{
	return c == '\0' || (framing->form == WT_FRAMING_SYSLOG && c == '\n');
}

static const char *
find_separator(const WtFraming *framing, const char *p, size_t length)
{
	const char *line = NULL;
	const char *nul;

	if (framing->form == WT_FRAMING_SYSLOG)
		line = memchr(p, '\n', length);
	nul = memchr(p, '\0', line ? (size_t) (line - p) : length);
	return nul ? nul : line;
}

/* The same without the beginning of a character of UTF-8 at its end. */
static size_t
without_broken_end(const char *text, size_t length)
{
	size_t n = length;

	/* Back to where the last one begins; whether all of it is there is not asked. */
	while (n > 0 && length - n < 3 && ((unsigned char) text[n - 1] & 0xC0) == 0x80)
		n--;
	if (n > 0 && ((unsigned char) text[n - 1] & 0xC0) == 0xC0)
		return n - 1;
	return length;
}

typedef enum Head
{
	HEAD_NONE, /* it is a line */
	HEAD_SHORT,
	HEAD_COUNT,
	HEAD_ABSURD
} Head;

/* Reads "123 " before a "<". */
static Head
read_count(const char *p, size_t length, size_t *count, size_t *head)
{
	size_t n = 0;

	if (length == 0 || p[0] < '1' || p[0] > '9')
		return HEAD_NONE;
	*count = 0;
	while (n < length && n < LONGEST_HEAD && is_digit(p[n]))
	{
		if (n < MAX_DIGITS)
			*count = *count * 10 + (size_t) (p[n] - '0');
		n++;
	}
	if (n == LONGEST_HEAD)
		return HEAD_NONE;
	if (n == length)
		return HEAD_SHORT;
	if (p[n] != ' ')
		return HEAD_NONE;
	if (n + 1 == length)
		return HEAD_SHORT;
	if (p[n + 1] != '<')
		return HEAD_NONE;
	*head = n + 1;
	return n > MAX_DIGITS ? HEAD_ABSURD : HEAD_COUNT;
}

static WtFrameResult
give(WtFraming *framing, WtFrame *frame, const char *text, size_t length, size_t max)
{
	framing->scanned = 0;
	frame->text = text;
	frame->cut = length > max;
	frame->length = frame->cut ? without_broken_end(text, max) : length;
	if (!frame->cut && framing->form == WT_FRAMING_SYSLOG && length > 0 &&
		text[length - 1] == '\r')
		frame->length--;
	return WT_FRAME_MESSAGE;
}

/* Passes over what is left of a message that has been cut; false: it goes on. */
static bool
pass_over_rest(WtFraming *framing, const char *bytes, size_t length, size_t *used)
{
	if (framing->discard > 0)
	{
		size_t n = framing->discard < length ? framing->discard : length;

		framing->discard -= n;
		*used += n;
		return framing->discard == 0;
	}
	if (framing->discard_line)
	{
		const char *end = find_separator(framing, bytes, length);

		*used += end ? (size_t) (end - bytes) + 1 : length;
		framing->discard_line = !end;
		return end != NULL;
	}
	return true;
}

WtFrameResult
wt_framing_next(WtFraming *framing, const char *bytes, size_t length, size_t max,
				bool ended, size_t *used, WtFrame *frame)
{
	Head head = HEAD_NONE;
	const char *end;
	const char *p;
	size_t left;
	size_t count = 0;
	size_t n = 0;

	*used = 0;
	frame->line = false;
	if (!pass_over_rest(framing, bytes, length, used))
		return WT_FRAME_MORE;
	if (framing->scanned == 0)
		while (*used < length &&
			   (is_separator(framing, bytes[*used]) || bytes[*used] == '\r'))
			(*used)++;
	p = bytes + *used;
	left = length - *used;
	if (left == 0)
		return WT_FRAME_MORE;
	if (framing->form == WT_FRAMING_SYSLOG && framing->scanned < LONGEST_HEAD)
		head = read_count(p, left, &count, &n);
	if (head == HEAD_ABSURD)
		return WT_FRAME_MALFORMED;
	if (head == HEAD_SHORT && !ended)
		return WT_FRAME_MORE;
	if (head == HEAD_COUNT)
	{
		size_t have = left - n;

		if (have >= count || (count > max && have > max))
		{
			size_t passed = have < count ? have : count;

			framing->discard = count - passed;
			*used += n + passed;
			return give(framing, frame, p + n, count, max);
		}
		if (!ended)
			return WT_FRAME_MORE;
		*used = length;
		return WT_FRAME_INCOMPLETE;
	}

	end = find_separator(framing, p + framing->scanned, left - framing->scanned);
	if (end)
	{
		*used += (size_t) (end - p) + 1;
		frame->line = *end == '\n';
		return give(framing, frame, p, (size_t) (end - p), max);
	}
	if (left > max)
	{
		*used = length;
		framing->discard_line = true;
		return give(framing, frame, p, left, max);
	}
	if (ended)
	{
		*used = length;
		return give(framing, frame, p, left, max);
	}
	framing->scanned = left;
	return WT_FRAME_MORE;
}
