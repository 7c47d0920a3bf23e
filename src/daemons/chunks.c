/*
 * chunks.c
 *		Messages of GELF that come in several datagrams: see chunks.h.
 *
 * A chunk is 1e 0f, the message's number in 8 bytes, which one it is, from 0, how many there are,
 * and its part of the message.
 */
#include <stdlib.h>
#include <string.h>

#include "daemons/chunks.h"

#define HEAD 12
#define MAX_CHUNKS 128

/* What Graylog itself waits, ms. */
#define TIMEOUT 5000

/* Messages that are not complete, at one time, and the bytes of all of them. */
#define MAX_PENDING 256
#define MAX_BYTES ((size_t) 8 * 1024 * 1024)

typedef struct Part
{
	char *data; /* NULL: it has not come */
	size_t length;
} Part;

typedef struct Pending
{
	struct Pending *next; /* in the order in which they began */
	WtAddress from;
	char id[8];
	int count;
	int n; /* parts that have come */
	size_t bytes;
	int64_t since;
	Part parts[MAX_CHUNKS];
} Pending;

struct WtChunks
{
	Pending *first;
	Pending *last;
	int n;
	size_t bytes;
	char *message; /* that was completed last */
};

WtChunks *
wt_chunks_create(void)
{
	return calloc(1, sizeof(WtChunks));
}

static void
drop(WtChunks *chunks, Pending *p)
{
	Pending *before = NULL;

	for (Pending *q = chunks->first; q != p; q = q->next)
		before = q;
	if (before)
		before->next = p->next;
	else
		chunks->first = p->next;
	if (chunks->last == p)
		chunks->last = before;
	chunks->n--;
	chunks->bytes -= p->bytes;
	for (int i = 0; i < p->count; i++)
		free(p->parts[i].data);
	free(p);
}

static Pending *
find(const WtChunks *chunks, const WtAddress *from, const char *id)
{
	for (Pending *p = chunks->first; p; p = p->next)
		if (memcmp(p->id, id, sizeof(p->id)) == 0 &&
			memcmp(&p->from, from, sizeof(p->from)) == 0)
			return p;
	return NULL;
}

/* Makes room by the oldest message of this sender, but `except`, or of all where it has none. */
static bool
give_up_one(WtChunks *chunks, const WtAddress *from, const Pending *except)
{
	Pending *oldest = NULL;

	for (Pending *p = chunks->first; p; p = p->next)
	{
		if (p == except)
			continue;
		if (memcmp(&p->from, from, sizeof(p->from)) == 0)
		{
			oldest = p;
			break;
		}
		if (!oldest)
			oldest = p;
	}
	if (oldest)
		drop(chunks, oldest);
	return oldest != NULL;
}

static Pending *
begin(WtChunks *chunks, const WtAddress *from, const char *id, int count, int64_t now,
	  int *given_up)
{
	Pending *p;

	if (chunks->n == MAX_PENDING && give_up_one(chunks, from, NULL))
		(*given_up)++;
	p = calloc(1, sizeof(Pending));
	if (!p)
		return NULL;
	p->from = *from;
	memcpy(p->id, id, sizeof(p->id));
	p->count = count;
	p->since = now;
	if (chunks->last)
		chunks->last->next = p;
	else
		chunks->first = p;
	chunks->last = p;
	chunks->n++;
	return p;
}

/* Puts a message together; false: there is no memory. */
static bool
complete(WtChunks *chunks, const Pending *p)
{
	char *out;

	free(chunks->message);
	chunks->message = out = malloc(p->bytes > 0 ? p->bytes : 1);
	if (!out)
		return false;
	for (int i = 0; i < p->count; i++)
	{
		memcpy(out, p->parts[i].data, p->parts[i].length);
		out += p->parts[i].length;
	}
	return true;
}

WtChunkResult
wt_chunks_add(WtChunks *chunks, const WtAddress *from, const char *datagram,
			  size_t length, size_t limit, int64_t now, const char **message,
			  size_t *message_length, int *given_up)
{
	Pending *p;
	Part *part;
	int number;
	int count;
	bool ok;

	*given_up = 0;
	if (length < 2 || memcmp(datagram, "\x1e\x0f", 2) != 0)
		return WT_CHUNK_NONE;
	if (length < HEAD)
		return WT_CHUNK_MALFORMED;
	number = (unsigned char) datagram[10];
	count = (unsigned char) datagram[11];
	if (count == 0 || count > MAX_CHUNKS || number >= count)
		return WT_CHUNK_MALFORMED;
	datagram += HEAD;
	length -= HEAD;
	p = find(chunks, from, datagram - HEAD + 2);
	if (p && p->count != count)
		return WT_CHUNK_MALFORMED;
	if (!p && !(p = begin(chunks, from, datagram - HEAD + 2, count, now, given_up)))
		return WT_CHUNK_NO_MEMORY;
	part = &p->parts[number];
	if (part->data) /* it came twice */
		return WT_CHUNK_KEPT;
	if (p->bytes + length > limit)
	{
		drop(chunks, p);
		return WT_CHUNK_TOO_LARGE;
	}
	while (chunks->bytes + length > MAX_BYTES && give_up_one(chunks, from, p))
		(*given_up)++;
	part->data = malloc(length > 0 ? length : 1);
	if (!part->data)
	{
		drop(chunks, p);
		return WT_CHUNK_NO_MEMORY;
	}
	memcpy(part->data, datagram, length);
	part->length = length;
	p->bytes += length;
	chunks->bytes += length;
	if (++p->n < count)
		return WT_CHUNK_KEPT;
	ok = complete(chunks, p);
	*message = chunks->message;
	*message_length = p->bytes;
	drop(chunks, p);
	return ok ? WT_CHUNK_COMPLETE : WT_CHUNK_NO_MEMORY;
}

int
wt_chunks_expire(WtChunks *chunks, int64_t now)
{
	int n = 0;

	for (; chunks->first && chunks->first->since + TIMEOUT <= now; n++)
		drop(chunks, chunks->first);
	return n;
}

int64_t
wt_chunks_next(const WtChunks *chunks)
{
	return chunks->first ? chunks->first->since + TIMEOUT : INT64_MAX;
}

int
wt_chunks_end(WtChunks *chunks)
{
	int n = chunks->n;

	while (chunks->first)
		drop(chunks, chunks->first);
	return n;
}

void
wt_chunks_destroy(WtChunks *chunks)
{
	(void) wt_chunks_end(chunks);
	free(chunks->message);
	free(chunks);
}
