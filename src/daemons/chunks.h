/*
 * chunks.h
 *		Messages of GELF that come in several datagrams, in whatever order.
 *
 * Plain C.  What is not complete within some seconds is given up, and what there is of messages
 * at one time is bounded: the oldest makes room.
 */
#ifndef WT_CHUNKS_H
#define WT_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cidr.h"

typedef struct WtChunks WtChunks;

typedef enum WtChunkResult
{
	WT_CHUNK_NONE,		/* the datagram is no chunk */
	WT_CHUNK_KEPT,		/* others are awaited */
	WT_CHUNK_COMPLETE,	/* the message is there */
	WT_CHUNK_MALFORMED, /* of a message that has other chunks, or too many of them */
	WT_CHUNK_TOO_LARGE, /* the message would be larger than it may be: it is given up */
	WT_CHUNK_NO_MEMORY
} WtChunkResult;

/* NULL where memory is wanting. */
extern WtChunks *wt_chunks_create(void);
extern void wt_chunks_destroy(WtChunks *chunks);

/*
 * Takes a datagram from an address, at a time in ms.  COMPLETE: *message is all of it, valid
 * until the next call.  limit: bytes that a message may have.  *given_up: so many older ones had
 * to make room.
 */
extern WtChunkResult wt_chunks_add(WtChunks *chunks, const WtAddress *from,
								   const char *datagram, size_t length, size_t limit,
								   int64_t now, const char **message,
								   size_t *message_length, int *given_up);

/* Gives up those whose time is over; gives how many. */
extern int wt_chunks_expire(WtChunks *chunks, int64_t now);

/* When that is to be asked next, ms; INT64_MAX: nothing is awaited. */
extern int64_t wt_chunks_next(const WtChunks *chunks);

/* Gives up all; gives how many. */
extern int wt_chunks_end(WtChunks *chunks);

#endif
