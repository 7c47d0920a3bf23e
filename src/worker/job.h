/*
 * job.h
 *		A request on its way through the stages of a worker: what the files below share.  Each of
 *		them includes only those beneath it.
 *
 *	batch.c			turns: which jobs go on, in what order, and the one transaction of all of them
 *	job_answer.c	what a job is answered
 *	job_events.c	its events: decoded, enriched, their stand-ins
 *	job_body.c		what its body goes through before that
 *	job.c			how far it is, and what has become of it
 */
#ifndef WT_JOB_H
#define WT_JOB_H

#include "lib/ilist.h"

#include "event/decoder.h"
#include "event/enrich.h"
#include "event/inflate.h"
#include "event/row.h"
#include "http/request.h"
#include "protocol/protocol.h"

/* Of the path in ?time_field=…, bytes. */
#define WT_TIME_FIELD_SIZE 128

/* Errors that are listed in an answer. */
#define WT_MAX_LISTED 10

typedef struct WtJob WtJob;

/* An event that has been decoded. */
typedef struct WtJobEvent
{
	WtRow row; /* must be first */
	WtJob *job;
	const char *raw; /* as it was sent; in the body */
	uint32 raw_length;
	bool quarantined; /* row is a stand-in: the event could not be decoded, or stored */
} WtJobEvent;

struct WtJob
{
	/* batch.c's, which makes jobs and ends them. */
	dlist_node node; /* among the large ones */
	MemoryContext context;
	MemoryContext piece; /* of the events that are not committed yet */
	WtRequest *request;
	bool queued;	 /* in large_jobs */
	bool taken;		 /* in this turn's jobs */
	WtDecoder check; /* looks ahead, see check_job */
	bool checking;
	bool checked; /* it is well-formed to its end, and not too long */
	int64 n_checked;

	/* job_body.c's. */
	bool begun;
	WtInflated inflated;
	WtInflated converted;				 /* to UTF-8 */
	WtKeyedRequest *keyed;				 /* NULL: it came without a key */
	char time_field[WT_TIME_FIELD_SIZE]; /* the path to each event's own time; "": none */
	WtEnvelope *envelope;

	/* job_events.c's. */
	WtDecoder decoder;	 /* job_body.c fills in what is to be decoded */
	WtJobEvent **events; /* those that are not committed yet */
	int n_events;
	int max_events;
	size_t bytes; /* of their data */
	size_t used;  /* of the body, bytes: what is behind it waits for the next piece */
	int64 n_decoded;
	bool decoded; /* all of it, or it is refused */

	/* job.c's, but for fail_job in batch.c. */
	int64 n_accepted;
	int64 n_rejected;
	int64 n_refused;	/* of the rejected: they are not in quarantine either */
	int64 n_duplicates; /* of both: they had been there already */
	WtEventError listed[WT_MAX_LISTED];
	int n_listed;
	int status; /* of the answer, where that is known already; 0: it is not */
	WtReason reason;
	const char *message;
};

/* Whether there are pieces of the request's body before or behind this one. */
extern bool wt_job_is_piece(const WtRequest *request);

/* Nothing more of the job is to be stored: its answer will be this, of which a copy is made. */
extern void wt_job_refuse(WtJob *job, int status, WtReason reason, const char *message);

/* Notes an error of an event for the answer, and counts it. */
extern void wt_job_list_error(WtJob *job, int64 index, WtReason reason,
							  const char *message);

/* Goes on where the piece of the body before this one ended; keeps that for the next piece. */
extern void wt_job_take_progress(WtJob *job);
extern void wt_job_keep_progress(const WtJob *job);

/* Counts what has become of a job's events, which have been stored; they are done with then. */
extern void wt_job_count_events(WtJob *job);

#endif
