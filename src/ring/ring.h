/*
 * ring.h
 *		Events of the server's own processes, on their way to the worker that stores them: a
 *		bounded ring in shared memory.
 *
 * Words:
 *	record		an event in the ring; its position, in bytes since the ring began, only grows
 *	writer		any process of the server
 *	reader		the worker in the first place, alone; others' are nobody's to read
 *	done		the reader has committed it, or has given it up: its room is free when all before
 *				it is done too
 *
 * Writers take no lock and wait for nobody, so a record can be written in a critical section, by a
 * process that has no place in shared memory yet, or not any more, and by one that is about to run
 * out of memory.  Between taking its room and handing it over a writer raises nothing and lets no
 * signal in: one that did not come back would block the reader for ever.  What ends it even so,
 * as kill -9 does, makes the server start anew, and the ring with it.
 */
#ifndef WT_RING_H
#define WT_RING_H

#include "port/atomics.h"
#include "storage/condition_variable.h"

typedef enum WtRingKind
{
	WT_RING_EMIT,		/* windtrap.emit() */
	WT_RING_SERVER_LOG, /* a message of the server's log */
	WT_RING_KINDS
} WtRingKind;

/* The texts of a record; of one that is from windtrap.emit() the message is JSON, the event. */
typedef enum WtRingText
{
	WT_RING_MESSAGE,
	WT_RING_DETAIL,
	WT_RING_HINT,
	WT_RING_CONTEXT,
	WT_RING_STATEMENT,
	WT_RING_USER,
	WT_RING_DATABASE,
	WT_RING_APPLICATION,
	WT_RING_REMOTE_HOST,
	WT_RING_BACKEND_TYPE,
	WT_RING_TEXTS
} WtRingText;

/* The rest of a record. */
typedef struct WtRingHead
{
	int32 kind; /* WtRingKind */
	int32 pid;
	int64 time_us;	/* when it was written, µs since 1970-01-01 UTC */
	Oid database;	/* of the writer; InvalidOid: it is in none */
	int32 encoding; /* of the texts */

	/* WT_RING_EMIT */
	char id[40]; /* a UUID */
	int32 severity;
	int32 waiter; /* the place of a writer that waits until it is done; -1: none does */
	uint64 transaction;

	/* WT_RING_SERVER_LOG */
	int32 level;
	int32 sqlstate;
	uint64 query_id;
	uint32 cut; /* texts that were longer, a bit for each */

	uint32 lengths[WT_RING_TEXTS]; /* bytes; filled by wt_ring_write */
} WtRingHead;

/* What became of a record. */
typedef enum WtRingResult
{
	WT_RING_PENDING, /* nothing yet */
	WT_RING_COMMITTED,
	WT_RING_QUARANTINED, /* durable, but not as it is */
	WT_RING_REFUSED		 /* it is nowhere */
} WtRingResult;

/* What is known of the ring, for who shows it. */
typedef struct WtRingStatus
{
	uint64 size; /* bytes; 0: there is no ring */
	uint64 used;
	uint64 written[WT_RING_KINDS];
	uint64 no_room[WT_RING_KINDS]; /* did not fit, and is nowhere */
	uint64 given_up[WT_RING_KINDS];
} WtRingStatus;

/* Under preload: asks for the memory. */
extern void wt_ring_request(void);

/* Whether this process can write. */
extern bool wt_ring_is_attached(void);

/*
 * For functions of SQL, and the reader: finds the ring, and makes it where there is none, since the
 * library is not preloaded.  Needs wt_shared.  Raises.
 */
extern void wt_ring_attach(void);

/* The largest text that a record may have, bytes. */
extern size_t wt_ring_max_text(void);

/*
 * Writes a record, and wakes the reader; false: there is no room.  texts: NULL: there is none; of
 * head all but the lengths is the caller's.  *position: of the record, for wt_ring_result.  A message of
 * the server's log gets no more than three quarters of the ring, so that a flood of them leaves
 * some to others; where it does not fit it is counted.  Raises nothing.
 */
extern bool wt_ring_write(WtRingHead *head, const char *const texts[WT_RING_TEXTS],
						  const size_t lengths[WT_RING_TEXTS], uint64 *position);

/* Counts an event for which there was no room. */
extern void wt_ring_count_no_room(WtRingKind kind);

/*
 * The postmaster's: whether the reader has gone beyond a position, which it never does before that
 * record is done; and the end of what this process knows of the ring.
 */
extern bool wt_ring_is_behind(uint64 position);
extern void wt_ring_detach(void);

/* What became of the record that this process, which is its waiter, wrote last. */
extern WtRingResult wt_ring_result(uint64 position);

/* The place of this process, as a waiter. */
extern int wt_ring_waiter(void);

/*
 * Sleeps until there may be room, or for so many ms; the first call returns at once.
 * wt_ring_stop_sleeping must follow the last one; the end of a transaction does that too.
 */
extern void wt_ring_sleep(long ms);
extern void wt_ring_stop_sleeping(void);

/* The reader as others know it: the index of its PGPROC; -1: there is none now. */
extern int wt_ring_reader(void);

/*
 * The reader's.  This process is it from now until it ends, or until wt_ring_read_end; it needs
 * wt_ring_attach before.
 */
extern void wt_ring_read_begin(void);
extern void wt_ring_read_end(void);

/* A record as the reader sees it, in the current memory context. */
typedef struct WtRingRecord
{
	uint64 position;
	WtRingHead head;
	const char
		*texts[WT_RING_TEXTS]; /* of head.lengths bytes, each with a NUL behind it */
} WtRingRecord;

/* Whether there is a record at the beginning of the ring. */
extern bool wt_ring_has_records(void);

/*
 * The first record that is not done at *cursor or behind it, where *cursor is moved on to; 0 begins
 * at the beginning.  NULL: there is none that is complete.
 */
extern WtRingRecord *wt_ring_next(uint64 *cursor);

/* A record is done; its waiter is told.  given_up: and nowhere, which is counted. */
extern void wt_ring_done(const WtRingRecord *record, WtRingResult result);

/* Frees the room of what is done. */
extern void wt_ring_release(void);

/* How full the ring is, and what has been counted; needs wt_shared.  Raises. */
extern void wt_ring_read_status(WtRingStatus *status);

#endif
