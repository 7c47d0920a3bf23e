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
	WT_STORE_REFUSED,	  /* the table refused it, see error; nothing is stored */
	WT_STORE_UNAVAILABLE, /* nothing is wrong with the event: try again later */
	WT_STORE_CANCELLED	  /* likewise; its transaction was cancelled, and is undone */
} WtStoreResult;

/* The first part is filled before wt_store_rows, the rest by it. */
typedef struct WtRow
{
	TimestampTz event_timestamp;
	Jsonb *data;
	int32 status;
	const void
		*group; /* rows next to each other with the same one are of one request, and
						* are to be sent again together if at all */

	WtStoreResult result; /* WT_STORE_PENDING before */
	const char *error;	  /* in the caller's memory context */
} WtRow;

#endif
