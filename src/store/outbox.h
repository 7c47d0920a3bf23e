/*
 * outbox.h
 *		windtrap.outbox: the batches of events that are still to be forwarded.
 */
#ifndef WT_OUTBOX_H
#define WT_OUTBOX_H

#include "store/store.h"

/* An event as it was stored. */
typedef struct WtOutboxEvent
{
	TimestampTz event_timestamp;
	Jsonb *data;
	int32 status;
} WtOutboxEvent;

/* Whether batches are to be written to the outbox: whether there is anybody to read them. */
extern bool wt_outbox_is_used(void);

/*
 * Before a batch is stored, in its transaction: raises where the outbox is full and new
 * events are to be refused; drops the oldest batches where they are to be dropped.
 */
extern void wt_outbox_make_room(void);

/*
 * Writes those of rows that are stored, that is, still pending, committed or in quarantine, as
 * one batch, in the transaction that stores them and with the rights of the current user.
 * Raises where it cannot.
 */
extern void wt_outbox_write(WtRow *const *rows, int n_rows);

/* After the commit: tells the forwarders, and the log where something was dropped. */
extern void wt_outbox_committed(void);

/*
 * The events of a batch, as the column `events` has them, in order; gives how many.  They
 * are in the current memory context.  Raises where it is not what wt_outbox_write writes.
 */
extern int wt_outbox_decode(int64 id, const bytea *events, WtOutboxEvent **decoded);

/* The size of a batch's events in memory, bytes; 0: the batch is unreadable. */
extern size_t wt_outbox_decoded_size(const bytea *events);

/*
 * The id of the last batch that is complete: those with ids up to it are committed, and
 * seen by snapshots that are taken from now on, or never will be.  In a transaction with
 * SPI connected; waits for those who are just writing.
 */
extern int64 wt_outbox_complete(void);

/*
 * Deletes batches that all targets have got, except those with ids up to *deleted, which
 * are deleted already; in a transaction with SPI connected.  Moves *deleted on, and gives
 * whether there is more to be deleted.
 */
extern bool wt_outbox_trim(int64 *deleted);

/* After trimming has been committed. */
extern void wt_outbox_trimmed(void);

/* Counts what the outbox holds, in a transaction with SPI connected; raises. */
extern void wt_outbox_measure(void);

/* The size of the outbox, bytes, as far as it is known; -1: it is not. */
extern int64 wt_outbox_size(void);

#endif
