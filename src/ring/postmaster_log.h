/*
 * postmaster_log.h
 *		The postmaster's own messages, on their way to the ring.
 */
#ifndef WT_POSTMASTER_LOG_H
#define WT_POSTMASTER_LOG_H

#include "ring/ring.h"

/* In the postmaster, under preload, after wt_ring_request. */
extern void wt_postmaster_log_install(void);

/* Whether this process is the postmaster, whose messages are for the next function. */
extern bool wt_is_postmaster(void);

/* Takes a message, as wt_ring_write does; of long texts the beginning. */
extern void wt_postmaster_log_write(const WtRingHead *head,
									const char *const texts[WT_RING_TEXTS],
									const size_t lengths[WT_RING_TEXTS]);

#endif
