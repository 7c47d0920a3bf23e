/*
 * idempotency.h
 *		What is sent again with the same key is not stored again.
 *
 * Words:
 *	event key		of one event, as its protocol has it: a row for each in windtrap.idempotency_key
 *	request key		of a request, its Idempotency-Key: one row, with how many of its events have
 *					been dealt with, since a large one is committed in pieces
 *	window			windtrap.idempotency_window; what was seen before it counts as not seen
 */
#ifndef WT_IDEMPOTENCY_H
#define WT_IDEMPOTENCY_H

#include "storage/block.h"

#include "event/row.h"

/* The longest Idempotency-Key, bytes. */
#define WT_MAX_KEY 255

/* Whether keys are looked at: there is a window, and a place where events are durable. */
extern bool wt_idempotency_is_on(void);

/*
 * What a key is known by: those of other tokens' sources and of other protocols are others.
 * source, protocol: NULL: none.  Allocates in the current memory context for a moment; raises.
 */
extern WtKey wt_idempotency_key(const char *source, const char *protocol, const char *key,
								size_t length);

/* What a request is told from another one with the same key by. */
extern uint64 wt_idempotency_fingerprint(const char *content_type, const char *body,
										 size_t length);

/*
 * Before rows, all of them pending, are inserted, in the transaction that does it: notes their
 * keys, and makes those that were stored already WT_STORE_DUPLICATE, those whose request had
 * another body WT_STORE_CONFLICT.  Gives how many are still pending.  Waits for other
 * transactions that have the same keys; raises.  Needs an active snapshot, as the next does.
 */
extern int wt_idempotency_take(WtRow *const *rows, int n_rows);

/*
 * After that, before the commit: lets go of the keys of rows that are not stored after all.
 * Those that are still pending are going to be.  Raises.
 */
extern void wt_idempotency_settle(WtRow *const *rows, int n_rows);

/*
 * Forgets keys from before the window that lie in some blocks from *block on, which it moves
 * on; gives whether there are more blocks.  In a transaction with an active snapshot; waits for
 * nobody.  Raises.
 */
extern bool wt_idempotency_prune(BlockNumber *block);

#endif
