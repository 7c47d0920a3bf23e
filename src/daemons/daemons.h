/*
 * daemons.h
 *		Senders that speak no HTTP: syslog by UDP, TCP and TLS, RELP, GELF by UDP and TCP.
 *
 * Plain C, like the listener: sockets, connections, where a message ends.  Messages at hand
 * become the body of a request (see base/messages.h), one of each sender's at a time, and the
 * worker takes that through the same stages as those of the listener.
 *
 * Nothing that has been read of a connection is dropped while the process lives: what could not
 * be stored is handed over again and again, and meanwhile no more is read than has room.  Of
 * datagrams as many wait as there is room for; what comes beyond that the kernel drops, and
 * counts.
 *
 * All functions are called from one thread, and none blocks.
 */
#ifndef WT_DAEMONS_H
#define WT_DAEMONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/listen_list.h"
#include "http/endpoint.h"
#include "http/request.h"
#include "http/sockets.h"
#include "http/tls.h"

typedef struct WtDaemons WtDaemons;

typedef struct WtDaemonsSettings
{
	const char *allowed_senders; /* a list, checked by wt_cidr_list_parse */
	int max_connections;
	int max_connections_per_ip; /* 0: no limit */
	size_t max_message_size;	/* bytes; of a longer one the beginning is stored */
	size_t max_bytes;			/* of all messages in memory */
	int max_batch;				/* messages of one request */
	int timeout;				/* ms, for a message from its first byte to its last */
} WtDaemonsSettings;

/*
 * Listens nowhere yet; counts in *counters, which must outlive it.  endpoints: whose requests
 * the messages of each intake become.  NULL where memory or descriptors are wanting.
 */
extern WtDaemons *wt_daemons_create(const WtDaemonsSettings *settings,
									WtCounters *counters,
									const WtEndpoint *const endpoints[WT_N_INTAKES]);

/* New limits, for what comes from now on. */
extern void wt_daemons_configure(WtDaemons *daemons, const WtDaemonsSettings *settings);

/* What new connections by TLS are given; NULL: there is none.  It is held as long as needed. */
extern void wt_daemons_use_tls(WtDaemons *daemons, WtTls *tls);

#define WT_PLACE_ERROR_SIZE 256

/* One of the places that the settings name. */
typedef struct WtDaemonsPlace
{
	WtListenPlace where;
	bool open;
	char addresses[256];			 /* of its sockets, while it is open */
	char error[WT_PLACE_ERROR_SIZE]; /* why it is not; "": it is, or has to wait */
} WtDaemonsPlace;

/* The flags (http/sockets.h) by which a place is to be opened; -1: it has to wait. */
typedef int (*WtPlaceFlags)(const WtListenPlace *where);

/*
 * Listens as these lists say (see base/listen_list.h) and nowhere else, each place by itself: what
 * is open and wanted still stays so, and what could not be opened is tried again with the next call.
 * False: not all are open, and `error` says why of the first one that failed, "" where all that are
 * not have to wait.
 */
extern bool wt_daemons_listen(WtDaemons *daemons, const char *syslog, const char *gelf,
							  WtPlaceFlags flags_for, char error[WT_PLACE_ERROR_SIZE]);

/* The places one after the other, from *i = 0 on; NULL: there are no more. */
extern const WtDaemonsPlace *wt_daemons_place(const WtDaemons *daemons, int *i);

/* Readable when there is something to do; the same for its whole life. */
extern int wt_daemons_descriptor(const WtDaemons *daemons);

/* ms until wt_daemons_run must be called even so; -1: never. */
extern int wt_daemons_timeout(const WtDaemons *daemons);

/* Does what there is to do: accepts, reads, writes, ends what takes too long. */
extern void wt_daemons_run(WtDaemons *daemons);

/* The next request, and the same one without taking it; NULL: none. */
extern WtRequest *wt_daemons_next(WtDaemons *daemons);
extern const WtRequest *wt_daemons_peek(const WtDaemons *daemons);

/* Messages that wait to be taken. */
extern int wt_daemons_waiting(const WtDaemons *daemons);

/*
 * What has become of a request: its messages are stored, but for those that the table refuses
 * (WtRequest.refused), or all of them are to be handed over again.  It is no longer the caller's.
 */
extern void wt_daemons_done(WtDaemons *daemons, WtRequest *request, bool stored);

/* Accepts nobody any more, and reads no more than what has been sent by now. */
extern void wt_daemons_leave(WtDaemons *daemons);

/* Whether a message waits to be stored, or an answer to be sent. */
extern bool wt_daemons_are_busy(const WtDaemons *daemons);

/* Closes everything.  What is not stored by then is lost, and counted. */
extern void wt_daemons_destroy(WtDaemons *daemons);

#endif
