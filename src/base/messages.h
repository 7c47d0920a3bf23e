/*
 * messages.h
 *		Messages one after the other in one piece of memory: how those that came by no HTTP
 *		request lie in its body.
 *
 * Plain C.  Each has a head of four bytes, the highest first: its length, and in the highest bit
 * whether it has been cut, because it was longer than an event may be.
 */
#ifndef WT_MESSAGES_H
#define WT_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WT_MESSAGE_HEAD 4
#define WT_MESSAGE_CUT UINT32_C(0x80000000)

typedef struct WtMessage
{
	const char *text;
	size_t length;
	bool cut;
} WtMessage;

static inline void
wt_message_write_head(char *head, size_t length, bool cut)
{
	uint32_t word = (uint32_t) length | (cut ? WT_MESSAGE_CUT : 0);

	for (int i = 0; i < WT_MESSAGE_HEAD; i++)
		head[i] = (char) (word >> (24 - 8 * i));
}

/* Reads the message at p; gives where the next one begins, NULL where there is none. */
static inline const char *
wt_message_read(const char *p, const char *end, WtMessage *message)
{
	uint32_t word = 0;

	if (end - p < WT_MESSAGE_HEAD)
		return NULL;
	for (int i = 0; i < WT_MESSAGE_HEAD; i++)
		word = word << 8 | (unsigned char) p[i];
	message->cut = (word & WT_MESSAGE_CUT) != 0;
	message->length = word & ~WT_MESSAGE_CUT;
	message->text = p + WT_MESSAGE_HEAD;
	if (message->length > (size_t) (end - message->text))
		return NULL;
	return message->text + message->length;
}

#endif
