/*
 * lingering.h
 *		Closed connections whose sender is still sending: closing the socket at once would
 *		reset it, and the sender would never see the answer.
 *
 * Plain C: raises nothing, and does not block.
 */
#ifndef WT_LINGERING_H
#define WT_LINGERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many closed connections are drained at one time. */
#define WT_MAX_LINGERING 64

typedef struct WtLingeringItem
{
	int fd;
	size_t drained; /* bytes */
	int64_t until;	/* ms of the monotonic clock */
} WtLingeringItem;

typedef struct WtLingering
{
	int poll_fd; /* an epoll descriptor; their events carry their index */
	int n;
	WtLingeringItem items[WT_MAX_LINGERING];
} WtLingering;

/*
 * Reads on from a descriptor that is about to be closed, which is duplicated for it, as
 * long as there is room for one more: best effort.
 */
extern void wt_linger(WtLingering *lingering, int fd, int64_t now);

/* When the first of them is over, ms of the monotonic clock; INT64_MAX: there is none. */
extern int64_t wt_lingering_next(const WtLingering *lingering);

/* Reads and forgets what there is, and closes those that are over. */
extern void wt_lingering_drain(WtLingering *lingering, int64_t now);

/* Closes them all. */
extern void wt_lingering_end(WtLingering *lingering);

#endif
