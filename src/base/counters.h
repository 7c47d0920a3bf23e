/*
 * counters.h
 *		What a worker counts.
 *
 * Plain C, so that the listener counts in it too.  It lies in shared memory; one worker
 * writes it, anybody reads it, and an aligned 64-bit number is never seen half written.
 */
#ifndef WT_COUNTERS_H
#define WT_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

/* Why a request, or an event of a batch, is refused; names are in counters.c. */
typedef enum WtReason
{
	WT_REASON_NONE,
	WT_REASON_MALFORMED,	  /* the request's head or framing */
	WT_REASON_HEAD_TOO_LARGE, /* 414, 431 */
	WT_REASON_NOT_FOUND,
	WT_REASON_METHOD,
	WT_REASON_CONNECTIONS,	  /* its address has too many */
	WT_REASON_CERTIFICATE,	  /* the client's, by TLS */
	WT_REASON_TIMEOUT,		  /* not complete in time */
	WT_REASON_BODY_TOO_LARGE, /* as it was sent, or inflated */
	WT_REASON_OVERLOAD,		  /* too much is waiting to be stored */
	WT_REASON_ENCODING,		  /* a Content-Encoding that is not known */
	WT_REASON_CORRUPT,		  /* compressed, and not to be inflated */
	WT_REASON_EMPTY,
	WT_REASON_BAD_JSON,
	WT_REASON_UNFIT, /* JSON that jsonb cannot hold, or not so that it can be dumped */
	WT_REASON_NOT_TEXT,
	WT_REASON_EVENT_TOO_LARGE,
	WT_REASON_TABLE,	   /* the table refuses the event */
	WT_REASON_UNAVAILABLE, /* it could not be stored now */
	WT_REASON_MEMORY,
	WT_REASON_TOKEN,  /* none, or one that is not known */
	WT_REASON_SCOPE,  /* the token is for something else */
	WT_REASON_ORIGIN, /* pages of this origin may not */
	WT_REASON_HOST,	  /* a name that is not this collector's */
	WT_REASON_RATE,	  /* more requests than the token may send */
	WT_REASON_KEY, /* an Idempotency-Key that is none, or that came with another body */
	WT_REASON_FORWARD, /* rows of another collector, which are not taken here */
	WT_REASON_ADDRESS, /* who sends from there may not, see windtrap.allowed_senders */
	WT_N_REASONS
} WtReason;

/* By what way messages come in that are no HTTP requests; names are in counters.c. */
typedef enum WtIntake
{
	WT_INTAKE_SYSLOG_UDP,
	WT_INTAKE_SYSLOG_TCP,
	WT_INTAKE_SYSLOG_TLS,
	WT_INTAKE_RELP,
	WT_INTAKE_GELF_UDP,
	WT_INTAKE_GELF_TCP,
	WT_N_INTAKES
} WtIntake;

static inline bool
wt_is_by_datagram(WtIntake intake)
{
	return intake == WT_INTAKE_SYSLOG_UDP || intake == WT_INTAKE_GELF_UDP;
}

/* Codes that are counted one by one; the last one stands for all others. */
#define WT_N_CODES 19

/*
 * Buckets of a histogram: n_bounds upper bounds, each three or so times the one before,
 * and one for what is larger than all of them.
 */
#define WT_MAX_BOUNDS 15

typedef struct WtHistogram
{
	uint64_t buckets[WT_MAX_BOUNDS + 1]; /* each by itself, not cumulative */
	uint64_t sum;
} WtHistogram;

typedef struct WtCounters
{
	uint64_t requests[WT_N_CODES];			 /* by the answer's code */
	uint64_t requests_refused[WT_N_REASONS]; /* requests without a 2xx, by reason */
	uint64_t events_refused[WT_N_REASONS];	 /* events of batches, by reason */
	uint64_t events_accepted;
	uint64_t events_quarantined;
	uint64_t duplicates;	 /* events that were stored already, by their keys */
	uint64_t bytes_received; /* of bodies */
	uint64_t bytes_decoded;	 /* of bodies, inflated */
	uint64_t messages_received[WT_N_INTAKES]; /* those that are dropped not among them */
	uint64_t messages_stored[WT_N_INTAKES];	  /* committed, into quarantine too */
	uint64_t messages_dropped[WT_N_INTAKES];  /* and connections that are turned away */
	uint64_t messages_dropped_by[WT_N_REASONS]; /* the same */
	uint64_t stdout_written;  /* lines; a torn one counts when it is complete */
	uint64_t stdout_dropped;  /* lines */
	WtHistogram request_us;	  /* from the request line to the answer */
	WtHistogram commit_us;	  /* of a transaction */
	WtHistogram batch_events; /* rows of a transaction */

	/* Gauges: how it is now, and the most since the last reset. */
	uint64_t connections;
	uint64_t bytes_in_flight;
	uint64_t intake_connections[WT_N_INTAKES]; /* those that speak no HTTP */
	uint64_t intake_bytes;					   /* of messages in memory */
	uint64_t max_connections;
	uint64_t max_commit_us;
	uint64_t max_batch_events;
	uint64_t generation; /* the reset that the maxima know of */
} WtCounters;

/* The part that only grows, as an array of numbers. */
#define WT_N_COUNTERS (offsetof(WtCounters, connections) / sizeof(uint64_t))

extern const char *const wt_reason_names[WT_N_REASONS];
extern const char *const wt_intake_names[WT_N_INTAKES];
extern const int wt_codes[WT_N_CODES]; /* the last one is 0 */

/* Upper bounds of the histograms' buckets, in their units; ended by 0. */
extern const uint64_t wt_time_bounds[WT_MAX_BOUNDS + 1];
extern const uint64_t wt_size_bounds[WT_MAX_BOUNDS + 1];

extern void wt_count_request(WtCounters *counters, int code, WtReason reason);
/* Notes a value for a maximum. */
static inline void
wt_count_max(uint64_t *max, uint64_t value)
{
	if (value > *max)
		*max = value;
}

extern void wt_histogram_add(WtHistogram *histogram, const uint64_t *bounds,
							 uint64_t value);

#endif
