/*
 * arrivals.h
 *		Connections of proxies that have not yet said, by the PROXY protocol, whose they are.
 *
 * Plain C: raises nothing, and does not block.
 */
#ifndef WT_ARRIVALS_H
#define WT_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/proxy_protocol.h"

typedef struct WtArrival
{
	struct WtArrival *previous;
	struct WtArrival *next;
	int fd;
	int64_t since; /* ms of the monotonic clock */
	struct sockaddr_storage address;
	socklen_t address_length;
} WtArrival;

typedef struct WtArrivals
{
	int poll_fd;	  /* an epoll descriptor */
	WtArrival *first; /* the one that has waited longest */
	WtArrival *last;
	int n;
} WtArrivals;

/*
 * Takes a connection, whose events then carry the mark of it: see wt_arrival_of.  False: there
 * is no memory, and the descriptor is the caller's still.
 */
extern bool wt_arrivals_add(WtArrivals *arrivals, int fd,
							const struct sockaddr_storage *address,
							socklen_t address_length, int64_t now);

/* The arrival that an event is about; NULL: it is about something else. */
extern WtArrival *wt_arrival_of(uint64_t mark);

/* Looks for the header; where it is complete, the client's bytes are the next to be read. */
extern WtProxyResult wt_arrival_read(const WtArrival *arrival, WtProxyHeader *header);

/* Lets go of one; its descriptor stays open. */
extern void wt_arrivals_remove(WtArrivals *arrivals, WtArrival *arrival);

/* Closes them all. */
extern void wt_arrivals_end(WtArrivals *arrivals);

#endif
