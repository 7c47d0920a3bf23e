/*
 * listener_private.h
 *		What the files of the listener share; nobody else includes it.
 *
 *	src/http/listener.c		a listener's life: sockets, daemons, what is overdue
 *	src/http/connection.c	phases of a connection
 *	src/http/exchange.c		requests: MHD's callbacks
 *	src/http/response.c		answers, as MHD or the socket is given them
 *	src/http/unanswered.c	what MHD refuses without an answer
 *
 * Words:
 *	request		one HTTP request; it lives from its first line to its answer's last
 *				byte, and is then kept for the next one
 *	phase		what a connection is waiting for; a list for each phase, in the order
 *				of time, so that the first one on a list is the first to be overdue
 *	doomed		a connection that has been shut down and that MHD is about to close
 *	held		a request that waits, suspended, until others have left the memory that its
 *				body needs
 *	parked		a connection with TLS that waits, suspended, for the next bytes before its
 *				first request: MHD would run in circles until they come
 */
#ifndef WT_LISTENER_PRIVATE_H
#define WT_LISTENER_PRIVATE_H

#ifdef POSTGRES_H
#error "the listener knows no PostgreSQL: what raises would raise through MHD's frames"
#endif

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <time.h>

#include "http/addresses.h"
#include "http/answer.h"
#include "http/arrivals.h"
#include "base/compat.h"
#include "http/lingering.h"
#include "http/listener.h"

/*
 * MHD's memory for each connection.  The head of a request must fit, with about 60 bytes
 * for each header beside its text; bodies pass through it.  MHD zeroes it at every
 * request, so more is slower: 64 KB cost a fifth of all CPU time.
 */
#define CONNECTION_MEMORY (16 * 1024)

/* A request waits so long for memory, ms, before it is refused. */
#define HOLD_TIMEOUT 1000

/* An answer of ours with its head, as it is sent without MHD. */
#define DIRECT_ANSWER_SIZE (WT_ANSWER_SIZE + 256)

typedef enum Phase
{
	PHASE_NEW,		 /* for its first request: request_timeout */
	PHASE_IDLE,		 /* for the next request: IDLE_TIMEOUT */
	PHASE_RECEIVING, /* for the rest of a request: request_timeout */
	PHASE_ANSWERING, /* for the sender to read the answer: request_timeout */
	PHASE_HELD,		 /* for memory, before or in its body: HOLD_TIMEOUT */
	N_PHASES,
	PHASE_NONE /* suspended, or doomed: on no list */
} Phase;

typedef struct Connection Connection;
typedef struct Request Request;

typedef struct List
{
	Connection *first;
	Connection *last;
} List;

struct Connection
{
	Connection *previous;
	Connection *next;
	WtListener *listener;
	struct MHD_Connection *mhd;
	int fd;
	Phase phase;
	int64_t since;	  /* when the phase began, ms of the monotonic clock */
	Request *request; /* the current one, if any */
	bool doomed;
	bool linger;		   /* drain it when MHD closes it, see lingering.h */
	uint64_t last_request; /* the run in which one was over; 0: none was */
	bool has_peer;		   /* false: it came by a Unix-domain socket */
	WtAddress peer;
	bool passed_on;		/* by a proxy that has said who the peer is */
	WtVisitor *visitor; /* NULL: it is not counted */

	/* TLS; all NULL and false without. */
	WtTls *tls;
	struct gnutls_session_int *session;
	Connection *next_tried; /* in the listener's list of those that are tried */
	bool parked;
	bool greeted;			/* its first byte has been seen */
	bool certificate_known; /* and these two say whose it is, or what is wrong with it */
	WtTlsPeer certificate;
	char *certificate_text;
};

struct Request
{
	WtRequest public; /* must be first */
	Request *next;	  /* in the queue, or among the free ones */
	Connection *connection;
	char *target; /* the request line's target, as it was sent, split at the '?' */
	size_t target_size;
	size_t target_length;
	const char *target_host;	 /* in target; NULL: it names none */
	const char *target_in_place; /* in MHD's memory */
	WtHeader *headers;
	int max_headers;
	char *body;
	size_t body_size;
	bool head_seen;
	bool last; /* nothing may follow it on its connection */
	bool chunked;
	size_t announced; /* Content-Length */
	bool held;
	bool held_too_long;
	bool answered;
	int status; /* of the answer; 0: there is none yet */
	WtReason reason;
	int line; /* where the body is wrong; 0: it is not said */
	int column;
	char ip[INET6_ADDRSTRLEN];
	char source[WT_MAX_SOURCE + 1];
	const char *origin; /* a page of this origin may see the answer; NULL: no page may */
	int64_t begun_us;	/* by the monotonic clock */
	int64_t begun;		/* the same as the phases have it, ms */
	int64_t held_since; /* ms; 0: it has not been held */
	struct MHD_Response *response;
	bool standing; /* response is one of the listener's, not the request's own */
};

enum
{
	DAEMON_PLAIN,
	DAEMON_TLS, /* NULL until it is needed */
	N_DAEMONS
};

struct WtListener
{
	struct MHD_Daemon *daemons[N_DAEMONS];
	WtTls *tls; /* for new connections; NULL: they are plain */
	/* An epoll descriptor: MHD's own, the listening sockets, lingering and parked ones. */
	int poll_fd;
	WtListenerSettings settings;
	WtCounters *counters;
	WtAuth *auth;
	WtRefused *refused; /* NULL: they are not remembered */
	WtSockets sockets;
	bool closing;		  /* no request is suspended any more */
	bool polling_sockets; /* the listening sockets are in poll_fd */
	int64_t accept_after; /* ms; 0: at once */
	int64_t now;		  /* ms, as of this run */

	int n_connections;
	int n_doomed;
	List phases[N_PHASES];
	WtLingering lingering;
	WtArrivals arrivals;
	WtAddresses addresses;
	WtCidrList trusted;	 /* proxies */
	Connection *started; /* what MHD has made of the last socket that it was given */
	Connection *tried;	 /* not parked any more, and perhaps about to be again */
	bool resumed;		 /* MHD has something to do, and does not say so */

	Request *queue_first;
	Request *queue_last;
	Request *free_requests;
	int n_free_requests;
	int n_unanswered;
	size_t inflight;	 /* bytes of bodies */
	Request *favoured;	 /* it has room whatever there is, as long as it goes on */
	int64_t favoured_at; /* when its last piece came, ms */

	uint64_t n_callbacks; /* of MHD's */
	uint64_t last_n_callbacks;
	int n_stalls;	 /* runs since then in which MHD wanted to be run again */
	uint64_t n_runs; /* this one included */
	int n_silent;	 /* connections that MHD has refused in this run without an answer */

	struct MHD_Response *accepted;
	struct MHD_Response *accepted_and_close;
	struct MHD_Response *healthy;
	struct MHD_Response *healthy_and_close;
	char *health; /* reason for not being well; NULL: well */
};

/* Clocks: of those that only go on, and of the calendar's, since 1970-01-01 UTC. */

static inline int64_t
monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t
monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

static inline int64_t
wall_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline const char *
find_header(const WtRequest *request, const char *name)
{
	return wt_header_find(request->headers, request->n_headers, name);
}

/* connection.c */

/* Puts a connection into a phase that began at `since`, ms, which is not later than now. */
extern void wt_connection_set_phase_since(Connection *c, Phase phase, int64_t since);

/* The same, from now on. */
extern void wt_connection_set_phase(Connection *c, Phase phase);

/* How long a phase may last, ms. */
extern int64_t wt_connection_phase_limit(const WtListener *listener, Phase phase);

/*
 * Takes a connection that waits for bytes before its first request out of MHD's hands, and
 * gives it back.
 */
extern void wt_connection_park(Connection *c);
extern void wt_connection_unpark(Connection *c);

/* Ends a connection from outside of MHD, which sees it end and closes it. */
extern void wt_connection_doom(Connection *c);

/* Who has come by TLS, as far as a certificate says it; asked once for a connection. */
extern WtTlsPeer wt_connection_certificate(Connection *c);

/* One from the time before TLS was switched on (or off), which has it (or has it not). */
extern bool wt_connection_is_outdated(const Connection *c);

/* response.c */

/* Makes the responses that requests share; false: out of memory. */
extern bool wt_make_standing_responses(WtListener *listener);

/* Gives a request one of them, or, where it has headers of its own, one like it. */
extern void wt_set_standing_response(Request *r, struct MHD_Response *keep,
									 struct MHD_Response *close, const char *body);

/* A response of what the worker answers; NULL: out of memory. */
extern struct MHD_Response *wt_make_answer(const WtAnswer *answer, const Request *r);

/*
 * Answer from the callback for the head: with an error (close: the connection ends with it),
 * because the path does not take the method, because who sends may not, what the path takes
 * or whether a page may send, and how the collector is.  Give what the callback gives.
 */
extern enum MHD_Result wt_refuse(Request *r, int status, WtReason reason,
								 const char *sentence, bool close);
extern enum MHD_Result wt_refuse_method(Request *r, const char *allow);
extern enum MHD_Result wt_refuse_by(Request *r, const WtVerdict *verdict);
extern enum MHD_Result wt_answer_options(Request *r, const char *allow);
extern enum MHD_Result wt_answer_health(WtListener *listener, Request *r, bool may_read);

/*
 * Answer behind MHD's back, straight to the socket or the session, which hold nothing of a
 * response yet; the second one where MHD takes no response, in the middle of a body above all.  The caller ends the connection.
 */
extern void wt_answer_directly(Connection *c, int status, const char *phrase,
							   const char *sentence);
extern void wt_refuse_in_body(Request *r, int status, const char *phrase, WtReason reason,
							  const char *sentence);

/* A whole answer as it is sent, for where there is no MHD; gives its length. */
extern size_t wt_compose_answer(char message[DIRECT_ANSWER_SIZE], int status,
								const char *phrase, const char *sentence);

/* The body of the answer to one event that is committed; what who comes too late is told. */
extern const char wt_accepted[];
extern const char wt_stopping[];

/* exchange.c */

/* MHD's callbacks, in the order in which MHD calls them for a connection. */
extern void wt_on_connection(void *cls, struct MHD_Connection *mhd, void **context,
							 enum MHD_ConnectionNotificationCode code);
extern void *wt_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
extern enum MHD_Result wt_on_request(void *cls, struct MHD_Connection *mhd,
									 const char *url, const char *method,
									 const char *version, const char *upload_data,
									 size_t *upload_data_size, void **context);
extern void wt_on_request_over(void *cls, struct MHD_Connection *mhd, void **context,
							   enum MHD_RequestTerminationCode code);

/* MHD's log: it says here that it is about to answer by itself. */
extern void wt_on_complaint(void *cls, const char *format, va_list values)
	__attribute__((format(printf, 2, 0)));

/* Lets go of the requests that are held: those for which there is room, or time is up. */
extern void wt_release_held(WtListener *listener, bool all);

/* Frees one of the listener's free_requests. */
extern void wt_free_request(Request *r);

/* unanswered.c */

/* Whether MHD says, by this format in its log, that it closes a connection unanswered. */
extern bool wt_is_silent_refusal(const char *format);

/*
 * A request is over, or a connection, before MHD closes it: answers what MHD has refused
 * without an answer.
 */
extern void wt_end_of_unanswered(Request *r, struct MHD_Connection *mhd,
								 enum MHD_RequestTerminationCode code);
extern void wt_end_without_request(Connection *c);

#endif
