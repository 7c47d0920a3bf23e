/*
 * row.h
 *		An event as a row of the log table: what is handed on from stage to stage.
 */
#ifndef WT_ROW_H
#define WT_ROW_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

typedef enum WtStoreResult
{
	WT_STORE_PENDING,	  /* not tried yet */
	WT_STORE_COMMITTED,	  /* durable */
	WT_STORE_QUARANTINED, /* the table refused it, see error; its stand-in is durable */
	WT_STORE_DUPLICATE,	  /* it was durable already, by its key; nothing is stored */
	WT_STORE_CONFLICT, /* its request's key came with another body; nothing is stored */
	WT_STORE_REFUSED,  /* the table refused it, see error; nothing is stored */
	WT_STORE_UNAVAILABLE, /* nothing is wrong with the event: try again later */
	WT_STORE_CANCELLED	  /* likewise; its transaction was cancelled, and is undone */
} WtStoreResult;

/* What an event, or a request, is known again by: see store/idempotency.h. */
typedef struct WtKey
{
	uint8 bytes[16];
} WtKey;

/*
 * A request that came with a key.  Of its events, in their order, the first `stored` have been
 * dealt with, by it or by one before it with the same key and body.
 */
typedef struct WtKeyedRequest
{
	WtKey key;
	uint64 fingerprint; /* of its body */
	int64 stored;
	int64 rejected; /* of these: they are not in the table as they were sent */
	/* The same once the transaction is committed, which fills them. */
	int64 next_stored;
	int64 next_rejected;
} WtKeyedRequest;

/* The first part is filled before wt_store_rows, the rest by it. */
typedef struct WtRow
{
	TimestampTz event_timestamp;
	Jsonb *data;
	int32 status;
	const void
		*group;	  /* rows next to each other with the same one are of one request, and
						* are to be sent again together if at all */
	uint32 index; /* in its request, from 0 */
	bool has_key;
	WtKey key;				 /* its own */
	WtKeyedRequest *request; /* NULL: its request came without a key */

	WtStoreResult result; /* WT_STORE_PENDING before */
	const char *error;	  /* in the caller's memory context */
} WtRow;

#endif
