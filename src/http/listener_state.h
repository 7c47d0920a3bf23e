/*
 * listener_state.h
 *		A listener with its connections and requests, as they lie in memory: what the files
 *		below share and none of them owns.  Each of them includes only those beneath it.
 *
 *	listener.c		a listener's life: daemons, one run, what is overdue
 *	admission.c		connections, from the sockets that listen to MHD
 *	exchange.c		requests, from their first line to their end: MHD's callbacks
 *	request_pool.c	the memory of requests
 *	streaming.c		bodies that are not collected whole
 *	answer_stream.c	answers that are not given whole
 *	holding.c		memory of bodies: who has room, who waits for it
 *	waiting.c		how long senders have waited for their answers
 *	head.c			the head of a request: what it says, and whether it is well-formed
 *	unanswered.c	what MHD refuses without an answer
 *	response.c		answers, as MHD or the socket is given them
 *	connection.c	phases of a connection
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
#ifndef WT_LISTENER_STATE_H
#define WT_LISTENER_STATE_H

#ifdef POSTGRES_H
#error "the listener knows no PostgreSQL: what raises would raise through MHD's frames"
#endif

#include <microhttpd.h>
#include <netinet/in.h>
#include <time.h>

#include "base/cidr.h"
#include "base/compat.h"
#include "base/counters.h"
#include "base/monotonic.h"
#include "http/addresses.h"
#include "http/answer.h"
#include "http/arrivals.h"
#include "http/auth.h"
#include "http/lingering.h"
#include "http/listener_settings.h"
#include "http/refused.h"
#include "http/request.h"
#include "http/sockets.h"
#include "http/tls.h"

/*
 * MHD's memory for each connection.  The head of a request must fit, with about 60 bytes
 * for each header beside its text; bodies pass through it.  MHD zeroes it at every
 * request, so more is slower: 64 KB cost a fifth of all CPU time.
 */
#define CONNECTION_MEMORY (16 * 1024)

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
typedef struct AnswerStream AnswerStream;
typedef struct WtListener WtListener;

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
	size_t announced;	 /* Content-Length */
	bool streams;		 /* its body comes in pieces: */
	size_t rest;		 /* of the body at hand, what the worker could not use */
	int64_t piece_begun; /* when the first byte after that came, ms */
	bool held;
	bool held_too_long;
	bool answered;
	int status; /* of the answer; 0: there is none yet */
	WtReason reason;
	int line; /* where the body is wrong; 0: it is not said */
	int column;
	char ip[INET6_ADDRSTRLEN];
	char source[WT_MAX_SOURCE + 1];
	int32_t token;		/* by which it has been let in; WT_NO_TOKEN: by none */
	const char *origin; /* a page of this origin may see the answer; NULL: no page may */
	int64_t begun_us;	/* by the monotonic clock */
	int64_t begun; /* the same as the phases have it, ms; of a stream's current event */
	int64_t held_since; /* ms; 0: it has not been held */
	struct MHD_Response *response;
	bool standing;		  /* response is one of the listener's, not the request's own */
	AnswerStream *stream; /* its answer comes bit by bit; NULL: it is given whole */
};

/*
 * What an epoll event of poll_fd is about.  Lingering ones carry their index instead, and
 * connections that are parked or stream their address, which is larger; arrivals have a mark of their own.
 */
#define POLL_MHD UINT64_MAX
#define POLL_SOCKETS (UINT64_MAX - 1)

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
	bool leaving;			   /* each answer is the last one of its connection */
	bool closing;			   /* no request is suspended any more */
	bool polling_sockets;	   /* the listening sockets are in poll_fd */
	int64_t accept_after;	   /* ms; 0: at once */
	int64_t now;			   /* ms, as of this run */
	int64_t before;			   /* what this run reads came after that */
	int64_t catching_up_until; /* what is read until then may have come long before */

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
	AnswerStream *streams; /* those that the stages after the listener go on with */
	int n_unanswered;
	size_t inflight;	 /* bytes of bodies */
	Request *favoured;	 /* it has room whatever there is, as long as it goes on */
	int64_t favoured_at; /* when its last piece came, ms */
	WtReason shortage;	 /* of memory, by which the last event was refused; or none */
	int64_t shortage_at; /* ms */

	uint64_t n_callbacks; /* of MHD's */
	uint64_t last_n_callbacks;
	int n_stalls;	 /* runs since then in which MHD wanted to be run again */
	uint64_t n_runs; /* this one included */
	int n_silent;	 /* connections that MHD has refused in this run without an answer */

	struct MHD_Response *accepted;
	struct MHD_Response *accepted_and_close;
	struct MHD_Response *healthy;
	struct MHD_Response *healthy_and_close;
	char health[WT_ANSWER_SIZE]; /* reason for not being well; "": well */
};

/* The calendar's clock, since 1970-01-01 UTC; the one that only goes on is in base/monotonic.h. */

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

#endif
