/*
 * job_events.h
 *		The events of a job: decoded, enriched, and what stands in for those that cannot be
 *		stored.
 */
#ifndef WT_JOB_EVENTS_H
#define WT_JOB_EVENTS_H

#include "worker/job.h"

/*
 * Decodes the next event of a job whose body is open, in the current memory context; false
 * where there is none, and job->decoded is set.  json is the parser's memory.
 */
extern bool wt_job_decode_event(WtJob *job, WtJson *json);

/*
 * For wt_store_rows: the table refuses this row of a WtJobEvent, which becomes its stand-in;
 * false: there is none.
 */
extern bool wt_job_quarantine_row(WtRow *row);

#endif
