/*
 * database.h
 *		What a job looks at in the database: transactions whose failure is its answer.
 */
#ifndef WT_VIEWER_DATABASE_H
#define WT_VIEWER_DATABASE_H

#include "viewer/job.h"

typedef enum WtRights
{
	/*
	 * Those of the log table's owner, in a security-restricted operation that only reads: all
	 * that evaluates something of a table's, or of what a client sent.
	 */
	WT_OWNER_READS,
	WT_OWNER_WRITES,
	/* This process's own, for fixed statements on what is the extension's. */
	WT_PROCESS_READS
} WtRights;

/* How it ended. */
typedef enum WtEnd
{
	WT_END_DONE,
	WT_END_TIMEOUT, /* it took longer than `timeout`, and nothing has been answered */
	WT_END_FAILED	/* the job has been answered, or nobody waits for it */
} WtEnd;

/*
 * Runs what(job) in a transaction, with SPI connected, in the job's step_context, for at most
 * `timeout` ms.  It is cancelled when the client leaves.  An ERROR becomes the job's answer.
 */
extern WtEnd wt_viewer_run(WtViewerJob *job, void (*what)(WtViewerJob *job),
						   WtRights rights, int timeout);

/* The same within windtrap.viewer_timeout, which is the last word; false: the job is answered. */
extern bool wt_viewer_query(WtViewerJob *job, void (*what)(WtViewerJob *job),
							WtRights rights);

/* Answers that it took longer than windtrap.viewer_timeout. */
extern void wt_viewer_took_too_long(WtViewerJob *job);

/*
 * For `what`: what follows is of parameters that the client has sent, so that an ERROR is his
 * mistake (400); and, with false, is not.
 */
extern void wt_viewer_reads_parameters(bool begins);

/*
 * For `what`: what has been found must not be lost by the time being over while it is written
 * down, for a search would go on behind it.
 */
extern void wt_viewer_is_in_time(void);

/* For `what`: what follows has so many ms of its own, or ends as WT_END_TIMEOUT. */
extern void wt_viewer_has_time(int timeout);

/* For `what`, with the owner's rights: the quoted name of the log table. */
extern const char *wt_viewer_table(void);

#endif
