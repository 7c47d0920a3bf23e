/*
 * daemons_state.h
 *		What the files of this room share.  Each includes only those beneath it.
 *
 *	daemons.c		life, one run
 *	places.c		sockets, as the settings say
 *	streams.c		connections: bytes → messages
 *	datagrams.c		datagrams → messages
 *	batches.c		messages → requests, and what becomes of these
 *	framing.c, relp.c, chunks.c		where a message ends; they know none of this
 *
 * Words:
 *	place	what one item of the settings stands for, with its sockets
 *	stream	a connection
 *	batch	messages of one sender's: being filled, queued, taken, or to be tried again
 */
#ifndef WT_DAEMONS_STATE_H
#define WT_DAEMONS_STATE_H

#ifdef POSTGRES_H
#error "senders' sockets know no PostgreSQL: nothing here may raise"
#endif

#include <netinet/in.h>
#include <time.h>

#include "base/buffer.h"
#include "base/cidr.h"
#include "base/listen_list.h"
#include "base/monotonic.h"
#include "daemons/chunks.h"
#include "daemons/daemons.h"
#include "daemons/framing.h"
#include "daemons/relp.h"
#include "event/inflate.h"
#include "http/addresses.h"

#define MAX_PLACES WT_MAX_LISTEN_PLACES

/* What every sender may have in memory, whatever others have there, bytes. */
#define ASSURED ((size_t) 64 * 1024)

/*
 * A batch, bytes and messages, unless one message has more.  So small that whatever becomes of
 * them fits into one transaction (see worker/batch.c): what is tried again was not stored in part.
 */
#define BATCH_BYTES ((size_t) 256 * 1024)
#define BATCH_MESSAGES 1000

/* Senders of datagrams whose batches grow at one time; of more, batches are smaller. */
#define N_OPEN 64

typedef struct Stream Stream;
typedef struct Batch Batch;

/* What an event of poll_fd points to. */
typedef enum Polled
{
	POLLED_LISTENING, /* a Place */
	POLLED_STREAM
} Polled;

typedef struct Place
{
	Polled polled; /* must be first */
	bool used;
	WtDaemonsPlace public;
	WtSockets sockets;
	uint32_t drops[WT_MAX_SOCKETS]; /* that the kernel has told of each */
} Place;

struct Batch
{
	WtRequest public; /* must be first */
	Batch *next;	  /* in the queue, or among those to be tried again */
	WtIntake intake;
	Stream *stream; /* NULL: datagrams, or the connection has gone */
	bool queued;
	bool taken; /* by the worker, at least once: nothing is added any more */
	WtAddress from;
	char ip[INET6_ADDRSTRLEN];
	char source[WT_CERTIFICATE_NAME_SIZE];
	char *body;
	size_t size;
	int n;
	size_t last;	   /* where the head of the last message is */
	bool may_go_on;	   /* the last message: a line that has no priority belongs to it */
	uint32_t *numbers; /* RELP's, of each message */
	int max_numbers;
	unsigned char *refused;
	int64_t due; /* when it is tried again, ms */
	int pause;	 /* ms */
};

struct Stream
{
	Polled polled; /* must be first */
	WtDaemons *daemons;
	Stream *previous;
	Stream *next;
	WtIntake intake;
	int fd;
	uint32_t events; /* that poll_fd is asked for */
	WtAddress address;
	char ip[INET6_ADDRSTRLEN];
	WtVisitor *visitor; /* NULL: it is not counted */
	char *in;			/* what has come and is not used */
	size_t in_length;
	size_t in_size;
	int64_t begun; /* when the first of that came, ms; 0: there is none */
	int64_t heard; /* when the last of it did */
	WtFraming framing;
	WtRelp relp;
	Batch
		*filling; /* NULL, or not taken yet; in the queue but while `storing` is there */
	Batch *storing; /* taken */
	WtBuffer out;
	size_t out_sent;
	int64_t out_moved; /* when some of it was sent last, ms */
	bool unpolled;	   /* poll_fd does not know it any more */
	bool starved;	   /* it is not read for want of memory */
	bool full;		   /* a message has come for which there is no room */
	bool ended;		   /* nothing more will come */
	bool closing; /* nothing more is read; once all is stored and answered it is closed */
	uint32_t close_number; /* of RELP's `close`, to be answered then */
	bool close_asked;
	WtTls *tls; /* NULL: it is plain */
	struct gnutls_session_int *session;
	bool shaken; /* hands */
	bool wants_to_write;
	char source[WT_CERTIFICATE_NAME_SIZE];
};

struct WtDaemons
{
	int poll_fd;
	WtDaemonsSettings settings;
	WtCounters *counters;
	const WtEndpoint *const *endpoints;
	WtCidrList allowed;
	WtTls *tls;
	int64_t now; /* ms, as of this run */
	bool leaving;
	bool polling_connections; /* those who knock wake us */
	bool polling_datagrams;
	int64_t accept_after;

	Place places[MAX_PLACES];
	Stream *streams;
	int n_streams;
	int64_t next_check; /* of what takes too long */
	bool starved;		/* a stream reads no more for want of memory */
	WtAddresses addresses;

	Batch *queue_first;
	Batch *queue_last;
	Batch *retrying;
	Batch *open[N_OPEN]; /* of datagrams, in the queue: by the sender's address */
	int n_waiting;		 /* messages in the queue */
	int n_batches;
	size_t bytes;		   /* of all batches, and of what streams have read */
	size_t datagram_bytes; /* of batches of datagrams */
	struct mmsghdr *slots; /* where datagrams are read, see datagrams.c */
	WtChunks *chunks;
	WtInflated inflated;
};

static inline void
count_dropped(WtDaemons *daemons, WtIntake intake, WtReason reason, uint64_t n)
{
	daemons->counters->messages_dropped[intake] += n;
	daemons->counters->messages_dropped_by[reason] += n;
}

/*
 * batches.c
 */

/* Whether a batch has room for a message more, of so many bytes. */
extern bool wt_batch_has_room(const WtDaemons *daemons, const Batch *batch,
							  size_t length);

/* An empty one, of a sender's; NULL: there is no memory. */
extern Batch *wt_batch_new(WtDaemons *daemons, WtIntake intake, const WtAddress *from,
						   Stream *stream);

/* Adds a message; number: RELP's.  False: there is no memory. */
extern bool wt_batch_add(WtDaemons *daemons, Batch *batch, const char *text,
						 size_t length, bool cut, uint32_t number);

/* Adds a line to the last message; false: there is no memory. */
extern bool wt_batch_add_line(WtDaemons *daemons, Batch *batch, const char *text,
							  size_t length);

extern void wt_batch_queue(WtDaemons *daemons, Batch *batch);

/* Queues what is to be tried again now. */
extern void wt_batches_retry(WtDaemons *daemons);

/* When that is, ms; INT64_MAX: there is none. */
extern int64_t wt_batches_next(const WtDaemons *daemons);

/* Frees all that are not taken; their messages are counted. */
extern void wt_batches_end(WtDaemons *daemons);

/*
 * streams.c
 */

/* Accepts who is waiting at a place. */
extern void wt_streams_accept(WtDaemons *daemons, Place *place);

/* Something has happened on its socket. */
extern void wt_stream_attend(Stream *stream, uint32_t events);

/* Its batch has been stored. */
extern void wt_stream_stored(Stream *stream, const Batch *batch);

/* Ends what takes too long, and goes on with those that had no room. */
extern void wt_streams_check(WtDaemons *daemons);

/* They read what has been sent by now, and then no more. */
extern void wt_streams_leave(WtDaemons *daemons);

extern void wt_streams_end(WtDaemons *daemons);

/*
 * datagrams.c
 */

/* Reads what has come to a place. */
extern void wt_datagrams_read(WtDaemons *daemons, Place *place);

/* Counts what the kernel has dropped since this was asked last. */
extern void wt_datagrams_count_drops(WtDaemons *daemons, Place *place);

/* Whether there is room for more of them. */
extern bool wt_datagrams_have_room(const WtDaemons *daemons);

extern bool wt_datagrams_prepare(WtDaemons *daemons);
extern void wt_datagrams_end(WtDaemons *daemons);

/*
 * places.c
 */

/* Takes in what has come to a place: datagrams, or who is waiting. */
extern void wt_daemons_read_place(WtDaemons *daemons, Place *place);

/* Whether those who knock, and datagrams, wake us. */
extern void wt_places_poll(WtDaemons *daemons, bool connections, bool datagrams);

extern void wt_places_close(WtDaemons *daemons);

#endif
