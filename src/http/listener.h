/*
 * listener.h
 *		Sockets and HTTP, by libmicrohttpd ("MHD").
 *
 * Plain C: nothing here or beneath it knows PostgreSQL, so nothing can raise through
 * MHD's frames.  Requests whose body, or a piece of it, is complete are suspended and queued;
 * the worker takes them, and answers each.
 *
 * All functions are called from one thread, and none blocks.
 */
#ifndef WT_LISTENER_H
#define WT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/answer.h"
#include "http/auth.h"
#include "base/counters.h"
#include "http/listener_settings.h"
#include "http/refused.h"
#include "http/request.h"
#include "http/sockets.h"
#include "http/tls.h"

typedef struct WtListener WtListener;

/*
 * A new listener without sockets, which counts in *counters and asks auth who may; both must
 * outlive it.  panic is called where MHD finds itself beyond repair, and must not return.
 * NULL where memory or descriptors are wanting.
 */
extern WtListener *wt_listener_create(const WtListenerSettings *settings,
									  WtCounters *counters, WtAuth *auth,
									  void (*panic)(const char *reason));

/* Where refused requests are remembered from now on; NULL: nowhere. */
extern void wt_listener_remember(WtListener *listener, WtRefused *refused);

/* New limits, for what comes from now on. */
extern void wt_listener_configure(WtListener *listener,
								  const WtListenerSettings *settings);

/* As wt_sockets_open, for the listener's sockets. */
extern bool wt_listener_open(WtListener *listener, const char *addresses, int port,
							 int flags, WtSocketsError *error);

/*
 * From now on new TCP connections speak TLS as settings say; NULL: they are plain.  Those
 * that are open go on with the certificate that they have; where TLS is switched on or off,
 * they end after their next answer.  On failure (false, *error filled) all is as it was.
 */
extern bool wt_listener_use_tls(WtListener *listener, const WtTlsSettings *settings,
								WtFileError *error);

/* What it listens on, as text. */
extern void wt_listener_describe(const WtListener *listener, char *text, size_t size);

/*
 * Whether connections by IP that come from now on must speak TLS; those by Unix-domain sockets
 * never do.
 */
extern bool wt_listener_is_tls(const WtListener *listener);

/* What new connections are given; NULL: they are plain. */
extern WtTls *wt_listener_tls(const WtListener *listener);

/*
 * Whether each answer is from now on the last one of its connection: clients, and the proxies
 * before them, then go elsewhere by themselves.
 */
extern void wt_listener_leave(WtListener *listener, bool leaving);

/*
 * Begins no connection any more, and still accepts those that are being made.  False: the kernel
 * does not know that, see wt_sockets_admit_no_more.
 */
extern bool wt_listener_admit_no_more(WtListener *listener);

/* Accepts who is waiting, and nobody after that; connections that are open go on. */
extern void wt_listener_close_sockets(WtListener *listener);

/*
 * ms until a listener that leaves, has closed its sockets and hears nothing more can be
 * destroyed without cutting off anybody whose request may be on its way; -1: there are requests
 * to be answered.
 */
extern int wt_listener_time_to_end(const WtListener *listener);

/* Readable when there is something to do; the same for the listener's life. */
extern int wt_listener_descriptor(const WtListener *listener);

/* Milliseconds until wt_listener_run must be called even so; -1: never. */
extern int wt_listener_timeout(WtListener *listener);

/* Does what there is to do: accepts, reads, writes, ends what takes too long. */
extern void wt_listener_run(WtListener *listener);

/* The next complete request, in the order in which they were completed; NULL: none. */
extern WtRequest *wt_listener_next(WtListener *listener);

/* The same one, without taking it. */
extern const WtRequest *wt_listener_peek(const WtListener *listener);

/* For how long, ms, the one has waited longest that wt_listener_next has not given yet. */
extern int64_t wt_listener_longest_wait(const WtListener *listener);

/* The descriptor has been waited for: nothing that will be read came before. */
extern void wt_listener_rested(WtListener *listener);

/*
 * Answers a request that wt_listener_next gave; it is no longer the caller's.  The answer is
 * copied.  It leaves with the next wt_listener_run, which must follow at once: MHD does not
 * wake up for it.
 */
extern void wt_listener_answer(WtListener *listener, WtRequest *request,
							   const WtAnswer *answer);

/*
 * Goes on receiving a request with `more`, of whose body so many bytes are done with; it is no
 * longer the caller's, until wt_listener_next gives it again with what is left and what
 * followed.  To be run likewise.  One that is answered instead ends there: its connection is
 * closed, and what is still sent is not read.
 */
extern void wt_listener_continue(WtListener *listener, WtRequest *request, size_t used);

/* The answer to an event that is committed: 200 {"accepted":1}; nothing is copied. */
extern void wt_listener_accept(WtListener *listener, WtRequest *request);

/* Answers a request of WT_ROUTE_PROBE or WT_ROUTE_CHECK, which had a body. */
extern void wt_listener_answer_probe(WtListener *listener, WtRequest *request);

/*
 * What /health answers: NULL for 200, else the reason for 503, which is copied.  Only who may
 * read is told the reason.
 */
extern void wt_listener_set_health(WtListener *listener, const char *reason);

/*
 * Why events are refused for want of memory; NULL: they are not, that is, one has been
 * accepted since the last that was refused for that, or there is room again.  What the
 * system has no memory for is told by trying alone: it is forgotten after some seconds.
 */
extern const char *wt_listener_shortage(const WtListener *listener);

/* Requests that were received in part or in full and have no answer yet. */
extern int wt_listener_unanswered(const WtListener *listener);

/*
 * Closes everything.  All requests must have been answered and run: MHD aborts the
 * process where a connection is still suspended.  Answers that are streamed still are aborted
 * (see answer_stream.h); their requests are no longer the caller's.
 */
extern void wt_listener_destroy(WtListener *listener);

#endif
