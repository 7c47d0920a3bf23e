/*
 * job.h
 *		A request to the viewer, from when it is taken to when it is answered.
 *
 * It is done in steps, each of them short, so that many can go on side by side: between two
 * steps the listener runs, and others have theirs.  What a step looks at in the database it
 * looks at in a transaction of its own, see query.h.
 */
#ifndef WT_VIEWER_JOB_H
#define WT_VIEWER_JOB_H

#include "datatype/timestamp.h"
#include "utils/palloc.h"

#include "base/buffer.h"

/* By name alone: what a call does it does without HTTP. */
typedef struct WtListener WtListener;
typedef struct WtRequest WtRequest;
typedef struct WtCall WtCall;

/* A parameter of the query string, decoded. */
typedef struct WtParameter
{
	const char *name;
	const char *value;
} WtParameter;

typedef struct WtViewerJob
{
	struct WtViewerJob *next; /* in the order of their last steps */
	WtListener *listener;
	WtRequest *request;
	const WtCall *call;

	/* Everything of the job; and of one step, which is reset after it. */
	MemoryContext context;
	MemoryContext step_context;

	WtParameter *parameters;
	int n_parameters;
	TimestampTz now; /* when it was taken */
	void *state;	 /* the call's own, in context; NULL before its first step */

	WtBuffer out;			 /* what is to be sent next; malloc'ed, freed with the job */
	bool streams;			 /* its answer has begun */
	const char *type;		 /* of the answer; NULL: JSON */
	const char *header_name; /* of a header more; NULL: there is none */
	const char *header_value;
	bool
		no_error_line; /* where its stream fails it is cut off: a line would not be read */
	TimestampTz rests_until; /* nothing to do before; 0: there is */
	TimestampTz waits_since; /* for its next step */
	int64 spent;			 /* by its steps since it rested, µs */
	bool done;				 /* answered: request is not ours any more */
} WtViewerJob;

/* One thing that can be asked for; its verb is its place in the list of them. */
struct WtCall
{
	const char *activity;			/* what pg_stat_activity shows */
	void (*step)(WtViewerJob *job); /* raises nothing; in step_context */
	int most; /* of them at a time in a process, since they last; 0: any number */
};

/* Takes a request, whose call is known. */
extern WtViewerJob *wt_job_begin(WtListener *listener, WtRequest *request,
								 const WtCall *call);

/* One step; after it the job may be done.  Raises nothing but FATAL. */
extern void wt_job_step(WtViewerJob *job);

/* Frees a job that is done. */
extern void wt_job_free(WtViewerJob *job);

/* Answers 503 what is not done, since the process ends. */
extern void wt_job_abandon(WtViewerJob *job);

/*
 * For steps.  What `out` holds is sent, and out is empty: the first time, the answer begins with
 * that.  Gives false where nobody is there any more, and the job is done.
 */
extern bool wt_job_send(WtViewerJob *job);

/* The answer is out, whole, or, where it streams, ends with it. */
extern void wt_job_finish(WtViewerJob *job);

/* The same, of an answer that streams, be it that it has not begun yet. */
extern void wt_job_end_stream(WtViewerJob *job);

/*
 * It failed: the answer is this status with a sentence and, above 0, the place in the query that
 * is wrong; of a stream, its last line.
 */
extern void wt_job_fail(WtViewerJob *job, int status, const char *sentence, int position);

/* A parameter's value; NULL: it was not sent, or is empty. */
extern const char *wt_job_parameter(const WtViewerJob *job, const char *name);

/* Whether a parameter was sent, be it empty. */
extern bool wt_job_has(const WtViewerJob *job, const char *name);

/* The parameter q, in the current memory context; NULL: everything is asked for. */
extern struct varlena *wt_job_query(const WtViewerJob *job);

/* Bytes that wait to be sent. */
extern size_t wt_job_backlog(const WtViewerJob *job);

/* How long ago it was taken, ms. */
extern long wt_job_age(const WtViewerJob *job);

/*
 * Whether its time is up (windtrap.viewer_timeout), be it that it has only waited for its turns; never
 * of what lasts by its nature.
 */
extern bool wt_job_is_late(const WtViewerJob *job);

/* A whole number from lowest to highest; false: it is none, and the job has failed. */
extern bool wt_job_number(WtViewerJob *job, const char *name, int lowest, int highest,
						  int otherwise, int *number);

#endif
